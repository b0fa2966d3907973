//! Arguments that need more than a type: names and paths, lengths and offsets with an error of their own, durations.

use std::ops::Range;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use shmkit::{Advice, Error, ErrorKind, HugePages, Location, MemoryLock, Protection, Sharing};

use crate::error::{Failure, Result};

/// Where a call failed, should it: the operation, and the name or path.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub operation: &'static str,
    pub object: &'a str,
}

impl Place<'_> {
    pub fn error(&self, kind: ErrorKind, detail: impl Into<String>) -> Failure {
        Error::new(kind, self.operation, self.object).with_detail(detail).into()
    }
}

/// A `str` is a name, an `os.PathLike` a path.
pub fn location(value: &Bound<'_, PyAny>) -> Result<Location> {
    if let Ok(name) = value.cast::<PyString>() {
        // What is no Unicode text is no valid name either, and the core says so.
        return Ok(Location::Name(name.to_string_lossy().into_owned()));
    }
    if value.hasattr(intern!(value.py(), "__fspath__"))? {
        return Ok(Location::Path(value.extract::<PathBuf>()?));
    }
    let class = value.get_type().name()?;
    let text = format!("a name is a str and a path is an os.PathLike, not {class}");
    Err(PyTypeError::new_err(text).into())
}

/// A number from 0 to 2^64-1; an integer outside fails as `kind` says, anything else with `TypeError`.
pub fn natural(value: &Bound<'_, PyAny>, kind: ErrorKind, place: Place<'_>) -> Result<usize> {
    value.extract::<usize>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            place.error(kind, format!("{value} is not between 0 and 2**64-1"))
        } else {
            error.into()
        }
    })
}

/// An offset and a length, which without one reaches to the end. The core checks them.
pub fn span(
    offset: Option<&Bound<'_, PyAny>>,
    len: Option<&Bound<'_, PyAny>>,
    limit: usize,
    place: Place<'_>,
) -> Result<(usize, usize)> {
    let offset = offset.map_or(Ok(0), |offset| natural(offset, ErrorKind::OutOfRange, place))?;
    match len {
        Some(len) => Ok((offset, natural(len, ErrorKind::OutOfRange, place)?)),
        None => Ok((offset, limit.saturating_sub(offset))),
    }
}

/// As [`span`], for calls that take a range.
pub fn range(
    offset: Option<&Bound<'_, PyAny>>,
    len: Option<&Bound<'_, PyAny>>,
    limit: usize,
    place: Place<'_>,
) -> Result<Range<usize>> {
    let (offset, len) = span(offset, len, limit, place)?;
    Ok(offset..offset.saturating_add(len))
}

/// Seconds that are not negative. `None`: so long that nobody could tell it from for ever.
pub fn seconds(value: f64, place: Place<'_>) -> Result<Option<Duration>> {
    if value.is_nan() || value < 0.0 {
        return Err(place.error(ErrorKind::InvalidArgument, format!("a timeout of {value} seconds")));
    }
    Ok(Duration::try_from_secs_f64(value).ok())
}

/// A time limit as the waits of `threading` take it: a negative one is over already. `None` is no limit.
pub fn limit(value: Option<f64>, place: Place<'_>) -> Result<Option<Duration>> {
    match value {
        None => Ok(None),
        Some(value) if value < 0.0 => Ok(Some(Duration::ZERO)),
        Some(value) => seconds(value, place),
    }
}

/// A number of permits or participants.
pub fn count(value: &Bound<'_, PyAny>, place: Place<'_>) -> Result<u32> {
    value.extract::<u32>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            place.error(ErrorKind::InvalidArgument, format!("{value} is not between 0 and 2**32-1"))
        } else {
            error.into()
        }
    })
}

/// An open descriptor: an integer, or an object with `fileno()`.
pub fn descriptor(value: &Bound<'_, PyAny>, place: Place<'_>) -> Result<RawFd> {
    let fileno = intern!(value.py(), "fileno");
    let fd = if value.hasattr(fileno)? { value.call_method0(fileno)?.extract()? } else { value.extract()? };
    if fd < 0 {
        return Err(place.error(ErrorKind::InvalidArgument, format!("descriptor {fd}")));
    }
    Ok(fd)
}

/// A `Protection`, or its value as a string.
pub fn protection(value: &str, place: Place<'_>) -> Result<Protection> {
    let choices =
        [("none", Protection::None), ("read", Protection::Read), ("read_write", Protection::ReadWrite)];
    choose("protection", value, &choices, place)
}

/// A `Sharing`, or its value as a string.
pub fn sharing(value: &str, place: Place<'_>) -> Result<Sharing> {
    choose("sharing", value, &[("shared", Sharing::Shared), ("private", Sharing::Private)], place)
}

/// An `Advice`, or its value as a string.
pub fn advice(value: &str, place: Place<'_>) -> Result<Advice> {
    let choices = [
        ("normal", Advice::Normal),
        ("random", Advice::Random),
        ("sequential", Advice::Sequential),
        ("will_need", Advice::WillNeed),
        ("dont_need", Advice::DontNeed),
        ("free", Advice::Free),
        ("remove", Advice::Remove),
        ("mergeable", Advice::Mergeable),
        ("unmergeable", Advice::Unmergeable),
        ("huge_page", Advice::HugePage),
        ("no_huge_page", Advice::NoHugePage),
        ("dont_dump", Advice::DontDump),
        ("do_dump", Advice::DoDump),
        ("wipe_on_fork", Advice::WipeOnFork),
        ("keep_on_fork", Advice::KeepOnFork),
        ("cold", Advice::Cold),
        ("page_out", Advice::PageOut),
        ("populate_read", Advice::PopulateRead),
        ("populate_write", Advice::PopulateWrite),
        ("dont_need_locked", Advice::DontNeedLocked),
        ("collapse", Advice::Collapse),
    ];
    choose("advice", value, &choices, place)
}

/// A `HugePages`, or its value as a string.
pub fn huge_pages(value: &str, place: Place<'_>) -> Result<HugePages> {
    let choices = [
        ("as_system", HugePages::AsSystem),
        ("transparent", HugePages::Transparent),
        ("never", HugePages::Never),
        ("reserved", HugePages::Reserved),
        ("reserved_2mib", HugePages::Reserved2Mib),
        ("reserved_1gib", HugePages::Reserved1Gib),
    ];
    choose("huge pages", value, &choices, place)
}

/// A `MemoryLock`, or its value as a string; `None` for no lock.
pub fn memory_lock(value: Option<&str>, place: Place<'_>) -> Result<Option<MemoryLock>> {
    let choices = [("now", MemoryLock::Now), ("on_fault", MemoryLock::OnFault)];
    value.map(|value| choose("lock", value, &choices, place)).transpose()
}

/// The choice that a string names.
pub fn choose<T: Copy>(what: &str, value: &str, choices: &[(&str, T)], place: Place<'_>) -> Result<T> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        place.error(ErrorKind::InvalidArgument, format!("{what} '{value}', not one of {}", names.join(", ")))
    })
}
