//! Installing what programs and people use: the C library, its headers and its manual.
//!
//! Invariant: what is installed was built just before, in release. Each file is written under
//! another name and then renamed, so that a program that runs keeps the file it has.

use crate::step;
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The packages that are built.
const PACKAGES: [&str; 1] = ["libhe"];

/// What was built, and where it goes below the prefix.
const BUILT: [Artifact; 2] = [
    Artifact {
        from: "libhe.so",
        to: "lib/libhe.so",
        mode: 0o755,
    },
    Artifact {
        from: "libhe.a",
        to: "lib/libhe.a",
        mode: 0o644,
    },
];

/// What is in the tree, and where it goes below the prefix.
const SOURCES: [Artifact; 4] = [
    source("crates/libhe/include/2.2/he.h", "include/2.2/he.h"),
    source("crates/libhe/include/2.8/he.h", "include/2.8/he.h"),
    source("crates/libhe/include/3.x/he.h", "include/3.x/he.h"),
    source("crates/libhe/man/he.3", "share/man/man3/he.3"),
];

/// What pkg-config reads, with the prefix to be filled in.
const PKG_CONFIG: Artifact = source("crates/libhe/he.pc.in", "lib/pkgconfig/he.pc");

struct Artifact {
    from: &'static str,
    to: &'static str,
    mode: u32,
}

const fn source(from: &'static str, to: &'static str) -> Artifact {
    Artifact {
        from,
        to,
        mode: 0o644,
    }
}

/// Builds, and installs below `prefix`; with `destdir`, in that folder for now.
pub fn install(prefix: &Path, destdir: Option<&Path>) -> Result<()> {
    let prefix = std::path::absolute(prefix).context("the prefix is no path")?;
    let mut build = step::cargo(&["build", "--release"]);
    for package in PACKAGES {
        build.args(["-p", package]);
    }
    step::command("build (release)", &mut build)?;
    let place = below(destdir, &prefix);
    step::step(&format!("install to {}", place.display()), || {
        let built = step::target()?.join("release");
        for artifact in &BUILT {
            artifact.put(&fs_read(&built.join(artifact.from))?, &place)?;
        }
        for artifact in &SOURCES {
            artifact.put(&fs_read(&step::root().join(artifact.from))?, &place)?;
        }
        let template = fs::read_to_string(step::root().join(PKG_CONFIG.from))?;
        PKG_CONFIG.put(pkg_config(&template, &prefix).as_bytes(), &place)
    })
}

fn pkg_config(template: &str, prefix: &Path) -> String {
    template
        .replace("@PREFIX@", &prefix.display().to_string())
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

fn below(destdir: Option<&Path>, prefix: &Path) -> PathBuf {
    match (destdir, prefix.strip_prefix("/")) {
        (Some(destdir), Ok(inside)) => destdir.join(inside),
        _ => prefix.to_owned(),
    }
}

fn fs_read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

impl Artifact {
    fn put(&self, bytes: &[u8], place: &Path) -> Result<()> {
        let to = place.join(self.to);
        let mut fresh = to.clone().into_os_string();
        fresh.push(".new");
        let write = || {
            fs::create_dir_all(to.parent().unwrap_or(place))?;
            fs::write(&fresh, bytes)?;
            fs::set_permissions(&fresh, fs::Permissions::from_mode(self.mode))?;
            fs::rename(&fresh, &to)
        };
        write().with_context(|| format!("install {}", to.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_installed_from_the_tree_is_there() {
        for artifact in SOURCES.iter().chain([&PKG_CONFIG]) {
            let path = step::root().join(artifact.from);
            assert!(path.is_file(), "{}", path.display());
        }
        let template = fs::read_to_string(step::root().join(PKG_CONFIG.from)).unwrap();
        let filled = pkg_config(&template, Path::new("/opt/helium"));
        assert!(
            filled.contains("prefix=/opt/helium\n") && !filled.contains('@'),
            "{filled}"
        );
    }

    #[test]
    fn a_staging_folder_goes_before_the_prefix() {
        let staged = below(Some(Path::new("/tmp/stage")), Path::new("/usr/local"));
        assert_eq!(staged, Path::new("/tmp/stage/usr/local"));
        assert_eq!(
            below(None, Path::new("/usr/local")),
            Path::new("/usr/local")
        );
    }
}
