package shmkit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// holdPermit is a child that takes a permit of the tracked semaphore "permits", which has one, and keeps it until it is
// killed.
func holdPermit(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	permits, err := region.Semaphore("permits", 1, shmkit.Tracked())
	if err != nil {
		return err
	}
	if err := permits.Acquire(context.Background()); err != nil {
		return err
	}
	fmt.Println("held")
	waitForInput()
	return permits.Release(1)
}

// semaphores opens a semaphore of each kind with so many permits.
var semaphores = map[string]func(region *shmkit.Region, permits int) (*shmkit.Semaphore, error){
	"signalling": func(r *shmkit.Region, permits int) (*shmkit.Semaphore, error) {
		return r.Semaphore("permits", permits, shmkit.WithMax(permits))
	},
	"tracked": func(r *shmkit.Region, permits int) (*shmkit.Semaphore, error) {
		return r.Semaphore("permits", permits, shmkit.Tracked())
	},
}

func TestPermitsAreTakenAndGiven(t *testing.T) {
	for kind, open := range semaphores {
		t.Run(kind, func(t *testing.T) {
			region := newRegion(t, 64)
			permits := opened[*shmkit.Semaphore](t)(open(region, 2))
			again := opened[*shmkit.Semaphore](t)(open(openAgain(t, region), 2))
			succeed(t, permits.Acquire(t.Context()))
			if taken, err := again.TryAcquire(); !taken || err != nil {
				t.Fatal(taken, err)
			}
			if taken, err := again.TryAcquire(); taken || err != nil || permits.Available() != 0 {
				t.Fatalf("a third of two: %v, %v, %d left", taken, err, permits.Available())
			}
			expect(t, permits.Acquire(soon(t, 10*time.Millisecond)), shmkit.ErrTimeout)
			acquired := make(chan error)
			go func() { acquired <- permits.Acquire(context.Background()) }()
			time.Sleep(5 * time.Millisecond)
			succeed(t, again.Release(1))
			succeed(t, <-acquired)
			succeed(t, permits.Release(2))
			if permits.Available() != 2 {
				t.Errorf("%d permits", permits.Available())
			}
			tooMany := shmkit.ErrLimitExceeded
			if kind == "tracked" {
				tooMany = shmkit.ErrNotOwner
			}
			expect(t, permits.Release(1), tooMany)
			expect(t, permits.Release(-1), tooMany)
			if permits.Name() != "permits" || permits.String() != `shmkit.Semaphore("permits")` {
				t.Error(permits)
			}
		})
	}
}

func TestASemaphoreIsOpenedAsItWasCreated(t *testing.T) {
	region := newRegion(t, 64)
	opened[*shmkit.Semaphore](t)(region.Semaphore("permits", 2, shmkit.WithMax(5)))
	_, err := region.Semaphore("permits", 3, shmkit.WithMax(5))
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = region.Semaphore("permits", 2)
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = region.Semaphore("permits", 2, shmkit.Tracked())
	expect(t, err, shmkit.ErrWrongKind)
	for _, initial := range []int{-1, 1 << 31, 6, 1 << 40} {
		_, err = region.Semaphore("other", initial, shmkit.WithMax(5))
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	_, err = region.Semaphore("other", 0, shmkit.Tracked())
	expect(t, err, shmkit.ErrInvalidArgument)
}

func TestTrackedPermitsComeBackFromTheDead(t *testing.T) {
	region := newRegion(t, 64)
	permits := opened[*shmkit.Semaphore](t)(semaphores["tracked"](region, 1))
	holder := startChild(t, "holdPermit", region.Name())
	holder.line(t)
	if taken, err := permits.TryAcquire(); taken || err != nil {
		t.Fatal(taken, err)
	}
	acquired := make(chan error)
	go func() { acquired <- permits.Acquire(t.Context()) }()
	time.Sleep(10 * time.Millisecond)
	holder.kill()
	succeed(t, <-acquired)
	expect(t, region.RemoveObject("permits"), shmkit.ErrBusy)
	succeed(t, region.Close())
	expect(t, permits.Close(), shmkit.ErrBusy)
	succeed(t, permits.Release(1))
	succeed(t, permits.Close())
}

func TestAClosedSemaphoreIsRefused(t *testing.T) {
	for kind, open := range semaphores {
		t.Run(kind, func(t *testing.T) {
			permits, err := open(newRegion(t, 64), 1)
			succeed(t, err)
			succeed(t, permits.Close())
			succeed(t, permits.Close())
			if !permits.Closed() {
				t.Error("not closed")
			}
			expect(t, permits.Acquire(t.Context()), shmkit.ErrClosed)
			_, err = permits.TryAcquire()
			expect(t, err, shmkit.ErrClosed)
			expect(t, permits.Release(1), shmkit.ErrClosed)
		})
	}
}

func TestPermitsExclude(t *testing.T) {
	for kind, open := range semaphores {
		t.Run(kind, func(t *testing.T) {
			region := newRegion(t, 64)
			var all sync.WaitGroup
			counted := 0 // on the Go heap: the race detector watches it
			for range 8 {
				permits := opened[*shmkit.Semaphore](t)(open(region, 1))
				all.Add(1)
				go func() {
					defer all.Done()
					for range 200 {
						if err := permits.Acquire(context.Background()); err != nil {
							t.Error(err)
							return
						}
						counted++
						if err := permits.Release(1); err != nil {
							t.Error(err)
						}
					}
				}()
			}
			all.Wait()
			if counted != 8*200 {
				t.Errorf("%d, want %d", counted, 8*200)
			}
		})
	}
}

func TestManyWhoWaitForAPermitNeedFewThreads(t *testing.T) {
	for kind, open := range semaphores {
		t.Run(kind, func(t *testing.T) {
			permits := opened[*shmkit.Semaphore](t)(open(newRegion(t, 64), 1))
			succeed(t, permits.Acquire(t.Context()))
			manyWaitAndHalfGiveUp(t, shmkit.ErrInterrupted, func(ctx context.Context) error {
				if err := permits.Acquire(ctx); err != nil {
					return err
				}
				return permits.Release(1)
			}, func() { succeed(t, permits.Release(1)) })
			if permits.Available() != 1 {
				t.Errorf("%d permits, want 1", permits.Available())
			}
		})
	}
}
