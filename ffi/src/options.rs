//! Options structs that can grow: the size that the caller was compiled with says which fields there are.

use std::mem::size_of;

use core_crate::Result;

use crate::boundary::Call;

/// A struct of `repr(C)` whose first field is its size, as the caller knows it.
///
/// # Safety
/// `repr(C)`, integers only, no padding, the first field a `usize`; no field crosses a multiple of 8 bytes.
pub(crate) unsafe trait Options: Copy {
    /// What the fields hold that the caller does not have or did not give.
    const DEFAULT: Self;
}

/// Far beyond what any version will have: a size above it was never set.
const MOST: usize = 4096;

/// The options behind `given`, with defaults for what an older caller's struct lacks.
///
/// Refuses a size that no version had, and a newer caller's struct that asks for something unknown here.
///
/// # Safety
/// `given` is null, or leads to a struct that begins with its size and has as many bytes as that says.
pub(crate) unsafe fn load<T: Options>(given: *const T, call: &Call<'_>) -> Result<T> {
    const WORD: usize = 8;
    let mut options = T::DEFAULT;
    if given.is_null() {
        return Ok(options);
    }
    // SAFETY: the size is the first field.
    let size = unsafe { given.cast::<usize>().read() };
    if !(WORD..=MOST).contains(&size) || !size.is_multiple_of(WORD) {
        return Err(call.refuse(format!("the options have size {size}: set it to their sizeof")));
    }
    let known = size.min(size_of::<T>());
    // SAFETY: both have at least `known` bytes, and any bytes are integers.
    unsafe { given.cast::<u8>().copy_to_nonoverlapping((&raw mut options).cast(), known) };
    // SAFETY: the caller's promise: there are `size` bytes.
    let unknown = unsafe { std::slice::from_raw_parts(given.cast::<u8>().add(known), size - known) };
    if unknown.iter().any(|&byte| byte != 0) {
        return Err(
            call.refuse("the options ask for something that this version of the library does not have")
        );
    }
    Ok(options)
}

/// Fills a struct of the caller, as far as the caller knows it; its size stays.
///
/// # Safety
/// `out` is null, or leads to a struct that begins with its size and has as many bytes as that says.
pub(crate) unsafe fn store<T: Options>(out: *mut T, value: T, call: &Call<'_>) -> Result<()> {
    const WORD: usize = 8;
    if out.is_null() {
        return Err(call.refuse("the place for the result is NULL"));
    }
    // SAFETY: the size is the first field.
    let size = unsafe { out.cast::<usize>().read() };
    if !(WORD..=MOST).contains(&size) || !size.is_multiple_of(WORD) {
        return Err(call.refuse(format!("the result has size {size}: set it to its sizeof")));
    }
    let known = size.min(size_of::<T>()) - WORD;
    // SAFETY: both have at least `known` bytes behind the size; what this version does not know becomes 0.
    unsafe {
        let (from, into) = ((&raw const value).cast::<u8>(), out.cast::<u8>());
        into.add(WORD).copy_from_nonoverlapping(from.add(WORD), known);
        into.add(WORD + known).write_bytes(0, size - WORD - known);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Now {
        size: usize,
        first: u32,
        second: u32,
        third: u64,
    }

    // SAFETY: as the trait asks.
    unsafe impl Options for Now {
        const DEFAULT: Now = Now { size: size_of::<Now>(), first: 1, second: 2, third: 3 };
    }

    #[test]
    fn older_and_newer_callers_get_what_they_know() {
        let store_words = |words: &mut [u64]| {
            // SAFETY: the first word is the size; there are as many words as it says.
            unsafe {
                store(words.as_mut_ptr().cast(), Now::DEFAULT, &Call { operation: "test", object: c"" })
            }
        };
        let mut older = [16, 9, 9];
        store_words(&mut older).unwrap();
        assert_eq!(older, [16, 1 | 2 << 32, 9]);
        let mut newer = [32, 9, 9, 9];
        store_words(&mut newer).unwrap();
        assert_eq!(newer, [32, 1 | 2 << 32, 3, 0]);
        for size in [0, 4, 12, 4104] {
            assert!(store_words(&mut [size, 0, 0]).is_err(), "{size}");
        }
    }

    fn load_words(words: &[u64]) -> Result<Now> {
        // SAFETY: the first word is the size; tests give as many words as it says.
        unsafe { load(words.as_ptr().cast(), &Call { operation: "test", object: c"" }) }
    }

    #[test]
    fn older_and_newer_callers_are_understood_or_refused() {
        let fields = |now: Now| (now.first, now.second, now.third);
        assert_eq!(fields(load_words(&[8]).unwrap()), (1, 2, 3));
        assert_eq!(fields(load_words(&[16, 5 | 6 << 32]).unwrap()), (5, 6, 3));
        assert_eq!(fields(load_words(&[24, 5, 9]).unwrap()), (5, 0, 9));
        assert_eq!(fields(load_words(&[40, 5, 9, 0, 0]).unwrap()), (5, 0, 9));
        assert!(load_words(&[40, 5, 9, 0, 1]).is_err());
        for size in [0, 4, 7, 12, 20, 4104, u64::MAX] {
            assert!(load_words(&[size, 0, 0]).is_err(), "{size}");
        }
        // SAFETY: null is allowed.
        let default = unsafe { load(std::ptr::null::<Now>(), &Call { operation: "test", object: c"" }) };
        assert_eq!(default.unwrap(), Now::DEFAULT);
    }
}
