package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"math"
	"runtime"
	"unsafe"
)

// Heap is blocks of any size in a region, known by their offsets, shared by all processes that open it by name. It stays
// usable when the [Region] it was opened from is closed. All methods may be called from any goroutine.
//
// A block belongs to the process that allocated or adopted it until it is freed or published; only it can free, resize or
// publish it. Those of a process that died can be adopted one by one, or reclaimed all. Offsets count from the region's start
// and are checked at every use.
type Heap struct {
	object
	pointer  *C.shmkit_heap_t
	strategy HeapStrategy
}

// HeapStrategy says which free block an allocation takes.
type HeapStrategy uint32

// The strategies.
const (
	// A smallest that is large enough. The default.
	BestFit HeapStrategy = C.SHMKIT_HEAP_STRATEGY_BEST_FIT
	// The one with the lowest address that is large enough.
	FirstFit HeapStrategy = C.SHMKIT_HEAP_STRATEGY_FIRST_FIT
	// Blocks are powers of two: one is halved until it fits, and free halves become one again.
	Buddy HeapStrategy = C.SHMKIT_HEAP_STRATEGY_BUDDY
)

// String returns the name, for people.
func (s HeapStrategy) String() string {
	switch s {
	case BestFit:
		return "best fit"
	case FirstFit:
		return "first fit"
	case Buddy:
		return "buddy"
	}
	return "unknown"
}

// A HeapOption says how a heap is created; who opens one that exists must ask for the same.
type HeapOption func(*C.shmkit_heap_options_t)

// WithStrategy sets which free block an allocation takes.
func WithStrategy(strategy HeapStrategy) HeapOption {
	return func(o *C.shmkit_heap_options_t) { o.strategy = C.uint32_t(strategy) }
}

// WithMinBlock sets the bytes of the smallest block of a heap of buddies: a power of two from 32 to 4096. Without it, or with
// 0, it is 64. Each costs 8 bytes besides, whether it is used or not.
func WithMinBlock(length int) HeapOption {
	return func(o *C.shmkit_heap_options_t) { o.min_block = count32(length) }
}

// WithReclaim takes back the blocks of the dead as soon as a death is noticed or there is no room otherwise. Published blocks
// stay.
func WithReclaim() HeapOption {
	return func(o *C.shmkit_heap_options_t) { o.flags |= C.SHMKIT_HEAP_RECLAIM }
}

// HeapAsFile makes the name of a heap in a region of its own a path.
func HeapAsFile() HeapOption {
	return func(o *C.shmkit_heap_options_t) { o.flags |= C.SHMKIT_HEAP_PATH }
}

func heapOptions(length int, opts []HeapOption) *C.shmkit_heap_options_t {
	options := &C.shmkit_heap_options_t{size: C.sizeof_shmkit_heap_options_t, len: length64(length)}
	for _, set := range opts {
		set(options)
	}
	return options
}

// length64 returns a length as C knows it. A negative one becomes what is just as impossible: the library refuses it.
func length64(length int) C.uint64_t {
	if length < 0 {
		return math.MaxUint64
	}
	return C.uint64_t(length)
}

// lengthOf is length64 for blocks. No block has a negative length, as none has 0.
func lengthOf(length int) C.size_t { return C.size_t(max(length, 0)) }

// alignmentOf returns an alignment as C knows it. A negative one becomes what is just as impossible.
func alignmentOf(align int) C.size_t { return C.size_t(length64(align)) }

// HeapArenaLen returns how many bytes of an arena such a heap needs: what [WithArenaLen] takes for it. 0 for options that no
// heap can have.
func HeapArenaLen(length int, opts ...HeapOption) int {
	return int(C.shmkit_heap_arena_len(heapOptions(length, opts)))
}

// Heap returns the heap of this name, creating it with length bytes for blocks when it is missing. The region's arena must
// have room for it: see [HeapArenaLen].
//
// Errors: [ErrParameterMismatch] (it exists with other options), [ErrInvalidLength], [ErrInvalidArgument], [ErrWrongKind] (the
// name is another object's), [ErrInvalidName], [ErrNoSpace] (no room in the arena), [ErrReadOnly], [ErrClosed].
func (r *Region) Heap(name string, length int, opts ...HeapOption) (*Heap, error) {
	return r.openHeap(name, heapOptions(length, opts))
}

// FindHeap returns the heap of this name, with whatever it was created.
//
// Errors: [ErrNotFound], [ErrWrongKind], [ErrInvalidName], [ErrReadOnly], [ErrClosed].
func (r *Region) FindHeap(name string) (*Heap, error) { return r.openHeap(name, nil) }

func (r *Region) openHeap(name string, options *C.shmkit_heap_options_t) (*Heap, error) {
	h := &Heap{}
	err := r.withName("open heap", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_heap_open(r.native(), name, options, &h.pointer, details)
	})
	if err != nil {
		return nil, err
	}
	return h.manage(name, r.meetingPoint("heap", name)), nil
}

func (h *Heap) manage(name string, key gateKey) *Heap {
	pointer := h.pointer
	h.strategy = HeapStrategy(C.shmkit_heap_strategy(pointer))
	manage(h, &h.object, name, key, func() { C.shmkit_heap_free(pointer) })
	return h
}

// CreateHeap creates a region that holds one heap with length bytes for blocks, and opens the heap. [Unlink] removes the
// region's name.
//
// Errors: those of [Create] and [Region.Heap].
func CreateHeap(name string, length int, opts ...HeapOption) (*Heap, error) {
	options := heapOptions(length, opts)
	return ownHeap("create heap", name, func(h *Heap, name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_heap_create(name, options, &h.pointer, details)
	})
}

// OpenOrCreateHeap opens the heap of such a region, or creates both.
//
// Errors: those of [OpenOrCreate] and [Region.Heap].
func OpenOrCreateHeap(name string, length int, opts ...HeapOption) (*Heap, error) {
	options := heapOptions(length, opts)
	return ownHeap("open or create heap", name, func(h *Heap, name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_heap_open_or_create(name, options, &h.pointer, details)
	})
}

// OpenHeap opens the heap of such a region, with whatever it was created; of the options only [HeapAsFile] matters.
//
// Errors: those of [Open] and [Region.FindHeap].
func OpenHeap(name string, opts ...HeapOption) (*Heap, error) {
	flags := heapOptions(0, opts).flags & C.SHMKIT_HEAP_PATH
	return ownHeap("open heap", name, func(h *Heap, name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		return C.shmkit_heap_open_own(name, flags, &h.pointer, details)
	})
}

func ownHeap(operation, name string, open func(*Heap, *C.char, *C.shmkit_error_t) C.shmkit_status_t) (*Heap, error) {
	text, err := newCString(operation, name)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	h := &Heap{}
	details := newDetails()
	if status := open(h, text, &details); status != C.SHMKIT_OK {
		return nil, newError(status, &details)
	}
	return h.manage(C.GoString(C.shmkit_heap_name(h.pointer)), gateKey{name: "heap of " + name}), nil
}

// Allocate returns a block of length bytes, which may be anything. It lies at a multiple of 16.
//
// Errors: [ErrNoSpace], [ErrInvalidLength] (less than 1), [ErrTimeout] (a stopped process has had the heap's lock for ten
// seconds), [ErrCorrupted], [ErrClosed].
func (h *Heap) Allocate(length int) (*Block, error) { return h.allocate(length, 0, 0) }

// AllocateZeroed is [Heap.Allocate] with bytes that are all zero.
func (h *Heap) AllocateZeroed(length int) (*Block, error) {
	return h.allocate(length, 0, C.SHMKIT_HEAP_ZEROED)
}

// AllocateAligned is [Heap.Allocate] at a multiple of align, a power of two up to 4096. Errors: also [ErrInvalidArgument].
func (h *Heap) AllocateAligned(length, align int) (*Block, error) {
	if align == 0 {
		align = -1 // nothing is a multiple of 0, and for the library it is the default
	}
	return h.allocate(length, align, 0)
}

func (h *Heap) allocate(length, align int, flags C.uint32_t) (*Block, error) {
	var place C.shmkit_block_t
	details := newDetails()
	status := C.shmkit_heap_allocate(h.native(), lengthOf(length), alignmentOf(align), flags, &place, &details)
	return h.newBlock(align, status, &place, &details)
}

// Adopt makes a block this process's own that is published, or whose owner died: all that it offers, which may be somewhat
// more than was asked for. Of several who try, one gets it.
//
// Errors: [ErrNotOwner] (a living process has it), [ErrInvalidBlock], [ErrCorrupted], [ErrTimeout], [ErrClosed].
func (h *Heap) Adopt(offset uint64) (*Block, error) {
	var place C.shmkit_block_t
	details := newDetails()
	status := C.shmkit_heap_adopt(h.native(), C.uint64_t(offset), &place, &details)
	return h.newBlock(0, status, &place, &details)
}

// Block returns a block that this process owns, as [Block.IntoOffset] left it.
//
// Errors: [ErrNotOwner], [ErrInvalidBlock], [ErrCorrupted], [ErrTimeout], [ErrClosed].
func (h *Heap) Block(offset uint64) (*Block, error) {
	var place C.shmkit_block_t
	details := newDetails()
	status := C.shmkit_heap_block(h.native(), C.uint64_t(offset), &place, &details)
	return h.newBlock(0, status, &place, &details)
}

// View calls fn with the bytes of a live block, whosever it is, without a copy, and returns its error. While fn runs,
// [Heap.Close] answers [ErrBusy]; it does not keep the owner from freeing the block.
//
// Errors: [ErrInvalidBlock], [ErrCorrupted], [ErrTimeout], [ErrClosed], and those of fn.
func (h *Heap) View(offset uint64, fn func(bytes []byte) error) error {
	var place C.shmkit_block_t
	details := newDetails()
	status := C.shmkit_heap_pin(h.native(), C.uint64_t(offset), true, &place, &details)
	if err := failure(status, &details); err != nil {
		runtime.KeepAlive(h)
		return err
	}
	defer func() {
		C.shmkit_heap_unpin(h.native(), true, nil)
		runtime.KeepAlive(h)
	}()
	return fn(bytesOf(&place))
}

// Free frees the block at an offset: one of this process's, or a published one. What has a [Block] is freed through that.
//
// Errors: [ErrInvalidBlock] (no live block begins there: it was freed, or lies elsewhere), [ErrNotOwner], [ErrCorrupted],
// [ErrTimeout], [ErrClosed].
func (h *Heap) Free(offset uint64) error {
	details := newDetails()
	status := C.shmkit_heap_free_block(h.native(), C.uint64_t(offset), &details)
	runtime.KeepAlive(h)
	return failure(status, &details)
}

// UsableSize returns how many bytes a live block offers: what was asked for, or somewhat more.
//
// Errors: [ErrInvalidBlock], [ErrCorrupted], [ErrTimeout], [ErrClosed].
func (h *Heap) UsableSize(offset uint64) (int, error) {
	var length C.size_t
	details := newDetails()
	status := C.shmkit_heap_usable_size(h.native(), C.uint64_t(offset), &length, &details)
	runtime.KeepAlive(h)
	return int(length), failure(status, &details)
}

// Strategy returns which free block an allocation takes.
func (h *Heap) Strategy() HeapStrategy { return h.strategy }

// Name returns the name in its region.
func (h *Heap) Name() string { return h.name }

// Closed reports whether this handle was closed.
func (h *Heap) Closed() bool { return h.isClosed() }

// String returns the kind and name, for people.
func (h *Heap) String() string { return h.describe("Heap") }

// Close ends the use of this handle; repeating it does nothing. Blocks that are not published stay this process's while it
// has anything of the region open, and are a dead one's after that.
//
// Errors: [ErrBusy] while a view lives; then nothing has changed.
func (h *Heap) Close() error {
	return h.close(func() error {
		details := newDetails()
		status := C.shmkit_heap_close(h.native(), &details)
		runtime.KeepAlive(h)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps h alive until the call has returned.
func (h *Heap) native() *C.shmkit_heap_t {
	pointer := h.pointer
	collectHere()
	return pointer
}
