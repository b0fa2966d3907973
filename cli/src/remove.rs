//! `shmkit gc` and `shmkit rm`: taking names away from regions that nobody uses.
//!
//! Invariants:
//! - Nothing is removed that was not looked at right before and found without a living process, unless `--force` says so.
//! - Only the name goes: who has a region open keeps its memory, so a look that was outrun breaks nobody's bytes.

use shmkit::{ErrorKind, Region, RegionStatus};

use crate::arguments::{Collect, Remove};
use crate::console::{Console, Style};
use crate::human::{count, printable, size};
use crate::list::{object_path, size_on_disk};
use crate::table::{Column, Table};
use crate::{DONE, FAILED, Result, people};

/// A region without a living process.
struct Abandoned {
    status: RegionStatus,
    /// Another region that bears its name later has another one.
    id: [u8; 16],
}

/// What a look at a region right before its removal says.
enum Look {
    /// It is as it was: remove it.
    Same,
    /// Somebody attached.
    InUse,
    /// It is another region now, or none.
    Gone,
}

/// `shmkit gc`.
pub fn collect(arguments: &Collect, console: &mut Console<'_>) -> Result<i32> {
    let found = find(console)?;
    if found.is_empty() {
        writeln!(console.out, "no region without a living process")?;
        return Ok(DONE);
    }
    table(&found).write(console.out, "", console.colour)?;
    if arguments.dry_run {
        return Ok(DONE);
    }
    if !arguments.yes && !ask(found.len(), console)? {
        return Ok(FAILED);
    }
    let mut outcome = DONE;
    for region in &found {
        let name = printable(&region.status.name);
        match remove_abandoned(region) {
            Ok(Look::Same) => writeln!(console.out, "removed {name}")?,
            Ok(Look::InUse) => writeln!(console.out, "kept {name}: somebody attached to it meanwhile")?,
            Ok(Look::Gone) => writeln!(console.out, "{name} is gone already")?,
            Err(error) => {
                console.complain(&error)?;
                outcome = FAILED;
            }
        }
    }
    Ok(outcome)
}

/// All that no living process is attached to. Says which ones it could not look at: it leaves them alone.
fn find(console: &mut Console<'_>) -> Result<Vec<Abandoned>> {
    let mut found = Vec::new();
    for name in Region::list()? {
        let looked = Region::open_read_only(&name).and_then(|region| Ok((region.status()?, region.id())));
        match looked {
            Ok((status, id)) if status.is_abandoned() => found.push(Abandoned { status, id }),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => console.complain(&format!("left alone: {error}"))?,
        }
    }
    Ok(found)
}

fn table(found: &[Abandoned]) -> Table {
    use Column::{Left, Right};
    let mut table =
        Table::new([Left("NAME"), Right("BYTES"), Right("ON DISK"), Left("CREATED"), Left("DIED ATTACHED")]);
    for Abandoned { status, .. } in found {
        // Whoever left properly has left no trace.
        let died = status.attachments.iter().map(people::name).collect::<Vec<_>>().join(", ");
        table.push([
            printable(&status.name).into(),
            status.len.to_string().into(),
            size_on_disk(&object_path(&status.name)).map_or_else(|| "-".to_owned(), size).into(),
            people::created(status).into(),
            if died.is_empty() { Style::Quiet.cell("nobody") } else { Style::Bad.cell(died) },
        ]);
    }
    table
}

/// Whether somebody says yes. Without a terminal there is nobody to ask.
fn ask(regions: usize, console: &mut Console<'_>) -> Result<bool> {
    let what = count(regions as u64, "region");
    if !console.can_ask {
        console.complain(&format!(
            "nothing removed: no terminal to ask on; --yes removes {what} without asking"
        ))?;
        return Ok(false);
    }
    write!(console.out, "Remove {what}? [y/N] ")?;
    console.out.flush()?;
    let mut answer = String::new();
    console.input.read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        writeln!(console.out, "nothing removed")?;
    }
    Ok(agreed)
}

/// Removes a region if nothing changed since it was found.
fn remove_abandoned(region: &Abandoned) -> Result<Look, shmkit::Error> {
    let name = region.status.name.as_str();
    let gone = |error: shmkit::Error| match error.kind() {
        ErrorKind::NotFound => Ok(Look::Gone),
        _ => Err(error),
    };
    let now = match Region::open_read_only(name) {
        Ok(now) => now,
        Err(error) => return gone(error),
    };
    if now.id() != region.id {
        return Ok(Look::Gone);
    }
    if !now.status()?.is_abandoned() {
        return Ok(Look::InUse);
    }
    Region::unlink(name).map(|()| Look::Same).or_else(gone)
}

/// `shmkit rm`. One name that fails does not keep the others.
pub fn remove(arguments: &Remove, console: &mut Console<'_>) -> Result<i32> {
    let mut outcome = DONE;
    for name in &arguments.names {
        // No name has a colon in it.
        if let Some((region, object)) = name.split_once(':') {
            match Region::open(region).and_then(|region| region.remove_object(object)) {
                Ok(()) => writeln!(console.out, "removed {}", printable(name))?,
                Err(error) => {
                    console.complain(&error)?;
                    outcome = FAILED;
                }
            }
            continue;
        }
        let removed = match living(name) {
            Ok(living) if !living.is_empty() && !arguments.force => Err(format!(
                "cannot remove region '{name}': attached are {living}; end them, or remove it with --force: they keep \
                 their memory"
            )),
            Err(error) if error.kind() != ErrorKind::NotFound && !arguments.force => {
                Err(format!("{error}; --force removes it without looking"))
            }
            looked => Region::unlink(name.as_str())
                .map(|()| looked.unwrap_or_default())
                .map_err(|error| error.to_string()),
        };
        match removed {
            Ok(living) if living.is_empty() => writeln!(console.out, "removed {}", printable(name))?,
            Ok(living) => writeln!(console.out, "removed {}; still attached are {living}", printable(name))?,
            Err(message) => {
                console.complain(&message)?;
                outcome = FAILED;
            }
        }
    }
    Ok(outcome)
}

/// Who is attached, as a text; empty when nobody who lives is.
fn living(name: &str) -> Result<String, shmkit::Error> {
    Ok(people::living(&Region::open_read_only(name)?.status()?))
}
