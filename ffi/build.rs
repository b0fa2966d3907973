//! What the linker must know of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Programs remember this name, so it changes only when the ABI breaks.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libshmkit.so.0");
    // Unloading would forget which regions the process has open, while its attachments live on.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
