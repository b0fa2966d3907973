//! `shmkit_window_cache_*`.

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::size_of;
use std::os::fd::BorrowedFd;

use core_crate::{Advice, Flush, WindowCache, WindowOptions};

use crate::FLUSH_ASYNC;
use crate::boundary::{Call, answer, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::options::{self, Options};

/// For writing, too.
pub const WINDOWS_WRITABLE: u32 = 1 << 0;

/// How to open a window cache. Begin with SHMKIT_WINDOW_OPTIONS_INIT: 64 windows of 4 MiB, for reading. NULL means the same.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WindowChoices {
    /// sizeof(shmkit_window_options_t).
    pub size: usize,
    /// SHMKIT_WINDOWS_WRITABLE.
    pub flags: u32,
    /// A shmkit_advice_t, what reads will be like: SHMKIT_ADVICE_RANDOM (no read-ahead), SHMKIT_ADVICE_SEQUENTIAL (always), or
    /// SHMKIT_ADVICE_NORMAL, which finds out by itself.
    pub pattern: u32,
    /// Bytes of a window: a power of two, from a page to 1 GiB. 0: 4 MiB.
    pub window_len: u64,
    /// How many windows are mapped at once at most, 1 to 4096. 0: 64.
    pub windows: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: a size, four 32-bit integers and one of 64 bits, without padding.
unsafe impl Options for WindowChoices {
    const DEFAULT: WindowChoices = WindowChoices {
        size: size_of::<WindowChoices>(),
        flags: 0,
        pattern: Advice::Normal as u32,
        window_len: 0,
        windows: 0,
        reserved: 0,
    };
}

impl WindowChoices {
    /// # Safety
    /// As [`options::load`].
    unsafe fn load(given: *const WindowChoices, call: &Call<'_>) -> core_crate::Result<WindowOptions> {
        // SAFETY: the caller's promise.
        let choices = unsafe { options::load(given, call) }?;
        call.check_flags(choices.flags, WINDOWS_WRITABLE)?;
        if choices.reserved != 0 {
            return Err(call.refuse("`reserved` is 0"));
        }
        let pattern = Advice::from_number(choices.pattern)
            .ok_or_else(|| call.refuse(format!("pattern {} is unknown", choices.pattern)))?;
        let mut options =
            WindowOptions::new().writable(choices.flags & WINDOWS_WRITABLE != 0).pattern(pattern);
        if choices.window_len != 0 {
            options = options.window_len(choices.window_len);
        }
        if choices.windows != 0 {
            options = options.windows(choices.windows);
        }
        Ok(options)
    }
}

/// What a window cache did so far. Begin with SHMKIT_WINDOW_STATS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WindowAnswer {
    /// sizeof(shmkit_window_stats_t).
    pub size: usize,
    /// Uses that found their window mapped.
    pub hits: u64,
    /// Uses that had to map it.
    pub misses: u64,
    /// Windows that gave their place to another.
    pub evictions: u64,
    /// Copies that went past the windows (pread, pwrite).
    pub bypasses: u64,
    /// mmap(2) calls. Mapping over a window unmaps it: there is no munmap(2) until the cache is freed.
    pub maps: u64,
    /// Calls that advised the kernel of reads to come.
    pub advices: u64,
    /// Time in these calls; page faults come on top (shmkit_usage).
    pub kernel_ns: u64,
    /// Windows that are mapped now.
    pub mapped: u64,
    /// Views that live now.
    pub views: u64,
}

// SAFETY: 64-bit integers only.
unsafe impl Options for WindowAnswer {
    const DEFAULT: WindowAnswer = WindowAnswer {
        size: size_of::<WindowAnswer>(),
        hits: 0,
        misses: 0,
        evictions: 0,
        bypasses: 0,
        maps: 0,
        advices: 0,
        kernel_ns: 0,
        mapped: 0,
        views: 0,
    };
}

/// A file seen through a bounded set of windows that are mapped once and used again.
pub struct WindowCacheHandle {
    cache: WindowCache,
    /// The file with a zero byte at its end, for messages.
    object: CString,
}

impl WindowCacheHandle {
    fn into_raw(cache: WindowCache) -> *mut WindowCacheHandle {
        let object = CString::new(cache.object()).unwrap_or_default();
        Box::into_raw(Box::new(WindowCacheHandle { cache, object }))
    }

    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.object }
    }
}

/// Opens a file that is larger than one wants mapped: reads and writes go through a bounded set of large windows, and the
/// least recently used gives its place when another is needed. The length is that of the file now.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_window_cache_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_LENGTH (an empty file), WRONG_KIND, INVALID_ARGUMENT, OUT_OF_MEMORY.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_open(
    path: *const c_char,
    options: *const WindowChoices,
    out: *mut *mut WindowCacheHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open window cache", object: text(path) };
            call.clear(out)?;
            let options = WindowChoices::load(options, &call)?;
            out.write(WindowCacheHandle::into_raw(options.open(call.path(path)?)?));
            Ok(())
        })
    }
}

/// As shmkit_window_cache_open, for a file that is open as descriptor `fd`, which stays yours and may be closed afterwards.
///
/// # Safety
/// `fd` is not closed by another thread meanwhile; all pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_from_fd(
    fd: c_int,
    options: *const WindowChoices,
    out: *mut *mut WindowCacheHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open window cache", object: c"(descriptor)" };
            call.clear(out)?;
            let options = WindowChoices::load(options, &call)?;
            if fd < 0 {
                return Err(call.refuse(format!("descriptor {fd}")));
            }
            out.write(WindowCacheHandle::into_raw(options.open_file(BorrowedFd::borrow_raw(fd))?));
            Ok(())
        })
    }
}

/// Lets the file go. Repeating it does nothing. The handle stays until shmkit_window_cache_free takes it. Fails, and the
/// cache goes on, with BUSY while a view lives or another thread copies.
///
/// # Safety
/// `cache` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_close(
    cache: *const WindowCacheHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe { attempt(error, || borrow(cache, "close window cache")?.cache.close()) }
}

/// Releases the handle and unmaps the windows. NULL is allowed. No other thread may use the handle any more: end all views
/// first.
///
/// # Safety
/// `cache` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_free(cache: *mut WindowCacheHandle) {
    answer((), || {
        if !cache.is_null() {
            // SAFETY: not null, made by `into_raw`, and the caller gives it up.
            drop(unsafe { Box::from_raw(cache) });
        }
        Some(())
    });
}

/// Number of bytes of the file, when it was opened; 0 for NULL.
///
/// # Safety
/// `cache` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_len(cache: *const WindowCacheHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { cache.as_ref() }.map(|handle| handle.cache.len()))
}

/// Bytes of a window; 0 for NULL. A view lies in one.
///
/// # Safety
/// `cache` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_window_len(cache: *const WindowCacheHandle) -> u64 {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { cache.as_ref() }.map(|handle| handle.cache.window_len()))
}

/// How many windows are mapped at once at most; 0 for NULL. Fewer than asked when the file has fewer.
///
/// # Safety
/// `cache` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_window_count(cache: *const WindowCacheHandle) -> usize {
    // SAFETY: the caller's promise.
    answer(0, || unsafe { cache.as_ref() }.map(|handle| handle.cache.window_count()))
}

/// Whether the handle was closed; true for NULL.
///
/// # Safety
/// `cache` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_is_closed(cache: *const WindowCacheHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(true, || unsafe { cache.as_ref() }.map(|handle| handle.cache.is_closed()))
}

/// Copies `len` bytes at `offset` into `into`, across as many windows as they lie in. A concurrent writer may tear the copy.
///
/// Fails with OUT_OF_RANGE, CLOSED, TRUNCATED (the file is shorter by now), IO.
///
/// # Safety
/// `cache` is null or a handle; `into` is null or has `len` bytes, none of them in a window; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_read_at(
    cache: *const WindowCacheHandle,
    offset: u64,
    into: *mut c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(cache, "read through windows")?;
            handle.cache.read_at(offset, handle.call("read through windows").target(into, len)?)
        })
    }
}

/// Copies `len` bytes from `from` to `offset`, across as many windows as they lie in. A concurrent reader may see a part of
/// them.
///
/// Fails with OUT_OF_RANGE, READ_ONLY, CLOSED, TRUNCATED (the file is shorter by now), IO.
///
/// # Safety
/// `cache` is null or a handle; `from` is null or has `len` bytes, none of them in a window; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_write_at(
    cache: *const WindowCacheHandle,
    offset: u64,
    from: *const c_void,
    len: usize,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(cache, "write through windows")?;
            handle.cache.write_at(offset, handle.call("write through windows").source(from, len)?)
        })
    }
}

/// Takes a view: `*data` becomes the address of the `len` bytes at `offset`, which lie in one window; until
/// shmkit_window_cache_unpin the window keeps its place and the cache cannot be closed.
///
/// Fails with OUT_OF_RANGE, INVALID_ARGUMENT (the range crosses a border of windows), BUSY (every window is in use),
/// READ_ONLY, CLOSED, TRUNCATED; `*data` is NULL then.
///
/// # Safety
/// `cache` is null or a handle; `data` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_pin(
    cache: *const WindowCacheHandle,
    offset: u64,
    len: usize,
    writable: bool,
    data: *mut *mut c_void,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(cache, "view window")?;
            handle.call("view window").clear(data)?;
            data.write(handle.cache.pin(offset, len, writable)?.as_ptr().cast());
            Ok(())
        })
    }
}

/// Ends a view that shmkit_window_cache_pin began, by its address and with the same `writable`. Fails with INVALID_ARGUMENT
/// when there is none.
///
/// # Safety
/// `cache` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_unpin(
    cache: *const WindowCacheHandle,
    data: *const c_void,
    writable: bool,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(cache, "release view")?;
            let released = handle.cache.unpin(data.cast(), writable);
            if released { Ok(()) } else { Err(handle.call("release view").refuse("there is no such view")) }
        })
    }
}

/// Carries what was written, through windows mapped now or before, to the disk, and waits for it unless SHMKIT_FLUSH_ASYNC
/// is given. A shared memory object has no disk: there it does nothing.
///
/// Fails with CLOSED, IO (what the device reported), INVALID_ARGUMENT.
///
/// # Safety
/// `cache` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_flush(
    cache: *const WindowCacheHandle,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(cache, "flush windows")?;
            handle.call("flush windows").check_flags(flags, FLUSH_ASYNC)?;
            let flush = if flags & FLUSH_ASYNC != 0 { Flush::Async } else { Flush::Sync };
            handle.cache.flush(flush)
        })
    }
}

/// Says what the cache did so far. `out` begins with SHMKIT_WINDOW_STATS_INIT. Works on a closed one, too.
///
/// # Safety
/// `cache` is null or a handle; `out` is null or has as many bytes as its size says; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_window_cache_stats(
    cache: *const WindowCacheHandle,
    out: *mut WindowAnswer,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(cache, "count windows")?;
            let stats = handle.cache.stats();
            let answer = WindowAnswer {
                size: size_of::<WindowAnswer>(),
                hits: stats.hits,
                misses: stats.misses,
                evictions: stats.evictions,
                bypasses: stats.bypasses,
                maps: stats.maps,
                advices: stats.advices,
                kernel_ns: stats.kernel_ns,
                mapped: stats.mapped,
                views: stats.views,
            };
            options::store(out, answer, &handle.call("count windows"))
        })
    }
}
