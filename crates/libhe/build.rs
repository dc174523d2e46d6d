//! How the shared library is linked: its name, and that it stays where it was loaded.

fn main() {
    // Programs record this name, so a library of the same name serves them all.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhe.so");
    // A plug-in that is linked with it may be unloaded while threads still have its
    // thread-local destructors to run.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
