package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// runNamed does what a command on locks or named objects says.
func (r *runner) runNamed(c command) (string, error) {
	switch c.op {
	case "mutex_open", "rwlock_open", "semaphore_open", "condvar_open", "event_open", "barrier_open", "atomic_open",
		"heap_open", "pool_open", "value_open":
		return "", r.openNamed(c)
	case "object_remove", "object_find", "object_list", "region_mode":
		return r.runDirectory(c)
	}
	ctx, cancel, err := c.context()
	if err != nil {
		return "", err
	}
	defer cancel()
	switch o := r.objects[c.arguments["h"]].(type) {
	case *shmkit.Region:
		return runGuard(ctx, o, c)
	case *shmkit.Mutex:
		return runGuard(ctx, o, c)
	case *shmkit.RwLock:
		return runRwLock(ctx, o, c)
	case *shmkit.Semaphore:
		return runSemaphore(ctx, o, c)
	case *shmkit.Condvar:
		return r.runCondvar(ctx, o, c)
	case *shmkit.Event:
		return runEvent(ctx, o, c)
	case *shmkit.Barrier:
		return runBarrier(ctx, o, c)
	case *shmkit.Heap:
		return runHeap(o, c)
	case *pool:
		return r.runPool(ctx, o, c)
	case anyValue:
		return o.runValue(c)
	case *shmkit.Atomic[uint32]:
		return runAtomic(ctx, o, c)
	case *shmkit.Atomic[uint64]:
		return runAtomic(ctx, o, c)
	case *shmkit.Atomic[int64]:
		return runAtomic(ctx, o, c)
	}
	return "", fmt.Errorf("%s: %q is no such handle", c.op, c.arguments["h"])
}

// openNamed keeps the object that a command opens under the name that it gives.
func (r *runner) openNamed(c command) error {
	region, err := find[*shmkit.Region](r, c)
	if err != nil {
		return err
	}
	handle, err := c.text("o")
	if err != nil {
		return err
	}
	o, err := openNamed(region, c.arguments["name"], c)
	if err == nil {
		r.objects[handle] = o
	}
	return err
}

func openNamed(region *shmkit.Region, name string, c command) (object, error) {
	switch c.op {
	case "mutex_open":
		return region.Mutex(name)
	case "rwlock_open":
		return region.RwLock(name)
	case "condvar_open":
		return region.Condvar(name)
	case "semaphore_open":
		return openSemaphore(region, name, c)
	case "event_open":
		reset := shmkit.ManualReset
		if c.flag("automatic") {
			reset = shmkit.AutomaticReset
		}
		return region.Event(name, reset)
	case "barrier_open":
		parties, err := c.number("parties")
		if err != nil {
			return nil, err
		}
		return region.Barrier(name, int(min(parties, math.MaxInt)))
	case "heap_open":
		return openHeap(region, name, c)
	case "pool_open":
		return openPool(region, name, c)
	case "value_open":
		return openValue(region, name, c)
	}
	return openAtomic(region, name, c)
}

func openSemaphore(region *shmkit.Region, name string, c command) (object, error) {
	initial, err := c.numberOr("initial", 0)
	if err != nil {
		return nil, err
	}
	limit, err := c.numberOr("max", 0)
	if err != nil {
		return nil, err
	}
	opts := []shmkit.SemaphoreOption{shmkit.WithMax(int(min(limit, math.MaxInt)))}
	if c.flag("tracked") {
		opts = append(opts, shmkit.Tracked())
	}
	return region.Semaphore(name, int(min(initial, math.MaxInt)), opts...)
}

func openAtomic(region *shmkit.Region, name string, c command) (object, error) {
	initial, err := value[uint64](c, "initial")
	if c.has("initial") && err != nil {
		return nil, err
	}
	switch c.arguments["type"] {
	case "u32":
		return region.AtomicU32(name, uint32(initial))
	case "u64":
		return region.AtomicU64(name, initial)
	case "i64":
		return region.AtomicI64(name, int64(initial))
	}
	return nil, fmt.Errorf("type=%s", c.arguments["type"])
}

// context returns one that ends after the command's timeout_ms, or never.
func (c command) context() (context.Context, context.CancelFunc, error) {
	if !c.has("timeout_ms") {
		return context.Background(), func() {}, nil
	}
	limit, err := c.number("timeout_ms")
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(limit)*time.Millisecond)
	return ctx, cancel, err
}

func unknown(c command) (string, error) { return "", fmt.Errorf("unknown operation %q", c.op) }

// locked answers a lock that was waited for: it is held, perhaps after an owner's death.
func locked(err error) (string, error) {
	died, err := heldAnyway(err)
	return fmt.Sprintf(" owner_died=%d", digit(died)), err
}

// triedLock answers a lock that was only tried.
func triedLock(held bool, err error) (string, error) {
	died, err := heldAnyway(err)
	return fmt.Sprintf(" locked=%d owner_died=%d", digit(held), digit(died)), err
}

func runGuard(ctx context.Context, lock guard, c command) (string, error) {
	switch c.op {
	case "lock":
		return locked(lock.Lock(ctx))
	case "try_lock":
		return triedLock(lock.TryLock())
	case "unlock":
		return "", lock.Unlock()
	case "make_consistent":
		return "", lock.MakeConsistent()
	}
	return unknown(c)
}

func runRwLock(ctx context.Context, lock *shmkit.RwLock, c command) (string, error) {
	switch c.op {
	case "read_lock":
		return locked(lock.RLock(ctx))
	case "try_read_lock":
		return triedLock(lock.TryRLock())
	case "read_unlock":
		return "", lock.RUnlock()
	case "write_lock":
		return locked(lock.Lock(ctx))
	case "try_write_lock":
		return triedLock(lock.TryLock())
	case "write_unlock":
		return "", lock.Unlock()
	case "make_consistent":
		return "", lock.MakeConsistent()
	}
	return unknown(c)
}

func runSemaphore(ctx context.Context, semaphore *shmkit.Semaphore, c command) (string, error) {
	switch c.op {
	case "acquire":
		return "", semaphore.Acquire(ctx)
	case "try_acquire":
		acquired, err := semaphore.TryAcquire()
		return fmt.Sprintf(" acquired=%d", digit(acquired)), err
	case "release":
		count, err := c.numberOr("count", 1)
		if err != nil {
			return "", err
		}
		return "", semaphore.Release(int(min(count, math.MaxInt)))
	case "available":
		return fmt.Sprintf(" count=%d", semaphore.Available()), nil
	}
	return unknown(c)
}

func (r *runner) runCondvar(ctx context.Context, condvar *shmkit.Condvar, c command) (string, error) {
	switch c.op {
	case "cond_wait":
		mutex, err := named[*shmkit.Mutex](r, c, "mutex")
		if err != nil {
			return "", err
		}
		err = condvar.Wait(ctx, mutex)
		died := errors.Is(err, shmkit.ErrOwnerDied)
		ended := errors.Is(err, shmkit.ErrTimeout)
		if died || ended {
			err = nil // the mutex is held all the same
		}
		return fmt.Sprintf(" notified=%d owner_died=%d", digit(!ended), digit(died)), err
	case "notify_one":
		return "", condvar.NotifyOne()
	case "notify_all":
		return "", condvar.NotifyAll()
	}
	return unknown(c)
}

func runEvent(ctx context.Context, event *shmkit.Event, c command) (string, error) {
	switch c.op {
	case "event_set":
		return "", event.Set()
	case "event_reset":
		return "", event.Reset()
	case "event_wait":
		return "", event.Wait(ctx)
	case "event_is_set":
		return fmt.Sprintf(" set=%d", digit(event.IsSet())), nil
	}
	return unknown(c)
}

func runBarrier(ctx context.Context, barrier *shmkit.Barrier, c command) (string, error) {
	switch c.op {
	case "barrier_wait":
		leader, err := barrier.Wait(ctx)
		return fmt.Sprintf(" leader=%d", digit(leader)), err
	case "barrier_reset":
		return "", barrier.Reset()
	case "barrier_abort":
		return "", barrier.Abort()
	case "barrier_info":
		return fmt.Sprintf(" broken=%d waiting=%d parties=%d",
			digit(barrier.Broken()), barrier.Waiting(), barrier.Parties()), nil
	}
	return unknown(c)
}

// value returns an argument as an atomic's type has it; numbers below zero become what they are in 64 bits.
func value[T shmkit.AtomicValue](c command, key string) (T, error) {
	text, err := c.text(key)
	if err != nil {
		return 0, err
	}
	if signed, err := strconv.ParseInt(text, 10, 64); err == nil {
		return T(signed), nil
	}
	unsigned, err := strconv.ParseUint(text, 10, 64)
	return T(unsigned), err
}

func runAtomic[T shmkit.AtomicValue](ctx context.Context, atomic *shmkit.Atomic[T], c command) (string, error) {
	switch c.op {
	case "atomic_load":
		return fmt.Sprintf(" value=%d", atomic.Load()), nil
	case "atomic_notify":
		atomic.NotifyAll()
		return "", nil
	case "atomic_add_many":
		count, err := c.number("count")
		for range count {
			atomic.Add(1)
		}
		return "", err
	case "atomic_cas":
		current, err := value[T](c, "current")
		if err != nil {
			return "", err
		}
		next, err := value[T](c, "new")
		if err != nil {
			return "", err
		}
		old, swapped := atomic.CompareExchange(current, next)
		return fmt.Sprintf(" old=%d swapped=%d", old, digit(swapped)), nil
	case "atomic_store", "atomic_add", "atomic_wait":
	default:
		return unknown(c)
	}
	number, err := value[T](c, "value")
	if err != nil {
		return "", err
	}
	switch c.op {
	case "atomic_store":
		atomic.Store(number)
		return "", nil
	case "atomic_add":
		return fmt.Sprintf(" old=%d", atomic.Add(number)), nil
	}
	return "", atomic.Wait(ctx, number)
}
