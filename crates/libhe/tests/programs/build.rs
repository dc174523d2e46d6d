//! Compiling C programs against the project's headers and library.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The crate's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the build left `libhe.so`, or `libhe.a` beside it.
pub fn library(name: &str) -> PathBuf {
    let library = wiredtiger_testkit::c_connector::libhe().unwrap_or_else(|why| panic!("{why}"));
    library.with_file_name(name)
}

/// A compiler call, up to what is specific to a program.
pub fn compiler(version: &str) -> Command {
    let mut compiler = Command::new("cc");
    compiler
        .args(["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .arg("-I")
        .arg(root().join("include").join(version));
    compiler
}

/// Links with the shared library, which the program then finds where it is now, whatever other
/// places cargo has in the environment of tests.
pub fn link_shared(compiler: &mut Command) {
    let library = library("libhe.so");
    let folder = library.parent().unwrap();
    compiler
        .arg(format!("-L{}", folder.display()))
        .arg("-lhe")
        .arg("-Wl,--disable-new-dtags")
        .arg(format!("-Wl,-rpath,{}", folder.display()));
}

/// Compiles a program of `tests/c` in `folder`, with the header of `version`.
pub fn program(version: &str, name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let mut compiler = compiler(version);
    compiler
        .arg(root().join("tests/c").join(format!("{name}.c")))
        .arg("-o")
        .arg(&program);
    link_shared(&mut compiler);
    done(&mut compiler);
    program
}

/// Runs a command to its end, which is expected to be a good one; gives what it said.
#[track_caller]
pub fn done(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A folder with devices of all the kinds that the programs want.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sparse = |name: &str, bytes: u64| {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        file.set_len(bytes).unwrap();
    };
    for name in ["blank", "volume", "elsewhere", "one", "two"] {
        sparse(name, 1 << 30);
    }
    sparse("small", (1 << 30) - 4096);
    std::fs::write(folder.path().join("text"), "not a volume\n".repeat(10_000)).unwrap();
    std::fs::create_dir(folder.path().join("directory")).unwrap();
    folder
}
