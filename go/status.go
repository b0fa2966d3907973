package shmkit

// #include <shmkit.h>
import "C"

import (
	"encoding/json"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Status is what goes on in a region. As JSON it is what every language of this library shows.
//
// Each time but CreatedNs is one of CLOCK_MONOTONIC, a clock that all processes of the machine share: its difference from
// Now is an age.
type Status struct {
	// Name or path.
	Name string `json:"name"`
	// User bytes.
	Len int `json:"len"`
	// The most user bytes that it can have.
	Capacity int `json:"capacity"`
	// Bytes for named objects, and how many of them belong to one, or did.
	ArenaLen  int `json:"arena_len"`
	ArenaUsed int `json:"arena_used"`
	// When this was seen.
	Now time.Duration `json:"now_ns"`
	// When the region was created, nanoseconds since 1970: time.Unix(0, CreatedNs).
	CreatedNs int64 `json:"created_ns"`
	// The creator's process id, in its own PID namespace.
	CreatorPID int `json:"creator_pid"`
	// How many processes can be attached at once.
	AttachmentLimit int `json:"attachment_limit"`
	// Every slot that somebody uses, or died in.
	Attachments []AttachmentStatus `json:"attachments"`
	// The guard, under an empty name, and then the named objects.
	Objects []ObjectStatus `json:"objects"`
}

// AttachmentStatus is one process's membership of a region.
type AttachmentStatus struct {
	// Index of its slot.
	Slot int `json:"slot"`
	// Whether the process lives, as the kernel says.
	Alive bool `json:"alive"`
	// Process id, in the process's own PID namespace.
	PID int `json:"pid"`
	// Inode number of that namespace.
	PIDNamespace uint64 `json:"pid_namespace"`
	// Command name.
	Label string `json:"label"`
	// When it attached.
	Attached time.Duration `json:"attached_ns"`
	// What one of its threads sleeps on: the object's name, empty for the guard. Nil when none does.
	WaitsFor *string `json:"waits_for"`
	// When that wait began. A wait under a context that can end is made of many, of 15 ms at most.
	Waits *time.Duration `json:"waits_ns"`
}

// Holder is who holds a lock.
type Holder struct {
	// Index of its slot.
	Slot int `json:"slot"`
	// Process id, 0 when the slot has a new owner.
	PID int `json:"pid"`
	// Whether it lives.
	Alive bool `json:"alive"`
	// Since when at least: when somebody first had to wait for it. Nil when nobody had; taking a free lock reads no clock.
	Since *time.Duration `json:"since_ns"`
}

// Share is what one process has of something that many can have: reading holds, permits, arrivals at a barrier.
type Share struct {
	// Index of its slot.
	Slot int `json:"slot"`
	// Process id, 0 when the slot has a new owner.
	PID int `json:"pid"`
	// Whether it lives.
	Alive bool `json:"alive"`
	// How many.
	Count int `json:"count"`
}

// ObjectStatus is one lock or other object of a region.
type ObjectStatus struct {
	// Name; empty for the guard.
	Name string `json:"name"`
	// What it is, for example "mutex".
	Kind string `json:"kind"`
	// Who locked it, or writes. Nil when nobody does.
	Holder *Holder `json:"holder"`
	// Holds, permits or arrivals by process.
	Shares []Share `json:"shares"`
	// Whether somebody may wait.
	HasWaiters bool `json:"has_waiters"`
	// Whether an owner died and nobody made it consistent since; of a barrier, whether it is broken.
	OwnerDied bool `json:"owner_died"`
	// How many owners have died.
	Deaths int `json:"deaths"`
	// Permits available, the value of an atomic, 1 for an event that is set, the parties of a barrier. Empty for what has
	// no number.
	Value json.Number `json:"value"`
	// Living processes that have it open.
	Users int `json:"users"`
}

// Abandoned reports whether no living process is attached.
func (s *Status) Abandoned() bool {
	for _, attachment := range s.Attachments {
		if attachment.Alive {
			return false
		}
	}
	return true
}

// Status looks at what goes on in the region: who is attached, who holds and waits for what since when, how many owners
// died. Looking changes nothing, works on a read-only region, and waits for nobody.
//
// Errors: [ErrClosed], [ErrCorrupted].
func (r *Region) Status() (*Status, error) {
	text, err := growing(func(buffer []byte, needed *C.size_t, details *C.shmkit_error_t) C.shmkit_status_t {
		place := (*C.char)(unsafe.Pointer(unsafe.SliceData(buffer)))
		status := C.shmkit_region_status(r.native(), place, C.size_t(len(buffer)), needed, details)
		runtime.KeepAlive(r)
		return status
	})
	if err != nil {
		return nil, err
	}
	status := new(Status)
	if err := json.Unmarshal(text, status); err != nil {
		return nil, &Error{Kind: ErrInternal, Op: "inspect region", Object: r.Name(), Errno: syscall.EIO, Message: err.Error()}
	}
	return status, nil
}

// List returns the names of all regions that are shared memory objects, in order. Those of other users too: opening them
// may be refused.
//
// Errors: [ErrPermissionDenied], [ErrIO].
func List() ([]string, error) {
	text, err := growing(func(buffer []byte, needed *C.size_t, details *C.shmkit_error_t) C.shmkit_status_t {
		place := (*C.char)(unsafe.Pointer(unsafe.SliceData(buffer)))
		return C.shmkit_region_list(place, C.size_t(len(buffer)), needed, details)
	})
	if err != nil {
		return nil, err
	}
	// Each name ends with a zero byte; the one that ended the list is off already.
	return strings.FieldsFunc(string(text), func(c rune) bool { return c == 0 }), nil
}

// growing calls a function that writes a text of any length, with more room until it fits, and returns the text without
// the zero byte at its end.
func growing(call func(buffer []byte, needed *C.size_t, details *C.shmkit_error_t) C.shmkit_status_t) ([]byte, error) {
	buffer := make([]byte, 8192)
	for {
		details := newDetails()
		var needed C.size_t
		status := call(buffer, &needed, &details)
		if status == C.SHMKIT_OK {
			return buffer[:needed-1], nil
		}
		if status != C.SHMKIT_OUT_OF_RANGE {
			return nil, newError(status, &details)
		}
		// It may have grown again until the next call.
		buffer = make([]byte, needed+needed/4)
	}
}
