package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// AtomicValue is a type of integer that an [Atomic] can hold.
type AtomicValue interface{ uint32 | uint64 | int64 }

// Atomic is an integer in a region that processes change together and can wait for. It stays usable when the [Region] it
// was opened from is closed. All methods may be called from any goroutine, and all operations are sequentially consistent.
//
// Operations on the value cost no call into C and cannot fail. On a closed handle they see the value until the process has
// closed everything of the region; then it is 0, and nobody sees its changes.
type Atomic[T AtomicValue] struct {
	object
	pointer *C.shmkit_atomic_t
	// The value, the upper half of which stays 0 for 32 bits, and the word that waiters sleep on; both belong to the library.
	value  *uint64
	signal *uint32
}

// AtomicU32 returns the atomic uint32 of this name, creating it with the value initial when it is missing.
//
// Errors: [ErrWrongKind] (the name is another object's, or another type of integer's), [ErrInvalidName], [ErrNoSpace] (no room
// for named objects left), [ErrReadOnly], [ErrClosed].
func (r *Region) AtomicU32(name string, initial uint32) (*Atomic[uint32], error) {
	return newAtomic(r, name, C.SHMKIT_OBJECT_KIND_ATOMIC_U32, initial)
}

// AtomicU64 returns the atomic uint64 of this name, creating it with the value initial when it is missing. Errors: as
// [Region.AtomicU32].
func (r *Region) AtomicU64(name string, initial uint64) (*Atomic[uint64], error) {
	return newAtomic(r, name, C.SHMKIT_OBJECT_KIND_ATOMIC_U64, initial)
}

// AtomicI64 returns the atomic int64 of this name, creating it with the value initial when it is missing. Errors: as
// [Region.AtomicU32].
func (r *Region) AtomicI64(name string, initial int64) (*Atomic[int64], error) {
	return newAtomic(r, name, C.SHMKIT_OBJECT_KIND_ATOMIC_I64, initial)
}

func newAtomic[T AtomicValue](r *Region, name string, kind C.uint32_t, initial T) (*Atomic[T], error) {
	var pointer *C.shmkit_atomic_t
	var value *C.uint64_t
	var signal *C.uint32_t
	err := r.withName("open atomic", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_atomic_open(r.native(), name, kind, C.uint64_t(initial), &pointer, details)
		if status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_atomic_words(pointer, &value, &signal, details)
	})
	if err != nil {
		C.shmkit_atomic_free(pointer)
		return nil, err
	}
	a := &Atomic[T]{pointer: pointer, value: (*uint64)(value), signal: (*uint32)(signal)}
	a.damage = r.damage
	manage(a, &a.object, name, gateKey{word: a.signal}, func() { C.shmkit_atomic_free(pointer) })
	return a, nil
}

// Load returns the value.
func (a *Atomic[T]) Load() T {
	value := a.value
	collectHere()
	now := atomic.LoadUint64(value)
	raceAcquire(a.gate)
	runtime.KeepAlive(a)
	return T(now)
}

// Store replaces the value.
func (a *Atomic[T]) Store(new T) { a.Swap(new) }

// Swap replaces the value and returns the old one.
func (a *Atomic[T]) Swap(new T) (old T) {
	raceRelease(a.gate)
	value := a.value
	collectHere()
	old = T(atomic.SwapUint64(value, uint64(new)))
	raceAcquire(a.gate)
	runtime.KeepAlive(a)
	return old
}

// Add adds, wrapping around at the type's limit, and returns the old value: as in all languages of this library, and unlike
// in sync/atomic.
func (a *Atomic[T]) Add(more T) (old T) {
	if unsafe.Sizeof(more) == 8 {
		raceRelease(a.gate)
		value := a.value
		collectHere()
		old = T(atomic.AddUint64(value, uint64(more)) - uint64(more))
		raceAcquire(a.gate)
		runtime.KeepAlive(a)
		return old
	}
	// The upper half stays 0, so that every language may read the value as it likes.
	for swapped := false; !swapped; {
		old = a.Load()
		_, swapped = a.CompareExchange(old, old+more)
	}
	return old
}

// CompareExchange replaces the value if it is current. It returns the value before, and whether it was replaced.
func (a *Atomic[T]) CompareExchange(current, new T) (old T, swapped bool) {
	raceRelease(a.gate)
	value := a.value
	collectHere()
	for {
		swapped = atomic.CompareAndSwapUint64(value, uint64(current), uint64(new))
		old = current
		if !swapped {
			old = T(atomic.LoadUint64(value))
		}
		if swapped || old != current { // else it was another value for a moment: as if this had come later
			raceAcquire(a.gate)
			runtime.KeepAlive(a)
			return old, swapped
		}
	}
}

// Wait waits while the value is this one, until ctx ends. Whoever changes it calls [Atomic.NotifyOne] or [Atomic.NotifyAll]
// after; a change without is noticed within 15 ms. One goroutine of the process at a time waits in the kernel, and follows
// ctx within 15 ms; the others wait like for a channel.
//
// Errors: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), [ErrClosed].
func (a *Atomic[T]) Wait(ctx context.Context, value T) error {
	view := sharedWord{word: a.signal, value: a.value, damage: a.damage}
	changed := func() bool { return a.Load() != value }
	if a.isClosed() || !a.gate.watch(ctx, a.gone, view, changed) || isDamaged(a.damage) {
		if err := a.refuseWait(value); err != nil {
			return because(ctx, err)
		}
		raceAcquire(a.gate)
	}
	return nil
}

// NotifyOne wakes one waiter, or all that wait in the same process, after a change. While nobody waits it costs no call
// into C.
func (a *Atomic[T]) NotifyOne() {
	if a.somebodyWaits() {
		C.shmkit_atomic_notify_one(a.native())
		runtime.KeepAlive(a)
	}
}

// NotifyAll wakes all waiters, after a change. While nobody waits it costs no call into C.
func (a *Atomic[T]) NotifyAll() {
	if a.somebodyWaits() {
		C.shmkit_atomic_notify_all(a.native())
		runtime.KeepAlive(a)
	}
}

// Name returns the name in its region.
func (a *Atomic[T]) Name() string { return a.name }

// Closed reports whether this handle was closed.
func (a *Atomic[T]) Closed() bool { return a.isClosed() }

// String returns the kind and name, for people.
func (a *Atomic[T]) String() string { return a.describe("Atomic") }

// Close ends the use of the integer through this handle; repeating it does nothing. Goroutines that wait through this
// handle get [ErrClosed].
func (a *Atomic[T]) Close() error {
	return a.close(func() error {
		details := newDetails()
		status := C.shmkit_atomic_close(a.native(), &details)
		runtime.KeepAlive(a)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps a alive until the call has returned.
func (a *Atomic[T]) native() *C.shmkit_atomic_t {
	pointer := a.pointer
	collectHere()
	return pointer
}

func (a *Atomic[T]) somebodyWaits() bool {
	signal := a.signal
	collectHere()
	somebody := atomic.LoadUint32(signal)&C.SHMKIT_WORD_WAITERS != 0
	runtime.KeepAlive(a)
	return somebody
}

// refuseWait lets the library say why a wait ended; nil if the value has changed after all.
func (a *Atomic[T]) refuseWait(value T) error {
	details := newDetails()
	status := C.shmkit_atomic_wait(a.native(), C.uint64_t(value), 0, 0, &details)
	runtime.KeepAlive(a)
	return failure(status, &details)
}
