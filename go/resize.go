package shmkit

// #include <shmkit.h>
import "C"

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Resize makes the mapping length bytes long, in place: slices and views keep their addresses and lengths. [WithReserve] says
// how long it can become. A file becomes longer if [WithCreate] or [WithGrow] was asked, and never shorter. Slices of
// [Mapping.Bytes] are no views: what they have beyond a shorter length reads as zeros.
//
// Errors: [ErrInvalidLength] (0), [ErrLimitExceeded] (more than was reserved), [ErrOutOfRange] (the file ends before it),
// [ErrNoSpace], [ErrBusy] (shrinking, while a view lives), [ErrClosed], and those of [Mapping.Check].
func (m *Mapping) Resize(length int) error {
	m.pages.Lock()
	defer m.pages.Unlock()
	details := newDetails()
	status := C.shmkit_mapping_resize(m.native(), C.uint64_t(length), &details)
	runtime.KeepAlive(m)
	if err := failure(status, &details); err != nil {
		return err
	}
	m.data = unsafe.Slice(unsafe.SliceData(m.data), length)
	return nil
}

// Capacity returns the most bytes that Resize can make of it.
func (m *Mapping) Capacity() int {
	capacity := int(C.shmkit_mapping_capacity(m.native()))
	runtime.KeepAlive(m)
	return capacity
}

// Resize gives the region length bytes, for all processes: they see it at their next use. New bytes are zeros, backed by
// storage. Nothing moves: slices and views keep their addresses and lengths, and see zeros where bytes were taken away. The
// guard is not taken.
//
// Errors: [ErrInvalidLength] (0), [ErrLimitExceeded] (more than the capacity), [ErrNoSpace], [ErrBusy] (shrinking, while a view
// of this handle lives), [ErrTimeout], [ErrReadOnly], [ErrClosed].
func (r *Region) Resize(length int) error {
	details := newDetails()
	status := C.shmkit_region_resize(r.native(), C.uint64_t(length), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Capacity returns the most bytes that the region can have: see [WithCapacity].
func (r *Region) Capacity() int { return len(r.space) }

// A knownLen is a length that the library has found to be right, and the word that said so.
type knownLen struct {
	word   uint64
	length int
}

// Len returns the number of user bytes, now: any process may [Region.Resize] the region.
func (r *Region) Len() int {
	word := r.lenWord
	collectHere()
	now := atomic.LoadUint64(word)
	known := r.known.Load()
	if known == nil || known.word != now {
		known = &knownLen{word: now, length: int(C.shmkit_region_len(r.native()))}
		r.known.Store(known)
	}
	runtime.KeepAlive(r)
	return known.length
}

// data returns the user bytes as they are now.
func (r *Region) data() []byte { return r.space[:r.Len()] }
