//! Memory that no file backs: a process's own, and shared with a child that gets its descriptor.
//!
//! ```text
//! main
//! ```
//!
//! A child that is forked has what is mapped; one that is started gets a descriptor, here as its standard input.

use std::process::{Command, ExitCode, Stdio};

use shmkit::{MapOptions, Protection, Result, Segment, Sharing};

fn main() -> ExitCode {
    let child = std::env::args().nth(1).is_some_and(|argument| argument == "child");
    let result = match std::env::args().len() {
        1 => run(),
        2 if child => write_to_inherited(),
        _ => {
            eprintln!("usage: anonymous");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("anonymous: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<()> {
    // Like memory of the heap, from whole pages of zeros; gone with the process.
    let own = MapOptions::new().len(4096).sharing(Sharing::Private).map_anonymous()?;
    own.write_at(0, b"mine")?;
    let mut bytes = [0; 4];
    own.read_at(0, &mut bytes)?;
    println!("of my own: {}", String::from_utf8_lossy(&bytes));

    // Shared: whoever has the descriptor has the memory, and it goes with the last of them.
    let segment = Segment::memfd("example", 4096)?;
    let mapping = MapOptions::new().map_segment(&segment)?;
    let program = std::env::current_exe().expect("the path of this program");
    let ended = Command::new(program).arg("child").stdin(Stdio::from(segment.try_clone_fd()?)).status();
    assert!(ended.is_ok_and(|status| status.success()), "the child failed");
    mapping.read_at(0, &mut bytes[..2])?;
    println!("the child wrote: {}", String::from_utf8_lossy(&bytes[..2]));
    Ok(())
}

fn write_to_inherited() -> Result<()> {
    let segment = Segment::from_fd(std::io::stdin())?;
    MapOptions::new().protection(Protection::ReadWrite).map_segment(&segment)?.write_at(0, b"Hi")
}
