//! [`Value`]: a number or a small struct in a region, read and written whole. What happens to the words is in
//! [`crate::protocol::value`].
//!
//! ```text
//! record (64) · format, 256 bytes that end with zeros · two copies of the value, each padded to 8 bytes
//! ```

mod format;

use std::marker::PhantomData;

use bytemuck::Pod;

use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{ObjectKind, ValueRecord};
use crate::protocol::value::ValueWords;
use crate::protocol::wait::Stop;
use crate::region::object::{Object, Shape};
use crate::region::{ObjectMode, Region};
use format::{Format, MAX_TEXT};

/// Words of the format.
const TEXT_WORDS: usize = (MAX_TEXT + 1) / 8;

/// A type that a [`Value`] can hold: any bytes are one, and it can say in a text what it is made of.
///
/// ```
/// use shmkit::{Region, ValueType};
///
/// #[repr(C)]
/// #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
/// struct Position {
///     x: f64,
///     y: f64,
///     floor: u64,
/// }
///
/// impl ValueType for Position {
///     fn format() -> String {
///         "2dQ".into() // as Python's struct module writes it
///     }
/// }
///
/// # let name = format!("doc-value-{}", std::process::id());
/// # let region = Region::create(name.as_str(), 4096)?;
/// # Region::unlink(name.as_str())?;
/// let position = region.value("position", Position { x: 0.0, y: 0.0, floor: 1 })?;
/// position.store(Position { x: 1.5, y: 2.5, floor: 1 })?;
/// position.update(|now| Position { floor: now.floor + 1, ..now })?;
/// assert_eq!(position.load()?, Position { x: 1.5, y: 2.5, floor: 2 });
/// # Ok::<(), shmkit::Error>(())
/// ```
pub trait ValueType: Pod {
    /// The types of the members as Python's `struct` module writes them: `d` for `f64`, `3I` for `[u32; 3]`, `x` for a byte of
    /// padding. With a `=` in front, members follow each other; without, they are aligned as C does. For a single number also
    /// its name: `f64`.
    fn format() -> String;
}

macro_rules! scalars {
    ($($type:ty: $code:literal),*) => {$(
        impl ValueType for $type {
            fn format() -> String {
                $code.to_owned()
            }
        }
    )*};
}

scalars!(u8: "B", i8: "b", u16: "H", i16: "h", u32: "I", i32: "i", u64: "Q", i64: "q", f32: "f", f64: "d");

impl<T: ValueType, const N: usize> ValueType for [T; N]
where
    [T; N]: Pod,
{
    fn format() -> String {
        let one = T::format();
        if one.len() == 1 { format!("{N}{one}") } else { one.repeat(N) }
    }
}

/// A value in a region that processes read and write whole: no reader sees a half of one write and a half of another, and
/// a writer that is killed leaves the value as it was.
///
/// Readers wait for nobody. Values of at most 8 bytes are one atomic word; larger ones have writers take turns.
pub struct Value<T: ValueType> {
    bytes: ValueBytes,
    value: PhantomData<fn() -> T>,
}

/// A [`Value`] without its type: some bytes, for languages that have types of their own.
pub struct ValueBytes {
    object: Object<ValueRecord, AtomicU64>,
    format: String,
    size: usize,
}

const OPEN: &str = "open value";

impl Region {
    /// The value of this name, created with `initial` when it is missing.
    ///
    /// Errors: `WrongKind`, `ParameterMismatch` (it is made of other types), `InvalidArgument` (the type's format is not
    /// that of its bytes), `InvalidName`, `NoSpace` (the arena is full), `ReadOnly`, `Closed`.
    pub fn value<T: ValueType>(&self, name: &str, initial: T) -> Result<Value<T>> {
        let bytes =
            self.value_bytes(name, size_of::<T>(), Some(&T::format()), bytemuck::bytes_of(&initial))?;
        Ok(Value { bytes, value: PhantomData })
    }

    /// The value of this name as bytes, created with `initial` (or zeros, if that is empty) when it is missing.
    ///
    /// `size` of 0: as many bytes as it has, or as the format says. `format` of `None`: whatever it is made of; only one
    /// that is not to be created can have both. Errors: as [`Region::value`], `NotFound`.
    pub fn value_bytes(
        &self,
        name: &str,
        size: usize,
        format: Option<&str>,
        initial: &[u8],
    ) -> Result<ValueBytes> {
        let label = || format!("{}:{name}", self.location().display());
        let refuse = |text: String| Error::new(ErrorKind::InvalidArgument, OPEN, label()).with_detail(text);
        let found = match format {
            Some(_) => None,
            None => self.find_value(name)?,
        };
        if let Some([found_size, hash]) = found {
            let found_size = usize::try_from(found_size).unwrap_or(usize::MAX);
            if size != 0 && size != found_size || !(1..=format::MAX_SIZE).contains(&found_size) {
                return Err(Error::new(ErrorKind::ParameterMismatch, OPEN, label())
                    .with_detail(format!("it has {found_size} bytes, {size} asked")));
            }
            let mode = match self.object_mode() {
                ObjectMode::Create => ObjectMode::Create,
                _ => ObjectMode::Find,
            };
            return ValueBytes::open(self, name, found_size, hash, mode, |_| Ok(()));
        }
        let parsed = match format {
            Some(text) => Format::parse(text, Some(size).filter(|size| *size > 0)),
            None if size == 0 => {
                return Err(Error::new(ErrorKind::NotFound, OPEN, label()));
            }
            None => Format::parse(&format!("{size}x"), Some(size)),
        };
        let parsed = parsed.map_err(refuse)?;
        if !initial.is_empty() && initial.len() != parsed.size {
            return Err(refuse(format!("an initial value of {} bytes, not {}", initial.len(), parsed.size)));
        }
        let copies_at = size_of::<ValueRecord>() + TEXT_WORDS * 8;
        ValueBytes::open(self, name, parsed.size, parsed.hash(), self.object_mode(), |payload| {
            payload.write_at(size_of::<ValueRecord>(), parsed.text.as_bytes())?;
            payload.write_at(copies_at, initial)
        })
        .map_err(|error| self.tell_format(error, name, &parsed))
    }

    /// A value that exists with another format than asked for, for people.
    #[cold]
    fn tell_format(&self, error: Error, name: &str, asked: &Format) -> Error {
        if error.kind() != ErrorKind::ParameterMismatch {
            return error;
        }
        match self.value_bytes(name, 0, None, &[]) {
            Ok(found) => error.with_detail(format!(
                "it is '{}' in {} bytes, not '{}' in {}",
                found.format(),
                found.size(),
                asked.text,
                asked.size
            )),
            Err(_) => error,
        }
    }

    /// The bytes of a value with this format, of which `size` of 0 is as many as the format says. Errors: `InvalidArgument`.
    pub fn value_size(&self, name: &str, size: usize, format: &str) -> Result<usize> {
        let parsed = Format::parse(format, Some(size).filter(|size| *size > 0));
        parsed.map(|parsed| parsed.size).map_err(|text| {
            let label = format!("{}:{name}", self.location().display());
            Error::new(ErrorKind::InvalidArgument, OPEN, label).with_detail(text)
        })
    }

    /// The parameters of a value that exists.
    fn find_value(&self, name: &str) -> Result<Option<[u64; 2]>> {
        match self.find_parameters(name, OPEN)? {
            Some((kind, _)) if kind != ObjectKind::Value as u32 => {
                let label = format!("{}:{name}", self.location().display());
                Err(Error::new(ErrorKind::WrongKind, OPEN, label))
            }
            found => Ok(found.map(|(_, parameters)| parameters)),
        }
    }
}

impl<T: ValueType> Value<T> {
    /// The value now. Errors: `Closed`.
    #[inline]
    pub fn load(&self) -> Result<T> {
        self.load_versioned().map(|(value, _)| value)
    }

    /// The value now, and what [`Value::store_if`] needs to know it by.
    pub fn load_versioned(&self) -> Result<(T, u64)> {
        let mut value = T::zeroed();
        let version = self.bytes.load(bytemuck::bytes_of_mut(&mut value))?;
        Ok((value, version))
    }

    /// Replaces the value.
    ///
    /// Errors: `Closed`, `Timeout` (a larger one, whose last writer has been stopped in the middle for 10 s).
    #[inline]
    pub fn store(&self, value: T) -> Result<()> {
        self.bytes.store(bytemuck::bytes_of(&value))
    }

    /// Replaces the value if it is still the one that [`Value::load_versioned`] returned with `version`; whether it was.
    pub fn store_if(&self, version: u64, value: T) -> Result<bool> {
        self.bytes.store_if(version, bytemuck::bytes_of(&value))
    }

    /// Replaces the value by what `change` makes of it, and returns that. `change` runs again when another writer was
    /// faster.
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T> {
        loop {
            let (before, version) = self.load_versioned()?;
            let after = change(before);
            if self.store_if(version, after)? {
                return Ok(after);
            }
        }
    }

    /// The same value as bytes.
    pub fn bytes(&self) -> &ValueBytes {
        &self.bytes
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing.
    pub fn close(&self) -> Result<()> {
        self.bytes.close()
    }
}

impl ValueBytes {
    fn open(
        region: &Region,
        name: &str,
        size: usize,
        hash: u64,
        mode: ObjectMode,
        init: impl FnOnce(&crate::SharedBytes<'_>) -> Result<()>,
    ) -> Result<ValueBytes> {
        let shape = Shape {
            kind: ObjectKind::Value,
            parameters: [size as u64, hash],
            table_len: TEXT_WORDS + 2 * size.div_ceil(8),
        };
        let object = Object::<ValueRecord, AtomicU64>::open_as(
            region,
            OPEN,
            name,
            (&shape, shape.table_len),
            mode,
            init,
        )?;
        let text: Vec<u8> =
            object.table()[..TEXT_WORDS].iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        // What is no format any more was overwritten; it is only shown to people.
        let format = String::from_utf8_lossy(text).into_owned();
        Ok(ValueBytes { object, format, size })
    }

    /// Copies the value out, and returns what [`ValueBytes::store_if`] needs to know it by.
    ///
    /// Errors: `InvalidLength` (other than [`ValueBytes::size`]), `Closed`; then `into` may hold anything.
    #[inline]
    pub fn load(&self, into: &mut [u8]) -> Result<u64> {
        let operation = "load value";
        let me = self.object.me(operation)?;
        self.expect_len(into.len(), operation)?;
        let version = self
            .words()
            .load(into, me, self.object.memory())
            .map_err(|stop| self.stopped(stop, operation))?;
        // What was just read may be zeros in place of a page that the file has lost.
        self.object.memory().expect_undamaged(operation)?;
        Ok(version)
    }

    /// Replaces the value. Errors: `InvalidLength`, `Closed`, `Timeout`: as [`Value::store`].
    #[inline]
    pub fn store(&self, from: &[u8]) -> Result<()> {
        let operation = "store value";
        let me = self.object.me(operation)?;
        self.expect_len(from.len(), operation)?;
        self.words().store(from, me, self.object.memory()).map_err(|stop| self.stopped(stop, operation))?;
        self.object.memory().expect_undamaged(operation)
    }

    /// As [`ValueBytes::store`], unless another writer is at it: whether it was replaced. Never waits.
    #[inline]
    pub fn try_store(&self, from: &[u8]) -> Result<bool> {
        let operation = "store value";
        let me = self.object.me(operation)?;
        self.expect_len(from.len(), operation)?;
        let stored = self.words().try_store(from, me, self.object.memory());
        self.object.memory().expect_undamaged(operation).map(|()| stored)
    }

    /// Replaces the value if it is still the one that [`ValueBytes::load`] returned `version` for; whether it was.
    pub fn store_if(&self, version: u64, from: &[u8]) -> Result<bool> {
        let operation = "store value";
        let me = self.object.me(operation)?;
        self.expect_len(from.len(), operation)?;
        let stored = self
            .words()
            .store_if(version, from, me, self.object.memory())
            .map_err(|stop| self.stopped(stop, operation))?;
        self.object.memory().expect_undamaged(operation).map(|()| stored)
    }

    /// Whether it is one atomic word, for which nobody ever waits.
    pub fn is_one_word(&self) -> bool {
        self.size <= 8
    }

    /// Bytes of the value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What it is made of, in the canonical form of [`ValueType::format`]; empty when nobody said.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Where its words are, for languages that read and write it themselves: see `docs/format.md`.
    pub fn layout(&self) -> ValueLayout<'_> {
        ValueLayout {
            me: self.object.memory().me_word(),
            version: &self.object.version,
            copies: &self.object.table()[TEXT_WORDS..],
        }
    }

    /// The name in its region.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.object.is_closed()
    }

    /// Ends the use of this handle; repeating it does nothing.
    pub fn close(&self) -> Result<()> {
        self.object.close("close value", Some(&self.object.lock), |_| false)
    }

    #[inline]
    fn expect_len(&self, len: usize, operation: &'static str) -> Result<()> {
        if len == self.size { Ok(()) } else { Err(self.wrong_len(len, operation)) }
    }

    #[cold]
    fn wrong_len(&self, len: usize, operation: &'static str) -> Error {
        let text = format!("{len} bytes for a value of {}", self.size);
        self.object.error(ErrorKind::InvalidLength, operation).with_detail(text)
    }

    #[cold]
    fn stopped(&self, stop: Stop, operation: &'static str) -> Error {
        self.object.error(stop.into(), operation).with_detail("somebody was stopped while writing it")
    }

    fn words(&self) -> ValueWords<'_> {
        ValueWords { record: &self.object, copies: &self.object.table()[TEXT_WORDS..] }
    }
}

/// Where a value's words are.
#[derive(Debug)]
pub struct ValueLayout<'a> {
    /// This process's owner id, or 0 when it is not attached.
    pub me: Option<&'a crate::AtomicU32>,
    /// How often it was written, when it has more than one word: the copy `version % 2` is the value.
    pub version: &'a AtomicU64,
    /// Both copies, one after the other; of a value of one word, the first is the value.
    pub copies: &'a [AtomicU64],
}
