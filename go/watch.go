//go:build cgo

package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A sharedWord is what those who wait for a change look at.
type sharedWord struct {
	// The word to sleep on. Whoever changes it wakes the sleepers if SHMKIT_WORD_WAITERS is set in it.
	word *uint32
	// A number that may change without it, or nil.
	value *uint64
	// The mutex that guards what is waited for, or nil: its owner may die between a change and the notification of it.
	mutex *Mutex
	// Whether the memory has lost pages: nobody will ever change it then.
	damage damageWord
}

// A sight is what a sharedWord showed at one moment.
type sight struct {
	word  uint32
	value uint64
	died  bool
}

func (v sharedWord) look() sight {
	s := sight{word: atomic.LoadUint32(v.word) &^ C.SHMKIT_WORD_WAITERS}
	if v.value != nil {
		s.value = atomic.LoadUint64(v.value)
	}
	s.died = v.mutex != nil && v.mutex.toldOfDeath()
	return s
}

// watch waits until passes reports true, and asks it again after each change of v. It returns false when ctx, the
// handle (gone) or the memory ended before.
//
// Unlike at gate.wait, each waiter may wait for something else. So the one in front, who sleeps in the kernel, tells all
// others of every change that it sees; it follows ctx and gone within 15 ms.
func (g *gate) watch(ctx context.Context, gone <-chan struct{}, v sharedWord, passes func() bool) bool {
	ended := ctx.Done()
	for {
		if isDamaged(v.damage) {
			return false
		}
		changed := g.nextChange() // before passes looks: a change after that closes it
		if passes() {
			return true
		}
		select {
		case g.front <- struct{}{}:
			passed := g.lead(ctx, gone, v, passes)
			<-g.front
			return passed
		case <-changed:
		case <-ended:
			return passes()
		case <-gone:
			return passes()
		}
	}
}

// lead is watch for the one in front.
func (g *gate) lead(ctx context.Context, gone <-chan struct{}, v sharedWord, passes func() bool) bool {
	for fresh := true; ; fresh = false {
		announced := atomic.OrUint32(v.word, C.SHMKIT_WORD_WAITERS) | C.SHMKIT_WORD_WAITERS
		g.tellOthers(v.look())
		if passes() {
			return true
		}
		if isDamaged(v.damage) {
			return false
		}
		slice := nextShortSlice(ctx)
		select {
		case <-gone:
			return false
		default:
		}
		if slice == 0 {
			return false
		}
		if fresh && bool(C.shmkit_word_changes_soon((*C.uint32_t)(v.word), C.uint32_t(announced))) {
			continue
		}
		sleepOn(v.word, announced, slice)
		if v.mutex != nil && atomic.LoadUint32(v.word) == announced {
			v.mutex.bury()
		}
	}
}

func (g *gate) nextChange() <-chan struct{} {
	g.changing.Lock()
	defer g.changing.Unlock()
	return g.changed
}

// tellOthers wakes those behind the front if this is not what they were last told of.
func (g *gate) tellOthers(now sight) {
	g.changing.Lock()
	defer g.changing.Unlock()
	if now != g.last {
		g.last = now
		close(g.changed)
		g.changed = make(chan struct{})
	}
}

// sleepOn blocks its thread while the word holds value, for at most this long (futex(2), FUTEX_WAIT). Why it returns does
// not matter: the caller looks again.
func sleepOn(word *uint32, value uint32, atMost time.Duration) {
	const futexWait = 0
	timeout := syscall.NsecToTimespec(int64(atMost))
	syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	runtime.KeepAlive(&timeout)
}
