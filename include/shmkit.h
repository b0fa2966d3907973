// shmkit: shared memory for Rust, C, Python and Go that survives when a process is killed.
//
// Written by tools/c-header.sh from the sources in ffi/ and core/; do not edit.
//
// Errors      Each call that can fail returns a shmkit_status_t: SHMKIT_OK, or what went wrong. The comments here name
//             statuses without their SHMKIT_. The last argument may lead to a shmkit_error_t of yours, which is filled
//             when the call fails, and only then; NULL is allowed. Nothing is kept per thread. A call that fails has
//             changed nothing, with one exception that you must know: OWNER_DIED means that the lock IS HELD.
// Arguments   NULL for a handle, a name or a result is INVALID_ARGUMENT, unless the comment allows it. Names are UTF-8;
//             paths are bytes. Strings and options are read during the call and not kept. Lengths and offsets are in
//             bytes, times in nanoseconds.
// Objects     Locks and signals are named objects of a region: `shmkit_<kind>_open` finds or creates one by name and kind, and
//             who opens it must ask for the same parameters. A handle on one may outlive the region's handle.
// Ownership   A handle that a call stores into `*out` is yours until you give it to the `_free` function of its kind,
//             once. Strings that calls return belong to the library. `_close` ends the use and keeps the handle; `_free`
//             takes the handle. Neither removes a name: that is `_unlink`, shmkit_region_remove_object, and for System
//             V `_remove`.
// Views       `_pin` counts a view, and `_close` answers BUSY while one lives, so no address goes away beneath its user.
//             Bytes in a view can be changed by other processes at any time: read them once, or hold the guard.
// Threads     All calls on a handle may be made from any thread at the same time, except `_free`, which comes last.
//             Locks belong to the process, so another thread may give back what one took.
// Forks       A forked child may go on using its copies of handles. It is attached anew at its first lock, and never
//             holds or releases what its parent holds.
// Blocking    Only `_lock`, `_acquire` and `_wait` functions, and what waits for the disk (a flush, and an append whose
//             policy says so), can block for long.
// Panics      Never cross into your program: a defect inside is INTERNAL.

#ifndef SHMKIT_H
#define SHMKIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// The version of this header.
#define SHMKIT_VERSION "0.1.0"

// Initial values: the defaults, and the size that lets the structs grow.
#define SHMKIT_ERROR_INIT { sizeof(shmkit_error_t), SHMKIT_OK, 0, "", "", "" }
#define SHMKIT_REGION_OPTIONS_INIT { sizeof(shmkit_region_options_t), 0, 0, 0, 0, 0, 0 }
#define SHMKIT_MAP_OPTIONS_INIT { sizeof(shmkit_map_options_t), 0, SHMKIT_PROTECTION_READ, 0, 0, 0, 0, 0 }
#define SHMKIT_SEMAPHORE_OPTIONS_INIT { sizeof(shmkit_semaphore_options_t), 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 0 }
#define SHMKIT_POOL_OPTIONS_INIT { sizeof(shmkit_pool_options_t), 0, 0, 0 }
#define SHMKIT_POOL_STATUS_INIT { sizeof(shmkit_pool_status_t), 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_POOL_BLOCK_STATUS_INIT { sizeof(shmkit_pool_block_status_t), 0, 0, 0, 0, 0 }
#define SHMKIT_POOL_WORDS_INIT { sizeof(shmkit_pool_words_t), 0, 0, 0, {0}, {0}, 0, 0, 0, 0, 0 }
#define SHMKIT_VALUE_WORDS_INIT { sizeof(shmkit_value_words_t), 0, 0, 0, 0 }
#define SHMKIT_OBJECT_INFO_INIT { sizeof(shmkit_object_info_t), 0, 0, {0, 0}, 0, "" }
#define SHMKIT_SEGMENT_OPTIONS_INIT { sizeof(shmkit_segment_options_t), 0, 0, 0, 0 }
#define SHMKIT_SYSV_SEMAPHORE_OPTIONS_INIT { sizeof(shmkit_sysv_semaphore_options_t), 0, 0, 0, 0 }
#define SHMKIT_SYSV_SEGMENT_STATUS_INIT { sizeof(shmkit_sysv_segment_status_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_SYSV_SEMAPHORE_STATUS_INIT { sizeof(shmkit_sysv_semaphore_status_t), 0, 0, 0, 0, 0, 0 }
#define SHMKIT_WINDOW_OPTIONS_INIT { sizeof(shmkit_window_options_t), 0, SHMKIT_ADVICE_NORMAL, 0, 0, 0 }
#define SHMKIT_MEMORY_USE_INIT { sizeof(shmkit_memory_use_t), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_USAGE_INIT { sizeof(shmkit_usage_t), 0, 0, 0, 0 }
#define SHMKIT_WINDOW_STATS_INIT { sizeof(shmkit_window_stats_t), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_LOG_OPTIONS_INIT { sizeof(shmkit_log_options_t), 0, 0, 0, 0, 0, 0, 0, SHMKIT_DURABILITY_NONE, 0, 0 }
#define SHMKIT_LOG_RECORD_INIT { sizeof(shmkit_log_record_t), NULL, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_LOG_STATUS_INIT { sizeof(shmkit_log_status_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_LOG_VERIFIED_INIT { sizeof(shmkit_log_verified_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_HEAP_OPTIONS_INIT { sizeof(shmkit_heap_options_t), 0, SHMKIT_HEAP_STRATEGY_BEST_FIT, 0, 0, 0 }
#define SHMKIT_HEAP_STATUS_INIT { sizeof(shmkit_heap_status_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

// The version of the byte format that processes share: any change of it is a new version.
#define SHMKIT_LAYOUT_VERSION 1

// Attachment slots of a region unless it asks for another number.
#define SHMKIT_DEFAULT_SLOT_COUNT 128

// The most attachment slots that an owner id can name.
#define SHMKIT_MAX_SLOT_COUNT 1023

// Arena bytes of a region unless it asks for another number.
#define SHMKIT_DEFAULT_ARENA_LEN (256 * 1024)

// The longest name of a region, in bytes.
#define SHMKIT_MAX_NAME_LEN 200

// Lock word, bit 0: somebody may sleep on this word.
#define SHMKIT_WORD_WAITERS (1 << 0)

// Lock word, bit 1: an owner died inside; stays until `make_consistent`.
#define SHMKIT_WORD_DIRTY (1 << 1)

// Lock word, bit 2: a writer has the word and waits for the readers to leave (reader–writer lock only).
#define SHMKIT_WORD_DRAIN (1 << 2)

// Lock word, bits 3..32: the owner id; all zero means free.
#define SHMKIT_WORD_OWNER_MASK 4294967288

// First bit of an owner id's slot number plus one (10 bits).
#define SHMKIT_OWNER_SLOT_SHIFT 3

// First bit of an owner id's generation (19 bits).
#define SHMKIT_OWNER_GENERATION_SHIFT 13

// Reader–writer lock: bytes from one slot's mark to the next one's.
#define SHMKIT_MARK_STRIDE 64

// Mark: first bit of the owner's generation (32 bits); the bits before it count what the owner has.
#define SHMKIT_MARK_GENERATION_SHIFT 32

// Word of a signalling semaphore: one permit; bit 0 is `WORD_WAITERS`.
#define SHMKIT_SEMAPHORE_PERMIT 2

// The most permits that the word can count.
#define SHMKIT_SEMAPHORE_MAX 2147483647

// Word of an event, bit 1: it is set; bit 0 is `WORD_WAITERS`.
#define SHMKIT_EVENT_SET (1 << 1)

// Word of an event: what each set adds, in bits 2..32.
#define SHMKIT_EVENT_STEP (1 << 2)

// Word of a pool's block: free.
#define SHMKIT_POOL_FREE 0

// Word of a pool's block: owned by the process whose owner id is in it.
#define SHMKIT_POOL_OWNED 1

// Word of a pool's block: published, and owned by nobody until somebody adopts it.
#define SHMKIT_POOL_PUBLISHED 2

// Word of a pool's block: the bits of the state; the owner id is in bits 3..32.
#define SHMKIT_POOL_STATE_MASK 7

// Word of a pool's block, and handle of a block: first bit of the generation (32 bits).
#define SHMKIT_POOL_GENERATION_SHIFT 32

// The most levels that a pool's tree of bits has.
#define SHMKIT_POOL_LEVELS 6

// Bytes to which the blocks of a pool are aligned unless it asks for another number.
#define SHMKIT_POOL_ALIGNMENT 64

// `ObjectHeader::state`: free space.
#define SHMKIT_OBJECT_FREE 0

// `ObjectHeader::state`: an object.
#define SHMKIT_OBJECT_LIVE 186566637

// How far a slot's generation goes on when it is taken for the first time since the machine started. After a power cut the
// table may be older on the disk than lock words are: an owner id that was given out shortly before must not be given to
// somebody else.
#define SHMKIT_GENERATION_JUMP (1 << 17)

// Record bytes of a segment: at least.
#define SHMKIT_LOG_MIN_CAPACITY 4096

// Record bytes of a segment: at most.
#define SHMKIT_LOG_MAX_CAPACITY (1 << 30)

// Bytes of a record before its payload.
#define SHMKIT_LOG_RECORD_HEADER_SIZE 24

// Records begin on multiples of this.
#define SHMKIT_LOG_RECORD_ALIGN 8

// The tail of a log is less than so many bytes before the end of its last committed record.
#define SHMKIT_LOG_TAIL_LAG 512

// First bit of a record word's state; the bits before it are the length.
#define SHMKIT_LOG_STATE_SHIFT 32

// State of a record: claimed; its owner, in the bits above the state, writes it.
#define SHMKIT_LOG_CLAIMED 1

// State of a record: complete.
#define SHMKIT_LOG_COMMITTED 2

// State of a record: given up by its writer. Skipped.
#define SHMKIT_LOG_ABANDONED 3

// State of a record: its writer died. Skipped.
#define SHMKIT_LOG_DEAD 4

// State of space between records: skipped. The length counts all of it, this word included.
#define SHMKIT_LOG_FILL 5

// As `LOG_FILL`, where something stood that a power cut left incomplete.
#define SHMKIT_LOG_CUT 6

// As a time limit in nanoseconds: wait as long as it takes.
#define SHMKIT_FOREVER UINT64_MAX

// A wait also ends, with SHMKIT_INTERRUPTED, when a signal handler runs while the thread sleeps. A signal that comes just
// before it sleeps does not wake it: bound the wait too.
#define SHMKIT_WAIT_INTERRUPTIBLE (1 << 0)

// Start writing and return, instead of waiting for the disk (MS_ASYNC).
#define SHMKIT_FLUSH_ASYNC (1 << 0)

// Also drop cached copies of the range that differ from the file (MS_INVALIDATE).
#define SHMKIT_FLUSH_INVALIDATE (1 << 1)

// Map the memory twice, once for writing and once for executing, so that code can be changed while it is in use.
#define SHMKIT_CODE_PATCHABLE (1 << 0)

// Allow pages that can be written and executed at one address. Many systems refuse it, and with reason.
#define SHMKIT_CODE_ALLOW_WX (1 << 1)

// The most arguments that shmkit_code_call takes.
#define SHMKIT_CODE_MAX_ARGUMENTS 6

// Take back the blocks of the dead as soon as a death is noticed or there is no room otherwise.
#define SHMKIT_HEAP_RECLAIM (1 << 0)

// The name of a heap in a region of its own is a file path.
#define SHMKIT_HEAP_PATH (1 << 1)

// All bytes of a new block are zero.
#define SHMKIT_HEAP_ZEROED (1 << 0)

// The block is free space.
#define SHMKIT_BLOCK_FREE (1 << 0)

// The block is live and belongs to nobody.
#define SHMKIT_BLOCK_PUBLISHED (1 << 1)

// The owner lives.
#define SHMKIT_BLOCK_OWNER_ALIVE (1 << 2)

// Open for reading only: nothing in the log changes.
#define SHMKIT_LOG_READ_ONLY (1 << 0)

// Create the file when it is missing, and make it long enough. Never truncates one that exists.
#define SHMKIT_MAP_CREATE (1 << 0)

// Make the file longer when it ends before the range, with storage behind every byte.
#define SHMKIT_MAP_GROW (1 << 1)

// Read all pages in now instead of at first touch (MAP_POPULATE).
#define SHMKIT_MAP_POPULATE (1 << 2)

// Take no swap reservation for private pages (MAP_NORESERVE): a store may then find no memory.
#define SHMKIT_MAP_NO_RESERVE (1 << 3)

// Only this mapping sees what is written: a page is copied at its first write (MAP_PRIVATE).
#define SHMKIT_MAP_PRIVATE (1 << 4)

// `len` is set; without it, the mapping reaches from `offset` to the end of the file.
#define SHMKIT_MAP_LEN (1 << 5)

// Keep all pages in memory from the start (shmkit_mapping_lock_memory).
#define SHMKIT_MAP_LOCK (1 << 8)

// Keep each page in memory from when it is first touched.
#define SHMKIT_MAP_LOCK_ON_FAULT (1 << 9)

// A file that is cut while it is mapped kills who touches what is missing: see shmkit_mapping_check.
#define SHMKIT_MAP_NO_FAULT_GUARD (1 << 10)

// Of a page: in memory, whoever brought it there; an access needs no disk.
#define SHMKIT_PAGE_RESIDENT (1 << 0)

// Of a page: in this process's page table; an access is no page fault.
#define SHMKIT_PAGE_PRESENT (1 << 1)

// Of a page of a shared map of a file: changed, and not yet on the disk.
#define SHMKIT_PAGE_DIRTY (1 << 2)

// Of a page: written by this process since it was made or shmkit_clear_soft_dirty was called.
#define SHMKIT_PAGE_SOFT_DIRTY (1 << 3)

// Of a page: out in swap space.
#define SHMKIT_PAGE_SWAPPED (1 << 4)

// Of a page: part of a huge page.
#define SHMKIT_PAGE_HUGE (1 << 5)

// Of a page: the system's one page of zeros, read and never written.
#define SHMKIT_PAGE_ZERO (1 << 6)

// For shmkit_mapping_lock_memory: keep each page from when it is first touched, instead of all now.
#define SHMKIT_LOCK_ON_FAULT (1 << 0)

// The name is a file path: the region is a file, as durable as its file system.
#define SHMKIT_REGION_PATH (1 << 0)

// Open for reading only: nothing in the region changes, not even the list of who is attached.
#define SHMKIT_REGION_READ_ONLY (1 << 1)

// `group` is set.
#define SHMKIT_REGION_GROUP (1 << 2)

// A new region has no room for named objects; `arena_len` is 0.
#define SHMKIT_REGION_NO_ARENA (1 << 3)

// The name is a file path.
#define SHMKIT_SEGMENT_PATH (1 << 0)

// Open for reading only.
#define SHMKIT_SEGMENT_READ_ONLY (1 << 1)

// `group` is set.
#define SHMKIT_SEGMENT_GROUP (1 << 2)

// No more seals can be added (F_SEAL_SEAL).
#define SHMKIT_SEAL_SEAL 1

// It never becomes shorter: a mapping of it can be touched without a check (F_SEAL_SHRINK).
#define SHMKIT_SEAL_SHRINK 2

// It never becomes longer (F_SEAL_GROW).
#define SHMKIT_SEAL_GROW 4

// Its bytes never change (F_SEAL_WRITE).
#define SHMKIT_SEAL_WRITE 8

// Its bytes change only through the writable mappings that exist already (F_SEAL_FUTURE_WRITE).
#define SHMKIT_SEAL_FUTURE_WRITE 16

// Its permission to be executed never changes (F_SEAL_EXEC).
#define SHMKIT_SEAL_EXEC 32

// The key of what has none (IPC_PRIVATE): only its id leads to it.
#define SHMKIT_SYSV_PRIVATE 0

// What a process took does not come back when it ends, and what it gave is not taken back (no SEM_UNDO): for signals, where
// one process only gives and another only takes.
#define SHMKIT_SYSV_NO_UNDO (1 << 0)

// For writing, too.
#define SHMKIT_WINDOWS_WRITABLE (1 << 0)

// Which free block an allocation takes.
enum shmkit_heap_strategy_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A smallest that is large enough. The default.
    SHMKIT_HEAP_STRATEGY_BEST_FIT = 0,
    // The one with the lowest address that is large enough.
    SHMKIT_HEAP_STRATEGY_FIRST_FIT = 1,
    // Blocks are powers of two: one is halved until it fits, and free halves become one again.
    SHMKIT_HEAP_STRATEGY_BUDDY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_heap_strategy_t shmkit_heap_strategy_t;
#else
typedef uint32_t shmkit_heap_strategy_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What went wrong, as a stable number.
//
// The numbers are part of the C ABI (`shmkit_status_t`), where 0 is success.
enum shmkit_status_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Success.
    SHMKIT_OK = 0,
    // No object has this name.
    SHMKIT_NOT_FOUND = 1,
    // An object with this name exists already, and creation is exclusive.
    SHMKIT_ALREADY_EXISTS = 2,
    // The system refused access.
    SHMKIT_PERMISSION_DENIED = 3,
    // The name breaks the rules: `[A-Za-z0-9._-]`, 1 to 200 bytes.
    SHMKIT_INVALID_NAME = 4,
    // A length of zero, or one that no address space holds.
    SHMKIT_INVALID_LENGTH = 5,
    // Options that contradict each other, or a value outside its limits.
    SHMKIT_INVALID_ARGUMENT = 6,
    // An offset or a range that leaves the mapping.
    SHMKIT_OUT_OF_RANGE = 7,
    // The file system cannot hold the length asked for.
    SHMKIT_NO_SPACE = 8,
    // The system is out of memory, mappings or descriptors.
    SHMKIT_OUT_OF_MEMORY = 9,
    // The file does not begin as an object of this library does.
    SHMKIT_BAD_MAGIC = 10,
    // The object was written by another layout version.
    SHMKIT_VERSION_MISMATCH = 11,
    // The name belongs to an object of another kind.
    SHMKIT_WRONG_KIND = 12,
    // The file is shorter than the object it holds.
    SHMKIT_TRUNCATED = 13,
    // The object's own description contradicts itself.
    SHMKIT_CORRUPTED = 14,
    // The object exists with another size than the one asked for.
    SHMKIT_SIZE_MISMATCH = 15,
    // The name now belongs to another object than the one meant.
    SHMKIT_REPLACED = 16,
    // A write through a read-only handle or view.
    SHMKIT_READ_ONLY = 17,
    // The handle was closed.
    SHMKIT_CLOSED = 18,
    // Something is still in use: a live view, or a lock that is held.
    SHMKIT_BUSY = 19,
    // The last owner died while it held the lock; what the lock guards may be half-written.
    SHMKIT_OWNER_DIED = 20,
    // The time limit passed.
    SHMKIT_TIMEOUT = 21,
    // What was asked for is not free, and waiting was not asked for.
    SHMKIT_WOULD_BLOCK = 22,
    // This process does not hold the lock, or does not have the block.
    SHMKIT_NOT_OWNER = 23,
    // A signal ended the wait.
    SHMKIT_INTERRUPTED = 24,
    // All attachment slots of the region belong to living processes.
    SHMKIT_TOO_MANY_ATTACHMENTS = 25,
    // The system or the file system lacks something that is needed here.
    SHMKIT_UNSUPPORTED = 26,
    // The system reported an error that has no kind of its own: see the errno.
    SHMKIT_IO = 27,
    // A defect in this library: it stopped before it could do harm.
    SHMKIT_INTERNAL = 28,
    // The object exists with other parameters than those asked for.
    SHMKIT_PARAMETER_MISMATCH = 29,
    // A participant of the barrier died, or somebody broke it.
    SHMKIT_BROKEN = 30,
    // More than the object's maximum.
    SHMKIT_LIMIT_EXCEEDED = 31,
    // Not a block of this object that is in use, or not in use by this process.
    SHMKIT_INVALID_BLOCK = 32,
    // What the handle named has passed to somebody else, or is gone.
    SHMKIT_STALE_HANDLE = 34,
    // The file under a mapping was cut while it was mapped: what was missing reads as zeros.
    SHMKIT_MAPPING_TRUNCATED = 38,
    // What a reader of a log wanted next was removed before it came to it.
    SHMKIT_MISSED = 40,
    // A record that is longer than the log takes.
    SHMKIT_RECORD_TOO_LARGE = 41,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_status_t shmkit_status_t;
#else
typedef uint32_t shmkit_status_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a named object is.
enum shmkit_object_kind_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // `Mutex`.
    SHMKIT_OBJECT_KIND_MUTEX = 16,
    // `RwLock`.
    SHMKIT_OBJECT_KIND_RW_LOCK = 17,
    // `Semaphore` that anybody may release.
    SHMKIT_OBJECT_KIND_SEMAPHORE = 18,
    // `Semaphore` whose permits come back from the dead.
    SHMKIT_OBJECT_KIND_TRACKED_SEMAPHORE = 19,
    // `Condvar`.
    SHMKIT_OBJECT_KIND_CONDVAR = 20,
    // `Event`.
    SHMKIT_OBJECT_KIND_EVENT = 21,
    // `Barrier`.
    SHMKIT_OBJECT_KIND_BARRIER = 22,
    // `Atomic` of `u32`.
    SHMKIT_OBJECT_KIND_ATOMIC_U32 = 23,
    // `Atomic` of `u64`.
    SHMKIT_OBJECT_KIND_ATOMIC_U64 = 24,
    // `Atomic` of `i64`.
    SHMKIT_OBJECT_KIND_ATOMIC_I64 = 25,
    // `Heap`.
    SHMKIT_OBJECT_KIND_HEAP = 26,
    // `Pool`.
    SHMKIT_OBJECT_KIND_POOL = 27,
    // `Value`.
    SHMKIT_OBJECT_KIND_VALUE = 28,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_object_kind_t shmkit_object_kind_t;
#else
typedef uint32_t shmkit_object_kind_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the program intends to do with a range (madvise(2)). Most are hints; those that change bytes say so.
//
// The numbers are the `MADV_` numbers of Linux. An older kernel, or memory of another kind, answers `Unsupported`.
enum shmkit_advice_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // No special pattern.
    SHMKIT_ADVICE_NORMAL = 0,
    // Reads will jump: no read-ahead.
    SHMKIT_ADVICE_RANDOM = 1,
    // Reads will run forward: read far ahead.
    SHMKIT_ADVICE_SEQUENTIAL = 2,
    // The range will be needed soon: start reading it.
    SHMKIT_ADVICE_WILL_NEED = 3,
    // The range will not be needed soon: pages may go, and private changes to them are lost. Whole pages only.
    SHMKIT_ADVICE_DONT_NEED = 4,
    // The content is worthless: pages may go when memory is short, and then read zeros. Private memory, whole pages only.
    SHMKIT_ADVICE_FREE = 8,
    // Gives the storage behind the range back: it reads zeros, here and in the file. Writable shared maps, whole pages only.
    SHMKIT_ADVICE_REMOVE = 9,
    // Pages with the same content may become one (private memory).
    SHMKIT_ADVICE_MERGEABLE = 12,
    // Takes `Mergeable` back.
    SHMKIT_ADVICE_UNMERGEABLE = 13,
    // Huge pages are welcome.
    SHMKIT_ADVICE_HUGE_PAGE = 14,
    // No huge pages.
    SHMKIT_ADVICE_NO_HUGE_PAGE = 15,
    // Leave the range out of core dumps.
    SHMKIT_ADVICE_DONT_DUMP = 16,
    // Takes `DontDump` back.
    SHMKIT_ADVICE_DO_DUMP = 17,
    // A forked child finds zeros (private memory, whole pages only).
    SHMKIT_ADVICE_WIPE_ON_FORK = 18,
    // Takes `WipeOnFork` back.
    SHMKIT_ADVICE_KEEP_ON_FORK = 19,
    // The first to go when memory is short.
    SHMKIT_ADVICE_COLD = 20,
    // Write the pages out and let them go, now.
    SHMKIT_ADVICE_PAGE_OUT = 21,
    // Fault all pages in for reading, now. Fails where one cannot be read.
    SHMKIT_ADVICE_POPULATE_READ = 22,
    // Fault all pages in for writing, now. Fails where one cannot be written.
    SHMKIT_ADVICE_POPULATE_WRITE = 23,
    // As `DontNeed`, also for pages that are locked in memory.
    SHMKIT_ADVICE_DONT_NEED_LOCKED = 24,
    // Make huge pages of the small ones, now.
    SHMKIT_ADVICE_COLLAPSE = 25,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_advice_t shmkit_advice_t;
#else
typedef uint32_t shmkit_advice_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Which pages a mapping is made of.
enum shmkit_huge_pages_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // As the system decides: `/sys/kernel/mm/transparent_hugepage`. The default.
    SHMKIT_HUGE_PAGES_AS_SYSTEM = 0,
    // Huge where the kernel can, by advice (`MADV_HUGEPAGE`): private memory, and files of file systems that have them.
    SHMKIT_HUGE_PAGES_TRANSPARENT = 1,
    // Never huge (`MADV_NOHUGEPAGE`).
    SHMKIT_HUGE_PAGES_NEVER = 2,
    // Of those that the system reserved (`/proc/sys/vm/nr_hugepages`), in its default size. Memory without a file only,
    // in whole huge pages.
    SHMKIT_HUGE_PAGES_RESERVED = 3,
    // As `Reserved`, of 2 MiB: the number is the logarithm of the size.
    SHMKIT_HUGE_PAGES_RESERVED_2MIB = 21,
    // As `Reserved`, of 1 GiB.
    SHMKIT_HUGE_PAGES_RESERVED_1GIB = 30,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_huge_pages_t shmkit_huge_pages_t;
#else
typedef uint32_t shmkit_huge_pages_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the pages of a mapping allow. Ask for the least that does the job.
enum shmkit_protection_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // No access: every read and write is refused.
    SHMKIT_PROTECTION_NONE = 0,
    // Reading only. The default.
    SHMKIT_PROTECTION_READ = 1,
    // Reading and writing.
    SHMKIT_PROTECTION_READ_WRITE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_protection_t shmkit_protection_t;
#else
typedef uint32_t shmkit_protection_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What happens to the permits of a process that dies.
enum shmkit_semaphore_kind_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Nothing: permits have no owner, and anybody may release. For signals. The default.
    SHMKIT_SEMAPHORE_KIND_SIGNALLING = 0,
    // They come back. Only who acquired may release. For resources.
    SHMKIT_SEMAPHORE_KIND_TRACKED = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_semaphore_kind_t shmkit_semaphore_kind_t;
#else
typedef uint32_t shmkit_semaphore_kind_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What takes the flag of an `Event` away.
enum shmkit_event_reset_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // `Event::reset`; until then everybody passes. The default.
    SHMKIT_EVENT_RESET_MANUAL = 0,
    // The one waiter that passes.
    SHMKIT_EVENT_RESET_AUTOMATIC = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_event_reset_t shmkit_event_reset_t;
#else
typedef uint32_t shmkit_event_reset_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// When records reach the disk; docs/log.md says what survives what.
enum shmkit_durability_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Nobody flushes, unless asked to. The default.
    SHMKIT_DURABILITY_NONE = 0,
    // What is `durability_value` nanoseconds old is flushed, by a thread of each process that appends.
    SHMKIT_DURABILITY_INTERVAL = 1,
    // A flush begins when `durability_value` bytes were appended since the last one.
    SHMKIT_DURABILITY_BYTES = 2,
    // An append returns when its record is on the disk. All who wait share a flush, across processes.
    SHMKIT_DURABILITY_GROUP = 3,
    // As SHMKIT_DURABILITY_GROUP, but each append makes a flush of its own.
    SHMKIT_DURABILITY_EVERY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_durability_t shmkit_durability_t;
#else
typedef uint32_t shmkit_durability_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where a reader begins.
enum shmkit_read_from_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // At the oldest record that is kept.
    SHMKIT_READ_FROM_START = 0,
    // Behind the last record that was claimed: it sees what is appended from now on.
    SHMKIT_READ_FROM_END = 1,
    // At a position: of a record, or behind one.
    SHMKIT_READ_FROM_POSITION = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_read_from_t shmkit_read_from_t;
#else
typedef uint32_t shmkit_read_from_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What opening a named object may do.
enum shmkit_object_mode_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Finds the object, or creates it when it is missing. The default.
    SHMKIT_OBJECT_MODE_FIND_OR_CREATE = 0,
    // Finds it; fails with `NotFound` when it is missing.
    SHMKIT_OBJECT_MODE_FIND = 1,
    // Creates it; fails with `AlreadyExists` when it is there.
    SHMKIT_OBJECT_MODE_CREATE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_object_mode_t shmkit_object_mode_t;
#else
typedef uint32_t shmkit_object_mode_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a block is.
enum shmkit_block_state_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Free.
    SHMKIT_BLOCK_STATE_FREE = 0,
    // A process has it.
    SHMKIT_BLOCK_STATE_OWNED = 1,
    // Nobody has it until somebody adopts it.
    SHMKIT_BLOCK_STATE_PUBLISHED = 2,
    // Its word is none that a pool writes: somebody overwrote it.
    SHMKIT_BLOCK_STATE_DAMAGED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_block_state_t shmkit_block_state_t;
#else
typedef uint32_t shmkit_block_state_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// An atomic integer in a region.
typedef struct shmkit_atomic_t shmkit_atomic_t;

// A barrier in a region.
typedef struct shmkit_barrier_t shmkit_barrier_t;

// Memory that machine code is written to and run from.
typedef struct shmkit_code_t shmkit_code_t;

// A condition variable in a region.
typedef struct shmkit_condvar_t shmkit_condvar_t;

// An event in a region.
typedef struct shmkit_event_t shmkit_event_t;

// A heap in a region.
typedef struct shmkit_heap_t shmkit_heap_t;

// An open log: records that any number of processes append at once.
typedef struct shmkit_log_t shmkit_log_t;

// A record that stays.
typedef struct shmkit_log_pin_t shmkit_log_pin_t;

// A reader of a log. It outlives the log's handle.
typedef struct shmkit_log_reader_t shmkit_log_reader_t;

// A segment that is kept mapped.
typedef struct shmkit_log_segment_t shmkit_log_segment_t;

// A mapped range of a file, or of memory that no file backs.
typedef struct shmkit_mapping_t shmkit_mapping_t;

// A mutual exclusion lock in a region.
typedef struct shmkit_mutex_t shmkit_mutex_t;

// A pool of blocks in a region.
typedef struct shmkit_pool_t shmkit_pool_t;

// An open region: a named piece of memory that processes attach to, with a lock (its guard) that survives its owners.
typedef struct shmkit_region_t shmkit_region_t;

// A record that is filled in place.
typedef struct shmkit_log_reservation_t shmkit_log_reservation_t;

// A reader–writer lock in a region.
typedef struct shmkit_rwlock_t shmkit_rwlock_t;

// An open object that can be mapped: a POSIX shared memory object, a file, or a memfd.
typedef struct shmkit_segment_t shmkit_segment_t;

// A counting semaphore in a region.
typedef struct shmkit_semaphore_t shmkit_semaphore_t;

// A System V shared memory segment: an id.
typedef struct shmkit_sysv_segment_t shmkit_sysv_segment_t;

// One semaphore of a System V set.
typedef struct shmkit_sysv_semaphore_t shmkit_sysv_semaphore_t;

// A value in a region.
typedef struct shmkit_value_t shmkit_value_t;

// A file seen through a bounded set of windows that are mapped once and used again.
typedef struct shmkit_window_cache_t shmkit_window_cache_t;

// What was tried, on what, and why it failed. Yours: the library only writes into it, during a call that fails.
//
// Set `size` before the first use: `shmkit_error_t error = SHMKIT_ERROR_INIT;`. With a smaller size nothing is written.
// Texts are UTF-8, end with a zero byte, and are cut at a whole character when they are too long.
typedef struct {
    // sizeof(shmkit_error_t).
    size_t size;
    // The status that the call returned.
    shmkit_status_t status;
    // The errno of the system call that failed, or the one that fits the status.
    int32_t errno_value;
    // What was tried, for example "open region".
    char operation[48];
    // The name or path it was tried on; empty for memory without a file.
    char object[256];
    // One sentence with all of this, and what to do next.
    char message[768];
} shmkit_error_t;

// A named object.
typedef struct {
    // sizeof(shmkit_object_info_t).
    size_t size;
    // A shmkit_object_kind_t, or a number that this version does not know.
    uint32_t kind;
    // How many living processes have it open.
    uint32_t users;
    // The numbers it was created with; docs/format.md says what they mean.
    uint64_t parameters[2];
    // Bytes that it takes in the region.
    uint64_t bytes;
    // Its name, which ends with a zero byte.
    char name[208];
} shmkit_object_info_t;

// How a heap is created; who opens one that exists must ask for the same.
typedef struct {
    // sizeof(shmkit_heap_options_t).
    size_t size;
    // Bytes for blocks and the eight bytes before each.
    uint64_t len;
    // A shmkit_heap_strategy_t: which free block an allocation takes.
    uint32_t strategy;
    // Bytes of the smallest block of a heap of buddies, a power of two from 32 to 4096. 0: 64.
    uint32_t min_block;
    // SHMKIT_HEAP_RECLAIM, SHMKIT_HEAP_PATH.
    uint32_t flags;
    // 0.
    uint32_t reserved;
} shmkit_heap_options_t;

// A live block: what other processes call it, and where it is here.
typedef struct {
    // From the region's start.
    uint64_t offset;
    // How many bytes it offers: what was asked for, or somewhat more.
    size_t len;
    // Its first byte. Valid while the block lives and the heap's handle is not closed; after a close it leads to zeros until
    // shmkit_heap_free.
    void *data;
} shmkit_block_t;

// A heap in numbers. Bytes are those that blocks offer; the words before them count nowhere.
typedef struct {
    // sizeof(shmkit_heap_status_t).
    size_t size;
    // Bytes of the heap, all in all.
    uint64_t len;
    // Bytes of live blocks.
    uint64_t used;
    // Bytes of free blocks.
    uint64_t free;
    // Bytes of the largest free block.
    uint64_t largest_free;
    // Number of live blocks.
    uint64_t used_blocks;
    // How many of them are published.
    uint64_t published_blocks;
    // Number of free blocks.
    uint64_t free_blocks;
    // How often what is derived from the blocks was made anew, after the death of somebody who held the heap's lock.
    uint64_t repairs;
    // Blocks that were taken back from the dead.
    uint64_t reclaimed;
    // 1 − largest free block ÷ free bytes.
    double fragmentation;
} shmkit_heap_status_t;

// One block of a heap.
typedef struct {
    // Where its bytes begin, from the region's start.
    uint64_t offset;
    // How many bytes it offers.
    uint64_t len;
    // SHMKIT_BLOCK_FREE and the others.
    uint32_t flags;
    // The owner's slot; 0 for a block without.
    uint32_t slot;
    // The owner's process id; 0 when there is none, or its slot has a new owner.
    uint32_t pid;
    // 0.
    uint32_t reserved;
} shmkit_block_status_t;

// What one process has of a heap.
typedef struct {
    // Number of its blocks.
    uint64_t blocks;
    // Bytes that they offer.
    uint64_t bytes;
    // Its slot.
    uint32_t slot;
    // Its process id; 0 when the slot has a new owner.
    uint32_t pid;
    // SHMKIT_BLOCK_OWNER_ALIVE, or 0.
    uint32_t flags;
    // 0.
    uint32_t reserved;
} shmkit_heap_owner_t;

// How a log is created or opened. NULL in its place, SHMKIT_LOG_OPTIONS_INIT, and all zeros but the size mean the same:
// the defaults.
typedef struct {
    // sizeof(shmkit_log_options_t).
    size_t size;
    // SHMKIT_LOG_READ_ONLY.
    uint32_t flags;
    // Permission bits of the files, exactly: the umask does not apply. 0: 0600.
    uint32_t mode;
    // Record bytes of a segment file, 4 KiB to 1 GiB; a segment that is full is left for the next. 0: 64 MiB.
    uint64_t segment_len;
    // The longest record, in bytes. A record is never split. 0: a quarter of a segment.
    uint64_t max_record_len;
    // A segment whose first record is this old is left for the next, in nanoseconds. 0: only when it is full.
    uint64_t max_age_ns;
    // Keep so many segments and remove the oldest beyond that. 0: keep all.
    uint64_t retain_count;
    // Keep so many record bytes, in whole segments, and remove older segments. 0: keep all.
    uint64_t retain_bytes;
    // A shmkit_durability_t.
    uint32_t durability;
    // 0.
    uint32_t reserved;
    // Nanoseconds for SHMKIT_DURABILITY_INTERVAL, bytes for SHMKIT_DURABILITY_BYTES, else 0.
    uint64_t durability_value;
} shmkit_log_options_t;

// An append whose record may not be on the disk yet.
typedef struct {
    // Where the record is.
    uint64_t position;
    // The number of the flush that carries it to the disk. Means something in this run of the machine.
    uint64_t flush;
} shmkit_log_ticket_t;

// One record of a batch.
typedef struct {
    // Its bytes; may be NULL when there are none.
    const void *data;
    // How many.
    size_t len;
    // What its writer calls a kind.
    uint32_t kind;
    // 0.
    uint32_t reserved;
} shmkit_log_part_t;

// The shared words of a log, and its parameters. The addresses live as long as the log's handle. Set `size` before the call.
//
// To append a record: check its length; load `me`, which must not be 0; find the segment that `*tail` is in; from its place
// there step over words that are not 0, which are others' records, to the first one that is; compare-and-swap it from 0 to
// me << SHMKIT_LOG_STATE_SHIFT, with SHMKIT_LOG_CLAIMED, and the length; if the claim ends at the segment's end, or
// SHMKIT_LOG_TAIL_LAG bytes or more behind `*tail`, move the tail there by compare-and-swap, until that is no more so; fill
// in payload, time stamp, kind and checksum; compare-and-swap the word from the claim to SHMKIT_LOG_COMMITTED and the
// length. Whatever is not the usual case (no segment, no room, `*failures` has changed) is left to
// shmkit_log_append. After the commit, call shmkit_log_after_commit if SHMKIT_WORD_WAITERS is set in `*signal` or the
// policy asks for it. docs/format.md has the bytes.
typedef struct {
    // sizeof(shmkit_log_words_t).
    size_t size;
    // About where the next record will be: see SHMKIT_LOG_TAIL_LAG.
    uint64_t *tail;
    // What readers sleep on.
    uint32_t *signal;
    // How many flushes have failed.
    const uint32_t *failures;
    // Where the log ended when the last flush that went well began.
    const uint64_t *synced_to;
    // Number of flushes begun: a commit before this load is carried by the flush with the next number.
    const uint64_t *started;
    // This process's owner id.
    const uint32_t *me;
    // Record bytes of a segment.
    uint64_t segment_len;
    // The longest record, in bytes.
    uint64_t max_record_len;
    // A segment is left when its first record is this old; 0: never for that reason.
    uint64_t max_age_ns;
    // A shmkit_durability_t.
    uint32_t durability;
    // 0.
    uint32_t reserved;
    // Its nanoseconds or bytes.
    uint64_t durability_value;
} shmkit_log_words_t;

// Where a segment is. Set `size` before the call. The addresses live as long as the segment's handle.
typedef struct {
    // sizeof(shmkit_log_segment_view_t).
    size_t size;
    // Position of its first record byte.
    uint64_t base;
    // Number of its record bytes.
    uint64_t len;
    // Its first record byte.
    void *records;
    // The time stamp of its first record, 0 for none yet: who claims that record stores it.
    uint64_t *first_ns;
    // Not 0 once the file was cut and what is missing was touched: look at it before a commit. NULL without the fault guard.
    const uint32_t *damage;
} shmkit_log_segment_view_t;

// Called when a record is on the disk (`status` is SHMKIT_OK and `error` NULL), or will not be; `error` is valid during
// the call.
typedef void (*shmkit_log_callback_t)(void *context,
                                      shmkit_status_t status,
                                      const shmkit_error_t *error);

// A record, as a reader found it. Yours: set `size` before the call.
typedef struct {
    // sizeof(shmkit_log_record_t).
    size_t size;
    // Its bytes, where they are.
    const void *data;
    // How many.
    size_t len;
    // Where it is in the log.
    uint64_t position;
    // Where what follows it is: a reader that begins there goes on behind it.
    uint64_t next_position;
    // When it was appended, nanoseconds since 1970.
    uint64_t time_ns;
    // What its writer called a kind.
    uint32_t kind;
    // 0.
    uint32_t reserved;
} shmkit_log_record_t;

// A log's parameters and counters. Each was true at some instant during the call. Yours: set `size` before the call.
typedef struct {
    // sizeof(shmkit_log_status_t).
    size_t size;
    // The oldest position that is kept.
    uint64_t start;
    // Where the next record will be.
    uint64_t end;
    // Everything before it is on the disk.
    uint64_t flushed_to;
    // Record bytes of a segment.
    uint64_t segment_len;
    // The longest record, in bytes.
    uint64_t max_record_len;
    // A segment is left when its first record is this old; 0: never for that reason.
    uint64_t max_age_ns;
    // Segments that are kept; 0: all.
    uint64_t retain_count;
    // Record bytes that are kept; 0: all.
    uint64_t retain_bytes;
    // A shmkit_durability_t.
    uint32_t durability;
    // Living processes that are attached.
    uint32_t attached;
    // Its nanoseconds or bytes.
    uint64_t durability_value;
    // Segment files that are there.
    uint64_t segments;
    // Segments that retention has removed.
    uint64_t removed_segments;
    // Records whose writers died before they were complete.
    uint64_t dead;
    // Records that were reserved and given up.
    uint64_t abandoned;
    // Places that power cuts left incomplete.
    uint64_t cuts;
    // Bytes of these places.
    uint64_t cut_bytes;
    // How often the log was made ready after a start of the machine.
    uint64_t recoveries;
    // Flushes that ended.
    uint64_t flushes;
    // Flushes that failed.
    uint32_t flush_failures;
    // The errno of the last one that failed; 0: none did.
    uint32_t flush_errno;
} shmkit_log_status_t;

// What a look at every byte of a log found. Yours: set `size` before the call.
typedef struct {
    // sizeof(shmkit_log_verified_t).
    size_t size;
    // Good records.
    uint64_t records;
    // Their bytes.
    uint64_t payload_bytes;
    // Records whose writers died before they were complete.
    uint64_t dead;
    // Records that were given up.
    uint64_t abandoned;
    // Records that are being written.
    uint64_t claimed;
    // Bytes that fill the ends of segments and of records that were made shorter.
    uint64_t fill_bytes;
    // Places that power cuts left incomplete.
    uint64_t cuts;
    // Their bytes.
    uint64_t cut_bytes;
    // Places that hold no records where some should be.
    uint64_t corruptions;
    // Their bytes.
    uint64_t corrupted_bytes;
    // Where it ended.
    uint64_t end;
    // Bytes of segments that are missing. Those that retention removes meanwhile are not.
    uint64_t missed_bytes;
} shmkit_log_verified_t;

// How to make a mapping. Begin with SHMKIT_MAP_OPTIONS_INIT: the whole file, shared, for reading. NULL means the same.
typedef struct {
    // sizeof(shmkit_map_options_t).
    size_t size;
    // SHMKIT_MAP_CREATE and the others.
    uint32_t flags;
    // A shmkit_protection_t: what the pages allow.
    uint32_t protection;
    // Permission bits for a file that SHMKIT_MAP_CREATE makes; the umask applies. 0: 0644.
    uint32_t mode;
    // A shmkit_huge_pages_t: which pages it is made of.
    uint32_t huge_pages;
    // Where in the file the mapping begins, in bytes. Need not be aligned to a page.
    uint64_t offset;
    // Number of bytes to map, with SHMKIT_MAP_LEN.
    uint64_t len;
    // Bytes of address space to keep for it, so that shmkit_mapping_resize can make it as long as that. 0: `len`.
    uint64_t reserve;
} shmkit_map_options_t;

// Numbers of pages that have a flag.
typedef struct {
    // All pages.
    uint64_t pages;
    // In memory.
    uint64_t resident;
    // In this process's page table.
    uint64_t present;
    // Changed, and not yet on the disk.
    uint64_t dirty;
    // Written by this process since the bits were cleared.
    uint64_t soft_dirty;
    // Out in swap space.
    uint64_t swapped;
    // Part of a huge page.
    uint64_t huge;
    // The page of zeros.
    uint64_t zero;
} shmkit_page_counts_t;

// How much memory something takes, in bytes. Begin with SHMKIT_MEMORY_USE_INIT.
//
// The kernel counts by area: private memory without a file may share one with other memory of the process, which is
// counted then too.
typedef struct {
    // sizeof(shmkit_memory_use_t).
    size_t size;
    // In this process's page table.
    uint64_t resident;
    // The same, each page divided by the number of processes that map it.
    uint64_t proportional;
    // Mapped by others too, and not changed.
    uint64_t shared_clean;
    // Mapped by others too, and changed.
    uint64_t shared_dirty;
    // Mapped by this process only, and not changed.
    uint64_t private_clean;
    // Mapped by this process only, and changed.
    uint64_t private_dirty;
    // In huge pages, transparent or reserved.
    uint64_t huge;
    // Out in swap space.
    uint64_t swapped;
    // Locked in memory.
    uint64_t locked;
} shmkit_memory_use_t;

// How a pool is created; who opens one that exists must ask for the same. NULL in its place means: as it exists.
typedef struct {
    // sizeof(shmkit_pool_options_t).
    size_t size;
    // Bytes of a block.
    uint64_t block_size;
    // Number of blocks.
    uint32_t count;
    // What the blocks are aligned to: a power of two from 8 to 4096. 0: SHMKIT_POOL_ALIGNMENT.
    uint32_t alignment;
} shmkit_pool_options_t;

// A block that this process has.
typedef struct {
    // Names the block while this process has it, and still when it is published. Never 0.
    uint64_t handle;
    // Its bytes, in the region itself. They stay in place as long as the process has the pool open.
    void *data;
    // How many there are.
    size_t len;
} shmkit_pool_block_t;

// How the blocks of a pool are distributed.
typedef struct {
    // sizeof(shmkit_pool_status_t).
    size_t size;
    // Bytes of a block.
    uint64_t block_size;
    // Bytes from block to block.
    uint64_t stride;
    // All blocks.
    uint32_t total;
    // Free ones.
    uint32_t free;
    // Those that processes have, dead or alive.
    uint32_t owned;
    // Published ones.
    uint32_t published;
    // Those whose words are none that a pool writes: somebody overwrote them.
    uint32_t damaged;
    // How many blocks came back from the dead so far.
    uint32_t recovered;
} shmkit_pool_status_t;

// A process that has blocks of a pool.
typedef struct {
    // Its slot.
    uint32_t slot;
    // Its process id; 0 when the slot has a new owner.
    uint32_t pid;
    // Number of its blocks.
    uint32_t count;
    // SHMKIT_BLOCK_OWNER_ALIVE, or 0.
    uint32_t flags;
} shmkit_pool_owner_t;

// What one block is.
typedef struct {
    // sizeof(shmkit_pool_block_status_t).
    size_t size;
    // The handle; 0 for a free block.
    uint64_t handle;
    // A shmkit_block_state_t.
    uint32_t state;
    // Slot of the owner, if it is owned.
    uint32_t slot;
    // Process id of the owner; 0 when there is none, or its slot has a new owner.
    uint32_t pid;
    // 1 if this process has it.
    uint32_t mine;
} shmkit_pool_block_status_t;

// The words of a pool and of this process, for languages that use them without a call.
typedef struct {
    // sizeof(shmkit_pool_words_t).
    size_t size;
    // This process's owner id, or 0 when it is not attached.
    const uint32_t *me;
    // What waiters sleep on.
    uint32_t *signal;
    // A word for each block.
    uint64_t *states;
    // The levels of bits; NULL beyond the last.
    uint64_t *levels[SHMKIT_POOL_LEVELS];
    // Words of each level.
    uint64_t level_lens[SHMKIT_POOL_LEVELS];
    // The first block.
    void *blocks;
    // Bytes from block to block.
    uint64_t stride;
    // Bytes of a block.
    uint64_t block_size;
    // Number of blocks.
    uint32_t count;
    // The block to look at first.
    uint32_t first;
} shmkit_pool_words_t;

// How to make or open a region. NULL in its place, SHMKIT_REGION_OPTIONS_INIT, and all zeros but the size mean the same:
// the defaults.
typedef struct {
    // sizeof(shmkit_region_options_t).
    size_t size;
    // SHMKIT_REGION_PATH and the others.
    uint32_t flags;
    // Permission bits of a new region, exactly: the umask does not apply. 0: 0600.
    uint32_t mode;
    // Group id of a new region, with SHMKIT_REGION_GROUP.
    uint32_t group;
    // How many processes can be attached to a new region at once, 1 to 1023. 0: SHMKIT_DEFAULT_SLOT_COUNT.
    uint32_t attachments;
    // Bytes for named objects in a new region, rounded up to whole pages. 0: SHMKIT_DEFAULT_ARENA_LEN.
    uint64_t arena_len;
    // The most user bytes that shmkit_region_resize can give a new region later. 0: as many as it has at first.
    uint64_t capacity;
} shmkit_region_options_t;

// How to make or open a segment. NULL in its place, SHMKIT_SEGMENT_OPTIONS_INIT, and all zeros but the size mean the same:
// the defaults.
typedef struct {
    // sizeof(shmkit_segment_options_t).
    size_t size;
    // SHMKIT_SEGMENT_PATH and the others.
    uint32_t flags;
    // Permission bits of a new segment, exactly: the umask does not apply. 0: 0600.
    uint32_t mode;
    // Group id of a new segment, with SHMKIT_SEGMENT_GROUP.
    uint32_t group;
    // 0.
    uint32_t reserved;
} shmkit_segment_options_t;

// How a semaphore is created; who opens one that exists must ask for the same. NULL in its place means all zeros.
typedef struct {
    // sizeof(shmkit_semaphore_options_t).
    size_t size;
    // Permits at first.
    uint32_t initial;
    // The most permits there may ever be. 0: SHMKIT_SEMAPHORE_MAX, or `initial` for the tracked kind.
    uint32_t max;
    // A shmkit_semaphore_kind_t: what happens to the permits of a process that dies.
    uint32_t kind;
    // 0.
    uint32_t reserved;
} shmkit_semaphore_options_t;

// What the kernel knows of a segment. Yours: set `size` before the call.
typedef struct {
    // sizeof(shmkit_sysv_segment_status_t).
    size_t size;
    // Number of bytes.
    uint64_t len;
    // How many mappings there are, in all processes.
    uint64_t attached;
    // Key; SHMKIT_SYSV_PRIVATE for none, also once it was removed.
    int32_t key;
    // Permission bits.
    uint32_t mode;
    // User id of the owner.
    uint32_t owner;
    // Group id of the owner.
    uint32_t group;
    // Process that created it.
    int32_t creator_pid;
    // Process that attached or detached last; 0 for none yet.
    int32_t last_pid;
    // 1 when it was removed, and goes with its last mapping.
    uint32_t removed;
    // 0.
    uint32_t reserved;
} shmkit_sysv_segment_status_t;

// How a semaphore is made and used. NULL in its place, SHMKIT_SYSV_SEMAPHORE_OPTIONS_INIT, and all zeros but the size mean
// the same: the only semaphore of a set, mode 0600, permits of the dead come back.
typedef struct {
    // sizeof(shmkit_sysv_semaphore_options_t).
    size_t size;
    // SHMKIT_SYSV_NO_UNDO.
    uint32_t flags;
    // Permission bits of a new set. 0: 0600.
    uint32_t mode;
    // How many semaphores a new set has; the first value is given to each. 0: 1.
    uint32_t count;
    // Which semaphore of the set is meant, from 0.
    uint32_t index;
} shmkit_sysv_semaphore_options_t;

// What the kernel knows of a semaphore. Yours: set `size` before the call.
typedef struct {
    // sizeof(shmkit_sysv_semaphore_status_t).
    size_t size;
    // Permits that are available.
    uint32_t value;
    // How many wait for permits.
    uint32_t waiting;
    // How many wait for it to be 0.
    uint32_t waiting_for_zero;
    // Permission bits of its set.
    uint32_t mode;
    // Process of the last operation; 0 for none yet.
    int32_t last_pid;
    // 0.
    uint32_t reserved;
} shmkit_sysv_semaphore_status_t;

// Page faults and processor time so far: subtract two looks. Begin with SHMKIT_USAGE_INIT.
typedef struct {
    // sizeof(shmkit_usage_t).
    size_t size;
    // Page faults that needed no disk: the page was in memory, or made of zeros.
    uint64_t minor_faults;
    // Page faults that waited for a disk.
    uint64_t major_faults;
    // Processor time in the program.
    uint64_t user_ns;
    // Processor time in the kernel.
    uint64_t kernel_ns;
} shmkit_usage_t;

// The words of a value and of this process, for languages that use them without a call.
typedef struct {
    // sizeof(shmkit_value_words_t).
    size_t size;
    // This process's owner id, or 0 when it is not attached.
    const uint32_t *me;
    // How often a value of more than one word was written.
    uint64_t *version;
    // Two copies, one after the other.
    uint64_t *copies;
    // Words of a copy.
    uint64_t copy_len;
} shmkit_value_words_t;

// How to open a window cache. Begin with SHMKIT_WINDOW_OPTIONS_INIT: 64 windows of 4 MiB, for reading. NULL means the same.
typedef struct {
    // sizeof(shmkit_window_options_t).
    size_t size;
    // SHMKIT_WINDOWS_WRITABLE.
    uint32_t flags;
    // A shmkit_advice_t, what reads will be like: SHMKIT_ADVICE_RANDOM (no read-ahead), SHMKIT_ADVICE_SEQUENTIAL (always), or
    // SHMKIT_ADVICE_NORMAL, which finds out by itself.
    uint32_t pattern;
    // Bytes of a window: a power of two, from a page to 1 GiB. 0: 4 MiB.
    uint64_t window_len;
    // How many windows are mapped at once at most, 1 to 4096. 0: 64.
    uint32_t windows;
    // 0.
    uint32_t reserved;
} shmkit_window_options_t;

// What a window cache did so far. Begin with SHMKIT_WINDOW_STATS_INIT.
typedef struct {
    // sizeof(shmkit_window_stats_t).
    size_t size;
    // Uses that found their window mapped.
    uint64_t hits;
    // Uses that had to map it.
    uint64_t misses;
    // Windows that gave their place to another.
    uint64_t evictions;
    // Copies that went past the windows (pread, pwrite).
    uint64_t bypasses;
    // mmap(2) calls. Mapping over a window unmaps it: there is no munmap(2) until the cache is freed.
    uint64_t maps;
    // Calls that advised the kernel of reads to come.
    uint64_t advices;
    // Time in these calls; page faults come on top (shmkit_usage).
    uint64_t kernel_ns;
    // Windows that are mapped now.
    uint64_t mapped;
    // Views that live now.
    uint64_t views;
} shmkit_window_stats_t;















#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Opens the atomic integer of this name, creating it with the value `initial` when it is missing. `kind` is
// SHMKIT_OBJECT_KIND_ATOMIC_U32, _U64 or _I64.
//
// Values of all kinds are passed as uint64_t: convert to and from int64_t, or take the low 32 bits, as the kind says.
// All operations are sequentially consistent.
//
// On success `*out` is a handle for shmkit_atomic_free, else NULL. It may outlive the region's handle.
// Fails with INVALID_ARGUMENT (another `kind`), WRONG_KIND (the name is another object's, or another kind of integer's),
// INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_atomic_open(const shmkit_region_t *region,
                                   const char *name,
                                   uint32_t kind,
                                   uint64_t initial,
                                   shmkit_atomic_t **out,
                                   shmkit_error_t *error);

// The value now; 0 for NULL.
uint64_t shmkit_atomic_load(const shmkit_atomic_t *atomic);

// Replaces the value. NULL is allowed.
void shmkit_atomic_store(const shmkit_atomic_t *atomic, uint64_t value);

// Replaces the value and returns the old one; 0 for NULL.
uint64_t shmkit_atomic_swap(const shmkit_atomic_t *atomic, uint64_t value);

// Adds, wrapping around at the kind's limit, and returns the old value; 0 for NULL.
uint64_t shmkit_atomic_add(const shmkit_atomic_t *atomic, uint64_t more);

// Replaces the value if it is `*expected`; else puts what it is into `*expected`. Returns whether it was replaced; false, and
// nothing happens, if either pointer is NULL.
bool shmkit_atomic_compare_exchange(const shmkit_atomic_t *atomic,
                                    uint64_t *expected,
                                    uint64_t desired);

// Sleeps while the value is `value`. Who changes it calls shmkit_atomic_notify_one or shmkit_atomic_notify_all after; a
// change without is noticed within 16 ms. TIMEOUT: not within `timeout_ns` nanoseconds; SHMKIT_FOREVER is no limit.
// INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. Fails with CLOSED.
shmkit_status_t shmkit_atomic_wait(const shmkit_atomic_t *atomic,
                                   uint64_t value,
                                   uint64_t timeout_ns,
                                   uint32_t flags,
                                   shmkit_error_t *error);

// Wakes one waiter, after a change; it costs one load when nobody waits. NULL is allowed.
void shmkit_atomic_notify_one(const shmkit_atomic_t *atomic);

// Wakes all waiters, after a change. NULL is allowed.
void shmkit_atomic_notify_all(const shmkit_atomic_t *atomic);

// The addresses of the value and of the word that waiters sleep on, for languages that use them without a call. The value
// is the whole of its 64 bits, and the upper half of a 32-bit kind stays 0; after a change, notify by a call if
// SHMKIT_WORD_WAITERS is set in `*signal`. All sequentially consistent. Both live as long as the handle. Fails with CLOSED.
shmkit_status_t shmkit_atomic_words(const shmkit_atomic_t *atomic,
                                    uint64_t **value,
                                    uint32_t **signal,
                                    shmkit_error_t *error);

// The kind of integer it is, a shmkit_object_kind_t; 0 for NULL.
uint32_t shmkit_atomic_kind(const shmkit_atomic_t *atomic);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_atomic_name(const shmkit_atomic_t *atomic);

// Whether this handle was closed; true for NULL.
bool shmkit_atomic_is_closed(const shmkit_atomic_t *atomic);

// Ends the use of the integer through this handle; repeating it does nothing. The handle stays until shmkit_atomic_free
// takes it: waits answer CLOSED, and once the process has closed everything of the region the value is 0 and nobody sees
// its changes.
shmkit_status_t shmkit_atomic_close(const shmkit_atomic_t *atomic,
                                    shmkit_error_t *error);

// Closes the integer if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
void shmkit_atomic_free(shmkit_atomic_t *atomic);

// Opens the barrier of this name, creating it when it is missing. Whoever has it open takes part: a process that dies
// without closing it breaks the barrier.
//
// On success `*out` is a handle for shmkit_barrier_free, else NULL. It may outlive the region's handle.
// Fails with PARAMETER_MISMATCH (it exists for another number), INVALID_ARGUMENT (0 `parties`), WRONG_KIND (the name is
// another object's), INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_barrier_open(const shmkit_region_t *region,
                                    const char *name,
                                    uint32_t parties,
                                    shmkit_barrier_t **out,
                                    shmkit_error_t *error);

// Arrives, and waits until all have. `*leader`, if `leader` is not NULL, becomes true for exactly one of them.
//
// BROKEN: a participant died, or somebody broke the barrier, before all had arrived. TIMEOUT: not within `timeout_ns`
// nanoseconds; SHMKIT_FOREVER is no limit. INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. After these
// two the arrival is taken back. Fails with CLOSED.
shmkit_status_t shmkit_barrier_wait(const shmkit_barrier_t *barrier,
                                    uint64_t timeout_ns,
                                    uint32_t flags,
                                    bool *leader,
                                    shmkit_error_t *error);

// Breaks the barrier on purpose: who waits, and who comes until a reset, gets BROKEN. Fails with CLOSED.
shmkit_status_t shmkit_barrier_abort(const shmkit_barrier_t *barrier,
                                     shmkit_error_t *error);

// Makes a broken barrier whole again, without the dead; who still waits gets BROKEN. Fails with CLOSED.
shmkit_status_t shmkit_barrier_reset(const shmkit_barrier_t *barrier,
                                     shmkit_error_t *error);

// Whether the barrier is broken; false for NULL.
bool shmkit_barrier_is_broken(const shmkit_barrier_t *barrier);

// How many must arrive; 0 for NULL.
uint32_t shmkit_barrier_parties(const shmkit_barrier_t *barrier);

// How many wait at this moment; 0 for NULL.
uint32_t shmkit_barrier_waiting(const shmkit_barrier_t *barrier);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_barrier_name(const shmkit_barrier_t *barrier);

// Whether this handle was closed; true for NULL.
bool shmkit_barrier_is_closed(const shmkit_barrier_t *barrier);

// Ends the part of this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_barrier_free takes it.
shmkit_status_t shmkit_barrier_close(const shmkit_barrier_t *barrier,
                                     shmkit_error_t *error);

// Closes the barrier if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
void shmkit_barrier_free(shmkit_barrier_t *barrier);

// Makes `len` zeroed bytes for code: to be written, then sealed, then called. `flags`: SHMKIT_CODE_PATCHABLE,
// SHMKIT_CODE_ALLOW_WX.
//
// On success `*out` is a handle for shmkit_code_free, else NULL.
// Fails with INVALID_LENGTH, INVALID_ARGUMENT (both flags, or unknown ones), PERMISSION_DENIED (the system forbids such
// pages), OUT_OF_MEMORY.
shmkit_status_t shmkit_code_create(size_t len,
                                   uint32_t flags,
                                   shmkit_code_t **out,
                                   shmkit_error_t *error);

// Copies code in. Fails with OUT_OF_RANGE, READ_ONLY (sealed), CLOSED.
shmkit_status_t shmkit_code_write_at(const shmkit_code_t *code,
                                     uint64_t offset,
                                     const void *from,
                                     size_t len,
                                     shmkit_error_t *error);

// Copies code out. Fails with OUT_OF_RANGE, CLOSED.
shmkit_status_t shmkit_code_read_at(const shmkit_code_t *code,
                                    uint64_t offset,
                                    void *into,
                                    size_t len,
                                    shmkit_error_t *error);

// Ends writing for ever: from here on the code can be run. Repeating it does nothing. Fails with CLOSED, PERMISSION_DENIED
// (the system forbids to execute what was written).
shmkit_status_t shmkit_code_seal(const shmkit_code_t *code,
                                 shmkit_error_t *error);

// Takes the code at `offset` as a function: until shmkit_code_unpin the memory cannot be closed. Convert `*function` to the
// type that the code has.
//
// Fails with OUT_OF_RANGE, CLOSED, PERMISSION_DENIED (not sealed yet); `*function` is NULL then.
shmkit_status_t shmkit_code_pin(const shmkit_code_t *code,
                                uint64_t offset,
                                void (**function)(void),
                                shmkit_error_t *error);

// Ends the use of a function that shmkit_code_pin gave. Fails with INVALID_ARGUMENT when there is none.
shmkit_status_t shmkit_code_unpin(const shmkit_code_t *code,
                                  shmkit_error_t *error);

// Calls the code at `offset` with `count` integers, at most SHMKIT_CODE_MAX_ARGUMENTS, as a function of that many uint64_t
// that returns one, and stores what it returns to `*result`, which may be NULL.
//
// Fails with INVALID_ARGUMENT (too many arguments), OUT_OF_RANGE, CLOSED, PERMISSION_DENIED (not sealed yet).
shmkit_status_t shmkit_code_call(const shmkit_code_t *code,
                                 uint64_t offset,
                                 const uint64_t *arguments,
                                 size_t count,
                                 uint64_t *result,
                                 shmkit_error_t *error);

// Number of bytes; 0 for NULL.
size_t shmkit_code_len(const shmkit_code_t *code);

// Whether the handle was closed; true for NULL.
bool shmkit_code_is_closed(const shmkit_code_t *code);

// Whether it was sealed; false for NULL.
bool shmkit_code_is_sealed(const shmkit_code_t *code);

// Whether it can be called now; false for NULL.
bool shmkit_code_is_executable(const shmkit_code_t *code);

// Gives the memory back; repeating it does nothing. Fails, and changes nothing, with BUSY while a function is in use.
shmkit_status_t shmkit_code_close(const shmkit_code_t *code,
                                  shmkit_error_t *error);

// Releases the handle and unmaps the code. NULL is allowed. No function in it may be called any more.
void shmkit_code_free(shmkit_code_t *code);

// Opens the condition variable of this name, creating it when it is missing.
//
// On success `*out` is a handle for shmkit_condvar_free, else NULL. It may outlive the region's handle.
// Fails with WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
// READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_condvar_open(const shmkit_region_t *region,
                                    const char *name,
                                    shmkit_condvar_t **out,
                                    shmkit_error_t *error);

// Gives the mutex back, sleeps until notified, and takes the mutex again. `mutex` is one of the same region that this
// process holds. A wait may end without a notification: wait in a loop that tests the condition.
//
// Whatever this returns, the mutex is held after it if it was held before. OK: notified. TIMEOUT: not within `timeout_ns`
// nanoseconds; SHMKIT_FOREVER is no limit. INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. OWNER_DIED:
// an owner of the mutex died inside, as shmkit_mutex_lock tells it; a death ends the wait too, because the notification
// may have died with it. `*notified`, if `notified` is not NULL, becomes whether the wait ended before its limit and
// without a signal: with OWNER_DIED, the status does not say it.
// Fails with NOT_OWNER (this process does not hold the mutex), INVALID_ARGUMENT (the mutex is of another region), CLOSED.
shmkit_status_t shmkit_condvar_wait(const shmkit_condvar_t *condvar,
                                    const shmkit_mutex_t *mutex,
                                    uint64_t timeout_ns,
                                    uint32_t flags,
                                    bool *notified,
                                    shmkit_error_t *error);

// Wakes one waiter. Call it with the mutex held, or after it was held for the change; it costs one load when nobody waits.
//
// Fails with CLOSED.
shmkit_status_t shmkit_condvar_notify_one(const shmkit_condvar_t *condvar,
                                          shmkit_error_t *error);

// Wakes all waiters. Otherwise as shmkit_condvar_notify_one.
shmkit_status_t shmkit_condvar_notify_all(const shmkit_condvar_t *condvar, shmkit_error_t *error);

// The address of the word, for languages that look themselves whether anybody waits: while SHMKIT_WORD_WAITERS is not set in
// it, a notification does nothing. It lives as long as the handle. Fails with CLOSED.
shmkit_status_t shmkit_condvar_word(const shmkit_condvar_t *condvar,
                                    uint32_t **word,
                                    shmkit_error_t *error);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_condvar_name(const shmkit_condvar_t *condvar);

// Whether this handle was closed; true for NULL.
bool shmkit_condvar_is_closed(const shmkit_condvar_t *condvar);

// Ends the use of the condvar through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_condvar_free takes it.
shmkit_status_t shmkit_condvar_close(const shmkit_condvar_t *condvar,
                                     shmkit_error_t *error);

// Closes the condvar if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
void shmkit_condvar_free(shmkit_condvar_t *condvar);

// Another handle on a region, through which the `_open` functions of named objects do what `mode`, a
// shmkit_object_mode_t, says: only find (NOT_FOUND when it is missing), only create (ALREADY_EXISTS when it is there), or
// either. All else is the same region. On success `*out` is a handle for shmkit_region_free, else NULL.
//
// Fails with INVALID_ARGUMENT (another mode), CLOSED.
shmkit_status_t shmkit_region_with_mode(const shmkit_region_t *region,
                                        uint32_t mode,
                                        shmkit_region_t **out,
                                        shmkit_error_t *error);

// Tells of the named object of this name, of whatever kind. Set `out->size` to sizeof(shmkit_object_info_t) before. Works on a
// read-only handle, changes nothing, and waits for nobody.
//
// Fails with NOT_FOUND, INVALID_ARGUMENT, CORRUPTED, CLOSED.
shmkit_status_t shmkit_region_find_object(const shmkit_region_t *region,
                                          const char *name,
                                          shmkit_object_info_t *out,
                                          shmkit_error_t *error);

// Tells of the named object whose name follows `after` in the order of bytes; NULL and "" ask for the first. NOT_FOUND: that
// was the last. `after` may be the name in `*out`. Otherwise as shmkit_region_find_object.
shmkit_status_t shmkit_region_next_object(const shmkit_region_t *region,
                                          const char *after,
                                          shmkit_object_info_t *out,
                                          shmkit_error_t *error);

// The name of a status, the same in all languages: "NotFound". "Ok" for success, "Unknown" for a number that is none.
// The text lives as long as the program.
const char *shmkit_status_name(shmkit_status_t status);

// What a status means, as a clause that follows the name of the object.
const char *shmkit_status_description(shmkit_status_t status);

// What to do next.
const char *shmkit_status_advice(shmkit_status_t status);

// The version of the library that runs, for example "1.2.3"; SHMKIT_VERSION is that of the header.
const char *shmkit_version(void);

// Opens the event of this name, creating it (not set) when it is missing. `reset` is a shmkit_event_reset_t: what takes the
// flag away.
//
// On success `*out` is a handle for shmkit_event_free, else NULL. It may outlive the region's handle.
// Fails with PARAMETER_MISMATCH (it exists with the other `reset`), INVALID_ARGUMENT (an unknown one), WRONG_KIND (the name
// is another object's), INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_event_open(const shmkit_region_t *region,
                                  const char *name,
                                  uint32_t reset,
                                  shmkit_event_t **out,
                                  shmkit_error_t *error);

// Sets the event: wakes all waiters of a manual one, one waiter of an automatic one. Fails with CLOSED.
shmkit_status_t shmkit_event_set(const shmkit_event_t *event,
                                 shmkit_error_t *error);

// Takes the flag away. Fails with CLOSED.
shmkit_status_t shmkit_event_reset(const shmkit_event_t *event, shmkit_error_t *error);

// Whether the event is set at this moment; false for NULL.
bool shmkit_event_is_set(const shmkit_event_t *event);

// Waits until the event is set, and takes the flag of an automatic one. TIMEOUT: not within `timeout_ns` nanoseconds;
// SHMKIT_FOREVER is no limit. INTERRUPTED: a signal handler ran, with SHMKIT_WAIT_INTERRUPTIBLE. Fails with CLOSED.
shmkit_status_t shmkit_event_wait(const shmkit_event_t *event,
                                  uint64_t timeout_ns,
                                  uint32_t flags,
                                  shmkit_error_t *error);

// Passes if the event is set, taking the flag of an automatic one; else answers WOULD_BLOCK. Never sleeps. Fails with CLOSED.
shmkit_status_t shmkit_event_try_wait(const shmkit_event_t *event,
                                      shmkit_error_t *error);

// The address of the word, for languages that use it without a call: the event is set while SHMKIT_EVENT_SET is in it. To
// set: if it is not set and SHMKIT_WORD_WAITERS is not there, a compare-and-swap to the word plus SHMKIT_EVENT_STEP with
// SHMKIT_EVENT_SET. To reset, and to take the flag of an automatic one: without SHMKIT_EVENT_SET. All else by a call. It
// lives as long as the handle. Fails with CLOSED.
shmkit_status_t shmkit_event_word(const shmkit_event_t *event,
                                  uint32_t **word,
                                  shmkit_error_t *error);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_event_name(const shmkit_event_t *event);

// Whether this handle was closed; true for NULL.
bool shmkit_event_is_closed(const shmkit_event_t *event);

// Ends the use of the event through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_event_free takes it.
shmkit_status_t shmkit_event_close(const shmkit_event_t *event,
                                   shmkit_error_t *error);

// Closes the event if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
void shmkit_event_free(shmkit_event_t *event);

// Turns the fault guard off (`false`) or on again for everything that this process maps from now on. Without it, a file that
// is cut while it is mapped kills who touches what is missing (SIGBUS). For programs that must be the only ones to handle
// that signal. Any thread may call it.
void shmkit_set_fault_guard(bool enabled);

// Whether the bytes still are the file's.
//
// A file can be cut while it is mapped, and a file system can be full when a hole in a file is first touched. Touching such a
// page would kill the process (SIGBUS); under the fault guard it reads as zeros, what is stored there is lost, and from then
// on this and every other call of the mapping that can fail does: close it, and map the file again. System calls that are
// given such bytes fail with EFAULT.
//
// A handler for SIGBUS that the program installs itself, before or after, gets every signal that is not about a guarded
// mapping. One that is installed after the mapping was made must pass on what it does not know, until this function or
// another mapping has put the guard in front of it again.
//
// Fails with MAPPING_TRUNCATED (also when nobody has touched the missing pages yet), NO_SPACE, IO, CLOSED.
shmkit_status_t shmkit_mapping_check(const shmkit_mapping_t *mapping,
                                     shmkit_error_t *error);

// Whether the fault guard watches this mapping; false for NULL, for memory without a file, and with
// SHMKIT_MAP_NO_FAULT_GUARD.
bool shmkit_mapping_is_guarded(const shmkit_mapping_t *mapping);

// A word that is 0 while all is well, and another number as soon as a page of the mapping was replaced: for programs that
// copy bytes themselves, to look at after the copy (an atomic load). NULL without the guard. The word stays readable for ever,
// and means this mapping until shmkit_mapping_free.
const uint32_t *shmkit_mapping_damage_word(const shmkit_mapping_t *mapping);

// As shmkit_mapping_check, for a region: once its file has lost pages, everything but closing fails, for the region and for
// the objects in it, and no lock is taken. Other processes find out for themselves.
//
// Fails with MAPPING_TRUNCATED, CLOSED.
shmkit_status_t shmkit_region_check(const shmkit_region_t *region,
                                    shmkit_error_t *error);

// As shmkit_mapping_damage_word, for a region. It means this region until the process has freed its last handle on it.
const uint32_t *shmkit_region_damage_word(const shmkit_region_t *region);

// Takes the guard, waiting as long as it takes. The process owns it: any of its threads may give it back.
//
// OWNER_DIED means that the guard IS HELD, and that an owner died inside before: what it guards may be half-written.
// Repair it and call shmkit_region_make_consistent, or give the guard back and the next one is told the same.
// Fails, without the guard, with CLOSED, READ_ONLY, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
shmkit_status_t shmkit_region_lock(const shmkit_region_t *region,
                                   shmkit_error_t *error);

// Takes the guard if nobody who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as shmkit_region_lock.
shmkit_status_t shmkit_region_try_lock(const shmkit_region_t *region,
                                       shmkit_error_t *error);

// Takes the guard if it becomes free within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit.
// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_region_lock.
shmkit_status_t shmkit_region_lock_wait(const shmkit_region_t *region,
                                        uint64_t timeout_ns,
                                        uint32_t flags,
                                        shmkit_error_t *error);

// Gives the guard back. Fails with NOT_OWNER when this process does not hold it, CLOSED, READ_ONLY.
shmkit_status_t shmkit_region_unlock(const shmkit_region_t *region, shmkit_error_t *error);

// Says that the user bytes are in order again after an owner died: OWNER_DIED is no longer reported. Needs the guard.
//
// Fails with NOT_OWNER, CLOSED, READ_ONLY.
shmkit_status_t shmkit_region_make_consistent(const shmkit_region_t *region,
                                              shmkit_error_t *error);

// The addresses of the guard's word and of the word with this process's owner id, for languages that lock without a call:
// lock is a compare-and-swap of the first from 0 to the second's value, unlock the reverse, both sequentially consistent;
// whenever one fails, or the second holds 0 (not attached), the functions above do the work. After a lock, ask whether
// the handle was closed meanwhile, and unlock and fail if so. Both live as long as the handle.
//
// Fails with READ_ONLY, CLOSED.
shmkit_status_t shmkit_region_guard_words(const shmkit_region_t *region,
                                          uint32_t **word,
                                          const uint32_t **me,
                                          shmkit_error_t *error);

// Whether anybody holds the guard at this moment, dead or alive; false for NULL.
bool shmkit_region_is_locked(const shmkit_region_t *region);

// Bytes of an arena in which such a heap finds room: what `arena_len` of shmkit_region_options_t needs for it. 0 for options
// that no heap can have.
uint64_t shmkit_heap_arena_len(const shmkit_heap_options_t *options);

// Opens the heap of this name, creating it when it is missing; with NULL for `options`, the one that exists, with whatever it
// was created.
//
// On success `*out` is a handle for shmkit_heap_free, else NULL. It may outlive the region's handle.
// Fails with PARAMETER_MISMATCH (it exists with other options), NOT_FOUND (NULL for `options`), INVALID_LENGTH,
// INVALID_ARGUMENT, WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room in the arena: see
// shmkit_heap_arena_len), READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_heap_open(const shmkit_region_t *region,
                                 const char *name,
                                 const shmkit_heap_options_t *options,
                                 shmkit_heap_t **out,
                                 shmkit_error_t *error);

// Creates a region that holds one heap, and opens the heap. shmkit_region_unlink removes the region's name.
//
// On success `*out` is a handle for shmkit_heap_free, else NULL. Fails as shmkit_region_create and shmkit_heap_open do.
shmkit_status_t shmkit_heap_create(const char *name,
                                   const shmkit_heap_options_t *options,
                                   shmkit_heap_t **out,
                                   shmkit_error_t *error);

// Opens the heap of such a region, or creates both. Fails as shmkit_region_open_or_create and shmkit_heap_open do.
shmkit_status_t shmkit_heap_open_or_create(const char *name,
                                           const shmkit_heap_options_t *options,
                                           shmkit_heap_t **out,
                                           shmkit_error_t *error);

// Opens the heap of such a region, with whatever it was created: of `flags`, SHMKIT_HEAP_PATH matters. Fails as
// shmkit_region_open and shmkit_heap_open do.
shmkit_status_t shmkit_heap_open_own(const char *name,
                                     uint32_t flags,
                                     shmkit_heap_t **out,
                                     shmkit_error_t *error);

// Allocates a block of at least `len` bytes at a multiple of `align`, a power of two up to 4096; 0 means 16. The bytes may be
// anything, or with SHMKIT_HEAP_ZEROED in `flags` are zero. The block is this process's until it frees or publishes it.
//
// Fails with NO_SPACE, INVALID_LENGTH (0), INVALID_ARGUMENT, TIMEOUT (a stopped process has had the heap's lock for ten
// seconds), CORRUPTED, CLOSED; `*block` is all zero then.
shmkit_status_t shmkit_heap_allocate(const shmkit_heap_t *heap,
                                     size_t len,
                                     size_t align,
                                     uint32_t flags,
                                     shmkit_block_t *block,
                                     shmkit_error_t *error);

// Frees the block that begins at `offset`: one of this process's, or a published one.
//
// Fails with INVALID_BLOCK (no live block begins there: it was freed, or lies elsewhere), NOT_OWNER (another process's),
// CORRUPTED, TIMEOUT, CLOSED.
shmkit_status_t shmkit_heap_free_block(const shmkit_heap_t *heap,
                                       uint64_t offset,
                                       shmkit_error_t *error);

// Makes the block at `block->offset` longer or shorter, where it is if there is room, else elsewhere with the same bytes, at a
// multiple of `align` (0 means 16). `*block` says where it is then.
//
// Fails as shmkit_heap_allocate and shmkit_heap_free_block do; then the block and `*block` are as they were.
shmkit_status_t shmkit_heap_resize(const shmkit_heap_t *heap,
                                   shmkit_block_t *block,
                                   size_t len,
                                   size_t align,
                                   shmkit_error_t *error);

// Makes the block at `block->offset` longer or shorter where it is. What lay behind its new end is lost.
//
// Fails with NO_SPACE (it cannot grow so far here), and as shmkit_heap_free_block does; then the block and `*block` are as
// they were.
shmkit_status_t shmkit_heap_resize_in_place(const shmkit_heap_t *heap,
                                            shmkit_block_t *block,
                                            size_t len,
                                            shmkit_error_t *error);

// How many bytes the live block at `offset` offers, whosever it is. Fails with INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED;
// `*len` is 0 then.
shmkit_status_t shmkit_heap_usable_size(const shmkit_heap_t *heap,
                                        uint64_t offset,
                                        size_t *len,
                                        shmkit_error_t *error);

// Gives a block away: it belongs to nobody, and outlives this process, until somebody adopts or frees it.
//
// Fails with NOT_OWNER (another process's, or published already), and as shmkit_heap_free_block does.
shmkit_status_t shmkit_heap_publish(const shmkit_heap_t *heap,
                                    uint64_t offset,
                                    shmkit_error_t *error);

// Makes a block this process's own that is published, or whose owner died. Of several who try, one gets it.
//
// Fails with NOT_OWNER (a living process has it), INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED; `*block` is all zero then.
shmkit_status_t shmkit_heap_adopt(const shmkit_heap_t *heap,
                                  uint64_t offset,
                                  shmkit_block_t *block,
                                  shmkit_error_t *error);

// Says where a block of this process's own is. Fails with NOT_OWNER, INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED; `*block` is all
// zero then.
shmkit_status_t shmkit_heap_block(const shmkit_heap_t *heap,
                                  uint64_t offset,
                                  shmkit_block_t *block,
                                  shmkit_error_t *error);

// Takes a view of a live block, whosever it is: the handle cannot be closed until shmkit_heap_unpin. It does not keep the
// owner from freeing the block.
//
// Fails with INVALID_BLOCK, CORRUPTED, TIMEOUT, CLOSED; `*block` is all zero then.
shmkit_status_t shmkit_heap_pin(const shmkit_heap_t *heap,
                                uint64_t offset,
                                bool writable,
                                shmkit_block_t *block,
                                shmkit_error_t *error);

// Gives back a view that shmkit_heap_pin took with the same `writable`. Fails with INVALID_ARGUMENT when there is none.
shmkit_status_t shmkit_heap_unpin(const shmkit_heap_t *heap,
                                  bool writable,
                                  shmkit_error_t *error);

// Ends the use of the heap through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_heap_free takes it. Fails, and changes nothing, with BUSY while views of this handle live.
//
// Blocks that are not published stay this process's while it has anything of the region open, and are a dead one's after.
shmkit_status_t shmkit_heap_close(const shmkit_heap_t *heap,
                                  shmkit_error_t *error);

// Closes the heap if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more. For a
// block, see shmkit_heap_free_block.
void shmkit_heap_free(shmkit_heap_t *heap);

// Fills `status`, whose `size` is set. Looks at every block, with the heap's lock held.
//
// Fails with CORRUPTED, TIMEOUT, CLOSED.
shmkit_status_t shmkit_heap_status(const shmkit_heap_t *heap,
                                   shmkit_heap_status_t *status,
                                   shmkit_error_t *error);

// Writes what there is of the first `capacity` blocks, in the order of their addresses. `*count`, unless NULL, becomes the
// number of all; it changes when others allocate. `blocks` of NULL with a `capacity` of 0 only asks for that.
//
// Fails with CORRUPTED, TIMEOUT, CLOSED.
shmkit_status_t shmkit_heap_blocks(const shmkit_heap_t *heap,
                                   shmkit_block_status_t *blocks,
                                   size_t capacity,
                                   size_t *count,
                                   shmkit_error_t *error);

// As shmkit_heap_blocks, for the processes that have blocks, the dead included.
shmkit_status_t shmkit_heap_owners(const shmkit_heap_t *heap,
                                   shmkit_heap_owner_t *owners,
                                   size_t capacity,
                                   size_t *count,
                                   shmkit_error_t *error);

// Frees all blocks of processes that died, except published ones; `*count`, unless NULL, becomes how many there were.
//
// Fails with CORRUPTED, TIMEOUT, CLOSED.
shmkit_status_t shmkit_heap_reclaim(const shmkit_heap_t *heap,
                                    uint64_t *count,
                                    shmkit_error_t *error);

// Checks that the heap is whole: every block, and all that is derived from them. Fails with CORRUPTED, whose text says what
// is wrong; TIMEOUT, CLOSED.
shmkit_status_t shmkit_heap_check(const shmkit_heap_t *heap,
                                  shmkit_error_t *error);

// How the heap was created: a shmkit_heap_strategy_t; SHMKIT_HEAP_STRATEGY_BEST_FIT for NULL.
uint32_t shmkit_heap_strategy(const shmkit_heap_t *heap);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_heap_name(const shmkit_heap_t *heap);

// Whether this handle was closed; true for NULL.
bool shmkit_heap_is_closed(const shmkit_heap_t *heap);

// Creates a log in this directory, which is made if it is missing, and opens it.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_log_free, else NULL.
// Fails with ALREADY_EXISTS, INVALID_ARGUMENT, INVALID_NAME, NOT_FOUND (the directory's parent), NO_SPACE,
// PERMISSION_DENIED, UNSUPPORTED (a file system without what is needed).
shmkit_status_t shmkit_log_create(const char *directory,
                                  const shmkit_log_options_t *options,
                                  shmkit_log_t **out,
                                  shmkit_error_t *error);

// Opens the log in this directory for appending and reading, or with SHMKIT_LOG_READ_ONLY only for reading. Of the options
// only the flags matter. The first to open it for appending after the machine was started repairs what a power cut left.
//
// On success `*out` is a handle for shmkit_log_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, WRONG_KIND and the others of shmkit_region_open, CORRUPTED,
// TOO_MANY_ATTACHMENTS.
shmkit_status_t shmkit_log_open(const char *directory,
                                const shmkit_log_options_t *options,
                                shmkit_log_t **out,
                                shmkit_error_t *error);

// Opens the log in this directory, or creates it. Of several callers at once, one creates and all get its log.
//
// Fails as shmkit_log_create and shmkit_log_open do, and with PARAMETER_MISMATCH when it exists with other parameters.
shmkit_status_t shmkit_log_open_or_create(const char *directory,
                                          const shmkit_log_options_t *options,
                                          shmkit_log_t **out,
                                          shmkit_error_t *error);

// Appends a record of `len` bytes; `kind` is yours. `*position`, unless `position` is NULL, becomes where it is. With
// SHMKIT_DURABILITY_GROUP and SHMKIT_DURABILITY_EVERY the record is on the disk when this returns.
//
// Fails with RECORD_TOO_LARGE, NO_SPACE (there is no room for another segment; nothing was appended), CLOSED, READ_ONLY,
// TOO_MANY_ATTACHMENTS (a forked child that finds no place), and IO or NO_SPACE for what the disk reported: of the
// policies INTERVAL and BYTES, once to each process, that earlier records may not have reached it (nothing was appended);
// of GROUP and EVERY, that this record may not have (it was appended).
shmkit_status_t shmkit_log_append(const shmkit_log_t *log,
                                  uint32_t kind,
                                  const void *data,
                                  size_t len,
                                  uint64_t *position,
                                  shmkit_error_t *error);

// Appends a record without waiting for the disk, whatever the policy. `*ticket`, unless `ticket` is NULL, is for
// shmkit_log_wait_durable and shmkit_log_on_durable. Otherwise as shmkit_log_append.
shmkit_status_t shmkit_log_append_deferred(const shmkit_log_t *log,
                                           uint32_t kind,
                                           const void *data,
                                           size_t len,
                                           shmkit_log_ticket_t *ticket,
                                           shmkit_error_t *error);

// Appends `count` records, one behind the other. Readers see all of them at once; if the process is killed, all or none.
// `positions`, unless it is NULL, becomes where they are. Together they must not be longer than a record may be.
//
// Fails as shmkit_log_append does.
shmkit_status_t shmkit_log_append_batch(const shmkit_log_t *log,
                                        const shmkit_log_part_t *records,
                                        size_t count,
                                        uint64_t *positions,
                                        shmkit_error_t *error);

// Claims a record of `len` bytes, to be filled in place: `*data` becomes the address of its bytes, zero at first.
//
// It has its place in the order from now on, so readers that come to it wait: commit or abandon it soon. On success `*out`
// is a reservation that shmkit_log_commit, shmkit_log_commit_deferred or shmkit_log_abandon takes, else NULL. The log
// cannot be closed before. Fails as shmkit_log_append does.
shmkit_status_t shmkit_log_reserve(const shmkit_log_t *log,
                                   uint32_t kind,
                                   size_t len,
                                   shmkit_log_reservation_t **out,
                                   void **data,
                                   shmkit_error_t *error);

// Makes a record of the first `len` bytes of a reservation, and waits for the disk if the policy says so. `*position`,
// unless `position` is NULL, becomes where it is.
//
// The reservation is gone afterwards, whatever the status. Fails with OUT_OF_RANGE (more than were reserved; it was
// abandoned), NOT_OWNER (it was reserved before a fork), and what the disk reported, as shmkit_log_append.
shmkit_status_t shmkit_log_commit(shmkit_log_reservation_t *reservation,
                                  size_t len,
                                  uint64_t *position,
                                  shmkit_error_t *error);

// As shmkit_log_commit, without waiting for the disk: see shmkit_log_append_deferred.
shmkit_status_t shmkit_log_commit_deferred(shmkit_log_reservation_t *reservation,
                                           size_t len,
                                           shmkit_log_ticket_t *ticket,
                                           shmkit_error_t *error);

// Gives a reservation up: readers skip it. NULL is allowed.
void shmkit_log_abandon(shmkit_log_reservation_t *reservation);

// The log's directory, as it was opened; it lives as long as the handle. "" for NULL.
const char *shmkit_log_directory(const shmkit_log_t *log);

// Whether this handle was closed; true for NULL.
bool shmkit_log_is_closed(const shmkit_log_t *log);

// Whether it was opened for reading only; false for NULL.
bool shmkit_log_is_read_only(const shmkit_log_t *log);

// Ends the use of the log through this handle; repeating it does nothing. With SHMKIT_DURABILITY_INTERVAL and
// SHMKIT_DURABILITY_BYTES, what was appended is flushed first. Readers go on.
//
// The handle stays: its calls answer CLOSED until shmkit_log_free takes it. Fails, and changes nothing, with BUSY while a
// reservation lives; when the last flush failed, with what it reported, and the handle is closed.
shmkit_status_t shmkit_log_close(const shmkit_log_t *log,
                                 shmkit_error_t *error);

// Closes the log if that was not done, and releases the handle. NULL is allowed.
//
// No other thread may use the handle any more. Readers and reservations of it stay usable.
void shmkit_log_free(shmkit_log_t *log);

// Stores the addresses of a log's words. Fails with READ_ONLY, CLOSED.
shmkit_status_t shmkit_log_words(const shmkit_log_t *log,
                                 shmkit_log_words_t *words,
                                 shmkit_error_t *error);

// Keeps the segment mapped that this handle appends to, and says where it is. On success `*out` is a handle for
// shmkit_log_segment_free, else NULL. Fails with WOULD_BLOCK before the handle's first append, CLOSED.
shmkit_status_t shmkit_log_segment_current(const shmkit_log_t *log,
                                           shmkit_log_segment_t **out,
                                           shmkit_log_segment_view_t *view,
                                           shmkit_error_t *error);

// Faults pages in before they are written: those up to record byte `end`, and some behind them. Returns up to where that is
// done; 0 for NULL.
uint64_t shmkit_log_segment_touch(const shmkit_log_segment_t *segment,
                                  uint64_t offset,
                                  uint64_t end);

// Gives a segment back. NULL is allowed.
void shmkit_log_segment_free(shmkit_log_segment_t *segment);

// What follows a commit that was made on the words: readers that sleep are woken, and the policy sees to the disk, but
// nobody waits for it. NULL is allowed.
void shmkit_log_after_commit(const shmkit_log_t *log);

// Carries everything that was committed before this call to the disk. Fails with CLOSED, READ_ONLY, and what the disk
// reported.
shmkit_status_t shmkit_log_flush(const shmkit_log_t *log,
                                 shmkit_error_t *error);

// Stores a ticket for everything that was committed before this call. Fails with CLOSED.
shmkit_status_t shmkit_log_ticket(const shmkit_log_t *log,
                                  shmkit_log_ticket_t *ticket,
                                  shmkit_error_t *error);

// Whether the record of a ticket is on the disk, into `*durable`. Fails with what its flush failed with, and CLOSED.
shmkit_status_t shmkit_log_is_durable(const shmkit_log_t *log,
                                      const shmkit_log_ticket_t *ticket,
                                      bool *durable,
                                      shmkit_error_t *error);

// Waits until the record of a ticket is on the disk, at most `timeout_ns` nanoseconds, else answers TIMEOUT;
// SHMKIT_FOREVER is no limit. If nobody flushes, this thread does, and a flush that has begun takes as long as it takes.
// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Fails with what the flush failed with, CLOSED, READ_ONLY.
shmkit_status_t shmkit_log_wait_durable(const shmkit_log_t *log,
                                        const shmkit_log_ticket_t *ticket,
                                        uint64_t timeout_ns,
                                        uint32_t flags,
                                        shmkit_error_t *error);

// Calls `callback` once with `context`, when the record of a ticket is on the disk or with the disk's error: at once, or
// from a thread of this handle. The handle's end calls those that are left. When this fails, nothing is called.
//
// With SHMKIT_DURABILITY_INTERVAL and SHMKIT_DURABILITY_BYTES it waits for the policy's next flush, else it causes one.
// The callback must be short, must not free this handle, and must not throw. A forked child gets no calls for what its parent asked.
// Fails with INVALID_ARGUMENT (no callback), CLOSED, READ_ONLY.
shmkit_status_t shmkit_log_on_durable(const shmkit_log_t *log,
                                      const shmkit_log_ticket_t *ticket,
                                      shmkit_log_callback_t callback,
                                      void *context,
                                      shmkit_error_t *error);

// Opens a reader that begins at `from`, a shmkit_read_from_t; `position` is for SHMKIT_READ_FROM_POSITION.
//
// On success `*out` is a handle for shmkit_log_reader_free, else NULL. It may outlive the log's handle.
// Fails with INVALID_ARGUMENT (no record begins at the position), MISSED (it was removed), CLOSED, NOT_FOUND.
shmkit_status_t shmkit_log_reader_open(const shmkit_log_t *log,
                                       uint32_t from,
                                       uint64_t position,
                                       shmkit_log_reader_t **out,
                                       shmkit_error_t *error);

// Reads the next record if it is there, else answers WOULD_BLOCK. The bytes are where they are in the log, not copied, and
// stay until this reader reads again or is freed, or for longer with shmkit_log_reader_keep.
//
// Fails with MISSED once for each gap that retention made, CORRUPTED once for each place that holds no records: either way
// reading goes on behind it; BUSY while another thread reads with this reader; NOT_FOUND and what mapping a segment
// reports.
shmkit_status_t shmkit_log_reader_next(const shmkit_log_reader_t *reader,
                                       shmkit_log_record_t *record,
                                       shmkit_error_t *error);

// Reads the next record, waiting at most `timeout_ns` nanoseconds for it, else answers TIMEOUT; SHMKIT_FOREVER is no limit.
// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_log_reader_next.
shmkit_status_t shmkit_log_reader_next_wait(const shmkit_log_reader_t *reader,
                                            uint64_t timeout_ns,
                                            uint32_t flags,
                                            shmkit_log_record_t *record,
                                            shmkit_error_t *error);

// Keeps the record that was read last: its bytes stay in place until shmkit_log_pin_free, also when the reader goes on, is
// freed, or retention removes the file. Fails with INVALID_ARGUMENT when nothing was read yet, BUSY.
shmkit_status_t shmkit_log_reader_keep(const shmkit_log_reader_t *reader,
                                       shmkit_log_pin_t **out,
                                       shmkit_error_t *error);

// Gives a record back that shmkit_log_reader_keep kept. NULL is allowed.
void shmkit_log_pin_free(shmkit_log_pin_t *pin);

// Goes to another place: `from` and `position` as for shmkit_log_reader_open, with its errors, and BUSY.
shmkit_status_t shmkit_log_reader_seek(const shmkit_log_reader_t *reader,
                                       uint32_t from,
                                       uint64_t position,
                                       shmkit_error_t *error);

// Where the next record will be looked for; 0 for NULL. A reader that begins there goes on where this one is.
uint64_t shmkit_log_reader_position(const shmkit_log_reader_t *reader);

// Bytes of the log that were removed before this reader came to them; 0 for NULL.
uint64_t shmkit_log_reader_missed(const shmkit_log_reader_t *reader);

// Bytes that held no records where some should have been; 0 for NULL.
uint64_t shmkit_log_reader_corrupted(const shmkit_log_reader_t *reader);

// Records that were skipped because their writers gave them up or died; 0 for NULL.
uint64_t shmkit_log_reader_skipped(const shmkit_log_reader_t *reader);

// Releases a reader, and with it the bytes of the record that it read last. NULL is allowed.
void shmkit_log_reader_free(shmkit_log_reader_t *reader);

// Writes a log's parameters and counters into `*status`. Looking changes nothing and waits for nobody. Works on a closed
// handle too. Fails with INVALID_ARGUMENT (the size), and what listing the directory reports.
shmkit_status_t shmkit_log_status(const shmkit_log_t *log,
                                  shmkit_log_status_t *status,
                                  shmkit_error_t *error);

// Looks at every byte that is kept, and writes what it found into `*verified`. It changes nothing, except that claims of
// dead writers become padding. It takes as long as reading the log. Fails with CLOSED, and what mapping a segment reports.
shmkit_status_t shmkit_log_verify(const shmkit_log_t *log,
                                  shmkit_log_verified_t *verified,
                                  shmkit_error_t *error);

// Maps a file.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_mapping_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_LENGTH (length 0, or an empty file), OUT_OF_RANGE (beyond the end of
// the file without SHMKIT_MAP_GROW), NO_SPACE, WRONG_KIND (a directory or device), INVALID_ARGUMENT.
shmkit_status_t shmkit_mapping_open(const char *path,
                                    const shmkit_map_options_t *options,
                                    shmkit_mapping_t **out,
                                    shmkit_error_t *error);

// Maps a file that is open as descriptor `fd`, which stays yours and may be closed afterwards. Otherwise as
// shmkit_mapping_open.
shmkit_status_t shmkit_mapping_from_fd(int fd,
                                       const shmkit_map_options_t *options,
                                       shmkit_mapping_t **out,
                                       shmkit_error_t *error);

// Maps SHMKIT_MAP_LEN zeroed bytes that no file backs, shared with children that are forked later, or with
// SHMKIT_MAP_PRIVATE the process's own. They are for reading and writing unless SHMKIT_PROTECTION_NONE is asked.
//
// On success `*out` is a handle for shmkit_mapping_free, else NULL.
// Fails with INVALID_LENGTH, INVALID_ARGUMENT (an offset, SHMKIT_MAP_CREATE or SHMKIT_MAP_GROW), OUT_OF_MEMORY (also: too few
// huge pages are reserved, or more is to be locked than the process may), UNSUPPORTED (huge pages of a size the system
// lacks).
shmkit_status_t shmkit_mapping_anonymous(const shmkit_map_options_t *options,
                                         shmkit_mapping_t **out,
                                         shmkit_error_t *error);

// Lets the file go. Repeating it does nothing. The handle stays: its calls answer CLOSED until shmkit_mapping_free takes
// it, and pointers into the mapping lead to zeros. Fails, and changes nothing, with BUSY while a view lives.
shmkit_status_t shmkit_mapping_close(const shmkit_mapping_t *mapping,
                                     shmkit_error_t *error);

// Releases the handle and unmaps the bytes. NULL is allowed. No other thread may use the handle any more, and no pointer
// into the mapping leads anywhere after it: end all views first.
void shmkit_mapping_free(shmkit_mapping_t *mapping);

// Number of bytes; 0 for NULL.
size_t shmkit_mapping_len(const shmkit_mapping_t *mapping);

// Whether every byte may be written; false for NULL.
bool shmkit_mapping_is_writable(const shmkit_mapping_t *mapping);

// Whether the handle was closed; true for NULL.
bool shmkit_mapping_is_closed(const shmkit_mapping_t *mapping);

// Copies `len` bytes at `offset` into `into`, which must not lie in the mapping. A concurrent writer may tear the copy.
//
// Fails with OUT_OF_RANGE, CLOSED, PERMISSION_DENIED (pages without access); nothing was copied then.
shmkit_status_t shmkit_mapping_read_at(const shmkit_mapping_t *mapping,
                                       uint64_t offset,
                                       void *into,
                                       size_t len,
                                       shmkit_error_t *error);

// Copies `len` bytes from `from`, which must not lie in the mapping, to `offset`. A concurrent reader may see a part of
// them.
//
// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY; nothing was copied then.
shmkit_status_t shmkit_mapping_write_at(const shmkit_mapping_t *mapping,
                                        uint64_t offset,
                                        const void *from,
                                        size_t len,
                                        shmkit_error_t *error);

// Takes a view: `*data` becomes the address of the `len` bytes at `offset`; until shmkit_mapping_unpin the mapping cannot
// be closed and the bytes keep their access.
//
// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY, PERMISSION_DENIED; `*data` is NULL then.
shmkit_status_t shmkit_mapping_pin(const shmkit_mapping_t *mapping,
                                   uint64_t offset,
                                   size_t len,
                                   bool writable,
                                   void **data,
                                   shmkit_error_t *error);

// Ends a view that shmkit_mapping_pin began, with the same `writable`. Fails with INVALID_ARGUMENT when there is none.
shmkit_status_t shmkit_mapping_unpin(const shmkit_mapping_t *mapping,
                                     bool writable,
                                     shmkit_error_t *error);

// The address of the first byte; NULL for NULL. It is not counted as a view: after a close it leads to zeros, after
// shmkit_mapping_free nowhere. An access that the protection forbids is a fault.
void *shmkit_mapping_data(const shmkit_mapping_t *mapping);

// Carries changes of a shared file mapping to the file (msync(2)), and waits for the disk unless SHMKIT_FLUSH_ASYNC is
// given. The range is widened to whole pages. Where shmkit_mapping_is_persistent says that there is no disk behind it, it
// succeeds and does nothing.
//
// Fails with OUT_OF_RANGE, CLOSED, IO (what the device reported), BUSY (SHMKIT_FLUSH_INVALIDATE of locked pages).
shmkit_status_t shmkit_mapping_flush(const shmkit_mapping_t *mapping,
                                     uint64_t offset,
                                     size_t len,
                                     uint32_t flags,
                                     shmkit_error_t *error);

// Changes what a range allows (mprotect(2)); `new_protection` is a shmkit_protection_t. The range covers whole pages, or
// ends with the mapping.
//
// Fails with BUSY while a view lives that would lose access, READ_ONLY when the file was not opened for writing,
// INVALID_ARGUMENT (a part of a page), OUT_OF_RANGE, CLOSED.
shmkit_status_t shmkit_mapping_protect(const shmkit_mapping_t *mapping,
                                       uint64_t offset,
                                       size_t len,
                                       uint32_t new_protection,
                                       shmkit_error_t *error);

// Tells the kernel what a range will be used for (madvise(2)); `advice` is a shmkit_advice_t.
//
// Fails with OUT_OF_RANGE, CLOSED, INVALID_ARGUMENT (a part of a page, where that would hurt its neighbours), READ_ONLY
// (SHMKIT_ADVICE_REMOVE or SHMKIT_ADVICE_POPULATE_WRITE of what may not be written), UNSUPPORTED (this kernel, or this
// kind of memory, knows no such advice).
shmkit_status_t shmkit_mapping_advise(const shmkit_mapping_t *mapping,
                                      uint64_t offset,
                                      size_t len,
                                      uint32_t advice,
                                      shmkit_error_t *error);

// Opens the mutex of this name, creating it when it is missing.
//
// On success `*out` is a handle for shmkit_mutex_free, else NULL. It may outlive the region's handle.
// Fails with WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
// READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_mutex_open(const shmkit_region_t *region,
                                  const char *name,
                                  shmkit_mutex_t **out,
                                  shmkit_error_t *error);

// Takes the lock, waiting as long as it takes. The process owns it: any of its threads may give it back.
//
// OWNER_DIED means that the lock IS HELD, and that an owner died inside before: what it guards may be half-written.
// Repair it and call shmkit_mutex_make_consistent, or give the lock back and the next one is told the same.
// Fails, without the lock, with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
shmkit_status_t shmkit_mutex_lock(const shmkit_mutex_t *mutex,
                                  shmkit_error_t *error);

// Takes the lock if nobody who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as shmkit_mutex_lock.
shmkit_status_t shmkit_mutex_try_lock(const shmkit_mutex_t *mutex,
                                      shmkit_error_t *error);

// Takes the lock if it becomes free within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit.
// With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_mutex_lock.
shmkit_status_t shmkit_mutex_lock_wait(const shmkit_mutex_t *mutex,
                                       uint64_t timeout_ns,
                                       uint32_t flags,
                                       shmkit_error_t *error);

// Gives the lock back. Fails with NOT_OWNER when this process does not hold it, CLOSED.
shmkit_status_t shmkit_mutex_unlock(const shmkit_mutex_t *mutex, shmkit_error_t *error);

// Says that what the mutex guards is in order again after an owner died: OWNER_DIED is no longer reported. Needs the lock.
//
// Fails with NOT_OWNER, CLOSED.
shmkit_status_t shmkit_mutex_make_consistent(const shmkit_mutex_t *mutex,
                                             shmkit_error_t *error);

// Whether anybody holds the lock at this moment, dead or alive; false for NULL.
bool shmkit_mutex_is_locked(const shmkit_mutex_t *mutex);

// The addresses of the lock word and of the word with this process's owner id, to be used as those of
// shmkit_region_guard_words. Both live as long as the handle. Fails with CLOSED.
shmkit_status_t shmkit_mutex_words(const shmkit_mutex_t *mutex,
                                   uint32_t **word,
                                   const uint32_t **me,
                                   shmkit_error_t *error);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_mutex_name(const shmkit_mutex_t *mutex);

// Whether this handle was closed; true for NULL.
bool shmkit_mutex_is_closed(const shmkit_mutex_t *mutex);

// Ends the use of the mutex through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_mutex_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and it holds the lock.
shmkit_status_t shmkit_mutex_close(const shmkit_mutex_t *mutex,
                                   shmkit_error_t *error);

// Closes the mutex if that was not done, and releases the handle. NULL is allowed.
//
// No other thread may use the handle any more. A lock that this process holds stays held while the process has anything of
// the region open, and is then as if its owner had died.
void shmkit_mutex_free(shmkit_mutex_t *mutex);

// Removes a named object of any kind from a region: its name and its memory are free again.
//
// Fails with NOT_FOUND, BUSY while a living process has it open, READ_ONLY, CLOSED.
shmkit_status_t shmkit_region_remove_object(const shmkit_region_t *region,
                                            const char *name,
                                            shmkit_error_t *error);

// Bytes of a page of this mapping: what protection and advice are rounded to. 0 for NULL.
size_t shmkit_mapping_page_size(const shmkit_mapping_t *mapping);

// Whether a flush has somewhere to go: a shared map of a file on a device. Elsewhere (shared memory objects, memory
// without a file, private maps) a flush succeeds and does nothing. false for NULL.
bool shmkit_mapping_is_persistent(const shmkit_mapping_t *mapping);

// As shmkit_mapping_is_persistent: whether the region is a file on a device.
bool shmkit_region_is_persistent(const shmkit_region_t *region);

// Tells the kernel what a range of the user bytes will be used for (madvise(2)); `advice` is a shmkit_advice_t.
//
// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY, INVALID_ARGUMENT (a part of a page, where that would hurt its neighbours;
// SHMKIT_ADVICE_REMOVE, which would give back the storage that creation reserved), UNSUPPORTED (this kernel, or this
// kind of memory, knows no such advice).
shmkit_status_t shmkit_region_advise(const shmkit_region_t *region,
                                     uint64_t offset,
                                     size_t len,
                                     uint32_t advice,
                                     shmkit_error_t *error);

// Keeps the pages of a range in memory (mlock2(2)), or with SHMKIT_LOCK_ON_FAULT in `flags` each from when it is first
// touched. They are not inherited by children, and one unlock frees what several locks kept.
//
// Fails with OUT_OF_MEMORY (more than the process may lock: the message says how much), OUT_OF_RANGE, CLOSED,
// INVALID_ARGUMENT, UNSUPPORTED.
shmkit_status_t shmkit_mapping_lock_memory(const shmkit_mapping_t *mapping,
                                           uint64_t offset,
                                           size_t len,
                                           uint32_t flags,
                                           shmkit_error_t *error);

// As shmkit_mapping_lock_memory, for user bytes. This is no lock of the region: that is shmkit_region_lock.
shmkit_status_t shmkit_region_lock_memory(const shmkit_region_t *region,
                                          uint64_t offset,
                                          size_t len,
                                          uint32_t flags,
                                          shmkit_error_t *error);

// Lets the pages of a range go again. Fails with OUT_OF_RANGE, CLOSED.
shmkit_status_t shmkit_mapping_unlock_memory(const shmkit_mapping_t *mapping,
                                             uint64_t offset,
                                             size_t len,
                                             shmkit_error_t *error);

// As shmkit_mapping_unlock_memory, for user bytes.
shmkit_status_t shmkit_region_unlock_memory(const shmkit_region_t *region,
                                            uint64_t offset,
                                            size_t len,
                                            shmkit_error_t *error);

// Writes the state of each page of a range, widened to whole pages of the system's size, into `states`: a byte for each,
// with SHMKIT_PAGE_RESIDENT and the others.
//
// `*known`, unless NULL, becomes the set of flags that this kernel tells this process; the others are never set.
// `*needed`, unless NULL, becomes the number of pages. Fails with OUT_OF_RANGE also when `count` is less than that, and
// then nothing was written into `states`; `states` of NULL with a `count` of 0 only asks. Also fails with CLOSED.
shmkit_status_t shmkit_mapping_residency(const shmkit_mapping_t *mapping,
                                         uint64_t offset,
                                         size_t len,
                                         uint8_t *states,
                                         size_t count,
                                         size_t *needed,
                                         uint32_t *known,
                                         shmkit_error_t *error);

// As shmkit_mapping_residency, for user bytes.
shmkit_status_t shmkit_region_residency(const shmkit_region_t *region,
                                        uint64_t offset,
                                        size_t len,
                                        uint8_t *states,
                                        size_t count,
                                        size_t *needed,
                                        uint32_t *known,
                                        shmkit_error_t *error);

// Counts the pages of a range in `cells` equal parts of it: `counts` has room for so many. A mapping of fewer pages than
// `cells` leaves the rest of the counts 0.
//
// `*known`, unless NULL, becomes the set of flags that this kernel tells this process. Fails with OUT_OF_RANGE, CLOSED,
// INVALID_ARGUMENT (no cells).
shmkit_status_t shmkit_mapping_page_counts(const shmkit_mapping_t *mapping,
                                           uint64_t offset,
                                           size_t len,
                                           shmkit_page_counts_t *counts,
                                           size_t cells,
                                           uint32_t *known,
                                           shmkit_error_t *error);

// As shmkit_mapping_page_counts, for user bytes.
shmkit_status_t shmkit_region_page_counts(const shmkit_region_t *region,
                                          uint64_t offset,
                                          size_t len,
                                          shmkit_page_counts_t *counts,
                                          size_t cells,
                                          uint32_t *known,
                                          shmkit_error_t *error);

// Says how much memory the mapping takes. `out` begins with SHMKIT_MEMORY_USE_INIT. Fails with CLOSED.
shmkit_status_t shmkit_mapping_memory_use(const shmkit_mapping_t *mapping,
                                          shmkit_memory_use_t *out,
                                          shmkit_error_t *error);

// Says how much memory the region takes, with its header, slots and arena. Otherwise as shmkit_mapping_memory_use.
shmkit_status_t shmkit_region_memory_use(const shmkit_region_t *region,
                                         shmkit_memory_use_t *out,
                                         shmkit_error_t *error);

// Opens the pool of this name, creating it when it is missing: all its blocks are free then, and zero. With `options` of
// NULL it must exist, and is opened with whatever it was created.
//
// On success `*out` is a handle for shmkit_pool_free, else NULL. It may outlive the region's handle.
// Fails with PARAMETER_MISMATCH (it exists with other numbers), INVALID_ARGUMENT (the alignment), INVALID_LENGTH (no
// blocks, none of a byte, or more than there can be), NOT_FOUND, WRONG_KIND (the name is another object's), INVALID_NAME,
// NO_SPACE (no room for named objects left), CORRUPTED, READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_pool_open(const shmkit_region_t *region,
                                 const char *name,
                                 const shmkit_pool_options_t *options,
                                 shmkit_pool_t **out,
                                 shmkit_error_t *error);

// Takes a block, waiting as long as it takes. It is the process's until it is freed or published, or the process dies. Its
// bytes may be what the last owner left in them.
//
// Fails with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
shmkit_status_t shmkit_pool_allocate(const shmkit_pool_t *pool,
                                     shmkit_pool_block_t *block,
                                     shmkit_error_t *error);

// Takes a block if one is free or belongs to somebody who died, else answers WOULD_BLOCK. Never waits for one. In a
// pool of more than 512 blocks for each attached process, one may be missed for up to 10 ms that somebody frees while another
// is looking at it. Otherwise as shmkit_pool_allocate.
shmkit_status_t shmkit_pool_try_allocate(const shmkit_pool_t *pool,
                                         shmkit_pool_block_t *block,
                                         shmkit_error_t *error);

// Takes a block if there is one within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit. With
// SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_pool_allocate.
shmkit_status_t shmkit_pool_allocate_wait(const shmkit_pool_t *pool,
                                          uint64_t timeout_ns,
                                          uint32_t flags,
                                          shmkit_pool_block_t *block,
                                          shmkit_error_t *error);

// Frees a block of this process. What was written to it before is seen by who allocates it next.
//
// Fails with STALE_HANDLE (the block was freed or passed on, and is in use again), INVALID_BLOCK (it is not this process's).
shmkit_status_t shmkit_pool_free_block(const shmkit_pool_t *pool,
                                       uint64_t handle,
                                       shmkit_error_t *error);

// Gives a block of this process up without freeing it: the first to adopt its handle, in whatever process, has it. Until then it
// belongs to nobody, whoever dies. Fails as shmkit_pool_free_block.
shmkit_status_t shmkit_pool_publish(const shmkit_pool_t *pool,
                                    uint64_t handle,
                                    shmkit_error_t *error);

// Takes the block that was published under this handle; it has a new handle then. Of several who try, one gets it.
//
// Fails with STALE_HANDLE (somebody adopted it before), INVALID_BLOCK (it is not published), CLOSED,
// TOO_MANY_ATTACHMENTS.
shmkit_status_t shmkit_pool_adopt(const shmkit_pool_t *pool,
                                  uint64_t handle,
                                  shmkit_pool_block_t *block,
                                  shmkit_error_t *error);

// Takes back now what the dead have; `*count`, unless NULL, is how many blocks came back. Whoever finds no free block does the
// same. Fails with CLOSED.
shmkit_status_t shmkit_pool_recover(const shmkit_pool_t *pool,
                                    uint32_t *count,
                                    shmkit_error_t *error);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_pool_name(const shmkit_pool_t *pool);

// Whether this handle was closed; true for NULL.
bool shmkit_pool_is_closed(const shmkit_pool_t *pool);

// Ends the use of the pool through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_pool_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and the process has blocks.
shmkit_status_t shmkit_pool_close(const shmkit_pool_t *pool,
                                  shmkit_error_t *error);

// Closes the pool if that was not done, and releases the handle. NULL is allowed.
//
// No other thread may use the handle any more. Blocks that this process has stay its own while it has anything of the region
// open, and come back then.
void shmkit_pool_free(shmkit_pool_t *pool);

// How many blocks there are of each kind. Set `out->size` to sizeof(shmkit_pool_status_t) before. Fails with
// INVALID_ARGUMENT, CLOSED.
shmkit_status_t shmkit_pool_status(const shmkit_pool_t *pool,
                                   shmkit_pool_status_t *out,
                                   shmkit_error_t *error);

// Writes what there is of the first `capacity` processes that have blocks, the dead included. `*count`, unless NULL, becomes the
// number of all; it changes when others allocate. `owners` of NULL with a `capacity` of 0 only asks for that. Fails with
// INVALID_ARGUMENT, CLOSED.
shmkit_status_t shmkit_pool_owners(const shmkit_pool_t *pool,
                                   shmkit_pool_owner_t *owners,
                                   size_t capacity,
                                   size_t *count,
                                   shmkit_error_t *error);

// What the block of this index is, from 0 to one below the number of blocks. Set `out->size` to
// sizeof(shmkit_pool_block_status_t) before. Fails with OUT_OF_RANGE, INVALID_ARGUMENT, CLOSED.
shmkit_status_t shmkit_pool_block_at(const shmkit_pool_t *pool,
                                     uint32_t index,
                                     shmkit_pool_block_status_t *out,
                                     shmkit_error_t *error);

// The words of a pool. Set `out->size` to sizeof(shmkit_pool_words_t) before. They live as long as the handle; docs/format.md
// says what they hold. To allocate: a compare-and-swap of a block's word from free to owned by `*me`, its generation + 1; then
// take away the bit of the first level, which is only a hint, if it is in the way. To free: the reverse; then, unless the
// bit of the first level is set and SHMKIT_WORD_WAITERS in `*signal` is not, call shmkit_pool_settle. All sequentially
// consistent. Fails with INVALID_ARGUMENT, CLOSED.
shmkit_status_t shmkit_pool_words(const shmkit_pool_t *pool,
                                  shmkit_pool_words_t *out,
                                  shmkit_error_t *error);

// Tells others of the block of this index, which was just freed without a call; see shmkit_pool_words. NULL is allowed.
void shmkit_pool_settle(const shmkit_pool_t *pool,
                        uint32_t index);

// Creates a region of `len` zeroed user bytes and opens it.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_region_free, else NULL. It never waits for anybody.
// Fails with ALREADY_EXISTS, INVALID_NAME, INVALID_LENGTH, INVALID_ARGUMENT, NO_SPACE, PERMISSION_DENIED, NOT_FOUND (the
// directory of a path), UNSUPPORTED (a file system without what is needed).
shmkit_status_t shmkit_region_create(const char *name,
                                     uint64_t len,
                                     const shmkit_region_options_t *options,
                                     shmkit_region_t **out,
                                     shmkit_error_t *error);

// Opens a region that exists and attaches this process to it, or with SHMKIT_REGION_READ_ONLY only looks at it.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_region_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_NAME, BAD_MAGIC, VERSION_MISMATCH, WRONG_KIND, TRUNCATED, CORRUPTED,
// TOO_MANY_ATTACHMENTS, UNSUPPORTED.
shmkit_status_t shmkit_region_open(const char *name,
                                   const shmkit_region_options_t *options,
                                   shmkit_region_t **out,
                                   shmkit_error_t *error);

// Opens the region of this name, or creates it. Of several callers at once, one creates and all get its region.
//
// Fails as shmkit_region_create and shmkit_region_open do, and with SIZE_MISMATCH when it exists with another length.
shmkit_status_t shmkit_region_open_or_create(const char *name,
                                             uint64_t len,
                                             const shmkit_region_options_t *options,
                                             shmkit_region_t **out,
                                             shmkit_error_t *error);

// Creates a region of `len` zeroed user bytes that has no name: only its descriptor leads to it (memfd_create(2)). A forked
// child keeps it; for others, shmkit_region_fd gives a descriptor.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_region_free, else NULL.
// Fails with INVALID_LENGTH, INVALID_ARGUMENT (SHMKIT_REGION_PATH), NO_SPACE, OUT_OF_MEMORY, UNSUPPORTED (/proc is not
// mounted).
shmkit_status_t shmkit_region_create_unnamed(uint64_t len,
                                             const shmkit_region_options_t *options,
                                             shmkit_region_t **out,
                                             shmkit_error_t *error);

// Opens the region behind a descriptor, for example an inherited or received one. It stays yours and may be closed
// afterwards; one that was opened for reading gives a region for reading. Otherwise as shmkit_region_open.
shmkit_status_t shmkit_region_from_fd(int fd,
                                      shmkit_region_t **out,
                                      shmkit_error_t *error);

// Stores a new descriptor of the region to `*fd`, for another process to inherit or receive; it is yours to close, and
// close-on-exec. Fails with CLOSED, OUT_OF_MEMORY (no descriptor is free); `*fd` is unchanged then.
shmkit_status_t shmkit_region_fd(const shmkit_region_t *region,
                                 int *fd,
                                 shmkit_error_t *error);

// Removes a region's name. Processes that have it open keep it; its memory goes with the last of them.
//
// Of the options only SHMKIT_REGION_PATH matters. Fails with NOT_FOUND, INVALID_NAME, PERMISSION_DENIED.
shmkit_status_t shmkit_region_unlink(const char *name,
                                     const shmkit_region_options_t *options,
                                     shmkit_error_t *error);

// Ends the use of a region through this handle; the last handle of the process detaches it. Repeating it does nothing.
//
// The handle stays: its calls answer CLOSED until shmkit_region_free takes it. Pointers into the region lead to zeros
// from now on. Fails, and changes nothing, with BUSY while views of this handle live, or while this process holds the
// guard and the handle is its last.
shmkit_status_t shmkit_region_close(const shmkit_region_t *region,
                                    shmkit_error_t *error);

// Closes the region if that was not done, and releases the handle. NULL is allowed.
//
// No other thread may use the handle any more. When a view lives or the guard is held, only the handle goes: the memory
// stays mapped and the guard held until the process ends.
void shmkit_region_free(shmkit_region_t *region);

// Number of user bytes; 0 for NULL.
size_t shmkit_region_len(const shmkit_region_t *region);

// The name or path the region was opened by; it lives as long as the handle. "" for NULL.
const char *shmkit_region_name(const shmkit_region_t *region);

// Writes the 16 bytes that were drawn at random when the region was created into `id`: another region that later bears
// the same name has others.
shmkit_status_t shmkit_region_id(const shmkit_region_t *region,
                                 uint8_t *id,
                                 shmkit_error_t *error);

// Whether it was opened for reading only; false for NULL.
bool shmkit_region_is_read_only(const shmkit_region_t *region);

// Whether this handle was closed; true for NULL.
bool shmkit_region_is_closed(const shmkit_region_t *region);

// Copies `len` user bytes at `offset` into `into`, which must not lie in the region. Without the guard, a concurrent
// writer may tear the copy.
//
// Fails with OUT_OF_RANGE, CLOSED; nothing was copied then.
shmkit_status_t shmkit_region_read_at(const shmkit_region_t *region,
                                      uint64_t offset,
                                      void *into,
                                      size_t len,
                                      shmkit_error_t *error);

// Copies `len` bytes from `from`, which must not lie in the region, to the user bytes at `offset`. Without the guard, a
// concurrent reader may see a part of them.
//
// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY; nothing was copied then.
shmkit_status_t shmkit_region_write_at(const shmkit_region_t *region,
                                       uint64_t offset,
                                       const void *from,
                                       size_t len,
                                       shmkit_error_t *error);

// Takes a view: `*data` becomes the address of the `len` user bytes at `offset`, and the handle cannot be closed until
// shmkit_region_unpin. No bytes are copied; other processes may change them at any time.
//
// Fails with OUT_OF_RANGE, CLOSED, READ_ONLY (`writable` of a read-only region); `*data` is NULL then.
shmkit_status_t shmkit_region_pin(const shmkit_region_t *region,
                                  uint64_t offset,
                                  size_t len,
                                  bool writable,
                                  void **data,
                                  shmkit_error_t *error);

// Ends a view that shmkit_region_pin began, with the same `writable`. Fails with INVALID_ARGUMENT when there is none.
shmkit_status_t shmkit_region_unpin(const shmkit_region_t *region,
                                    bool writable,
                                    shmkit_error_t *error);

// The address of the first user byte; NULL for NULL. It is not counted as a view: after a close it leads to zeros, after
// shmkit_region_free nowhere. Storing through it into a read-only region is a fault.
void *shmkit_region_data(const shmkit_region_t *region);

// Carries user bytes of a region that is a file to the disk (msync(2)), and waits for it unless SHMKIT_FLUSH_ASYNC is
// given. The range is widened to whole pages. For a shared memory object it does nothing.
//
// Fails with OUT_OF_RANGE, CLOSED, IO (what the device reported), BUSY (SHMKIT_FLUSH_INVALIDATE of locked pages).
shmkit_status_t shmkit_region_flush(const shmkit_region_t *region,
                                    uint64_t offset,
                                    size_t len,
                                    uint32_t flags,
                                    shmkit_error_t *error);

// Makes the mapping `len` bytes long, in place: it never moves, and views keep their addresses and lengths. The `reserve` of
// the options says how long it can become. A file becomes longer if the mapping was made with SHMKIT_MAP_CREATE or
// SHMKIT_MAP_GROW, and never shorter.
//
// Fails with INVALID_LENGTH (0), LIMIT_EXCEEDED (more than was reserved), OUT_OF_RANGE (the file ends before it), NO_SPACE, BUSY
// (shrinking, while a view lives), CLOSED, and as shmkit_mapping_check does.
shmkit_status_t shmkit_mapping_resize(const shmkit_mapping_t *mapping,
                                      uint64_t len,
                                      shmkit_error_t *error);

// The most bytes that shmkit_mapping_resize can make of it; 0 for NULL.
size_t shmkit_mapping_capacity(const shmkit_mapping_t *mapping);

// Gives the region `len` user bytes, for all processes: they see it at their next use of shmkit_region_len or of the bytes.
// New bytes are zeros, backed by storage. Nothing moves: views keep their addresses and lengths, and bytes that were taken
// away read as zeros. The guard is not taken.
//
// Fails with INVALID_LENGTH (0), LIMIT_EXCEEDED (more than the capacity), NO_SPACE, BUSY (shrinking, while a view of this
// handle lives), TIMEOUT (another process resizes for a minute), READ_ONLY, CLOSED.
shmkit_status_t shmkit_region_resize(const shmkit_region_t *region,
                                     uint64_t len,
                                     shmkit_error_t *error);

// The most user bytes that the region can have: `capacity` of the options that it was created with. 0 for NULL.
size_t shmkit_region_capacity(const shmkit_region_t *region);

// The word with the number of user bytes, for programs that keep that number themselves: while it has not changed (an atomic
// load), neither has shmkit_region_len. The number in it is not to be trusted. NULL for NULL. After a close it is 0, and after
// shmkit_region_free it is no more.
const uint64_t *shmkit_region_len_word(const shmkit_region_t *region);

// Opens the reader–writer lock of this name, creating it when it is missing. It takes 64 bytes of the room for named
// objects for each process that the region allows.
//
// On success `*out` is a handle for shmkit_rwlock_free, else NULL. It may outlive the region's handle.
// Fails with WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
// READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_rwlock_open(const shmkit_region_t *region,
                                   const char *name,
                                   shmkit_rwlock_t **out,
                                   shmkit_error_t *error);

// Takes the lock for reading, waiting as long as it takes. The process owns it: any of its threads may give it back.
//
// Readers in different processes do not slow each other; a reader that was killed is forgotten. New readers wait while a
// writer waits, so a process that reads twice can block for ever if a writer comes in between.
// OWNER_DIED means that the lock IS HELD, and that a *writer* died inside before: what it guards may be half-written. It is
// told until a writer calls shmkit_rwlock_make_consistent.
// Fails, without the lock, with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
shmkit_status_t shmkit_rwlock_read_lock(const shmkit_rwlock_t *rwlock,
                                        shmkit_error_t *error);

// Takes the lock for reading if no writer who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as
// shmkit_rwlock_read_lock.
shmkit_status_t shmkit_rwlock_try_read_lock(const shmkit_rwlock_t *rwlock,
                                            shmkit_error_t *error);

// Takes the lock for reading if that is possible within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no
// limit. With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_rwlock_read_lock.
shmkit_status_t shmkit_rwlock_read_lock_wait(const shmkit_rwlock_t *rwlock,
                                             uint64_t timeout_ns,
                                             uint32_t flags,
                                             shmkit_error_t *error);

// Gives one reading hold of this process back. Fails with NOT_OWNER when it has none, CLOSED.
shmkit_status_t shmkit_rwlock_read_unlock(const shmkit_rwlock_t *rwlock, shmkit_error_t *error);

// Takes the lock for writing, waiting as long as it takes. The process owns it: any of its threads may give it back.
//
// OWNER_DIED means that the lock IS HELD, and that a writer died inside before: what it guards may be half-written. Repair
// it and call shmkit_rwlock_make_consistent, or give the lock back and the next one is told the same.
// Fails, without the lock, with CLOSED, TOO_MANY_ATTACHMENTS (a forked child that finds no place).
shmkit_status_t shmkit_rwlock_write_lock(const shmkit_rwlock_t *rwlock,
                                         shmkit_error_t *error);

// Takes the lock for writing if nobody who lives holds it, else answers WOULD_BLOCK. Never sleeps. Otherwise as
// shmkit_rwlock_write_lock.
shmkit_status_t shmkit_rwlock_try_write_lock(const shmkit_rwlock_t *rwlock,
                                             shmkit_error_t *error);

// Takes the lock for writing if that is possible within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no
// limit. With SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_rwlock_write_lock.
shmkit_status_t shmkit_rwlock_write_lock_wait(const shmkit_rwlock_t *rwlock,
                                              uint64_t timeout_ns,
                                              uint32_t flags,
                                              shmkit_error_t *error);

// Gives the writing hold back. Fails with NOT_OWNER when this process does not have it, CLOSED.
shmkit_status_t shmkit_rwlock_write_unlock(const shmkit_rwlock_t *rwlock, shmkit_error_t *error);

// Says that what the lock guards is in order again after a writer died: OWNER_DIED is no longer reported. Needs the lock for
// writing.
//
// Fails with NOT_OWNER, CLOSED.
shmkit_status_t shmkit_rwlock_make_consistent(const shmkit_rwlock_t *rwlock,
                                              shmkit_error_t *error);

// Whether a writer has the lock at this moment, dead or alive; false for NULL.
bool shmkit_rwlock_is_write_locked(const shmkit_rwlock_t *rwlock);

// Number of reading holds at this moment, of all processes; 0 for NULL.
uint32_t shmkit_rwlock_readers(const shmkit_rwlock_t *rwlock);

// The addresses of the writer's word, of the first mark and of the word with this process's owner id, for languages that
// lock without a call. All live as long as the handle. Everything here is sequentially consistent.
//
// A process's mark is SHMKIT_MARK_STRIDE bytes times its slot number after the first; the slot number is in its owner id,
// plus one, from bit SHMKIT_OWNER_SLOT_SHIFT on. A mark whose upper half is not the owner id's generation counts as 0.
//
// - Read lock: count one more in the own mark, by a compare-and-swap; then look at the writer's word. Without owner bits in
//   it, the lock is held, after an owner's death if SHMKIT_WORD_DIRTY is set; else shmkit_rwlock_read_unlock takes the mark
//   back, and shmkit_rwlock_read_lock_wait does the work.
// - Read unlock: count one less; then look at the writer's word. If none is left in the mark and SHMKIT_WORD_DRAIN is set in
//   the word, call shmkit_rwlock_wake_writer.
// - Write lock: by a call. Write unlock: a compare-and-swap of the writer's word from the owner id to 0, or by a call.
//
// An owner id of 0 is *not attached*: by a call. After a lock, ask whether the handle was closed meanwhile, and unlock and
// fail if so. Fails with CLOSED.
shmkit_status_t shmkit_rwlock_words(const shmkit_rwlock_t *rwlock,
                                    uint32_t **writer,
                                    uint64_t **marks,
                                    const uint32_t **me,
                                    shmkit_error_t *error);

// Makes a writer that waits for the readers look again: see shmkit_rwlock_words. NULL is allowed.
void shmkit_rwlock_wake_writer(const shmkit_rwlock_t *rwlock);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_rwlock_name(const shmkit_rwlock_t *rwlock);

// Whether this handle was closed; true for NULL.
bool shmkit_rwlock_is_closed(const shmkit_rwlock_t *rwlock);

// Ends the use of the lock through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_rwlock_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and it holds the lock.
shmkit_status_t shmkit_rwlock_close(const shmkit_rwlock_t *rwlock,
                                    shmkit_error_t *error);

// Closes the lock if that was not done, and releases the handle. NULL is allowed.
//
// No other thread may use the handle any more. A hold that this process has stays while the process has anything of the
// region open, and is then as if its owner had died.
void shmkit_rwlock_free(shmkit_rwlock_t *rwlock);

// Creates an object of `len` zeros, all of them backed by storage, and opens it.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_segment_free, else NULL.
// Fails with ALREADY_EXISTS, INVALID_NAME, INVALID_LENGTH, INVALID_ARGUMENT, NO_SPACE, PERMISSION_DENIED, NOT_FOUND (the
// directory of a path).
shmkit_status_t shmkit_segment_create(const char *name,
                                      uint64_t len,
                                      const shmkit_segment_options_t *options,
                                      shmkit_segment_t **out,
                                      shmkit_error_t *error);

// Opens an object that exists, for reading and writing unless SHMKIT_SEGMENT_READ_ONLY is asked.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_segment_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_NAME, WRONG_KIND (no regular file).
shmkit_status_t shmkit_segment_open(const char *name,
                                    const shmkit_segment_options_t *options,
                                    shmkit_segment_t **out,
                                    shmkit_error_t *error);

// Makes memory of `len` zeros that only its descriptor names (memfd_create(2)), and that can be sealed; `label` shows in
// /proc/PID/maps.
//
// On success `*out` is a handle for shmkit_segment_free, else NULL.
// Fails with INVALID_LENGTH, INVALID_NAME (more than 249 bytes), NO_SPACE, OUT_OF_MEMORY.
shmkit_status_t shmkit_segment_memfd(const char *label,
                                     uint64_t len,
                                     shmkit_segment_t **out,
                                     shmkit_error_t *error);

// Opens the object behind a descriptor, for example an inherited one. The descriptor stays yours and may be closed
// afterwards; whether the segment is writable is what it says.
//
// On success `*out` is a handle for shmkit_segment_free, else NULL. Fails with WRONG_KIND (neither file nor memory), IO (no
// such descriptor), INVALID_ARGUMENT (a negative one).
shmkit_status_t shmkit_segment_from_fd(int fd,
                                       shmkit_segment_t **out,
                                       shmkit_error_t *error);

// Removes a name. Processes that have the object open keep it; its memory goes with the last of them.
//
// Of the options only SHMKIT_SEGMENT_PATH matters. Fails with NOT_FOUND, INVALID_NAME, PERMISSION_DENIED.
shmkit_status_t shmkit_segment_unlink(const char *name,
                                      const shmkit_segment_options_t *options,
                                      shmkit_error_t *error);

// Closes the segment's descriptor and releases the handle; mappings of it stay. NULL is allowed.
void shmkit_segment_free(shmkit_segment_t *segment);

// Maps the segment; `options` may be NULL. On success `*out` is a handle for shmkit_mapping_free, else NULL.
//
// Fails with READ_ONLY (writing is asked, and the segment is open for reading or sealed), INVALID_LENGTH, OUT_OF_RANGE,
// NO_SPACE, INVALID_ARGUMENT.
shmkit_status_t shmkit_segment_map(const shmkit_segment_t *segment,
                                   const shmkit_map_options_t *options,
                                   shmkit_mapping_t **out,
                                   shmkit_error_t *error);

// Stores the length in bytes, now, to `*len`. Fails with IO.
shmkit_status_t shmkit_segment_len(const shmkit_segment_t *segment,
                                   uint64_t *len,
                                   shmkit_error_t *error);

// Whether the segment is open for writing; false for NULL.
bool shmkit_segment_is_writable(const shmkit_segment_t *segment);

// The segment's descriptor, which stays the segment's; -1 for NULL. It is close-on-exec: for a program that is started,
// duplicate it (dup(2) gives one that is not).
int shmkit_segment_fileno(const shmkit_segment_t *segment);

// Adds seals: SHMKIT_SEAL_SHRINK and the others, which nobody can break.
//
// Fails with BUSY (SHMKIT_SEAL_WRITE while somebody has it mapped for writing), PERMISSION_DENIED (sealed against further
// seals, or not open for writing), UNSUPPORTED (no memfd), INVALID_ARGUMENT (unknown seals).
shmkit_status_t shmkit_segment_seal(const shmkit_segment_t *segment,
                                    uint32_t seals,
                                    shmkit_error_t *error);

// Stores the seals that are set to `*seals`. Fails with UNSUPPORTED (no memfd).
shmkit_status_t shmkit_segment_seals(const shmkit_segment_t *segment,
                                     uint32_t *seals,
                                     shmkit_error_t *error);

// Sends the segment over a connected Unix socket: one byte, and with it the descriptor (SCM_RIGHTS). It stays open here.
//
// Fails with TIMEOUT (the socket stayed full), INTERRUPTED (with SHMKIT_WAIT_INTERRUPTIBLE), IO (the other side is gone).
shmkit_status_t shmkit_segment_send_wait(const shmkit_segment_t *segment,
                                         int socket,
                                         uint64_t timeout_ns,
                                         uint32_t flags,
                                         shmkit_error_t *error);

// Receives a segment over a connected Unix socket: one byte, and the descriptor that comes with it. Whoever sent it may
// still write to it and, unless it has SHMKIT_SEAL_SHRINK, cut it short.
//
// On success `*out` is a handle for shmkit_segment_free, else NULL.
// Fails with TIMEOUT, INTERRUPTED (with SHMKIT_WAIT_INTERRUPTIBLE), WRONG_KIND (no descriptor, or one of neither a file nor
// memory), IO (the other side is gone).
shmkit_status_t shmkit_segment_receive_wait(int socket,
                                            uint64_t timeout_ns,
                                            uint32_t flags,
                                            shmkit_segment_t **out,
                                            shmkit_error_t *error);

// Opens the semaphore of this name, creating it when it is missing. `options` may be NULL.
//
// On success `*out` is a handle for shmkit_semaphore_free, else NULL. It may outlive the region's handle.
// Fails with PARAMETER_MISMATCH (it exists with other numbers), INVALID_ARGUMENT (more than the maximum; a tracked one
// without permits, or with fewer than its maximum), WRONG_KIND (the name is another object's, or a semaphore of the other
// kind), INVALID_NAME, NO_SPACE (no room for named objects left), READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_semaphore_open(const shmkit_region_t *region,
                                      const char *name,
                                      const shmkit_semaphore_options_t *options,
                                      shmkit_semaphore_t **out,
                                      shmkit_error_t *error);

// Takes a permit, waiting as long as it takes. One of a tracked semaphore is the process's until it gives it back or dies.
//
// Fails with CLOSED, TOO_MANY_ATTACHMENTS (tracked: a forked child that finds no place).
shmkit_status_t shmkit_semaphore_acquire(const shmkit_semaphore_t *semaphore,
                                         shmkit_error_t *error);

// Takes a permit if there is one, else answers WOULD_BLOCK. Never sleeps for one. Otherwise as shmkit_semaphore_acquire.
shmkit_status_t shmkit_semaphore_try_acquire(const shmkit_semaphore_t *semaphore,
                                             shmkit_error_t *error);

// Takes a permit if there is one within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit. With
// SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_semaphore_acquire.
shmkit_status_t shmkit_semaphore_acquire_wait(const shmkit_semaphore_t *semaphore,
                                              uint64_t timeout_ns,
                                              uint32_t flags,
                                              shmkit_error_t *error);

// Gives `count` permits. Fails with LIMIT_EXCEEDED (signalling: there would be more than the maximum), NOT_OWNER (tracked:
// this process holds fewer), CLOSED.
shmkit_status_t shmkit_semaphore_release(const shmkit_semaphore_t *semaphore,
                                         uint32_t count,
                                         shmkit_error_t *error);

// Permits available at this moment; 0 for NULL. Those of the dead count when the next one waits for them.
uint32_t shmkit_semaphore_available(const shmkit_semaphore_t *semaphore);

// The address of the word of a signalling semaphore, for languages that use it without a call. A permit is
// SHMKIT_SEMAPHORE_PERMIT: to acquire, a compare-and-swap that takes one away if there is one; to release, one that adds
// one if SHMKIT_WORD_WAITERS is not set and the maximum allows it. All else by a call. It lives as long as the handle.
//
// Fails with UNSUPPORTED (a tracked semaphore), CLOSED.
shmkit_status_t shmkit_semaphore_word(const shmkit_semaphore_t *semaphore,
                                      uint32_t **word,
                                      shmkit_error_t *error);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_semaphore_name(const shmkit_semaphore_t *semaphore);

// Whether this handle was closed; true for NULL.
bool shmkit_semaphore_is_closed(const shmkit_semaphore_t *semaphore);

// Ends the use of the semaphore through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED
// until shmkit_semaphore_free takes it. Fails, and changes nothing, with BUSY when it is the process's last and the process
// holds permits of a tracked semaphore.
shmkit_status_t shmkit_semaphore_close(const shmkit_semaphore_t *semaphore,
                                       shmkit_error_t *error);

// Closes the semaphore if that was not done, and releases the handle. NULL is allowed.
//
// No other thread may use the handle any more. Permits of a tracked semaphore that this process holds stay its own while it
// has anything of the region open, and come back then.
void shmkit_semaphore_free(shmkit_semaphore_t *semaphore);

// Writes what goes on in a region into `json`: who is attached, who holds and waits for what since when, how many owners
// died. One line of JSON in UTF-8 with a zero byte at its end; docs/cli.md describes its fields.
//
// `*needed`, unless NULL, becomes the number of bytes that it takes with its zero byte. `json` of NULL with a `size` of 0
// only asks for that number. It changes when others attach or create objects: leave some room, and ask again when
// OUT_OF_RANGE says that `size` was too small; then nothing but an empty text was written.
//
// Looking changes nothing, works on a read-only handle, and waits for nobody. Any thread may call it.
// Fails with OUT_OF_RANGE, CLOSED, CORRUPTED.
shmkit_status_t shmkit_region_status(const shmkit_region_t *region,
                                     char *json,
                                     size_t size,
                                     size_t *needed,
                                     shmkit_error_t *error);

// Writes the names of all regions that are shared memory objects into `names`, in order, each with a zero byte at its
// end; an empty name ends the list. Those of other users too: opening them may be refused.
//
// `*needed`, `size` and OUT_OF_RANGE are as for shmkit_region_status. Fails with OUT_OF_RANGE, PERMISSION_DENIED, IO.
shmkit_status_t shmkit_region_list(char *names,
                                   size_t size,
                                   size_t *needed,
                                   shmkit_error_t *error);

// Creates a segment of `len` zeros (shmget(2)); SHMKIT_SYSV_PRIVATE as the key gives it none. `mode` 0 is 0600.
//
// On success `*out` is a handle for shmkit_sysv_segment_free, else NULL.
// Fails with ALREADY_EXISTS, INVALID_LENGTH, INVALID_ARGUMENT (the mode), NO_SPACE (a limit of the system), OUT_OF_MEMORY.
shmkit_status_t shmkit_sysv_segment_create(int32_t key,
                                           size_t len,
                                           uint32_t mode,
                                           shmkit_sysv_segment_t **out,
                                           shmkit_error_t *error);

// Opens the segment of this key, whoever made it.
//
// On success `*out` is a handle for shmkit_sysv_segment_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (SHMKIT_SYSV_PRIVATE).
shmkit_status_t shmkit_sysv_segment_open(int32_t key,
                                         shmkit_sysv_segment_t **out,
                                         shmkit_error_t *error);

// Opens the segment of this key, or creates it. Fails as shmkit_sysv_segment_open and shmkit_sysv_segment_create do, and with
// SIZE_MISMATCH when it exists with another length.
shmkit_status_t shmkit_sysv_segment_open_or_create(int32_t key,
                                                   size_t len,
                                                   uint32_t mode,
                                                   shmkit_sysv_segment_t **out,
                                                   shmkit_error_t *error);

// Opens a segment by the id that another process has of it. Fails with NOT_FOUND, PERMISSION_DENIED.
shmkit_status_t shmkit_sysv_segment_from_id(int32_t id,
                                            shmkit_sysv_segment_t **out,
                                            shmkit_error_t *error);

// Releases the handle; segment and mappings stay. NULL is allowed.
void shmkit_sysv_segment_free(shmkit_sysv_segment_t *segment);

// The kernel's number for it, which another process can open; -1 for NULL.
int32_t shmkit_sysv_segment_id(const shmkit_sysv_segment_t *segment);

// Its key; SHMKIT_SYSV_PRIVATE for none, and for NULL.
int32_t shmkit_sysv_segment_key(const shmkit_sysv_segment_t *segment);

// Number of bytes; 0 for NULL.
size_t shmkit_sysv_segment_len(const shmkit_sysv_segment_t *segment);

// Attaches the segment (shmat(2)), whole and shared; shmkit_mapping_close detaches it. `options` may be NULL: for reading.
//
// On success `*out` is a handle for shmkit_mapping_free, else NULL.
// Fails with NOT_FOUND (it was removed), PERMISSION_DENIED, OUT_OF_RANGE, INVALID_ARGUMENT (an offset, another length, and
// whatever else such a segment cannot have).
shmkit_status_t shmkit_sysv_segment_map(const shmkit_sysv_segment_t *segment,
                                        const shmkit_map_options_t *options,
                                        shmkit_mapping_t **out,
                                        shmkit_error_t *error);

// Fills `*status`, whose `size` is set. Fails with NOT_FOUND (it is gone), PERMISSION_DENIED, INVALID_ARGUMENT (the size).
shmkit_status_t shmkit_sysv_segment_status(const shmkit_sysv_segment_t *segment,
                                           shmkit_sysv_segment_status_t *status,
                                           shmkit_error_t *error);

// Removes it (IPC_RMID): its key is free at once, its memory goes with the last mapping.
//
// Fails with NOT_FOUND (it is gone), PERMISSION_DENIED (neither owner nor creator).
shmkit_status_t shmkit_sysv_segment_remove(const shmkit_sysv_segment_t *segment,
                                           shmkit_error_t *error);

// Creates a set whose semaphores have `initial` permits (semget(2)); SHMKIT_SYSV_PRIVATE as the key gives it none.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_sysv_semaphore_free, else NULL.
// Fails with ALREADY_EXISTS, INVALID_ARGUMENT (more than 32767 permits, an index beyond the count, the mode), NO_SPACE (a
// limit of the system).
shmkit_status_t shmkit_sysv_semaphore_create(int32_t key,
                                             uint32_t initial,
                                             const shmkit_sysv_semaphore_options_t *options,
                                             shmkit_sysv_semaphore_t **out,
                                             shmkit_error_t *error);

// Opens the semaphore of this key, whoever made it. Of the options, flags and index matter.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_sysv_semaphore_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, OUT_OF_RANGE (the set has no semaphore of this index), INVALID_ARGUMENT
// (SHMKIT_SYSV_PRIVATE).
shmkit_status_t shmkit_sysv_semaphore_open(int32_t key,
                                           const shmkit_sysv_semaphore_options_t *options,
                                           shmkit_sysv_semaphore_t **out,
                                           shmkit_error_t *error);

// Opens the semaphore of this key, or creates it with `initial` permits. One that another process is just creating is
// opened when it has its permits.
//
// Fails with TIMEOUT when it never had permits although some are expected: its creator died, or gave it its value in another
// way and nobody used it yet (shmkit_sysv_semaphore_open takes it as it is). Otherwise as shmkit_sysv_semaphore_open and
// shmkit_sysv_semaphore_create.
shmkit_status_t shmkit_sysv_semaphore_open_or_create(int32_t key,
                                                     uint32_t initial,
                                                     const shmkit_sysv_semaphore_options_t *options,
                                                     shmkit_sysv_semaphore_t **out,
                                                     shmkit_error_t *error);

// Opens a semaphore by the id that another process has of its set. Fails as shmkit_sysv_semaphore_open does.
shmkit_status_t shmkit_sysv_semaphore_from_id(int32_t id,
                                              const shmkit_sysv_semaphore_options_t *options,
                                              shmkit_sysv_semaphore_t **out,
                                              shmkit_error_t *error);

// Releases the handle; the semaphore stays. NULL is allowed.
void shmkit_sysv_semaphore_free(shmkit_sysv_semaphore_t *semaphore);

// The kernel's number for the set, which another process can open; -1 for NULL.
int32_t shmkit_sysv_semaphore_id(const shmkit_sysv_semaphore_t *semaphore);

// The key of the set; SHMKIT_SYSV_PRIVATE for none, and for NULL.
int32_t shmkit_sysv_semaphore_key(const shmkit_sysv_semaphore_t *semaphore);

// Takes so many permits at once (P), waiting as long as it takes.
//
// Fails with NOT_FOUND (the set was removed, also meanwhile), INVALID_ARGUMENT (0, or more than 32767), LIMIT_EXCEEDED (more
// than the kernel can undo).
shmkit_status_t shmkit_sysv_semaphore_acquire(const shmkit_sysv_semaphore_t *semaphore,
                                              uint32_t permits,
                                              shmkit_error_t *error);

// Takes so many permits if they are there, else answers WOULD_BLOCK. Otherwise as shmkit_sysv_semaphore_acquire.
shmkit_status_t shmkit_sysv_semaphore_try_acquire(const shmkit_sysv_semaphore_t *semaphore,
                                                  uint32_t permits,
                                                  shmkit_error_t *error);

// Takes so many permits within `timeout_ns` nanoseconds, else answers TIMEOUT; SHMKIT_FOREVER is no limit. With
// SHMKIT_WAIT_INTERRUPTIBLE it can answer INTERRUPTED. Otherwise as shmkit_sysv_semaphore_acquire.
shmkit_status_t shmkit_sysv_semaphore_acquire_wait(const shmkit_sysv_semaphore_t *semaphore,
                                                   uint32_t permits,
                                                   uint64_t timeout_ns,
                                                   uint32_t flags,
                                                   shmkit_error_t *error);

// Gives so many permits (V); anybody may.
//
// Fails with LIMIT_EXCEEDED (there would be more than 32767), NOT_FOUND, INVALID_ARGUMENT (0, or more than 32767).
shmkit_status_t shmkit_sysv_semaphore_release(const shmkit_sysv_semaphore_t *semaphore,
                                              uint32_t permits,
                                              shmkit_error_t *error);

// Waits until no permit is there, at most `timeout_ns` nanoseconds. Fails as shmkit_sysv_semaphore_acquire_wait does.
shmkit_status_t shmkit_sysv_semaphore_zero_wait(const shmkit_sysv_semaphore_t *semaphore,
                                                uint64_t timeout_ns,
                                                uint32_t flags,
                                                shmkit_error_t *error);

// Sets the number of permits, whatever it was; what others would undo at their end is forgotten.
//
// Fails with INVALID_ARGUMENT (more than 32767), NOT_FOUND, PERMISSION_DENIED.
shmkit_status_t shmkit_sysv_semaphore_set_value(const shmkit_sysv_semaphore_t *semaphore,
                                                uint32_t value,
                                                shmkit_error_t *error);

// Fills `*status`, whose `size` is set. Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (the size).
shmkit_status_t shmkit_sysv_semaphore_status(const shmkit_sysv_semaphore_t *semaphore,
                                             shmkit_sysv_semaphore_status_t *status,
                                             shmkit_error_t *error);

// Removes the whole set; who waits in it hears NOT_FOUND.
//
// Fails with NOT_FOUND (it is gone), PERMISSION_DENIED (neither owner nor creator).
shmkit_status_t shmkit_sysv_semaphore_remove(const shmkit_sysv_semaphore_t *semaphore,
                                             shmkit_error_t *error);

// Clears the soft-dirty bits of all memory of this process: SHMKIT_PAGE_SOFT_DIRTY then tells what was written since.
//
// Fails with UNSUPPORTED where the kernel keeps no such bits (it was built without CONFIG_MEM_SOFT_DIRTY).
shmkit_status_t shmkit_clear_soft_dirty(shmkit_error_t *error);

// Says how many page faults there were so far, and how much processor time went where (getrusage(2)): of this thread, or
// of the whole process. Two looks around a piece of work tell what it cost. `out` begins with SHMKIT_USAGE_INIT.
shmkit_status_t shmkit_usage(bool whole_process,
                             shmkit_usage_t *out,
                             shmkit_error_t *error);

// Opens the value of this name, creating it when it is missing, with the `value_size` bytes at `initial`, or zeros if that is
// NULL.
//
// `format` says what it is made of, as Python's struct module writes it: "d" (or "f64") for a double, "3I" for three uint32_t, "x" for a
// byte of padding; members are aligned as C does, or follow each other after a "=". Who opens it in any language must say the
// same. NULL takes it as it is; with a `value_size` of 0 too, it must exist.
//
// On success `*out` is a handle for shmkit_value_free, else NULL. It may outlive the region's handle.
// Fails with PARAMETER_MISMATCH (it is made of something else), INVALID_ARGUMENT (the format makes no sense, or not of so many
// bytes), NOT_FOUND, WRONG_KIND (the name is another object's), INVALID_NAME, NO_SPACE (no room for named objects left),
// READ_ONLY, CLOSED (the region).
shmkit_status_t shmkit_value_open(const shmkit_region_t *region,
                                  const char *name,
                                  size_t value_size,
                                  const char *format,
                                  const void *initial,
                                  shmkit_value_t **out,
                                  shmkit_error_t *error);

// The words of a value. Set `out->size` to sizeof(shmkit_value_words_t) before. They live as long as the handle.
//
// A value of one word is the first of them: load and store it whole, with zeros behind the value's bytes. Of a longer one,
// read the version, then the words of the copy `version % 2`, then the version again: if it is the same, that was the value.
// All sequentially consistent. To write a longer one takes a call. Fails with INVALID_ARGUMENT, CLOSED.
shmkit_status_t shmkit_value_words(const shmkit_value_t *value,
                                   shmkit_value_words_t *out,
                                   shmkit_error_t *error);

// Copies the value out: all of it, as it was at one moment. `len` is its size. `*version`, unless NULL, is what
// shmkit_value_store_if knows it by. Waits for nobody. Fails with INVALID_LENGTH, CLOSED; then `into` may hold anything.
shmkit_status_t shmkit_value_load(const shmkit_value_t *value,
                                  void *into,
                                  size_t len,
                                  uint64_t *version,
                                  shmkit_error_t *error);

// Replaces the value. A process that is killed in here leaves the old value or the new one. Fails with INVALID_LENGTH, CLOSED,
// TIMEOUT (another writer has been stopped in the middle for 10 s).
shmkit_status_t shmkit_value_store(const shmkit_value_t *value,
                                   const void *from,
                                   size_t len,
                                   shmkit_error_t *error);

// Replaces the value if it is still the one that shmkit_value_load gave `version` for, else answers WOULD_BLOCK: load it again
// and try again. Otherwise as shmkit_value_store.
shmkit_status_t shmkit_value_store_if(const shmkit_value_t *value,
                                      uint64_t version,
                                      const void *from,
                                      size_t len,
                                      shmkit_error_t *error);

// Bytes of the value; 0 for NULL.
size_t shmkit_value_size(const shmkit_value_t *value);

// What it is made of, in a canonical form: without a prefix, padding spelt out but for that at the end. It lives as long as the
// handle. "" for NULL, and when nobody said.
const char *shmkit_value_format(const shmkit_value_t *value);

// The name in its region; it lives as long as the handle. "" for NULL.
const char *shmkit_value_name(const shmkit_value_t *value);

// Whether this handle was closed; true for NULL.
bool shmkit_value_is_closed(const shmkit_value_t *value);

// Ends the use of the value through this handle; repeating it does nothing. The handle stays: its calls answer CLOSED until
// shmkit_value_free takes it.
shmkit_status_t shmkit_value_close(const shmkit_value_t *value,
                                   shmkit_error_t *error);

// Closes the value if that was not done, and releases the handle. NULL is allowed. No other thread may use it any more.
void shmkit_value_free(shmkit_value_t *value);

// For languages that wait on the words of an object themselves: looks at a word until it is another than `value`, for as
// long as that has paid off before, at most 50 µs; then it is time to sleep. True when the word changed. NULL does not.
bool shmkit_word_changes_soon(const uint32_t *word,
                              uint32_t value);

// Opens a file that is larger than one wants mapped: reads and writes go through a bounded set of large windows, and the
// least recently used gives its place when another is needed. The length is that of the file now.
//
// `options` may be NULL. On success `*out` is a handle for shmkit_window_cache_free, else NULL.
// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_LENGTH (an empty file), WRONG_KIND, INVALID_ARGUMENT, OUT_OF_MEMORY.
shmkit_status_t shmkit_window_cache_open(const char *path,
                                         const shmkit_window_options_t *options,
                                         shmkit_window_cache_t **out,
                                         shmkit_error_t *error);

// As shmkit_window_cache_open, for a file that is open as descriptor `fd`, which stays yours and may be closed afterwards.
shmkit_status_t shmkit_window_cache_from_fd(int fd,
                                            const shmkit_window_options_t *options,
                                            shmkit_window_cache_t **out,
                                            shmkit_error_t *error);

// Lets the file go. Repeating it does nothing. The handle stays until shmkit_window_cache_free takes it. Fails, and the
// cache goes on, with BUSY while a view lives or another thread copies.
shmkit_status_t shmkit_window_cache_close(const shmkit_window_cache_t *cache,
                                          shmkit_error_t *error);

// Releases the handle and unmaps the windows. NULL is allowed. No other thread may use the handle any more: end all views
// first.
void shmkit_window_cache_free(shmkit_window_cache_t *cache);

// Number of bytes of the file, when it was opened; 0 for NULL.
uint64_t shmkit_window_cache_len(const shmkit_window_cache_t *cache);

// Bytes of a window; 0 for NULL. A view lies in one.
uint64_t shmkit_window_cache_window_len(const shmkit_window_cache_t *cache);

// How many windows are mapped at once at most; 0 for NULL. Fewer than asked when the file has fewer.
size_t shmkit_window_cache_window_count(const shmkit_window_cache_t *cache);

// Whether the handle was closed; true for NULL.
bool shmkit_window_cache_is_closed(const shmkit_window_cache_t *cache);

// Copies `len` bytes at `offset` into `into`, across as many windows as they lie in. A concurrent writer may tear the copy.
//
// Fails with OUT_OF_RANGE, CLOSED, TRUNCATED (the file is shorter by now), IO.
shmkit_status_t shmkit_window_cache_read_at(const shmkit_window_cache_t *cache,
                                            uint64_t offset,
                                            void *into,
                                            size_t len,
                                            shmkit_error_t *error);

// Copies `len` bytes from `from` to `offset`, across as many windows as they lie in. A concurrent reader may see a part of
// them.
//
// Fails with OUT_OF_RANGE, READ_ONLY, CLOSED, TRUNCATED (the file is shorter by now), IO.
shmkit_status_t shmkit_window_cache_write_at(const shmkit_window_cache_t *cache,
                                             uint64_t offset,
                                             const void *from,
                                             size_t len,
                                             shmkit_error_t *error);

// Takes a view: `*data` becomes the address of the `len` bytes at `offset`, which lie in one window; until
// shmkit_window_cache_unpin the window keeps its place and the cache cannot be closed.
//
// Fails with OUT_OF_RANGE, INVALID_ARGUMENT (the range crosses a border of windows), BUSY (every window is in use),
// READ_ONLY, CLOSED, TRUNCATED; `*data` is NULL then.
shmkit_status_t shmkit_window_cache_pin(const shmkit_window_cache_t *cache,
                                        uint64_t offset,
                                        size_t len,
                                        bool writable,
                                        void **data,
                                        shmkit_error_t *error);

// Ends a view that shmkit_window_cache_pin began, by its address and with the same `writable`. Fails with INVALID_ARGUMENT
// when there is none.
shmkit_status_t shmkit_window_cache_unpin(const shmkit_window_cache_t *cache,
                                          const void *data,
                                          bool writable,
                                          shmkit_error_t *error);

// Carries what was written, through windows mapped now or before, to the disk, and waits for it unless SHMKIT_FLUSH_ASYNC
// is given. A shared memory object has no disk: there it does nothing.
//
// Fails with CLOSED, IO (what the device reported), INVALID_ARGUMENT.
shmkit_status_t shmkit_window_cache_flush(const shmkit_window_cache_t *cache,
                                          uint32_t flags,
                                          shmkit_error_t *error);

// Says what the cache did so far. `out` begins with SHMKIT_WINDOW_STATS_INIT. Works on a closed one, too.
shmkit_status_t shmkit_window_cache_stats(const shmkit_window_cache_t *cache,
                                          shmkit_window_stats_t *out,
                                          shmkit_error_t *error);

// Formats a text as printf does and appends it to a log as a record, without a zero byte at its end. `position` and
// `error` may be NULL. Texts of some hundred bytes are formatted on the stack, longer ones twice, in place, where
// the zero byte needs room for a moment: so a text must be shorter than the longest record.
//
// Fails as shmkit_log_append does, and with INVALID_ARGUMENT for a format that cannot be printed.
#if defined(__GNUC__)
__attribute__((format(printf, 5, 0)))
#endif
static inline shmkit_status_t shmkit_log_vprintf(const shmkit_log_t *log, uint32_t kind, uint64_t *position,
                                                 shmkit_error_t *error, const char *format, va_list arguments) {
    char text[512];
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(text, sizeof text, format, arguments);
    shmkit_status_t status;
    if (len < 0 || (size_t)len < sizeof text) {
        // A length that cannot be is refused, and the reason told.
        status = shmkit_log_append(log, kind, len < 0 ? NULL : text, len < 0 ? 1 : (size_t)len, position, error);
    } else {
        // vsnprintf ends with a zero byte: room for one more, which is not committed.
        shmkit_log_reservation_t *reservation = NULL;
        void *data = NULL;
        status = shmkit_log_reserve(log, kind, (size_t)len + 1, &reservation, &data, error);
        if (status == SHMKIT_OK) {
            vsnprintf((char *)data, (size_t)len + 1, format, again);
            status = shmkit_log_commit(reservation, (size_t)len, position, error);
        }
    }
    va_end(again);
    return status;
}

// As shmkit_log_vprintf: shmkit_log_printf(log, kind, NULL, &error, "%s is %d", name, value).
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
static inline shmkit_status_t shmkit_log_printf(const shmkit_log_t *log, uint32_t kind, uint64_t *position,
                                                shmkit_error_t *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    shmkit_status_t status = shmkit_log_vprintf(log, kind, position, error, format, arguments);
    va_end(arguments);
    return status;
}

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHMKIT_H */
