package shmkit

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A segment is freed when the last who holds it lets it go, and not before: what is held is mapped.
func TestASegmentStaysWhileItIsHeld(t *testing.T) {
	log := Log{current: new(atomic.Pointer[logSegment])}
	var freed sync.Map
	enter := func() {
		segment := &logSegment{}
		segment.free = func() {
			if _, twice := freed.Swap(segment, true); twice {
				t.Error("freed twice")
			}
		}
		segment.users.Store(1)
		if before := log.current.Swap(segment); before != nil {
			before.release()
		}
	}
	enter()
	var stop atomic.Bool
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for !stop.Load() {
				segment := log.hold()
				if segment == nil {
					continue
				}
				for range 3 {
					if _, gone := freed.Load(segment); gone {
						t.Error("freed while it is held")
						stop.Store(true)
					}
				}
				segment.release()
			}
		}()
	}
	entered := 1
	for begun := time.Now(); time.Since(begun) < 500*time.Millisecond && !stop.Load(); entered++ {
		enter()
	}
	stop.Store(true)
	all.Wait()
	log.current.Swap(nil).release()
	count := 0
	freed.Range(func(any, any) bool { count++; return true })
	if !t.Failed() && count != entered {
		t.Errorf("%d of %d were freed", count, entered)
	}
}
