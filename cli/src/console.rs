//! Where a command reads and writes, and how its text looks on a terminal.

use std::fmt;
use std::io::{self, BufRead, BufWriter, IsTerminal, Write};

/// The streams of one run. The standard ones for a program; buffers for a test.
pub struct Console<'a> {
    /// Where answers to questions come from.
    pub input: &'a mut dyn BufRead,
    /// Results.
    pub out: &'a mut dyn Write,
    /// Messages of errors.
    pub err: &'a mut dyn Write,
    /// Whether somebody is there to answer a question.
    pub can_ask: bool,
    /// Whether `out` is a screen that can be drawn again.
    pub screen: bool,
    /// Whether `out` and `err` understand colours, and the user wants them.
    pub colour: bool,
    /// Columns of `out`: of the screen, or as many as people expect.
    pub width: usize,
}

impl Console<'_> {
    /// Runs `body` with the standard streams of this process.
    pub fn with_standard_streams<T>(body: impl FnOnce(&mut Console<'_>) -> T) -> T {
        let (input, out, err) = (io::stdin(), io::stdout(), io::stderr());
        let (screen, can_ask) = (out.is_terminal(), input.is_terminal());
        // https://no-color.org: set to anything but nothing.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = screen && err.is_terminal() && !refused && !dumb;
        // Without this buffer, every line of a long table would be a system call of its own.
        let mut out = BufWriter::new(out.lock());
        body(&mut Console {
            input: &mut input.lock(),
            out: &mut out,
            err: &mut err.lock(),
            can_ask,
            screen: screen && !dumb,
            colour,
            width: width(screen),
        })
    }

    /// Says on `err` what went wrong.
    pub fn complain(&mut self, what: &dyn fmt::Display) -> io::Result<()> {
        // What was written before belongs before it; if that fails, this must be said all the more.
        let flushed = self.out.flush();
        let what = crate::human::printable(&what.to_string());
        writeln!(self.err, "{}", Style::Bad.paint(&format!("shmkit: {what}"), self.colour))?;
        flushed
    }
}

/// What `COLUMNS` says, the terminal, or 80.
fn width(screen: bool) -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the call fills the struct.
        let status = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
        (screen && status == 0).then_some(usize::from(size.ws_col))
    };
    told.or_else(asked).filter(|&columns| columns > 0).unwrap_or(80).min(1000)
}

/// What a piece of text is, where colours can show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As it comes.
    #[default]
    Plain,
    /// What stands over a table.
    Heading,
    /// What is of less interest.
    Quiet,
    /// All is well.
    Good,
    /// Somebody waits.
    Notable,
    /// Somebody died.
    Bad,
}

impl Style {
    /// The text with the codes of ECMA-48 around it, if `colour`.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            _ if !colour || text.is_empty() => return text.to_owned(),
            Style::Plain => return text.to_owned(),
            Style::Heading => "1",
            Style::Quiet => "2",
            Style::Good => "32",
            Style::Notable => "33",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
