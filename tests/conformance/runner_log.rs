//! The runner's operations on logs.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use shmkit::{Durability, ErrorKind, Log, LogOptions, LogReader, ReadFrom, Reservation};

use crate::{Command, Outcome, encode, refuse};

/// What a runner has named.
#[derive(Default)]
pub struct Logs {
    logs: HashMap<String, Log>,
    readers: HashMap<String, LogReader>,
    reservations: HashMap<String, Reservation>,
}

fn options(command: &Command) -> Outcome<LogOptions> {
    let mut options = LogOptions::new();
    if let Some(len) = command.optional_number("segment_len")? {
        options = options.segment_len(len);
    }
    if let Some(len) = command.optional_number("max_record_len")? {
        options = options.max_record_len(len);
    }
    if let Some(count) = command.optional_number("retain_count")? {
        options = options.retain_count(count);
    }
    let value = || command.number("value");
    Ok(options.durability(match command.optional("durability").unwrap_or("none") {
        "none" => Durability::None,
        "interval" => Durability::Interval(Duration::from_nanos(value()?)),
        "bytes" => Durability::Bytes(value()?),
        "group" => Durability::Group,
        "every" => Durability::Every,
        other => return refuse(format!("durability={other}")),
    }))
}

fn kind(command: &Command) -> Outcome<u32> {
    Ok(command.number("kind")? as u32)
}

impl Logs {
    /// Does what a command says; the fields of its answer.
    pub fn run(&mut self, command: &Command) -> Outcome<String> {
        match command.op.as_str() {
            "log_create" => self.keep(command, options(command)?.create(command.text("path")?)?),
            "log_open" if command.flag("read_only") => {
                self.keep(command, Log::open_read_only(command.text("path")?)?)
            }
            "log_open" => self.keep(command, Log::open(command.text("path")?)?),
            "log_open_or_create" => {
                self.keep(command, options(command)?.open_or_create(command.text("path")?)?)
            }
            "log_reader" => {
                let from = match command.text("from")? {
                    "start" => ReadFrom::Start,
                    "end" => ReadFrom::End,
                    _ => ReadFrom::Position(command.number("from")?),
                };
                let reader = self.log(command)?.reader(from)?;
                self.readers.insert(command.text("r")?.to_owned(), reader);
                Ok(String::new())
            }
            "log_next" | "log_texts" | "log_counts" => self.read(command),
            "log_reserve" | "log_fill" | "log_commit" | "log_abandon" => self.reserve(command),
            _ => append(self.log(command)?, command),
        }
    }

    fn keep(&mut self, command: &Command, log: Log) -> Outcome<String> {
        self.logs.insert(command.text("l")?.to_owned(), log);
        Ok(String::new())
    }

    fn log(&self, command: &Command) -> Outcome<&Log> {
        let name = command.text("l")?;
        self.logs.get(name).map_or_else(|| refuse(format!("no log {name}")), Ok)
    }

    fn read(&mut self, command: &Command) -> Outcome<String> {
        let name = command.text("r")?;
        let Some(reader) = self.readers.get_mut(name) else { return refuse(format!("no reader {name}")) };
        match command.op.as_str() {
            "log_next" => {
                let found = match command.optional_number("timeout_ms")? {
                    None => reader.read()?,
                    Some(limit) => match reader.read_timeout(Duration::from_millis(limit)) {
                        Err(error) if error.kind() == ErrorKind::Timeout => None,
                        found => Some(found?),
                    },
                };
                let Some(record) = found else { return Ok(" none=1".into()) };
                let mut answer = format!(" kind={} position={} data=", record.kind(), record.position());
                for byte in record.to_vec() {
                    let _ = write!(answer, "{byte:02x}");
                }
                Ok(answer)
            }
            "log_texts" => {
                let mut texts = Vec::new();
                while let Some(record) = reader.read()? {
                    texts.push(String::from_utf8_lossy(&record.to_vec()).into_owned());
                }
                Ok(format!(" count={} texts={}", texts.len(), encode(&texts.join(","))))
            }
            _ => Ok(format!(
                " missed={} corrupted={} skipped={}",
                u8::from(reader.missed() > 0),
                reader.corrupted(),
                reader.skipped()
            )),
        }
    }

    fn reserve(&mut self, command: &Command) -> Outcome<String> {
        let name = command.text("v")?;
        if command.op == "log_reserve" {
            let len = command.number("len")? as usize;
            let reservation = self.log(command)?.reserve(kind(command)?, len)?;
            self.reservations.insert(name.to_owned(), reservation);
            return Ok(String::new());
        }
        if command.op == "log_fill" {
            let Some(reservation) = self.reservations.get(name) else { return refuse("no such reservation") };
            reservation.bytes().write_at(0, &command.bytes("data")?)?;
            return Ok(String::new());
        }
        let Some(reservation) = self.reservations.remove(name) else { return refuse("no such reservation") };
        if command.op == "log_abandon" {
            reservation.abandon();
            return Ok(String::new());
        }
        Ok(format!(" position={}", reservation.commit_len(command.number("len")? as usize)?))
    }
}

fn append(log: &Log, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "log_append" => Ok(format!(" position={}", log.append(kind(command)?, &command.bytes("data")?)?)),
        "log_write" => {
            let (first, count) = (command.number("from")?, command.number("count")?);
            let mut position = 0;
            for number in first..first + count {
                let text = format!("{}.{number}", command.text("prefix")?);
                position = log.append(kind(command)?, text.as_bytes())?;
            }
            Ok(format!(" position={position}"))
        }
        "log_batch" => {
            let (kind, data) = (kind(command)?, command.bytes("data")?);
            let batch = vec![(kind, &data[..]); command.number("count")? as usize];
            Ok(format!(" position={}", log.append_batch(&batch)?.last().copied().unwrap_or_default()))
        }
        "log_flush" => log.flush().map(|()| String::new()).map_err(Into::into),
        "log_close" => log.close().map(|()| String::new()).map_err(Into::into),
        "log_status" => {
            let seen = log.status()?;
            Ok(format!(
                " dead={} abandoned={} attached={} segments={} flushed={}",
                seen.dead,
                seen.abandoned,
                seen.attached,
                seen.segments.len(),
                u8::from(seen.flushed_to == seen.end)
            ))
        }
        other => refuse(format!("unknown operation {other}")),
    }
}
