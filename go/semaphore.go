package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Semaphore is a number of permits in a region, shared by all processes that open it by name. It stays usable when the
// [Region] it was opened from is closed. All methods may be called from any goroutine.
//
// There are two kinds. Permits of a signalling semaphore have no owner: anybody may release, and a death changes nothing.
// With [Tracked], permits belong to the process that acquired them, and come back when it dies.
type Semaphore struct {
	object
	pointer *C.shmkit_semaphore_t
	// The word of a signalling semaphore, which belongs to the library; nil for a tracked one.
	word *uint32
	max  uint64
}

// A SemaphoreOption says how a semaphore is created; who opens one that exists must ask for the same.
type SemaphoreOption func(*C.shmkit_semaphore_options_t)

// WithMax sets the most permits there may ever be. Without it, or with 0, they are 2³¹−1, or with [Tracked] as many as there
// are at first.
func WithMax(count int) SemaphoreOption {
	return func(o *C.shmkit_semaphore_options_t) { o.max = count32(count) }
}

// Tracked makes permits belong to the process that acquired them: only it may release them, and they come back when it
// dies. All permits are available at first.
func Tracked() SemaphoreOption {
	return func(o *C.shmkit_semaphore_options_t) { o.kind = C.SHMKIT_SEMAPHORE_KIND_TRACKED }
}

// Semaphore returns the semaphore of this name, creating it with so many permits when it is missing.
//
// Errors: [ErrParameterMismatch] (it exists with other numbers), [ErrInvalidArgument] (more than the maximum; a tracked one
// without permits, or with fewer than its maximum), [ErrWrongKind] (the name is another object's, or a semaphore of the
// other kind), [ErrInvalidName], [ErrNoSpace] (no room for named objects left), [ErrReadOnly], [ErrClosed].
func (r *Region) Semaphore(name string, initial int, opts ...SemaphoreOption) (*Semaphore, error) {
	options := &C.shmkit_semaphore_options_t{size: C.sizeof_shmkit_semaphore_options_t, initial: count32(initial)}
	for _, set := range opts {
		set(options)
	}
	s := &Semaphore{max: uint64(options.max)}
	if s.max == 0 {
		s.max = C.SHMKIT_SEMAPHORE_MAX
	}
	signalling := options.kind == C.SHMKIT_SEMAPHORE_KIND_SIGNALLING
	var word *C.uint32_t
	err := r.withName("open semaphore", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_semaphore_open(r.native(), name, options, &s.pointer, details)
		if status != C.SHMKIT_OK || !signalling {
			return status
		}
		return C.shmkit_semaphore_word(s.pointer, &word, details)
	})
	pointer := s.pointer
	if err != nil {
		C.shmkit_semaphore_free(pointer)
		return nil, err
	}
	key := r.meetingPoint("semaphore", name)
	if signalling {
		s.word = (*uint32)(word)
		key = gateKey{word: s.word}
	}
	s.damage = r.damage
	manage(s, &s.object, name, key, func() { C.shmkit_semaphore_free(pointer) })
	return s, nil
}

// Acquire takes a permit, waiting until there is one or ctx ends. A permit that is there is taken without a look at ctx;
// one of a signalling semaphore without a call into C. One goroutine of the process at a time waits in the kernel, and
// follows ctx within 15 ms; the others wait like for a channel.
//
// Errors: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), [ErrClosed],
// [ErrTooManyAttachments].
func (s *Semaphore) Acquire(ctx context.Context) error {
	if s.takeOne() {
		return nil
	}
	err := s.gate.wait(ctx, s.gone, func(atMost time.Duration) error {
		return s.orClosed(s.acquireWithin(timeoutOf(atMost)), func() error { return s.acquireWithin(0) })
	})
	if err == nil {
		raceAcquire(s.gate)
	}
	return err
}

// TryAcquire takes a permit if there is one, and reports whether it did. It never waits for one.
//
// Errors: [ErrClosed], [ErrTooManyAttachments].
func (s *Semaphore) TryAcquire() (bool, error) {
	if s.takeOne() {
		return true, nil
	}
	details := newDetails()
	status := C.shmkit_semaphore_try_acquire(s.native(), &details)
	runtime.KeepAlive(s)
	taken, err := tried(status, &details)
	if taken {
		raceAcquire(s.gate)
	}
	return taken, err
}

// Release gives so many permits. Without a waiter, those of a signalling semaphore cost no call into C.
//
// Errors: [ErrLimitExceeded] (signalling: there would be more than the maximum), [ErrNotOwner] (tracked: this process holds
// fewer), [ErrClosed].
func (s *Semaphore) Release(count int) error {
	raceRelease(s.gate)
	if s.give(count) {
		return nil
	}
	details := newDetails()
	status := C.shmkit_semaphore_release(s.native(), count32(count), &details)
	runtime.KeepAlive(s)
	return failure(status, &details)
}

// Available returns how many permits are available at this moment. Those of the dead count when the next one waits for
// them.
func (s *Semaphore) Available() int {
	available := C.shmkit_semaphore_available(s.native())
	runtime.KeepAlive(s)
	return int(available)
}

// Name returns the name in its region.
func (s *Semaphore) Name() string { return s.name }

// Closed reports whether this handle was closed.
func (s *Semaphore) Closed() bool { return s.isClosed() }

// String returns the kind and name, for people.
func (s *Semaphore) String() string { return s.describe("Semaphore") }

// Close ends the use of the semaphore through this handle; repeating it does nothing. Goroutines that wait for a permit
// through this handle get [ErrClosed].
//
// Errors: [ErrBusy] while this process holds permits of a tracked semaphore and the handle is its last; then nothing has
// changed.
func (s *Semaphore) Close() error {
	return s.close(func() error {
		details := newDetails()
		status := C.shmkit_semaphore_close(s.native(), &details)
		runtime.KeepAlive(s)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps s alive until the call has returned.
func (s *Semaphore) native() *C.shmkit_semaphore_t {
	pointer := s.pointer
	collectHere()
	return pointer
}

// takeOne is the fast path of a signalling semaphore: one compare-and-swap takes a permit, if there is one.
func (s *Semaphore) takeOne() bool {
	if s.word == nil || s.closed.Load() || isDamaged(s.damage) {
		return false
	}
	word := s.word
	collectHere()
	for {
		seen := atomic.LoadUint32(word)
		if seen < C.SHMKIT_SEMAPHORE_PERMIT {
			runtime.KeepAlive(s)
			return false
		}
		if atomic.CompareAndSwapUint32(word, seen, seen-C.SHMKIT_SEMAPHORE_PERMIT) {
			raceAcquire(s.gate)
			runtime.KeepAlive(s)
			return true
		}
	}
}

// give is the fast path of a release: while nobody waits, one compare-and-swap.
func (s *Semaphore) give(count int) bool {
	if s.word == nil || s.closed.Load() || isDamaged(s.damage) || count < 0 || uint64(count) > s.max {
		return false
	}
	word := s.word
	collectHere()
	given := false
	for !given {
		seen := atomic.LoadUint32(word)
		if seen&C.SHMKIT_WORD_WAITERS != 0 || uint64(seen/C.SHMKIT_SEMAPHORE_PERMIT) > s.max-uint64(count) {
			break
		}
		given = atomic.CompareAndSwapUint32(word, seen, seen+uint32(count)*C.SHMKIT_SEMAPHORE_PERMIT)
	}
	runtime.KeepAlive(s)
	return given
}

func (s *Semaphore) acquireWithin(timeout C.uint64_t) error {
	details := newDetails()
	status := C.shmkit_semaphore_acquire_wait(s.native(), timeout, 0, &details)
	runtime.KeepAlive(s)
	return failure(status, &details)
}
