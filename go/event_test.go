package shmkit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// answerEvents is a child that sets "pong" whenever "ping" is set, until it is killed.
func answerEvents(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	ping, err := region.Event("ping", shmkit.AutomaticReset)
	if err != nil {
		return err
	}
	pong, err := region.Event("pong", shmkit.AutomaticReset)
	for err == nil {
		if err = ping.Wait(context.Background()); err == nil {
			err = pong.Set()
		}
	}
	return err
}

func TestAManualEventLetsPassUntilReset(t *testing.T) {
	region := newRegion(t, 64)
	event := opened[*shmkit.Event](t)(region.Event("event", shmkit.ManualReset))
	again := opened[*shmkit.Event](t)(openAgain(t, region).Event("event", shmkit.ManualReset))
	expect(t, event.Wait(soon(t, 10*time.Millisecond)), shmkit.ErrTimeout)
	if passed, err := event.TryWait(); passed || err != nil || event.IsSet() {
		t.Fatal(passed, err)
	}
	const waiters = 5
	passed := make(chan error, waiters)
	for range waiters {
		go func() { passed <- event.Wait(context.Background()) }()
	}
	time.Sleep(10 * time.Millisecond)
	succeed(t, again.Set())
	succeed(t, again.Set())
	for range waiters {
		succeed(t, <-passed)
	}
	for range 2 {
		succeed(t, event.Wait(t.Context()))
		if passed, err := event.TryWait(); !passed || err != nil || !event.IsSet() {
			t.Fatal(passed, err)
		}
	}
	succeed(t, event.Reset())
	if again.IsSet() {
		t.Error("still set")
	}
	succeed(t, event.Set()) // nobody waits: without a call
	if !again.IsSet() {
		t.Error("not set")
	}
	if event.Name() != "event" || event.String() != `shmkit.Event("event")` {
		t.Error(event)
	}
}

// A pulse is over before most waiters look: they must pass all the same.
func TestAPulseLetsAllPassWhoWaited(t *testing.T) {
	event := opened[*shmkit.Event](t)(newRegion(t, 64).Event("event", shmkit.ManualReset))
	for range 20 {
		const waiters = 20
		passed, entered := make(chan error, waiters), make(chan struct{}, waiters)
		for range waiters {
			go func() {
				entered <- struct{}{}
				passed <- event.Wait(context.Background())
			}()
		}
		for range waiters {
			<-entered
		}
		time.Sleep(2 * time.Millisecond)
		succeed(t, event.Set())
		succeed(t, event.Reset())
		left := waiters
		for deadline := time.After(10 * time.Second); left > 0; left-- {
			select {
			case err := <-passed:
				succeed(t, err)
			case <-deadline:
				t.Fatalf("%d still wait", left)
			}
		}
	}
}

func TestAnAutomaticEventLetsOnePass(t *testing.T) {
	event := opened[*shmkit.Event](t)(newRegion(t, 64).Event("event", shmkit.AutomaticReset))
	succeed(t, event.Set())
	succeed(t, event.Wait(t.Context()))
	expect(t, event.Wait(soon(t, 10*time.Millisecond)), shmkit.ErrTimeout)
	const waiters = 10
	passed := make(chan error, waiters)
	for range waiters {
		go func() { passed <- event.Wait(context.Background()) }()
	}
	for range waiters {
		succeed(t, event.Set())
		succeed(t, <-passed)
		select {
		case <-passed:
			t.Fatal("one flag let two pass")
		case <-time.After(time.Millisecond):
		}
	}
	if event.IsSet() {
		t.Error("the flag is still there")
	}
}

func TestEventsCrossProcesses(t *testing.T) {
	region := newRegion(t, 64)
	ping := opened[*shmkit.Event](t)(region.Event("ping", shmkit.AutomaticReset))
	pong := opened[*shmkit.Event](t)(region.Event("pong", shmkit.AutomaticReset))
	other := startChild(t, "answerEvents", region.Name())
	for range 100 {
		succeed(t, ping.Set())
		succeed(t, pong.Wait(soon(t, 20*time.Second)))
	}
	other.kill()
	expect(t, region.RemoveObject("ping"), shmkit.ErrBusy)
}

func TestAnEventIsOpenedAsItWasCreated(t *testing.T) {
	region := newRegion(t, 64)
	event := opened[*shmkit.Event](t)(region.Event("event", shmkit.ManualReset))
	_, err := region.Event("event", shmkit.AutomaticReset)
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = region.Event("other", 7)
	expect(t, err, shmkit.ErrInvalidArgument)
	_, err = region.Mutex("event")
	expect(t, err, shmkit.ErrWrongKind)

	waiting := make(chan error)
	go func() { waiting <- event.Wait(context.Background()) }()
	time.Sleep(10 * time.Millisecond)
	succeed(t, event.Close())
	expect(t, <-waiting, shmkit.ErrClosed)
	expect(t, event.Wait(t.Context()), shmkit.ErrClosed)
	_, err = event.TryWait()
	expect(t, err, shmkit.ErrClosed)
	expect(t, event.Set(), shmkit.ErrClosed)
	expect(t, event.Reset(), shmkit.ErrClosed)
	if !event.Closed() {
		t.Error("not closed")
	}
}

func TestManyWhoWaitForAnEventNeedFewThreads(t *testing.T) {
	for _, reset := range []shmkit.EventReset{shmkit.ManualReset, shmkit.AutomaticReset} {
		t.Run(fmt.Sprint(reset), func(t *testing.T) {
			event := opened[*shmkit.Event](t)(newRegion(t, 64).Event("event", reset))
			manyWaitAndHalfGiveUp(t, shmkit.ErrInterrupted, func(ctx context.Context) error {
				err := event.Wait(ctx)
				if err == nil && reset == shmkit.AutomaticReset {
					err = event.Set() // hands it on
				}
				return err
			}, func() { succeed(t, event.Set()) })
		})
	}
}

// What is written before a set is seen after the wait; the race detector watches.
func TestAnEventOrdersGoroutines(t *testing.T) {
	region := newRegion(t, 64)
	here := opened[*shmkit.Event](t)(region.Event("here", shmkit.AutomaticReset))
	there := opened[*shmkit.Event](t)(region.Event("there", shmkit.AutomaticReset))
	turns := 0
	done := make(chan error)
	go func() {
		for range 100 {
			if err := here.Wait(context.Background()); err != nil {
				done <- err
				return
			}
			turns++
			if err := there.Set(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 100 {
		turns++
		succeed(t, here.Set())
		succeed(t, there.Wait(t.Context()))
	}
	succeed(t, <-done)
	if turns != 200 {
		t.Error(turns)
	}
}
