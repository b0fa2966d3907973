package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
	"unsafe"
)

// WindowCache is a file seen through a bounded set of mapped windows: for files larger than one wants mapped. A window that
// is needed takes the place of the one least recently used; one that is viewed keeps its place.
//
// It is an io.ReaderAt, io.WriterAt and io.Closer. All methods may be called from any goroutine. The length is that of the
// file when it was opened.
type WindowCache struct {
	handle   *windowHandle
	object   string
	length   int64
	writable bool
}

type windowHandle struct{ pointer *C.shmkit_window_cache_t }

// A WindowOption says how to open a [WindowCache].
type WindowOption func(*C.shmkit_window_options_t)

// WithWindowLen sets the bytes of a window: a power of two, from a page to 1 GiB. Without it they are 4 MiB.
func WithWindowLen(length int) WindowOption {
	// 0 would mean the default.
	return func(o *C.shmkit_window_options_t) { o.window_len = C.uint64_t(max(length, 1)) }
}

// WithWindows sets how many windows are mapped at once at most, 1 to 4096. Without it 64 are.
func WithWindows(count int) WindowOption {
	return func(o *C.shmkit_window_options_t) {
		o.windows = count32(count)
		if count == 0 {
			o.windows = count32(-1) // 0 would mean the default
		}
	}
}

// WithWritableWindows opens the file for writing, too.
func WithWritableWindows() WindowOption {
	return func(o *C.shmkit_window_options_t) { o.flags |= C.SHMKIT_WINDOWS_WRITABLE }
}

// WithPattern says what reads will be like: [AdviseRandom] (no read-ahead), [AdviseSequential] (always), or [AdviseNormal],
// which finds out by itself.
func WithPattern(pattern Advice) WindowOption {
	return func(o *C.shmkit_window_options_t) { o.pattern = C.uint32_t(pattern) }
}

// OpenWindows opens a file: without options for reading, through 64 windows of 4 MiB.
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrInvalidLength] (an empty file), [ErrWrongKind], [ErrInvalidArgument]
// (options outside their limits; a file of more than 2^24 windows), [ErrOutOfMemory].
func OpenWindows(path string, opts ...WindowOption) (*WindowCache, error) {
	text, err := newCString("open window cache", path)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	return newWindowCache(path, opts, func(options *C.shmkit_window_options_t, out **C.shmkit_window_cache_t, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_window_cache_open(text, options, out, details)
	})
}

// OpenWindowsOf is [OpenWindows] for a file that is open, which may be closed afterwards.
func OpenWindowsOf(file *os.File, opts ...WindowOption) (*WindowCache, error) {
	cache, err := newWindowCache(file.Name(), opts, func(options *C.shmkit_window_options_t, out **C.shmkit_window_cache_t, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_window_cache_from_fd(C.int(file.Fd()), options, out, details)
	})
	runtime.KeepAlive(file)
	return cache, err
}

func newWindowCache(object string, opts []WindowOption, open func(*C.shmkit_window_options_t, **C.shmkit_window_cache_t, *C.shmkit_error_t) C.shmkit_status_t) (*WindowCache, error) {
	options := &C.shmkit_window_options_t{size: C.sizeof_shmkit_window_options_t, pattern: C.uint32_t(AdviseNormal)}
	for _, set := range opts {
		set(options)
	}
	details := newDetails()
	var pointer *C.shmkit_window_cache_t
	if err := failure(open(options, &pointer, &details), &details); err != nil {
		return nil, err
	}
	w := &WindowCache{
		handle:   &windowHandle{pointer},
		object:   object,
		length:   int64(C.shmkit_window_cache_len(pointer)),
		writable: options.flags&C.SHMKIT_WINDOWS_WRITABLE != 0,
	}
	// A view keeps w reachable, so none lives when this runs.
	runtime.AddCleanup(w, func(h *windowHandle) { C.shmkit_window_cache_free(h.pointer) }, w.handle)
	return w, nil
}

// native returns the C handle. Whoever uses it keeps w alive until the call has returned.
func (w *WindowCache) native() *C.shmkit_window_cache_t {
	pointer := w.handle.pointer
	collectHere()
	return pointer
}

// Len returns the number of bytes of the file, when it was opened.
func (w *WindowCache) Len() int64 { return w.length }

// Path returns the path that was opened.
func (w *WindowCache) Path() string { return w.object }

// WindowLen returns the bytes of a window. A view lies in one.
func (w *WindowCache) WindowLen() int {
	length := int(C.shmkit_window_cache_window_len(w.native()))
	runtime.KeepAlive(w)
	return length
}

// WindowCount returns how many windows are mapped at once at most: fewer than asked when the file has fewer.
func (w *WindowCache) WindowCount() int {
	count := int(C.shmkit_window_cache_window_count(w.native()))
	runtime.KeepAlive(w)
	return count
}

// Closed reports whether it was closed.
func (w *WindowCache) Closed() bool {
	closed := bool(C.shmkit_window_cache_is_closed(w.native()))
	runtime.KeepAlive(w)
	return closed
}

// String returns the path and length, for people.
func (w *WindowCache) String() string {
	return fmt.Sprintf("shmkit.WindowCache(%q, %d bytes)", w.object, w.length)
}

// ReadAt copies bytes out, across as many windows as they lie in. As io.ReaderAt says, fewer than len(p) bytes come with
// io.EOF. A concurrent writer may tear the copy.
//
// Errors: io.EOF, [ErrOutOfRange] (a negative offset), [ErrClosed], [ErrTruncated] (the file is shorter by now), [ErrIO].
func (w *WindowCache) ReadAt(p []byte, off int64) (int, error) {
	n := len(p)
	if off >= 0 {
		n = int(min(int64(n), max(w.length-off, 0)))
	}
	// Without a place for an error: it is large, and clearing it takes as long as finding the window.
	status := C.shmkit_window_cache_read_at(w.native(), C.uint64_t(min(off, w.length)), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(n), nil)
	runtime.KeepAlive(w)
	if status != C.SHMKIT_OK {
		if err := w.readAgain(p[:n], min(off, w.length)); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadFullAt copies bytes out: all of p or, where fewer follow off, none of it and an error. Otherwise as
// [WindowCache.ReadAt].
//
// Errors: [ErrOutOfRange], [ErrClosed], [ErrTruncated] (the file is shorter by now), [ErrIO].
func (w *WindowCache) ReadFullAt(p []byte, off int64) error {
	if off > w.length-int64(len(p)) {
		return w.readAgain(p, off)
	}
	_, err := w.ReadAt(p, off)
	return err
}

// readAgain reads what could not be read, and says why if it still cannot.
func (w *WindowCache) readAgain(p []byte, off int64) error {
	details := newDetails()
	status := C.shmkit_window_cache_read_at(w.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(w)
	return failure(status, &details)
}

// WriteAt copies all of p in, across as many windows as it lies in. A concurrent reader may see a part of it.
//
// Errors: [ErrOutOfRange], [ErrReadOnly], [ErrClosed], [ErrTruncated] (the file is shorter by now), [ErrIO].
func (w *WindowCache) WriteAt(p []byte, off int64) (int, error) {
	details := newDetails()
	status := C.shmkit_window_cache_write_at(w.native(), C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), &details)
	runtime.KeepAlive(w)
	if err := failure(status, &details); err != nil {
		return 0, err
	}
	return len(p), nil
}

// View calls fn with the length bytes from off, which lie in one window, for reading and writing and without a copy, and
// returns its error. While fn runs, the window keeps its place and [WindowCache.Close] answers [ErrBusy]; the slice must not
// be used after fn has returned.
//
// Errors: [ErrOutOfRange], [ErrInvalidArgument] (the range crosses a border of windows), [ErrBusy] (every window is in use),
// [ErrReadOnly], [ErrClosed], [ErrTruncated], and those of fn.
func (w *WindowCache) View(off int64, length int, fn func(bytes []byte) error) error {
	return w.view(off, length, true, fn)
}

// ViewReadOnly is [WindowCache.View] for reading. Writing to the slice of a cache that is not writable stops the program.
func (w *WindowCache) ViewReadOnly(off int64, length int, fn func(bytes []byte) error) error {
	return w.view(off, length, false, fn)
}

func (w *WindowCache) view(off int64, length int, writable bool, fn func([]byte) error) error {
	details := newDetails()
	var start unsafe.Pointer
	status := C.shmkit_window_cache_pin(w.native(), C.uint64_t(off), C.size_t(length), C.bool(writable), &start, &details)
	if err := failure(status, &details); err != nil {
		runtime.KeepAlive(w)
		return err
	}
	defer func() {
		C.shmkit_window_cache_unpin(w.native(), start, C.bool(writable), nil)
		runtime.KeepAlive(w)
	}()
	return fn(unsafe.Slice((*byte)(start), length))
}

// Flush carries what was written, through windows mapped now or before, to the disk, as far as mode says: [FlushSync] or
// [FlushAsync].
//
// Errors: [ErrClosed], [ErrIO] (what the device reported), [ErrInvalidArgument] ([FlushInvalidate]).
func (w *WindowCache) Flush(mode FlushMode) error {
	details := newDetails()
	status := C.shmkit_window_cache_flush(w.native(), C.uint32_t(mode), &details)
	runtime.KeepAlive(w)
	return failure(status, &details)
}

// WindowStats is what a window cache did so far.
type WindowStats struct {
	// Uses that found their window mapped, and uses that had to map it.
	Hits, Misses int
	// Windows that gave their place to another.
	Evictions int
	// Copies that went past the windows (pread, pwrite).
	Bypasses int
	// mmap(2) calls. Mapping over a window unmaps it: there is no munmap(2) until the cache is gone.
	Maps int
	// Calls that advised the kernel of reads to come.
	Advices int
	// Time in these calls; page faults come on top ([CountUsage]).
	Kernel time.Duration
	// Windows that are mapped, and views that live, now.
	Mapped, Views int
}

// Stats returns what the cache did so far.
func (w *WindowCache) Stats() WindowStats {
	s := C.shmkit_window_stats_t{size: C.sizeof_shmkit_window_stats_t}
	C.shmkit_window_cache_stats(w.native(), &s, nil)
	runtime.KeepAlive(w)
	return WindowStats{
		Hits: int(s.hits), Misses: int(s.misses), Evictions: int(s.evictions), Bypasses: int(s.bypasses), Maps: int(s.maps),
		Advices: int(s.advices), Kernel: time.Duration(s.kernel_ns), Mapped: int(s.mapped), Views: int(s.views),
	}
}

// Close lets the file go; repeating it does nothing.
//
// Errors: [ErrBusy], and the cache goes on, while a view lives or another goroutine copies.
func (w *WindowCache) Close() error {
	details := newDetails()
	status := C.shmkit_window_cache_close(w.native(), &details)
	runtime.KeepAlive(w)
	return failure(status, &details)
}
