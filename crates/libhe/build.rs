//! How the shared library is linked: its name, and that it stays where it was loaded.

fn main() {
    // Programs record this name. Its number changes when one of them would not run any more.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhe.so.1");
    // A plug-in that is linked with it may be unloaded while threads still have its
    // thread-local destructors to run.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
