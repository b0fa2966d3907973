package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"runtime"
)

// ObjectMode says what opening a named object may do.
type ObjectMode uint32

// The modes.
const (
	// Finds the object, or creates it when it is missing.
	FindOrCreate ObjectMode = C.SHMKIT_OBJECT_MODE_FIND_OR_CREATE
	// Finds it; fails with [ErrNotFound] when it is missing.
	Find ObjectMode = C.SHMKIT_OBJECT_MODE_FIND
	// Creates it; fails with [ErrAlreadyExists] when it is there.
	CreateNew ObjectMode = C.SHMKIT_OBJECT_MODE_CREATE
)

// WithMode returns another handle on the same region, through which named objects are only found, only created, or either. It is
// closed like any other.
//
// Errors: [ErrInvalidArgument], [ErrClosed].
func (r *Region) WithMode(mode ObjectMode) (*Region, error) {
	return newRegion("clone region", r.Name(), func(_ *C.char, out **C.shmkit_region_t, e *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_region_with_mode(r.native(), C.uint32_t(mode), out, e)
		runtime.KeepAlive(r)
		return status
	})
}

// ObjectInfo tells of a named object.
type ObjectInfo struct {
	Name string
	// What it is, by the number that all languages share.
	Kind ObjectKind
	// How many living processes have it open.
	Users int
	// The numbers it was created with.
	Parameters [2]uint64
	// How much it takes in the region.
	Bytes int
}

// ObjectKind says what a named object is.
type ObjectKind uint32

// The kinds.
const (
	KindMutex            ObjectKind = C.SHMKIT_OBJECT_KIND_MUTEX
	KindRwLock           ObjectKind = C.SHMKIT_OBJECT_KIND_RW_LOCK
	KindSemaphore        ObjectKind = C.SHMKIT_OBJECT_KIND_SEMAPHORE
	KindTrackedSemaphore ObjectKind = C.SHMKIT_OBJECT_KIND_TRACKED_SEMAPHORE
	KindCondvar          ObjectKind = C.SHMKIT_OBJECT_KIND_CONDVAR
	KindEvent            ObjectKind = C.SHMKIT_OBJECT_KIND_EVENT
	KindBarrier          ObjectKind = C.SHMKIT_OBJECT_KIND_BARRIER
	KindAtomicU32        ObjectKind = C.SHMKIT_OBJECT_KIND_ATOMIC_U32
	KindAtomicU64        ObjectKind = C.SHMKIT_OBJECT_KIND_ATOMIC_U64
	KindAtomicI64        ObjectKind = C.SHMKIT_OBJECT_KIND_ATOMIC_I64
	KindHeap             ObjectKind = C.SHMKIT_OBJECT_KIND_HEAP
	KindPool             ObjectKind = C.SHMKIT_OBJECT_KIND_POOL
	KindValue            ObjectKind = C.SHMKIT_OBJECT_KIND_VALUE
)

// Objects returns the named objects of the region, in the order of their names. It works on a read-only region, changes nothing
// and waits for nobody. What comes and goes meanwhile may be among them or not.
//
// Errors: [ErrCorrupted], [ErrClosed].
func (r *Region) Objects() ([]ObjectInfo, error) {
	var objects []ObjectInfo
	details := newDetails()
	info := C.shmkit_object_info_t{size: C.sizeof_shmkit_object_info_t}
	for {
		status := C.shmkit_region_next_object(r.native(), &info.name[0], &info, &details)
		runtime.KeepAlive(r)
		if status == C.SHMKIT_NOT_FOUND {
			return objects, nil
		}
		if status != C.SHMKIT_OK {
			return nil, newError(status, &details)
		}
		objects = append(objects, objectInfo(&info))
	}
}

// FindObject tells of the named object of this name, of whatever kind. Errors: also [ErrNotFound].
func (r *Region) FindObject(name string) (ObjectInfo, error) {
	info := C.shmkit_object_info_t{size: C.sizeof_shmkit_object_info_t}
	err := r.withName("find object", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_region_find_object(r.native(), name, &info, details)
	})
	return objectInfo(&info), err
}

func objectInfo(info *C.shmkit_object_info_t) ObjectInfo {
	return ObjectInfo{
		Name:       C.GoString(&info.name[0]),
		Kind:       ObjectKind(info.kind),
		Users:      int(info.users),
		Parameters: [2]uint64{uint64(info.parameters[0]), uint64(info.parameters[1])},
		Bytes:      int(info.bytes),
	}
}
