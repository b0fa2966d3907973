package shmkit

// #include <shmkit.h>
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// CodeMemory is memory that machine code is written to, sealed, and then called; nothing in it can be written and executed
// at once, unless that is asked for by name.
//
// All methods may be called from any goroutine. A write is complete for every thread when the call returns; a thread that
// runs the very bytes meanwhile sees the old code, the new, or a mix. What the code does is not checked: wrong code ends
// the program.
type CodeMemory struct {
	pointer *C.shmkit_code_t
}

// A CodeOption says how memory for code is made.
type CodeOption func(flags *C.uint32_t)

// Patchable maps the memory twice, once for writing and once for executing, so that code can be changed while it is in use.
func Patchable() CodeOption {
	return func(flags *C.uint32_t) { *flags |= C.SHMKIT_CODE_PATCHABLE }
}

// AllowWX allows pages that can be written and executed at one address: whoever can make the program write somewhere can
// then make it run what it wrote. Many systems refuse it.
func AllowWX() CodeOption {
	return func(flags *C.uint32_t) { *flags |= C.SHMKIT_CODE_ALLOW_WX }
}

// NewCodeMemory makes length zeroed bytes for code.
//
// Errors: [ErrInvalidLength], [ErrInvalidArgument] ([Patchable] and [AllowWX] exclude each other), [ErrPermissionDenied]
// (the system forbids such pages), [ErrOutOfMemory].
func NewCodeMemory(length int, opts ...CodeOption) (*CodeMemory, error) {
	var flags C.uint32_t
	for _, set := range opts {
		set(&flags)
	}
	details := newDetails()
	c := &CodeMemory{}
	if status := C.shmkit_code_create(C.size_t(length), flags, &c.pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	runtime.AddCleanup(c, func(pointer *C.shmkit_code_t) { C.shmkit_code_free(pointer) }, c.pointer)
	return c, nil
}

// native returns the C handle. Whoever uses it keeps c alive until the call has returned.
func (c *CodeMemory) native() *C.shmkit_code_t {
	pointer := c.pointer
	collectHere()
	return pointer
}

// WriteAt copies all of p in, or nothing. Errors: [ErrOutOfRange], [ErrReadOnly] (sealed), [ErrClosed].
func (c *CodeMemory) WriteAt(p []byte, off int64) (int, error) {
	details := newDetails()
	status := C.shmkit_code_write_at(c.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(c)
	if err := failure(status, &details); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadFullAt copies code out: all of p, or nothing. Errors: [ErrOutOfRange], [ErrClosed].
func (c *CodeMemory) ReadFullAt(p []byte, off int64) error {
	details := newDetails()
	status := C.shmkit_code_read_at(c.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(c)
	return failure(status, &details)
}

// Seal ends writing for ever: from here on the code can be run. Repeating it does nothing.
//
// Errors: [ErrClosed], [ErrPermissionDenied] (the system forbids to execute what was written).
func (c *CodeMemory) Seal() error {
	details := newDetails()
	status := C.shmkit_code_seal(c.native(), &details)
	runtime.KeepAlive(c)
	return failure(status, &details)
}

// Call calls the code at offset 0: [CodeMemory.CallAt].
func (c *CodeMemory) Call(args ...uintptr) (uintptr, error) { return c.CallAt(0, args...) }

// CallAt calls the code at offset as a C function of up to six integers that returns one. It runs on a stack of C and
// blocks an OS thread as any call of C does.
//
// Errors: [ErrInvalidArgument] (more than six arguments), [ErrOutOfRange], [ErrClosed], [ErrPermissionDenied] (not sealed
// yet).
func (c *CodeMemory) CallAt(offset int, args ...uintptr) (uintptr, error) {
	details := newDetails()
	var integers [C.SHMKIT_CODE_MAX_ARGUMENTS]C.uint64_t
	for i, arg := range args {
		if i < len(integers) {
			integers[i] = C.uint64_t(arg)
		}
	}
	var result C.uint64_t
	status := C.shmkit_code_call(c.native(), C.uint64_t(offset), &integers[0], C.size_t(len(args)), &result, &details)
	runtime.KeepAlive(c)
	return uintptr(result), failure(status, &details)
}

// Len returns the number of bytes.
func (c *CodeMemory) Len() int {
	length := C.shmkit_code_len(c.native())
	runtime.KeepAlive(c)
	return int(length)
}

// Closed reports whether it was closed.
func (c *CodeMemory) Closed() bool {
	closed := C.shmkit_code_is_closed(c.native())
	runtime.KeepAlive(c)
	return bool(closed)
}

// Sealed reports whether it was sealed: it cannot be written any more.
func (c *CodeMemory) Sealed() bool {
	sealed := C.shmkit_code_is_sealed(c.native())
	runtime.KeepAlive(c)
	return bool(sealed)
}

// Executable reports whether it can be called now.
func (c *CodeMemory) Executable() bool {
	executable := C.shmkit_code_is_executable(c.native())
	runtime.KeepAlive(c)
	return bool(executable)
}

// String returns the length, for people.
func (c *CodeMemory) String() string { return fmt.Sprintf("shmkit.CodeMemory(%d bytes)", c.Len()) }

// Close gives the memory back; repeating it does nothing. Errors: [ErrBusy] while a call runs.
func (c *CodeMemory) Close() error {
	details := newDetails()
	status := C.shmkit_code_close(c.native(), &details)
	runtime.KeepAlive(c)
	return failure(status, &details)
}
