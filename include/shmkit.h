// shmkit: shared memory for Rust, C, Python and Go that survives when a process is killed.
//
// Written by tools/c-header.sh from the sources in ffi/ and core/; do not edit.
//
// Errors      Each call that can fail returns a shmkit_status_t: SHMKIT_OK, or what went wrong. The comments here name
//             statuses without their SHMKIT_. The last argument may lead to a shmkit_error_t of yours, which is filled
//             when the call fails, and only then; NULL is allowed. Nothing is kept per thread. A call that fails has
//             changed nothing, with one exception that you must know: OWNER_DIED means that the lock IS HELD.
// Arguments   NULL for a handle, a name or a result is INVALID_ARGUMENT. Names are UTF-8; paths are bytes. Strings and
//             options are read during the call and not kept. Lengths and offsets are in bytes, times in nanoseconds.
// Ownership   A handle that a call stores into `*out` is yours until you give it to the `_free` function of its kind,
//             once. Strings that calls return belong to the library. `_close` ends the use and keeps the handle; `_free`
//             takes the handle. Neither removes a name: that is `_unlink`.
// Views       `_pin` counts a view, and `_close` answers BUSY while one lives, so no address goes away beneath its user.
//             Bytes in a view can be changed by other processes at any time: read them once, or hold the guard.
// Threads     All calls on a handle may be made from any thread at the same time, except `_free`, which comes last.
//             Locks belong to the process, so another thread may give back what one took.
// Forks       A forked child may go on using its copies of handles. It is attached anew at its first lock, and never
//             holds or releases what its parent holds.
// Blocking    Only shmkit_region_lock, shmkit_region_lock_wait and a flush that waits for the disk can block for long.
// Panics      Never cross into your program: a defect inside is INTERNAL.

#ifndef SHMKIT_H
#define SHMKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of this header.
#define SHMKIT_VERSION "0.1.0"

// Initial values: the defaults, and the size that lets the structs grow.
#define SHMKIT_ERROR_INIT { sizeof(shmkit_error_t), SHMKIT_OK, 0, "", "", "" }
#define SHMKIT_REGION_OPTIONS_INIT { sizeof(shmkit_region_options_t), 0, 0, 0, 0, 0 }
#define SHMKIT_MAP_OPTIONS_INIT { sizeof(shmkit_map_options_t), 0, SHMKIT_PROTECTION_READ, 0, 0, 0, 0 }

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

// `ObjectHeader::state`: free space.
#define SHMKIT_OBJECT_FREE 0

// `ObjectHeader::state`: an object.
#define SHMKIT_OBJECT_LIVE 186566637

// As a time limit in nanoseconds: wait as long as it takes.
#define SHMKIT_FOREVER UINT64_MAX

// A wait also ends, with SHMKIT_INTERRUPTED, when a signal handler runs while the thread sleeps. A signal that comes just
// before it sleeps does not wake it: bound the wait too.
#define SHMKIT_WAIT_INTERRUPTIBLE (1 << 0)

// Start writing and return, instead of waiting for the disk (MS_ASYNC).
#define SHMKIT_FLUSH_ASYNC (1 << 0)

// Also drop cached copies of the range that differ from the file (MS_INVALIDATE).
#define SHMKIT_FLUSH_INVALIDATE (1 << 1)

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

// The name is a file path: the region is a file, as durable as its file system.
#define SHMKIT_REGION_PATH (1 << 0)

// Open for reading only: nothing in the region changes, not even the list of who is attached.
#define SHMKIT_REGION_READ_ONLY (1 << 1)

// `group` is set.
#define SHMKIT_REGION_GROUP (1 << 2)

// A new region has no room for named objects; `arena_len` is 0.
#define SHMKIT_REGION_NO_ARENA (1 << 3)

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
    // The lock is held by somebody else, and waiting was not asked for.
    SHMKIT_WOULD_BLOCK = 22,
    // This process does not hold the lock.
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
    // `crate::Mutex`.
    SHMKIT_OBJECT_KIND_MUTEX = 16,
    // `crate::RwLock`.
    SHMKIT_OBJECT_KIND_RW_LOCK = 17,
    // `crate::Semaphore` that anybody may release.
    SHMKIT_OBJECT_KIND_SEMAPHORE = 18,
    // `crate::Semaphore` whose permits come back from the dead.
    SHMKIT_OBJECT_KIND_TRACKED_SEMAPHORE = 19,
    // `crate::Condvar`.
    SHMKIT_OBJECT_KIND_CONDVAR = 20,
    // `crate::Event`.
    SHMKIT_OBJECT_KIND_EVENT = 21,
    // `crate::Barrier`.
    SHMKIT_OBJECT_KIND_BARRIER = 22,
    // `crate::Atomic` of `u32`.
    SHMKIT_OBJECT_KIND_ATOMIC_U32 = 23,
    // `crate::Atomic` of `u64`.
    SHMKIT_OBJECT_KIND_ATOMIC_U64 = 24,
    // `crate::Atomic` of `i64`.
    SHMKIT_OBJECT_KIND_ATOMIC_I64 = 25,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_object_kind_t shmkit_object_kind_t;
#else
typedef uint32_t shmkit_object_kind_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the program intends to do with a range (madvise(2)). A hint never changes what the bytes are, except that
// "don't need" drops private changes.
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
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmkit_advice_t shmkit_advice_t;
#else
typedef uint32_t shmkit_advice_t;
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

// A mapped range of a file, or of memory that no file backs.
typedef struct shmkit_mapping_t shmkit_mapping_t;

// An open region: a named piece of memory that processes attach to, with a lock (its guard) that survives its owners.
typedef struct shmkit_region_t shmkit_region_t;

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
    // 0.
    uint32_t reserved;
    // Where in the file the mapping begins, in bytes. Need not be aligned to a page.
    uint64_t offset;
    // Number of bytes to map, with SHMKIT_MAP_LEN.
    uint64_t len;
} shmkit_map_options_t;

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
} shmkit_region_options_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The name of a status, the same in all languages: "NotFound". "Ok" for success, "Unknown" for a number that is none.
// The text lives as long as the program.
const char *shmkit_status_name(shmkit_status_t status);

// What a status means, as a clause that follows the name of the object.
const char *shmkit_status_description(shmkit_status_t status);

// What to do next.
const char *shmkit_status_advice(shmkit_status_t status);

// The version of the library that runs, for example "1.2.3"; SHMKIT_VERSION is that of the header.
const char *shmkit_version(void);

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
// Fails with INVALID_LENGTH, INVALID_ARGUMENT (an offset, SHMKIT_MAP_CREATE or SHMKIT_MAP_GROW), OUT_OF_MEMORY.
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
// given. The range is widened to whole pages.
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
// Fails with OUT_OF_RANGE, CLOSED, INVALID_ARGUMENT (a part of a page, where that would hurt its neighbours).
shmkit_status_t shmkit_mapping_advise(const shmkit_mapping_t *mapping,
                                      uint64_t offset,
                                      size_t len,
                                      uint32_t advice,
                                      shmkit_error_t *error);

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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHMKIT_H */
