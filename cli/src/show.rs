//! `shmkit stat NAME`: all that goes on in one region.

use std::io::{self, Write};
use std::path::PathBuf;

use shmkit::{AttachmentStatus, Location, ObjectStatus, Region, RegionStatus};

use crate::arguments::Show;
use crate::console::{Console, Style};
use crate::human::{count, duration, printable, size};
use crate::list::{object_path, size_on_disk};
use crate::table::{Cell, Column, Table};
use crate::{DONE, Result, people};

/// Shows a region, once or again and again.
pub fn run(arguments: &Show, console: &mut Console<'_>) -> Result<i32> {
    loop {
        // By name each time, so that one that was removed or replaced meanwhile is not shown as if it still were there.
        let status = Region::open_read_only(location(arguments))?.status()?;
        let mut text = Vec::new();
        if arguments.json {
            writeln!(text, "{}", status.to_json())?;
        } else {
            describe(&status, size_on_disk(&path(arguments)), console.colour, &mut text)?;
        }
        let Some(interval) = arguments.watch else {
            console.out.write_all(&text)?;
            return Ok(DONE);
        };
        if console.screen && !arguments.json {
            draw(&text, console.out)?;
        } else {
            console.out.write_all(&text)?;
        }
        console.out.flush()?;
        std::thread::sleep(interval);
    }
}

/// Draws over what was there before. Clearing the whole screen first would flicker.
fn draw(text: &[u8], out: &mut dyn Write) -> io::Result<()> {
    // ECMA-48: to the top left; clear to the end of each line; clear what is left below.
    out.write_all(b"\x1b[H")?;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
        out.write_all(b"\x1b[K\n")?;
    }
    out.write_all(b"\x1b[J")
}

fn location(arguments: &Show) -> Location {
    if arguments.path {
        Location::Path(PathBuf::from(&arguments.name))
    } else {
        Location::Name(arguments.name.clone())
    }
}

fn path(arguments: &Show) -> PathBuf {
    if arguments.path { PathBuf::from(&arguments.name) } else { object_path(&arguments.name) }
}

fn describe(
    status: &RegionStatus,
    on_disk: Option<u64>,
    colour: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let heading = |text: &str| Style::Heading.paint(text, colour);
    writeln!(out, "{}", heading(&format!("Region {}", printable(&status.name))))?;
    let (alive, dead) = people::living_and_dead(status);
    let deaths: u64 = status.objects.iter().map(|object| u64::from(object.deaths)).sum();
    let facts = [
        ("user bytes", user_bytes(status)),
        ("arena", format!("{} of {} bytes used", status.arena_used, status.arena_len)),
        ("on disk", on_disk.map_or_else(|| "unknown".to_owned(), size)),
        ("created", format!("{} by process {}", people::created(status), status.creator_pid)),
        ("attached", format!("{alive} alive, {dead} dead, {} at most", status.attachment_limit)),
        ("owners died", deaths.to_string()),
    ];
    for (name, value) in facts {
        writeln!(out, "  {name:13}{value}")?;
    }
    if !status.attachments.is_empty() {
        writeln!(out, "\n{}", heading("Attached"))?;
        attached(status).write(out, "  ", colour)?;
    }
    writeln!(out, "\n{}", heading("Objects"))?;
    objects(status).write(out, "  ", colour)
}

fn user_bytes(status: &RegionStatus) -> String {
    match status.capacity {
        capacity if capacity == status.len => capacity.to_string(),
        capacity => format!("{}, {capacity} at most", status.len),
    }
}

fn attached(status: &RegionStatus) -> Table {
    use Column::{Left, Right};
    let mut table =
        Table::new([Right("PID"), Left("STATE"), Left("SINCE"), Left("WAITS FOR"), Left("COMMAND")]);
    for attachment in &status.attachments {
        table.push([
            people::number(attachment).into(),
            if attachment.alive { Style::Good.cell("alive") } else { Style::Bad.cell("dead") },
            age(status, attachment.attached_ns).into(),
            match &attachment.waits_for {
                Some(name) => Style::Notable.cell(format!(
                    "{}, for {}",
                    object_name(status, name),
                    age(status, attachment.waits_ns.unwrap_or(status.now_ns))
                )),
                None => Style::Quiet.cell("nothing"),
            },
            printable(&attachment.label).into(),
        ]);
    }
    table
}

/// Kind and name of an object; the guard has no name.
fn object_name(status: &RegionStatus, name: &str) -> String {
    let object = status.objects.iter().find(|object| object.name == name);
    match object {
        Some(object) if !name.is_empty() => format!("{} {}", printable(&object.kind), printable(name)),
        Some(object) => object.kind.clone(),
        None => printable(name),
    }
}

/// How long before the look an instant of CLOCK_MONOTONIC was.
fn age(status: &RegionStatus, since_ns: u64) -> String {
    duration(status.now_ns.saturating_sub(since_ns))
}

fn objects(status: &RegionStatus) -> Table {
    use Column::{Left, Right};
    let mut table = Table::new([Left("KIND"), Left("NAME"), Right("USERS"), Right("DEATHS"), Left("STATE")]);
    for object in &status.objects {
        let is_guard = object.name.is_empty();
        let mut lines = state(status, object).into_iter();
        table.push([
            printable(&object.kind).into(),
            if is_guard { Style::Quiet.cell("-") } else { printable(&object.name).into() },
            if is_guard { Style::Quiet.cell("-") } else { object.users.to_string().into() },
            if object.deaths == 0 { Style::Quiet } else { Style::Bad }.cell(object.deaths.to_string()),
            lines.next().unwrap_or_default(),
        ]);
        for line in lines {
            table.push(["".into(), "".into(), "".into(), "".into(), line]);
        }
    }
    table
}

/// What an object is doing: at least one line.
fn state(status: &RegionStatus, object: &ObjectStatus) -> Vec<Cell> {
    let mut lines: Vec<Cell> = Vec::new();
    if let Some(holder) = &object.holder {
        let who = people::process(status, holder.slot, holder.pid, holder.alive);
        let how_long = holder.since_ns.map(|since| format!(" for at least {}", age(status, since)));
        let verb = if object.kind == "rwlock" { "written" } else { "held" };
        let style = if holder.alive { Style::Plain } else { Style::Bad };
        lines.push(style.cell(format!("{verb} by {who}{}", how_long.unwrap_or_default())));
        if !holder.alive {
            lines.push(Style::Bad.cell("the next to take it is told that its owner died"));
        }
    }
    lines.extend(value(object).map(Cell::from));
    for share in &object.shares {
        let who = people::process(status, share.slot, share.pid, share.alive);
        let style = if share.alive { Style::Plain } else { Style::Bad };
        lines.push(style.cell(format!("{} {who}", share_text(&object.kind, share.count))));
    }
    if object.owner_died {
        let what = match object.kind.as_str() {
            "barrier" => "broken: a participant died, or somebody broke it",
            _ => "an owner died, and nobody made it consistent since",
        };
        lines.push(Style::Bad.cell(what));
    }
    lines.extend(waiters(status, object));
    if lines.is_empty() {
        let is_lock = matches!(object.kind.as_str(), "guard" | "mutex" | "rwlock");
        let idle = if is_lock { "free" } else { "nobody waits" };
        lines.push(Style::Quiet.cell(if object.kind == "value" { "nobody writes" } else { idle }));
    }
    lines
}

/// What an object's number means.
fn value(object: &ObjectStatus) -> Option<String> {
    let value = object.value?;
    Some(match object.kind.as_str() {
        "barrier" => {
            let arrived: u32 = object.shares.iter().map(|share| share.count).sum();
            format!("{arrived} of {value} arrived")
        }
        "event" => if value == 0 { "not set" } else { "set" }.to_owned(),
        "pool" => format!("{} free", count(value, "block")),
        "value" => format!("written {}", count(value, "time")),
        kind if kind.contains("semaphore") => format!("{} available", count(value, "permit")),
        _ => format!("value {value}"),
    })
}

fn share_text(kind: &str, number: u32) -> String {
    match kind {
        "barrier" if number == 1 => "arrived:".to_owned(),
        "barrier" => format!("arrived {number} times:"),
        "rwlock" if number == 1 => "read by".to_owned(),
        "rwlock" => format!("read {number} times by"),
        "pool" => format!("{} with", count(number, "block")),
        _ => format!("{} with", count(number, "permit")),
    }
}

/// Who sleeps on an object, as far as the slots tell: of several threads of a process, one.
fn waiters(status: &RegionStatus, object: &ObjectStatus) -> Vec<Cell> {
    let waits = |attachment: &&AttachmentStatus| attachment.waits_for.as_ref() == Some(&object.name);
    let named = status.attachments.iter().filter(waits).map(|attachment| {
        let since = attachment.waits_ns.unwrap_or(status.now_ns);
        Style::Notable.cell(format!("{} has waited for {}", people::name(attachment), age(status, since)))
    });
    named.collect()
}
