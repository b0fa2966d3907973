package shmkit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// arrive is a child that waits at the barrier of two, again and again, until it is killed.
func arrive(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	barrier, err := region.Barrier("barrier", 2)
	if err != nil {
		return err
	}
	fmt.Println("open")
	for err == nil {
		_, err = barrier.Wait(context.Background())
	}
	return err
}

func TestABarrierLetsAllPassTogether(t *testing.T) {
	region := newRegion(t, 64)
	const parties, rounds = 4, 50
	leaders := make([]int, parties)
	written := make([]int, parties) // the race detector watches: each writes its own, and reads all after
	var all sync.WaitGroup
	for i := range parties {
		barrier := opened[*shmkit.Barrier](t)(region.Barrier("barrier", parties))
		all.Add(1)
		go func() {
			defer all.Done()
			pass := func(ctx context.Context) bool {
				leader, err := barrier.Wait(ctx)
				if err != nil {
					t.Error(err)
				} else if leader {
					leaders[i]++
				}
				return err == nil
			}
			for round := range rounds {
				written[i] = round
				// A context that never ends takes no lock, which the detector would see.
				if !pass(context.Background()) {
					return
				}
				for _, number := range written {
					if number != round {
						t.Errorf("somebody is in round %d, not %d", number, round)
					}
				}
				// Behind this one the others write again. Its context may end: the wait is cut into slices.
				if !pass(t.Context()) {
					return
				}
			}
		}()
	}
	all.Wait()
	sum := 0
	for _, led := range leaders {
		sum += led
	}
	if sum != 2*rounds {
		t.Errorf("%d leaders of %d rounds", sum, 2*rounds)
	}
}

func TestAnArrivalIsTakenBack(t *testing.T) {
	region := newRegion(t, 64)
	barrier := opened[*shmkit.Barrier](t)(region.Barrier("barrier", 2))
	if barrier.Parties() != 2 || barrier.Waiting() != 0 || barrier.Broken() {
		t.Error(barrier.Parties(), barrier.Waiting(), barrier.Broken())
	}
	_, err := barrier.Wait(soon(t, 40*time.Millisecond))
	expect(t, err, shmkit.ErrTimeout)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = barrier.Wait(ctx)
	expect(t, err, shmkit.ErrInterrupted)
	if barrier.Waiting() != 0 || barrier.Broken() {
		t.Errorf("%d wait", barrier.Waiting())
	}
}

func TestAKilledParticipantBreaksTheBarrier(t *testing.T) {
	region := newRegion(t, 64)
	barrier := opened[*shmkit.Barrier](t)(region.Barrier("barrier", 2))
	other := startChild(t, "arrive", region.Name())
	other.line(t)
	for range 20 {
		_, err := barrier.Wait(soon(t, 20*time.Second))
		succeed(t, err)
	}
	other.kill()
	eventually(t, "the death is noticed", func() bool {
		_, err := barrier.Wait(soon(t, 20*time.Second))
		return err != nil
	})
	_, err := barrier.Wait(t.Context())
	expect(t, err, shmkit.ErrBroken)
	if !barrier.Broken() {
		t.Error("not broken")
	}
	succeed(t, barrier.Reset())
	if barrier.Broken() {
		t.Error("still broken")
	}
}

func TestAnAbortedBarrierIsToldToAll(t *testing.T) {
	region := newRegion(t, 64)
	barrier := opened[*shmkit.Barrier](t)(region.Barrier("barrier", 3))
	waited := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := barrier.Wait(context.Background())
			waited <- err
		}()
	}
	eventually(t, "two wait", func() bool { return barrier.Waiting() == 2 })
	succeed(t, barrier.Abort())
	for range 2 {
		expect(t, <-waited, shmkit.ErrBroken)
	}
	succeed(t, barrier.Reset())

	_, err := region.Barrier("barrier", 4)
	expect(t, err, shmkit.ErrParameterMismatch)
	for _, parties := range []int{0, -1, 1 << 40} {
		_, err = region.Barrier("other", parties)
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	_, err = region.Mutex("barrier")
	expect(t, err, shmkit.ErrWrongKind)
	if barrier.Name() != "barrier" || barrier.String() != `shmkit.Barrier("barrier")` {
		t.Error(barrier)
	}
	succeed(t, barrier.Close())
	_, err = barrier.Wait(t.Context())
	expect(t, err, shmkit.ErrClosed)
	expect(t, barrier.Abort(), shmkit.ErrClosed)
	expect(t, barrier.Reset(), shmkit.ErrClosed)
	if !barrier.Closed() {
		t.Error("not closed")
	}
}
