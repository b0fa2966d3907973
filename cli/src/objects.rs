//! `shmkit objects NAME`: the named objects of a region.

use std::path::PathBuf;

use shmkit::{Location, ObjectInfo, Region};

use crate::arguments::Objects;
use crate::console::{Console, Style};
use crate::human::printable;
use crate::table::{Column, Table};
use crate::{DONE, Result};

/// Lists them.
pub fn run(arguments: &Objects, console: &mut Console<'_>) -> Result<i32> {
    let location = if arguments.path {
        Location::Path(PathBuf::from(&arguments.name))
    } else {
        Location::Name(arguments.name.clone())
    };
    let objects = Region::open_read_only(location)?.objects()?;
    if arguments.json {
        let told: Vec<_> = objects.iter().map(json).collect();
        writeln!(console.out, "{}", serde_json::Value::Array(told))?;
        return Ok(DONE);
    }
    if objects.is_empty() {
        writeln!(console.out, "no named objects")?;
        return Ok(DONE);
    }
    table(&objects).write(console.out, "", console.colour)?;
    Ok(DONE)
}

fn kind(object: &ObjectInfo) -> &'static str {
    object.kind.map_or("unknown", |kind| kind.name())
}

fn json(object: &ObjectInfo) -> serde_json::Value {
    serde_json::json!({
        "name": object.name,
        "kind": kind(object),
        "bytes": object.size,
        "users": object.users,
        "parameters": object.parameters,
    })
}

fn table(objects: &[ObjectInfo]) -> Table {
    use Column::{Left, Right};
    let mut table =
        Table::new([Left("KIND"), Left("NAME"), Right("BYTES"), Right("USERS"), Left("PARAMETERS")]);
    for object in objects {
        let parameters = match object.parameters {
            [0, 0] => Style::Quiet.cell("-"),
            [first, second] => format!("{first}, {second}").into(),
        };
        table.push([
            kind(object).into(),
            printable(&object.name).into(),
            object.size.to_string().into(),
            object.users.to_string().into(),
            parameters,
        ]);
    }
    table
}
