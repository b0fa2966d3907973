package shmkit

// #include <shmkit.h>
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// Block is a block of a [Heap] that this process owns, until [Block.Free], [Block.Publish] or [Block.IntoOffset]. A Block that
// becomes unreachable goes on being owned: only Free frees it. All methods may be called from any goroutine.
type Block struct {
	heap  *Heap
	align int

	// Held while the block changes hands or place.
	mu     sync.Mutex
	offset uint64
	data   []byte
	// Freed, published or left: nothing to hold any more.
	gone bool
	// Calls of View that run.
	views int
}

// newBlock returns the block that a C call gave, or its error. Not a function that makes the call: where that is not known when
// this is compiled, place and details would have to lie in the garbage collector's memory, a kilobyte for each block.
func (h *Heap) newBlock(align int, status C.shmkit_status_t, place *C.shmkit_block_t, details *C.shmkit_error_t) (*Block, error) {
	runtime.KeepAlive(h)
	if err := failure(status, details); err != nil {
		return nil, err
	}
	return &Block{heap: h, align: align, offset: uint64(place.offset), data: bytesOf(place)}, nil
}

func bytesOf(place *C.shmkit_block_t) []byte {
	return unsafe.Slice((*byte)(place.data), int(place.len))
}

// Offset returns where the block is, from the region's start: what other processes call it.
func (b *Block) Offset() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offset
}

// Len returns the number of bytes.
func (b *Block) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.data)
}

// Bytes returns the bytes themselves, without a copy; [SliceAs] shows them as values. The slice is valid until the block is
// freed, resized or given away, or the heap's handle is closed. A heap whose bytes were handed out is never closed by the
// garbage collector, only by [Heap.Close].
//
// Errors: [ErrInvalidBlock] (this Block has nothing any more), [ErrClosed].
func (b *Block) Bytes() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expect("view block"); err != nil {
		return nil, err
	}
	b.heap.rest.exposed.Store(true)
	return b.data, nil
}

// View calls fn with the bytes, without a copy, and returns its error. While fn runs, freeing, resizing and giving away the
// block, and [Heap.Close], answer [ErrBusy]; the slice must not be used after fn has returned.
//
// Errors: [ErrInvalidBlock], [ErrClosed], and those of fn.
func (b *Block) View(fn func(bytes []byte) error) error {
	data, err := b.pin()
	if err != nil {
		return err
	}
	defer b.unpin()
	return fn(data)
}

func (b *Block) pin() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expect("view block"); err != nil {
		return nil, err
	}
	var place C.shmkit_block_t
	details := newDetails()
	status := C.shmkit_heap_pin(b.heap.native(), C.uint64_t(b.offset), true, &place, &details)
	runtime.KeepAlive(b.heap)
	if err := failure(status, &details); err != nil {
		return nil, err
	}
	b.views++
	return b.data, nil
}

func (b *Block) unpin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.views--
	C.shmkit_heap_unpin(b.heap.native(), true, nil)
	runtime.KeepAlive(b.heap)
}

// Resize makes the block longer or shorter, at another place (with another offset) if there is no room here.
//
// Errors: [ErrNoSpace], [ErrInvalidLength], [ErrBusy] (a view lives), [ErrInvalidBlock], [ErrCorrupted], [ErrTimeout],
// [ErrClosed]; the block is as it was then.
func (b *Block) Resize(length int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expectIdle("resize block"); err != nil {
		return err
	}
	place := C.shmkit_block_t{offset: C.uint64_t(b.offset)}
	details := newDetails()
	status := C.shmkit_heap_resize(b.heap.native(), &place, lengthOf(length), alignmentOf(b.align), &details)
	return b.become(status, &place, &details)
}

// ResizeInPlace makes the block longer or shorter where it is. Errors: [ErrNoSpace] when it cannot grow so far here, and those
// of [Block.Resize].
func (b *Block) ResizeInPlace(length int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expectIdle("resize block"); err != nil {
		return err
	}
	place := C.shmkit_block_t{offset: C.uint64_t(b.offset)}
	details := newDetails()
	status := C.shmkit_heap_resize_in_place(b.heap.native(), &place, lengthOf(length), &details)
	return b.become(status, &place, &details)
}

func (b *Block) become(status C.shmkit_status_t, place *C.shmkit_block_t, details *C.shmkit_error_t) error {
	runtime.KeepAlive(b.heap)
	if err := failure(status, details); err != nil {
		return err
	}
	b.offset, b.data = uint64(place.offset), bytesOf(place)
	return nil
}

// Publish gives the block away and returns its offset: it belongs to nobody, and outlives this process, until somebody
// adopts or frees it.
//
// Errors: [ErrBusy] (a view lives), [ErrInvalidBlock], [ErrNotOwner], [ErrCorrupted], [ErrTimeout], [ErrClosed].
func (b *Block) Publish() (uint64, error) {
	return b.letGo("publish block", func() error {
		details := newDetails()
		status := C.shmkit_heap_publish(b.heap.native(), C.uint64_t(b.offset), &details)
		runtime.KeepAlive(b.heap)
		return failure(status, &details)
	})
}

// IntoOffset goes on owning the block by its offset alone, which it returns: see [Heap.Block] and [Heap.Free].
//
// Errors: [ErrBusy] (a view lives), [ErrInvalidBlock].
func (b *Block) IntoOffset() (uint64, error) {
	return b.letGo("leave block", func() error { return nil })
}

// Free frees the block; repeating it does nothing.
//
// Errors: [ErrBusy] (a view lives), [ErrInvalidBlock] (somebody freed it by its offset), [ErrNotOwner], [ErrCorrupted],
// [ErrTimeout], [ErrClosed].
func (b *Block) Free() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil
	}
	if err := b.expectIdle("free block"); err != nil {
		return err
	}
	if err := b.heap.Free(b.offset); err != nil {
		return err
	}
	b.gone, b.data = true, nil
	return nil
}

func (b *Block) letGo(operation string, call func() error) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expectIdle(operation); err != nil {
		return 0, err
	}
	if err := call(); err != nil {
		return 0, err
	}
	b.gone, b.data = true, nil
	return b.offset, nil
}

// expect fails when this Block has nothing any more, or its heap's handle is closed.
func (b *Block) expect(operation string) error {
	if b.gone {
		return b.refuse(operation, ErrInvalidBlock, "this Block has let it go")
	}
	if b.heap.isClosed() {
		return b.refuse(operation, ErrClosed, "the heap's handle")
	}
	return nil
}

// expectIdle fails also while a view lives.
func (b *Block) expectIdle(operation string) error {
	if b.views > 0 && !b.gone {
		return b.refuse(operation, ErrBusy, "a view lives")
	}
	return b.expect(operation)
}

// refuse is an error that the library was not asked for: it knows offsets, and this is about a Block.
func (b *Block) refuse(operation string, kind ErrorKind, detail string) error {
	errno := map[ErrorKind]syscall.Errno{ErrInvalidBlock: syscall.EINVAL, ErrClosed: syscall.EBADF, ErrBusy: syscall.EBUSY}[kind]
	names := map[ErrorKind]string{ErrInvalidBlock: "EINVAL", ErrClosed: "EBADF", ErrBusy: "EBUSY"}
	return &Error{
		Kind:   kind,
		Op:     operation,
		Object: b.heap.name,
		Errno:  errno,
		Message: fmt.Sprintf("cannot %s '%s': %s: %s (%s); %s", operation, b.heap.name,
			C.GoString(C.shmkit_status_description(C.shmkit_status_t(kind))), detail, names[kind], kind.Advice()),
	}
}
