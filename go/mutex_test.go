package shmkit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// closer is a handle of any kind.
type closer interface{ Close() error }

// opened returns a handle that was just opened, and closes it when the test ends.
func opened[T closer](t testing.TB) func(object T, err error) T {
	t.Helper()
	return func(object T, err error) T {
		t.Helper()
		succeed(t, err)
		t.Cleanup(func() {
			if err := object.Close(); err != nil {
				t.Error(err)
			}
		})
		return object
	}
}

// lockable is what all locks are, with the write side of a reader-writer lock.
type lockable interface {
	Lock(ctx context.Context) error
	TryLock() (bool, error)
	Unlock() error
	MakeConsistent() error
	Locked() bool
	Name() string
	Closed() bool
	String() string
	Close() error
}

// locks opens a lock of each kind under a name.
var locks = map[string]func(region *shmkit.Region, name string) (lockable, error){
	"Mutex":  func(r *shmkit.Region, name string) (lockable, error) { return r.Mutex(name) },
	"RwLock": func(r *shmkit.Region, name string) (lockable, error) { return r.RwLock(name) },
}

// eachLock runs a test for each kind of lock in a region of its own.
func eachLock(t *testing.T, test func(t *testing.T, region *shmkit.Region, kind string)) {
	for kind := range locks {
		t.Run(kind, func(t *testing.T) { test(t, newRegion(t, 64), kind) })
	}
}

// withLock is for children: it opens the lock that "kind region" names.
func withLock(argument string, use func(region *shmkit.Region, lock lockable) error) error {
	kind, name, _ := strings.Cut(argument, " ")
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	lock, err := locks[kind](region, "lock")
	if err != nil {
		return err
	}
	return errors.Join(use(region, lock), lock.Close(), region.Close())
}

// holdLock is a child that takes a lock, says so, and keeps it until it is killed or its input ends.
func holdLock(argument string) error {
	return withLock(argument, func(_ *shmkit.Region, lock lockable) error {
		if err := lock.Lock(context.Background()); err != nil {
			return err
		}
		fmt.Println("held")
		waitForInput()
		return lock.Unlock()
	})
}

// addUnderLock is a child that adds under a lock until it is killed.
func addUnderLock(argument string) error {
	return withLock(argument, func(region *shmkit.Region, lock lockable) (err error) {
		fmt.Println("adding")
		for err == nil {
			err = addTwice(region, lock)
		}
		return err
	})
}

// addTwice is addOnce under another lock than the guard.
func addTwice(region *shmkit.Region, lock lockable) error {
	err := lock.Lock(context.Background())
	died := errors.Is(err, shmkit.ErrOwnerDied)
	if err != nil && !died {
		return err
	}
	defer lock.Unlock()
	var counters [16]byte
	if err := region.ReadFullAt(counters[:], 0); err != nil {
		return err
	}
	first, second := binary.NativeEndian.Uint64(counters[:8]), binary.NativeEndian.Uint64(counters[8:])
	if first != second && !died {
		return fmt.Errorf("torn without a death: %d and %d", first, second)
	}
	if died {
		if err := lock.MakeConsistent(); err != nil {
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

func TestALockExcludesAndIsGivenBack(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		lock := opened[lockable](t)(locks[kind](region, "lock"))
		again := opened[lockable](t)(locks[kind](openAgain(t, region), "lock"))
		if lock.Name() != "lock" || lock.Closed() || lock.String() != fmt.Sprintf("shmkit.%s(%q)", kind, "lock") {
			t.Errorf("%v is not what it is", lock)
		}
		expect(t, lock.Unlock(), shmkit.ErrNotOwner)
		expect(t, lock.MakeConsistent(), shmkit.ErrNotOwner)
		succeed(t, lock.Lock(t.Context()))
		if !lock.Locked() || !again.Locked() {
			t.Error("nobody sees the lock")
		}
		if held, err := again.TryLock(); held || err != nil {
			t.Errorf("taken twice: %v, %v", held, err)
		}
		expect(t, again.Lock(soon(t, 10*time.Millisecond)), shmkit.ErrTimeout)
		succeed(t, again.Unlock()) // the process owns it, not the handle
		if lock.Locked() {
			t.Error("still locked")
		}
		held, err := lock.TryLock()
		if !held || err != nil {
			t.Fatal(held, err)
		}
		expect(t, region.RemoveObject("lock"), shmkit.ErrBusy)
		succeed(t, lock.Unlock())
	})
}

func TestALockOutlivesItsRegionHandle(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		lock, err := locks[kind](region, "lock")
		succeed(t, err)
		succeed(t, region.Close())
		succeed(t, lock.Lock(t.Context()))
		expect(t, lock.Close(), shmkit.ErrBusy)
		if lock.Closed() {
			t.Error("a refused close closed")
		}
		succeed(t, lock.Unlock())
		succeed(t, lock.Close())
		succeed(t, lock.Close())
		if !lock.Closed() {
			t.Error("not closed")
		}
		expect(t, lock.Lock(t.Context()), shmkit.ErrClosed)
		_, err = lock.TryLock()
		expect(t, err, shmkit.ErrClosed)
		expect(t, lock.Unlock(), shmkit.ErrClosed)
		expect(t, lock.MakeConsistent(), shmkit.ErrClosed)
		_, err = locks[kind](region, "lock")
		expect(t, err, shmkit.ErrClosed)
	})
}

func TestAKilledOwnerOfALockIsReportedUntilRepaired(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		lock := opened[lockable](t)(locks[kind](region, "lock"))
		holder := startChild(t, "holdLock", kind+" "+region.Name())
		holder.line(t)
		if held, err := lock.TryLock(); held || err != nil {
			t.Fatalf("taken from the living: %v, %v", held, err)
		}
		waited := make(chan error)
		go func() { waited <- lock.Lock(t.Context()) }()
		time.Sleep(20 * time.Millisecond)
		holder.kill()
		expect(t, <-waited, shmkit.ErrOwnerDied)
		if !lock.Locked() {
			t.Fatal("reported, but not held")
		}
		succeed(t, lock.Unlock())
		held, err := lock.TryLock()
		if !held {
			t.Fatal("not held")
		}
		expect(t, err, shmkit.ErrOwnerDied)
		succeed(t, lock.MakeConsistent())
		succeed(t, lock.Unlock())
		succeed(t, lock.Lock(t.Context()))
		succeed(t, lock.Unlock())
	})
}

func TestKillsUnderALockLoseNothing(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		lock := opened[lockable](t)(locks[kind](region, "lock"))
		const kills = 5
		for range kills {
			adder := startChild(t, "addUnderLock", kind+" "+region.Name())
			adder.line(t)
			for range 20 {
				succeed(t, addTwice(region, lock))
			}
			adder.kill()
		}
		var counters [16]byte
		succeed(t, addTwice(region, lock))
		succeed(t, region.ReadFullAt(counters[:], 0))
		first, second := binary.NativeEndian.Uint64(counters[:8]), binary.NativeEndian.Uint64(counters[8:])
		if first != second || first < kills*20 {
			t.Errorf("%d and %d after at least %d", first, second, kills*20)
		}
	})
}

// In one process every lock passes through the same words, so a lost update would show at once.
func TestGoroutinesExcludeEachOtherByALock(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		const goroutines, turns = 10, 200
		var all sync.WaitGroup
		counted := 0 // on the Go heap: the race detector watches it
		for range goroutines {
			lock := opened[lockable](t)(locks[kind](region, "lock"))
			all.Add(1)
			go func() {
				defer all.Done()
				for range turns {
					if err := lock.Lock(context.Background()); err != nil {
						t.Error(err)
						return
					}
					counted++
					if err := lock.Unlock(); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		all.Wait()
		if counted != goroutines*turns {
			t.Errorf("%d, want %d", counted, goroutines*turns)
		}
	})
}

// Whether a Lock that runs while the last handle closes gets the lock or ErrClosed, nobody may be left behind with it.
func TestLockDuringTheCloseOfALock(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		for range 100 {
			lock, err := locks[kind](region, "lock")
			succeed(t, err)
			if held, err := lock.TryLock(); !held || err != nil {
				t.Fatalf("the lock stayed behind: %v, %v", held, err)
			}
			succeed(t, lock.Unlock())
			var all sync.WaitGroup
			for range 3 {
				all.Add(1)
				go func() {
					defer all.Done()
					for {
						err := lock.Lock(context.Background())
						if errors.Is(err, shmkit.ErrClosed) {
							return
						}
						if err == nil {
							err = lock.Unlock()
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				}()
			}
			err = lock.Close()
			for errors.Is(err, shmkit.ErrBusy) {
				err = lock.Close()
			}
			succeed(t, err)
			all.Wait()
		}
	})
}

func TestAContextEndsTheWaitForALock(t *testing.T) {
	eachLock(t, func(t *testing.T, region *shmkit.Region, kind string) {
		lock := opened[lockable](t)(locks[kind](region, "lock"))
		holder := startChild(t, "holdLock", kind+" "+region.Name())
		holder.line(t)
		expect(t, lock.Lock(soon(t, 20*time.Millisecond)), shmkit.ErrTimeout)
		manyWaitAndHalfGiveUp(t, shmkit.ErrInterrupted, func(ctx context.Context) error {
			if err := lock.Lock(ctx); err != nil {
				return err
			}
			return lock.Unlock()
		}, func() { holder.input.Close() })
		if lock.Locked() {
			t.Error("somebody kept the lock")
		}
	})
}

// manyWaitAndHalfGiveUp lets 10,000 goroutines wait, cancels half of them, and lets the others go. It fails when that takes
// many threads, or when a wake-up gets lost with a waiter that was cancelled.
func manyWaitAndHalfGiveUp(t *testing.T, cancelled shmkit.ErrorKind, wait func(ctx context.Context) error, letGo func()) {
	t.Helper()
	const waiters = 10_000
	before := threads()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	patient, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var entered, gaveUp atomic.Int64
	var all sync.WaitGroup
	for i := range waiters {
		all.Add(1)
		go func() {
			defer all.Done()
			entered.Add(1)
			if i%2 != 0 {
				if err := wait(patient); err != nil {
					t.Error(err)
				}
			} else if err := wait(ctx); errors.Is(err, cancelled) {
				gaveUp.Add(1)
			} else {
				t.Errorf("got %v instead of a cancellation", err)
			}
		}()
	}
	eventually(t, "all wait", func() bool { return entered.Load() == waiters })
	time.Sleep(50 * time.Millisecond)
	cancel()
	eventually(t, "the cancelled give up", func() bool { return gaveUp.Load() == waiters/2 })
	letGo()
	all.Wait()
	if started := threads() - before; started > 20 {
		t.Errorf("%d threads for %d waiting goroutines", started, waiters)
	}
}

func TestANameIsOfOneKind(t *testing.T) {
	region := newRegion(t, 64)
	opened[*shmkit.Mutex](t)(region.Mutex("taken"))
	_, err := region.RwLock("taken")
	expect(t, err, shmkit.ErrWrongKind)
	_, err = region.Mutex("not\x00a name")
	expect(t, err, shmkit.ErrInvalidName)
	_, err = region.Mutex("not/a name")
	expect(t, err, shmkit.ErrInvalidName)
	_, err = openAgain(t, region, shmkit.ReadOnly()).Mutex("taken")
	expect(t, err, shmkit.ErrReadOnly)
	bare := newRegion(t, 64, shmkit.WithArenaLen(0))
	_, err = bare.Mutex("nowhere")
	expect(t, err, shmkit.ErrNoSpace)
	expect(t, region.RemoveObject("nothing"), shmkit.ErrNotFound)
	expect(t, region.RemoveObject("no\x00thing"), shmkit.ErrInvalidName)
}

func TestARemovedObjectIsMadeAnew(t *testing.T) {
	region := newRegion(t, 64)
	mutex, err := region.Mutex("name")
	succeed(t, err)
	succeed(t, mutex.Close())
	succeed(t, region.RemoveObject("name"))
	expect(t, region.RemoveObject("name"), shmkit.ErrNotFound)
}
