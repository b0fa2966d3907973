//! `include/shmkit.h` is generated from the sources here and from the core's lists, and committed. This test compares;
//! with `SHMKIT_WRITE_HEADER` set (`tools/c-header.sh`) it writes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Where the things that C sees are declared; the modules of a crate's `lib.rs` are followed.
const SOURCES: &[&str] = &[
    "core/src/alloc/heap/options.rs",
    "core/src/alloc/status.rs",
    "core/src/error.rs",
    "core/src/layout.rs",
    "core/src/layout/log.rs",
    "core/src/mapping/advice.rs",
    "core/src/mapping/huge.rs",
    "core/src/mapping/options.rs",
    "core/src/mapping/pages.rs",
    "core/src/mapping/protection.rs",
    "core/src/mapping/residency.rs",
    "core/src/region/named.rs",
    "core/src/sync/event.rs",
    "core/src/sync/semaphore.rs",
    "ffi/src/lib.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let generated = generate();
    expect_valid(&generated);
    if env::var_os("SHMKIT_WRITE_HEADER").is_some() {
        fs::write(root().join("include/shmkit.h"), generated).unwrap();
        return;
    }
    let fresh = read("include/shmkit.h") == generated;
    assert!(fresh, "include/shmkit.h is stale: run tools/c-header.sh and commit the result");
}

/// A type whose source is not in the list above is used in the header and missing from it; and a field that was added to a
/// struct has no value in the macro that such a struct begins with.
fn expect_valid(header: &str) {
    let mut program = header.to_owned();
    for line in header.lines() {
        let Some((name, value)) =
            line.strip_prefix("#define ").and_then(|line| line.split_once(" { sizeof("))
        else {
            continue;
        };
        let (kind, _) = value.split_once(')').unwrap();
        program += &format!("\nstatic const {kind} begun_{name} = {name};");
    }
    let mut compiler = Command::new("cc")
        .args(["-std=c11", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler");
    compiler.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let advice = "is a source missing from the list, or a field from a macro of ffi/header/macros.h?";
    assert!(compiler.wait().unwrap().success(), "the header is no C: {advice}");
}

/// A forgotten boundary would let a panic unwind into C, and nothing else would show it before it happens.
#[test]
fn every_export_runs_inside_the_panic_boundary() {
    let mut exports = 0;
    for file in fs::read_dir(root().join("ffi/src")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for export in source.split("#[unsafe(no_mangle)]").skip(1) {
            let body = &export[..export.find("\n}\n").unwrap()];
            let boundaries = body.matches("attempt(error, ||").count() + body.matches("answer(").count();
            assert_eq!(boundaries, 1, "{body}");
            exports += 1;
        }
    }
    let header = generate();
    // What is defined in the header itself is no export.
    let (header, _) = header.split_once(read("ffi/header/inline.h").trim()).unwrap();
    let declared = header.lines().filter(|line| !line.starts_with("//") && line.ends_with(");"));
    let callbacks = header.matches("\ntypedef void (*").count();
    assert_eq!(declared.count() - callbacks, exports);
}

fn generate() -> String {
    let mut config = cbindgen::Config::from_file(root().join("ffi/cbindgen.toml")).unwrap();
    let version = format!(
        "\n// The version of this header.\n#define SHMKIT_VERSION \"{}\"\n",
        env!("CARGO_PKG_VERSION")
    );
    config.header = Some(read("ffi/header/top.h").trim_end().into());
    config.after_includes = Some(version + read("ffi/header/macros.h").trim_end());
    let mut text = Vec::new();
    SOURCES
        .iter()
        .fold(cbindgen::Builder::new(), |builder, source| builder.with_src(root().join(source)))
        .with_config(config)
        .generate()
        .unwrap()
        .write(&mut text);
    let text = polish(&String::from_utf8(text).unwrap());
    // What is defined in the header comes last, with C linkage still.
    let (text, end) = text.rsplit_once("#ifdef __cplusplus").unwrap();
    format!("{text}{}\n\n#ifdef __cplusplus{end}", read("ffi/header/inline.h").trim())
}

/// What cbindgen cannot be told: success is a status too, enumerators go without the `_T_` of their type, lists of all
/// values stay in Rust, and comments lose what only Rust readers need.
fn polish(text: &str) -> String {
    let text = text
        .replace("SHMKIT_STATUS_T_", "SHMKIT_")
        .replace("_T_", "_")
        .replace("RESERVED2_MIB", "RESERVED_2MIB")
        .replace("RESERVED1_GIB", "RESERVED_1GIB")
        .replace("[`", "`")
        .replace("`]", "`")
        .replace("`crate::", "`");
    let mut lines: Vec<&str> = Vec::new();
    let (mut in_status, mut in_safety) = (false, false);
    for line in
        text.split_inclusive("\n\n").filter(|paragraph| !paragraph.contains("_ALL {")).flat_map(str::lines)
    {
        in_safety = line == "// # Safety" || in_safety && line.starts_with("//");
        if in_safety {
            if lines.last() == Some(&"//") {
                lines.pop();
            }
            continue;
        }
        lines.push(line);
        in_status |= line == "enum shmkit_status_t";
        if in_status && line == " {" {
            lines.extend(["    // Success.", "    SHMKIT_OK = 0,"]);
            in_status = false;
        }
    }
    lines.join("\n") + "\n"
}
