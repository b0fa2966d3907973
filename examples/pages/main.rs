//! What the kernel knows of memory: which pages are there, how many page faults work on them costs, and how that changes
//! when they are populated, let go, or made huge.
//!
//! ```text
//! main 16     looks at 16 MiB of private memory
//! ```

use std::process::ExitCode;

use shmkit::{Advice, HugePages, MapOptions, Mapping, Sharing, Usage};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let mib = match &arguments[..] {
        [_, mib] => mib.parse::<usize>().ok().filter(|mib| (4..=1024).contains(mib)),
        _ => None,
    };
    let Some(mib) = mib else {
        eprintln!("usage: pages MIB (4 to 1024)");
        return ExitCode::from(2);
    };
    match run(mib << 20) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pages: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(len: usize) -> shmkit::Result<()> {
    let options = MapOptions::new().len(len).sharing(Sharing::Private);
    let mapping = options.clone().huge_pages(HugePages::Never).map_anonymous()?;
    show("untouched", &mapping)?;

    // Memory comes when it is touched, by a page fault.
    let eighth = touch(&mapping, len / 8)?;
    show("an eighth touched", &mapping)?;
    mapping.advise(.., Advice::PopulateWrite)?;
    show("populated", &mapping)?;
    let all = touch(&mapping, len)?;
    println!("faults of the first touch: {}", if eighth > 0 { "some" } else { "none" });
    println!("faults when populated: {}", if all < eighth / 8 { "hardly any" } else { "many" });

    mapping.advise(.., Advice::DontNeed)?;
    show("let go", &mapping)?;

    // Fewer, larger pages, where the system allows them.
    let huge = options.huge_pages(HugePages::Transparent).populate(true).map_anonymous()?;
    show("populated, huge", &huge)?;
    println!("in huge pages: {} MiB", huge.memory_use()?.huge >> 20);
    Ok(())
}

/// Writes one byte in each page of the first `len` bytes, and says how many faults that was.
fn touch(mapping: &Mapping, len: usize) -> shmkit::Result<u64> {
    let (result, used) =
        Usage::count(|| (0..len).step_by(mapping.page_size()).try_for_each(|at| mapping.write_at(at, &[1])))?;
    result.map(|()| used.minor_faults + used.major_faults)
}

fn show(what: &str, mapping: &Mapping) -> shmkit::Result<()> {
    let counts = mapping.residency(..)?.counts();
    println!("{what}: {} of {} pages", counts.resident, counts.pages);
    Ok(())
}
