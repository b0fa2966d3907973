//! From creation to removal: nothing is released under somebody who still uses it.
//!
//! ```text
//! main scratch     creates the region `scratch`, tries to close it too early, and removes it
//! ```

use std::process::ExitCode;

use shmkit::{ErrorKind, Region, Result};

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        eprintln!("usage: lifecycle NAME");
        return ExitCode::from(2);
    };
    if let Err(error) = run(&name) {
        eprintln!("lifecycle: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(name: &str) -> Result<()> {
    let region = Region::create(name, 4096)?;

    // A view is the bytes themselves, without a copy: they must stay where they are while it lives.
    let view = region.view_mut()?;
    view.write_at(0, b"still here")?;
    expect(region.close(), ErrorKind::Busy);
    println!("close with a live view: busy");
    drop(view);

    let guard = region.lock()?;
    expect(region.close(), ErrorKind::Busy);
    println!("close with the guard held: busy");
    drop(guard);

    region.close()?;
    println!("closed");

    let mut byte = [0];
    expect(region.read_at(0, &mut byte), ErrorKind::Closed);
    expect(region.view().map(drop), ErrorKind::Closed);
    println!("access after close: refused");
    region.close()?; // once more does no harm

    Region::unlink(name)?;
    println!("unlinked");
    Ok(())
}

/// Ends the program unless the operation was refused for this reason.
fn expect(result: Result<()>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind() == kind => {}
        other => panic!("expected {kind:?}, got {other:?}"),
    }
}
