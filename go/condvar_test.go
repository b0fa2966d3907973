package shmkit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// A turn is a number in a region, with what guards it and what tells of its change.
type turn struct {
	region *shmkit.Region
	mutex  *shmkit.Mutex
	change *shmkit.Condvar
}

func openTurn(region *shmkit.Region) (*turn, error) {
	mutex, err := region.Mutex("mutex")
	if err != nil {
		return nil, err
	}
	change, err := region.Condvar("change")
	return &turn{region, mutex, change}, err
}

func (s *turn) get() byte {
	var b [1]byte
	if err := s.region.ReadFullAt(b[:], 0); err != nil {
		panic(err)
	}
	return b[0]
}

// await waits until the number is this one, and makes it the next one.
func (s *turn) await(ctx context.Context, number, next byte) error {
	if err := s.mutex.Lock(ctx); err != nil {
		return err
	}
	for s.get() != number {
		if err := s.change.Wait(ctx, s.mutex); err != nil {
			return errors.Join(err, s.mutex.Unlock())
		}
	}
	if _, err := s.region.WriteAt([]byte{next}, 0); err != nil {
		return err
	}
	return errors.Join(s.change.NotifyAll(), s.mutex.Unlock())
}

// answerTurns is a child that makes 1 a 0 until it is killed.
func answerTurns(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	s, err := openTurn(region)
	for err == nil {
		err = s.await(context.Background(), 1, 0)
	}
	return err
}

// holdMutex is a child that takes the mutex, says so, and keeps it until it is killed.
func holdMutex(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	mutex, err := region.Mutex("mutex")
	if err != nil {
		return err
	}
	if err := mutex.Lock(context.Background()); err != nil {
		return err
	}
	fmt.Println("held")
	waitForInput()
	return mutex.Unlock()
}

func newTurn(t testing.TB) *turn {
	s, err := openTurn(newRegion(t, 64))
	succeed(t, err)
	t.Cleanup(func() { succeed(t, errors.Join(s.mutex.Close(), s.change.Close())) })
	return s
}

func TestTurnsAreTakenAcrossProcesses(t *testing.T) {
	s := newTurn(t)
	other := startChild(t, "answerTurns", s.region.Name())
	for range 100 {
		succeed(t, s.await(soon(t, 20*time.Second), 0, 1))
	}
	succeed(t, s.await(soon(t, 20*time.Second), 0, 0))
	other.kill()
	if s.mutex.Locked() {
		t.Error("somebody kept the mutex")
	}
}

func TestACondvarWaitsWithTheMutexOnly(t *testing.T) {
	s := newTurn(t)
	expect(t, s.change.Wait(t.Context(), s.mutex), shmkit.ErrNotOwner)
	succeed(t, s.mutex.Lock(t.Context()))
	err := s.change.Wait(soon(t, 10*time.Millisecond), s.mutex)
	expect(t, err, shmkit.ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) || !s.mutex.Locked() {
		t.Errorf("%v; locked: %v", err, s.mutex.Locked())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	expect(t, s.change.Wait(ctx, s.mutex), shmkit.ErrInterrupted)

	elsewhere := newRegion(t, 64)
	foreign := opened[*shmkit.Mutex](t)(elsewhere.Mutex("mutex"))
	succeed(t, foreign.Lock(t.Context()))
	expect(t, s.change.Wait(t.Context(), foreign), shmkit.ErrInvalidArgument)
	succeed(t, foreign.Unlock())

	succeed(t, s.change.Close())
	expect(t, s.change.Wait(t.Context(), s.mutex), shmkit.ErrClosed)
	expect(t, s.change.NotifyOne(), shmkit.ErrClosed)
	expect(t, s.change.NotifyAll(), shmkit.ErrClosed)
	if !s.change.Closed() || s.change.Name() != "change" || s.change.String() != `shmkit.Condvar("change")` {
		t.Error(s.change)
	}
	succeed(t, s.mutex.Unlock())
	_, err = s.region.Condvar("mutex")
	expect(t, err, shmkit.ErrWrongKind)
}

func TestCloseEndsTheWaitOfACondvar(t *testing.T) {
	s := newTurn(t)
	succeed(t, s.mutex.Lock(t.Context()))
	time.AfterFunc(10*time.Millisecond, func() { s.change.Close() })
	expect(t, s.change.Wait(context.Background(), s.mutex), shmkit.ErrClosed)
	succeed(t, s.mutex.Unlock()) // held again
}

// The mutex tells of a death when the wait takes it again, and the wait tells both.
func TestAWaiterHearsOfADeadOwner(t *testing.T) {
	for _, notify := range []bool{true, false} {
		s := newTurn(t)
		succeed(t, s.mutex.Lock(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error)
		go func() { waited <- s.change.Wait(ctx, s.mutex) }()
		holder := startChild(t, "holdMutex", s.region.Name())
		holder.line(t)
		if notify {
			succeed(t, s.change.NotifyOne())
		}
		cancelled := time.AfterFunc(10*time.Millisecond, cancel)
		time.Sleep(40 * time.Millisecond)
		holder.kill()
		err := <-waited
		cancelled.Stop()
		expect(t, err, shmkit.ErrOwnerDied)
		if notified := !errors.Is(err, shmkit.ErrInterrupted); notified != notify {
			t.Errorf("notified: %v instead of %v", notified, notify)
		}
		succeed(t, s.mutex.MakeConsistent())
		succeed(t, s.mutex.Unlock())
		cancel()
	}
}

// An owner may die between a change and the notification of it: who waits must not wait for ever.
func TestADeathEndsTheWaitOfACondvar(t *testing.T) {
	s := newTurn(t)
	const waiters = 5
	waited := make(chan error)
	for range waiters {
		go func() {
			err := s.mutex.Lock(context.Background())
			if err == nil {
				err = s.change.Wait(context.Background(), s.mutex)
			}
			waited <- errors.Join(err, s.mutex.Unlock())
		}()
	}
	time.Sleep(10 * time.Millisecond)
	holder := startChild(t, "holdMutex", s.region.Name())
	holder.line(t)
	holder.kill()
	for range waiters {
		select {
		case err := <-waited:
			if !errors.Is(err, shmkit.ErrOwnerDied) {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("somebody still waits")
		}
	}
}

// Each notification wakes somebody: as many as there are items get one, whoever is notified.
func TestNotifyOneLosesNobody(t *testing.T) {
	s := newTurn(t)
	const consumers, items = 20, 100
	var left atomic.Int64
	left.Store(items)
	ready := 0 // guarded by the mutex; the race detector watches it
	var all sync.WaitGroup
	for range consumers {
		all.Add(1)
		go func() {
			defer all.Done()
			for range items / consumers {
				if err := s.mutex.Lock(context.Background()); err != nil {
					t.Error(err)
					return
				}
				for ready == 0 {
					if err := s.change.Wait(context.Background(), s.mutex); err != nil {
						t.Error(err)
						return
					}
				}
				ready--
				left.Add(-1)
				if err := s.mutex.Unlock(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range items {
		succeed(t, s.mutex.Lock(t.Context()))
		ready++
		succeed(t, s.change.NotifyOne())
		succeed(t, s.mutex.Unlock())
	}
	eventually(t, "all items are taken", func() bool { return left.Load() == 0 })
	all.Wait()
}

func TestManyWhoWaitOnACondvarNeedFewThreads(t *testing.T) {
	s := newTurn(t)
	open := false // guarded by the mutex
	manyWaitAndHalfGiveUp(t, shmkit.ErrInterrupted, func(ctx context.Context) (err error) {
		if err := s.mutex.Lock(context.Background()); err != nil {
			return err
		}
		for !open && err == nil {
			err = s.change.Wait(ctx, s.mutex)
		}
		return errors.Join(err, s.mutex.Unlock())
	}, func() {
		succeed(t, s.mutex.Lock(t.Context()))
		open = true
		succeed(t, s.mutex.Unlock())
		succeed(t, s.change.NotifyAll())
	})
}

func TestANotificationOrdersWhatCameBeforeIt(t *testing.T) {
	s := newTurn(t)
	written := 0 // the race detector watches: only the notification orders the two
	succeed(t, s.mutex.Lock(t.Context()))
	read := make(chan int, 1)
	go func() {
		err := s.change.Wait(context.Background(), s.mutex)
		number := written
		if err != nil || s.mutex.Unlock() != nil {
			number = -1
		}
		read <- number
	}()
	succeed(t, s.mutex.Lock(t.Context())) // free when the other waits
	succeed(t, s.mutex.Unlock())
	written = 1
	succeed(t, s.change.NotifyOne())
	if number := <-read; number != 1 {
		t.Error(number)
	}
}
