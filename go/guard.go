package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
)

// Lock takes the region's guard, waiting until it is free or ctx ends. A guard that is free is taken without a look at
// ctx. One goroutine of the process at a time waits in the kernel, and follows ctx within 15 ms; the others wait like
// for a channel.
//
// The guard belongs to the process, not to the goroutine: any goroutine may unlock it, and one that locks twice waits for
// itself. It is not held by programs that this one starts.
//
// When the last owner died while it held the guard, Lock returns an error of kind [ErrOwnerDied], and THE GUARD IS HELD
// all the same. Whoever gets this error repairs the bytes and calls [Region.MakeConsistent] and [Region.Unlock], or
// calls Unlock alone, and the next one is told the same:
//
//	err := region.Lock(ctx)
//	if errors.Is(err, shmkit.ErrOwnerDied) {
//		repair(region)
//		err = region.MakeConsistent()
//	}
//	if err != nil {
//		return err
//	}
//	defer region.Unlock()
//
// Errors, without the guard: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause),
// [ErrClosed], [ErrReadOnly], [ErrTooManyAttachments].
func (r *Region) Lock(ctx context.Context) error { return r.guard.lock(ctx) }

// TryLock takes the guard if nobody who lives holds it, and reports whether it is held now. It never waits.
//
// When the last owner died while it held the guard, TryLock returns true and an error of kind [ErrOwnerDied]: THE GUARD IS
// HELD, see [Region.Lock].
//
// Errors, without the guard: [ErrClosed], [ErrReadOnly], [ErrTooManyAttachments].
func (r *Region) TryLock() (bool, error) { return r.guard.tryToLock() }

// Unlock gives the guard back.
//
// Errors: [ErrNotOwner] when this process does not hold it, [ErrClosed], [ErrReadOnly].
func (r *Region) Unlock() error { return r.guard.giveBack() }

// MakeConsistent says that the user bytes are in order again after an owner died: the death is no longer reported. The
// guard stays held.
//
// Errors: [ErrNotOwner], [ErrClosed], [ErrReadOnly].
func (r *Region) MakeConsistent() error {
	details := newDetails()
	status := C.shmkit_region_make_consistent(r.native(), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Locked reports whether anybody holds the guard at this moment, dead or alive. It is out of date when it returns.
func (r *Region) Locked() bool {
	locked := C.shmkit_region_is_locked(r.native())
	runtime.KeepAlive(r)
	return bool(locked)
}

func (r *Region) lockWithin(timeout C.uint64_t) error {
	details := newDetails()
	status := C.shmkit_region_lock_wait(r.native(), timeout, 0, &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

func (r *Region) tryLock() (bool, error) {
	details := newDetails()
	status := C.shmkit_region_try_lock(r.native(), &details)
	runtime.KeepAlive(r)
	return tried(status, &details)
}

func (r *Region) unlock() error {
	details := newDetails()
	status := C.shmkit_region_unlock(r.native(), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}
