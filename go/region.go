package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Region is a named piece of memory that processes in any language attach to.
//
// It has Len user bytes, a guard (one lock over them: [Region.Lock]) and an arena for named objects. It lives until it is
// unlinked and the last user is gone or, as a POSIX shared memory object, until the machine stops.
//
// All methods may be called from any goroutine. What other processes and goroutines do to the bytes meanwhile is theirs
// to do: a copy may be torn, unless the guard keeps them away.
type Region struct {
	guard   ownerLock
	pointer *C.shmkit_region_t
	// As many bytes as the region can ever have; the user bytes are the first Len of them. The address stays taken, and
	// after a close leads to zeros, until the handle is freed.
	space []byte
	// The library's word with the number of user bytes, and what that was found to mean.
	lenWord  *uint64
	known    atomic.Pointer[knownLen]
	damage   damageWord
	id       [16]byte
	readOnly bool
}

// Create creates a region of length zeroed bytes. Of several creators at once, one succeeds.
//
// Errors: [ErrAlreadyExists], [ErrInvalidName], [ErrInvalidLength], [ErrInvalidArgument], [ErrNoSpace],
// [ErrPermissionDenied].
func Create(name string, length int, opts ...Option) (*Region, error) {
	return newRegion("create region", name, func(name *C.char, out **C.shmkit_region_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_region_create(name, C.uint64_t(length), regionOptions(opts), out, e)
	})
}

// Open opens a region and attaches this process to it; with [ReadOnly], it opens it for reading and attaches nobody.
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrInvalidName], [ErrBadMagic], [ErrVersionMismatch], [ErrWrongKind],
// [ErrTruncated], [ErrCorrupted], [ErrTooManyAttachments], [ErrUnsupported].
func Open(name string, opts ...Option) (*Region, error) {
	return newRegion("open region", name, func(name *C.char, out **C.shmkit_region_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_region_open(name, regionOptions(opts), out, e)
	})
}

// OpenOrCreate opens the region of this name, or creates it. Of several at once, one creates and all get its region.
//
// Errors: [ErrSizeMismatch] when it exists with another length; those of [Open] and [Create].
func OpenOrCreate(name string, length int, opts ...Option) (*Region, error) {
	return newRegion("open or create region", name, func(name *C.char, out **C.shmkit_region_t, e *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_region_open_or_create(name, C.uint64_t(length), regionOptions(opts), out, e)
	})
}

// Unlink removes a region's name. Processes that have it open keep it; its memory goes with the last of them.
//
// Errors: [ErrNotFound], [ErrInvalidName], [ErrPermissionDenied].
func Unlink(name string, opts ...Option) error {
	text, err := newCString("unlink region", name)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(text))
	details := newDetails()
	return failure(C.shmkit_region_unlink(text, regionOptions(opts), &details), &details)
}

// opener is a C function that makes a region.
type opener func(name *C.char, out **C.shmkit_region_t, details *C.shmkit_error_t) C.shmkit_status_t

func newRegion(operation, name string, open opener) (*Region, error) {
	text, err := newCString(operation, name)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	details := newDetails()
	var pointer *C.shmkit_region_t
	if status := open(text, &pointer, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	r := &Region{
		pointer:  pointer,
		space:    unsafe.Slice((*byte)(C.shmkit_region_data(pointer)), int(C.shmkit_region_capacity(pointer))),
		lenWord:  (*uint64)(C.shmkit_region_len_word(pointer)),
		damage:   (damageWord)(C.shmkit_region_damage_word(pointer)),
		readOnly: bool(C.shmkit_region_is_read_only(pointer)),
	}
	r.guard.word, r.guard.me, r.guard.calls = &nobody, &nobody, r
	C.shmkit_region_id(pointer, (*C.uint8_t)(&r.id[0]), nil)
	if !r.readOnly {
		var word, me *C.uint32_t
		if status := C.shmkit_region_guard_words(pointer, &word, &me, &details); status != C.SHMKIT_OK {
			C.shmkit_region_free(pointer)
			return nil, newError(status, &details)
		}
		r.guard.word, r.guard.me = (*uint32)(word), (*uint32)(me)
	}
	r.guard.damage = r.damage
	manage(r, &r.guard.object, name, gateKey{word: r.guard.word}, func() { C.shmkit_region_free(pointer) })
	return r, nil
}

// native returns the C handle. Whoever uses it keeps r alive until the call has returned.
func (r *Region) native() *C.shmkit_region_t {
	pointer := r.pointer
	collectHere()
	return pointer
}

// Name returns the name, or the path, that the region was opened with.
func (r *Region) Name() string { return r.guard.name }

// ID returns what was drawn at random at creation: another region that later bears the same name has another one.
func (r *Region) ID() [16]byte { return r.id }

// ReadOnly reports whether the region was opened for reading only.
func (r *Region) ReadOnly() bool { return r.readOnly }

// Closed reports whether this handle was closed.
func (r *Region) Closed() bool { return r.guard.isClosed() }

// String returns the name and length, for people.
func (r *Region) String() string {
	return fmt.Sprintf("shmkit.Region(%q, %d bytes)", r.guard.name, r.Len())
}

// ReadAt copies user bytes out, as io.ReaderAt says: fewer than len(p) bytes come with io.EOF. It takes no lock: without
// the guard, a concurrent writer may tear the copy.
//
// Errors: io.EOF, [ErrOutOfRange] (a negative offset), [ErrClosed].
func (r *Region) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || r.guard.isClosed() {
		return 0, r.refuseRead(p, off)
	}
	var n int
	if data := r.data(); off < int64(len(data)) {
		from := data[off:]
		collectHere()
		n = copy(p, from)
		runtime.KeepAlive(r)
		if r.guard.isClosed() {
			return 0, r.refuseRead(p, off) // what was copied may be the zeros that a closed region leaves
		}
		if isDamaged(r.damage) {
			return 0, r.refuseRead(nil, 0)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadFullAt copies user bytes out: all of p or, where fewer follow off, none of it and an error. Otherwise as
// [Region.ReadAt].
//
// Errors: [ErrOutOfRange], [ErrClosed].
func (r *Region) ReadFullAt(p []byte, off int64) error {
	if off > int64(r.Len()-len(p)) {
		return r.refuseRead(p, off)
	}
	_, err := r.ReadAt(p, off)
	return err
}

// WriteAt copies all of p in, or nothing. It takes no lock: without the guard, a concurrent reader may see a part of it.
//
// Errors: [ErrOutOfRange], [ErrReadOnly], [ErrClosed].
func (r *Region) WriteAt(p []byte, off int64) (int, error) {
	data := r.data()
	if off < 0 || off > int64(len(data)-len(p)) || r.readOnly || r.guard.isClosed() || isDamaged(r.damage) {
		return 0, r.refuseWrite(p, off)
	}
	into := data[off:]
	collectHere()
	n := copy(into, p)
	runtime.KeepAlive(r)
	if r.guard.isClosed() {
		return 0, r.refuseWrite(p, off)
	}
	if isDamaged(r.damage) {
		return 0, r.refuseWrite(nil, 0)
	}
	return n, nil
}

// refuseRead lets the library say what is wrong with a read.
func (r *Region) refuseRead(p []byte, off int64) error {
	details := newDetails()
	status := C.shmkit_region_read_at(r.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// refuseWrite lets the library say what is wrong with a write.
func (r *Region) refuseWrite(p []byte, off int64) error {
	details := newDetails()
	status := C.shmkit_region_write_at(r.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Bytes returns the user bytes themselves, without a copy. Of a region opened with [ReadOnly] they must not be written:
// that stops the program.
//
// The slice is valid until [Region.Close]. After that it reads zeros for as long as the Region is reachable, and belongs
// to nobody. A region whose bytes were handed out is never closed by the garbage collector, only by Close.
//
// Errors: [ErrClosed].
func (r *Region) Bytes() ([]byte, error) {
	r.guard.closing.Lock()
	defer r.guard.closing.Unlock()
	if r.guard.closed.Load() || isDamaged(r.damage) {
		_, err := r.pin(0, 0, false)
		return nil, err
	}
	r.guard.rest.exposed.Store(true)
	return r.data(), nil
}

// View calls fn with the user bytes, for reading and writing and without a copy, and returns its error. While fn runs,
// [Region.Close] answers [ErrBusy]; the slice must not be used after fn has returned. A view takes no lock.
//
// Errors: [ErrClosed], [ErrReadOnly], and those of fn.
func (r *Region) View(fn func(bytes []byte) error) error { return r.view(0, r.Len(), true, fn) }

// ViewReadOnly is [Region.View] for reading, which every region allows. Writing to the slice of a region opened with
// [ReadOnly] stops the program.
func (r *Region) ViewReadOnly(fn func(bytes []byte) error) error {
	return r.view(0, r.Len(), false, fn)
}

// ViewRange is [Region.View] on the length bytes from offset. Errors: also [ErrOutOfRange].
func (r *Region) ViewRange(offset, length int, fn func(bytes []byte) error) error {
	return r.view(offset, length, true, fn)
}

// ViewRangeReadOnly is [Region.ViewReadOnly] on the length bytes from offset. Errors: also [ErrOutOfRange].
func (r *Region) ViewRangeReadOnly(offset, length int, fn func(bytes []byte) error) error {
	return r.view(offset, length, false, fn)
}

func (r *Region) view(offset, length int, writable bool, fn func([]byte) error) error {
	start, err := r.pin(offset, length, writable)
	if err != nil {
		return err
	}
	defer func() {
		C.shmkit_region_unpin(r.native(), C.bool(writable), nil)
		runtime.KeepAlive(r)
	}()
	err = fn(unsafe.Slice((*byte)(start), length))
	if err == nil && isDamaged(r.damage) {
		return r.refuseRead(nil, 0)
	}
	return err
}

// pin counts a view in; shmkit_region_unpin counts it out.
func (r *Region) pin(offset, length int, writable bool) (unsafe.Pointer, error) {
	details := newDetails()
	var start unsafe.Pointer
	status := C.shmkit_region_pin(r.native(), C.uint64_t(offset), C.size_t(length), C.bool(writable), &start, &details)
	runtime.KeepAlive(r)
	return start, failure(status, &details)
}

// Flush carries the user bytes of a region that is a file to the disk (msync(2)). For a shared memory object it does
// nothing.
//
// Errors: [ErrClosed], [ErrIO].
func (r *Region) Flush(mode FlushMode) error { return r.FlushRange(0, r.Len(), mode) }

// FlushRange is [Region.Flush] for the length bytes from offset, widened to whole pages. Errors: also [ErrOutOfRange].
func (r *Region) FlushRange(offset, length int, mode FlushMode) error {
	details := newDetails()
	status := C.shmkit_region_flush(r.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(mode), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Close ends the use of this handle; repeating it does nothing. The process's last handle on a region detaches it.
// Goroutines that wait for the guard through this handle get [ErrClosed].
//
// Errors: [ErrBusy] while a view of this handle lives, or while this process holds the guard and the handle is its last;
// then nothing has changed.
func (r *Region) Close() error {
	return r.guard.close(func() error {
		details := newDetails()
		status := C.shmkit_region_close(r.native(), &details)
		runtime.KeepAlive(r)
		return failure(status, &details)
	})
}
