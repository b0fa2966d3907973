package shmkit_test

import (
	"sync"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

type reading struct {
	Value float64
	Flag  uint8
	Count uint32
	Tags  [4]uint8
}

func TestValuesAreWhatWasStored(t *testing.T) {
	region := newRegion(t, 64)
	number := opened[*shmkit.Value[float32]](t)(shmkit.OpenValue[float32](region, "number", 1.5))
	value, err := number.Load()
	if succeed(t, err); value != 1.5 {
		t.Error(value)
	}
	succeed(t, number.Store(2.5))
	after, err := number.Update(func(now float32) float32 { return now * 2 })
	if succeed(t, err); after != 5 {
		t.Error(after)
	}
	first := reading{Value: 0.5, Flag: 1, Count: 2, Tags: [4]uint8{1, 2, 3, 4}}
	record := opened[*shmkit.Value[reading]](t)(shmkit.OpenValue(region, "record", first))
	if record.Format() != "dB3xI4B" || record.String() != `shmkit.Value("record")` || record.Name() != "record" {
		t.Error(record.Format(), record)
	}
	seen, err := record.Load()
	if succeed(t, err); seen != first {
		t.Error(seen)
	}
	second := first
	second.Count = 7
	succeed(t, record.Store(second))
	same := opened[*shmkit.Value[reading]](t)(shmkit.OpenValue(region, "record", first))
	seen, err = same.Load()
	if succeed(t, err); seen != second {
		t.Error(seen)
	}
	succeed(t, same.Close())
	_, err = same.Load()
	expect(t, err, shmkit.ErrClosed)
	_, err = same.Update(func(now reading) reading { return now })
	expect(t, err, shmkit.ErrClosed)
	_, err = shmkit.OpenValue(region, "record", 1.5)
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = shmkit.OpenValue(region, "bad", "text")
	expect(t, err, shmkit.ErrInvalidArgument)
	_, err = region.Mutex("record")
	expect(t, err, shmkit.ErrWrongKind)
}

func TestNoReaderSeesAHalfAndNoUpdateIsLost(t *testing.T) {
	type wide [24]uint64
	const updates = 500
	region := newRegion(t, 64)
	value := opened[*shmkit.Value[wide]](t)(shmkit.OpenValue(region, "wide", wide{}))
	whole := func(now wide) bool {
		for _, word := range now {
			if word != now[0] {
				return false
			}
		}
		return true
	}
	var workers sync.WaitGroup
	for range 3 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range updates {
				_, err := value.Update(func(now wide) wide {
					if !whole(now) {
						t.Errorf("torn: %v", now)
					}
					for i := range now {
						now[i]++
					}
					return now
				})
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	workers.Wait()
	if now, err := value.Load(); err != nil || !whole(now) || now[0] != 3*updates {
		t.Error(now, err)
	}
}
