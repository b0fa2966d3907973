//! Columns that line up.

use std::io::{self, Write};

use crate::console::Style;

/// One field of a table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), style: Style::Plain }
    }
}

impl Style {
    /// A cell in this style.
    pub fn cell(self, text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: self }
    }
}

/// A heading of a column, and on which side its cells stand.
pub enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

/// Rows under headings. A row may be shorter: then its last cell goes on over the columns that it lacks.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, of one cell at least.
    pub fn push(&mut self, row: impl Into<Vec<Cell>>) {
        self.rows.push(row.into());
    }

    /// Writes headings and rows, each line after `indent`.
    pub fn write(&self, out: &mut dyn Write, indent: &str, colour: bool) -> io::Result<()> {
        let headings = self.columns.iter().map(|column| Style::Heading.cell(column.heading()));
        let lines: Vec<Vec<Cell>> =
            [headings.collect()].into_iter().chain(self.rows.iter().cloned()).collect();
        let widths: Vec<usize> = (0..self.columns.len()).map(|index| self.width(&lines, index)).collect();
        for line in &lines {
            let mut text = indent.to_owned();
            for (index, cell) in line.iter().enumerate() {
                let is_last = index + 1 == line.len();
                let padding = " ".repeat(widths[index].saturating_sub(width(cell)));
                let painted = cell.style.paint(&cell.text, colour);
                match self.columns[index] {
                    Column::Right(_) if !is_last || line.len() == widths.len() => {
                        text += &(padding + &painted)
                    }
                    _ if is_last => text += &painted,
                    _ => text += &(painted + &padding),
                }
                if !is_last {
                    text += "  ";
                }
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }

    /// A cell that goes on over other columns does not widen its own.
    fn width(&self, lines: &[Vec<Cell>], index: usize) -> usize {
        let spans = |line: &Vec<Cell>| index + 1 == line.len() && line.len() < self.columns.len();
        let cells = lines.iter().filter(|line| !spans(line)).filter_map(|line| line.get(index));
        cells.map(width).max().unwrap_or(0)
    }
}

impl Column {
    fn heading(&self) -> &'static str {
        match self {
            Column::Left(text) | Column::Right(text) => text,
        }
    }
}

fn width(cell: &Cell) -> usize {
    cell.text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_and_without_colours() {
        let mut table = Table::new([Column::Left("NAME"), Column::Right("BYTES"), Column::Left("STATE")]);
        table.push(["a".into(), "1048576".into(), Style::Bad.cell("dead")]);
        table.push(["longer".into(), "9".into(), "".into()]);
        table.push(["broken".into(), "this goes on and on".into()]);
        let text = |colour| {
            let mut out = Vec::new();
            table.write(&mut out, "  ", colour).unwrap();
            String::from_utf8(out).unwrap()
        };
        let plain = "  NAME      BYTES  STATE\n  a       1048576  dead\n  longer        9\n  broken  this goes on and on\n";
        assert_eq!(text(false), plain);
        assert!(text(true).contains("  \x1b[1mNAME\x1b[0m      \x1b[1mBYTES\x1b[0m  "));
        assert!(text(true).contains("1048576  \x1b[31mdead\x1b[0m\n"));
        assert_eq!(text(true).replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[31m", ""), plain);
    }
}
