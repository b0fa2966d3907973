//! Statuses and the details of an error, as C sees them.

use std::ffi::{CStr, CString, c_char};
use std::mem::size_of;
use std::sync::LazyLock;

use core_crate::{Error, ErrorKind};

use crate::boundary::answer;

/// 0, or the number of an [`ErrorKind`]. In C, the enumeration of those numbers.
pub(crate) type Status = u32;
/// The status of success: the only one that is no error kind.
pub(crate) const OK: Status = 0;

/// What was tried, on what, and why it failed. Yours: the library only writes into it, during a call that fails.
///
/// Set `size` before the first use: `shmkit_error_t error = SHMKIT_ERROR_INIT;`. With a smaller size nothing is written.
/// Texts are UTF-8, end with a zero byte, and are cut at a whole character when they are too long.
#[repr(C)]
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct Details {
    /// sizeof(shmkit_error_t).
    pub size: usize,
    /// The status that the call returned.
    pub status: Status,
    /// The errno of the system call that failed, or the one that fits the status.
    pub errno_value: i32,
    /// What was tried, for example "open region".
    pub operation: [c_char; 48],
    /// The name or path it was tried on; empty for memory without a file.
    pub object: [c_char; 256],
    /// One sentence with all of this, and what to do next.
    pub message: [c_char; 768],
}

impl Details {
    /// As `SHMKIT_ERROR_INIT`.
    pub(crate) fn empty() -> Details {
        Details {
            size: size_of::<Details>(),
            status: OK,
            errno_value: 0,
            operation: [0; 48],
            object: [0; 256],
            message: [0; 768],
        }
    }

    /// # Safety
    /// As [`crate::boundary::attempt`].
    #[cold]
    pub(crate) unsafe fn fill(place: *mut Details, failure: &Error) {
        // SAFETY: not null, so it is the caller's struct, of which `size` is set.
        let Some(details) =
            (unsafe { place.as_mut() }).filter(|details| details.size >= size_of::<Details>())
        else {
            return;
        };
        details.status = failure.kind() as Status;
        details.errno_value = failure.errno();
        copy_text(&mut details.operation, failure.operation());
        copy_text(&mut details.object, failure.object());
        copy_text(&mut details.message, &failure.to_string());
    }
}

/// Copies as many whole characters as there is room for, and ends them with a zero byte.
fn copy_text(place: &mut [c_char], text: &str) {
    let end = text.floor_char_boundary(place.len() - 1);
    for (to, from) in place.iter_mut().zip(text[..end].bytes()) {
        *to = from as c_char;
    }
    place[end] = 0;
}

/// The texts of one status, ready for C.
struct Texts {
    name: CString,
    description: CString,
    advice: CString,
}

/// By status number; [`OK`] is the first, and what stands for numbers that mean nothing is the last. Numbers that no kind
/// has yet stand for nothing too.
static TEXTS: LazyLock<Vec<Texts>> = LazyLock::new(|| {
    let texts = |name: &str, description: &str, advice: &str| {
        let [name, description, advice] =
            [name, description, advice].map(|text| CString::new(text).unwrap_or_default());
        Texts { name, description, advice }
    };
    let unknown =
        || texts("Unknown", "is no status of this library", "compare the versions of header and library");
    let last = ErrorKind::ALL.iter().map(|kind| *kind as Status).max().unwrap_or(OK);
    let of_number = |number| match ErrorKind::from_number(number) {
        Some(kind) => texts(kind.name(), kind.description(), kind.advice()),
        None if number == OK => texts("Ok", "success", "nothing is to be done"),
        None => unknown(),
    };
    (OK..=last).map(of_number).chain([unknown()]).collect()
});

fn texts_of(status: Status) -> &'static Texts {
    TEXTS.get(status as usize).unwrap_or(&TEXTS[TEXTS.len() - 1])
}

/// The name of a status, the same in all languages: "NotFound". "Ok" for success, "Unknown" for a number that is none.
/// The text lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_status_name(status: Status) -> *const c_char {
    answer(c"".as_ptr(), || Some(texts_of(status).name.as_ptr()))
}

/// What a status means, as a clause that follows the name of the object.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_status_description(status: Status) -> *const c_char {
    answer(c"".as_ptr(), || Some(texts_of(status).description.as_ptr()))
}

/// What to do next.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_status_advice(status: Status) -> *const c_char {
    answer(c"".as_ptr(), || Some(texts_of(status).advice.as_ptr()))
}

/// The version of the library that runs, for example "1.2.3"; SHMKIT_VERSION is that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    answer(c"".as_ptr(), || Some(VERSION.as_ptr()))
}

#[cfg(test)]
impl Details {
    pub(crate) fn message(&self) -> String {
        self.message.iter().take_while(|&&byte| byte != 0).map(|&byte| byte as u8 as char).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_texts() {
        for kind in ErrorKind::ALL {
            let texts = texts_of(kind as Status);
            assert_eq!(texts.name.to_str(), Ok(kind.name()));
            assert_eq!(texts.description.to_str(), Ok(kind.description()));
            assert_eq!(texts.advice.to_str(), Ok(kind.advice()));
        }
        assert_eq!(texts_of(OK).name.to_str(), Ok("Ok"));
        assert_eq!(texts_of(ErrorKind::StaleHandle as Status - 1).name.to_str(), Ok("Unknown"));
        assert_eq!(texts_of(Status::MAX).name.to_str(), Ok("Unknown"));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let mut place = [1 as c_char; 6];
        copy_text(&mut place, "abcdä");
        assert_eq!(place, [b'a', b'b', b'c', b'd', 0, 1].map(|byte| byte as c_char));
        copy_text(&mut place, "äöü");
        assert_eq!(place.map(|byte| byte as u8)[..5], *"äö\0".as_bytes());
    }

    #[test]
    fn a_smaller_struct_is_left_alone() {
        let mut details = Details { size: size_of::<Details>() - 1, ..Details::empty() };
        let failure = Error::new(ErrorKind::Busy, "test", "");
        // SAFETY: `details` is ours and its size is set.
        unsafe { Details::fill(&mut details, &failure) };
        assert_eq!((details.status, details.message()), (OK, String::new()));
    }
}
