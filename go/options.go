package shmkit

// #include <shmkit.h>
import "C"

import (
	"io/fs"
	"math"
)

// An Option says how to create, open or unlink a region.
type Option func(*C.shmkit_region_options_t)

// WithMode sets the permission bits of a new region, exactly: the umask does not apply. Without it, or with 0, they are
// 0600. Other bits are refused.
func WithMode(mode fs.FileMode) Option {
	return func(o *C.shmkit_region_options_t) { o.mode = C.uint32_t(mode) }
}

// WithGroup sets the group id of a new region.
func WithGroup(group uint32) Option {
	return func(o *C.shmkit_region_options_t) {
		o.flags |= C.SHMKIT_REGION_GROUP
		o.group = C.uint32_t(group)
	}
}

// WithAttachments sets how many processes can be attached to a new region at once, 1 to 1023. Without it, or with 0,
// 128 can.
func WithAttachments(count int) Option {
	return func(o *C.shmkit_region_options_t) { o.attachments = count32(count) }
}

// count32 returns a count as C knows it. What does not fit becomes what is just as impossible: the library refuses it.
func count32(count int) C.uint32_t {
	if count < 0 || count > math.MaxUint32 {
		return math.MaxUint32
	}
	return C.uint32_t(count)
}

// WithArenaLen sets how many bytes a new region has for named objects, rounded up to whole pages; 0 is none. Without it
// there are 256 KiB.
func WithArenaLen(length int) Option {
	return func(o *C.shmkit_region_options_t) {
		o.flags &^= C.SHMKIT_REGION_NO_ARENA
		if length == 0 {
			o.flags |= C.SHMKIT_REGION_NO_ARENA
		}
		o.arena_len = C.uint64_t(length)
	}
}

// ReadOnly opens a region for reading only: nothing in it changes, not even the list of who is attached, and its guard
// cannot be taken.
func ReadOnly() Option {
	return func(o *C.shmkit_region_options_t) { o.flags |= C.SHMKIT_REGION_READ_ONLY }
}

// AsFile makes the name a path: the region is a file, as durable as its file system.
func AsFile() Option {
	return func(o *C.shmkit_region_options_t) { o.flags |= C.SHMKIT_REGION_PATH }
}

func regionOptions(opts []Option) *C.shmkit_region_options_t {
	options := &C.shmkit_region_options_t{size: C.sizeof_shmkit_region_options_t}
	for _, set := range opts {
		set(options)
	}
	return options
}

// Protection says what the pages of a mapping allow. Ask for the least that does the job.
type Protection uint32

// What pages can allow.
const (
	// Every access is refused; one through [Mapping.Bytes] stops the program.
	ProtectNone Protection = C.SHMKIT_PROTECTION_NONE
	// Reading.
	ProtectRead Protection = C.SHMKIT_PROTECTION_READ
	// Reading and writing.
	ProtectReadWrite Protection = C.SHMKIT_PROTECTION_READ_WRITE
)

// Advice tells the kernel what a range will be used for (madvise(2)). It is a hint, except that [AdviseDontNeed] drops
// private changes.
type Advice uint32

// What can be advised.
const (
	// No special pattern.
	AdviseNormal Advice = C.SHMKIT_ADVICE_NORMAL
	// Reads will jump: no read-ahead.
	AdviseRandom Advice = C.SHMKIT_ADVICE_RANDOM
	// Reads will run forward: read far ahead.
	AdviseSequential Advice = C.SHMKIT_ADVICE_SEQUENTIAL
	// The range will be needed soon: start reading it.
	AdviseWillNeed Advice = C.SHMKIT_ADVICE_WILL_NEED
	// The range will not be needed soon: pages may go, and private changes to them are lost. Whole pages only.
	AdviseDontNeed Advice = C.SHMKIT_ADVICE_DONT_NEED
)

// FlushMode says how far a flush goes before it returns (msync(2)). Modes combine with |.
type FlushMode uint32

const (
	// FlushSync returns when the bytes are on the disk, and reports the device's errors.
	FlushSync FlushMode = 0
	// FlushAsync hands the pages to the kernel's write-back and returns.
	FlushAsync FlushMode = C.SHMKIT_FLUSH_ASYNC
	// FlushInvalidate also drops cached copies of the range that differ from the file.
	FlushInvalidate FlushMode = C.SHMKIT_FLUSH_INVALIDATE
)

// A MapOption says how to make a [Mapping].
type MapOption func(*C.shmkit_map_options_t)

// WithLen sets the number of bytes to map. Without it, everything from the offset to the end of the file is.
func WithLen(length int) MapOption {
	return func(o *C.shmkit_map_options_t) {
		o.flags |= C.SHMKIT_MAP_LEN
		o.len = C.uint64_t(length)
	}
}

// WithOffset sets where in the file the mapping begins, in bytes. It need not be aligned to a page.
func WithOffset(offset int64) MapOption {
	return func(o *C.shmkit_map_options_t) { o.offset = C.uint64_t(offset) }
}

// WithProtection sets what the pages allow. Without it, a file is mapped for reading.
func WithProtection(protection Protection) MapOption {
	return func(o *C.shmkit_map_options_t) { o.protection = C.uint32_t(protection) }
}

// WithPrivate makes writes visible to this mapping only: a page is copied at its first write (MAP_PRIVATE).
func WithPrivate() MapOption { return withMapFlag(C.SHMKIT_MAP_PRIVATE) }

// WithCreate creates the file when it is missing, and makes it long enough; it needs [WithLen]. A file that exists is
// never truncated.
func WithCreate() MapOption { return withMapFlag(C.SHMKIT_MAP_CREATE) }

// WithFileMode sets the permission bits for a file that [WithCreate] makes; the umask applies. Without it, or with
// 0, they are 0644.
func WithFileMode(mode fs.FileMode) MapOption {
	return func(o *C.shmkit_map_options_t) { o.mode = C.uint32_t(mode) }
}

// WithGrow makes the file longer when it ends before the range, with storage behind every byte; it needs [WithLen].
func WithGrow() MapOption { return withMapFlag(C.SHMKIT_MAP_GROW) }

// WithPopulate reads all pages in now instead of at first touch.
func WithPopulate() MapOption { return withMapFlag(C.SHMKIT_MAP_POPULATE) }

// WithNoReserve takes no swap reservation for private pages: a store may then find no memory.
func WithNoReserve() MapOption { return withMapFlag(C.SHMKIT_MAP_NO_RESERVE) }

func withMapFlag(flag C.uint32_t) MapOption {
	return func(o *C.shmkit_map_options_t) { o.flags |= flag }
}

func mapOptions(opts []MapOption) *C.shmkit_map_options_t {
	options := &C.shmkit_map_options_t{size: C.sizeof_shmkit_map_options_t, protection: C.uint32_t(ProtectRead)}
	for _, set := range opts {
		set(options)
	}
	return options
}
