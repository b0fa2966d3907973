package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Event is a flag in a region that processes wait for, shared by all that open it by name. It stays usable when the
// [Region] it was opened from is closed. All methods may be called from any goroutine.
type Event struct {
	object
	pointer *C.shmkit_event_t
	// The event's word, which belongs to the library.
	word      *uint32
	automatic bool
}

// EventReset says what takes the flag of an [Event] away.
type EventReset uint32

const (
	// ManualReset leaves it to [Event.Reset]; until then everybody passes.
	ManualReset EventReset = C.SHMKIT_EVENT_RESET_MANUAL
	// AutomaticReset gives the flag to the one waiter that passes.
	AutomaticReset EventReset = C.SHMKIT_EVENT_RESET_AUTOMATIC
)

// Event returns the event of this name, creating it (not set) when it is missing.
//
// Errors: [ErrParameterMismatch] (it exists with the other reset), [ErrInvalidArgument] (an unknown one), [ErrWrongKind]
// (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left), [ErrReadOnly],
// [ErrClosed].
func (r *Region) Event(name string, reset EventReset) (*Event, error) {
	e := &Event{automatic: reset == AutomaticReset}
	var word *C.uint32_t
	err := r.withName("open event", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		if status := C.shmkit_event_open(r.native(), name, C.uint32_t(reset), &e.pointer, details); status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_event_word(e.pointer, &word, details)
	})
	pointer := e.pointer
	if err != nil {
		C.shmkit_event_free(pointer)
		return nil, err
	}
	e.word = (*uint32)(word)
	e.damage = r.damage
	manage(e, &e.object, name, gateKey{word: e.word}, func() { C.shmkit_event_free(pointer) })
	return e, nil
}

// Set sets the event: wakes all waiters of a manual one, one waiter of an automatic one. While nobody waits it costs no call
// into C.
//
// Errors: [ErrClosed].
func (e *Event) Set() error {
	raceRelease(e.gate)
	if !e.closed.Load() && !isDamaged(e.damage) {
		word := e.word
		collectHere()
		seen := atomic.LoadUint32(word)
		free := seen&(C.SHMKIT_EVENT_SET|C.SHMKIT_WORD_WAITERS) == 0
		if free && atomic.CompareAndSwapUint32(word, seen, seen+C.SHMKIT_EVENT_STEP|C.SHMKIT_EVENT_SET) {
			runtime.KeepAlive(e)
			return nil
		}
	}
	details := newDetails()
	status := C.shmkit_event_set(e.native(), &details)
	runtime.KeepAlive(e)
	return failure(status, &details)
}

// Reset takes the flag away.
//
// Errors: [ErrClosed].
func (e *Event) Reset() error {
	details := newDetails()
	status := C.shmkit_event_reset(e.native(), &details)
	runtime.KeepAlive(e)
	return failure(status, &details)
}

// IsSet reports whether the event is set at this moment.
func (e *Event) IsSet() bool {
	word := e.word
	collectHere()
	set := atomic.LoadUint32(word)&C.SHMKIT_EVENT_SET != 0
	if set {
		raceAcquire(e.gate)
	}
	runtime.KeepAlive(e)
	return set
}

// Wait waits until the event is set or ctx ends, and takes the flag of an automatic event. A manual event that was set
// meanwhile lets all who waited pass, even when it was reset again. An event that is set lets pass without a look at ctx, and
// without a call into C. One goroutine of the process at a time waits in the kernel, and follows ctx within 15 ms; the others
// wait like for a channel.
//
// Errors: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), [ErrClosed].
func (e *Event) Wait(ctx context.Context) error {
	since := atomic.LoadUint32(e.word)
	if e.closed.Load() || !e.passes(since) || isDamaged(e.damage) {
		return e.waitSlow(ctx, since)
	}
	raceAcquire(e.gate)
	return nil
}

func (e *Event) waitSlow(ctx context.Context, since uint32) error {
	var err error
	switch {
	case e.automatic: // whoever passes takes the flag, so all wait for the same
		err = e.gate.wait(ctx, e.gone, e.within)
	case e.closed.Load() || !e.gate.watch(ctx, e.gone, sharedWord{word: e.word, damage: e.damage}, func() bool { return e.passes(since) }):
		err = because(ctx, e.within(0))
	case isDamaged(e.damage): // what it saw was a zero in place of the word
		err = e.waitWithin(0)
	}
	if err == nil {
		raceAcquire(e.gate)
	}
	runtime.KeepAlive(e)
	return err
}

// TryWait passes if the event is set, taking the flag of an automatic one, and reports whether it did. It never waits.
//
// Errors: [ErrClosed].
func (e *Event) TryWait() (bool, error) {
	details := newDetails()
	status := C.shmkit_event_try_wait(e.native(), &details)
	runtime.KeepAlive(e)
	passed, err := tried(status, &details)
	if passed {
		raceAcquire(e.gate)
	}
	return passed, err
}

// Name returns the name in its region.
func (e *Event) Name() string { return e.name }

// Closed reports whether this handle was closed.
func (e *Event) Closed() bool { return e.isClosed() }

// String returns the kind and name, for people.
func (e *Event) String() string { return e.describe("Event") }

// Close ends the use of the event through this handle; repeating it does nothing. Goroutines that wait for it through this
// handle get [ErrClosed].
func (e *Event) Close() error {
	return e.close(func() error {
		details := newDetails()
		status := C.shmkit_event_close(e.native(), &details)
		runtime.KeepAlive(e)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps e alive until the call has returned.
func (e *Event) native() *C.shmkit_event_t {
	pointer := e.pointer
	collectHere()
	return pointer
}

// passes reports whether the event lets a waiter go that began when the word was since; it takes the flag of an automatic
// event.
func (e *Event) passes(since uint32) bool {
	word := e.word
	collectHere()
	seen := atomic.LoadUint32(word)
	for e.automatic && seen&C.SHMKIT_EVENT_SET != 0 && !atomic.CompareAndSwapUint32(word, seen, seen&^C.SHMKIT_EVENT_SET) {
		seen = atomic.LoadUint32(word)
	}
	runtime.KeepAlive(e)
	return seen&C.SHMKIT_EVENT_SET != 0 || !e.automatic && (seen^since)/C.SHMKIT_EVENT_STEP != 0
}

// within waits for the flag for at most this long, and blocks its thread meanwhile.
func (e *Event) within(atMost time.Duration) error {
	return e.orClosed(e.waitWithin(timeoutOf(atMost)), func() error { return e.waitWithin(0) })
}

func (e *Event) waitWithin(timeout C.uint64_t) error {
	details := newDetails()
	status := C.shmkit_event_wait(e.native(), timeout, 0, &details)
	runtime.KeepAlive(e)
	return failure(status, &details)
}
