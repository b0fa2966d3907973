//! The named objects of a region, as methods of `shmkit.Region`: each is found or created by whoever comes first.

use pyo3::prelude::*;
use pyo3::types::PyString;
use shmkit::{ErrorKind, EventReset, ObjectMode, PoolOptions};

use crate::arguments::{self, Place};
use crate::atomic::Atomic;
use crate::barrier::Barrier;
use crate::condvar::Condvar;
use crate::error::Result;
use crate::event::Event;
use crate::heap::{self, Heap};
use crate::mutex::Mutex;
use crate::object::name_of;
use crate::pool::Pool;
use crate::region::Region;
use crate::rwlock::RwLock;
use crate::semaphore::Semaphore;
use crate::status;
use crate::value::Value;

#[pymethods]
impl Region {
    /// The mutex of this name, created when it is missing. Like every named object, it stays open when this handle is
    /// closed, and lives on in the region until `remove_object`.
    ///
    /// Raises WrongKindError, InvalidNameError, NoSpaceError (the arena is full), ReadOnlyError, ClosedError.
    fn mutex(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> Result<Mutex> {
        let name = name_of(name);
        Ok(Mutex::new(py.detach(|| self.core.mutex(&name))?, &self.origin))
    }

    /// The reader–writer lock of this name, created when it is missing. Raises as `mutex` does.
    fn rwlock(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> Result<RwLock> {
        let name = name_of(name);
        Ok(RwLock::new(py.detach(|| self.core.rwlock(&name))?, &self.origin))
    }

    /// The semaphore of this name, created with `initial` permits when it is missing, of at most `max`.
    ///
    /// With `tracked`, permits belong to the process that acquired them and come back when it dies; all are available at
    /// first. Raises ParameterMismatchError, InvalidArgumentError, and as `mutex` does.
    #[pyo3(signature = (name, initial, *, max=None, tracked=false))]
    fn semaphore(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        initial: &Bound<'_, PyAny>,
        max: Option<&Bound<'_, PyAny>>,
        tracked: bool,
    ) -> Result<Semaphore> {
        let name = name_of(name);
        let label = format!("{}:{name}", self.origin.region);
        let place = Place { operation: "open semaphore", object: &label };
        let initial = arguments::count(initial, place)?;
        let max = max.map(|max| arguments::count(max, place)).transpose()?;
        let open = || Semaphore::open(&self.core, &self.origin, &name, (initial, max), tracked);
        Ok(py.detach(open)?)
    }

    /// The condition variable of this name, created when it is missing. `mutex` is what its `wait` gives back meanwhile;
    /// without one it can only notify. Raises as `mutex` does.
    #[pyo3(signature = (name, mutex=None))]
    fn condvar(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        mutex: Option<Py<Mutex>>,
    ) -> Result<Condvar> {
        let name = name_of(name);
        Ok(Condvar::new(py.detach(|| self.core.condvar(&name))?, &self.origin, mutex))
    }

    /// The event of this name, created (not set) when it is missing. An automatic one lets one waiter pass for each `set`.
    ///
    /// Raises ParameterMismatchError, and as `mutex` does.
    #[pyo3(signature = (name, *, automatic=false))]
    fn event(&self, py: Python<'_>, name: &Bound<'_, PyString>, automatic: bool) -> Result<Event> {
        let name = name_of(name);
        let reset = if automatic { EventReset::Automatic } else { EventReset::Manual };
        Ok(Event::new(py.detach(|| self.core.event(&name, reset))?, &self.origin))
    }

    /// The barrier of this name for `parties` participants, created when it is missing.
    ///
    /// Raises ParameterMismatchError, InvalidArgumentError, and as `mutex` does.
    fn barrier(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        parties: &Bound<'_, PyAny>,
    ) -> Result<Barrier> {
        let name = name_of(name);
        let label = format!("{}:{name}", self.origin.region);
        let parties = arguments::count(parties, Place { operation: "open barrier", object: &label })?;
        Ok(Barrier::new(py.detach(|| self.core.barrier(&name, parties))?, &self.origin))
    }

    /// The heap of this name, created with room for `len` bytes of blocks when it is missing; without `len`, the one that
    /// exists, with whatever it was created. The arena must have room for it: `Heap.arena_len` says how much.
    ///
    /// `strategy` says which free block an allocation takes: "best_fit" (as None), "first_fit", or "buddy" with smallest blocks of
    /// `min_block` bytes (64). With `reclaim`, blocks of the dead are taken back as soon as a death is noticed or there is
    /// no room otherwise. Raises NotFoundError (without `len`), ParameterMismatchError, InvalidLengthError,
    /// InvalidArgumentError, NoSpaceError, and as `mutex` does.
    #[pyo3(signature = (name, len=None, *, strategy=None, min_block=None, reclaim=None))]
    fn heap(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        len: Option<&Bound<'_, PyAny>>,
        strategy: Option<&str>,
        min_block: Option<&Bound<'_, PyAny>>,
        reclaim: Option<bool>,
    ) -> Result<Heap> {
        let name = name_of(name);
        let label = format!("{}:{name}", self.origin.region);
        let place = Place { operation: "open heap", object: &label };
        let Some(len) = len else {
            if strategy.is_some() || min_block.is_some() || reclaim.is_some() {
                let text = "strategy, min_block and reclaim belong to a len";
                return Err(place.error(ErrorKind::InvalidArgument, text));
            }
            return Ok(Heap::new(py.detach(|| self.core.find_heap(&name))?, &self.origin));
        };
        let options =
            heap::options(len, strategy.unwrap_or("best_fit"), min_block, reclaim.unwrap_or(false), place)?;
        Ok(Heap::new(py.detach(|| self.core.heap(&name, options))?, &self.origin))
    }

    /// The atomic integer of this name, created with `initial` when it is missing. `type` is "u32", "u64" or "i64".
    ///
    /// Raises WrongKindError for another type too, InvalidArgumentError, and as `mutex` does.
    #[pyo3(
        signature = (name, r#type="u64", initial=None),
        text_signature = "($self, name, type='u64', initial=0)"
    )]
    fn atomic(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        r#type: &str,
        initial: Option<&Bound<'_, PyAny>>,
    ) -> Result<Atomic> {
        let zero = 0u32.into_pyobject(py).map_err(PyErr::from)?.into_any();
        Atomic::open(&self.core, &self.origin, &name_of(name), r#type, initial.unwrap_or(&zero))
    }

    /// The pool of this name, created with `count` blocks of `block_size` bytes, at multiples of `alignment` (None: 64), when it is
    /// missing; all are free then, and zero.
    /// Without both, the pool must exist, and is opened with whatever it was created.
    ///
    /// Raises ParameterMismatchError, InvalidArgumentError (the alignment: a power of two from 8 to 4096), InvalidLengthError,
    /// NotFoundError, CorruptedError, and as `mutex` does.
    #[pyo3(signature = (name, block_size=None, count=None, *, alignment=None))]
    fn pool(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        block_size: Option<&Bound<'_, PyAny>>,
        count: Option<&Bound<'_, PyAny>>,
        alignment: Option<&Bound<'_, PyAny>>,
    ) -> Result<Pool> {
        let name = name_of(name);
        let label = format!("{}:{name}", self.origin.region);
        let place = Place { operation: "open pool", object: &label };
        let pool = match (block_size, count) {
            (None, None) if alignment.is_none() => py.detach(|| self.core.find_pool(&name))?,
            (Some(block_size), Some(count)) => {
                let block_size = arguments::natural(block_size, ErrorKind::InvalidLength, place)?;
                let count = arguments::natural(count, ErrorKind::InvalidLength, place)?;
                let mut options = PoolOptions::new(block_size, u32::try_from(count).unwrap_or(u32::MAX));
                if let Some(alignment) = alignment {
                    let alignment = arguments::natural(alignment, ErrorKind::InvalidArgument, place)?;
                    options = options.alignment(alignment);
                }
                py.detach(|| self.core.pool(&name, options))?
            }
            _ => {
                let text = "a size and a number of blocks belong together, and an alignment to both";
                return Err(place.error(ErrorKind::InvalidArgument, text));
            }
        };
        Ok(Pool::new(pool, &self.origin))
    }

    /// The value of this name, created with `initial` (None: zeros) when it is missing.
    ///
    /// `format` is what it is made of: "u8" to "f64" for a number; a format of the struct module, as text or struct.Struct, for a
    /// tuple; a numpy dtype; a ctypes type. None takes it as it is: then it must exist. Other languages must say the same.
    ///
    /// Raises ParameterMismatchError (it is made of something else), InvalidArgumentError (the format makes no sense),
    /// NotFoundError, and as `mutex` does.
    #[pyo3(signature = (name, format=None, initial=None))]
    fn value(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        format: Option<Bound<'_, PyAny>>,
        initial: Option<Bound<'_, PyAny>>,
    ) -> Result<Value> {
        let format = format.unwrap_or_else(|| py.None().into_bound(py));
        Value::open(py, &self.core, &self.origin, &name_of(name), format, initial)
    }

    /// Another handle on the same region, through which named objects are only found ("find": NotFoundError when one is missing),
    /// only created ("create": AlreadyExistsError when it is there), or either ("find_or_create").
    ///
    /// Raises InvalidArgumentError, ClosedError.
    fn with_mode(&self, py: Python<'_>, mode: &str) -> Result<Region> {
        let choices = [
            ("find_or_create", ObjectMode::FindOrCreate),
            ("find", ObjectMode::Find),
            ("create", ObjectMode::Create),
        ];
        let place = Place { operation: "clone region", object: &self.origin.region };
        let mode = arguments::choose("mode", mode, &choices, place)?;
        Region::make(py, self.core.location().clone(), |_| self.core.with_mode(mode))
    }

    /// The named objects, in the order of their names: `shmkit.ObjectInfo`. Looking changes nothing, works on a read-only
    /// region, and waits for nobody. Raises CorruptedError, ClosedError.
    fn objects<'py>(&self, py: Python<'py>) -> Result<Vec<Bound<'py, PyAny>>> {
        let objects = py.detach(|| self.core.objects())?;
        objects.into_iter().map(|object| status::object_info(py, object)).collect()
    }

    /// What the named object of this name is, of whatever kind: `shmkit.ObjectInfo`. Raises NotFoundError, CorruptedError,
    /// ClosedError.
    fn find_object<'py>(&self, py: Python<'py>, name: &Bound<'_, PyString>) -> Result<Bound<'py, PyAny>> {
        let name = name_of(name);
        status::object_info(py, py.detach(|| self.core.find_object(&name))?)
    }

    /// Removes a named object of any kind; its name and its memory are free again.
    ///
    /// Raises NotFoundError, BusyError while a living process has it open, ReadOnlyError, ClosedError.
    fn remove_object(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> Result<()> {
        let name = name_of(name);
        Ok(py.detach(|| self.core.remove_object(&name))?)
    }
}
