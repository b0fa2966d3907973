//go:build cgo

package shmkit

import (
	"context"
	"sync"
	"time"
)

// A gate stands in front of a shared lock: one goroutine of this process waits for the lock in the kernel, which costs
// an OS thread; the others wait for the gate, which costs a channel operation.
//
// The gate is passed after the fast path failed, and left as soon as the lock is taken. It decides nothing about the
// lock itself, so a goroutine that finds the lock free takes it without looking here.
type gate struct {
	// Full while somebody is in front.
	front chan struct{}
	// Handles that lead to the lock; guarded by gates.
	handles int
}

// The gates of this process, by the address of the lock word: two handles on one region meet at the same gate.
var gates = struct {
	sync.Mutex
	of map[*uint32]*gate
}{of: make(map[*uint32]*gate)}

// enterGate counts a handle in and returns the gate of its lock.
func enterGate(word *uint32) *gate {
	gates.Lock()
	defer gates.Unlock()
	g := gates.of[word]
	if g == nil {
		g = &gate{front: make(chan struct{}, 1)}
		gates.of[word] = g
	}
	g.handles++
	return g
}

// leaveGate counts a handle out. The address may belong to another lock once no handle leads to it.
func leaveGate(word *uint32) {
	gates.Lock()
	defer gates.Unlock()
	g := gates.of[word]
	if g.handles--; g.handles == 0 {
		delete(gates.of, word)
	}
}

// The longest sleep in the kernel while a context may end it: the 1, 2, 4 and 8 ms after which the library asks anyway
// whether the owner lives.
const longestSlice = 15 * time.Millisecond

// wait takes a shared lock through take, which waits in the kernel for at most the given time and returns an error of
// kind ErrTimeout when that passes. It gives up when ctx or the handle (gone) ends, and then tries once without waiting:
// take's own answer tells why.
func (g *gate) wait(ctx context.Context, gone <-chan struct{}, take func(atMost time.Duration) error) error {
	ended := ctx.Done()
	select {
	case g.front <- struct{}{}:
		defer func() { <-g.front }()
	case <-ended:
		return because(ctx, take(0))
	case <-gone:
		return take(0)
	}
	for {
		slice := nextSlice(ctx)
		err := take(slice)
		if slice == 0 || kindOf(err) != ErrTimeout {
			return because(ctx, err)
		}
	}
}

// nextSlice returns how long to sleep in the kernel before looking at ctx again; 0 when it has ended.
func nextSlice(ctx context.Context) time.Duration {
	switch {
	case ctx.Err() != nil:
		return 0
	case ctx.Done() == nil:
		return forever
	}
	slice := longestSlice
	if deadline, ok := ctx.Deadline(); ok {
		slice = min(slice, max(0, time.Until(deadline)))
	}
	return slice
}

// because turns the time-out of a last attempt into the error of the context that ended the wait.
func because(ctx context.Context, err error) error {
	if kindOf(err) != ErrTimeout {
		return err
	}
	return err.(*Error).endedBy(ctx)
}
