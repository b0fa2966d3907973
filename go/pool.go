package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Pool is a number of blocks of one size in a region, allocated and freed without a lock. It stays usable when the [Region]
// it was opened from is closed. All methods may be called from any goroutine.
//
// A block belongs to the process that allocated it and comes back when that process dies. It is handed to another process
// without a copy: [PoolBlock.Publish] returns a handle, a number, and [Pool.Adopt] takes the block there.
type Pool struct {
	object
	poolWords
	pointer *C.shmkit_pool_t
}

// A PoolOption says how a pool is created; who opens one that exists must ask for the same.
type PoolOption func(*C.shmkit_pool_options_t)

// WithAlignment sets what the blocks are aligned to: a power of two from 8 to 4096. Without it, or with 0, that is 64.
func WithAlignment(alignment int) PoolOption {
	return func(o *C.shmkit_pool_options_t) { o.alignment = count32(alignment) }
}

// Pool returns the pool of this name, creating it with count blocks of blockSize bytes when it is missing; all of them are
// free then, and zero.
//
// Errors: [ErrParameterMismatch] (it exists with other numbers), [ErrInvalidArgument] (the alignment), [ErrInvalidLength],
// [ErrWrongKind] (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left),
// [ErrReadOnly], [ErrClosed].
func (r *Region) Pool(name string, blockSize, count int, opts ...PoolOption) (*Pool, error) {
	options := &C.shmkit_pool_options_t{size: C.sizeof_shmkit_pool_options_t}
	options.block_size, options.count = C.uint64_t(blockSize), count32(count)
	for _, set := range opts {
		set(options)
	}
	return r.openPool(name, options)
}

// FindPool returns the pool of this name, with whatever numbers it was created. Errors: also [ErrNotFound], [ErrCorrupted].
func (r *Region) FindPool(name string) (*Pool, error) { return r.openPool(name, nil) }

func (r *Region) openPool(name string, options *C.shmkit_pool_options_t) (*Pool, error) {
	p := &Pool{}
	words := C.shmkit_pool_words_t{size: C.sizeof_shmkit_pool_words_t}
	err := r.withName("open pool", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_pool_open(r.native(), name, options, &p.pointer, details)
		if status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_pool_words(p.pointer, &words, details)
	})
	pointer := p.pointer
	if err != nil {
		C.shmkit_pool_free(pointer)
		return nil, err
	}
	p.poolWords.fill(&words)
	p.damage = r.damage
	manage(p, &p.object, name, gateKey{word: p.signal}, func() { C.shmkit_pool_free(pointer) })
	return p, nil
}

// Allocate takes a block, waiting until there is one or ctx ends. One that is free is taken without a look at ctx and without
// a call into C. One goroutine of the process at a time waits in the kernel, and follows ctx within 15 ms; the others wait
// like for a channel. The block may hold what its last owner left in it.
//
// Errors: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), [ErrClosed],
// [ErrTooManyAttachments].
func (p *Pool) Allocate(ctx context.Context) (PoolBlock, error) {
	if handle, me := p.take(); handle != 0 {
		return p.keepIfOpen(handle, me)
	}
	var block C.shmkit_pool_block_t
	within := func(timeout C.uint64_t) error {
		details := newDetails()
		status := C.shmkit_pool_allocate_wait(p.native(), timeout, 0, &block, &details)
		runtime.KeepAlive(p)
		return failure(status, &details)
	}
	err := p.gate.wait(ctx, p.gone, func(atMost time.Duration) error {
		return p.orClosed(within(C.uint64_t(atMost)), func() error { return within(0) })
	})
	if err != nil {
		return PoolBlock{}, err
	}
	return p.given(uint64(block.handle)), nil
}

// TryAllocate takes a block if one is free or belongs to somebody who died, and reports whether it did. It never waits for
// one. In a pool of more than 512 blocks for each attached process, one may be missed for up to 10 ms that somebody frees while
// another is looking at it; [Pool.Allocate] misses none.
//
// Errors: [ErrClosed], [ErrTooManyAttachments].
func (p *Pool) TryAllocate() (PoolBlock, bool, error) {
	if handle, me := p.take(); handle != 0 {
		block, err := p.keepIfOpen(handle, me)
		return block, err == nil, err
	}
	details := newDetails()
	var block C.shmkit_pool_block_t
	status := C.shmkit_pool_try_allocate(p.native(), &block, &details)
	runtime.KeepAlive(p)
	taken, err := tried(status, &details)
	if !taken {
		return PoolBlock{}, false, err
	}
	return p.given(uint64(block.handle)), true, nil
}

// Adopt takes the block that was published under this handle; it has a new handle then. Of several who try, one gets it.
//
// Errors: [ErrStaleHandle] (somebody adopted it before), [ErrInvalidBlock] (it is not published), [ErrClosed],
// [ErrTooManyAttachments].
func (p *Pool) Adopt(handle uint64) (PoolBlock, error) {
	details := newDetails()
	var block C.shmkit_pool_block_t
	status := C.shmkit_pool_adopt(p.native(), C.uint64_t(handle), &block, &details)
	runtime.KeepAlive(p)
	if status != C.SHMKIT_OK {
		return PoolBlock{}, newError(status, &details)
	}
	return p.given(uint64(block.handle)), nil
}

// Recover takes back now what the dead have, and returns how many blocks came back. Whoever finds no free block does the same.
//
// Errors: [ErrClosed].
func (p *Pool) Recover() (int, error) {
	details := newDetails()
	var count C.uint32_t
	status := C.shmkit_pool_recover(p.native(), &count, &details)
	runtime.KeepAlive(p)
	return int(count), failure(status, &details)
}

// PoolStatus tells how the blocks of a pool are distributed.
type PoolStatus struct {
	// Bytes of a block, and from block to block.
	BlockSize, Stride int
	// All blocks; the free ones; those that processes have, dead or alive; the published ones; and those whose words are none
	// that a pool writes.
	Total, Free, Owned, Published, Damaged int
	// How many blocks came back from the dead so far.
	Recovered int
}

// Status returns how many blocks there are of each kind. Errors: [ErrClosed].
func (p *Pool) Status() (PoolStatus, error) {
	details := newDetails()
	status := C.shmkit_pool_status_t{size: C.sizeof_shmkit_pool_status_t}
	answer := C.shmkit_pool_status(p.native(), &status, &details)
	runtime.KeepAlive(p)
	return PoolStatus{
		BlockSize: int(status.block_size),
		Stride:    int(status.stride),
		Total:     int(status.total),
		Free:      int(status.free),
		Owned:     int(status.owned),
		Published: int(status.published),
		Damaged:   int(status.damaged),
		Recovered: int(status.recovered),
	}, failure(answer, &details)
}

// PoolOwner is a process that has blocks of a pool.
type PoolOwner struct {
	// Index of its attachment's slot, and its process id; the latter 0 when the slot has a new owner.
	Slot, PID int
	// Whether it lives.
	Alive bool
	// Number of its blocks.
	Count int
}

// Owners returns who has how many blocks, the dead included. Errors: [ErrClosed].
func (p *Pool) Owners() ([]PoolOwner, error) {
	found, err := listed(func(places *C.shmkit_pool_owner_t, room C.size_t, count *C.size_t) error {
		details := newDetails()
		status := C.shmkit_pool_owners(p.native(), places, room, count, &details)
		runtime.KeepAlive(p)
		return failure(status, &details)
	})
	owners := make([]PoolOwner, len(found))
	for i, owner := range found {
		owners[i] = PoolOwner{
			Slot:  int(owner.slot),
			PID:   int(owner.pid),
			Alive: owner.flags&C.SHMKIT_BLOCK_OWNER_ALIVE != 0,
			Count: int(owner.count),
		}
	}
	return owners, err
}

// BlockState says what a block is.
type BlockState uint32

// The states.
const (
	// Nobody has it.
	BlockFree BlockState = C.SHMKIT_BLOCK_STATE_FREE
	// A process has it.
	BlockOwned BlockState = C.SHMKIT_BLOCK_STATE_OWNED
	// Nobody has it until somebody adopts it.
	BlockPublished BlockState = C.SHMKIT_BLOCK_STATE_PUBLISHED
	// Its word is none that a pool writes: somebody overwrote it.
	BlockDamaged BlockState = C.SHMKIT_BLOCK_STATE_DAMAGED
)

// BlockStatus tells of one block.
type BlockStatus struct {
	State BlockState
	// 0 for a free block.
	Handle uint64
	// Slot and process id of the owner; the latter 0 when there is none, or its slot has a new owner.
	Slot, PID int
	// Whether this process has it.
	Mine bool
}

// Blocks returns what each block is, in the order of their places. Errors: [ErrClosed].
func (p *Pool) Blocks() ([]BlockStatus, error) {
	blocks := make([]BlockStatus, len(p.states))
	details := newDetails()
	for index := range blocks {
		block := C.shmkit_pool_block_status_t{size: C.sizeof_shmkit_pool_block_status_t}
		status := C.shmkit_pool_block_at(p.native(), C.uint32_t(index), &block, &details)
		runtime.KeepAlive(p)
		if status != C.SHMKIT_OK {
			return nil, newError(status, &details)
		}
		blocks[index] = BlockStatus{
			State:  BlockState(block.state),
			Handle: uint64(block.handle),
			Slot:   int(block.slot),
			PID:    int(block.pid),
			Mine:   block.mine != 0,
		}
	}
	return blocks, nil
}

// BlockSize returns the bytes of a block.
func (p *Pool) BlockSize() int { return p.blockSize }

// Count returns the number of blocks.
func (p *Pool) Count() int { return len(p.states) }

// Name returns the name in its region.
func (p *Pool) Name() string { return p.name }

// Closed reports whether this handle was closed.
func (p *Pool) Closed() bool { return p.isClosed() }

// String returns the kind and name, for people.
func (p *Pool) String() string { return p.describe("Pool") }

// Close ends the use of the pool through this handle; repeating it does nothing. Goroutines that wait for a block through this
// handle get [ErrClosed]. A pool whose blocks were handed out is never closed by the garbage collector, only by Close.
//
// Errors: [ErrBusy] while this process has blocks and the handle is its last; then nothing has changed.
func (p *Pool) Close() error {
	return p.close(func() error {
		details := newDetails()
		status := C.shmkit_pool_close(p.native(), &details)
		runtime.KeepAlive(p)
		return failure(status, &details)
	})
}

// PoolBlock is a block of a pool that this process has, until it is freed or published. It is a small value: copies are the
// same block. The zero value is no block.
type PoolBlock struct {
	pool   *Pool
	handle uint64
}

// Bytes returns the bytes of the block themselves, without a copy; [SliceAs] shows them as values of another type. They are
// valid while this process has the block and the pool open.
func (b PoolBlock) Bytes() []byte {
	if b.pool == nil {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(b.pool.blocks, uintptr(index(b.handle))*b.pool.stride)), b.pool.blockSize)
}

// Handle returns the number that names the block while this process has it, and still when it is published. It is never 0.
func (b PoolBlock) Handle() uint64 { return b.handle }

// Free frees the block. What was written to it before is seen by who allocates it next. While nobody waits it costs no call
// into C.
//
// Errors: [ErrStaleHandle] (it was freed or passed on, and is in use again), [ErrInvalidBlock] (it was freed or published).
func (b PoolBlock) Free() error {
	p := b.pool
	if p == nil {
		return noBlock("free block")
	}
	raceRelease(p.gate)
	if p.leave(b.handle) {
		return nil
	}
	details := newDetails()
	status := C.shmkit_pool_free_block(p.native(), C.uint64_t(b.handle), &details)
	runtime.KeepAlive(p)
	return failure(status, &details)
}

// Publish gives the block up without freeing it: the first to adopt its handle, in whatever process, has it. Until then it
// belongs to nobody, whoever dies. Errors: as [PoolBlock.Free].
func (b PoolBlock) Publish() (handle uint64, err error) {
	if b.pool == nil {
		return 0, noBlock("publish block")
	}
	raceRelease(b.pool.gate)
	details := newDetails()
	status := C.shmkit_pool_publish(b.pool.native(), C.uint64_t(b.handle), &details)
	runtime.KeepAlive(b.pool)
	return b.handle, failure(status, &details)
}

func noBlock(operation string) error {
	return &Error{
		Kind:  ErrInvalidBlock,
		Op:    operation,
		Errno: syscall.EINVAL,
		Message: fmt.Sprintf("cannot %s: %s: the zero value (EINVAL); %s", operation,
			C.GoString(C.shmkit_status_description(C.SHMKIT_INVALID_BLOCK)), ErrInvalidBlock.Advice()),
	}
}

// native returns the C handle. Whoever uses it keeps p alive until the call has returned.
func (p *Pool) native() *C.shmkit_pool_t {
	pointer := p.pointer
	collectHere()
	return pointer
}

// given makes a block of a handle that this process was just given.
func (p *Pool) given(handle uint64) PoolBlock {
	raceAcquire(p.gate)
	if !p.rest.exposed.Load() {
		p.rest.exposed.Store(true)
	}
	return PoolBlock{pool: p, handle: handle}
}

// take is the fast path: a block that is free, its handle, and who took it; or 0.
func (p *Pool) take() (handle uint64, me uint32) {
	if p.closed.Load() || isDamaged(p.damage) {
		return 0, 0
	}
	word := p.me
	collectHere()
	if me = atomic.LoadUint32(word); me != 0 {
		handle = p.takeFrom(me)
	}
	runtime.KeepAlive(p)
	return handle, me
}

// keepIfOpen decides about a block that the fast path took on a handle that Close had marked, or in a page that the file has
// lost, as for locks.
func (p *Pool) keepIfOpen(handle uint64, me uint32) (PoolBlock, error) {
	if !isDamaged(p.damage) && (!p.closed.Load() || !p.settledClosed()) {
		return p.given(handle), nil
	}
	p.giveBack(handle, me)
	runtime.KeepAlive(p)
	details := newDetails()
	var block C.shmkit_pool_block_t
	status := C.shmkit_pool_try_allocate(p.native(), &block, &details)
	runtime.KeepAlive(p)
	return PoolBlock{}, failure(status, &details)
}

// leave is the fast path of a free: a compare-and-swap, and a call if somebody waits or must be told.
func (p *Pool) leave(handle uint64) bool {
	word := p.me
	collectHere()
	freed := p.giveBack(handle, atomic.LoadUint32(word))
	if freed {
		p.first.Store(index(handle))
		if p.mustTell(index(handle)) {
			C.shmkit_pool_settle(p.native(), C.uint32_t(index(handle)))
		}
	}
	runtime.KeepAlive(p)
	return freed
}
