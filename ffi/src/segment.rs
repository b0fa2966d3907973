//! `shmkit_segment_*`: the things that are mapped, and how they travel between processes.

use std::ffi::{CString, c_char, c_int};
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};

use core_crate::{Location, Seals, Segment, SegmentOptions};

use crate::boundary::{Call, answer, attempt, borrow, text};
use crate::error::{Details, Status};
use crate::map_options::MapChoices;
use crate::mapping::MappingHandle;
use crate::options::{self, Options};
use crate::wait::wait;

/// The name is a file path.
pub const SEGMENT_PATH: u32 = 1 << 0;
/// Open for reading only.
pub const SEGMENT_READ_ONLY: u32 = 1 << 1;
/// `group` is set.
pub const SEGMENT_GROUP: u32 = 1 << 2;

/// No more seals can be added (F_SEAL_SEAL).
pub const SEAL_SEAL: u32 = 0x01;
/// It never becomes shorter: a mapping of it can be touched without a check (F_SEAL_SHRINK).
pub const SEAL_SHRINK: u32 = 0x02;
/// It never becomes longer (F_SEAL_GROW).
pub const SEAL_GROW: u32 = 0x04;
/// Its bytes never change (F_SEAL_WRITE).
pub const SEAL_WRITE: u32 = 0x08;
/// Its bytes change only through the writable mappings that exist already (F_SEAL_FUTURE_WRITE).
pub const SEAL_FUTURE_WRITE: u32 = 0x10;
/// Its permission to be executed never changes (F_SEAL_EXEC).
pub const SEAL_EXEC: u32 = 0x20;

const _: () = assert!(
    SEAL_SEAL == Seals::SEAL.bits()
        && SEAL_SHRINK == Seals::SHRINK.bits()
        && SEAL_GROW == Seals::GROW.bits()
        && SEAL_WRITE == Seals::WRITE.bits()
        && SEAL_FUTURE_WRITE == Seals::FUTURE_WRITE.bits()
        && SEAL_EXEC == Seals::EXEC.bits()
);

/// An open object that can be mapped: a POSIX shared memory object, a file, or a memfd.
pub struct SegmentHandle {
    segment: Segment,
    /// What messages call it, with a zero byte at its end.
    name: CString,
}

impl SegmentHandle {
    fn into_raw(segment: Segment) -> *mut SegmentHandle {
        let name = CString::new(segment.location().display().into_owned()).unwrap_or_default();
        Box::into_raw(Box::new(SegmentHandle { segment, name }))
    }

    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, object: &self.name }
    }
}

/// How to make or open a segment. NULL in its place, SHMKIT_SEGMENT_OPTIONS_INIT, and all zeros but the size mean the same:
/// the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SegmentChoices {
    /// sizeof(shmkit_segment_options_t).
    pub size: usize,
    /// SHMKIT_SEGMENT_PATH and the others.
    pub flags: u32,
    /// Permission bits of a new segment, exactly: the umask does not apply. 0: 0600.
    pub mode: u32,
    /// Group id of a new segment, with SHMKIT_SEGMENT_GROUP.
    pub group: u32,
    /// 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<SegmentChoices>() == 24);

// SAFETY: a size and four 32-bit integers, without padding.
unsafe impl Options for SegmentChoices {
    const DEFAULT: SegmentChoices =
        SegmentChoices { size: size_of::<SegmentChoices>(), flags: 0, mode: 0, group: 0, reserved: 0 };
}

/// The options and where the segment is.
///
/// # Safety
/// As [`options::load`].
unsafe fn load(
    given: *const SegmentChoices,
    name: *const c_char,
    call: &Call<'_>,
) -> core_crate::Result<(SegmentChoices, Location)> {
    // SAFETY: the caller's promise.
    let choices = unsafe { options::load(given, call) }?;
    call.check_flags(choices.flags, SEGMENT_PATH | SEGMENT_READ_ONLY | SEGMENT_GROUP)?;
    if choices.reserved != 0 {
        return Err(call.refuse("`reserved` is 0"));
    }
    Ok((choices, call.location(name, choices.flags & SEGMENT_PATH != 0)?))
}

/// Creates an object of `len` zeros, all of them backed by storage, and opens it.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_segment_free, else NULL.
/// Fails with ALREADY_EXISTS, INVALID_NAME, INVALID_LENGTH, INVALID_ARGUMENT, NO_SPACE, PERMISSION_DENIED, NOT_FOUND (the
/// directory of a path).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_create(
    name: *const c_char,
    len: u64,
    options: *const SegmentChoices,
    out: *mut *mut SegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "create segment", object: text(name) };
            call.clear(out)?;
            let (choices, location) = load(options, name, &call)?;
            if choices.flags & SEGMENT_READ_ONLY != 0 {
                return Err(call.refuse("a new segment is open for writing"));
            }
            let mut create = SegmentOptions::new();
            if choices.mode != 0 {
                create = create.mode(choices.mode);
            }
            if choices.flags & SEGMENT_GROUP != 0 {
                create = create.group(choices.group);
            }
            out.write(SegmentHandle::into_raw(create.create(location, len)?));
            Ok(())
        })
    }
}

/// Opens an object that exists, for reading and writing unless SHMKIT_SEGMENT_READ_ONLY is asked.
///
/// `options` may be NULL. On success `*out` is a handle for shmkit_segment_free, else NULL.
/// Fails with NOT_FOUND, PERMISSION_DENIED, INVALID_NAME, WRONG_KIND (no regular file).
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_open(
    name: *const c_char,
    options: *const SegmentChoices,
    out: *mut *mut SegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open segment", object: text(name) };
            call.clear(out)?;
            let (choices, location) = load(options, name, &call)?;
            let read_only = choices.flags & SEGMENT_READ_ONLY != 0;
            let open = if read_only { Segment::open_read_only } else { Segment::open };
            out.write(SegmentHandle::into_raw(open(location)?));
            Ok(())
        })
    }
}

/// Makes memory of `len` zeros that only its descriptor names (memfd_create(2)), and that can be sealed; `label` shows in
/// /proc/PID/maps.
///
/// On success `*out` is a handle for shmkit_segment_free, else NULL.
/// Fails with INVALID_LENGTH, INVALID_NAME (more than 249 bytes), NO_SPACE, OUT_OF_MEMORY.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_memfd(
    label: *const c_char,
    len: u64,
    out: *mut *mut SegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "create memfd", object: text(label) };
            call.clear(out)?;
            if label.is_null() {
                return Err(call.refuse("the label is NULL"));
            }
            out.write(SegmentHandle::into_raw(Segment::memfd(&call.object.to_string_lossy(), len)?));
            Ok(())
        })
    }
}

/// Opens the object behind a descriptor, for example an inherited one. The descriptor stays yours and may be closed
/// afterwards; whether the segment is writable is what it says.
///
/// On success `*out` is a handle for shmkit_segment_free, else NULL. Fails with WRONG_KIND (neither file nor memory), IO (no
/// such descriptor), INVALID_ARGUMENT (a negative one).
///
/// # Safety
/// `fd` is not closed by another thread meanwhile; all pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_from_fd(
    fd: c_int,
    out: *mut *mut SegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "open descriptor", object: c"" };
            call.clear(out)?;
            out.write(SegmentHandle::into_raw(Segment::from_fd(call.descriptor(fd)?)?));
            Ok(())
        })
    }
}

/// Removes a name. Processes that have the object open keep it; its memory goes with the last of them.
///
/// Of the options only SHMKIT_SEGMENT_PATH matters. Fails with NOT_FOUND, INVALID_NAME, PERMISSION_DENIED.
///
/// # Safety
/// All pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_unlink(
    name: *const c_char,
    options: *const SegmentChoices,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "unlink segment", object: text(name) };
            Segment::unlink(load(options, name, &call)?.1)
        })
    }
}

/// Closes the segment's descriptor and releases the handle; mappings of it stay. NULL is allowed.
///
/// # Safety
/// `segment` is null or a handle that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_free(segment: *mut SegmentHandle) {
    answer((), || {
        // SAFETY: the caller's promise.
        unsafe { crate::object::free(segment) };
        Some(())
    });
}

/// Maps the segment; `options` may be NULL. On success `*out` is a handle for shmkit_mapping_free, else NULL.
///
/// Fails with READ_ONLY (writing is asked, and the segment is open for reading or sealed), INVALID_LENGTH, OUT_OF_RANGE,
/// NO_SPACE, INVALID_ARGUMENT.
///
/// # Safety
/// `segment` is null or a handle; the other pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_map(
    segment: *const SegmentHandle,
    options: *const MapChoices,
    out: *mut *mut MappingHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "map segment")?;
            let call = handle.call("map segment");
            call.clear(out)?;
            out.write(MappingHandle::into_raw(
                MapChoices::load(options, &call)?.map_segment(&handle.segment)?,
            ));
            Ok(())
        })
    }
}

/// Stores the length in bytes, now, to `*len`. Fails with IO.
///
/// # Safety
/// `segment` is null or a handle; `len` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_len(
    segment: *const SegmentHandle,
    len: *mut u64,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "measure segment")?;
            handle.call("measure segment").store(len, || handle.segment.len())
        })
    }
}

/// Whether the segment is open for writing; false for NULL.
///
/// # Safety
/// `segment` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_is_writable(segment: *const SegmentHandle) -> bool {
    // SAFETY: the caller's promise.
    answer(false, || unsafe { segment.as_ref() }.map(|handle| handle.segment.is_writable()))
}

/// The segment's descriptor, which stays the segment's; -1 for NULL. It is close-on-exec: for a program that is started,
/// duplicate it (dup(2) gives one that is not).
///
/// # Safety
/// `segment` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_fileno(segment: *const SegmentHandle) -> c_int {
    // SAFETY: the caller's promise.
    answer(-1, || unsafe { segment.as_ref() }.map(|handle| handle.segment.as_fd().as_raw_fd()))
}

/// Adds seals: SHMKIT_SEAL_SHRINK and the others, which nobody can break.
///
/// Fails with BUSY (SHMKIT_SEAL_WRITE while somebody has it mapped for writing), PERMISSION_DENIED (sealed against further
/// seals, or not open for writing), UNSUPPORTED (no memfd), INVALID_ARGUMENT (unknown seals).
///
/// # Safety
/// `segment` is null or a handle; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_seal(
    segment: *const SegmentHandle,
    seals: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "seal segment")?;
            let wanted = Seals::from_bits(seals)
                .ok_or_else(|| handle.call("seal segment").refuse(format!("unknown seals {seals:#x}")))?;
            handle.segment.seal(wanted)
        })
    }
}

/// Stores the seals that are set to `*seals`. Fails with UNSUPPORTED (no memfd).
///
/// # Safety
/// `segment` is null or a handle; `seals` and `error` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_seals(
    segment: *const SegmentHandle,
    seals: *mut u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "read seals")?;
            handle.call("read seals").store(seals, || Ok(handle.segment.seals()?.bits()))
        })
    }
}

/// Sends the segment over a connected Unix socket: one byte, and with it the descriptor (SCM_RIGHTS). It stays open here.
///
/// Fails with TIMEOUT (the socket stayed full), INTERRUPTED (with SHMKIT_WAIT_INTERRUPTIBLE), IO (the other side is gone).
///
/// # Safety
/// `segment` is null or a handle; `socket` is not closed meanwhile; `error` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_send_wait(
    segment: *const SegmentHandle,
    socket: c_int,
    timeout_ns: u64,
    flags: u32,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let handle = borrow(segment, "send segment")?;
            let call = handle.call("send segment");
            handle.segment.send(call.descriptor(socket)?, &wait(timeout_ns, flags, &call)?)
        })
    }
}

/// Receives a segment over a connected Unix socket: one byte, and the descriptor that comes with it. Whoever sent it may
/// still write to it and, unless it has SHMKIT_SEAL_SHRINK, cut it short.
///
/// On success `*out` is a handle for shmkit_segment_free, else NULL.
/// Fails with TIMEOUT, INTERRUPTED (with SHMKIT_WAIT_INTERRUPTIBLE), WRONG_KIND (no descriptor, or one of neither a file nor
/// memory), IO (the other side is gone).
///
/// # Safety
/// `socket` is not closed meanwhile; the pointers are null or valid for what they are declared as.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_segment_receive_wait(
    socket: c_int,
    timeout_ns: u64,
    flags: u32,
    out: *mut *mut SegmentHandle,
    error: *mut Details,
) -> Status {
    // SAFETY: the caller's promises, handed on.
    unsafe {
        attempt(error, || {
            let call = Call { operation: "receive segment", object: c"" };
            call.clear(out)?;
            let wait = wait(timeout_ns, flags, &call)?;
            out.write(SegmentHandle::into_raw(Segment::receive(call.descriptor(socket)?, &wait)?));
            Ok(())
        })
    }
}

/// Hands a new descriptor to the caller.
///
/// # Safety
/// `out` is null or a place for one.
pub(crate) unsafe fn give_descriptor(
    call: &Call<'_>,
    out: *mut c_int,
    make: impl FnOnce() -> core_crate::Result<std::os::fd::OwnedFd>,
) -> core_crate::Result<()> {
    // SAFETY: the caller's promise.
    unsafe { call.store(out, || make().map(IntoRawFd::into_raw_fd)) }
}

impl<'a> Call<'a> {
    /// A descriptor of the caller.
    ///
    /// # Safety
    /// It is not closed during the call.
    pub(crate) unsafe fn descriptor(&self, fd: c_int) -> core_crate::Result<BorrowedFd<'a>> {
        if fd < 0 {
            return Err(self.refuse(format!("descriptor {fd}")));
        }
        // SAFETY: not negative, and the caller's promise.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }
}
