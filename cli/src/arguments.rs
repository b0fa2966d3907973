//! What may stand on the command line, and what the help says.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Examples:
  shmkit ls                      the regions of this machine
  shmkit stat jobs               who is attached to 'jobs', and who holds what since when
  shmkit stat jobs --watch 1     the same, once a second
  shmkit objects jobs            the named objects in it
  shmkit map jobs                which of its pages are in memory
  shmkit gc                      offers to remove what nobody is attached to
  shmkit rm jobs                 removes one region
  shmkit log tail -f events      the last records of the log in the directory 'events', and those that come

Exit status:
  0   done
  1   something failed or was refused; stderr says what
  2   the command line makes no sense
  141 whoever read the output went away";

/// Shows what shared memory regions there are and what goes on in them, and removes what nobody uses
///
/// Looking changes nothing in a region, waits for nobody, and needs no more than leave to read.
#[derive(Debug, Parser)]
#[command(name = "shmkit", version, verbatim_doc_comment, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Ls(List),
    Stat(Show),
    Objects(Objects),
    Map(Map),
    Gc(Collect),
    Rm(Remove),
    Log(LogArguments),
}

/// Lists the regions that are shared memory objects
///
/// One line for each: its user bytes, the processes attached to it, those that died attached, who holds
/// its guard, its named objects, how many owners of its locks died, and the memory that it takes.
/// A region that cannot be opened is listed with the reason.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shmkit ls
  shmkit ls --json | jq -r '.[] | select(.dead > 0) | .name'"
)]
pub struct List {
    /// An array of objects instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Shows who is attached to a region and waits for what, and every lock and other object in it
///
/// A lock is held 'for at least' some time: taking a free lock reads no clock, so the time counts from
/// when somebody first had to wait for this owner. Of the waiting threads of a process, one is shown.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shmkit stat jobs
  shmkit stat /var/lib/jobs.shm --path
  shmkit stat jobs --json | jq '.objects[] | select(.owner_died)'"
)]
pub struct Show {
    /// The region's name
    pub name: String,
    /// NAME is the path of a region in a file
    #[arg(long)]
    pub path: bool,
    /// One line of JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Shows it again every so many seconds, until it is gone or Ctrl-C is pressed
    #[arg(long, value_name = "SECONDS", value_parser = interval)]
    pub watch: Option<Duration>,
}

/// Draws which pages of a region or a file are in memory, and which are not yet on the disk
///
/// Works on anything that may be read, while others use it, and reads none of its bytes. Of a file that this
/// user may not write, the kernel may say that all of it is in memory.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shmkit map jobs
  shmkit map /var/lib/data.bin
  shmkit map jobs --json | jq '.resident / .pages'"
)]
pub struct Map {
    /// The region's name, or the path of a file (with a slash in it, or if there is no such region)
    #[arg(value_name = "NAME|FILE")]
    pub object: String,
    /// It is a path
    #[arg(long)]
    pub path: bool,
    /// One line of JSON instead of a picture
    #[arg(long)]
    pub json: bool,
    /// Columns to draw in; the terminal's by default
    #[arg(long, value_parser = columns)]
    pub width: Option<usize>,
    /// Rows to draw at most; 16 by default
    #[arg(long, value_parser = rows)]
    pub rows: Option<usize>,
}

/// Lists the named objects of a region
///
/// One line for each: what it is, the bytes that it takes in the region, how many living processes have it
/// open, and the numbers it was created with. 'stat' shows what they are doing.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shmkit objects jobs
  shmkit objects jobs --json | jq -r '.[] | select(.users == 0) | .name'"
)]
pub struct Objects {
    /// The region's name
    pub name: String,
    /// NAME is the path of a region in a file
    #[arg(long)]
    pub path: bool,
    /// An array of objects instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Removes the shared memory regions that no living process is attached to
///
/// Lists them and asks. Those that cannot be opened are left alone: 'rm --force' removes them.
///
/// Each region is looked at again right before it is removed. What remains is the instant between that
/// look and the removal: a process that opens the region then keeps it, but nobody finds it by its name
/// any more. Processes that opened it read-only are not attached, and keep what they have open.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shmkit gc --dry-run
  shmkit gc --yes"
)]
pub struct Collect {
    /// Removes without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Lists what would be removed, and removes nothing
    #[arg(long, short = 'n', conflicts_with = "yes")]
    pub dry_run: bool,
}

/// Removes shared memory regions by name, or named objects in them
///
/// Refuses while living processes are attached, and when the region cannot be opened to find that out.
/// Processes that have a removed region open keep it; its memory goes with the last of them.
///
/// REGION:OBJECT is a named object of a region. It is refused while living processes have it open.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shmkit rm jobs results
  shmkit rm jobs:frames          only the object 'frames' in it
  shmkit rm --force jobs"
)]
pub struct Remove {
    /// The regions' names, or REGION:OBJECT
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Removes regions in any case
    #[arg(long, short)]
    pub force: bool,
}

fn columns(text: &str) -> Result<usize, String> {
    number(text, 30, 1000)
}

fn rows(text: &str) -> Result<usize, String> {
    number(text, 1, 1000)
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or(format!("from {least} to {most}"))
}

/// Shows what is in a log: a directory that many processes append records to
///
/// Reading changes nothing, stops no writer, and needs no more than leave to read.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  shmkit log tail -f events
  shmkit log export --format jsonl events | jq -r 'select(.kind >= 40) | .text'"
)]
pub struct LogArguments {
    #[command(subcommand)]
    pub command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    Tail(Tail),
    Cat(Cat),
    Stat(LogShow),
    Verify(Verify),
    Export(Export),
}

/// Shows the last records, each as a line of time, kind and text
#[derive(Args, Debug)]
pub struct Tail {
    /// The log's directory
    pub directory: PathBuf,
    /// How many
    #[arg(long, short = 'n', default_value_t = 10)]
    pub lines: usize,
    /// Goes on with the records that come, until Ctrl-C is pressed
    #[arg(long, short)]
    pub follow: bool,
}

/// Shows all records, each as a line of time, kind and text
#[derive(Args, Debug)]
pub struct Cat {
    /// The log's directory
    pub directory: PathBuf,
    /// The records' bytes as they are, with nothing between them
    #[arg(long)]
    pub raw: bool,
}

/// Shows a log's parameters, segments, flushes, and what was lost
#[derive(Args, Debug)]
pub struct LogShow {
    /// The log's directory
    pub directory: PathBuf,
    /// One line of JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Looks at every byte and checks every checksum; fails when something is wrong
#[derive(Args, Debug)]
pub struct Verify {
    /// The log's directory
    pub directory: PathBuf,
    /// One line of JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Writes all records for other programs
#[derive(Args, Debug)]
pub struct Export {
    /// The log's directory
    pub directory: PathBuf,
    /// 'text' is what 'cat' shows; 'jsonl' is an object a line, with bytes that are no text in hexadecimal
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Into this file, instead of to the output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Jsonl,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    // Faster than people see would only be load; a longer one than a year would be a mistake.
    if !(0.05..=31_536_000.0).contains(&seconds) {
        return Err("from 0.05 seconds to a year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn intervals() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "x", "0", "-1", "nan", "inf", "1e9"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}
