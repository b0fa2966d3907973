package shmkit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// holdGuard is a child that takes the guard, says so, and keeps it until it is killed.
func holdGuard(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	if err := region.Lock(context.Background()); err != nil {
		return err
	}
	fmt.Println("held")
	waitForInput()
	return errors.Join(region.Unlock(), region.Close())
}

// addForEver is a child that adds 1 to the two counters of a region under the guard, until it is killed, and repairs what
// killed ones left.
func addForEver(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	fmt.Println("adding")
	for err == nil {
		err = addOnce(region)
	}
	return err
}

// addOnce makes both counters one larger than the first: a death between the two stores leaves the second behind.
func addOnce(region *shmkit.Region) error {
	err := region.Lock(context.Background())
	died := errors.Is(err, shmkit.ErrOwnerDied)
	if err != nil && !died {
		return err
	}
	defer region.Unlock()
	var counters [16]byte
	if err := region.ReadFullAt(counters[:], 0); err != nil {
		return err
	}
	first, second := binary.NativeEndian.Uint64(counters[:8]), binary.NativeEndian.Uint64(counters[8:])
	if first != second && !died {
		return fmt.Errorf("torn without a death: %d and %d", first, second)
	}
	if died {
		if err := region.MakeConsistent(); err != nil {
			return err
		}
	}
	binary.NativeEndian.PutUint64(counters[:8], first+1)
	for at := range int64(2) {
		if _, err := region.WriteAt(counters[:8], at*8); err != nil {
			return err
		}
	}
	return nil
}

func soon(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestTheGuardExcludesAndIsGivenBack(t *testing.T) {
	region := newRegion(t, 64)
	again := openAgain(t, region)
	expect(t, region.Unlock(), shmkit.ErrNotOwner)
	expect(t, region.MakeConsistent(), shmkit.ErrNotOwner)
	succeed(t, region.Lock(t.Context()))
	if !region.Locked() || !again.Locked() {
		t.Error("nobody sees the lock")
	}
	if held, err := again.TryLock(); held || err != nil {
		t.Errorf("taken twice: %v, %v", held, err)
	}
	expect(t, again.Lock(soon(t, 20*time.Millisecond)), shmkit.ErrTimeout)
	succeed(t, again.Unlock()) // the process owns it, not the handle
	if region.Locked() {
		t.Error("still locked")
	}
	held, err := region.TryLock()
	if !held || err != nil {
		t.Fatal(held, err)
	}
	succeed(t, region.Unlock())
}

func TestCloseIsRefusedWhileTheGuardIsHeld(t *testing.T) {
	region := newRegion(t, 64)
	succeed(t, region.Lock(t.Context()))
	expect(t, region.Close(), shmkit.ErrBusy)
	if n, err := region.WriteAt([]byte("open"), 0); n != 4 || err != nil {
		t.Errorf("a refused close closed: %d bytes, %v", n, err)
	}
	succeed(t, region.Unlock())
	succeed(t, region.Close())
}

// Whether a Lock that runs while others close gets the guard or ErrClosed, nobody may be left behind with it.
func TestLockDuringClose(t *testing.T) {
	region := newRegion(t, 64)
	for range 300 {
		handle, err := shmkit.Open(region.Name())
		succeed(t, err)
		var all sync.WaitGroup
		for range 3 {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					err := handle.Lock(context.Background())
					if errors.Is(err, shmkit.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					if err := region.Unlock(); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		succeed(t, handle.Close())
		all.Wait()
		held, err := region.TryLock()
		if !held || err != nil {
			t.Fatalf("the guard of a closed handle stayed: %v, %v", held, err)
		}
		succeed(t, region.Unlock())
	}
}

// As above, with the handle that is the process's last: closing it detaches the process. Nobody may hang, and the next
// one must not be told of a death that never was.
func TestLockDuringTheLastClose(t *testing.T) {
	region := newRegion(t, 64)
	succeed(t, region.Close())
	for range 1000 {
		handle, err := shmkit.Open(region.Name())
		succeed(t, err)
		if held, err := handle.TryLock(); !held || err != nil {
			t.Fatalf("the guard stayed behind: %v, %v", held, err)
		}
		succeed(t, handle.Unlock())
		var all sync.WaitGroup
		for range 3 {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					err := handle.Lock(context.Background())
					if errors.Is(err, shmkit.ErrClosed) {
						return
					}
					if err == nil {
						err = handle.Unlock()
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		err = handle.Close()
		for errors.Is(err, shmkit.ErrBusy) {
			err = handle.Close()
		}
		succeed(t, err)
		all.Wait()
	}
}

// In one process every lock passes through the same words, so a lost update would show at once.
func TestGoroutinesExcludeEachOther(t *testing.T) {
	region := newRegion(t, 64)
	const goroutines, turns = 20, 500
	var all sync.WaitGroup
	counted := 0 // on the Go heap: the race detector watches it
	for range goroutines {
		handle := openAgain(t, region)
		all.Add(1)
		go func() {
			defer all.Done()
			for range turns {
				if err := addOnce(handle); err != nil {
					t.Error(err)
					return
				}
				if err := handle.Lock(context.Background()); err != nil {
					t.Error(err)
					return
				}
				counted++
				if err := handle.Unlock(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	var shared [8]byte
	succeed(t, region.ReadFullAt(shared[:], 0))
	if got := binary.NativeEndian.Uint64(shared[:]); got != goroutines*turns || counted != goroutines*turns {
		t.Errorf("%d in the region and %d in Go, want %d", got, counted, goroutines*turns)
	}
}

func TestAContextEndsTheWait(t *testing.T) {
	region := newRegion(t, 64)
	holder := startChild(t, "hold", region.Name())
	holder.line(t)

	err := region.Lock(soon(t, 30*time.Millisecond))
	expect(t, err, shmkit.ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) || !err.(*shmkit.Error).Timeout() {
		t.Errorf("%v is no deadline", err)
	}

	cause := errors.New("the user went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(30*time.Millisecond, func() { cancel(cause) })
	err = region.Lock(ctx)
	expect(t, err, shmkit.ErrInterrupted)
	if !errors.Is(err, cause) || errors.Is(err, shmkit.ErrTimeout) {
		t.Errorf("%v is not about %v", err, cause)
	}
	expect(t, region.Lock(ctx), shmkit.ErrInterrupted) // at once

	holder.input.Close()
	succeed(t, region.Lock(t.Context()))
	succeed(t, region.Unlock())
	succeed(t, region.Lock(ctx)) // a guard that is free needs no waiting, so no context ends it
	succeed(t, region.Unlock())
}

func TestCloseEndsTheWait(t *testing.T) {
	region := newRegion(t, 64)
	other := openAgain(t, region)
	succeed(t, region.Lock(t.Context()))
	const waiters = 10
	ended := make(chan error, waiters)
	for range waiters {
		go func() { ended <- other.Lock(context.Background()) }()
	}
	time.Sleep(20 * time.Millisecond)
	succeed(t, other.Close())
	for range waiters { // also the one that waits in the kernel
		expect(t, <-ended, shmkit.ErrClosed)
	}
	succeed(t, region.Unlock())
	if region.Locked() {
		t.Error("a waiter of the closed handle took the guard with it")
	}
}

func TestAKilledOwnerIsReportedUntilRepaired(t *testing.T) {
	region := newRegion(t, 64)
	holder := startChild(t, "hold", region.Name())
	holder.line(t)
	waited := make(chan error)
	go func() { waited <- region.Lock(t.Context()) }()
	time.Sleep(20 * time.Millisecond)
	holder.kill()
	expect(t, <-waited, shmkit.ErrOwnerDied)
	if !region.Locked() {
		t.Fatal("reported, but not held")
	}
	succeed(t, region.Unlock())

	held, err := region.TryLock()
	if !held {
		t.Fatal("not held")
	}
	expect(t, err, shmkit.ErrOwnerDied)
	succeed(t, region.MakeConsistent())
	succeed(t, region.Unlock())
	succeed(t, region.Lock(t.Context()))
	succeed(t, region.Unlock())
}

func TestTryLockFindsADeadOwner(t *testing.T) {
	region := newRegion(t, 64)
	holder := startChild(t, "hold", region.Name())
	holder.line(t)
	if held, err := region.TryLock(); held || err != nil {
		t.Fatalf("taken from the living: %v, %v", held, err)
	}
	holder.kill()
	held, err := region.TryLock()
	if !held {
		t.Fatal("a dead owner keeps the guard")
	}
	expect(t, err, shmkit.ErrOwnerDied)
	succeed(t, region.MakeConsistent())
	succeed(t, region.Unlock())
}

func TestKillsLoseNothing(t *testing.T) {
	region := newRegion(t, 64)
	const kills = 30
	for range kills {
		adder := startChild(t, "add", region.Name())
		adder.line(t)
		for range 50 {
			succeed(t, addOnce(region))
		}
		adder.kill()
	}
	var counters [16]byte
	succeed(t, addOnce(region))
	succeed(t, region.ReadFullAt(counters[:], 0))
	first, second := binary.NativeEndian.Uint64(counters[:8]), binary.NativeEndian.Uint64(counters[8:])
	if first != second || first < kills*50 {
		t.Errorf("%d and %d after at least %d", first, second, kills*50)
	}
}

// threads returns how many threads this process has ever started.
func threads() int { return pprof.Lookup("threadcreate").Count() }

func TestManyWaitersNeedFewThreads(t *testing.T) {
	region := newRegion(t, 64)
	holder := startChild(t, "hold", region.Name())
	holder.line(t)

	const waiters = 10_000
	before := threads()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var entered, cancelled atomic.Int64
	var all sync.WaitGroup
	for i := range waiters {
		all.Add(1)
		go func() {
			defer all.Done()
			mine := context.Background()
			if i%2 == 0 {
				mine = ctx
			}
			entered.Add(1)
			err := region.Lock(mine)
			if errors.Is(err, shmkit.ErrInterrupted) && mine == ctx {
				cancelled.Add(1)
				return
			}
			if err == nil {
				err = region.Unlock()
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	eventually(t, "all wait", func() bool { return entered.Load() == waiters })
	time.Sleep(50 * time.Millisecond)
	cancel() // half of them; the wake-ups of the others must not get lost with these
	eventually(t, "the cancelled give up", func() bool { return cancelled.Load() == waiters/2 })
	holder.input.Close()
	all.Wait()
	if started := threads() - before; started > 20 {
		t.Errorf("%d threads for %d waiting goroutines", started, waiters)
	}
	if region.Locked() {
		t.Error("somebody kept the guard")
	}
}
