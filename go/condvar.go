package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
)

// Condvar is a condition variable in a region, shared by all processes that open it by name: for waiting until something
// changes that a [Mutex] of the same region guards. It stays usable when the [Region] it was opened from is closed. All
// methods may be called from any goroutine.
type Condvar struct {
	object
	pointer *C.shmkit_condvar_t
	// The condition variable's word, and the word with this process's owner id in this region.
	word, me *uint32
	region   string
}

// Condvar returns the condition variable of this name, creating it when it is missing.
//
// Errors: [ErrWrongKind] (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left),
// [ErrReadOnly], [ErrClosed].
func (r *Region) Condvar(name string) (*Condvar, error) {
	c := &Condvar{me: r.guard.me, region: r.guard.name}
	var word *C.uint32_t
	err := r.withName("open condvar", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		if status := C.shmkit_condvar_open(r.native(), name, &c.pointer, details); status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_condvar_word(c.pointer, &word, details)
	})
	pointer := c.pointer
	if err != nil {
		C.shmkit_condvar_free(pointer)
		return nil, err
	}
	c.word = (*uint32)(word)
	c.damage = r.damage
	manage(c, &c.object, name, gateKey{word: c.word}, func() { C.shmkit_condvar_free(pointer) })
	return c, nil
}

// Wait gives the mutex back, sleeps until notified or until ctx ends, and takes the mutex again. The mutex is one of the
// same region that this process holds. A wait may end without a notification: wait in a loop that tests the condition.
//
//	for !condition() {
//		if err := changed.Wait(ctx, mutex); err != nil {
//			return err // the mutex is held
//		}
//	}
//
// Whatever Wait returns, the mutex is held after it if it was held before; unless the mutex's handle was closed meanwhile.
// One goroutine of the process at a time waits in the kernel, and follows ctx within 15 ms; the others wait like for a
// channel, and each notification that reaches the process ends the wait of them all.
//
// Errors: [ErrTimeout] (ctx's deadline) and [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause): not notified.
// [ErrOwnerDied]: another owner died while it held the mutex, see [Mutex.Lock]. A death ends the wait too, because the
// notification may have died with it; if ctx ended it before, the error is of kind ErrTimeout or ErrInterrupted as well, for
// errors.Is. [ErrNotOwner] (this process does not hold the
// mutex), [ErrInvalidArgument] (the mutex is of another region), [ErrClosed].
func (c *Condvar) Wait(ctx context.Context, mutex *Mutex) error {
	me := atomic.LoadUint32(c.me)
	held := mutex.owner.me == c.me && me != 0 && atomic.LoadUint32(mutex.owner.word)&C.SHMKIT_WORD_OWNER_MASK == me
	if !held || c.isClosed() || mutex.Closed() {
		return c.refuseWait(mutex)
	}
	// Watched before the mutex is free: whoever changes the condition takes the mutex after this and sees that somebody waits.
	told := mutex.toldOfDeath()
	watched := atomic.OrUint32(c.word, C.SHMKIT_WORD_WAITERS) &^ C.SHMKIT_WORD_WAITERS
	if err := mutex.Unlock(); err != nil {
		return err
	}
	notified := c.gate.watch(ctx, c.gone, sharedWord{word: c.word, mutex: mutex, damage: c.damage}, func() bool {
		return atomic.LoadUint32(c.word)&^C.SHMKIT_WORD_WAITERS != watched || !told && mutex.toldOfDeath()
	})
	runtime.KeepAlive(mutex)
	locked := mutex.Lock(context.Background()) // promised, so no context ends this
	runtime.KeepAlive(c)
	if notified {
		raceAcquire(c.gate)
	}
	if notified || !heldBy(locked) {
		return locked
	}
	err := c.ended(ctx, mutex)
	if locked == nil {
		return err
	}
	died := locked.(*Error)
	died.cause = err
	return died
}

// NotifyOne wakes one waiter, or all that wait in the same process. Call it with the mutex held, or after it was held for
// the change. While nobody waits it costs no call into C.
//
// Errors: [ErrClosed].
func (c *Condvar) NotifyOne() error {
	raceRelease(c.gate)
	if c.nobodyWaits() {
		return nil
	}
	details := newDetails()
	status := C.shmkit_condvar_notify_one(c.native(), &details)
	runtime.KeepAlive(c)
	return failure(status, &details)
}

// NotifyAll wakes all waiters. Otherwise as [Condvar.NotifyOne].
func (c *Condvar) NotifyAll() error {
	raceRelease(c.gate)
	if c.nobodyWaits() {
		return nil
	}
	details := newDetails()
	status := C.shmkit_condvar_notify_all(c.native(), &details)
	runtime.KeepAlive(c)
	return failure(status, &details)
}

// Name returns the name in its region.
func (c *Condvar) Name() string { return c.name }

// Closed reports whether this handle was closed.
func (c *Condvar) Closed() bool { return c.isClosed() }

// String returns the kind and name, for people.
func (c *Condvar) String() string { return c.describe("Condvar") }

// Close ends the use of the condition variable through this handle; repeating it does nothing. Goroutines that wait through
// this handle get [ErrClosed].
func (c *Condvar) Close() error {
	return c.close(func() error {
		details := newDetails()
		status := C.shmkit_condvar_close(c.native(), &details)
		runtime.KeepAlive(c)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps c alive until the call has returned.
func (c *Condvar) native() *C.shmkit_condvar_t {
	pointer := c.pointer
	collectHere()
	return pointer
}

func (c *Condvar) nobodyWaits() bool {
	word := c.word
	collectHere()
	nobody := !c.closed.Load() && !isDamaged(c.damage) && atomic.LoadUint32(word)&C.SHMKIT_WORD_WAITERS == 0
	runtime.KeepAlive(c)
	return nobody
}

// refuseWait lets the library say what is wrong with a wait.
func (c *Condvar) refuseWait(mutex *Mutex) error {
	details := newDetails()
	status := C.shmkit_condvar_wait(c.native(), mutex.native(), 0, 0, nil, &details)
	runtime.KeepAlive(c)
	runtime.KeepAlive(mutex)
	return failure(status, &details)
}

// ended returns the error of a wait that was not notified.
func (c *Condvar) ended(ctx context.Context, mutex *Mutex) error {
	if c.isClosed() {
		return c.refuseWait(mutex)
	}
	const operation = "wait on condvar"
	shown := c.region + ":" + c.name
	timeout := &Error{
		Kind:   ErrTimeout,
		Op:     operation,
		Object: shown,
		Errno:  syscall.ETIMEDOUT,
		Message: fmt.Sprintf("cannot %s '%s': %s (ETIMEDOUT); %s", operation, shown,
			C.GoString(C.shmkit_status_description(C.SHMKIT_TIMEOUT)), ErrTimeout.Advice()),
	}
	return timeout.endedBy(ctx)
}
