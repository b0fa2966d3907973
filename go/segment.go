package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Segment is the thing that is mapped: a POSIX shared memory object, a file, or memory that only its descriptor names.
//
// All methods may be called from any goroutine.
type Segment struct {
	handle   *segmentHandle
	name     string
	writable bool
}

// A segmentHandle is what remains to be released when a Segment becomes unreachable.
type segmentHandle struct {
	// Held for reading during calls, for writing by the one that closes.
	use     sync.RWMutex
	pointer *C.shmkit_segment_t
}

// Seals are promises about a memfd that its receivers can rely on: nobody can break a seal. They combine with |.
type Seals uint32

// What can be sealed.
const (
	// No more seals can be added.
	SealSeal Seals = C.SHMKIT_SEAL_SEAL
	// It never becomes shorter: a mapping of it can be touched without a check.
	SealShrink Seals = C.SHMKIT_SEAL_SHRINK
	// It never becomes longer.
	SealGrow Seals = C.SHMKIT_SEAL_GROW
	// Its bytes never change. Refused with [ErrBusy] while somebody has it mapped for writing.
	SealWrite Seals = C.SHMKIT_SEAL_WRITE
	// Its bytes change only through the writable mappings that exist already.
	SealFutureWrite Seals = C.SHMKIT_SEAL_FUTURE_WRITE
	// Its permission to be executed never changes. The kernel sets it on what cannot be executed.
	SealExec Seals = C.SHMKIT_SEAL_EXEC
)

// String returns the names of the seals, for people.
func (s Seals) String() string {
	var names []string
	for i, name := range []string{"seal", "shrink", "grow", "write", "future_write", "exec"} {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// CreateSegment creates an object of length zeros, all of them backed by storage. It takes [WithMode], [WithGroup] and
// [AsFile].
//
// Errors: [ErrAlreadyExists], [ErrInvalidName], [ErrInvalidLength], [ErrInvalidArgument], [ErrNoSpace],
// [ErrPermissionDenied].
func CreateSegment(name string, length int64, opts ...Option) (*Segment, error) {
	return newSegment("create segment", name, opts, func(name *C.char, options *C.shmkit_segment_options_t, out **C.shmkit_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_segment_create(name, C.uint64_t(length), options, out, e)
	})
}

// OpenSegment opens an object that exists; it takes [ReadOnly] and [AsFile].
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrInvalidName], [ErrWrongKind] (no regular file).
func OpenSegment(name string, opts ...Option) (*Segment, error) {
	return newSegment("open segment", name, opts, func(name *C.char, options *C.shmkit_segment_options_t, out **C.shmkit_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_segment_open(name, options, out, e)
	})
}

// NewMemfd makes memory of length zeros that only its descriptor names, and that can be sealed; the label shows in
// /proc/PID/maps.
//
// Errors: [ErrInvalidLength], [ErrInvalidName] (more than 249 bytes), [ErrNoSpace].
func NewMemfd(label string, length int64) (*Segment, error) {
	return newSegment("create memfd", label, nil, func(label *C.char, _ *C.shmkit_segment_options_t, out **C.shmkit_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_segment_memfd(label, C.uint64_t(length), out, e)
	})
}

// SegmentFromFile opens the object behind a file that is open, for example one that was inherited: os.NewFile(3, ""). The
// file stays the caller's and may be closed afterwards; whether the segment is writable is what it says.
//
// Errors: [ErrWrongKind] (neither a file nor memory), [ErrIO] (it is closed).
func SegmentFromFile(file *os.File) (*Segment, error) {
	var segment *Segment
	err := withDescriptor(file, "open descriptor", func(fd uintptr) (err error) {
		segment, err = segmentFromDescriptor(int(fd))
		return err
	})
	return segment, err
}

func segmentFromDescriptor(fd int) (*Segment, error) {
	return newSegment("open descriptor", "", nil, func(_ *C.char, _ *C.shmkit_segment_options_t, out **C.shmkit_segment_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_segment_from_fd(C.int(fd), out, e)
	})
}

// UnlinkSegment removes a name; it takes [AsFile]. Processes that have the object open keep it; its memory goes with the
// last of them.
//
// Errors: [ErrNotFound], [ErrInvalidName], [ErrPermissionDenied].
func UnlinkSegment(name string, opts ...Option) error {
	text, err := newCString("unlink segment", name)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(text))
	options, err := segmentOptions("unlink segment", name, opts)
	if err != nil {
		return err
	}
	details := newDetails()
	return failure(C.shmkit_segment_unlink(text, options, &details), &details)
}

// segmentOptions turns the options of regions, which are those of segments too, into the library's.
func segmentOptions(operation, name string, opts []Option) (*C.shmkit_segment_options_t, error) {
	region := regionOptions(opts)
	const known = C.SHMKIT_REGION_PATH | C.SHMKIT_REGION_READ_ONLY | C.SHMKIT_REGION_GROUP
	if region.flags&^known != 0 || region.attachments != 0 || region.arena_len != 0 {
		return nil, refusal(ErrInvalidArgument, operation, name, "a segment has neither attachments nor an arena")
	}
	options := &C.shmkit_segment_options_t{size: C.sizeof_shmkit_segment_options_t, mode: region.mode, group: region.group}
	for _, flag := range [][2]C.uint32_t{
		{C.SHMKIT_REGION_PATH, C.SHMKIT_SEGMENT_PATH},
		{C.SHMKIT_REGION_READ_ONLY, C.SHMKIT_SEGMENT_READ_ONLY},
		{C.SHMKIT_REGION_GROUP, C.SHMKIT_SEGMENT_GROUP},
	} {
		if region.flags&flag[0] != 0 {
			options.flags |= flag[1]
		}
	}
	return options, nil
}

// segmentOpener is a C function that makes a segment.
type segmentOpener func(name *C.char, options *C.shmkit_segment_options_t, out **C.shmkit_segment_t, details *C.shmkit_error_t) C.shmkit_status_t

func newSegment(operation, name string, opts []Option, open segmentOpener) (*Segment, error) {
	text, err := newCString(operation, name)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	options, err := segmentOptions(operation, name, opts)
	if err != nil {
		return nil, err
	}
	details := newDetails()
	var pointer *C.shmkit_segment_t
	if status := open(text, options, &pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	s := &Segment{handle: &segmentHandle{pointer: pointer}, name: name, writable: bool(C.shmkit_segment_is_writable(pointer))}
	runtime.AddCleanup(s, (*segmentHandle).release, s.handle)
	return s, nil
}

func (h *segmentHandle) release() {
	h.use.Lock()
	defer h.use.Unlock()
	C.shmkit_segment_free(h.pointer)
	h.pointer = nil
}

// during calls a function with the C handle, which stays open meanwhile.
func (s *Segment) during(operation string, call func(pointer *C.shmkit_segment_t) error) error {
	s.handle.use.RLock()
	defer s.handle.use.RUnlock()
	if s.handle.pointer == nil {
		return refusal(ErrClosed, operation, s.name, "")
	}
	err := call(s.handle.pointer)
	runtime.KeepAlive(s)
	return err
}

// Map maps the segment: without options all of it, shared, for reading.
//
// Errors: [ErrReadOnly] (writing is asked, and it is open for reading or sealed), [ErrInvalidLength], [ErrOutOfRange],
// [ErrNoSpace], [ErrInvalidArgument], [ErrClosed].
func (s *Segment) Map(opts ...MapOption) (*Mapping, error) {
	options := mapOptions(opts)
	var pointer *C.shmkit_mapping_t
	err := s.during("map segment", func(segment *C.shmkit_segment_t) error {
		details := newDetails()
		return failure(C.shmkit_segment_map(segment, options, &pointer, &details), &details)
	})
	if err != nil {
		return nil, err
	}
	return newMapping(pointer, s.name, Protection(options.protection)), nil
}

// Seal adds seals, which nobody can break.
//
// Errors: [ErrBusy] ([SealWrite] while somebody has it mapped for writing), [ErrPermissionDenied] (sealed against further
// seals, or open for reading only), [ErrUnsupported] (no memfd), [ErrInvalidArgument] (unknown seals), [ErrClosed].
func (s *Segment) Seal(seals Seals) error {
	return s.during("seal segment", func(segment *C.shmkit_segment_t) error {
		details := newDetails()
		return failure(C.shmkit_segment_seal(segment, C.uint32_t(seals), &details), &details)
	})
}

// Seals returns the seals that are set. Errors: [ErrUnsupported] (no memfd), [ErrClosed].
func (s *Segment) Seals() (Seals, error) {
	var seals C.uint32_t
	err := s.during("read seals", func(segment *C.shmkit_segment_t) error {
		details := newDetails()
		return failure(C.shmkit_segment_seals(segment, &seals, &details), &details)
	})
	return Seals(seals), err
}

// Len returns the number of bytes, now. Errors: [ErrClosed], [ErrIO].
func (s *Segment) Len() (int64, error) {
	var length C.uint64_t
	err := s.during("measure segment", func(segment *C.shmkit_segment_t) error {
		details := newDetails()
		return failure(C.shmkit_segment_len(segment, &length, &details), &details)
	})
	return int64(length), err
}

// File returns a file on a new descriptor of the segment, for exec.Cmd.ExtraFiles or to be sent; it is the caller's to
// close.
//
// Errors: [ErrClosed], [ErrOutOfMemory] (no descriptor is free).
func (s *Segment) File() (*os.File, error) {
	var file *os.File
	err := s.during("duplicate descriptor", func(segment *C.shmkit_segment_t) error {
		fd, err := duplicate(int(C.shmkit_segment_fileno(segment)))
		if err != nil {
			return wrapErrno(err, "duplicate descriptor", s.name)
		}
		file = os.NewFile(uintptr(fd), s.name)
		return nil
	})
	return file, err
}

// Name returns the name, path or label it was made or opened with.
func (s *Segment) Name() string { return s.name }

// ReadOnly reports whether it is open for reading only.
func (s *Segment) ReadOnly() bool { return !s.writable }

// String returns the name, for people.
func (s *Segment) String() string { return fmt.Sprintf("shmkit.Segment(%q)", s.name) }

// Close closes the segment's descriptor; repeating it does nothing. Mappings of it stay, and so does its name.
func (s *Segment) Close() error {
	s.handle.release()
	return nil
}
