package shmkit

// #include <shmkit.h>
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"
)

// PageFlags is what is known of one page: a set of the Page constants.
type PageFlags uint8

const (
	// PageResident: in memory, whoever brought it there. An access needs no disk.
	PageResident PageFlags = C.SHMKIT_PAGE_RESIDENT
	// PagePresent: in this process's page table. An access is no page fault.
	PagePresent PageFlags = C.SHMKIT_PAGE_PRESENT
	// PageDirty: of a shared map of a file, changed and not yet on the disk.
	PageDirty PageFlags = C.SHMKIT_PAGE_DIRTY
	// PageSoftDirty: written by this process since the page was made or [ClearSoftDirty] was called.
	PageSoftDirty PageFlags = C.SHMKIT_PAGE_SOFT_DIRTY
	// PageSwapped: out in swap space.
	PageSwapped PageFlags = C.SHMKIT_PAGE_SWAPPED
	// PageHuge: part of a huge page.
	PageHuge PageFlags = C.SHMKIT_PAGE_HUGE
	// PageZero: the system's one page of zeros, read and never written.
	PageZero PageFlags = C.SHMKIT_PAGE_ZERO
)

var pageNames = []struct {
	flag PageFlags
	name string
}{
	{PageResident, "resident"}, {PagePresent, "present"}, {PageDirty, "dirty"}, {PageSoftDirty, "soft-dirty"},
	{PageSwapped, "swapped"}, {PageHuge, "huge"}, {PageZero, "zero"},
}

// Has reports whether all of these flags are set.
func (f PageFlags) Has(flags PageFlags) bool { return f&flags == flags }

// String names the flags that are set, for people.
func (f PageFlags) String() string {
	var names []string
	for _, flag := range pageNames {
		if f.Has(flag.flag) {
			names = append(names, flag.name)
		}
	}
	return strings.Join(names, "|")
}

// Residency is the state of each page of a range.
type Residency struct {
	// What is known of each page.
	States []PageFlags
	// The flags that this kernel tells this process; the others are never set.
	Known PageFlags
}

// Counts returns how many pages have which flag.
func (r *Residency) Counts() PageCounts {
	counts := PageCounts{Pages: len(r.States)}
	for _, state := range r.States {
		for _, place := range []struct {
			flag  PageFlags
			count *int
		}{
			{PageResident, &counts.Resident}, {PagePresent, &counts.Present}, {PageDirty, &counts.Dirty},
			{PageSoftDirty, &counts.SoftDirty}, {PageSwapped, &counts.Swapped}, {PageHuge, &counts.Huge}, {PageZero, &counts.Zero},
		} {
			if state.Has(place.flag) {
				*place.count++
			}
		}
	}
	return counts
}

// PageCounts is how many pages have which flag.
type PageCounts struct {
	Pages, Resident, Present, Dirty, SoftDirty, Swapped, Huge, Zero int
}

// MemoryUse is how much memory something takes, in bytes.
//
// The kernel counts by area: private memory without a file may share one with other memory of the process, which is counted
// then too.
type MemoryUse struct {
	// In this process's page table.
	Resident int64
	// The same, each page divided by the number of processes that map it.
	Proportional int64
	// Mapped by others too, and not changed; and changed.
	SharedClean, SharedDirty int64
	// Mapped by this process only, and not changed; and changed.
	PrivateClean, PrivateDirty int64
	// In huge pages, transparent or reserved.
	Huge int64
	// Out in swap space.
	Swapped int64
	// Locked in memory.
	Locked int64
}

// Residency returns the state of each page.
//
// Errors: [ErrClosed].
func (m *Mapping) Residency() (*Residency, error) { return m.ResidencyRange(0, m.Len()) }

// ResidencyRange is [Mapping.Residency] for the length bytes from offset, widened to whole pages of the system's size. Errors: also
// [ErrOutOfRange].
func (m *Mapping) ResidencyRange(offset, length int) (*Residency, error) {
	return allPages(func(states *C.uint8_t, count C.size_t, needed *C.size_t, known *C.uint32_t, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_mapping_residency(m.native(), C.uint64_t(offset), C.size_t(length), states, count, needed, known, details)
		runtime.KeepAlive(m)
		return status
	})
}

// PageCounts returns how many pages have which flag, in each of so many equal parts of the mapping: a picture of any size of
// a mapping of any size. Fewer pages than parts make fewer parts. Also returns the flags that are known.
//
// Errors: [ErrClosed], [ErrInvalidArgument] (no parts).
func (m *Mapping) PageCounts(parts int) ([]PageCounts, PageFlags, error) {
	return countPages(parts, func(counts *C.shmkit_page_counts_t, known *C.uint32_t, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_mapping_page_counts(m.native(), 0, C.size_t(m.Len()), counts, C.size_t(parts), known, details)
		runtime.KeepAlive(m)
		return status
	})
}

// MemoryUse returns how much memory the mapping takes.
//
// Errors: [ErrClosed].
func (m *Mapping) MemoryUse() (MemoryUse, error) {
	details := newDetails()
	used := C.shmkit_memory_use_t{size: C.sizeof_shmkit_memory_use_t}
	status := C.shmkit_mapping_memory_use(m.native(), &used, &details)
	runtime.KeepAlive(m)
	return memoryUse(&used), failure(status, &details)
}

// LockMemory keeps all pages in memory, from now or each from when it is first touched (mlock2(2)). Children do not inherit
// that, and one unlock frees what several locks kept.
//
// Errors: [ErrOutOfMemory] (more than the process may lock: the message says how much), [ErrClosed], [ErrUnsupported].
func (m *Mapping) LockMemory(lock MemoryLock) error { return m.LockMemoryRange(0, m.Len(), lock) }

// LockMemoryRange is [Mapping.LockMemory] for the length bytes from offset. Errors: also [ErrOutOfRange].
func (m *Mapping) LockMemoryRange(offset, length int, lock MemoryLock) error {
	details := newDetails()
	status := C.shmkit_mapping_lock_memory(m.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(lock), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// UnlockMemory lets the pages go again.
//
// Errors: [ErrClosed].
func (m *Mapping) UnlockMemory() error { return m.UnlockMemoryRange(0, m.Len()) }

// UnlockMemoryRange is [Mapping.UnlockMemory] for the length bytes from offset. Errors: also [ErrOutOfRange].
func (m *Mapping) UnlockMemoryRange(offset, length int) error {
	details := newDetails()
	status := C.shmkit_mapping_unlock_memory(m.native(), C.uint64_t(offset), C.size_t(length), &details)
	runtime.KeepAlive(m)
	return failure(status, &details)
}

// Persistent reports whether a flush has somewhere to go: a shared map of a file on a device. Elsewhere (shared memory
// objects, memory without a file, private maps) a flush succeeds and does nothing.
func (m *Mapping) Persistent() bool {
	persistent := bool(C.shmkit_mapping_is_persistent(m.native()))
	runtime.KeepAlive(m)
	return persistent
}

// PageSize returns the bytes of a page of the mapping: what protection and advice are rounded to.
func (m *Mapping) PageSize() int {
	size := int(C.shmkit_mapping_page_size(m.native()))
	runtime.KeepAlive(m)
	return size
}

// Residency returns the state of each page of the user bytes.
//
// Errors: [ErrClosed].
func (r *Region) Residency() (*Residency, error) { return r.ResidencyRange(0, r.Len()) }

// ResidencyRange is [Region.Residency] for the length bytes from offset, widened to whole pages. Errors: also [ErrOutOfRange].
func (r *Region) ResidencyRange(offset, length int) (*Residency, error) {
	return allPages(func(states *C.uint8_t, count C.size_t, needed *C.size_t, known *C.uint32_t, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_region_residency(r.native(), C.uint64_t(offset), C.size_t(length), states, count, needed, known, details)
		runtime.KeepAlive(r)
		return status
	})
}

// PageCounts is [Mapping.PageCounts] for the user bytes.
//
// Errors: [ErrClosed], [ErrInvalidArgument] (no parts).
func (r *Region) PageCounts(parts int) ([]PageCounts, PageFlags, error) {
	return countPages(parts, func(counts *C.shmkit_page_counts_t, known *C.uint32_t, details *C.shmkit_error_t) C.shmkit_status_t {
		status := C.shmkit_region_page_counts(r.native(), 0, C.size_t(r.Len()), counts, C.size_t(parts), known, details)
		runtime.KeepAlive(r)
		return status
	})
}

// MemoryUse returns how much memory the region takes, with its header, slots and arena.
//
// Errors: [ErrClosed].
func (r *Region) MemoryUse() (MemoryUse, error) {
	details := newDetails()
	used := C.shmkit_memory_use_t{size: C.sizeof_shmkit_memory_use_t}
	status := C.shmkit_region_memory_use(r.native(), &used, &details)
	runtime.KeepAlive(r)
	return memoryUse(&used), failure(status, &details)
}

// LockMemory is [Mapping.LockMemory] for the user bytes. It is no lock of the region: that is [Region.Lock].
//
// Errors: [ErrOutOfMemory], [ErrClosed], [ErrUnsupported].
func (r *Region) LockMemory(lock MemoryLock) error { return r.LockMemoryRange(0, r.Len(), lock) }

// LockMemoryRange is [Region.LockMemory] for the length bytes from offset. Errors: also [ErrOutOfRange].
func (r *Region) LockMemoryRange(offset, length int, lock MemoryLock) error {
	details := newDetails()
	status := C.shmkit_region_lock_memory(r.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(lock), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// UnlockMemory lets the pages go again.
//
// Errors: [ErrClosed].
func (r *Region) UnlockMemory() error { return r.UnlockMemoryRange(0, r.Len()) }

// UnlockMemoryRange is [Region.UnlockMemory] for the length bytes from offset. Errors: also [ErrOutOfRange].
func (r *Region) UnlockMemoryRange(offset, length int) error {
	details := newDetails()
	status := C.shmkit_region_unlock_memory(r.native(), C.uint64_t(offset), C.size_t(length), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Advise tells the kernel what the user bytes will be used for (madvise(2)).
//
// Errors: [ErrClosed], [ErrReadOnly], [ErrInvalidArgument] ([AdviseRemove], which would give back the storage that creation
// reserved), [ErrUnsupported].
func (r *Region) Advise(advice Advice) error { return r.AdviseRange(0, r.Len(), advice) }

// AdviseRange is [Region.Advise] for the length bytes from offset. Errors: also [ErrOutOfRange], [ErrInvalidArgument] (a part
// of a page, where that would hurt its neighbours).
func (r *Region) AdviseRange(offset, length int, advice Advice) error {
	details := newDetails()
	status := C.shmkit_region_advise(r.native(), C.uint64_t(offset), C.size_t(length), C.uint32_t(advice), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Persistent reports whether a flush has somewhere to go: the region is a file on a device.
func (r *Region) Persistent() bool {
	persistent := bool(C.shmkit_region_is_persistent(r.native()))
	runtime.KeepAlive(r)
	return persistent
}

type pagesCall func(states *C.uint8_t, count C.size_t, needed *C.size_t, known *C.uint32_t, details *C.shmkit_error_t) C.shmkit_status_t

func allPages(call pagesCall) (*Residency, error) {
	var needed C.size_t
	var known C.uint32_t
	details := newDetails()
	if err := failure(call(nil, 0, &needed, &known, &details), &details); err != nil {
		return nil, err
	}
	pages := &Residency{States: make([]PageFlags, int(needed))}
	if needed == 0 {
		pages.Known = PageFlags(known)
		return pages, nil
	}
	place := (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(pages.States)))
	details = newDetails()
	if err := failure(call(place, needed, nil, &known, &details), &details); err != nil {
		return nil, err
	}
	pages.Known = PageFlags(known)
	return pages, nil
}

type countsCall func(counts *C.shmkit_page_counts_t, known *C.uint32_t, details *C.shmkit_error_t) C.shmkit_status_t

func countPages(parts int, call countsCall) ([]PageCounts, PageFlags, error) {
	counts := make([]C.shmkit_page_counts_t, max(parts, 0))
	var known C.uint32_t
	details := newDetails()
	if err := failure(call(unsafe.SliceData(counts), &known, &details), &details); err != nil {
		return nil, 0, err
	}
	var result []PageCounts
	for i := range counts {
		c := &counts[i]
		if i > 0 && c.pages == 0 {
			break
		}
		result = append(result, PageCounts{
			int(c.pages), int(c.resident), int(c.present), int(c.dirty), int(c.soft_dirty), int(c.swapped), int(c.huge), int(c.zero),
		})
	}
	return result, PageFlags(known), nil
}

func memoryUse(used *C.shmkit_memory_use_t) MemoryUse {
	return MemoryUse{
		Resident: int64(used.resident), Proportional: int64(used.proportional),
		SharedClean: int64(used.shared_clean), SharedDirty: int64(used.shared_dirty),
		PrivateClean: int64(used.private_clean), PrivateDirty: int64(used.private_dirty),
		Huge: int64(used.huge), Swapped: int64(used.swapped), Locked: int64(used.locked),
	}
}

// ClearSoftDirty clears the soft-dirty bits of all memory of this process: [PageSoftDirty] then tells what was written since.
//
// Errors: [ErrUnsupported] where the kernel keeps no such bits (it was built without CONFIG_MEM_SOFT_DIRTY).
func ClearSoftDirty() error {
	details := newDetails()
	return failure(C.shmkit_clear_soft_dirty(&details), &details)
}

// Usage is what work cost: page faults, and processor time here and in the kernel (getrusage(2)).
type Usage struct {
	// Page faults that needed no disk.
	MinorFaults int
	// Page faults that waited for a disk.
	MajorFaults int
	// Processor time in the program.
	User time.Duration
	// Processor time in the kernel.
	Kernel time.Duration
}

// String says it in one line, for people.
func (u Usage) String() string {
	return fmt.Sprintf("%d minor and %d major faults, %v user, %v kernel", u.MinorFaults, u.MajorFaults, u.User, u.Kernel)
}

// Sub returns the difference to an earlier look.
func (u Usage) Sub(earlier Usage) Usage {
	return Usage{u.MinorFaults - earlier.MinorFaults, u.MajorFaults - earlier.MajorFaults, u.User - earlier.User, u.Kernel - earlier.Kernel}
}

// ProcessUsage returns what the whole process has used so far.
func ProcessUsage() (Usage, error) { return lookAtUsage(true) }

// CountUsage runs work on a thread of its own goroutine's and returns what that thread did meanwhile: not what other
// goroutines did.
func CountUsage(work func()) (Usage, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := lookAtUsage(false)
	if err != nil {
		return Usage{}, err
	}
	work()
	after, err := lookAtUsage(false)
	return after.Sub(before), err
}

func lookAtUsage(wholeProcess bool) (Usage, error) {
	details := newDetails()
	usage := C.shmkit_usage_t{size: C.sizeof_shmkit_usage_t}
	status := C.shmkit_usage(C.bool(wholeProcess), &usage, &details)
	return Usage{
		MinorFaults: int(usage.minor_faults), MajorFaults: int(usage.major_faults),
		User: time.Duration(usage.user_ns), Kernel: time.Duration(usage.kernel_ns),
	}, failure(status, &details)
}
