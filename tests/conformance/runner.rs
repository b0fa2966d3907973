//! The conformance runner of the Rust face: one command per line on stdin, one answer per line on stdout.
//!
//! `tests/conformance/README.md` describes the protocol. The runners of the other languages do the same through their
//! own face; this one is the reference that they are compared with.

mod runner_descriptors;
mod runner_heap;
mod runner_log;
mod runner_objects;
mod runner_pool;
mod runner_value;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use runner_log::Logs;
use runner_objects::{Named, add, run_lock};
use shmkit::{
    Advice, Error, Flush, Location, MapOptions, Mapping, MemoryLock, ObjectMode, Protection, Region,
    RegionOptions, SharedBytes, Sharing,
};

fn main() -> ExitCode {
    let mut runner = Runner::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        let answer = match Command::parse(&line).and_then(|command| runner.run(&command)) {
            Ok(fields) => format!("ok{fields}"),
            Err(Failure::Library(error)) => format!(
                "error kind={} errno={} operation={} object={} message={}",
                error.kind().name(),
                error.errno(),
                encode(error.operation()),
                encode(error.object()),
                encode(&error.to_string())
            ),
            Err(Failure::Command(text)) => format!("fail message={}", encode(&text)),
        };
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Why a command has no result.
enum Failure {
    /// The library refused: that is an answer.
    Library(Error),
    /// The command makes no sense: a defect of whoever sent it.
    Command(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Library(error)
    }
}

fn refuse<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure::Command(text.into()))
}

type Outcome<T> = Result<T, Failure>;

/// One command: its name and its arguments.
struct Command {
    op: String,
    arguments: HashMap<String, String>,
}

impl Command {
    fn parse(line: &str) -> Outcome<Command> {
        let mut words = line.split_ascii_whitespace();
        let op = words.next().unwrap_or_default().to_owned();
        let mut arguments = HashMap::new();
        for word in words {
            let Some((key, value)) = word.split_once('=') else { return refuse(format!("no = in {word}")) };
            arguments.insert(key.to_owned(), decode(value)?);
        }
        Ok(Command { op, arguments })
    }

    fn text(&self, key: &str) -> Outcome<&str> {
        self.optional(key).map_or_else(|| refuse(format!("{} needs {key}", self.op)), Ok)
    }

    fn optional(&self, key: &str) -> Option<&str> {
        self.arguments.get(key).map(String::as_str)
    }

    fn flag(&self, key: &str) -> bool {
        self.optional(key) == Some("1")
    }

    fn number(&self, key: &str) -> Outcome<u64> {
        let text = self.text(key)?;
        text.parse().or_else(|_| refuse(format!("{key}={text} is no number")))
    }

    fn optional_number(&self, key: &str) -> Outcome<Option<u64>> {
        self.optional(key).map(|_| self.number(key)).transpose()
    }

    fn bytes(&self, key: &str) -> Outcome<Vec<u8>> {
        let text = self.text(key)?;
        let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        bytes.map_or_else(|| refuse(format!("{key} is not hexadecimal")), Ok)
    }

    fn location(&self) -> Outcome<Location> {
        let name = self.text("name")?;
        Ok(if self.flag("path") { Path::new(name).into() } else { name.into() })
    }

    fn protection(&self) -> Outcome<Protection> {
        match self.optional("protection").unwrap_or("read") {
            "none" => Ok(Protection::None),
            "read" => Ok(Protection::Read),
            "read_write" => Ok(Protection::ReadWrite),
            other => refuse(format!("protection={other}")),
        }
    }

    fn sharing(&self) -> Outcome<Sharing> {
        match self.optional("sharing").unwrap_or("shared") {
            "shared" => Ok(Sharing::Shared),
            "private" => Ok(Sharing::Private),
            other => refuse(format!("sharing={other}")),
        }
    }

    fn advice(&self) -> Outcome<Advice> {
        match self.text("advice")? {
            "normal" => Ok(Advice::Normal),
            "random" => Ok(Advice::Random),
            "sequential" => Ok(Advice::Sequential),
            "will_need" => Ok(Advice::WillNeed),
            "dont_need" => Ok(Advice::DontNeed),
            other => refuse(format!("advice={other}")),
        }
    }
}

/// What a handle's name stands for.
enum Object {
    Region(Region),
    Mapping(Mapping),
}

impl Object {
    fn len(&self) -> usize {
        match self {
            Object::Region(region) => region.len(),
            Object::Mapping(mapping) => mapping.len(),
        }
    }

    fn read_at(&self, offset: usize, into: &mut [u8]) -> shmkit::Result<()> {
        match self {
            Object::Region(region) => region.read_at(offset, into),
            Object::Mapping(mapping) => mapping.read_at(offset, into),
        }
    }

    fn write_at(&self, offset: usize, from: &[u8]) -> shmkit::Result<()> {
        match self {
            Object::Region(region) => region.write_at(offset, from),
            Object::Mapping(mapping) => mapping.write_at(offset, from),
        }
    }

    fn close(&self) -> shmkit::Result<()> {
        match self {
            Object::Region(region) => region.close(),
            Object::Mapping(mapping) => mapping.close(),
        }
    }
}

/// A counted view that owns its object: names come and go in any order here, which no borrow could follow.
struct CountedView {
    bytes: SharedBytes<'static>,
    object: Rc<Object>,
}

impl CountedView {
    fn new(object: &Rc<Object>, offset: usize, len: usize, writable: bool) -> shmkit::Result<CountedView> {
        let start = match &**object {
            Object::Region(region) => region.pin(offset, len, writable)?,
            Object::Mapping(mapping) => mapping.pin(offset, len, writable)?,
        };
        // SAFETY: `pin` checked the range and keeps it until `unpin`; the object lives as long as this view.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(CountedView { bytes, object: Rc::clone(object) })
    }
}

impl Drop for CountedView {
    fn drop(&mut self) {
        let counted = match &*self.object {
            Object::Region(region) => region.unpin(self.bytes.is_writable()),
            Object::Mapping(mapping) => mapping.unpin(self.bytes.is_writable()),
        };
        assert!(counted, "a view that was never counted");
    }
}

#[derive(Default)]
struct Runner {
    objects: HashMap<String, Rc<Object>>,
    named: HashMap<String, Named>,
    views: HashMap<String, CountedView>,
    logs: Logs,
}

impl Runner {
    /// Does what a command says; the fields of its answer, each with a space before it.
    fn run(&mut self, command: &Command) -> Outcome<String> {
        if let Some(named) = self.named(command, "h").filter(|_| command.op != "drop") {
            return named.run(command, self.named(command, "mutex").or_else(|| self.named(command, "post")));
        }
        match command.op.as_str() {
            "hello" => Ok(format!(" language=rust pid={}", std::process::id())),
            "region_create" | "region_open" | "region_open_or_create" => self.open_region(command),
            "region_unlink" => done(Region::unlink(command.location()?)),
            "region_info" => region_info(self.region(command)?),
            "map_open" | "map_anonymous" => self.map(command),
            "send_memory" | "receive_memory" => {
                let (mapping, sealed) = runner_descriptors::memory(command)?;
                self.keep(command, Object::Mapping(mapping)).map(|fields| fields + &sealed)
            }
            "send_region" | "receive_region" => {
                let region = runner_descriptors::region(command)?;
                self.keep(command, Object::Region(region))
            }
            "read" | "write" => self.copy(command),
            "view" | "view_read" | "view_write" | "view_release" => self.view(command),
            "lock" | "try_lock" | "unlock" | "make_consistent" => run_lock(self.region(command)?, command),
            "add" => add(self.region(command)?, command, self.named(command, "mutex")),
            "rw_add" => add(self.region(command)?, command, self.named(command, "rwlock")),
            "mutex_open" | "rwlock_open" | "semaphore_open" | "condvar_open" | "event_open"
            | "barrier_open" | "atomic_open" | "heap_open" | "pool_open" | "value_open" => {
                let named = Named::open(self.region(command)?, command)?;
                self.named.insert(command.text("o")?.to_owned(), named);
                Ok(String::new())
            }
            "object_remove" => done(self.region(command)?.remove_object(command.text("name")?)),
            "object_find" => {
                let found = self.region(command)?.find_object(command.text("name")?)?;
                let kind = found.kind.map_or("unknown", shmkit::layout::ObjectKind::name);
                Ok(format!(" kind={} users={}", encode(kind), found.users))
            }
            "object_list" => {
                let listed = self.region(command)?.objects()?;
                let names: Vec<String> = listed.into_iter().map(|object| object.name).collect();
                Ok(format!(" names={}", names.join(",")))
            }
            "region_mode" => self.change_mode(command),
            "flush" => flush(self.object(command)?, command),
            "check" | "resize" => self.check_or_resize(command),
            "protect" | "advise" | "lock_memory" | "unlock_memory" | "residency" => {
                change(self.mapping(command)?, command)
            }
            "close" => done(self.object(command)?.close()),
            "drop" => {
                let name = command.text("h")?;
                let known = self.named.remove(name).is_some() || self.objects.remove(name).is_some();
                if known { Ok(String::new()) } else { refuse(format!("no handle {name}")) }
            }
            "die" => die(),
            op if op.starts_with("log_") => self.logs.run(command),
            other => refuse(format!("unknown operation {other}")),
        }
    }

    fn named(&self, command: &Command, key: &str) -> Option<&Named> {
        self.named.get(command.optional(key)?)
    }

    fn object(&self, command: &Command) -> Outcome<&Rc<Object>> {
        let name = command.text("h")?;
        self.objects.get(name).map_or_else(|| refuse(format!("no handle {name}")), Ok)
    }

    fn region(&self, command: &Command) -> Outcome<&Region> {
        match &**self.object(command)? {
            Object::Region(region) => Ok(region),
            Object::Mapping(_) => refuse(format!("{} needs a region", command.op)),
        }
    }

    fn mapping(&self, command: &Command) -> Outcome<&Mapping> {
        match &**self.object(command)? {
            Object::Mapping(mapping) => Ok(mapping),
            Object::Region(_) => refuse(format!("{} needs a mapping", command.op)),
        }
    }

    fn keep(&mut self, command: &Command, object: Object) -> Outcome<String> {
        let len = object.len();
        self.objects.insert(command.text("h")?.to_owned(), Rc::new(object));
        Ok(format!(" len={len}"))
    }

    fn open_region(&mut self, command: &Command) -> Outcome<String> {
        let location = command.location()?;
        if command.op == "region_open" {
            let read_only = command.flag("read_only");
            let open = if read_only { Region::open_read_only } else { Region::open };
            return self.keep(command, Object::Region(open(location)?));
        }
        let mut options = RegionOptions::new();
        if let Some(mode) = command.optional("mode") {
            let mode = u32::from_str_radix(mode, 8).or_else(|_| refuse(format!("mode={mode}")))?;
            options = options.mode(mode);
        }
        if let Some(count) = command.optional_number("attachments")? {
            options = options.attachments(u32::try_from(count).unwrap_or(u32::MAX));
        }
        if let Some(len) = command.optional_number("arena_len")? {
            options = options.arena_len(len);
        }
        if let Some(len) = command.optional_number("capacity")? {
            options = options.capacity(len);
        }
        let len = command.number("len")?;
        let region = match command.op.as_str() {
            "region_create" => options.create(location, len)?,
            _ => options.open_or_create(location, len)?,
        };
        self.keep(command, Object::Region(region))
    }

    /// Keeps another handle on a region, which opens named objects in another mode.
    fn change_mode(&mut self, command: &Command) -> Outcome<String> {
        let mode = match command.text("mode")? {
            "find_or_create" => ObjectMode::FindOrCreate,
            "find" => ObjectMode::Find,
            "create" => ObjectMode::Create,
            other => return refuse(format!("mode={other}")),
        };
        let region = self.region(command)?.with_mode(mode)?;
        self.objects.insert(command.text("o")?.to_owned(), Rc::new(Object::Region(region)));
        Ok(String::new())
    }

    fn map(&mut self, command: &Command) -> Outcome<String> {
        let mut options = MapOptions::new()
            .sharing(command.sharing()?)
            .protection(command.protection()?)
            .offset(command.optional_number("offset")?.unwrap_or(0))
            .create(command.flag("create"))
            .grow(command.flag("grow"))
            .populate(command.flag("populate"))
            .reserve(command.optional_number("reserve")?.unwrap_or(0) as usize);
        if let Some(len) = command.optional_number("len")? {
            options = options.len(len as usize);
        }
        let mapping = match command.op.as_str() {
            "map_anonymous" => options.map_anonymous()?,
            _ => options.map_path(command.text("path")?)?,
        };
        self.keep(command, Object::Mapping(mapping))
    }

    fn check_or_resize(&self, command: &Command) -> Outcome<String> {
        let object = self.object(command)?;
        if command.op == "check" {
            return match &**object {
                Object::Region(region) => done(region.check()),
                Object::Mapping(mapping) => done(mapping.check()),
            };
        }
        let len = command.number("len")? as usize;
        match &**object {
            Object::Region(region) => region.resize(len)?,
            Object::Mapping(mapping) => mapping.resize(len)?,
        }
        Ok(format!(" len={}", object.len()))
    }

    fn copy(&self, command: &Command) -> Outcome<String> {
        let object = self.object(command)?;
        let offset = command.number("offset")? as usize;
        if command.op == "write" {
            return done(object.write_at(offset, &command.bytes("data")?));
        }
        let mut bytes = vec![0; command.number("len")? as usize];
        object.read_at(offset, &mut bytes)?;
        Ok(format!(" data={}", hex(&bytes)))
    }

    fn view(&mut self, command: &Command) -> Outcome<String> {
        let name = command.text("v")?;
        let no_view = || Failure::Command(format!("no view {name}"));
        match command.op.as_str() {
            "view" => {
                let object = self.object(command)?;
                let offset = command.optional_number("offset")?.unwrap_or(0) as usize;
                let rest = object.len().saturating_sub(offset) as u64;
                let len = command.optional_number("len")?.unwrap_or(rest) as usize;
                let view = CountedView::new(object, offset, len, command.flag("writable"))?;
                self.views.insert(name.to_owned(), view);
                Ok(format!(" len={len}"))
            }
            "view_read" => {
                let view = self.views.get(name).ok_or_else(no_view)?;
                let mut bytes = vec![0; command.number("len")? as usize];
                view.bytes.read_at(command.number("offset")? as usize, &mut bytes)?;
                Ok(format!(" data={}", hex(&bytes)))
            }
            "view_write" => {
                let view = self.views.get(name).ok_or_else(no_view)?;
                done(view.bytes.write_at(command.number("offset")? as usize, &command.bytes("data")?))
            }
            _ => self.views.remove(name).map(|_| String::new()).ok_or_else(no_view),
        }
    }
}

/// The answer of a command that yields nothing.
fn done(result: shmkit::Result<()>) -> Outcome<String> {
    Ok(result.map(|()| String::new())?)
}

fn region_info(region: &Region) -> Outcome<String> {
    Ok(format!(
        " len={} read_only={} id={} locked={}",
        region.len(),
        u8::from(region.is_read_only()),
        hex(&region.id()),
        u8::from(region.is_locked())
    ))
}

fn flush(object: &Object, command: &Command) -> Outcome<String> {
    let (start, end) = range(object.len(), command)?;
    let how = if command.flag("async") { Flush::Async } else { Flush::Sync };
    match object {
        Object::Mapping(mapping) if command.flag("invalidate") => {
            done(mapping.flush_and_invalidate(start..end, how))
        }
        Object::Mapping(mapping) => done(mapping.flush(start..end, how)),
        Object::Region(region) if command.flag("invalidate") => {
            done(region.flush_and_invalidate(start..end, how))
        }
        Object::Region(region) => done(region.flush(start..end, how)),
    }
}

fn change(mapping: &Mapping, command: &Command) -> Outcome<String> {
    let (start, end) = range(mapping.len(), command)?;
    match command.op.as_str() {
        "protect" => done(mapping.protect(start..end, command.protection()?)),
        "lock_memory" => {
            let how = if command.flag("on_fault") { MemoryLock::OnFault } else { MemoryLock::Now };
            done(mapping.lock_memory(start..end, how))
        }
        "unlock_memory" => done(mapping.unlock_memory(start..end)),
        "residency" => {
            let counts = mapping.residency(start..end)?.counts();
            Ok(format!(" pages={} resident={}", counts.pages, counts.resident))
        }
        _ => done(mapping.advise(start..end, command.advice()?)),
    }
}

fn range(limit: usize, command: &Command) -> Outcome<(usize, usize)> {
    let start = command.optional_number("offset")?.unwrap_or(0) as usize;
    let len = command.optional_number("len")?.map(|len| len as usize);
    Ok((start, len.map_or(limit.max(start), |len| start.saturating_add(len))))
}

fn die() -> ! {
    // SAFETY: a signal to ourselves that nothing survives.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("SIGKILL cannot be caught")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn decode(text: &str) -> Outcome<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value = escaped.and_then(|pair| std::str::from_utf8(pair).ok());
        match value.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None if *first == b'%' => return refuse(format!("a broken escape in {text}")),
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).or_else(|_| refuse(format!("{text} is not UTF-8")))
}
