package shmkit_test

import (
	"context"
	"io"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// Nothing that is waited for comes, and no context ends: only the end of the handle does. Another handle holds what is to be
// held, so that this one can be closed.
func TestCloseEndsEveryWait(t *testing.T) {
	region := newRegion(t, 64, shmkit.WithArenaLen(1<<20))
	other := openAgain(t, region)
	ctx := t.Context()

	mutex, held := twice(t, region, other, func(r *shmkit.Region) (*shmkit.Mutex, error) { return r.Mutex("m") })
	succeed(t, held.Lock(ctx))
	rwlock, written := twice(t, region, other, func(r *shmkit.Region) (*shmkit.RwLock, error) { return r.RwLock("l") })
	succeed(t, written.Lock(ctx))
	reading := opened[*shmkit.RwLock](t)(region.RwLock("l"))
	semaphore := opened[*shmkit.Semaphore](t)(region.Semaphore("s", 0))
	tracked, taken := twice(t, region, other, func(r *shmkit.Region) (*shmkit.Semaphore, error) {
		return r.Semaphore("t", 1, shmkit.Tracked())
	})
	succeed(t, taken.Acquire(ctx))
	manual := opened[*shmkit.Event](t)(region.Event("manual", shmkit.ManualReset))
	automatic := opened[*shmkit.Event](t)(region.Event("automatic", shmkit.AutomaticReset))
	number := opened[*shmkit.Atomic[uint64]](t)(region.AtomicU64("n", 5))
	barrier := opened[*shmkit.Barrier](t)(region.Barrier("b", 3))
	pool, used := twice(t, region, other, func(r *shmkit.Region) (*shmkit.Pool, error) { return r.Pool("p", 64, 1) })
	block, err := used.Allocate(ctx)
	succeed(t, err)

	for _, waiting := range []struct {
		what   string
		handle io.Closer
		wait   func(context.Context) error
	}{
		{"mutex", mutex, mutex.Lock},
		{"rwlock, to write", rwlock, rwlock.Lock},
		{"rwlock, to read", reading, reading.RLock},
		{"semaphore", semaphore, semaphore.Acquire},
		{"tracked semaphore", tracked, tracked.Acquire},
		{"manual event", manual, manual.Wait},
		{"automatic event", automatic, automatic.Wait},
		{"atomic", number, func(ctx context.Context) error { return number.Wait(ctx, 5) }},
		{"barrier", barrier, func(ctx context.Context) error { _, err := barrier.Wait(ctx); return err }},
		{"pool", pool, func(ctx context.Context) error { _, err := pool.Allocate(ctx); return err }},
	} {
		const waiters = 2 // one in front, one behind
		ended := make(chan error, waiters)
		for range waiters {
			go func() { ended <- waiting.wait(context.Background()) }()
		}
		time.Sleep(20 * time.Millisecond) // most sleep by now; the others find it closed
		succeed(t, waiting.handle.Close())
		for range waiters {
			select {
			case err := <-ended:
				expect(t, err, shmkit.ErrClosed)
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: nobody woke up", waiting.what)
			}
		}
	}
	succeed(t, block.Free())
	succeed(t, held.Unlock())
	succeed(t, written.Unlock())
	succeed(t, taken.Release(1))
}

// twice opens an object through two handles.
func twice[T io.Closer](t *testing.T, one, other *shmkit.Region, open func(*shmkit.Region) (T, error)) (T, T) {
	t.Helper()
	return opened[T](t)(open(one)), opened[T](t)(open(other))
}
