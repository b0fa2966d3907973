package shmkit_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// count is a child that adds 1 to the atomic "number" until it is killed.
func count(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	number, err := region.AtomicU64("number", 0)
	if err != nil {
		return err
	}
	for {
		number.Add(1)
		number.NotifyAll()
	}
}

// operate tries all that an atomic can do near the end of its type's range.
func operate[T shmkit.AtomicValue](t *testing.T, last, first T, open func(*shmkit.Region) (*shmkit.Atomic[T], error)) {
	region := newRegion(t, 64)
	number := opened[*shmkit.Atomic[T]](t)(open(region))
	again := opened[*shmkit.Atomic[T]](t)(open(openAgain(t, region)))
	if got := number.Load(); got != 5 {
		t.Errorf("%d at first", got)
	}
	number.Store(last)
	if old := again.Add(1); old != last || number.Load() != first {
		t.Errorf("%d + 1 = %d", old, number.Load())
	}
	var one T = 1
	if old := again.Add(-one); old != first || number.Load() != last {
		t.Errorf("%d - 1 = %d", old, number.Load())
	}
	if old := number.Swap(7); old != last {
		t.Errorf("swapped %d", old)
	}
	if old, swapped := number.CompareExchange(8, 9); old != 7 || swapped {
		t.Error(old, swapped)
	}
	if old, swapped := number.CompareExchange(7, 9); old != 7 || !swapped || again.Load() != 9 {
		t.Error(old, swapped, again.Load())
	}
	succeed(t, number.Wait(t.Context(), 8))
	expect(t, number.Wait(soon(t, 10*time.Millisecond), 9), shmkit.ErrTimeout)
	if number.Name() != "number" || number.String() != `shmkit.Atomic("number")` {
		t.Error(number)
	}
}

func TestAtomicsOfEachType(t *testing.T) {
	t.Run("u32", func(t *testing.T) {
		operate(t, math.MaxUint32, 0, func(r *shmkit.Region) (*shmkit.Atomic[uint32], error) { return r.AtomicU32("number", 5) })
	})
	t.Run("u64", func(t *testing.T) {
		operate(t, math.MaxUint64, 0, func(r *shmkit.Region) (*shmkit.Atomic[uint64], error) { return r.AtomicU64("number", 5) })
	})
	t.Run("i64", func(t *testing.T) {
		operate(t, math.MaxInt64, math.MinInt64, func(r *shmkit.Region) (*shmkit.Atomic[int64], error) { return r.AtomicI64("number", 5) })
	})
}

func TestAtomicAdditionsAreNotLost(t *testing.T) {
	region := newRegion(t, 64)
	small := opened[*shmkit.Atomic[uint32]](t)(region.AtomicU32("small", 0))
	large := opened[*shmkit.Atomic[int64]](t)(region.AtomicI64("large", 0))
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 5000 {
				small.Add(1)
				large.Add(-1)
			}
		}()
	}
	all.Wait()
	if small.Load() != 20_000 || large.Load() != -20_000 {
		t.Error(small.Load(), large.Load())
	}
}

func TestAnAtomicIsOfOneType(t *testing.T) {
	region := newRegion(t, 64)
	number := opened[*shmkit.Atomic[uint64]](t)(region.AtomicU64("number", 1))
	_, err := region.AtomicI64("number", 1)
	expect(t, err, shmkit.ErrWrongKind)
	_, err = region.AtomicU32("number", 1)
	expect(t, err, shmkit.ErrWrongKind)
	same := opened[*shmkit.Atomic[uint64]](t)(region.AtomicU64("number", 2))
	if same.Load() != 1 {
		t.Error("who opens it later gave it a value")
	}
	waiting := make(chan error)
	go func() { waiting <- number.Wait(context.Background(), 1) }()
	time.Sleep(10 * time.Millisecond)
	succeed(t, number.Close())
	expect(t, <-waiting, shmkit.ErrClosed)
	expect(t, number.Wait(t.Context(), 1), shmkit.ErrClosed)
	if !number.Closed() || number.Load() != 1 {
		t.Error("another handle keeps the value")
	}
}

// Waiters for different values wait in one line: each must be told of what it waits for, whoever is in front.
func TestWaitersForDifferentValues(t *testing.T) {
	number := opened[*shmkit.Atomic[uint64]](t)(newRegion(t, 64).AtomicU64("number", 0))
	waitWhile := func(value uint64) chan error {
		waited := make(chan error, 1)
		go func() { waited <- number.Wait(soon(t, 20*time.Second), value) }()
		time.Sleep(2 * time.Millisecond)
		return waited
	}
	for range 20 {
		first := waitWhile(0)
		number.Store(1) // and nobody is told
		second := waitWhile(1)
		number.Store(0) // what the first waits for is as before: it stays in front
		number.NotifyAll()
		succeed(t, <-second)
		number.Store(2) // and nobody is told: it is noticed all the same
		succeed(t, <-first)
		number.Store(0)
	}
	number.NotifyOne()
}

func TestAtomicsCrossProcesses(t *testing.T) {
	region := newRegion(t, 64)
	number := opened[*shmkit.Atomic[uint64]](t)(region.AtomicU64("number", 0))
	counter := startChild(t, "count", region.Name())
	for range 20 {
		succeed(t, number.Wait(soon(t, 20*time.Second), number.Load()))
	}
	counter.kill()
	if number.Load() < 20 {
		t.Error(number.Load())
	}
}

func TestManyWhoWaitForAnAtomicNeedFewThreads(t *testing.T) {
	number := opened[*shmkit.Atomic[uint32]](t)(newRegion(t, 64).AtomicU32("number", 0))
	manyWaitAndHalfGiveUp(t, shmkit.ErrInterrupted, func(ctx context.Context) error {
		return number.Wait(ctx, 0)
	}, func() {
		number.Store(1)
		number.NotifyAll()
	})
}

// What is written before a store is seen by who loads it; the race detector watches.
func TestAnAtomicOrdersGoroutines(t *testing.T) {
	ready := opened[*shmkit.Atomic[uint32]](t)(newRegion(t, 64).AtomicU32("ready", 0))
	written := 0
	go func() {
		written = 42
		ready.Store(1)
		ready.NotifyOne()
	}()
	succeed(t, ready.Wait(t.Context(), 0))
	if written != 42 {
		t.Error(written)
	}
}
