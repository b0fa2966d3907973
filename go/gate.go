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
	// Stands for the readers of a reader-writer lock where the race detector is told of them.
	readers byte

	// For those who wait behind the front for a change, see watch.
	changing sync.Mutex
	// Closed at the next change; guarded by changing.
	changed chan struct{}
	// What the last change led to; guarded by changing.
	last sight
}

// A gateKey says which objects share a gate: those with the same word. Where the library keeps the word to itself, the
// region's own word and the object's name stand for it.
type gateKey struct {
	word *uint32
	name string
}

// The gates of this process: two handles on one object meet at the same gate.
var gates = struct {
	sync.Mutex
	of map[gateKey]*gate
}{of: make(map[gateKey]*gate)}

// enterGate counts a handle in and returns the gate of its object.
func enterGate(key gateKey) *gate {
	gates.Lock()
	defer gates.Unlock()
	g := gates.of[key]
	if g == nil {
		g = &gate{front: make(chan struct{}, 1), changed: make(chan struct{})}
		gates.of[key] = g
	}
	g.handles++
	return g
}

// leaveGate counts a handle out. The address may belong to another object once no handle leads to it.
func leaveGate(key gateKey) {
	gates.Lock()
	defer gates.Unlock()
	g := gates.of[key]
	if g.handles--; g.handles == 0 {
		delete(gates.of, key)
	}
}

// The longest sleep in the kernel while a context may end it, or the handle, whose end wakes nobody. In less than a third of
// it the library asks anyway whether the owner lives.
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
		if gone != nil {
			slice = min(slice, longestSlice)
		}
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

// nextShortSlice is nextSlice for a wait that the end of a handle, which wakes nobody, ends too.
func nextShortSlice(ctx context.Context) time.Duration {
	return min(nextSlice(ctx), longestSlice)
}

// because turns the time-out of a last attempt into the error of the context that ended the wait.
func because(ctx context.Context, err error) error {
	if kindOf(err) != ErrTimeout {
		return err
	}
	return err.(*Error).endedBy(ctx)
}
