package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"time"
)

// SysvPrivate is the key of what has none (IPC_PRIVATE): only its id leads to it.
const SysvPrivate = C.SHMKIT_SYSV_PRIVATE

// SysvSegment is a System V shared memory segment: the kernel keeps it by an id and, unless its key is [SysvPrivate], under
// a key. Nothing must be closed; it lives until it is removed and its last mapping is gone.
//
// Programs that use the system calls themselves, in any language, are on the same memory.
type SysvSegment struct {
	pointer *C.shmkit_sysv_segment_t
}

// SysvSegmentStatus is what the kernel knows of a segment.
type SysvSegmentStatus struct {
	// SysvPrivate for none, also once it was removed.
	Key int32
	Len uint64
	// How many mappings there are, in all processes.
	Attached     uint64
	Mode         fs.FileMode
	Owner, Group uint32
	CreatorPID   int
	// Who attached or detached last; 0 for nobody yet.
	LastPID int
	// It goes with its last mapping.
	Removed bool
}

func newSysvSegment(open func(out **C.shmkit_sysv_segment_t, details *C.shmkit_error_t) C.shmkit_status_t) (*SysvSegment, error) {
	details := newDetails()
	s := &SysvSegment{}
	if status := open(&s.pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	runtime.AddCleanup(s, func(pointer *C.shmkit_sysv_segment_t) { C.shmkit_sysv_segment_free(pointer) }, s.pointer)
	return s, nil
}

// CreateSysvSegment creates a segment of length zeros; a mode of 0 is 0600.
//
// Errors: [ErrAlreadyExists], [ErrInvalidLength], [ErrInvalidArgument] (the mode), [ErrNoSpace] (a limit of the system),
// [ErrOutOfMemory].
func CreateSysvSegment(key int32, length int, mode fs.FileMode) (*SysvSegment, error) {
	return newSysvSegment(func(out **C.shmkit_sysv_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_segment_create(C.int32_t(key), C.size_t(length), C.uint32_t(mode), out, e)
	})
}

// OpenSysvSegment opens the segment of this key, whoever made it.
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrInvalidArgument] ([SysvPrivate]).
func OpenSysvSegment(key int32) (*SysvSegment, error) {
	return newSysvSegment(func(out **C.shmkit_sysv_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_segment_open(C.int32_t(key), out, e)
	})
}

// OpenOrCreateSysvSegment opens the segment of this key, or creates it.
//
// Errors: [ErrSizeMismatch] when it exists with another length; those of [OpenSysvSegment] and [CreateSysvSegment].
func OpenOrCreateSysvSegment(key int32, length int, mode fs.FileMode) (*SysvSegment, error) {
	return newSysvSegment(func(out **C.shmkit_sysv_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_segment_open_or_create(C.int32_t(key), C.size_t(length), C.uint32_t(mode), out, e)
	})
}

// SysvSegmentFromID opens a segment by the id that another process has of it. Errors: [ErrNotFound], [ErrPermissionDenied].
func SysvSegmentFromID(id int) (*SysvSegment, error) {
	return newSysvSegment(func(out **C.shmkit_sysv_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_segment_from_id(C.int32_t(id), out, e)
	})
}

// native returns the C handle. Whoever uses it keeps s alive until the call has returned.
func (s *SysvSegment) native() *C.shmkit_sysv_segment_t {
	pointer := s.pointer
	collectHere()
	return pointer
}

// ID returns the kernel's number for it, which another process can open.
func (s *SysvSegment) ID() int {
	id := C.shmkit_sysv_segment_id(s.native())
	runtime.KeepAlive(s)
	return int(id)
}

// Key returns the key; [SysvPrivate] for none.
func (s *SysvSegment) Key() int32 {
	key := C.shmkit_sysv_segment_key(s.native())
	runtime.KeepAlive(s)
	return int32(key)
}

// Len returns the number of bytes.
func (s *SysvSegment) Len() int {
	length := C.shmkit_sysv_segment_len(s.native())
	runtime.KeepAlive(s)
	return int(length)
}

// String returns the key or id, for people.
func (s *SysvSegment) String() string {
	if key := s.Key(); key != SysvPrivate {
		return fmt.Sprintf("shmkit.SysvSegment(key %#x)", uint32(key))
	}
	return fmt.Sprintf("shmkit.SysvSegment(id %d)", s.ID())
}

// Map attaches the segment, whole and shared: without options for reading. Closing the mapping detaches it.
//
// Errors: [ErrNotFound] (it was removed), [ErrPermissionDenied], [ErrOutOfRange], [ErrInvalidArgument] (an offset, another
// length, and whatever else such a segment cannot have).
func (s *SysvSegment) Map(opts ...MapOption) (*Mapping, error) {
	options := mapOptions(opts)
	details := newDetails()
	var pointer *C.shmkit_mapping_t
	status := C.shmkit_sysv_segment_map(s.native(), options, &pointer, &details)
	runtime.KeepAlive(s)
	if status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	return newMapping(pointer, s.String(), Protection(options.protection)), nil
}

// Status returns what the kernel knows of it. Errors: [ErrNotFound] (it is gone), [ErrPermissionDenied].
func (s *SysvSegment) Status() (*SysvSegmentStatus, error) {
	details := newDetails()
	found := C.shmkit_sysv_segment_status_t{size: C.sizeof_shmkit_sysv_segment_status_t}
	status := C.shmkit_sysv_segment_status(s.native(), &found, &details)
	runtime.KeepAlive(s)
	if status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	return &SysvSegmentStatus{
		Key: int32(found.key), Len: uint64(found.len), Attached: uint64(found.attached),
		Mode: fs.FileMode(found.mode), Owner: uint32(found.owner), Group: uint32(found.group),
		CreatorPID: int(found.creator_pid), LastPID: int(found.last_pid), Removed: found.removed != 0,
	}, nil
}

// Remove removes it: its key is free at once, its memory goes with the last mapping.
//
// Errors: [ErrNotFound] (it is gone), [ErrPermissionDenied] (neither owner nor creator).
func (s *SysvSegment) Remove() error {
	details := newDetails()
	status := C.shmkit_sysv_segment_remove(s.native(), &details)
	runtime.KeepAlive(s)
	return failure(status, &details)
}

// SysvSemaphore is one semaphore of a System V set. What this process took comes back when it ends, and what it gave is
// taken back, unless [WithoutUndo] turns that off. Nothing must be closed; the set lives until it is removed.
type SysvSemaphore struct {
	pointer *C.shmkit_sysv_semaphore_t
	gate    *gate
}

// SysvSemaphoreStatus is what the kernel knows of a semaphore.
type SysvSemaphoreStatus struct {
	// Permits that are available.
	Value int
	// How many wait for permits, and how many for it to be 0.
	Waiting, WaitingForZero int
	// Process of the last operation; 0 for none yet.
	LastPID int
	Mode    fs.FileMode
}

// A SysvSemaphoreOption says how a semaphore is made and used.
type SysvSemaphoreOption func(*C.shmkit_sysv_semaphore_options_t)

// WithSetMode sets the permission bits of a new set. Without it, or with 0, they are 0600.
func WithSetMode(mode fs.FileMode) SysvSemaphoreOption {
	return func(o *C.shmkit_sysv_semaphore_options_t) { o.mode = C.uint32_t(mode) }
}

// WithSetCount sets how many semaphores a new set has; the first value is given to each. Without it there is one.
func WithSetCount(count int) SysvSemaphoreOption {
	return func(o *C.shmkit_sysv_semaphore_options_t) { o.count = count32(count) }
}

// WithSetIndex says which semaphore of the set is meant, from 0.
func WithSetIndex(index int) SysvSemaphoreOption {
	return func(o *C.shmkit_sysv_semaphore_options_t) { o.index = count32(index) }
}

// WithoutUndo makes what this process does stay when it ends: for signals, where one process only gives and another only
// takes.
func WithoutUndo() SysvSemaphoreOption {
	return func(o *C.shmkit_sysv_semaphore_options_t) { o.flags |= C.SHMKIT_SYSV_NO_UNDO }
}

func newSysvSemaphore(opts []SysvSemaphoreOption, open func(options *C.shmkit_sysv_semaphore_options_t, out **C.shmkit_sysv_semaphore_t, details *C.shmkit_error_t) C.shmkit_status_t) (*SysvSemaphore, error) {
	options := &C.shmkit_sysv_semaphore_options_t{size: C.sizeof_shmkit_sysv_semaphore_options_t}
	for _, set := range opts {
		set(options)
	}
	details := newDetails()
	s := &SysvSemaphore{}
	if status := open(options, &s.pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	key := gateKey{name: fmt.Sprintf("System V semaphore %d of %d", options.index, C.shmkit_sysv_semaphore_id(s.pointer))}
	s.gate = enterGate(key)
	pointer := s.pointer
	runtime.AddCleanup(s, func(key gateKey) {
		leaveGate(key)
		C.shmkit_sysv_semaphore_free(pointer)
	}, key)
	return s, nil
}

// CreateSysvSemaphore creates a set whose semaphores have so many permits.
//
// Errors: [ErrAlreadyExists], [ErrInvalidArgument] (more than 32767 permits, an index beyond the count, the mode),
// [ErrNoSpace] (a limit of the system).
func CreateSysvSemaphore(key int32, initial int, opts ...SysvSemaphoreOption) (*SysvSemaphore, error) {
	return newSysvSemaphore(opts, func(options *C.shmkit_sysv_semaphore_options_t, out **C.shmkit_sysv_semaphore_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_semaphore_create(C.int32_t(key), count32(initial), options, out, e)
	})
}

// OpenSysvSemaphore opens the semaphore of this key, whoever made it.
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrOutOfRange] (the set has no semaphore of this index),
// [ErrInvalidArgument] ([SysvPrivate]).
func OpenSysvSemaphore(key int32, opts ...SysvSemaphoreOption) (*SysvSemaphore, error) {
	return newSysvSemaphore(opts, func(options *C.shmkit_sysv_semaphore_options_t, out **C.shmkit_sysv_semaphore_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_semaphore_open(C.int32_t(key), options, out, e)
	})
}

// OpenOrCreateSysvSemaphore opens the semaphore of this key, or creates it. One that another process is just creating is
// opened when it has its permits.
//
// Errors: [ErrTimeout] when it never had permits although some are expected: its creator died, or nobody used it yet
// ([OpenSysvSemaphore] takes it as it is); those of [OpenSysvSemaphore] and [CreateSysvSemaphore].
func OpenOrCreateSysvSemaphore(key int32, initial int, opts ...SysvSemaphoreOption) (*SysvSemaphore, error) {
	return newSysvSemaphore(opts, func(options *C.shmkit_sysv_semaphore_options_t, out **C.shmkit_sysv_semaphore_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_semaphore_open_or_create(C.int32_t(key), count32(initial), options, out, e)
	})
}

// SysvSemaphoreFromID opens a semaphore by the id that another process has of its set. Errors: as [OpenSysvSemaphore].
func SysvSemaphoreFromID(id int, opts ...SysvSemaphoreOption) (*SysvSemaphore, error) {
	return newSysvSemaphore(opts, func(options *C.shmkit_sysv_semaphore_options_t, out **C.shmkit_sysv_semaphore_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_sysv_semaphore_from_id(C.int32_t(id), options, out, e)
	})
}

// native returns the C handle. Whoever uses it keeps s alive until the call has returned.
func (s *SysvSemaphore) native() *C.shmkit_sysv_semaphore_t {
	pointer := s.pointer
	collectHere()
	return pointer
}

// ID returns the kernel's number for the set, which another process can open.
func (s *SysvSemaphore) ID() int {
	id := C.shmkit_sysv_semaphore_id(s.native())
	runtime.KeepAlive(s)
	return int(id)
}

// Key returns the key of the set; [SysvPrivate] for none.
func (s *SysvSemaphore) Key() int32 {
	key := C.shmkit_sysv_semaphore_key(s.native())
	runtime.KeepAlive(s)
	return int32(key)
}

// Acquire takes so many permits at once (P), waiting until they are there or ctx ends. One goroutine of the process at a
// time waits in the kernel, and follows ctx within 15 ms; the others wait like for a channel.
//
// Errors: [ErrTimeout] and [ErrInterrupted] (ctx), [ErrNotFound] (the set was removed, also meanwhile),
// [ErrInvalidArgument] (0, or more than 32767).
func (s *SysvSemaphore) Acquire(ctx context.Context, permits int) error {
	if taken, err := s.TryAcquire(permits); taken || err != nil {
		return err
	}
	err := s.gate.wait(ctx, nil, func(atMost time.Duration) error {
		details := newDetails()
		status := C.shmkit_sysv_semaphore_acquire_wait(s.native(), count32(permits), timeoutOf(atMost), 0, &details)
		runtime.KeepAlive(s)
		return failure(status, &details)
	})
	return err
}

// TryAcquire takes so many permits if they are there, and reports whether it did. Errors: as [SysvSemaphore.Acquire].
func (s *SysvSemaphore) TryAcquire(permits int) (bool, error) {
	details := newDetails()
	status := C.shmkit_sysv_semaphore_try_acquire(s.native(), count32(permits), &details)
	runtime.KeepAlive(s)
	return tried(status, &details)
}

// Release gives so many permits (V); anybody may.
//
// Errors: [ErrLimitExceeded] (there would be more than 32767), [ErrNotFound], [ErrInvalidArgument] (0, or more than 32767).
func (s *SysvSemaphore) Release(permits int) error {
	details := newDetails()
	status := C.shmkit_sysv_semaphore_release(s.native(), count32(permits), &details)
	runtime.KeepAlive(s)
	return failure(status, &details)
}

// WaitForZero waits until no permit is there or ctx ends. Each goroutine that waits needs an OS thread for as long.
//
// Errors: as [SysvSemaphore.Acquire].
func (s *SysvSemaphore) WaitForZero(ctx context.Context) error {
	for {
		slice := nextSlice(ctx)
		details := newDetails()
		status := C.shmkit_sysv_semaphore_zero_wait(s.native(), timeoutOf(slice), 0, &details)
		runtime.KeepAlive(s)
		err := failure(status, &details)
		if slice == 0 || kindOf(err) != ErrTimeout {
			return because(ctx, err)
		}
	}
}

// SetValue sets the number of permits, whatever it was; what others would undo at their end is forgotten.
//
// Errors: [ErrInvalidArgument] (more than 32767), [ErrNotFound], [ErrPermissionDenied].
func (s *SysvSemaphore) SetValue(value int) error {
	details := newDetails()
	status := C.shmkit_sysv_semaphore_set_value(s.native(), count32(value), &details)
	runtime.KeepAlive(s)
	return failure(status, &details)
}

// Status returns what the kernel knows of it. Errors: [ErrNotFound] (it is gone), [ErrPermissionDenied].
func (s *SysvSemaphore) Status() (*SysvSemaphoreStatus, error) {
	details := newDetails()
	found := C.shmkit_sysv_semaphore_status_t{size: C.sizeof_shmkit_sysv_semaphore_status_t}
	status := C.shmkit_sysv_semaphore_status(s.native(), &found, &details)
	runtime.KeepAlive(s)
	if status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	return &SysvSemaphoreStatus{
		Value: int(found.value), Waiting: int(found.waiting), WaitingForZero: int(found.waiting_for_zero),
		LastPID: int(found.last_pid), Mode: fs.FileMode(found.mode),
	}, nil
}

// Remove removes the whole set; who waits in it gets [ErrNotFound].
//
// Errors: [ErrNotFound] (it is gone), [ErrPermissionDenied] (neither owner nor creator).
func (s *SysvSemaphore) Remove() error {
	details := newDetails()
	status := C.shmkit_sysv_semaphore_remove(s.native(), &details)
	runtime.KeepAlive(s)
	return failure(status, &details)
}
