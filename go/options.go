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

// WithCapacity sets the most user bytes that [Region.Resize] can give a new region later. Without it, or with 0, it is as
// many as the region has at first. It costs address space in each process, and storage only for what the region has.
// [OpenOrCreate] then takes a region of any length, if its capacity is this one.
func WithCapacity(length int) Option {
	return func(o *C.shmkit_region_options_t) { o.capacity = C.uint64_t(length) }
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

// Advice tells the kernel what a range will be used for (madvise(2)). Most are hints; those that change bytes say so. An older
// kernel, or memory of another kind, answers [ErrUnsupported].
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
	// The content is worthless: pages may go when memory is short, and then read zeros. Private memory, whole pages only.
	AdviseFree Advice = C.SHMKIT_ADVICE_FREE
	// Gives the storage behind the range back: it reads zeros, here and in the file. Writable shared maps, whole pages only.
	AdviseRemove Advice = C.SHMKIT_ADVICE_REMOVE
	// Pages with the same content may become one (private memory).
	AdviseMergeable Advice = C.SHMKIT_ADVICE_MERGEABLE
	// Takes AdviseMergeable back.
	AdviseUnmergeable Advice = C.SHMKIT_ADVICE_UNMERGEABLE
	// Huge pages are welcome.
	AdviseHugePage Advice = C.SHMKIT_ADVICE_HUGE_PAGE
	// No huge pages.
	AdviseNoHugePage Advice = C.SHMKIT_ADVICE_NO_HUGE_PAGE
	// Leave the range out of core dumps.
	AdviseDontDump Advice = C.SHMKIT_ADVICE_DONT_DUMP
	// Takes AdviseDontDump back.
	AdviseDoDump Advice = C.SHMKIT_ADVICE_DO_DUMP
	// A forked child finds zeros (private memory, whole pages only).
	AdviseWipeOnFork Advice = C.SHMKIT_ADVICE_WIPE_ON_FORK
	// Takes AdviseWipeOnFork back.
	AdviseKeepOnFork Advice = C.SHMKIT_ADVICE_KEEP_ON_FORK
	// The first to go when memory is short.
	AdviseCold Advice = C.SHMKIT_ADVICE_COLD
	// Write the pages out and let them go, now.
	AdvisePageOut Advice = C.SHMKIT_ADVICE_PAGE_OUT
	// Fault all pages in for reading, now. Fails where one cannot be read.
	AdvisePopulateRead Advice = C.SHMKIT_ADVICE_POPULATE_READ
	// Fault all pages in for writing, now. Fails where one cannot be written.
	AdvisePopulateWrite Advice = C.SHMKIT_ADVICE_POPULATE_WRITE
	// As AdviseDontNeed, also for pages that are locked in memory.
	AdviseDontNeedLocked Advice = C.SHMKIT_ADVICE_DONT_NEED_LOCKED
	// Make huge pages of the small ones, now.
	AdviseCollapse Advice = C.SHMKIT_ADVICE_COLLAPSE
)

// HugePages says which pages a mapping is made of.
type HugePages uint32

// Which pages there are.
const (
	// As the system decides: /sys/kernel/mm/transparent_hugepage.
	HugePagesAsSystem HugePages = C.SHMKIT_HUGE_PAGES_AS_SYSTEM
	// Huge where the kernel can, by advice: private memory, and files of file systems that have them.
	HugePagesTransparent HugePages = C.SHMKIT_HUGE_PAGES_TRANSPARENT
	// Never huge.
	HugePagesNever HugePages = C.SHMKIT_HUGE_PAGES_NEVER
	// Of those that the system reserved (/proc/sys/vm/nr_hugepages), in its default size. Anonymous memory only, in whole
	// huge pages.
	HugePagesReserved HugePages = C.SHMKIT_HUGE_PAGES_RESERVED
	// As HugePagesReserved, of 2 MiB.
	HugePagesReserved2MiB HugePages = C.SHMKIT_HUGE_PAGES_RESERVED_2MIB
	// As HugePagesReserved, of 1 GiB.
	HugePagesReserved1GiB HugePages = C.SHMKIT_HUGE_PAGES_RESERVED_1GIB
)

// MemoryLock says how pages are kept in memory (mlock2(2)).
type MemoryLock uint32

const (
	// LockNow keeps all of them, read in now.
	LockNow MemoryLock = 0
	// LockOnFault keeps each from when it is first touched.
	LockOnFault MemoryLock = C.SHMKIT_LOCK_ON_FAULT
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

// WithHugePages sets which pages the mapping is made of. Without it, the system decides.
func WithHugePages(huge HugePages) MapOption {
	return func(o *C.shmkit_map_options_t) { o.huge_pages = C.uint32_t(huge) }
}

// WithLockedMemory keeps the pages in memory from the start, as [Mapping.LockMemory] does.
func WithLockedMemory(lock MemoryLock) MapOption {
	if lock == LockOnFault {
		return withMapFlag(C.SHMKIT_MAP_LOCK_ON_FAULT)
	}
	return withMapFlag(C.SHMKIT_MAP_LOCK)
}

// WithReserve keeps as many bytes of address space, so that [Mapping.Resize] can make the mapping as long as that without
// moving it. Without it, a mapping can only shrink, and grow back.
func WithReserve(length int) MapOption {
	return func(o *C.shmkit_map_options_t) { o.reserve = C.uint64_t(length) }
}

// WithoutFaultGuard lets a file that is cut while it is mapped stop the program that touches what is missing: see
// [Mapping.Check].
func WithoutFaultGuard() MapOption { return withMapFlag(C.SHMKIT_MAP_NO_FAULT_GUARD) }

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
