//! `shmkit map NAME|FILE`: which pages of a region or a file are in memory, as a picture.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shmkit::{ErrorKind, MapOptions, Mapping, PageCounts, PageFlags, Region};

use crate::arguments::Map;
use crate::console::{Console, Style};
use crate::human::{count, printable, size};
use crate::{DONE, Result};

/// What there is no more room for than on a screen.
const ROWS: usize = 16;
const NARROWEST: usize = 16;

/// What is looked at: only to read, so that nothing in it changes.
enum Object {
    Region(Region),
    File(Mapping),
}

impl Object {
    /// A region of this name or, where there is none, the file.
    fn open(arguments: &Map) -> Result<Object> {
        let path = PathBuf::from(&arguments.object);
        if arguments.path || arguments.object.contains('/') {
            return Ok(Object::File(MapOptions::new().map_path(path)?));
        }
        match Region::open_read_only(arguments.object.as_str()) {
            Ok(region) => Ok(Object::Region(region)),
            Err(error) if error.kind() == ErrorKind::NotFound && Path::new(&path).is_file() => {
                Ok(Object::File(MapOptions::new().map_path(path)?))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Object::Region(_) => "Region",
            Object::File(_) => "File",
        }
    }

    fn len(&self) -> usize {
        match self {
            Object::Region(region) => region.len(),
            Object::File(mapping) => mapping.len(),
        }
    }

    fn counts(&self, from: usize, to: usize, cells: usize) -> Result<(Vec<PageCounts>, PageFlags)> {
        Ok(match self {
            Object::Region(region) => region.page_counts(from..to, cells)?,
            Object::File(mapping) => mapping.page_counts(from..to, cells)?,
        })
    }

    fn page_size(&self) -> Result<usize> {
        Ok(match self {
            Object::Region(region) => region.residency(0..0)?.page_size(),
            Object::File(mapping) => mapping.residency(0..0)?.page_size(),
        })
    }
}

/// The object in equal cells, each a power of two of pages; the last one may be shorter.
#[derive(Serialize)]
struct Picture {
    name: String,
    kind: &'static str,
    len: usize,
    page_size: usize,
    pages: u64,
    resident: u64,
    /// Absent when the kernel does not tell.
    dirty: Option<u64>,
    cell_len: usize,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    pages: u64,
    resident: u64,
    dirty: u64,
}

impl Picture {
    /// Looks, in so many cells at most.
    fn of(object: &Object, name: &str, most: usize) -> Result<Picture> {
        let (len, page_size) = (object.len(), object.page_size()?);
        let pages = len.div_ceil(page_size);
        let mut cell_len = page_size;
        while len.div_ceil(cell_len) > most {
            cell_len *= 2;
        }
        let whole = len / cell_len;
        let (mut counts, mut known) = (Vec::new(), None);
        for (from, to, cells) in [(0, whole * cell_len, whole), (whole * cell_len, len, 1)] {
            if from < to {
                let (found, flags) = object.counts(from, to, cells)?;
                counts.extend(found);
                known.get_or_insert(flags);
            }
        }
        let sum = |of: fn(&PageCounts) -> u64| counts.iter().map(of).sum();
        let knows_dirty = known.is_some_and(|flags| flags.contains(PageFlags::DIRTY));
        Ok(Picture {
            name: name.to_owned(),
            kind: object.kind(),
            len,
            page_size,
            pages: pages as u64,
            resident: sum(|cell| cell.resident),
            dirty: knows_dirty.then(|| sum(|cell| cell.dirty)),
            cell_len,
            cells: counts
                .iter()
                .map(|cell| Cell { pages: cell.pages, resident: cell.resident, dirty: cell.dirty })
                .collect(),
        })
    }

    fn draw(&self, columns: usize, signs: &Signs, colour: bool, out: &mut dyn Write) -> io::Result<()> {
        let title = format!("{} {}", self.kind, printable(&self.name));
        writeln!(out, "{}", Style::Heading.paint(&title, colour))?;
        let share = |pages: u64| {
            let bytes = size(pages * self.page_size as u64);
            format!("{bytes} ({:.1} %)", pages as f64 * 100.0 / self.pages.max(1) as f64)
        };
        let dirty = match self.dirty {
            Some(pages) => share(pages),
            None => "unknown: the kernel does not tell".to_owned(),
        };
        for (name, value) in [
            ("bytes", format!("{} in {}", self.len, count(self.pages, "page"))),
            ("in memory", share(self.resident)),
            ("not on disk", dirty),
            ("each sign", size(self.cell_len as u64)),
        ] {
            writeln!(out, "  {name:13}{value}")?;
        }
        writeln!(out)?;
        let labels: Vec<String> = (0..self.cells.len().div_ceil(columns))
            .map(|row| size((row * columns * self.cell_len) as u64))
            .collect();
        let width = labels.iter().map(String::len).max().unwrap_or(0);
        for (label, row) in labels.iter().zip(self.cells.chunks(columns)) {
            write!(out, "  {label:>width$}  ")?;
            // Neighbours of one style are painted together: a terminal is slow to change colours.
            for run in row.chunk_by(|a, b| a.style() == b.style()) {
                let text: String = run.iter().map(|cell| signs.of(cell, colour)).collect();
                write!(out, "{}", run[0].style().paint(&text, colour))?;
            }
            writeln!(out)?;
        }
        let shades: Vec<String> = signs
            .shades
            .iter()
            .zip(["none", "some", "half", "most", "all"])
            .map(|(s, t)| format!("{s} {t}"))
            .collect();
        let dirty = match (self.dirty, colour) {
            (None, _) => String::new(),
            (_, true) => Style::Notable.paint(&format!("   {} not all on disk", signs.shades[4]), true),
            (_, false) => format!("   {} not all on disk", signs.dirty),
        };
        writeln!(out, "\n  in memory: {}{dirty}", shades.join("  "))
    }
}

impl Cell {
    fn style(&self) -> Style {
        match (self.resident, self.dirty) {
            (_, 1..) => Style::Notable,
            (0, _) => Style::Quiet,
            _ => Style::Good,
        }
    }
}

/// How much of a cell is in memory, as signs.
struct Signs {
    shades: [char; 5],
    /// Where no colour can say it.
    dirty: char,
}

impl Signs {
    /// Blocks, or plain letters where the terminal says that it knows nothing else.
    fn for_locale() -> Signs {
        let chosen = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let is_plain = chosen.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        if is_plain {
            Signs { shades: ['.', '-', '+', 'x', '#'], dirty: '*' }
        } else {
            Signs { shades: ['·', '░', '▒', '▓', '█'], dirty: '*' }
        }
    }

    fn of(&self, cell: &Cell, colour: bool) -> char {
        if cell.dirty > 0 && !colour {
            return self.dirty;
        }
        let (resident, pages) = (cell.resident, cell.pages);
        self.shades[match resident {
            0 => 0,
            _ if resident >= pages => 4,
            _ if resident * 3 <= pages => 1,
            _ if resident * 3 <= pages * 2 => 2,
            _ => 3,
        }]
    }
}

/// Looks, and draws or tells.
pub fn run(arguments: &Map, console: &mut Console<'_>) -> Result<i32> {
    let object = Object::open(arguments)?;
    // A margin for the offsets, as wide as the widest of them.
    let columns = arguments.width.unwrap_or(console.width).saturating_sub(14).max(NARROWEST);
    let most = columns * arguments.rows.unwrap_or(ROWS);
    let picture = Picture::of(&object, &arguments.object, most)?;
    if arguments.json {
        let text = serde_json::to_string(&picture).map_err(io::Error::from)?;
        writeln!(console.out, "{text}")?;
    } else {
        picture.draw(columns, &Signs::for_locale(), console.colour, console.out)?;
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_say_how_much_and_a_sign_says_that_some_is_dirty() {
        let signs = Signs { shades: ['0', '1', '2', '3', '4'], dirty: '*' };
        let sign = |resident, dirty, colour| signs.of(&Cell { pages: 9, resident, dirty }, colour);
        let shown: String = (0..=9).map(|resident| sign(resident, 0, false)).collect();
        assert_eq!(shown, "0111222334");
        assert_eq!((sign(9, 1, false), sign(9, 1, true)), ('*', '4'));
    }

    #[test]
    fn rows_line_up_and_carry_their_offsets() {
        let cell = |resident, dirty| Cell { pages: 2, resident, dirty };
        let picture = Picture {
            name: "x".to_owned(),
            kind: "File",
            len: 40_000,
            page_size: 4096,
            pages: 10,
            resident: 5,
            dirty: Some(1),
            cell_len: 8192,
            cells: vec![cell(2, 0), cell(2, 1), cell(1, 0), cell(0, 0), cell(0, 0)],
        };
        let mut out = Vec::new();
        let signs = Signs { shades: ['.', '-', '+', 'x', '#'], dirty: '*' };
        picture.draw(2, &signs, false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\n       0 B  #*\n  16.0 KiB  +.\n  32.0 KiB  .\n"), "{text}");
        assert!(text.contains("in memory    20.0 KiB (50.0 %)"), "{text}");
        assert!(text.ends_with("* not all on disk\n"), "{text}");
    }
}
