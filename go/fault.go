package shmkit

// #include <shmkit.h>
import "C"

import (
	"runtime"
	"sync/atomic"
)

// SetFaultGuard turns the fault guard off, or on again, for everything that this process maps from now on. Without it, a
// file that is cut while it is mapped stops the program that touches what is missing: see [Mapping.Check].
func SetFaultGuard(enabled bool) { C.shmkit_set_fault_guard(C.bool(enabled)) }

// Check reports whether the bytes still are the file's.
//
// A file can be cut while it is mapped, and a file system can be full when a hole in a file is first touched. Touching such
// a page would stop the program (SIGBUS); under the fault guard it reads as zeros, what is stored there is lost, and from
// then on this and every other call of the mapping that can fail does: close it, and map the file again. The bytes that
// [Mapping.Bytes] returns ask nobody: call Check after using them. [Mapping.View] checks when its function returns. System
// calls that are given such bytes fail with EFAULT. Everything else about signals and panics stays as Go has it.
//
// Errors: [ErrMappingTruncated] (also when nobody has touched the missing pages yet), [ErrNoSpace], [ErrIO], [ErrClosed].
func (m *Mapping) Check() error {
	details := newDetails()
	status := C.shmkit_mapping_check(m.native(), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// Guarded reports whether the fault guard watches the mapping: not without a file, and not with [WithoutFaultGuard].
func (m *Mapping) Guarded() bool { return m.damage != nil }

// Check reports whether the region's file has lost pages, which somebody who may write it can do. Touching what is missing
// would stop the program (SIGBUS); under the fault guard it reads as zeros, and from then on everything but closing fails, for
// the region and for the objects in it, and no lock is taken. Other processes find out for themselves.
//
// Errors: [ErrMappingTruncated] (also when nobody has touched the missing pages yet), [ErrClosed].
func (r *Region) Check() error {
	details := newDetails()
	status := C.shmkit_region_check(r.native(), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// A damageWord belongs to the library: 0 until a page was replaced by zeros; nil without the guard. The words stay readable
// for ever.
type damageWord = *uint32

// isDamaged reports whether bytes that were just copied may be zeros in place of a page that the file has lost.
func isDamaged(word damageWord) bool { return word != nil && atomic.LoadUint32(word) != 0 }
