package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// As many descriptors as the kernel lets one message carry: room for fewer would leave the rest open, known to nobody.
const mostDescriptors = 253

// Send sends the segment over a connected Unix socket: one byte, and with it the descriptor (SCM_RIGHTS). It stays open
// here. When ctx ends, it gives up; a context that can end replaces the write deadline of conn.
//
// Errors: [ErrClosed], [ErrTimeout] and [ErrInterrupted] (ctx, or conn's deadline), [ErrIO] (the other side is gone).
func (s *Segment) Send(ctx context.Context, conn *net.UnixConn) error {
	const operation = "send segment"
	file, err := s.File()
	if err != nil {
		return err
	}
	defer file.Close()
	defer watchOver(ctx, conn.SetWriteDeadline)()
	rights := syscall.UnixRights(int(file.Fd()))
	if _, _, err := conn.WriteMsgUnix([]byte("S"), rights, nil); err != nil {
		return connectionError(ctx, err, operation, s.name)
	}
	return nil
}

// ReceiveSegment receives a segment over a connected Unix socket, from any language: one byte, and the descriptor that
// comes with it. When ctx ends, it gives up; a context that can end replaces the read deadline of conn.
//
// Who sent it may still write to it and, unless its [Segment.Seals] have [SealShrink], cut it short.
//
// Errors: [ErrTimeout] and [ErrInterrupted] (ctx, or conn's deadline), [ErrWrongKind] (a message without a descriptor, or
// with one of neither a file nor memory), [ErrIO] (the other side is gone).
func ReceiveSegment(ctx context.Context, conn *net.UnixConn) (*Segment, error) {
	const operation = "receive segment"
	defer watchOver(ctx, conn.SetReadDeadline)()
	data, control := make([]byte, 1), make([]byte, syscall.CmsgSpace(mostDescriptors*4))
	n, controlled, _, _, err := conn.ReadMsgUnix(data, control)
	if errors.Is(err, io.EOF) || err == nil && n == 0 && controlled == 0 {
		return nil, wrapErrno(syscall.ECONNRESET, operation, "")
	}
	if err != nil {
		return nil, connectionError(ctx, err, operation, "")
	}
	descriptors := descriptorsIn(control[:controlled])
	for _, fd := range descriptors {
		defer syscall.Close(fd)
	}
	if len(descriptors) == 0 {
		return nil, refusal(ErrWrongKind, operation, "", "the message brought no descriptor")
	}
	return segmentFromDescriptor(descriptors[0])
}

// descriptorsIn returns what a message brought along.
func descriptorsIn(control []byte) (descriptors []int) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, message := range messages {
		if rights, err := syscall.ParseUnixRights(&message); err == nil {
			descriptors = append(descriptors, rights...)
		}
	}
	return descriptors
}

// watchOver makes the end of ctx the end of what waits on a connection, and returns what ends the watch.
func watchOver(ctx context.Context, setDeadline func(time.Time) error) (end func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		setDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-ended
		}
		setDeadline(time.Time{})
	}
}

func connectionError(ctx context.Context, err error, operation, object string) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		timeout := refusal(ErrTimeout, operation, object, "")
		if ctx.Err() != nil {
			return timeout.endedBy(ctx)
		}
		return timeout
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return wrapErrno(errno, operation, object)
	}
	return refusal(ErrIO, operation, object, err.Error())
}

// RegionFromFile opens the region behind a file that is open, for example an inherited one: os.NewFile(3, ""). The file
// stays the caller's and may be closed afterwards; one that is open for reading gives a region for reading.
//
// Errors: as [Open]; [ErrWrongKind] (neither a file nor memory).
func RegionFromFile(file *os.File) (*Region, error) {
	var region *Region
	err := withDescriptor(file, "open region", func(fd uintptr) (err error) {
		region, err = newRegion("open region", "", func(_ *C.char, out **C.shmkit_region_t, e *C.shmkit_error_t) C.shmkit_status_t {
			return C.shmkit_region_from_fd(C.int(fd), out, e)
		})
		return err
	})
	return region, err
}

// CreateUnnamed creates a region of length zeroed bytes that has no name: only its descriptor leads to it. Other processes
// get it through [Region.File] and [RegionFromFile].
//
// Errors: [ErrInvalidLength], [ErrInvalidArgument], [ErrNoSpace].
func CreateUnnamed(length int, opts ...Option) (*Region, error) {
	return newRegion("create region", "", func(_ *C.char, out **C.shmkit_region_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_region_create_unnamed(C.uint64_t(length), regionOptions(opts), out, e)
	})
}

// File returns a file on a new descriptor of the region, for exec.Cmd.ExtraFiles or to be sent; it is the caller's to
// close.
//
// Errors: [ErrClosed], [ErrOutOfMemory] (no descriptor is free).
func (r *Region) File() (*os.File, error) {
	details := newDetails()
	var fd C.int
	if status := C.shmkit_region_fd(r.native(), &fd, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	return os.NewFile(uintptr(fd), r.Name()), nil
}

// withDescriptor calls a function with the descriptor of a file, which stays open meanwhile.
func withDescriptor(file *os.File, operation string, call func(fd uintptr) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return wrapErrno(syscall.EBADF, operation, "")
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = call(fd) }); err != nil {
		return wrapErrno(syscall.EBADF, operation, "")
	}
	return failed
}

// duplicate returns a new descriptor that a program started meanwhile does not inherit.
func duplicate(fd int) (int, error) {
	const dupCloexec = 1030 // F_DUPFD_CLOEXEC
	again, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), dupCloexec, 3)
	if errno != 0 {
		return -1, errno
	}
	return int(again), nil
}

// refusal is an error that this package found itself.
func refusal(kind ErrorKind, operation, object, detail string) *Error {
	errnos := map[ErrorKind]syscall.Errno{
		ErrClosed: syscall.EBADF, ErrTimeout: syscall.ETIMEDOUT, ErrIO: syscall.EIO,
		ErrInvalidArgument: syscall.EINVAL, ErrWrongKind: syscall.EINVAL,
	}
	return newOwnError(kind, operation, object, detail, errnos[kind])
}

// wrapErrno is the error of a system call that this package made.
func wrapErrno(err error, operation, object string) error {
	errno, _ := err.(syscall.Errno)
	kind := ErrIO
	if errno == syscall.EMFILE || errno == syscall.ENFILE {
		kind = ErrOutOfMemory
	}
	return newOwnError(kind, operation, object, errno.Error(), errno)
}

func newOwnError(kind ErrorKind, operation, object, detail string, errno syscall.Errno) *Error {
	status := C.shmkit_status_t(kind)
	subject := operation
	if object != "" {
		subject += " '" + object + "'"
	}
	if detail != "" {
		detail = ": " + detail
	}
	return &Error{
		Kind: kind, Op: operation, Object: object, Errno: errno,
		Message: fmt.Sprintf("cannot %s: %s%s (errno %d); %s", subject,
			C.GoString(C.shmkit_status_description(status)), detail, int(errno), kind.Advice()),
	}
}
