//! Installing what programs and people use: the C library, the command, the data source.
//!
//! Invariant: what is installed was built just before. Each file is written under another name
//! and then renamed, so that a program that runs keeps the file it has.

use crate::{pages, step};
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The packages that are built.
const PACKAGES: [&str; 3] = ["libhe", "helium-cli", "wiredtiger-helium"];

/// What was built, and where it goes below the prefix.
const BUILT: [Artifact; 4] = [
    Artifact::new("libhe.so", "lib/libhe.so", 0o755),
    Artifact::new("libhe.a", "lib/libhe.a", 0o644),
    Artifact::new("helium", "bin/helium", 0o755),
    Artifact::new(
        "libwiredtiger_helium.so",
        "lib/libwiredtiger_helium.so",
        0o755,
    ),
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
    Artifact::new(from, to, 0o644)
}

/// What to install, and where.
#[derive(clap::Args)]
pub struct Install {
    /// Where to, as in /usr/local
    #[arg(long)]
    prefix: PathBuf,
    /// A folder to put everything in for now, as packagers want it
    #[arg(long)]
    destdir: Option<PathBuf>,
    /// Build without optimization, with assertions
    #[arg(long)]
    debug: bool,
}

impl Install {
    /// Builds, and installs below the prefix.
    pub fn run(&self) -> Result<()> {
        let prefix = std::path::absolute(&self.prefix).context("the prefix is no path")?;
        let built = self.build()?;
        let place = below(self.destdir.as_deref(), &prefix);
        step::step(&format!("install to {}", place.display()), || {
            for artifact in &BUILT {
                artifact.put(&fs_read(&built.join(artifact.from))?, &place)?;
            }
            for artifact in &SOURCES {
                artifact.put(&fs_read(&step::root().join(artifact.from))?, &place)?;
            }
            let template = fs::read_to_string(step::root().join(PKG_CONFIG.from))?;
            PKG_CONFIG.put(pkg_config(&template, &prefix).as_bytes(), &place)?;
            for (to, bytes) in pages::all(&built.join("helium"))? {
                put(&place.join(to), &bytes, 0o644)?;
            }
            Ok(())
        })
    }

    /// The folder with what was built.
    fn build(&self) -> Result<PathBuf> {
        let target = step::target()?;
        let mut build = step::cargo(&["build", "--target-dir"]);
        build.arg(&target);
        let profile = if self.debug { "debug" } else { "release" };
        if self.debug {
            // As the tests are built: by themselves the packages would be built again.
            build.args(["--workspace", "--all-targets"]);
        } else {
            build.arg("--release");
            build.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
        }
        step::command(&format!("build ({profile})"), &mut build)?;
        Ok(target.join(profile))
    }
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
    const fn new(from: &'static str, to: &'static str, mode: u32) -> Self {
        Self { from, to, mode }
    }

    fn put(&self, bytes: &[u8], place: &Path) -> Result<()> {
        put(&place.join(self.to), bytes, self.mode)
    }
}

fn put(to: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut fresh = to.as_os_str().to_owned();
    fresh.push(".new");
    let write = || {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::write(&fresh, bytes)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
        fs::rename(&fresh, to)
    };
    write().with_context(|| format!("install {}", to.display()))
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
