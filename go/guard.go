package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"time"
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
func (r *Region) Lock(ctx context.Context) error {
	me := r.takeFree()
	if me == 0 {
		return r.lockSlow(ctx)
	}
	if r.closed.Load() {
		return r.keepIfOpen(me)
	}
	raceAcquire(r.gate)
	return nil
}

// TryLock takes the guard if nobody who lives holds it, and reports whether it is held now. It never waits.
//
// When the last owner died while it held the guard, TryLock returns true and an error of kind [ErrOwnerDied]: THE GUARD IS
// HELD, see [Region.Lock].
//
// Errors, without the guard: [ErrClosed], [ErrReadOnly], [ErrTooManyAttachments].
func (r *Region) TryLock() (bool, error) {
	if me := r.takeFree(); me != 0 {
		if r.closed.Load() {
			err := r.keepIfOpen(me)
			return err == nil, err
		}
		raceAcquire(r.gate)
		return true, nil
	}
	details := newDetails()
	status := C.shmkit_region_try_lock(r.native(), &details)
	runtime.KeepAlive(r)
	switch status {
	case C.SHMKIT_OK, C.SHMKIT_OWNER_DIED:
		raceAcquire(r.gate)
		return true, failure(status, &details)
	case C.SHMKIT_WOULD_BLOCK:
		return false, nil
	}
	return false, newError(status, &details)
}

// Unlock gives the guard back.
//
// Errors: [ErrNotOwner] when this process does not hold it, [ErrClosed], [ErrReadOnly].
func (r *Region) Unlock() error {
	raceRelease(r.gate)
	word, me := r.word, atomic.LoadUint32(r.me)
	collectHere()
	if me != 0 && atomic.CompareAndSwapUint32(word, me, 0) {
		runtime.KeepAlive(r)
		return nil
	}
	return r.unlockSlow()
}

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

// takeFree is the fast path: one compare-and-swap on the shared word, from free to this process's owner id. It returns
// the id that holds the word now, or 0 when it was not taken. The id is read each time, because the library clears it
// when the process detaches.
func (r *Region) takeFree() uint32 {
	word, me := r.word, atomic.LoadUint32(r.me)
	collectHere()
	if me != 0 && !atomic.CompareAndSwapUint32(word, 0, me) {
		me = 0
	}
	runtime.KeepAlive(r)
	return me
}

// keepIfOpen decides about a guard that the fast path took on a handle that Close had marked. Either Close saw the guard
// taken and took its mark back, or it did not, and a guard on a closed handle is none. The two cannot miss each other:
// each writes first and then looks at what the other wrote.
func (r *Region) keepIfOpen(me uint32) error {
	if !r.settledClosed() {
		raceAcquire(r.gate)
		return nil
	}
	if !atomic.CompareAndSwapUint32(r.word, me, 0) && C.shmkit_region_unlock(r.native(), nil) != C.SHMKIT_OK {
		// The process has detached, and the library gave back what was taken before. What the word is now is a page of
		// our own, where goroutines that came late wait for each other; they look again within a slice.
		atomic.AndUint32(r.word, ^uint32(C.SHMKIT_WORD_OWNER_MASK))
	}
	return r.refuseLock()
}

// refuseLock returns the library's error for a lock through a closed handle.
func (r *Region) refuseLock() error {
	details := newDetails()
	status := C.shmkit_region_try_lock(r.native(), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

const forever = time.Duration(math.MaxInt64)

func (r *Region) lockSlow(ctx context.Context) error {
	err := r.gate.wait(ctx, r.gone, r.lockWithin)
	if err == nil || kindOf(err) == ErrOwnerDied {
		raceAcquire(r.gate)
	}
	return err
}

// lockWithin takes the guard if it becomes free in this time, and blocks its thread meanwhile.
func (r *Region) lockWithin(atMost time.Duration) error {
	timeout := C.uint64_t(atMost)
	if atMost == forever {
		timeout = C.SHMKIT_FOREVER
	}
	details := newDetails()
	status := C.shmkit_region_lock_wait(r.native(), timeout, 0, &details)
	runtime.KeepAlive(r)
	if status == C.SHMKIT_TIMEOUT && r.isClosed() {
		return r.refuseLock()
	}
	return failure(status, &details)
}

func (r *Region) unlockSlow() error {
	details := newDetails()
	status := C.shmkit_region_unlock(r.native(), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}
