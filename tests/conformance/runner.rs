//! The conformance runner of the Rust face: one command per line on stdin, one answer per line on stdout.
//!
//! `tests/conformance/README.md` describes the protocol. The runners of the other languages do the same through their
//! own face; this one is the reference that they are compared with.

mod runner_descriptors;
mod runner_heap;
mod runner_log;
mod runner_memory;
mod runner_objects;
mod runner_pool;
mod runner_protocol;
mod runner_value;
mod runner_windows;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::rc::Rc;

use runner_log::Logs;
use runner_memory::{CountedView, Object, change, flush};
use runner_objects::{Named, add, run_lock};
use runner_protocol::{Command, Failure, Outcome, done, encode, hex, refuse};
use runner_windows::Windows;
use shmkit::{MapOptions, Mapping, ObjectMode, Region, RegionOptions};

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

#[derive(Default)]
struct Runner {
    objects: HashMap<String, Rc<Object>>,
    named: HashMap<String, Named>,
    views: HashMap<String, CountedView>,
    logs: Logs,
    windows: Windows,
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
            op if op.starts_with("windows_") => self.windows.run(command),
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

fn region_info(region: &Region) -> Outcome<String> {
    Ok(format!(
        " len={} read_only={} id={} locked={}",
        region.len(),
        u8::from(region.is_read_only()),
        hex(&region.id()),
        u8::from(region.is_locked())
    ))
}

fn die() -> ! {
    // SAFETY: a signal to ourselves that nothing survives.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("SIGKILL cannot be caught")
}
