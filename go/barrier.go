package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"math"
	"runtime"
	"time"
)

// Barrier is a place in a region where a number of participants wait for each other, in all processes that open it by name.
// It stays usable when the [Region] it was opened from is closed. All methods may be called from any goroutine.
//
// Whoever has it open takes part: a process that dies without closing it breaks the barrier, and all who wait, or come until
// [Barrier.Reset], get [ErrBroken].
type Barrier struct {
	object
	pointer *C.shmkit_barrier_t
}

// Barrier returns the barrier of this name for so many participants, creating it when it is missing.
//
// Errors: [ErrParameterMismatch] (it exists for another number), [ErrInvalidArgument] (no participants, or more than 2³²−1),
// [ErrWrongKind] (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left),
// [ErrReadOnly], [ErrClosed].
func (r *Region) Barrier(name string, parties int) (*Barrier, error) {
	if parties < 0 || parties > math.MaxUint32 {
		parties = 0 // just as impossible
	}
	b := &Barrier{}
	err := r.withName("open barrier", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_barrier_open(r.native(), name, C.uint32_t(parties), &b.pointer, details)
	})
	if err != nil {
		return nil, err
	}
	pointer := b.pointer
	b.damage = r.damage
	manage(b, &b.object, name, r.meetingPoint("barrier", name), func() { C.shmkit_barrier_free(pointer) })
	return b, nil
}

// Wait arrives, and waits until all have or ctx ends. It reports true to exactly one of them, who arrived last. When ctx ends
// it, which it follows within 15 ms, the arrival is taken back.
//
// Each goroutine that waits here needs an OS thread for as long, because each is an arrival of its own: fewer than there are
// participants.
//
// Errors: [ErrBroken] (a participant died, or somebody broke the barrier, before all had arrived), [ErrTimeout] (ctx's
// deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), [ErrClosed].
func (b *Barrier) Wait(ctx context.Context) (leader bool, err error) {
	raceRelease(b.gate)
	for {
		slice := nextShortSlice(ctx) // the end of the handle wakes nobody either
		// An arrival that is taken back between two slices is made again at once: if it was the only one missing, it is the
		// last to arrive.
		leader, err = b.waitWithin(slice)
		if slice == 0 || kindOf(err) != ErrTimeout {
			if err == nil {
				raceAcquire(b.gate)
			}
			return leader, because(ctx, err)
		}
	}
}

// Abort breaks the barrier on purpose: who waits, and who comes until a reset, gets [ErrBroken].
//
// Errors: [ErrClosed].
func (b *Barrier) Abort() error {
	details := newDetails()
	status := C.shmkit_barrier_abort(b.native(), &details)
	runtime.KeepAlive(b)
	return failure(status, &details)
}

// Reset makes a broken barrier whole again, without the dead; who still waits gets [ErrBroken].
//
// Errors: [ErrClosed].
func (b *Barrier) Reset() error {
	details := newDetails()
	status := C.shmkit_barrier_reset(b.native(), &details)
	runtime.KeepAlive(b)
	return failure(status, &details)
}

// Broken reports whether the barrier is broken.
func (b *Barrier) Broken() bool {
	broken := C.shmkit_barrier_is_broken(b.native())
	runtime.KeepAlive(b)
	return bool(broken)
}

// Parties returns how many must arrive.
func (b *Barrier) Parties() int {
	parties := C.shmkit_barrier_parties(b.native())
	runtime.KeepAlive(b)
	return int(parties)
}

// Waiting returns how many wait at this moment.
func (b *Barrier) Waiting() int {
	waiting := C.shmkit_barrier_waiting(b.native())
	runtime.KeepAlive(b)
	return int(waiting)
}

// Name returns the name in its region.
func (b *Barrier) Name() string { return b.name }

// Closed reports whether this handle was closed.
func (b *Barrier) Closed() bool { return b.isClosed() }

// String returns the kind and name, for people.
func (b *Barrier) String() string { return b.describe("Barrier") }

// Close ends the part of this handle; repeating it does nothing. Goroutines that wait through it get [ErrClosed].
func (b *Barrier) Close() error {
	return b.close(func() error {
		details := newDetails()
		status := C.shmkit_barrier_close(b.native(), &details)
		runtime.KeepAlive(b)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps b alive until the call has returned.
func (b *Barrier) native() *C.shmkit_barrier_t {
	pointer := b.pointer
	collectHere()
	return pointer
}

// waitWithin arrives and waits for at most this long, and blocks its thread meanwhile.
func (b *Barrier) waitWithin(atMost time.Duration) (bool, error) {
	details := newDetails()
	var leader C.bool
	status := C.shmkit_barrier_wait(b.native(), timeoutOf(atMost), 0, &leader, &details)
	runtime.KeepAlive(b)
	return bool(leader), failure(status, &details)
}
