//! `shmkit log …`: what is in a log, as it comes, as a whole, or for other programs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use shmkit::{ErrorKind, Log, LogReader, LogRecord, LogStatus, ReadFrom};

use crate::arguments::{Cat, Export, Format, LogCommand, LogShow, Tail, Verify};
use crate::console::{Console, Style};
use crate::human::{count, duration, printable, size, time};
use crate::{DONE, FAILED, Result};

/// How long a follower waits before it looks whether it is to say anything else: it has nothing else to say.
const A_WHILE: Duration = Duration::from_secs(3600);

/// Runs one of the commands.
pub fn run(command: &LogCommand, console: &mut Console<'_>) -> Result<i32> {
    match command {
        LogCommand::Tail(arguments) => tail(arguments, console),
        LogCommand::Cat(arguments) => cat(arguments, console),
        LogCommand::Stat(arguments) => stat(arguments, console),
        LogCommand::Verify(arguments) => verify(arguments, console),
        LogCommand::Export(arguments) => export(arguments, console),
    }
}

/// Shows the last records, and those that come.
fn tail(arguments: &Tail, console: &mut Console<'_>) -> Result<i32> {
    let log = Log::open_read_only(&arguments.directory)?;
    let (last, mut reader) = last_records(&log, arguments.lines, console)?;
    for record in &last {
        line(record, console.colour, console.out)?;
    }
    if !arguments.follow {
        return Ok(DONE);
    }
    loop {
        let next = match reader.read() {
            Ok(None) => {
                // What was read is shown before the wait for more.
                console.out.flush()?;
                reader.read_timeout(A_WHILE)
            }
            Ok(Some(record)) => Ok(record),
            Err(error) => Err(error),
        };
        match next {
            Ok(record) => line(&record, console.colour, console.out)?,
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            Err(error) => tell(&error, console)?,
        }
    }
}

/// The last records, and a reader behind them. Records lead forward only, so it begins some segments before the end.
fn last_records(
    log: &Log,
    number: usize,
    console: &mut Console<'_>,
) -> Result<(VecDeque<LogRecord>, LogReader)> {
    let (start, end, capacity) = (log.start(), log.end(), log.segment_len());
    let mut from = end - end % capacity;
    let mut back = capacity;
    loop {
        let mut reader = match log.reader(ReadFrom::Position(from)) {
            Ok(reader) if from > start => reader,
            _ => log.reader(ReadFrom::Start)?,
        };
        let begins_at = reader.position();
        let (mut last, mut errors) = (VecDeque::new(), Vec::new());
        loop {
            match reader.read() {
                Ok(Some(record)) => {
                    last.push_back(record);
                    if last.len() > number {
                        last.pop_front();
                    }
                }
                Ok(None) => break,
                Err(error) if is_passed(&error) => errors.push(error),
                Err(error) => return Err(error.into()),
            }
        }
        if last.len() >= number || begins_at <= log.start() {
            // Told now, and once: each look goes over all that the one before it saw.
            errors.iter().try_for_each(|error| console.complain(error))?;
            return Ok((last, reader));
        }
        // Ever further, so that all looks together read at most twice as much as the last one.
        from = from.saturating_sub(back);
        back = back.saturating_mul(2);
    }
}

/// Shows all records as lines, or their bytes as they are.
fn cat(arguments: &Cat, console: &mut Console<'_>) -> Result<i32> {
    let log = Log::open_read_only(&arguments.directory)?;
    let mut reader = log.reader(ReadFrom::Start)?;
    each(&mut reader, console, |record, console| {
        if arguments.raw {
            console.out.write_all(&record.to_vec())
        } else {
            line(record, console.colour, console.out)
        }
    })
}

/// Writes all records for other programs.
fn export(arguments: &Export, console: &mut Console<'_>) -> Result<i32> {
    let log = Log::open_read_only(&arguments.directory)?;
    let mut reader = log.reader(ReadFrom::Start)?;
    let mut file = match &arguments.output {
        Some(path) => Some(BufWriter::new(File::create(path)?)),
        None => None,
    };
    let mut progress = Progress::new(&log, file.is_some() && console.screen);
    let status = each(&mut reader, console, |record, console| {
        progress.at(record.position(), console.err)?;
        let out: &mut dyn Write = match &mut file {
            Some(file) => file,
            None => console.out,
        };
        match arguments.format {
            Format::Text => line(record, false, out),
            Format::Jsonl => json_line(record, out),
        }
    })?;
    progress.done(console.err)?;
    if let Some(mut file) = file {
        file.flush()?;
    }
    Ok(status)
}

/// Calls `show` with every record; what is wrong is told, and the rest is read.
fn each(
    reader: &mut LogReader,
    console: &mut Console<'_>,
    mut show: impl FnMut(&LogRecord, &mut Console<'_>) -> io::Result<()>,
) -> Result<i32> {
    let mut status = DONE;
    loop {
        match reader.read() {
            Ok(Some(record)) => show(&record, console)?,
            Ok(None) => return Ok(status),
            Err(error) => {
                tell(&error, console)?;
                status = FAILED;
            }
        }
    }
}

/// Tells of a place that reading goes on behind; anything else ends the command.
fn tell(error: &shmkit::Error, console: &mut Console<'_>) -> Result<()> {
    if is_passed(error) { Ok(console.complain(error)?) } else { Err(error.clone().into()) }
}

/// Whether reading goes on behind the place that an error is about.
fn is_passed(error: &shmkit::Error) -> bool {
    use ErrorKind::{
        BadMagic, Corrupted, MappingTruncated, Missed, Replaced, Truncated, VersionMismatch, WrongKind,
    };
    matches!(
        error.kind(),
        BadMagic | Corrupted | MappingTruncated | Missed | Replaced | Truncated | VersionMismatch | WrongKind
    )
}

/// Time, kind and text of a record.
fn line(record: &LogRecord, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let bytes = record.to_vec();
    let text = String::from_utf8_lossy(&bytes);
    let when = Style::Quiet.paint(&time(record.time_ns()), colour);
    let kind = level(record.kind(), colour);
    writeln!(out, "{when} {kind} {}", printable(text.trim_end_matches('\n')))
}

/// A kind, by the name of the level that has this number in our handlers of all languages.
fn level(kind: u32, colour: bool) -> String {
    let (name, style) = match kind {
        5 => ("TRACE", Style::Quiet),
        10 => ("DEBUG", Style::Quiet),
        20 => ("INFO", Style::Good),
        30 => ("WARN", Style::Notable),
        40 => ("ERROR", Style::Bad),
        50 => ("FATAL", Style::Bad),
        other => return format!("{other:>5}"),
    };
    style.paint(&format!("{name:>5}"), colour)
}

/// A record for other programs: bytes that are no text are written in hexadecimal.
#[derive(Serialize)]
struct JsonRecord<'a> {
    position: u64,
    time_ns: u64,
    time: String,
    kind: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

fn json_line(record: &LogRecord, out: &mut dyn Write) -> io::Result<()> {
    let bytes = record.to_vec();
    let text = std::str::from_utf8(&bytes).ok();
    let hex = text.is_none().then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    let (position, time_ns, kind) = (record.position(), record.time_ns(), record.kind());
    let json = JsonRecord { position, time_ns, time: time(time_ns), kind, text, hex };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)
}

/// How far a long look is, on a screen.
struct Progress {
    start: u64,
    len: u64,
    shown: Option<Instant>,
    is_wanted: bool,
}

impl Progress {
    fn new(log: &Log, is_wanted: bool) -> Progress {
        let start = log.start();
        Progress { start, len: log.end().saturating_sub(start).max(1), shown: None, is_wanted }
    }

    fn at(&mut self, position: u64, err: &mut dyn Write) -> io::Result<()> {
        const OFTEN: Duration = Duration::from_millis(100);
        if !self.is_wanted || self.shown.is_some_and(|shown| shown.elapsed() < OFTEN) {
            return Ok(());
        }
        self.shown = Some(Instant::now());
        let done = position.saturating_sub(self.start).min(self.len);
        // ECMA-48: clears the rest of the line.
        write!(err, "\r{} %\x1b[K", u128::from(done) * 100 / u128::from(self.len))?;
        err.flush()
    }

    fn done(&self, err: &mut dyn Write) -> io::Result<()> {
        if self.shown.is_some() { write!(err, "\r\x1b[K") } else { Ok(()) }
    }
}

/// Shows parameters and counters.
fn stat(arguments: &LogShow, console: &mut Console<'_>) -> Result<i32> {
    let status = Log::open_read_only(&arguments.directory)?.status()?;
    if arguments.json {
        writeln!(console.out, "{}", status.to_json())?;
    } else {
        describe(&status, console)?;
    }
    Ok(DONE)
}

fn describe(status: &LogStatus, console: &mut Console<'_>) -> io::Result<()> {
    let heading = format!("Log {}", printable(&status.directory));
    writeln!(console.out, "{}", Style::Heading.paint(&heading, console.colour))?;
    let kept = match (status.retain_count, status.retain_bytes) {
        (0, 0) => "all".to_owned(),
        (0, bytes) => size(bytes),
        (segments, 0) => count(segments, "segment"),
        (segments, bytes) => format!("{}, at most {}", size(bytes), count(segments, "segment")),
    };
    let age = match status.max_age_ns {
        0 => String::new(),
        age_ns => format!(", left after {}", duration(age_ns)),
    };
    let failures = match status.flush_failures {
        0 => "none failed".to_owned(),
        failures => {
            let errno = io::Error::from_raw_os_error(status.flush_errno as i32);
            Style::Bad.paint(&format!("{failures} failed: {errno}"), console.colour)
        }
    };
    let unflushed = size(status.end.saturating_sub(status.flushed_to));
    let facts = [
        ("positions", format!("{} to {}", status.start, status.end)),
        ("segments", format!("{} of {}{age}", status.segments.len(), size(status.segment_len))),
        ("kept", format!("{kept}; {} removed", count(status.removed_segments, "segment"))),
        ("longest record", size(status.max_record_len)),
        ("durability", status.durability.clone()),
        ("on the disk", format!("up to {}, {unflushed} are not", status.flushed_to)),
        ("flushes", format!("{}, {failures}", status.flushes)),
        ("attached", count(status.attached as u64, "process")),
        ("skipped", format!("{} of the dead, {} given up", status.dead, status.abandoned)),
        ("power cuts", format!("{}, {} lost", count(status.cuts, "gap"), size(status.cut_bytes))),
    ];
    for (name, value) in facts {
        writeln!(console.out, "  {name:15}{value}")?;
    }
    Ok(())
}

/// Looks at every byte.
fn verify(arguments: &Verify, console: &mut Console<'_>) -> Result<i32> {
    let log = Log::open_read_only(&arguments.directory)?;
    let mut progress = Progress::new(&log, console.screen);
    let verified = log.verify(|position| {
        // A progress that cannot be shown is no reason to stop.
        let _ = progress.at(position, console.err);
    })?;
    progress.done(console.err)?;
    let is_good = verified.corruptions == 0 && verified.missed_bytes == 0;
    if arguments.json {
        writeln!(console.out, "{}", serde_json::to_string(&verified).map_err(io::Error::from)?)?;
        return Ok(if is_good { DONE } else { FAILED });
    }
    let out = &mut *console.out;
    writeln!(out, "{}, {}", count(verified.records, "good record"), size(verified.payload_bytes))?;
    writeln!(
        out,
        "{} of the dead, {} given up, {} being written",
        verified.dead, verified.abandoned, verified.claimed
    )?;
    writeln!(out, "{} cut out after power cuts, {}", count(verified.cuts, "gap"), size(verified.cut_bytes))?;
    let bad = format!(
        "{} without records, {}; missing segments, {}",
        count(verified.corruptions, "place"),
        size(verified.corrupted_bytes),
        size(verified.missed_bytes)
    );
    writeln!(out, "{}", if is_good { Style::Good } else { Style::Bad }.paint(&bad, console.colour))?;
    Ok(if is_good { DONE } else { FAILED })
}
