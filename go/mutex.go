package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
)

// Mutex is a mutual exclusion lock in a region, shared by all processes that open it by name. It stays usable when the
// [Region] it was opened from is closed. All methods may be called from any goroutine.
type Mutex struct {
	owner   ownerLock
	pointer *C.shmkit_mutex_t
}

// Mutex returns the mutex of this name, creating it when it is missing.
//
// Errors: [ErrWrongKind] (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left),
// [ErrReadOnly], [ErrClosed].
func (r *Region) Mutex(name string) (*Mutex, error) {
	m := &Mutex{}
	var word, me *C.uint32_t
	err := r.withName("open mutex", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		if status := C.shmkit_mutex_open(r.native(), name, &m.pointer, details); status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_mutex_words(m.pointer, &word, &me, details)
	})
	pointer := m.pointer
	if err != nil {
		C.shmkit_mutex_free(pointer)
		return nil, err
	}
	m.owner.word, m.owner.me, m.owner.calls = (*uint32)(word), (*uint32)(me), m
	m.owner.damage = r.damage
	manage(m, &m.owner.object, name, gateKey{word: m.owner.word}, func() { C.shmkit_mutex_free(pointer) })
	return m, nil
}

// Lock takes the mutex, waiting until it is free or ctx ends. A mutex that is free is taken without a look at ctx, and
// without a call into C. One goroutine of the process at a time waits in the kernel, and follows ctx within 15 ms; the
// others wait like for a channel.
//
// The mutex belongs to the process, not to the goroutine: any goroutine may unlock it, and one that locks twice waits for
// itself.
//
// When the last owner died while it held the mutex, Lock returns an error of kind [ErrOwnerDied], and THE MUTEX IS HELD
// all the same. Repair what it guards and call [Mutex.MakeConsistent], or call [Mutex.Unlock] alone, and the next one is
// told the same. See [Region.Lock] for how this is written.
//
// Errors, without the mutex: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause),
// [ErrClosed], [ErrTooManyAttachments].
func (m *Mutex) Lock(ctx context.Context) error { return m.owner.lock(ctx) }

// TryLock takes the mutex if nobody who lives holds it, and reports whether it is held now. It never waits.
//
// When the last owner died while it held the mutex, TryLock returns true and an error of kind [ErrOwnerDied]: THE MUTEX IS
// HELD, see [Mutex.Lock].
//
// Errors, without the mutex: [ErrClosed], [ErrTooManyAttachments].
func (m *Mutex) TryLock() (bool, error) { return m.owner.tryToLock() }

// Unlock gives the mutex back.
//
// Errors: [ErrNotOwner] when this process does not hold it, [ErrClosed].
func (m *Mutex) Unlock() error { return m.owner.giveBack() }

// MakeConsistent says that what the mutex guards is in order again after an owner died: the death is no longer reported.
// The mutex stays held.
//
// Errors: [ErrNotOwner], [ErrClosed].
func (m *Mutex) MakeConsistent() error {
	details := newDetails()
	status := C.shmkit_mutex_make_consistent(m.native(), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// Locked reports whether anybody holds the mutex at this moment, dead or alive. It is out of date when it returns.
func (m *Mutex) Locked() bool {
	locked := C.shmkit_mutex_is_locked(m.native())
	runtime.KeepAlive(m)
	return bool(locked)
}

// Name returns the name in its region.
func (m *Mutex) Name() string { return m.owner.name }

// Closed reports whether this handle was closed.
func (m *Mutex) Closed() bool { return m.owner.isClosed() }

// String returns the kind and name, for people.
func (m *Mutex) String() string { return m.owner.describe("Mutex") }

// Close ends the use of the mutex through this handle; repeating it does nothing. Goroutines that wait for it through this
// handle get [ErrClosed].
//
// Errors: [ErrBusy] while this process holds the mutex and the handle is its last; then nothing has changed.
func (m *Mutex) Close() error {
	return m.owner.close(func() error {
		details := newDetails()
		status := C.shmkit_mutex_close(m.native(), &details)
		runtime.KeepAlive(m)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps m alive until the call has returned.
func (m *Mutex) native() *C.shmkit_mutex_t {
	pointer := m.pointer
	collectHere()
	return pointer
}

func (m *Mutex) lockWithin(timeout C.uint64_t) error {
	details := newDetails()
	status := C.shmkit_mutex_lock_wait(m.native(), timeout, 0, &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

func (m *Mutex) tryLock() (bool, error) {
	details := newDetails()
	status := C.shmkit_mutex_try_lock(m.native(), &details)
	runtime.KeepAlive(m)
	return tried(status, &details)
}

func (m *Mutex) unlock() error {
	details := newDetails()
	status := C.shmkit_mutex_unlock(m.native(), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// toldOfDeath reports whether the mutex tells whoever takes it that an owner died.
func (m *Mutex) toldOfDeath() bool {
	return atomic.LoadUint32(m.owner.word)&C.SHMKIT_WORD_DIRTY != 0
}

// bury frees the mutex if its owner is dead; toldOfDeath then reports true.
func (m *Mutex) bury() {
	owner := atomic.LoadUint32(m.owner.word) & C.SHMKIT_WORD_OWNER_MASK
	if owner == 0 || owner == atomic.LoadUint32(m.owner.me) {
		return
	}
	if held, _ := m.tryLock(); held {
		m.unlock()
	}
}
