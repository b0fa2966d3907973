//! `shmkit ls`: all regions that are shared memory objects, a line for each.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use shmkit::{ErrorKind, Holder, ObjectStatus, Region, RegionStatus, layout};

use crate::arguments::List;
use crate::console::{Console, Style};
use crate::human::{printable, size};
use crate::table::{Cell, Column, Table};
use crate::{DONE, Result, people};

/// A region as `--json` shows it.
#[derive(Serialize)]
struct Entry {
    name: String,
    /// Bytes of memory or disk that it takes; absent when even that cannot be seen.
    size_on_disk: Option<u64>,
    #[serde(flatten)]
    seen: Seen,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Seen {
    Region(Summary),
    Refused { error: Refusal },
}

/// Why a region could not be looked at.
#[derive(Serialize)]
struct Refusal {
    kind: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Summary {
    len: usize,
    /// Living processes that are attached.
    attached: usize,
    /// Processes that died attached, and whose slots nobody has taken since.
    dead: usize,
    /// Who has the region's guard.
    guard_holder: Option<Holder>,
    /// `guard_holder` for people.
    #[serde(skip)]
    guard: Cell,
    /// Named objects.
    objects: usize,
    /// Owners that died, of the guard and all objects together.
    deaths: u64,
    /// Objects, or the guard, whose owner died and that nobody made consistent since.
    inconsistent: usize,
}

/// Lists all regions.
pub fn run(arguments: &List, console: &mut Console<'_>) -> Result<i32> {
    let entries: Vec<Entry> = Region::list()?.into_iter().filter_map(entry).collect();
    if arguments.json {
        // Names, numbers and texts: nothing in here can fail.
        writeln!(console.out, "{}", serde_json::to_string(&entries).unwrap_or_default())?;
    } else {
        table(&entries).write(console.out, "", console.colour)?;
    }
    Ok(DONE)
}

/// `None` for a region that was removed since its name was read.
fn entry(name: String) -> Option<Entry> {
    let seen = match Region::open_read_only(&name).and_then(|region| region.status()) {
        Ok(status) => Seen::Region(Summary::of(&status)),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            Seen::Refused { error: Refusal { kind: error.kind().name(), message: error.to_string() } }
        }
    };
    Some(Entry { size_on_disk: size_on_disk(&object_path(&name)), name, seen })
}

/// The file behind the region of this name.
pub fn object_path(name: &str) -> PathBuf {
    Path::new(layout::SHM_DIRECTORY).join(format!("{}{name}", layout::SHM_PREFIX))
}

/// What a file takes of its file system, which needs no leave to read it.
pub fn size_on_disk(path: &Path) -> Option<u64> {
    // stat(2): blocks are of 512 bytes, whatever the file system's are.
    path.symlink_metadata().ok().map(|metadata| metadata.blocks() * 512)
}

impl Summary {
    fn of(status: &RegionStatus) -> Summary {
        let (attached, dead) = people::living_and_dead(status);
        // The guard comes first, and always.
        let guard = status.objects.first();
        Summary {
            len: status.len,
            attached,
            dead,
            guard_holder: guard.and_then(|guard| guard.holder.clone()),
            guard: guard.map(|guard| guard_cell(status, guard)).unwrap_or_default(),
            objects: status.objects.len().saturating_sub(1),
            deaths: status.objects.iter().map(|object| u64::from(object.deaths)).sum(),
            inconsistent: status.objects.iter().filter(|object| object.owner_died).count(),
        }
    }
}

fn guard_cell(status: &RegionStatus, guard: &ObjectStatus) -> Cell {
    match &guard.holder {
        Some(holder) => {
            let style = if holder.alive { Style::Plain } else { Style::Bad };
            style.cell(people::process(status, holder.slot, holder.pid, holder.alive))
        }
        None if guard.owner_died => Style::Bad.cell("owner died"),
        None => Style::Quiet.cell("free"),
    }
}

fn table(entries: &[Entry]) -> Table {
    use Column::{Left, Right};
    let mut table = Table::new([
        Left("NAME"),
        Right("BYTES"),
        Right("ATTACHED"),
        Right("DEAD"),
        Left("GUARD"),
        Right("OBJECTS"),
        Right("DEATHS"),
        Right("ON DISK"),
    ]);
    for entry in entries {
        let name = printable(&entry.name);
        table.push(match &entry.seen {
            Seen::Region(region) => vec![
                name.into(),
                region.len.to_string().into(),
                region.attached.to_string().into(),
                alarming(region.dead as u64),
                region.guard.clone(),
                region.objects.to_string().into(),
                alarming(region.deaths),
                entry.size_on_disk.map_or_else(|| "-".to_owned(), size).into(),
            ],
            Seen::Refused { error } => vec![name.into(), Style::Bad.cell(printable(&error.message))],
        });
    }
    table
}

/// A number that is best 0.
fn alarming(number: u64) -> Cell {
    let style = if number == 0 { Style::Quiet } else { Style::Bad };
    style.cell(number.to_string())
}
