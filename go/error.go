package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// ErrorKind says what went wrong. Its values are the sentinel errors of this package: errors.Is(err, shmkit.ErrBusy)
// asks whether err is of that kind, and a switch on [Error.Kind] works too.
//
// The numbers are those of all languages. Where Go has a sentinel of its own for the same thing, errors.Is knows that one
// as well: fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed, os.ErrDeadlineExceeded,
// context.DeadlineExceeded, errors.ErrUnsupported.
type ErrorKind uint32

// The kinds, each the sentinel of its errors.
const (
	// No object has this name.
	ErrNotFound ErrorKind = C.SHMKIT_NOT_FOUND
	// An object with this name exists already, and creation is exclusive.
	ErrAlreadyExists ErrorKind = C.SHMKIT_ALREADY_EXISTS
	// The system refused access.
	ErrPermissionDenied ErrorKind = C.SHMKIT_PERMISSION_DENIED
	// The name breaks the rules: [A-Za-z0-9._-], 1 to 200 bytes.
	ErrInvalidName ErrorKind = C.SHMKIT_INVALID_NAME
	// A length of zero, or one that no address space holds.
	ErrInvalidLength ErrorKind = C.SHMKIT_INVALID_LENGTH
	// Options that contradict each other, or a value outside its limits.
	ErrInvalidArgument ErrorKind = C.SHMKIT_INVALID_ARGUMENT
	// An offset or a range that leaves the mapping.
	ErrOutOfRange ErrorKind = C.SHMKIT_OUT_OF_RANGE
	// The file system cannot hold the length asked for.
	ErrNoSpace ErrorKind = C.SHMKIT_NO_SPACE
	// The system is out of memory, mappings or descriptors.
	ErrOutOfMemory ErrorKind = C.SHMKIT_OUT_OF_MEMORY
	// The file does not begin as an object of this library does.
	ErrBadMagic ErrorKind = C.SHMKIT_BAD_MAGIC
	// The object was written by another layout version.
	ErrVersionMismatch ErrorKind = C.SHMKIT_VERSION_MISMATCH
	// The name belongs to an object of another kind.
	ErrWrongKind ErrorKind = C.SHMKIT_WRONG_KIND
	// The file is shorter than the object it holds.
	ErrTruncated ErrorKind = C.SHMKIT_TRUNCATED
	// The object's own description contradicts itself.
	ErrCorrupted ErrorKind = C.SHMKIT_CORRUPTED
	// The object exists with another size than the one asked for.
	ErrSizeMismatch ErrorKind = C.SHMKIT_SIZE_MISMATCH
	// The name now belongs to another object than the one meant.
	ErrReplaced ErrorKind = C.SHMKIT_REPLACED
	// A write through a read-only handle or view.
	ErrReadOnly ErrorKind = C.SHMKIT_READ_ONLY
	// The handle was closed.
	ErrClosed ErrorKind = C.SHMKIT_CLOSED
	// Something is still in use: a live view, or a lock that is held.
	ErrBusy ErrorKind = C.SHMKIT_BUSY
	// The last owner died while it held the lock; what the lock guards may be half-written. The lock IS HELD by whoever
	// gets this error.
	ErrOwnerDied ErrorKind = C.SHMKIT_OWNER_DIED
	// The time limit passed.
	ErrTimeout ErrorKind = C.SHMKIT_TIMEOUT
	// The lock is held by somebody else, and waiting was not asked for.
	ErrWouldBlock ErrorKind = C.SHMKIT_WOULD_BLOCK
	// This process does not hold the lock, or does not have the block.
	ErrNotOwner ErrorKind = C.SHMKIT_NOT_OWNER
	// The context was cancelled during the wait.
	ErrInterrupted ErrorKind = C.SHMKIT_INTERRUPTED
	// All attachment slots of the region belong to living processes.
	ErrTooManyAttachments ErrorKind = C.SHMKIT_TOO_MANY_ATTACHMENTS
	// The system or the file system lacks something that is needed here.
	ErrUnsupported ErrorKind = C.SHMKIT_UNSUPPORTED
	// The system reported an error that has no kind of its own: see the errno.
	ErrIO ErrorKind = C.SHMKIT_IO
	// A defect in the library: it stopped before it could do harm.
	ErrInternal ErrorKind = C.SHMKIT_INTERNAL
	// The object exists with other parameters than those asked for.
	ErrParameterMismatch ErrorKind = C.SHMKIT_PARAMETER_MISMATCH
	// A participant of the barrier died, or somebody broke it.
	ErrBroken ErrorKind = C.SHMKIT_BROKEN
	// More than the object's maximum.
	ErrLimitExceeded ErrorKind = C.SHMKIT_LIMIT_EXCEEDED
	// Not a block of this object that is in use, or not in use by this process.
	ErrInvalidBlock ErrorKind = C.SHMKIT_INVALID_BLOCK
	// What the handle named has passed to somebody else, or is gone.
	ErrStaleHandle ErrorKind = C.SHMKIT_STALE_HANDLE
	// The file under a mapping was cut while it was mapped: what was missing reads as zeros. It is an ErrTruncated too.
	ErrMappingTruncated ErrorKind = C.SHMKIT_MAPPING_TRUNCATED
	// What a reader of a log wanted next was removed before it came to it.
	ErrMissed ErrorKind = C.SHMKIT_MISSED
	// A record that is longer than the log takes.
	ErrRecordTooLarge ErrorKind = C.SHMKIT_RECORD_TOO_LARGE
)

// Name returns the name that all languages share, for example "NotFound".
func (k ErrorKind) Name() string { return C.GoString(C.shmkit_status_name(C.shmkit_status_t(k))) }

// Advice returns what to do next.
func (k ErrorKind) Advice() string { return C.GoString(C.shmkit_status_advice(C.shmkit_status_t(k))) }

// Error returns the name and what it means.
func (k ErrorKind) Error() string {
	return "shmkit: " + k.Name() + ": " + C.GoString(C.shmkit_status_description(C.shmkit_status_t(k)))
}

// Is reports whether target is the standard library's sentinel for this kind.
func (k ErrorKind) Is(target error) bool {
	switch k {
	case ErrNotFound:
		return target == fs.ErrNotExist
	case ErrAlreadyExists:
		return target == fs.ErrExist
	case ErrPermissionDenied, ErrReadOnly:
		return target == fs.ErrPermission
	case ErrInvalidName, ErrInvalidLength, ErrInvalidArgument:
		return target == fs.ErrInvalid
	case ErrClosed:
		return target == fs.ErrClosed
	case ErrTimeout:
		return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded
	case ErrUnsupported:
		return target == errors.ErrUnsupported
	case ErrMappingTruncated:
		return target == ErrTruncated
	}
	return false
}

// Error is what every function of this package returns when it fails, except for io.EOF and what a callback of the
// caller's returned.
type Error struct {
	// What went wrong.
	Kind ErrorKind
	// What was tried, for example "open region".
	Op string
	// The name or path it was tried on; empty for anonymous memory.
	Object string
	// The errno of the system call that failed, or the one that fits the kind.
	Errno syscall.Errno
	// One sentence with all of this, and what to do next.
	Message string
	// The context's error, when the end of a context ended the wait.
	cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Is reports whether target is the error's kind, its errno, or the standard library's sentinel for the kind.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case ErrorKind:
		return target == e.Kind || e.Kind.Is(target)
	case syscall.Errno:
		return target == e.Errno
	}
	return e.Kind.Is(target)
}

// Unwrap returns the cause of the context's end (see [context.Cause]) when that ended a wait, otherwise nil.
func (e *Error) Unwrap() error { return e.cause }

// Timeout reports whether a time limit passed, as net.Error's method does.
func (e *Error) Timeout() bool { return e.Kind == ErrTimeout }

// endedBy returns e, the time-out of a wait, as the error of the context whose end ended the wait.
func (e *Error) endedBy(ctx context.Context) error {
	e.cause = context.Cause(ctx)
	if e.cause == nil || errors.Is(e.cause, context.DeadlineExceeded) || ctx.Err() == context.DeadlineExceeded {
		return e
	}
	e.Kind, e.Errno = ErrInterrupted, syscall.EINTR
	e.Message = fmt.Sprintf("cannot %s '%s': the context ended the wait (EINTR): %v", e.Op, e.Object, e.cause)
	return e
}

// kindOf returns the kind of an error that a function of this package made, and 0 for any other and for nil.
func kindOf(err error) ErrorKind {
	if e, ok := err.(*Error); ok {
		return e.Kind
	}
	return 0
}

// newDetails returns the place that a C call writes its error to.
func newDetails() C.shmkit_error_t {
	return C.shmkit_error_t{size: C.sizeof_shmkit_error_t}
}

// failure returns the error of a C call: nil if the call succeeded.
func failure(status C.shmkit_status_t, details *C.shmkit_error_t) error {
	if status == C.SHMKIT_OK {
		return nil
	}
	return newError(status, details)
}

func newError(status C.shmkit_status_t, details *C.shmkit_error_t) error {
	return &Error{
		Kind:    ErrorKind(status),
		Op:      text(details.operation[:]),
		Object:  text(details.object[:]),
		Errno:   syscall.Errno(details.errno_value),
		Message: text(details.message[:]),
	}
}

// text returns what a field holds before its zero byte. C.GoString would do the same, but make the whole of the details
// escape to the heap in every call that could fail.
func text(field []C.char) string {
	var b strings.Builder
	for _, c := range field {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}
