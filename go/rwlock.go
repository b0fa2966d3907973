package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// RwLock is a lock in a region for many readers or one writer, shared by all processes that open it by name. It stays
// usable when the [Region] it was opened from is closed. All methods may be called from any goroutine.
//
// Readers in different processes do not slow each other. A killed reader is forgotten; a killed writer is reported. New
// readers wait while a writer waits, so a process that reads twice can block for ever if a writer comes in between.
type RwLock struct {
	// The writer.
	owner   ownerLock
	pointer *C.shmkit_rwlock_t
	// The first of the marks in which each process counts its readers; they belong to the library.
	marks unsafe.Pointer
}

// RwLock returns the reader-writer lock of this name, creating it when it is missing. It takes 64 bytes of the room for
// named objects for each process that the region allows.
//
// Errors: [ErrWrongKind] (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left),
// [ErrReadOnly], [ErrClosed].
func (r *Region) RwLock(name string) (*RwLock, error) {
	l := &RwLock{}
	var word, me *C.uint32_t
	var marks *C.uint64_t
	err := r.withName("open rwlock", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		if status := C.shmkit_rwlock_open(r.native(), name, &l.pointer, details); status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_rwlock_words(l.pointer, &word, &marks, &me, details)
	})
	pointer := l.pointer
	if err != nil {
		C.shmkit_rwlock_free(pointer)
		return nil, err
	}
	l.marks = unsafe.Pointer(marks)
	l.owner.word, l.owner.me, l.owner.calls = (*uint32)(word), (*uint32)(me), l
	l.owner.damage = r.damage
	manage(l, &l.owner.object, name, gateKey{word: l.owner.word}, func() { C.shmkit_rwlock_free(pointer) })
	return l, nil
}

// RLock takes the lock for reading, waiting until no writer has it or ctx ends. When no writer has it or waits for it, it
// is taken without a look at ctx, and without a call into C. One goroutine of the process at a time waits in the kernel,
// and follows ctx within 15 ms; the others wait like for a channel.
//
// The hold belongs to the process, not to the goroutine: any goroutine may give it back.
//
// When a writer died inside, RLock returns an error of kind [ErrOwnerDied], and THE LOCK IS HELD FOR READING all the same;
// what it guards may be half-written. That is told until a writer calls [RwLock.MakeConsistent].
//
// Errors, without the lock: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause),
// [ErrClosed], [ErrTooManyAttachments].
func (l *RwLock) RLock(ctx context.Context) error {
	if l.enter() {
		if l.owner.closed.Load() || isDamaged(l.owner.damage) {
			return l.keepReadingIfOpen()
		}
		raceAcquire(&l.owner.gate.readers)
		return nil
	}
	err := l.owner.gate.wait(ctx, l.owner.gone, func(atMost time.Duration) error {
		return l.owner.orClosed(l.readWithin(timeoutOf(atMost)), l.refuseReading)
	})
	if heldBy(err) {
		raceAcquire(&l.owner.gate.readers)
	}
	return err
}

// TryRLock takes the lock for reading if no writer who lives has it or waits for it, and reports whether it is held now. It
// never waits.
//
// When a writer died inside, TryRLock returns true and an error of kind [ErrOwnerDied]: THE LOCK IS HELD, see
// [RwLock.RLock].
//
// Errors, without the lock: [ErrClosed], [ErrTooManyAttachments].
func (l *RwLock) TryRLock() (bool, error) {
	if l.enter() {
		if l.owner.closed.Load() || isDamaged(l.owner.damage) {
			err := l.keepReadingIfOpen()
			return err == nil, err
		}
		raceAcquire(&l.owner.gate.readers)
		return true, nil
	}
	details := newDetails()
	status := C.shmkit_rwlock_try_read_lock(l.native(), &details)
	runtime.KeepAlive(l)
	held, err := tried(status, &details)
	if held {
		raceAcquire(&l.owner.gate.readers)
	}
	return held, err
}

// RUnlock gives one reading hold of this process back.
//
// Errors: [ErrNotOwner] when it has none, [ErrClosed].
func (l *RwLock) RUnlock() error {
	raceRelease(l.owner.gate)
	me := atomic.LoadUint32(l.owner.me)
	if me == 0 {
		return l.leaveByCall()
	}
	mark := l.mark(me)
	collectHere()
	for {
		seen := atomic.LoadUint64(mark)
		if uint32(seen>>C.SHMKIT_MARK_GENERATION_SHIFT) != generationOf(me) || uint32(seen) == 0 {
			return l.leaveByCall()
		}
		if !atomic.CompareAndSwapUint64(mark, seen, seen-1) {
			continue
		}
		if uint32(seen-1) == 0 && atomic.LoadUint32(l.owner.word)&C.SHMKIT_WORD_DRAIN != 0 {
			C.shmkit_rwlock_wake_writer(l.native())
		}
		runtime.KeepAlive(l)
		return nil
	}
}

// Lock takes the lock for writing, waiting until nobody has it or ctx ends. One goroutine of the process at a time waits in
// the kernel, and follows ctx within 15 ms; the others wait like for a channel.
//
// The lock belongs to the process, not to the goroutine: any goroutine may unlock it.
//
// When the last writer died inside, Lock returns an error of kind [ErrOwnerDied], and THE LOCK IS HELD all the same. Repair
// what it guards and call [RwLock.MakeConsistent], or call [RwLock.Unlock] alone, and the next one is told the same. See
// [Region.Lock] for how this is written.
//
// Errors, without the lock: as [RwLock.RLock].
func (l *RwLock) Lock(ctx context.Context) error {
	err := l.owner.lockSlow(ctx)
	if heldBy(err) {
		raceAcquire(&l.owner.gate.readers)
	}
	return err
}

// TryLock takes the lock for writing if nobody who lives has it in any way, and reports whether it is held now. It never
// waits.
//
// When the last writer died inside, TryLock returns true and an error of kind [ErrOwnerDied]: THE LOCK IS HELD, see
// [RwLock.Lock].
//
// Errors, without the lock: [ErrClosed], [ErrTooManyAttachments].
func (l *RwLock) TryLock() (bool, error) {
	held, err := l.tryLock()
	if held {
		raceAcquire(l.owner.gate)
		raceAcquire(&l.owner.gate.readers)
	}
	return held, err
}

// Unlock gives the writing hold back.
//
// Errors: [ErrNotOwner] when this process does not have it, [ErrClosed].
func (l *RwLock) Unlock() error {
	raceRelease(&l.owner.gate.readers)
	return l.owner.giveBack()
}

// MakeConsistent says that what the lock guards is in order again after a writer died: the death is no longer reported. It
// needs the lock for writing, which stays held.
//
// Errors: [ErrNotOwner], [ErrClosed].
func (l *RwLock) MakeConsistent() error {
	details := newDetails()
	status := C.shmkit_rwlock_make_consistent(l.native(), &details)
	runtime.KeepAlive(l)
	return failure(status, &details)
}

// Locked reports whether a writer has the lock at this moment, dead or alive. It is out of date when it returns.
func (l *RwLock) Locked() bool {
	locked := C.shmkit_rwlock_is_write_locked(l.native())
	runtime.KeepAlive(l)
	return bool(locked)
}

// Readers returns the number of reading holds at this moment, of all processes.
func (l *RwLock) Readers() int {
	readers := C.shmkit_rwlock_readers(l.native())
	runtime.KeepAlive(l)
	return int(readers)
}

// Name returns the name in its region.
func (l *RwLock) Name() string { return l.owner.name }

// Closed reports whether this handle was closed.
func (l *RwLock) Closed() bool { return l.owner.isClosed() }

// String returns the kind and name, for people.
func (l *RwLock) String() string { return l.owner.describe("RwLock") }

// Close ends the use of the lock through this handle; repeating it does nothing. Goroutines that wait for it through this
// handle get [ErrClosed].
//
// Errors: [ErrBusy] while this process holds the lock and the handle is its last; then nothing has changed.
func (l *RwLock) Close() error {
	return l.owner.close(func() error {
		details := newDetails()
		status := C.shmkit_rwlock_close(l.native(), &details)
		runtime.KeepAlive(l)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps l alive until the call has returned.
func (l *RwLock) native() *C.shmkit_rwlock_t {
	pointer := l.pointer
	collectHere()
	return pointer
}

// generationOf returns the upper half of the marks of an owner.
func generationOf(me uint32) uint32 { return me >> C.SHMKIT_OWNER_GENERATION_SHIFT }

// mark returns where the process with this owner id counts its readers.
func (l *RwLock) mark(me uint32) *uint64 {
	const slots = 1<<(C.SHMKIT_OWNER_GENERATION_SHIFT-C.SHMKIT_OWNER_SLOT_SHIFT) - 1
	slot := me>>C.SHMKIT_OWNER_SLOT_SHIFT&slots - 1
	return (*uint64)(unsafe.Add(l.marks, int(slot)*C.SHMKIT_MARK_STRIDE))
}

// enter is the fast path of reading: one more in this process's mark, then a look at the writer's word. A writer does it
// the other way round, so one of the two sees the other. It reports false, and nothing has changed, when the library has
// to say more: a writer is there, or one died.
func (l *RwLock) enter() bool {
	me := atomic.LoadUint32(l.owner.me)
	if me == 0 {
		return false
	}
	mark := l.mark(me)
	collectHere()
	for {
		seen := atomic.LoadUint64(mark)
		next := seen + 1
		if uint32(seen>>C.SHMKIT_MARK_GENERATION_SHIFT) != generationOf(me) {
			next = uint64(generationOf(me))<<C.SHMKIT_MARK_GENERATION_SHIFT | 1
		}
		if atomic.CompareAndSwapUint64(mark, seen, next) {
			break
		}
	}
	alone := atomic.LoadUint32(l.owner.word)&(C.SHMKIT_WORD_OWNER_MASK|C.SHMKIT_WORD_DIRTY) == 0
	if !alone {
		l.leaveByCall()
	}
	runtime.KeepAlive(l)
	return alone
}

// keepReadingIfOpen is ownerLock.keepIfOpen for a reading hold.
func (l *RwLock) keepReadingIfOpen() error {
	if !l.owner.settledClosed() && !isDamaged(l.owner.damage) {
		raceAcquire(&l.owner.gate.readers)
		return nil
	}
	l.leaveByCall() // refused when the process has detached, and then the mark was on a page of our own
	return l.refuseReading()
}

func (l *RwLock) refuseReading() error { return l.readWithin(0) }

func (l *RwLock) leaveByCall() error {
	details := newDetails()
	status := C.shmkit_rwlock_read_unlock(l.native(), &details)
	runtime.KeepAlive(l)
	return failure(status, &details)
}

func (l *RwLock) readWithin(timeout C.uint64_t) error {
	details := newDetails()
	status := C.shmkit_rwlock_read_lock_wait(l.native(), timeout, 0, &details)
	runtime.KeepAlive(l)
	return failure(status, &details)
}

func (l *RwLock) lockWithin(timeout C.uint64_t) error {
	details := newDetails()
	status := C.shmkit_rwlock_write_lock_wait(l.native(), timeout, 0, &details)
	runtime.KeepAlive(l)
	return failure(status, &details)
}

func (l *RwLock) tryLock() (bool, error) {
	details := newDetails()
	status := C.shmkit_rwlock_try_write_lock(l.native(), &details)
	runtime.KeepAlive(l)
	return tried(status, &details)
}

func (l *RwLock) unlock() error {
	details := newDetails()
	status := C.shmkit_rwlock_write_unlock(l.native(), &details)
	runtime.KeepAlive(l)
	return failure(status, &details)
}
