package shmkit

// #include <shmkit.h>
import "C"

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// The poolWords are a pool's words in shared memory, and what the fast path does with them: exactly what the library does, see
// docs/format.md. A word for each block is the truth. The levels of bits say where a free block may be: a set bit may be
// wrong, and whoever finds it so takes it away; a missing one is put back by the library when nothing else is found.
type poolWords struct {
	// This process's owner id or 0, and what waiters sleep on; like all words, they belong to the library.
	me, signal *uint32
	states     []uint64
	levels     [][]uint64
	blocks     unsafe.Pointer
	stride     uintptr
	blockSize  int
	// The block to look at first: the one that was freed last.
	first atomic.Uint32
}

const (
	generationStep = 1 << C.SHMKIT_POOL_GENERATION_SHIFT
	// Wrong bits that a search takes away, and steps that it makes, before it leaves the rest to the library.
	mostTries = 128
	mostSteps = 4096
)

func (w *poolWords) fill(words *C.shmkit_pool_words_t) {
	w.me, w.signal = (*uint32)(words.me), (*uint32)(words.signal)
	w.states = unsafe.Slice((*uint64)(words.states), int(words.count))
	for level, start := range words.levels {
		if start != nil {
			w.levels = append(w.levels, unsafe.Slice((*uint64)(start), int(words.level_lens[level])))
		}
	}
	w.blocks, w.stride, w.blockSize = words.blocks, uintptr(words.stride), int(words.block_size)
	w.first.Store(uint32(words.first))
}

// index returns the place of the block that a handle names.
func index(handle uint64) uint32 { return uint32(handle) - 1 }

// takeFrom takes a free block, if the bits know of one: first the one that was freed last.
func (w *poolWords) takeFrom(me uint32) uint64 {
	first := w.first.Load()
	if handle := w.takeAt(int(first), me); handle != 0 {
		return handle
	}
	from := int(first)
	for range mostTries {
		at := w.find(from)
		if at < 0 {
			if at = w.find(0); at < 0 {
				return 0
			}
		}
		handle := w.takeAt(at, me)
		w.hide(0, at)
		if handle != 0 {
			return handle
		}
		from = at
	}
	return 0
}

// takeAt takes the block of this index if it is free.
func (w *poolWords) takeAt(at int, me uint32) uint64 {
	if at >= len(w.states) {
		return 0
	}
	state := &w.states[at]
	for seen := atomic.LoadUint64(state); uint32(seen) == C.SHMKIT_POOL_FREE; seen = atomic.LoadUint64(state) {
		owned := seen + generationStep | uint64(me|C.SHMKIT_POOL_OWNED)
		if atomic.CompareAndSwapUint64(state, seen, owned) {
			return owned&^(generationStep-1) | uint64(at+1)
		}
	}
	return 0
}

// giveBack frees a block of this process.
func (w *poolWords) giveBack(handle uint64, me uint32) bool {
	at := index(handle)
	if me == 0 || int(at) >= len(w.states) {
		return false
	}
	free := handle &^ (generationStep - 1)
	return atomic.CompareAndSwapUint64(&w.states[at], free|uint64(me|C.SHMKIT_POOL_OWNED), free)
}

// mustTell reports whether others must be told of a block that was just freed.
func (w *poolWords) mustTell(at uint32) bool {
	shown := atomic.LoadUint64(&w.levels[0][at/64])&(1<<(at%64)) != 0
	return !shown || atomic.LoadUint32(w.signal)&C.SHMKIT_WORD_WAITERS != 0
}

// find returns the first block at or behind from whose bit says that it may be free: up to a word that has bits, and down
// again; or -1.
func (w *poolWords) find(from int) int {
	at, level := from, 0
	for range mostSteps {
		if level == len(w.levels) || at/64 >= len(w.levels[level]) {
			return -1
		}
		here := atomic.LoadUint64(&w.levels[level][at/64]) & (^uint64(0) << (at % 64))
		if here == 0 {
			at, level = at/64+1, level+1
			continue
		}
		at = at/64*64 + bits.TrailingZeros64(here)
		if level == 0 {
			return at
		}
		if at >= len(w.levels[level-1]) || atomic.LoadUint64(&w.levels[level-1][at]) == 0 {
			w.hide(level, at)
		} else {
			at, level = at*64, level-1
		}
	}
	return -1
}

// hide takes a bit away, and the bits above it if it was the last; then it looks whether it should have stayed.
func (w *poolWords) hide(level, at int) {
	for ; level < len(w.levels); level++ {
		bit := uint64(1) << (at % 64)
		left := atomic.AndUint64(&w.levels[level][at/64], ^bit) &^ bit
		if w.shouldShow(level, at) {
			w.show(level, at)
			return
		}
		if left != 0 {
			return
		}
		at /= 64
	}
}

// show sets a bit, and the bits above it as far as they are missing.
func (w *poolWords) show(level, at int) {
	for ; level < len(w.levels); level++ {
		bit, word := uint64(1)<<(at%64), &w.levels[level][at/64]
		if atomic.LoadUint64(word)&bit != 0 {
			return
		}
		atomic.OrUint64(word, bit)
		at /= 64
	}
}

func (w *poolWords) shouldShow(level, at int) bool {
	if level == 0 {
		return at < len(w.states) && uint32(atomic.LoadUint64(&w.states[at])) == C.SHMKIT_POOL_FREE
	}
	return at < len(w.levels[level-1]) && atomic.LoadUint64(&w.levels[level-1][at]) != 0
}
