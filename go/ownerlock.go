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

// An ownerLock is a lock that is one shared word: 0, or who owns it. The region's guard is one, a [Mutex] is one, and an
// [RwLock] keeps its writer in one. What is uncontended happens here, all else in the library.
type ownerLock struct {
	object
	// The lock's word, and the word that holds this process's owner id or 0; both belong to the library.
	word, me *uint32
	calls    lockCalls
}

// lockCalls are the library's functions for one lock. All of them keep their handle alive.
type lockCalls interface {
	// lockWithin takes the lock if it becomes free in this time, and blocks its thread meanwhile.
	lockWithin(timeout C.uint64_t) error
	tryLock() (bool, error)
	unlock() error
}

// The id of a process that is not attached, for locks that cannot be taken: it sends every call to the library.
var nobody uint32

func (l *ownerLock) lock(ctx context.Context) error {
	me := l.takeFree()
	if me == 0 {
		return l.lockSlow(ctx)
	}
	if l.closed.Load() || isDamaged(l.damage) {
		return l.keepIfOpen(me)
	}
	raceAcquire(l.gate)
	return nil
}

func (l *ownerLock) tryToLock() (bool, error) {
	if me := l.takeFree(); me != 0 {
		if l.closed.Load() || isDamaged(l.damage) {
			err := l.keepIfOpen(me)
			return err == nil, err
		}
		raceAcquire(l.gate)
		return true, nil
	}
	held, err := l.calls.tryLock()
	if held {
		raceAcquire(l.gate)
	}
	return held, err
}

func (l *ownerLock) giveBack() error {
	raceRelease(l.gate)
	word, me := l.word, atomic.LoadUint32(l.me)
	collectHere()
	if me != 0 && atomic.CompareAndSwapUint32(word, me, 0) {
		runtime.KeepAlive(l)
		return nil
	}
	return l.calls.unlock()
}

// takeFree is the fast path: one compare-and-swap on the shared word, from free to this process's owner id. It returns
// the id that holds the word now, or 0 when it was not taken. The id is read each time, because the library clears it
// when the process detaches.
func (l *ownerLock) takeFree() uint32 {
	word, me := l.word, atomic.LoadUint32(l.me)
	collectHere()
	if me != 0 && !atomic.CompareAndSwapUint32(word, 0, me) {
		me = 0
	}
	runtime.KeepAlive(l)
	return me
}

// keepIfOpen decides about a lock that the fast path took on a handle that Close had marked. Either Close saw the lock
// taken and took its mark back, or it did not, and a lock on a closed handle is none. The two cannot miss each other:
// each writes first and then looks at what the other wrote. Nor is one that was taken in a page that the file has lost.
func (l *ownerLock) keepIfOpen(me uint32) error {
	if !l.settledClosed() && !isDamaged(l.damage) {
		raceAcquire(l.gate)
		return nil
	}
	if !atomic.CompareAndSwapUint32(l.word, me, 0) && l.calls.unlock() != nil {
		// The process has detached, and the library gave back what was taken before. What the word is now is a page of
		// our own, where goroutines that came late wait for each other; they look again within a slice.
		atomic.AndUint32(l.word, ^uint32(C.SHMKIT_WORD_OWNER_MASK))
	}
	return l.refuse()
}

// refuse returns the library's error for a lock through a closed handle.
func (l *ownerLock) refuse() error {
	_, err := l.calls.tryLock()
	return err
}

func (l *ownerLock) lockSlow(ctx context.Context) error {
	err := l.gate.wait(ctx, l.gone, l.within)
	if heldBy(err) {
		raceAcquire(l.gate)
	}
	return err
}

// within is lockCalls.lockWithin, which a handle that was closed meanwhile ends.
func (l *ownerLock) within(atMost time.Duration) error {
	return l.orClosed(l.calls.lockWithin(timeoutOf(atMost)), l.refuse)
}

// heldBy reports whether a lock that returned err is held.
func heldBy(err error) bool { return err == nil || kindOf(err) == ErrOwnerDied }

// tried returns what a C call that only tries has answered.
func tried(status C.shmkit_status_t, details *C.shmkit_error_t) (bool, error) {
	switch status {
	case C.SHMKIT_OK:
		return true, nil
	case C.SHMKIT_OWNER_DIED:
		return true, newError(status, details)
	case C.SHMKIT_WOULD_BLOCK:
		return false, nil
	}
	return false, newError(status, details)
}

const forever = time.Duration(math.MaxInt64)

func timeoutOf(atMost time.Duration) C.uint64_t {
	if atMost == forever {
		return C.SHMKIT_FOREVER
	}
	return C.uint64_t(atMost)
}
