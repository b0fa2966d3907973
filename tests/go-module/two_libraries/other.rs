//! Another library in Rust, which knows nothing of shmkit.

/// Panics inside and returns 1 for having caught it.
#[unsafe(no_mangle)]
pub extern "C" fn other_panics() -> i32 {
    i32::from(std::panic::catch_unwind(|| panic!("on purpose, in the other library")).is_err())
}
