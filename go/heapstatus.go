package shmkit

// #include <shmkit.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// HeapStatus is a heap in numbers. Bytes are those that blocks offer; the words before them count nowhere.
type HeapStatus struct {
	// Bytes of the heap, all in all.
	Len uint64
	// Bytes of live blocks.
	Used uint64
	// Bytes of free blocks.
	Free uint64
	// Bytes of the largest free block.
	LargestFree uint64
	// Number of live blocks, and how many of them are published.
	UsedBlocks, PublishedBlocks uint64
	// Number of free blocks.
	FreeBlocks uint64
	// How often what is derived from the blocks was made anew, after the death of somebody who held the heap's lock.
	Repairs uint64
	// Blocks that were taken back from the dead.
	Reclaimed uint64
}

// Fragmentation returns 1 − largest free block ÷ free bytes: 0 when all that is free is in one piece, near 1 when it is in
// many.
func (s HeapStatus) Fragmentation() float64 {
	if s.Free == 0 {
		return 0
	}
	return 1 - float64(s.LargestFree)/float64(s.Free)
}

// HeapBlock is one block of a heap.
type HeapBlock struct {
	// Where its bytes begin, from the region's start.
	Offset uint64
	// How many bytes it offers.
	Len uint64
	// Whether it is free space, and whether it is live and belongs to nobody.
	Free, Published bool
	// The owner's slot; 0 for a block without.
	Slot uint32
	// The owner's process id; 0 when there is none, or its slot has a new owner.
	PID uint32
	// Whether the owner lives.
	Alive bool
}

// HeapOwner is what one process has of a heap.
type HeapOwner struct {
	// Index of its attachment's slot.
	Slot uint32
	// Process id; 0 when the slot has a new owner.
	PID uint32
	// Whether it lives.
	Alive bool
	// Number of its blocks, and the bytes that they offer.
	Blocks, Bytes uint64
}

// Status returns the heap in numbers. It looks at every block, with the heap's lock held.
//
// Errors: [ErrCorrupted], [ErrTimeout], [ErrClosed].
func (h *Heap) Status() (HeapStatus, error) {
	found := C.shmkit_heap_status_t{size: C.sizeof_shmkit_heap_status_t}
	details := newDetails()
	status := C.shmkit_heap_status(h.native(), &found, &details)
	runtime.KeepAlive(h)
	return HeapStatus{
		Len:             uint64(found.len),
		Used:            uint64(found.used),
		Free:            uint64(found.free),
		LargestFree:     uint64(found.largest_free),
		UsedBlocks:      uint64(found.used_blocks),
		PublishedBlocks: uint64(found.published_blocks),
		FreeBlocks:      uint64(found.free_blocks),
		Repairs:         uint64(found.repairs),
		Reclaimed:       uint64(found.reclaimed),
	}, failure(status, &details)
}

// Blocks returns every block, in the order of their addresses. Errors: those of [Heap.Status].
func (h *Heap) Blocks() ([]HeapBlock, error) {
	found, err := listed(func(places *C.shmkit_block_status_t, room C.size_t, count *C.size_t) error {
		details := newDetails()
		status := C.shmkit_heap_blocks(h.native(), places, room, count, &details)
		runtime.KeepAlive(h)
		return failure(status, &details)
	})
	blocks := make([]HeapBlock, len(found))
	for i, block := range found {
		blocks[i] = HeapBlock{
			Offset:    uint64(block.offset),
			Len:       uint64(block.len),
			Free:      block.flags&C.SHMKIT_BLOCK_FREE != 0,
			Published: block.flags&C.SHMKIT_BLOCK_PUBLISHED != 0,
			Slot:      uint32(block.slot),
			PID:       uint32(block.pid),
			Alive:     block.flags&C.SHMKIT_BLOCK_OWNER_ALIVE != 0,
		}
	}
	return blocks, err
}

// Owners returns who has how much, the dead included. Errors: those of [Heap.Status].
func (h *Heap) Owners() ([]HeapOwner, error) {
	found, err := listed(func(places *C.shmkit_heap_owner_t, room C.size_t, count *C.size_t) error {
		details := newDetails()
		status := C.shmkit_heap_owners(h.native(), places, room, count, &details)
		runtime.KeepAlive(h)
		return failure(status, &details)
	})
	owners := make([]HeapOwner, len(found))
	for i, owner := range found {
		owners[i] = HeapOwner{
			Slot:   uint32(owner.slot),
			PID:    uint32(owner.pid),
			Alive:  owner.flags&C.SHMKIT_BLOCK_OWNER_ALIVE != 0,
			Blocks: uint64(owner.blocks),
			Bytes:  uint64(owner.bytes),
		}
	}
	return owners, err
}

// listed asks for a list until there was room for all of it.
func listed[T any](ask func(places *T, room C.size_t, count *C.size_t) error) ([]T, error) {
	var places []T
	for {
		var count C.size_t
		err := ask(unsafe.SliceData(places), C.size_t(len(places)), &count)
		if err != nil || int(count) <= len(places) {
			return places[:min(int(count), len(places))], err
		}
		places = make([]T, int(count)+int(count)/8)
	}
}

// Reclaim frees all blocks of processes that died, except published ones, and returns how many there were.
//
// Errors: [ErrCorrupted], [ErrTimeout], [ErrClosed].
func (h *Heap) Reclaim() (int, error) {
	var count C.uint64_t
	details := newDetails()
	status := C.shmkit_heap_reclaim(h.native(), &count, &details)
	runtime.KeepAlive(h)
	return int(count), failure(status, &details)
}

// Check checks that the heap is whole: every block, and all that is derived from them.
//
// Errors: [ErrCorrupted], whose text says what is wrong; [ErrTimeout], [ErrClosed].
func (h *Heap) Check() error {
	details := newDetails()
	status := C.shmkit_heap_check(h.native(), &details)
	runtime.KeepAlive(h)
	return failure(status, &details)
}
