//! Code made at run time: a function that adds a number to its argument, for x86-64 or AArch64.
//!
//! ```text
//! main NUMBER ARGUMENT
//! ```

use std::process::ExitCode;

use shmkit::{CodeMemory, CodeOptions, Error, Result};

type Function = extern "C" fn(u64) -> u64;

/// The machine code of `argument + number`.
fn add(number: u16) -> Vec<u8> {
    if cfg!(target_arch = "x86_64") {
        let [low, high] = number.to_le_bytes();
        vec![0x48, 0x8d, 0x87, low, high, 0, 0, 0xc3] // lea rax, [rdi + number]; ret
    } else {
        let load = 0xd280_0001 | u32::from(number) << 5; // mov x1, number
        [load, 0x8b01_0000, 0xd65f_03c0].into_iter().flat_map(u32::to_le_bytes).collect() // add x0, x0, x1; ret
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = match &arguments[..] {
        [number, argument] => number.parse().ok().zip(argument.parse().ok()),
        _ => None,
    };
    let Some((number, argument)) = numbers else {
        eprintln!("usage: jit NUMBER ARGUMENT (at most 65535)");
        return ExitCode::from(2);
    };
    if let Err(error) = run(number, argument) {
        eprintln!("jit: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(number: u16, argument: u64) -> Result<()> {
    // Written, then sealed, then called: never both at once.
    let code = CodeMemory::new(4096)?;
    code.write_at(0, &add(number))?;
    println!("called before it is sealed: {}", outcome(code.pin(0).err()));
    code.seal()?;
    println!("written after it is sealed: {}", outcome(code.write_at(0, &add(0)).err()));
    #[allow(unsafe_code)]
    // SAFETY: `add` made a function of this type.
    let function = unsafe { code.function::<Function>(0) }?;
    println!("{argument} + {number} = {}", function(argument));

    // Mapped twice, code can be changed while it is in use, and still nothing is writable where it runs.
    let code = CodeOptions::new().patchable(true).create(4096)?;
    code.write_at(0, &add(number))?;
    #[allow(unsafe_code)]
    // SAFETY: as above, before the change and after it.
    let function = unsafe { code.function::<Function>(0) }?;
    code.write_at(0, &add(2))?;
    println!("patched: {argument} + 2 = {}", function(argument));
    Ok(())
}

fn outcome(error: Option<Error>) -> &'static str {
    error.map_or("done", |error| error.kind().name())
}
