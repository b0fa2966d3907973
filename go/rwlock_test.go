package shmkit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// holdReadLock is a child that takes the lock "lock" of a region for reading and keeps it until it is killed or its input
// ends.
func holdReadLock(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	lock, err := region.RwLock("lock")
	if err != nil {
		return err
	}
	if err := lock.RLock(context.Background()); err != nil {
		return err
	}
	fmt.Println("held")
	waitForInput()
	return errors.Join(lock.RUnlock(), lock.Close(), region.Close())
}

func TestReadersShareAndWritersDoNot(t *testing.T) {
	region := newRegion(t, 64)
	lock := opened[*shmkit.RwLock](t)(region.RwLock("lock"))
	again := opened[*shmkit.RwLock](t)(openAgain(t, region).RwLock("lock"))
	expect(t, lock.RUnlock(), shmkit.ErrNotOwner)
	succeed(t, lock.RLock(t.Context()))
	if held, err := again.TryRLock(); !held || err != nil {
		t.Fatal(held, err)
	}
	if lock.Readers() != 2 || lock.Locked() {
		t.Errorf("%d readers, %v", lock.Readers(), lock.Locked())
	}
	if held, err := lock.TryLock(); held || err != nil {
		t.Fatalf("written while it is read: %v, %v", held, err)
	}
	expect(t, lock.Lock(soon(t, 10*time.Millisecond)), shmkit.ErrTimeout)
	succeed(t, lock.RUnlock())
	written := make(chan error)
	go func() { written <- lock.Lock(context.Background()) }()
	eventually(t, "the writer waits", func() bool {
		held, err := again.TryRLock()
		succeed(t, err)
		if held {
			succeed(t, again.RUnlock())
		}
		return !held // new readers wait behind it
	})
	succeed(t, again.RUnlock())
	succeed(t, <-written)
	if !lock.Locked() || lock.Readers() != 0 {
		t.Errorf("%v, %d readers", lock.Locked(), lock.Readers())
	}
	expect(t, lock.RLock(soon(t, 10*time.Millisecond)), shmkit.ErrTimeout)
	expect(t, lock.RUnlock(), shmkit.ErrNotOwner)
	succeed(t, lock.Unlock())
	succeed(t, lock.RLock(t.Context()))
	expect(t, lock.Unlock(), shmkit.ErrNotOwner)
	succeed(t, lock.RUnlock())
}

func TestAKilledReaderIsForgotten(t *testing.T) {
	region := newRegion(t, 64)
	lock := opened[*shmkit.RwLock](t)(region.RwLock("lock"))
	reader := startChild(t, "holdReadLock", region.Name())
	reader.line(t)
	if held, err := lock.TryLock(); held || err != nil {
		t.Fatalf("taken from a living reader: %v, %v", held, err)
	}
	waited := make(chan error)
	go func() { waited <- lock.Lock(t.Context()) }()
	time.Sleep(20 * time.Millisecond)
	reader.kill()
	succeed(t, <-waited)
	succeed(t, lock.Unlock())
}

func TestAReaderHearsOfAKilledWriter(t *testing.T) {
	region := newRegion(t, 64)
	lock := opened[*shmkit.RwLock](t)(region.RwLock("lock"))
	writer := startChild(t, "holdLock", "RwLock "+region.Name())
	writer.line(t)
	writer.kill()
	expect(t, lock.RLock(t.Context()), shmkit.ErrOwnerDied)
	held, err := lock.TryRLock()
	if !held || lock.Readers() != 2 {
		t.Error("reported, but not held")
	}
	expect(t, err, shmkit.ErrOwnerDied)
	expect(t, lock.MakeConsistent(), shmkit.ErrNotOwner)
	succeed(t, lock.RUnlock())
	succeed(t, lock.RUnlock())
	expect(t, lock.Lock(t.Context()), shmkit.ErrOwnerDied)
	succeed(t, lock.MakeConsistent())
	succeed(t, lock.Unlock())
	succeed(t, lock.RLock(t.Context()))
	succeed(t, lock.RUnlock())
}

func TestManyReadersNeedFewThreads(t *testing.T) {
	region := newRegion(t, 64)
	lock := opened[*shmkit.RwLock](t)(region.RwLock("lock"))
	writer := startChild(t, "holdLock", "RwLock "+region.Name())
	writer.line(t)
	manyWaitAndHalfGiveUp(t, shmkit.ErrInterrupted, func(ctx context.Context) error {
		if err := lock.RLock(ctx); err != nil {
			return err
		}
		return lock.RUnlock()
	}, func() { writer.input.Close() })
	if lock.Readers() != 0 {
		t.Errorf("%d readers stayed", lock.Readers())
	}
}

// The race detector watches what is counted here, so it must see the edges between readers and writers.
func TestReadersSeeWhatWritersWrote(t *testing.T) {
	region := newRegion(t, 64)
	var first, second int
	var all sync.WaitGroup
	for i := range 8 {
		lock := opened[*shmkit.RwLock](t)(region.RwLock("lock"))
		all.Add(1)
		go func() {
			defer all.Done()
			for range 200 {
				var err error
				if i%4 == 0 {
					err = lock.Lock(context.Background())
					first++
					second++
					err = errors.Join(err, lock.Unlock())
				} else {
					err = lock.RLock(context.Background())
					if first != second {
						t.Errorf("%d and %d", first, second)
					}
					err = errors.Join(err, lock.RUnlock())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	all.Wait()
	if first != 400 {
		t.Errorf("%d writes, want 400", first)
	}
}

func TestACloseOfAnRwLockIsRefusedWhileItIsRead(t *testing.T) {
	region := newRegion(t, 64)
	lock := opened[*shmkit.RwLock](t)(region.RwLock("lock"))
	succeed(t, lock.RLock(t.Context()))
	expect(t, lock.Close(), shmkit.ErrBusy)
	succeed(t, lock.RUnlock())
	succeed(t, lock.Close())
	expect(t, lock.RLock(t.Context()), shmkit.ErrClosed)
	_, err := lock.TryRLock()
	expect(t, err, shmkit.ErrClosed)
	expect(t, lock.RUnlock(), shmkit.ErrClosed)
	if lock.Readers() != 0 || !strings.Contains(lock.String(), "RwLock") {
		t.Error("somebody reads a closed lock")
	}
}
