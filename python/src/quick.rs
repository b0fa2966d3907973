//! The calls that programs make most often, without what PyO3 does around each call: a lock that is free costs less than
//! that.
//!
//! Each method that is listed here is still an ordinary one of its class. At import its descriptor is replaced by one that
//! tries the simplest outcome, with no argument to read, nothing to wait for and no error to raise; in all other cases
//! nothing has happened and it calls the ordinary one. So there is one description of what the method does, and its
//! signature and documentation are shown as they are.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyClass, ffi};
use shmkit::Acquired;

use crate::guard::Guard;
use crate::lock::Lock;
use crate::mutex::Mutex;
use crate::pool::Pool;
use crate::pool_block::PoolBlock;
use crate::region::Region;
use crate::rwlock::RwLock;
use crate::semaphore::Semaphore;

/// Something that is taken and given back.
trait Held: PyClass<Frozen = True> + Sync {
    /// Takes it if that is all there is to do.
    fn take_free(&self) -> bool;
    /// Gives it back if it may be given back.
    fn give_back(&self) -> bool;
}

/// Takes the lock if it is free and its last owner left it in order.
#[inline]
fn take_free(lock: &Lock) -> bool {
    if !lock.seems_free() {
        return false;
    }
    let taken = lock.try_acquire();
    if matches!(taken, Ok(Some(Acquired::OwnerDied))) {
        // As if we had come later: the ordinary method takes it and tells of the death.
        let _ = lock.release();
    }
    matches!(taken, Ok(Some(Acquired::Clean)))
}

impl Held for Mutex {
    #[inline]
    fn take_free(&self) -> bool {
        take_free(self.as_lock())
    }
    #[inline]
    fn give_back(&self) -> bool {
        self.core().release().is_ok()
    }
}

impl Held for Guard {
    #[inline]
    fn take_free(&self) -> bool {
        let taken = take_free(self.as_lock());
        if taken {
            self.was_taken(Acquired::Clean);
        }
        taken
    }
    #[inline]
    fn give_back(&self) -> bool {
        self.as_lock().release().is_ok()
    }
}

impl Held for Semaphore {
    #[inline]
    fn take_free(&self) -> bool {
        self.core().try_acquire().unwrap_or(false)
    }
    #[inline]
    fn give_back(&self) -> bool {
        self.core().release(1).is_ok()
    }
}

/// Something that has guards: one is made once, without options, and used again.
trait Guarded: PyClass<Frozen = True> + Sync {
    /// The plain guard, once it was made. A reader–writer lock has another for `write`.
    fn plain_guard(&self, py: Python<'_>, write: bool) -> Option<&Py<Guard>>;
}

impl Guarded for Region {
    #[inline]
    fn plain_guard(&self, py: Python<'_>, _: bool) -> Option<&Py<Guard>> {
        self.made_guard(py)
    }
}

impl Guarded for Mutex {
    #[inline]
    fn plain_guard(&self, py: Python<'_>, _: bool) -> Option<&Py<Guard>> {
        self.made_guard(py)
    }
}

impl Guarded for RwLock {
    #[inline]
    fn plain_guard(&self, py: Python<'_>, write: bool) -> Option<&Py<Guard>> {
        self.made_guard(py, write)
    }
}

/// The methods that are replaced, in the order of [`METHODS`].
const COUNT: usize = 18;

type Call = ffi::PyCFunctionFastWithKeywords;

/// A method that has a quick form.
struct Method {
    class: fn(Python<'_>) -> Bound<'_, PyType>,
    name: &'static str,
    call: Call,
}

fn class<T: PyClass>(py: Python<'_>) -> Bound<'_, PyType> {
    py.get_type::<T>()
}

const METHODS: [Method; COUNT] = [
    Method { class: class::<Mutex>, name: "acquire", call: acquire::<Mutex, 0> },
    Method { class: class::<Mutex>, name: "release", call: release::<Mutex, 1> },
    Method { class: class::<Mutex>, name: "__enter__", call: enter::<Mutex, 2> },
    Method { class: class::<Mutex>, name: "__exit__", call: exit::<Mutex, 3> },
    Method { class: class::<Guard>, name: "acquire", call: acquire::<Guard, 4> },
    Method { class: class::<Guard>, name: "release", call: release::<Guard, 5> },
    Method { class: class::<Guard>, name: "__enter__", call: enter::<Guard, 6> },
    Method { class: class::<Guard>, name: "__exit__", call: exit::<Guard, 7> },
    Method { class: class::<Semaphore>, name: "acquire", call: acquire::<Semaphore, 8> },
    Method { class: class::<Semaphore>, name: "release", call: release::<Semaphore, 9> },
    Method { class: class::<Semaphore>, name: "__enter__", call: enter::<Semaphore, 10> },
    Method { class: class::<Semaphore>, name: "__exit__", call: exit::<Semaphore, 11> },
    Method { class: class::<Region>, name: "lock", call: guard::<Region, 12, false> },
    Method { class: class::<Mutex>, name: "lock", call: guard::<Mutex, 13, false> },
    Method { class: class::<RwLock>, name: "read", call: guard::<RwLock, 14, false> },
    Method { class: class::<RwLock>, name: "write", call: guard::<RwLock, 15, true> },
    Method { class: class::<Pool>, name: "allocate", call: allocate::<16> },
    Method { class: class::<PoolBlock>, name: "free", call: free::<17> },
];

/// The ordinary descriptors.
static ORDINARY: [PyOnceLock<Py<PyAny>>; COUNT] = [const { PyOnceLock::new() }; COUNT];

/// Puts the quick forms in place.
pub fn install(py: Python<'_>) -> PyResult<()> {
    for (method, ordinary) in METHODS.iter().zip(&ORDINARY) {
        let class = (method.class)(py);
        let descriptor = class.getattr(method.name)?;
        // What CPython takes apart into `__text_signature__` and `__doc__` again.
        let signature: String = descriptor.getattr("__text_signature__")?.extract()?;
        let doc: String = descriptor.getattr("__doc__")?.extract::<Option<String>>()?.unwrap_or_default();
        let text = CString::new(format!("{}{signature}\n--\n\n{doc}", method.name))?;
        let definition = Box::new(ffi::PyMethodDef {
            ml_name: CString::new(method.name)?.into_raw(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: method.call },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: text.into_raw(),
        });
        // SAFETY: the class is alive, and the definition is never freed: the class has it from now on.
        let quick = unsafe {
            let made = ffi::PyDescr_NewMethod(class.as_type_ptr(), Box::into_raw(definition));
            Bound::from_owned_ptr_or_err(py, made)?
        };
        if ordinary.set(py, descriptor.unbind()).is_ok() {
            class.setattr(method.name, quick)?;
        }
    }
    Ok(())
}

/// Whether `attempt` did all there is to do. A panic is none of it: it comes again in the ordinary method, where PyO3
/// makes an exception of it.
#[inline]
fn succeeds(attempt: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(attempt)).unwrap_or(false)
}

/// The object that a descriptor of class `T` was called with.
///
/// # Safety
/// `slf` is an object of class `T` that outlives the result, as CPython has tested; the thread is attached.
#[inline]
unsafe fn object<'a, T: PyClass<Frozen = True> + Sync>(slf: *mut ffi::PyObject) -> &'a T {
    // SAFETY: as said above. Nobody else has it for writing, because the class is frozen.
    unsafe { Borrowed::from_ptr(Python::assume_attached(), slf).cast_unchecked::<T>().get() }
}

unsafe extern "C" fn acquire<T: Held, const METHOD: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this as it calls every method of the class.
    unsafe {
        if count == 0 && names.is_null() && succeeds(|| object::<T>(slf).take_free()) {
            return ffi::Py_NewRef(ffi::Py_True());
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

unsafe extern "C" fn release<T: Held, const METHOD: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        if count == 0 && names.is_null() && succeeds(|| object::<T>(slf).give_back()) {
            return ffi::Py_NewRef(ffi::Py_None());
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

unsafe extern "C" fn enter<T: Held, const METHOD: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        if count == 0 && names.is_null() && succeeds(|| object::<T>(slf).take_free()) {
            return ffi::Py_NewRef(slf);
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

unsafe extern "C" fn exit<T: Held, const METHOD: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        if count == 3 && names.is_null() && succeeds(|| object::<T>(slf).give_back()) {
            return ffi::Py_NewRef(ffi::Py_None());
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

unsafe extern "C" fn guard<T: Guarded, const METHOD: usize, const WRITE: bool>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        if count == 0
            && names.is_null()
            && let Some(guard) = object::<T>(slf).plain_guard(Python::assume_attached(), WRITE)
        {
            return ffi::Py_NewRef(guard.as_ptr());
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

unsafe extern "C" fn allocate<const METHOD: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        let mut made = None;
        if count == 0
            && names.is_null()
            && succeeds(|| {
                let pool = Borrowed::from_ptr(Python::assume_attached(), slf).cast_unchecked::<Pool>();
                made = Pool::allocate_quickly(&pool).and_then(|block| Py::new(pool.py(), block).ok());
                made.is_some()
            })
        {
            return made.map_or(std::ptr::null_mut(), Py::into_ptr);
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

unsafe extern "C" fn free<const METHOD: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        if count == 0 && names.is_null() && succeeds(|| object::<PoolBlock>(slf).free_quickly()) {
            return ffi::Py_NewRef(ffi::Py_None());
        }
        ordinary(METHOD, slf, args, count, names)
    }
}

/// Calls the ordinary method with the same arguments.
///
/// # Safety
/// The arguments are those of a call by CPython, with the thread attached.
#[cold]
unsafe fn ordinary(
    method: usize,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: said by the caller.
    let (py, names) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr_or_opt(py, names))
    };
    let call = || -> PyResult<Py<PyAny>> {
        let descriptor = ORDINARY[method].get(py).expect("set before the method was replaced");
        let names: Vec<Bound<'_, PyAny>> =
            names.map_or(Ok(Vec::new()), |names| names.try_iter()?.collect())?;
        let all: &[*mut ffi::PyObject] = match count as usize + names.len() {
            0 => &[],
            // SAFETY: the arguments by position come first, then as many as there are names.
            len => unsafe { slice::from_raw_parts(args, len) },
        };
        // SAFETY: the caller's arguments are alive.
        let borrow = |argument: &*mut ffi::PyObject| unsafe { Bound::from_borrowed_ptr(py, *argument) };
        let (by_position, by_name) = all.split_at(count as usize);
        let positional = [&slf].into_iter().chain(by_position).map(borrow);
        let positional = PyTuple::new(py, positional.collect::<Vec<_>>())?;
        let named = PyDict::new(py);
        for (name, value) in names.iter().zip(by_name) {
            named.set_item(name, borrow(value))?;
        }
        descriptor.call(py, positional, Some(&named))
    };
    call().map_or_else(
        |error| {
            error.restore(py);
            std::ptr::null_mut()
        },
        Py::into_ptr,
    )
}
