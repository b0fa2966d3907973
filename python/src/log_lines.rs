//! Lines of text into a log: the fast path of `shmkit.LogHandler`, and `shmkit.TextLogger`.
//!
//! A line is made of a record of `logging` exactly as `logging.Formatter` makes it, for the formats that need nothing but
//! attributes, widths and the time; everything else is left to Python.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyType};

use crate::error::Result;
use crate::log::Log;

/// A piece of a format.
enum Piece {
    Text(String),
    Message(Width),
    Time(Width),
    /// An attribute that is put in as text.
    Attribute(Py<PyString>, Width),
}

/// How a text is padded with spaces; negative: on the right.
type Width = i32;

/// The pieces of a %-format; `None` when it needs more than is done here.
fn parse(py: Python<'_>, format: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        let Some(at) = rest.find('%') else {
            pieces.push(Piece::Text(rest.to_owned()));
            break;
        };
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            pieces.push(Piece::Text("%".to_owned()));
            rest = after;
            continue;
        }
        let (name, after) = rest.strip_prefix('(')?.split_once(')')?;
        let conversion = after.find(|c: char| c != '-' && !c.is_ascii_digit())?;
        let width = match &after[..conversion] {
            "" => 0,
            digits if digits.starts_with('0') => return None,
            digits => digits.parse().ok()?,
        };
        match &after[conversion..=conversion] {
            "s" => {}
            // The same as text, where the attribute is an integer: so for these alone.
            "d" if matches!(name, "levelno" | "lineno" | "process" | "thread") => {}
            _ => return None,
        }
        pieces.push(match name {
            "message" => Piece::Message(width),
            "asctime" => Piece::Time(width),
            name => Piece::Attribute(PyString::intern(py, name).unbind(), width),
        });
        rest = &after[conversion + 1..];
    }
    Some(pieces)
}

fn put(line: &mut String, text: &str, width: Width) {
    let missing = (width.unsigned_abs() as usize).saturating_sub(match width {
        0 => return line.push_str(text),
        _ => text.chars().count(),
    });
    let spaces = std::iter::repeat_n(' ', missing);
    if width > 0 {
        line.extend(spaces);
        line.push_str(text);
    } else {
        line.push_str(text);
        line.extend(spaces);
    }
}

/// Text of any object, as `str` makes it. What cannot be written as UTF-8 is replaced.
fn text<'a>(value: &'a Bound<'_, PyAny>) -> Result<Cow<'a, str>> {
    match value.cast::<PyString>() {
        Ok(text) => utf8(text),
        Err(_) => Ok(Cow::Owned(utf8(&value.str()?)?.into_owned())),
    }
}

/// As `encode("utf-8", "replace")`.
fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Result<Cow<'a, str>> {
    if let Ok(text) = text.to_cow() {
        return Ok(text);
    }
    let encoded = text.call_method1(intern!(text.py(), "encode"), ("utf-8", "replace"))?;
    let encoded: Vec<u8> = encoded.extract()?;
    Ok(Cow::Owned(String::from_utf8_lossy(&encoded).into_owned()))
}

/// Appends records of `logging` to a log as lines: what `LogHandler` does when it can.
#[pyclass(frozen, module = "shmkit._native")]
pub struct _LineWriter {
    log: Py<Log>,
    kind: Option<u32>,
    pieces: Vec<Piece>,
    /// `logging.LogRecord`, whose `getMessage` is known.
    plain: Py<PyType>,
    formatter: Py<PyAny>,
    /// A second since 1970, and how the formatter writes it.
    second: Mutex<(i64, String)>,
}

#[pymethods]
impl _LineWriter {
    /// For a formatter of `logging` itself with this format. Raises ValueError for one that needs Python.
    #[new]
    #[pyo3(signature = (log, kind, format, formatter))]
    fn new(
        py: Python<'_>,
        log: Py<Log>,
        kind: Option<u32>,
        format: &str,
        formatter: Py<PyAny>,
    ) -> PyResult<_LineWriter> {
        let pieces = parse(py, format).ok_or_else(|| PyValueError::new_err("a format for Python"))?;
        let plain = py.import("logging")?.getattr("LogRecord")?.cast_into::<PyType>()?.unbind();
        Ok(_LineWriter { log, kind, pieces, plain, formatter, second: Mutex::new((i64::MIN, String::new())) })
    }

    /// Appends a record; False when it has an exception or a stack to be formatted by Python.
    fn write(&self, record: &Bound<'_, PyAny>) -> Result<bool> {
        let py = record.py();
        for name in [intern!(py, "exc_info"), intern!(py, "exc_text"), intern!(py, "stack_info")] {
            let value = record.getattr(name)?;
            if !value.is_none() && value.is_truthy()? {
                return Ok(false);
            }
        }
        let kind = match self.kind {
            Some(kind) => kind,
            // A record that was made by hand may have none.
            None => record.getattr(intern!(py, "levelno"))?.extract().unwrap_or(0),
        };
        let message = self.message(record)?;
        let message = text(&message)?;
        if let [Piece::Message(0)] = self.pieces[..] {
            self.append(py, kind, message.as_bytes())?;
            return Ok(true);
        }
        let mut line = String::with_capacity(message.len() + 64);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Message(width) => put(&mut line, &message, *width),
                Piece::Attribute(name, width) => {
                    put(&mut line, &text(&record.getattr(name.bind(py))?)?, *width);
                }
                Piece::Time(0) => self.put_time(record, &mut line)?,
                Piece::Time(width) => {
                    let mut time = String::new();
                    self.put_time(record, &mut time)?;
                    put(&mut line, &time, *width);
                }
            }
        }
        self.append(py, kind, line.as_bytes())?;
        Ok(true)
    }
}

impl _LineWriter {
    fn append(&self, py: Python<'_>, kind: u32, line: &[u8]) -> Result<()> {
        let log = self.log.get();
        let ticket = log.core().append_deferred(kind, line)?;
        log.settle(py, ticket)
    }

    /// `record.getMessage()`.
    fn message<'py>(&self, record: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = record.py();
        if !record.get_type().is(self.plain.bind(py)) {
            return record.call_method0(intern!(py, "getMessage"));
        }
        let message = record.getattr(intern!(py, "msg"))?;
        let arguments = record.getattr(intern!(py, "args"))?;
        if arguments.is_none() || !arguments.is_truthy()? {
            return Ok(message);
        }
        match message.is_instance_of::<PyString>() {
            true => message.rem(arguments),
            false => message.str()?.rem(arguments),
        }
    }

    /// `formatter.formatTime(record, formatter.datefmt)`, with the formatter asked once a second.
    fn put_time(&self, record: &Bound<'_, PyAny>, line: &mut String) -> Result<()> {
        let py = record.py();
        let created: f64 = record.getattr(intern!(py, "created"))?.extract()?;
        let formatter = self.formatter.bind(py);
        let datefmt = formatter.getattr(intern!(py, "datefmt"))?;
        let has_datefmt = !datefmt.is_none() && datefmt.is_truthy()?;
        let now = created.floor() as i64;
        let begin = line.len();
        if !self.put_second(now, line) {
            let format = match has_datefmt {
                true => datefmt,
                false => formatter.getattr(intern!(py, "default_time_format"))?,
            };
            let time = formatter.call_method1(intern!(py, "converter"), (created,))?;
            let strftime = py.import(intern!(py, "time"))?.getattr(intern!(py, "strftime"))?;
            let shown: String = strftime.call1((format, time))?.extract()?;
            line.push_str(&shown);
            *self.second.lock().unwrap_or_else(PoisonError::into_inner) = (now, shown);
        }
        if has_datefmt {
            return Ok(());
        }
        let format = formatter.getattr(intern!(py, "default_msec_format"))?;
        if format.is_none() || !format.is_truthy()? {
            return Ok(());
        }
        let milliseconds: f64 = record.getattr(intern!(py, "msecs"))?.extract()?;
        match format.extract::<&str>()? {
            "%s,%03d" if (0.0..1000.0).contains(&milliseconds) => {
                let number = milliseconds as u32;
                let digits = [number / 100, number / 10 % 10, number % 10];
                line.push(',');
                line.extend(digits.map(|digit| char::from(b'0' + digit as u8)));
            }
            _ => {
                let shown: String = format.rem((&line[begin..], milliseconds))?.extract()?;
                line.truncate(begin);
                line.push_str(&shown);
            }
        }
        Ok(())
    }

    /// Puts this second in, if it is the one that was shown last.
    fn put_second(&self, now: i64, line: &mut String) -> bool {
        let second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = second.0 == now;
        if is_known {
            line.push_str(&second.1);
        }
        is_known
    }
}

/// A logger that appends one text after the other, for structlog and for whoever needs no more: what `print` is to a terminal.
/// The methods differ in the kind of their records: the numbers of the levels of `logging`.
#[pyclass(frozen, module = "shmkit")]
pub struct TextLogger(Py<Log>);

impl TextLogger {
    fn append(&self, message: &Bound<'_, PyAny>, kind: u32) -> Result<()> {
        let log = self.0.get();
        let ticket = if let Ok(text) = message.cast::<PyString>() {
            log.core().append_deferred(kind, utf8(text)?.as_bytes())?
        } else if let Ok(bytes) = message.cast::<PyBytes>() {
            log.core().append_deferred(kind, bytes.as_bytes())?
        } else {
            let class = message.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a message is a str or bytes, not {class}")).into());
        };
        log.settle(message.py(), ticket)
    }
}

#[pymethods]
impl TextLogger {
    #[new]
    fn new(log: Py<Log>) -> TextLogger {
        TextLogger(log)
    }

    /// Appends a text, or bytes, with kind 20.
    fn msg(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 20)
    }

    /// As `msg`, with this kind.
    fn log(&self, kind: u32, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, kind)
    }

    /// Kind 10.
    fn debug(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 10)
    }

    /// Kind 20.
    fn info(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 20)
    }

    /// Kind 30.
    fn warning(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 30)
    }

    /// Kind 30.
    fn warn(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 30)
    }

    /// Kind 40.
    fn error(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 40)
    }

    /// Kind 40.
    fn exception(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 40)
    }

    /// Kind 50.
    fn critical(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 50)
    }

    /// Kind 50.
    fn fatal(&self, message: &Bound<'_, PyAny>) -> Result<()> {
        self.append(message, 50)
    }
}
