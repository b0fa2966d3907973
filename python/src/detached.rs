//! What is dropped without the interpreter: its end may wait for a thread that calls into Python.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use pyo3::Python;

/// A value whose drop may block.
pub struct Detached<T: Send>(ManuallyDrop<T>);

impl<T: Send> Detached<T> {
    pub fn new(value: T) -> Detached<T> {
        Detached(ManuallyDrop::new(value))
    }

    /// The value, to be ended by other means.
    pub fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<T: Send> Deref for Detached<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send> DerefMut for Detached<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Send> Drop for Detached<T> {
    fn drop(&mut self) {
        // SAFETY: taken once, here, and not used again.
        let value = unsafe { ManuallyDrop::take(&mut self.0) };
        // Where there is no interpreter any more, the closure drops it all the same.
        let _ = Python::try_attach(move |py| py.detach(move || drop(value)));
    }
}
