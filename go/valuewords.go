package shmkit

// #include <shmkit.h>
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// The valueWords are a value's words in shared memory, and what reading and replacing it without a call does with them: exactly
// what the library does, see docs/format.md. A value of one word is that word. A longer one has two copies, and a version that
// says which of them is the value; only the other one is ever written to. All of them belong to the library.
type valueWords struct {
	// This process's owner id or 0.
	me      *uint32
	version *uint64
	// Both copies, one after the other; of a value of one word, the first is the value.
	copies []uint64
}

// How often a reader is overtaken by writers before it leaves the rest to the library.
const mostOvertaken = 16

func (w *valueWords) fill(words *C.shmkit_value_words_t) {
	w.me, w.version = (*uint32)(words.me), (*uint64)(words.version)
	w.copies = unsafe.Slice((*uint64)(words.copies), 2*int(words.copy_len))
}

func (w *valueWords) isOneWord() bool { return len(w.copies) == 2 }

// copyOut copies the value's size bytes to a place and returns by what they are known: the version, or the word itself. False
// if writers overtook it all the time.
func (w *valueWords) copyOut(into unsafe.Pointer, size uintptr) (version uint64, whole bool) {
	if w.isOneWord() {
		word := atomic.LoadUint64(&w.copies[0])
		toBytes(into, word, size)
		return word, true
	}
	half := len(w.copies) / 2
	for range mostOvertaken {
		version = atomic.LoadUint64(w.version)
		from := w.copies[:half]
		if version%2 == 1 {
			from = w.copies[half:]
		}
		at := uintptr(0)
		for i := range from {
			word := atomic.LoadUint64(&from[i])
			if size-at >= 8 {
				*(*uint64)(unsafe.Add(into, at)) = word
			} else {
				toBytes(unsafe.Add(into, at), word, size-at)
			}
			at += 8
		}
		// Whoever sees a byte of a later write also sees that the version moved.
		if atomic.LoadUint64(w.version) == version {
			return version, true
		}
	}
	return 0, false
}

// toBytes writes the first size bytes of a word, as they lie in memory.
func toBytes(into unsafe.Pointer, word uint64, size uintptr) {
	switch size {
	case 8:
		*(*uint64)(into) = word
	case 4:
		*(*uint32)(into) = *(*uint32)(unsafe.Pointer(&word))
	default:
		bytes := (*[8]byte)(unsafe.Pointer(&word))
		copy(unsafe.Slice((*byte)(into), size), bytes[:size])
	}
}

// wordOf returns the word of a value of at most 8 bytes.
func wordOf(from unsafe.Pointer, size uintptr) (word uint64) {
	bytes := (*[8]byte)(unsafe.Pointer(&word))
	copy(bytes[:size], unsafe.Slice((*byte)(from), size))
	return word
}
