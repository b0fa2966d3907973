//! `shmkit.Region`.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMemoryView, PyString, PyTuple};
use pyo3::{ffi, intern};
use shmkit::{Error, ErrorKind, EventReset, Flush, Location, ObjectMode, PoolOptions, RegionOptions, layout};

use crate::arguments::{self, Place};
use crate::atomic::Atomic;
use crate::barrier::Barrier;
use crate::bytes;
use crate::condvar::Condvar;
use crate::error::{Result, on_exit};
use crate::event::Event;
use crate::guard::Guard;
use crate::heap::{self, Heap};
use crate::lock::Lock;
use crate::mutex::Mutex as SharedMutex;
use crate::object::{Origin, name_of};
use crate::pages;
use crate::pool::Pool;
use crate::rwlock::RwLock;
use crate::segment;
use crate::semaphore::Semaphore;
use crate::status;
use crate::value::Value;
use crate::view::{self, Source};

/// A named piece of memory that processes in any language attach to: `len` bytes, and a guard over them.
///
/// Make one with `Region.create`, `Region.open` or `Region.open_or_create`. A `str` names a shared memory object, an
/// `os.PathLike` a file. It is a buffer (memoryview, numpy, ctypes see the same bytes, without a copy) and a sequence
/// of bytes. `close()` and `with` end the use of this handle; the region lives on until `Region.unlink`.
///
/// Any thread may use it. Without the guard, a copy of bytes that another process writes may be torn. A forked child
/// may go on using it; pickling sends the name, and the other process opens it anew.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Region {
    core: Arc<shmkit::Region>,
    origin: Arc<Origin>,
    guard: PyOnceLock<Py<Guard>>,
    /// What `fileno` answered: open until the handle closes, because a child that is started gets it later.
    fd: Mutex<Option<OwnedFd>>,
}

impl Region {
    /// Opens or creates without the interpreter: reserving storage takes its time.
    fn make(
        py: Python<'_>,
        location: Location,
        open: impl FnOnce(Location) -> shmkit::Result<shmkit::Region> + Send,
    ) -> Result<Region> {
        let core = py.detach(|| open(location))?;
        let origin = Arc::new(Origin::new(&core));
        Ok(Region { core: Arc::new(core), origin, guard: PyOnceLock::new(), fd: Mutex::new(None) })
    }

    /// The guard without options, once somebody asked for it.
    #[inline]
    pub fn made_guard(&self, py: Python<'_>) -> Option<&Py<Guard>> {
        self.guard.get(py)
    }

    fn source(&self) -> Source {
        Source::Region(Arc::clone(&self.core))
    }
}

#[pymethods]
impl Region {
    /// Creates a region of `len` zeroed bytes.
    ///
    /// `mode` are its permission bits exactly, `group` a group id, `attachments` how many processes can be attached at
    /// once (1 to 1023), `arena_len` the bytes for named objects. All bytes are backed by storage from the start.
    /// `capacity` is the most bytes that `resize` can give it later.
    ///
    /// Raises AlreadyExistsError, InvalidNameError, InvalidLengthError, InvalidArgumentError, NoSpaceError,
    /// PermissionDeniedError.
    #[staticmethod]
    #[pyo3(signature = (
        name, len, *, mode=0o600, group=None,
        attachments=layout::DEFAULT_SLOT_COUNT, arena_len=layout::DEFAULT_ARENA_LEN, capacity=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        mode: u32,
        group: Option<u32>,
        attachments: u32,
        arena_len: u64,
        capacity: Option<u64>,
    ) -> Result<Region> {
        let (location, len) = location_and_len(name, len, "create region")?;
        let options = options(mode, group, attachments, arena_len, capacity);
        Region::make(py, location, |location| options.create(location, len))
    }

    /// Opens a region, and attaches this process to it. With `read_only` nothing in it changes, and it has no lock.
    ///
    /// Raises NotFoundError, PermissionDeniedError, InvalidNameError, BadMagicError, VersionMismatchError,
    /// WrongKindError, TruncatedError, CorruptedError, TooManyAttachmentsError.
    #[staticmethod]
    #[pyo3(signature = (name, *, read_only=false))]
    fn open(py: Python<'_>, name: &Bound<'_, PyAny>, read_only: bool) -> Result<Region> {
        Region::make(py, arguments::location(name)?, |location| {
            if read_only { shmkit::Region::open_read_only(location) } else { shmkit::Region::open(location) }
        })
    }

    /// Opens the region of this name, or creates it as `create` does. Of several at once, one creates and all get it.
    ///
    /// Raises SizeMismatchError when it exists with another length (or capacity, when one was asked), and what `open` and `create` raise.
    #[staticmethod]
    #[pyo3(signature = (
        name, len, *, mode=0o600, group=None,
        attachments=layout::DEFAULT_SLOT_COUNT, arena_len=layout::DEFAULT_ARENA_LEN, capacity=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn open_or_create(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        len: &Bound<'_, PyAny>,
        mode: u32,
        group: Option<u32>,
        attachments: u32,
        arena_len: u64,
        capacity: Option<u64>,
    ) -> Result<Region> {
        let (location, len) = location_and_len(name, len, "open or create region")?;
        let options = options(mode, group, attachments, arena_len, capacity);
        Region::make(py, location, |location| options.open_or_create(location, len))
    }

    /// Creates a region without a name: only its descriptor leads to it. It goes with the last who has it open.
    ///
    /// A forked child keeps it; others get it by pickling (to a child that is being started), or by `fileno()`
    /// and `from_fd`. Raises InvalidLengthError, InvalidArgumentError, NoSpaceError.
    #[staticmethod]
    #[pyo3(signature = (
        len, *, attachments=layout::DEFAULT_SLOT_COUNT, arena_len=layout::DEFAULT_ARENA_LEN, capacity=None
    ))]
    fn create_unnamed(
        py: Python<'_>,
        len: &Bound<'_, PyAny>,
        attachments: u32,
        arena_len: u64,
        capacity: Option<u64>,
    ) -> Result<Region> {
        let place = Place { operation: "create region", object: "" };
        let len = arguments::natural(len, ErrorKind::InvalidLength, place)? as u64;
        let options = options(0o600, None, attachments, arena_len, capacity);
        Region::make(py, Location::Unnamed, |_| options.create_unnamed(len))
    }

    /// Opens the region behind a descriptor, or an object with `fileno()`, which may be closed afterwards: an inherited or
    /// received one. Raises WrongKindError, and what `open` raises.
    #[staticmethod]
    fn from_fd(py: Python<'_>, fd: &Bound<'_, PyAny>) -> Result<Region> {
        let fd = arguments::descriptor(fd, Place { operation: "open region", object: "" })?;
        Region::make(py, Location::Unnamed, |_| shmkit::Region::from_fd(segment::borrow(fd)))
    }

    /// A descriptor of the region, which stays this handle's and is close-on-exec; other processes open what they inherit or
    /// receive of it with `from_fd`. Raises ClosedError.
    fn fileno(&self) -> Result<i32> {
        let mut kept = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
        let fd = match kept.take() {
            Some(fd) if !self.core.is_closed() => fd,
            _ => self.core.try_clone_fd()?,
        };
        Ok(kept.insert(fd).as_raw_fd())
    }

    /// Removes a region's name. Processes that have it open keep it; its memory goes with the last of them.
    ///
    /// Raises NotFoundError, InvalidNameError, PermissionDeniedError.
    #[staticmethod]
    fn unlink(py: Python<'_>, name: &Bound<'_, PyAny>) -> Result<()> {
        let location = arguments::location(name)?;
        Ok(py.detach(|| shmkit::Region::unlink(location))?)
    }

    /// Ends the use of this handle; repeating it does nothing. The region stays, for others and for later.
    ///
    /// Raises BusyError, also a BufferError, while a memoryview or array of it lives, a thread waits for its guard, or
    /// this process holds the guard and this handle is its last.
    fn close(&self) -> Result<()> {
        self.core.close()?;
        self.fd.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }

    /// Raises when the file has lost pages that belong to the region.
    ///
    /// Somebody who may write the file can also cut it. Touching what is missing would kill the process (SIGBUS); under the
    /// fault guard it reads as zeros, and from then on everything but closing raises, for the region and for the objects in
    /// it. Other processes find out for themselves.
    ///
    /// Raises MappingTruncatedError (also when nobody has touched the missing pages yet), ClosedError.
    fn check(&self) -> Result<()> {
        Ok(self.core.check()?)
    }

    /// Gives the region `len` bytes, for all processes: they see it at their next use. New bytes are zeros. Views keep their
    /// addresses and lengths, and see zeros where bytes were taken away. The guard is not taken.
    ///
    /// Raises InvalidLengthError (0), LimitExceededError (more than the capacity), NoSpaceError, BusyError, also a
    /// BufferError (shrinking, while a view of this handle lives), TimeoutError, ReadOnlyError, ClosedError.
    fn resize(&self, py: Python<'_>, len: &Bound<'_, PyAny>) -> Result<()> {
        let object = self.core.location().display();
        let place = Place { operation: "resize region", object: &object };
        let len = arguments::natural(len, ErrorKind::LimitExceeded, place)?;
        Ok(py.detach(|| self.core.resize(len))?)
    }

    /// The most bytes that `resize` can give it.
    #[getter]
    fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// The lock over the bytes, with the methods of `threading.Lock`.
    #[getter]
    fn guard(&self, py: Python<'_>) -> Result<Py<Guard>> {
        let guard = self
            .guard
            .get_or_try_init(py, || Py::new(py, Guard::new(Lock::Region(Arc::clone(&self.core)))))?;
        Ok(guard.clone_ref(py))
    }

    /// The guard for a `with` statement: `with region.lock(timeout=1.5): ...`
    ///
    /// Waits at most `timeout` seconds, then raises TimeoutError. When an owner died inside, raises OwnerDiedError and
    /// does not hold the lock; with `recover`, holds it and says so in the guard's `owner_died`: repair the bytes, then
    /// call its `make_consistent()`.
    #[pyo3(signature = (timeout=None, *, recover=false))]
    fn lock(&self, py: Python<'_>, timeout: Option<f64>, recover: bool) -> Result<Py<Guard>> {
        if timeout.is_none() && !recover {
            return self.guard(py);
        }
        Ok(Py::new(py, Guard::with_options(Lock::Region(Arc::clone(&self.core)), timeout, recover)?)?)
    }

    /// The mutex of this name, created when it is missing. Like every named object, it stays open when this handle is
    /// closed, and lives on in the region until `remove_object`.
    ///
    /// Raises WrongKindError, InvalidNameError, NoSpaceError (the arena is full), ReadOnlyError, ClosedError.
    fn mutex(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> Result<SharedMutex> {
        let name = name_of(name);
        Ok(SharedMutex::new(py.detach(|| self.core.mutex(&name))?, &self.origin))
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
        mutex: Option<Py<SharedMutex>>,
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
    /// `strategy` says which free block an allocation takes: "best_fit", "first_fit", or "buddy" with smallest blocks of
    /// `min_block` bytes (64). With `reclaim`, blocks of the dead are taken back as soon as a death is noticed or there is
    /// no room otherwise. Raises NotFoundError (without `len`), ParameterMismatchError, InvalidLengthError,
    /// InvalidArgumentError, NoSpaceError, and as `mutex` does.
    #[pyo3(signature = (name, len=None, *, strategy="best_fit", min_block=None, reclaim=false))]
    fn heap(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        len: Option<&Bound<'_, PyAny>>,
        strategy: &str,
        min_block: Option<u32>,
        reclaim: bool,
    ) -> Result<Heap> {
        let name = name_of(name);
        let Some(len) = len else {
            return Ok(Heap::new(py.detach(|| self.core.find_heap(&name))?, &self.origin));
        };
        let label = format!("{}:{name}", self.origin.region);
        let place = Place { operation: "open heap", object: &label };
        let options = heap::options(len, strategy, min_block, reclaim, place)?;
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

    /// The pool of this name, created with `count` blocks of `block_size` bytes when it is missing; all are free then, and zero.
    /// Without both, the pool must exist, and is opened with whatever it was created.
    ///
    /// Raises ParameterMismatchError, InvalidArgumentError (the alignment: a power of two from 8 to 4096), InvalidLengthError,
    /// NotFoundError, CorruptedError, and as `mutex` does.
    #[pyo3(signature = (name, block_size=None, count=None, *, alignment=layout::POOL_ALIGNMENT))]
    fn pool(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        block_size: Option<&Bound<'_, PyAny>>,
        count: Option<&Bound<'_, PyAny>>,
        alignment: usize,
    ) -> Result<Pool> {
        let name = name_of(name);
        let label = format!("{}:{name}", self.origin.region);
        let place = Place { operation: "open pool", object: &label };
        let pool = match (block_size, count) {
            (None, None) => py.detach(|| self.core.find_pool(&name))?,
            (Some(block_size), Some(count)) => {
                let block_size = arguments::natural(block_size, ErrorKind::InvalidLength, place)?;
                let options =
                    PoolOptions::new(block_size, arguments::count(count, place)?).alignment(alignment);
                py.detach(|| self.core.pool(&name, options))?
            }
            _ => {
                let text = "a size and a number of blocks belong together";
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

    /// A copy of `len` bytes at `offset`. Raises OutOfRangeError, ClosedError.
    fn read_at<'py>(
        &self,
        offset: &Bound<'py, PyAny>,
        len: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyBytes>> {
        bytes::read_at(&*self.core, offset, len)
    }

    /// Copies any contiguous bytes to `offset`. Raises OutOfRangeError, ReadOnlyError, ClosedError.
    fn write_at(&self, offset: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> Result<()> {
        bytes::write_at(&*self.core, offset, data)
    }

    /// A memoryview of a range, without a copy. `writable` of None: as the region allows. Until it is released, this
    /// handle cannot be closed. Raises OutOfRangeError, ReadOnlyError, ClosedError.
    #[pyo3(
        signature = (offset=None, len=None, *, writable=None),
        text_signature = "($self, offset=0, len=None, *, writable=None)"
    )]
    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: Option<&Bound<'py, PyAny>>,
        len: Option<&Bound<'py, PyAny>>,
        writable: Option<bool>,
    ) -> Result<Bound<'py, PyMemoryView>> {
        view::memoryview(py, self.source(), offset, len, writable)
    }

    /// A memoryview of all bytes that cannot write.
    fn readonly<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyMemoryView>> {
        view::memoryview(py, self.source(), None, None, Some(false))
    }

    /// A numpy array on the bytes from `offset`, without a copy; without `shape`, of one dimension and as long as fits.
    /// Until it dies, this handle cannot be closed.
    #[pyo3(
        signature = (dtype, shape=None, offset=None),
        text_signature = "($self, dtype, shape=None, offset=0)"
    )]
    fn ndarray<'py>(
        &self,
        py: Python<'py>,
        dtype: &Bound<'py, PyAny>,
        shape: Option<&Bound<'py, PyAny>>,
        offset: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>> {
        view::ndarray(py, self.source(), dtype, shape, offset)
    }

    /// Carries bytes of a region in a file to the disk; without `sync`, only starts to. `invalidate` drops cached
    /// copies that differ from the file. A shared memory object has no disk behind it: the call does nothing.
    ///
    /// Raises OutOfRangeError, ClosedError, IoError.
    #[pyo3(
        signature = (offset=None, len=None, *, sync=true, invalidate=false),
        text_signature = "($self, offset=0, len=None, *, sync=True, invalidate=False)"
    )]
    fn flush(
        &self,
        py: Python<'_>,
        offset: Option<&Bound<'_, PyAny>>,
        len: Option<&Bound<'_, PyAny>>,
        sync: bool,
        invalidate: bool,
    ) -> Result<()> {
        let object = self.core.location().display();
        let place = Place { operation: "flush region", object: &object };
        let range = arguments::range(offset, len, self.core.len(), place)?;
        let flush = if sync { Flush::Sync } else { Flush::Async };
        Ok(py.detach(|| {
            if invalidate {
                self.core.flush_and_invalidate(range, flush)
            } else {
                self.core.flush(range, flush)
            }
        })?)
    }

    /// What goes on in it, as a dictionary: who is attached, who holds and waits for what since when, how many owners
    /// died. `shmkit.RegionStatus` says what is in it.
    ///
    /// Looking changes nothing, works on a read-only region, and waits for nobody. Raises ClosedError, CorruptedError.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        status::of(py, &self.core)
    }

    /// The name, or the path as text.
    #[getter]
    fn name(&self) -> String {
        self.core.location().display().into_owned()
    }

    /// What opens it again in any process: the name as a str, or the absolute path as a pathlib.Path.
    #[getter]
    fn location<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.origin.location(py)
    }

    /// Drawn at random at creation, 16 bytes: another region that later bears the name has another one.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.core.id())
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.len()
    }

    /// Whether it was opened for reading only.
    #[getter]
    fn read_only(&self) -> bool {
        self.core.is_read_only()
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Tells the kernel what a range will be used for. Raises OutOfRangeError, InvalidArgumentError, ReadOnlyError, ClosedError,
    /// UnsupportedError (this kernel, or this kind of memory, knows no such advice).
    #[pyo3(
        signature = (advice, offset=None, len=None),
        text_signature = "($self, advice, offset=0, len=None)"
    )]
    fn advise(
        &self,
        py: Python<'_>,
        advice: &str,
        offset: Option<&Bound<'_, PyAny>>,
        len: Option<&Bound<'_, PyAny>>,
    ) -> Result<()> {
        pages::advise(py, &*self.core, advice, (offset, len))
    }

    /// The state of each page of a range, a `Residency`. Raises OutOfRangeError, ClosedError.
    #[pyo3(signature = (offset=None, len=None), text_signature = "($self, offset=0, len=None)")]
    fn residency<'py>(
        &self,
        py: Python<'py>,
        offset: Option<&Bound<'py, PyAny>>,
        len: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>> {
        pages::residency(py, &*self.core, (offset, len))
    }

    /// How many pages have which flag, in each of `cells` equal parts of a range (fewer when it has fewer pages): a list of
    /// `PageCounts`. Raises OutOfRangeError, InvalidArgumentError, ClosedError.
    #[pyo3(
        signature = (cells, offset=None, len=None),
        text_signature = "($self, cells, offset=0, len=None)"
    )]
    fn page_counts<'py>(
        &self,
        py: Python<'py>,
        cells: &Bound<'py, PyAny>,
        offset: Option<&Bound<'py, PyAny>>,
        len: Option<&Bound<'py, PyAny>>,
    ) -> Result<Vec<Bound<'py, PyAny>>> {
        pages::page_counts(py, &*self.core, cells, (offset, len))
    }

    /// How much memory it takes, a `MemoryUse`. Raises ClosedError.
    fn memory_use<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        pages::memory_use(py, &*self.core)
    }

    /// Keeps the pages of a range in memory; with `on_fault`, each from when it is first touched. Children do not inherit
    /// that, and one unlock frees what several locks kept.
    ///
    /// Raises OutOfMemoryError (more than the process may lock: the message says how much), OutOfRangeError, ClosedError.
    #[pyo3(
        signature = (offset=None, len=None, *, on_fault=false),
        text_signature = "($self, offset=0, len=None, *, on_fault=False)"
    )]
    fn lock_memory(
        &self,
        py: Python<'_>,
        offset: Option<&Bound<'_, PyAny>>,
        len: Option<&Bound<'_, PyAny>>,
        on_fault: bool,
    ) -> Result<()> {
        pages::lock_memory(py, &*self.core, (offset, len), on_fault)
    }

    /// Lets the pages of a range go again. Raises OutOfRangeError, ClosedError.
    #[pyo3(signature = (offset=None, len=None), text_signature = "($self, offset=0, len=None)")]
    fn unlock_memory(
        &self,
        py: Python<'_>,
        offset: Option<&Bound<'_, PyAny>>,
        len: Option<&Bound<'_, PyAny>>,
    ) -> Result<()> {
        pages::unlock_memory(py, &*self.core, (offset, len))
    }

    /// Whether a flush has somewhere to go: a file on a device, and shared. Elsewhere a flush succeeds and does nothing.
    #[getter]
    fn persistent(&self) -> bool {
        self.core.is_persistent()
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        bytes::get_item(&*self.core, key)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<()> {
        bytes::set_item(&*self.core, key, value)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes. An exception of the body wins over one of the close.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let _ = (exc_value, traceback);
        on_exit(exc_type, self.close())
    }

    /// Pickles by name and id: who unpickles opens the same region, or gets ReplacedError.
    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        if self.core.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "pickle region", self.name()).into());
        }
        if self.origin.location == Location::Unnamed {
            let module = py.import(intern!(py, "shmkit._pickle"))?;
            let reduced = module.getattr(intern!(py, "reduce_descriptor"))?;
            let from_fd = py.get_type::<Region>().getattr(intern!(py, "from_fd"))?;
            return Ok(reduced.call1((from_fd, self.fileno()?))?.extract()?);
        }
        let reopen = py.import(intern!(py, "shmkit._native"))?.getattr(intern!(py, "_reopen"))?;
        let arguments = (self.location(py)?, self.id(py), self.read_only()).into_pyobject(py)?;
        Ok((reopen, arguments))
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Result<()> {
        let core = &*slf.get().core;
        // SAFETY: Python's request for this object, which keeps the region.
        unsafe {
            bytes::fill_buffer(core, (0, core.len()), !core.is_read_only(), slf.as_any().clone(), view, flags)
        }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python hands back what `__getbuffer__` filled, once.
        unsafe { bytes::release_buffer(&*self.core, view) }
    }

    fn __repr__(&self) -> String {
        let read_only = if self.core.is_read_only() { ", read-only" } else { "" };
        let closed = if self.core.is_closed() { ", closed" } else { "" };
        format!("<shmkit.Region '{}', {} bytes{read_only}{closed}>", self.name(), self.core.len())
    }
}

/// Opens a region that was pickled.
#[pyfunction]
pub fn _reopen(py: Python<'_>, location: &Bound<'_, PyAny>, id: [u8; 16], read_only: bool) -> Result<Region> {
    let region = Region::open(py, location, read_only)?;
    region.core.expect_id(id)?;
    Ok(region)
}

fn location_and_len(
    name: &Bound<'_, PyAny>,
    len: &Bound<'_, PyAny>,
    operation: &'static str,
) -> Result<(Location, u64)> {
    let location = arguments::location(name)?;
    let object = location.display();
    let len = arguments::natural(len, ErrorKind::InvalidLength, Place { operation, object: &object })?;
    drop(object);
    Ok((location, len as u64))
}

fn options(
    mode: u32,
    group: Option<u32>,
    attachments: u32,
    arena_len: u64,
    capacity: Option<u64>,
) -> RegionOptions {
    let mut options = RegionOptions::new().mode(mode).attachments(attachments).arena_len(arena_len);
    if let Some(capacity) = capacity {
        options = options.capacity(capacity);
    }
    match group {
        Some(group) => options.group(group),
        None => options,
    }
}
