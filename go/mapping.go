package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Mapping is one mapped range of a file, or of memory that no file backs.
//
// All methods may be called from any goroutine. What other processes and goroutines do to shared bytes meanwhile is
// theirs to do: a copy may be torn, unless a lock keeps them away.
//
// A file that somebody cuts short while it is mapped does not stop the program: see [Mapping.Check].
type Mapping struct {
	handle *mappingHandle
	object string
	damage damageWord

	// Held for reading while bytes are copied, for writing while pages change under them.
	pages sync.RWMutex
	data  []byte
	// What all pages allow, or partly if they differ; the library knows which allow what.
	protection Protection
	closed     bool
}

// The protection of a mapping whose pages differ.
const partly Protection = ^Protection(0)

// A mappingHandle is what remains to be released when a Mapping becomes unreachable.
type mappingHandle struct {
	pointer *C.shmkit_mapping_t
	// Bytes handed the memory out: only Close may end it.
	exposed atomic.Bool
	closed  atomic.Bool
}

// Map maps a file: without options all of an existing one, shared, for reading.
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrInvalidLength] (length 0, or an empty file), [ErrOutOfRange] (beyond the
// file's end without [WithGrow]), [ErrNoSpace], [ErrWrongKind] (a directory or device), [ErrInvalidArgument].
func Map(path string, opts ...MapOption) (*Mapping, error) {
	text, err := newCString("map file", path)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	options := mapOptions(opts)
	details := newDetails()
	var pointer *C.shmkit_mapping_t
	if status := C.shmkit_mapping_open(text, options, &pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	return newMapping(pointer, path, Protection(options.protection)), nil
}

// MapAnonymous maps length bytes of zeroed memory for reading and writing. No file backs it, and no other process sees
// it.
//
// Errors: [ErrInvalidLength], [ErrInvalidArgument] (an option that only a file can have), [ErrOutOfMemory].
func MapAnonymous(length int, opts ...MapOption) (*Mapping, error) {
	options := mapOptions(append([]MapOption{WithProtection(ProtectReadWrite), WithLen(length)}, opts...))
	details := newDetails()
	var pointer *C.shmkit_mapping_t
	if status := C.shmkit_mapping_anonymous(options, &pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	protection := ProtectReadWrite
	if !C.shmkit_mapping_is_writable(pointer) {
		protection = Protection(options.protection)
	}
	return newMapping(pointer, "", protection), nil
}

func newMapping(pointer *C.shmkit_mapping_t, object string, protection Protection) *Mapping {
	m := &Mapping{
		handle:     &mappingHandle{pointer: pointer},
		data:       unsafe.Slice((*byte)(C.shmkit_mapping_data(pointer)), int(C.shmkit_mapping_len(pointer))),
		object:     object,
		damage:     (damageWord)(C.shmkit_mapping_damage_word(pointer)),
		protection: protection,
	}
	runtime.AddCleanup(m, (*mappingHandle).release, m.handle)
	return m
}

// release is the last resort for a mapping that became unreachable.
func (h *mappingHandle) release() {
	if h.exposed.Load() && !h.closed.Load() {
		return // somebody may still use the bytes: better to keep them than to let them dangle
	}
	C.shmkit_mapping_free(h.pointer)
}

// native returns the C handle. Whoever uses it keeps m alive until the call has returned.
func (m *Mapping) native() *C.shmkit_mapping_t {
	pointer := m.handle.pointer
	collectHere()
	return pointer
}

// Len returns the number of bytes.
func (m *Mapping) Len() int {
	m.pages.RLock()
	defer m.pages.RUnlock()
	return len(m.data)
}

// Closed reports whether it was closed.
func (m *Mapping) Closed() bool {
	m.pages.RLock()
	defer m.pages.RUnlock()
	return m.closed
}

// Path returns the path that was mapped; empty for anonymous memory.
func (m *Mapping) Path() string { return m.object }

// String returns the path and length, for people.
func (m *Mapping) String() string {
	return fmt.Sprintf("shmkit.Mapping(%q, %d bytes)", m.object, m.Len())
}

// ReadAt copies bytes out, as io.ReaderAt says: fewer than len(p) bytes come with io.EOF. A concurrent writer may tear the
// copy.
//
// Errors: io.EOF, [ErrOutOfRange] (a negative offset), [ErrClosed], [ErrPermissionDenied] (a page without access).
func (m *Mapping) ReadAt(p []byte, off int64) (int, error) {
	m.pages.RLock()
	defer m.pages.RUnlock()
	if off < 0 {
		return 0, m.readThroughLibrary(p, off)
	}
	from := m.data[min(off, int64(len(m.data))):]
	n := min(len(p), len(from))
	if m.closed || m.protection != ProtectRead && m.protection != ProtectReadWrite {
		if err := m.readThroughLibrary(p[:n], int64(len(m.data)-len(from))); err != nil {
			return 0, err
		}
	} else {
		collectHere()
		copy(p, from)
		runtime.KeepAlive(m)
		if isDamaged(m.damage) {
			return 0, m.readThroughLibrary(nil, 0)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadFullAt copies bytes out: all of p or, where fewer follow off, none of it and an error. Otherwise as
// [Mapping.ReadAt].
//
// Errors: [ErrOutOfRange], [ErrClosed], [ErrPermissionDenied].
func (m *Mapping) ReadFullAt(p []byte, off int64) error {
	if off > int64(m.Len()-len(p)) {
		return m.readThroughLibrary(p, off)
	}
	_, err := m.ReadAt(p, off)
	return err
}

// WriteAt copies all of p in, or nothing. A concurrent reader may see a part of it.
//
// Errors: [ErrOutOfRange], [ErrReadOnly], [ErrClosed].
func (m *Mapping) WriteAt(p []byte, off int64) (int, error) {
	m.pages.RLock()
	defer m.pages.RUnlock()
	if off < 0 || off > int64(len(m.data)-len(p)) || m.closed || m.protection != ProtectReadWrite || isDamaged(m.damage) {
		if err := m.writeThroughLibrary(p, off); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	into := m.data[off:]
	collectHere()
	n := copy(into, p)
	runtime.KeepAlive(m)
	if isDamaged(m.damage) {
		return 0, m.writeThroughLibrary(nil, 0)
	}
	return n, nil
}

// readThroughLibrary copies bytes whose pages may differ, or says what is wrong.
func (m *Mapping) readThroughLibrary(p []byte, off int64) error {
	details := newDetails()
	status := C.shmkit_mapping_read_at(m.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

func (m *Mapping) writeThroughLibrary(p []byte, off int64) error {
	details := newDetails()
	status := C.shmkit_mapping_write_at(m.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// Bytes returns the bytes themselves, without a copy. An access that the pages do not allow stops the program.
//
// The slice is valid until [Mapping.Close]. After that it reads zeros for as long as the Mapping is reachable, and
// belongs to nobody. A mapping whose bytes were handed out is never closed by the garbage collector, only by Close.
//
// Errors: [ErrClosed].
func (m *Mapping) Bytes() ([]byte, error) {
	m.pages.RLock()
	defer m.pages.RUnlock()
	if m.closed || isDamaged(m.damage) {
		return nil, m.readThroughLibrary(nil, 0)
	}
	m.handle.exposed.Store(true)
	return m.data, nil
}

// View calls fn with the bytes, for reading and writing and without a copy, and returns its error. While fn runs,
// [Mapping.Close] and taking access away with [Mapping.Protect] answer [ErrBusy]; the slice must not be used after fn has
// returned.
//
// Errors: [ErrClosed], [ErrReadOnly], [ErrPermissionDenied], and those of fn.
func (m *Mapping) View(fn func(bytes []byte) error) error { return m.view(0, m.Len(), true, fn) }

// ViewReadOnly is [Mapping.View] for reading. Writing to the slice where the pages do not allow it stops the program.
func (m *Mapping) ViewReadOnly(fn func(bytes []byte) error) error {
	return m.view(0, m.Len(), false, fn)
}

// ViewRange is [Mapping.View] on the length bytes from offset. Errors: also [ErrOutOfRange].
func (m *Mapping) ViewRange(offset, length int, fn func(bytes []byte) error) error {
	return m.view(offset, length, true, fn)
}

// ViewRangeReadOnly is [Mapping.ViewReadOnly] on the length bytes from offset. Errors: also [ErrOutOfRange].
func (m *Mapping) ViewRangeReadOnly(offset, length int, fn func(bytes []byte) error) error {
	return m.view(offset, length, false, fn)
}

func (m *Mapping) view(offset, length int, writable bool, fn func([]byte) error) error {
	details := newDetails()
	var start unsafe.Pointer
	status := C.shmkit_mapping_pin(m.native(), C.uint64_t(offset), C.size_t(length), C.bool(writable), &start, &details)
	if err := failure(status, &details); err != nil {
		runtime.KeepAlive(m)
		return err
	}
	defer func() {
		C.shmkit_mapping_unpin(m.native(), C.bool(writable), nil)
		runtime.KeepAlive(m)
	}()
	err := fn(unsafe.Slice((*byte)(start), length))
	if err == nil && isDamaged(m.damage) {
		return m.readThroughLibrary(nil, 0)
	}
	return err
}

// Flush carries changes of a shared file mapping to the file (msync(2)).
//
// Errors: [ErrClosed], [ErrIO] (what the device reported), [ErrBusy] ([FlushInvalidate] of locked pages).
func (m *Mapping) Flush(mode FlushMode) error { return m.FlushRange(0, m.Len(), mode) }

// FlushRange is [Mapping.Flush] for the length bytes from offset, widened to whole pages. Errors: also [ErrOutOfRange].
func (m *Mapping) FlushRange(offset, length int, mode FlushMode) error {
	details := newDetails()
	status := C.shmkit_mapping_flush(m.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(mode), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// Protect changes what the pages allow (mprotect(2)).
//
// Errors: [ErrBusy] while a view lives that would lose access, [ErrReadOnly] when the file was not opened for writing,
// [ErrClosed].
func (m *Mapping) Protect(protection Protection) error {
	return m.ProtectRange(0, m.Len(), protection)
}

// ProtectRange is [Mapping.Protect] for the length bytes from offset: whole pages, or up to the end of the mapping. Errors:
// also [ErrInvalidArgument] (a part of a page), [ErrOutOfRange].
func (m *Mapping) ProtectRange(offset, length int, protection Protection) error {
	m.pages.Lock()
	defer m.pages.Unlock()
	details := newDetails()
	status := C.shmkit_mapping_protect(m.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(protection), &details)
	runtime.KeepAlive(m)
	if err := failure(status, &details); err != nil {
		return err
	}
	switch {
	case length == len(m.data):
		m.protection = protection
	case length > 0 && protection != m.protection:
		m.protection = partly
	}
	return nil
}

// Advise tells the kernel what the bytes will be used for (madvise(2)).
//
// Errors: [ErrClosed].
func (m *Mapping) Advise(advice Advice) error { return m.AdviseRange(0, m.Len(), advice) }

// AdviseRange is [Mapping.Advise] for the length bytes from offset. Errors: also [ErrOutOfRange], [ErrInvalidArgument] (a
// part of a page, where that would hurt its neighbours).
func (m *Mapping) AdviseRange(offset, length int, advice Advice) error {
	details := newDetails()
	status := C.shmkit_mapping_advise(m.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(advice), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// Close lets the object go; repeating it does nothing.
//
// Errors: [ErrBusy] while a view lives; then nothing has changed.
func (m *Mapping) Close() error {
	m.pages.Lock()
	defer m.pages.Unlock()
	details := newDetails()
	status := C.shmkit_mapping_close(m.native(), &details)
	runtime.KeepAlive(m)
	if err := failure(status, &details); err != nil {
		return err
	}
	m.closed = true
	m.handle.closed.Store(true)
	return nil
}
