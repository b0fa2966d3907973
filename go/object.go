package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// An object is what all handles of a region and of the objects in it have in common.
type object struct {
	name string
	gate *gate
	rest *remains
	// Whether the region has lost pages.
	damage damageWord

	closed atomic.Bool
	// Held by Close: while it decides, whoever sees closed waits for the decision.
	closing sync.Mutex
	// Closed when the handle is.
	gone chan struct{}
}

// The remains of an object are what is left to be released when it becomes unreachable.
type remains struct {
	free func()
	gate gateKey
	// The memory was handed out: only Close may end it.
	exposed atomic.Bool
	closed  atomic.Bool
}

// manage makes o, which is a part of owner, a handle: free releases its C handle when owner becomes unreachable.
func manage[T any](owner *T, o *object, name string, key gateKey, free func()) {
	o.name, o.gate, o.gone = name, enterGate(key), make(chan struct{})
	o.rest = &remains{free: free, gate: key}
	runtime.AddCleanup(owner, (*remains).release, o.rest)
}

// release is the last resort for an object that became unreachable.
func (r *remains) release() {
	if r.exposed.Load() && !r.closed.Load() {
		return // somebody may still use the bytes: better to keep them than to let them dangle
	}
	if !r.closed.Load() {
		leaveGate(r.gate)
	}
	r.free()
}

// close marks the handle as closed and then closes its C handle. When the library refuses, nothing has changed.
func (o *object) close(native func() error) error {
	o.closing.Lock()
	defer o.closing.Unlock()
	before := o.closed.Swap(true)
	if err := native(); err != nil {
		o.closed.Store(before)
		return err
	}
	if !before {
		o.rest.closed.Store(true)
		leaveGate(o.rest.gate)
		close(o.gone)
	}
	return nil
}

// isClosed reports whether the handle is closed, once a Close under way has decided.
func (o *object) isClosed() bool {
	return o.closed.Load() && o.settledClosed()
}

func (o *object) settledClosed() bool {
	o.closing.Lock()
	defer o.closing.Unlock()
	return o.closed.Load()
}

// orClosed replaces the time-out of a wait by the error of a closed handle if that is what this is.
func (o *object) orClosed(err error, refuse func() error) error {
	if kindOf(err) == ErrTimeout && o.isClosed() {
		return refuse()
	}
	return err
}

// RemoveObject removes a named object of any kind from the region: its name and its memory are free again.
//
// Errors: [ErrNotFound], [ErrBusy] while a living process has it open, [ErrReadOnly], [ErrClosed].
func (r *Region) RemoveObject(name string) error {
	return r.withName("remove object", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_region_remove_object(r.native(), name, details)
	})
}

// withName calls a C function with the name of an object of this region.
func (r *Region) withName(operation, name string, call func(*C.char, *C.shmkit_error_t) C.shmkit_status_t) error {
	text, err := newCString(operation, name)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(text))
	details := newDetails()
	status := call(text, &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// meetingPoint returns the key of an object's gate when the object has no word of its own to meet at.
func (r *Region) meetingPoint(kind, name string) gateKey {
	return gateKey{r.guard.me, kind + " " + name}
}

// describe is the String method of the named objects.
func (o *object) describe(kind string) string { return fmt.Sprintf("shmkit.%s(%q)", kind, o.name) }
