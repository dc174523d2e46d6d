//! Installing what programs and people use, and taking it away again: the C library, the command,
//! the data source.
//!
//! Invariants: what is installed was built just before. Each file is written under another name
//! and then renamed, so that a program that runs keeps the file it has. What was installed is
//! listed in a file of its own, and nothing else is ever removed: by who takes it away, or puts something else
//! in its place.

use crate::{pages, step};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    process::Command,
};

/// The packages that are built.
const PACKAGES: [&str; 3] = ["libhe", "helium-cli", "wiredtiger-helium"];

/// What was built, and where it goes below the prefix.
const BUILT: [Artifact; 4] = [
    Artifact::new("libhe.so", "lib/libhe.so.1", 0o755),
    Artifact::new("libhe.a", "lib/libhe.a", 0o644),
    Artifact::new("helium", "bin/helium", 0o755),
    Artifact::new(
        "libwiredtiger_helium.so",
        "lib/libwiredtiger_helium.so",
        0o755,
    ),
];

/// What is in the tree, and where it goes below the prefix.
const SOURCES: [Artifact; 6] = [
    source("crates/libhe/include/2.2/he.h", "include/2.2/he.h"),
    source("crates/libhe/include/2.8/he.h", "include/2.8/he.h"),
    source("crates/libhe/include/2.12/he.h", "include/2.12/he.h"),
    source("crates/libhe/include/3.x/he.h", "include/3.x/he.h"),
    source("crates/libhe/include/3.8/he.h", "include/3.8/he.h"),
    source("crates/libhe/man/he.3", "share/man/man3/he.3"),
];

/// What the linker looks for, and the file that it stands for.
const LINK: (&str, &str) = ("lib/libhe.so", "libhe.so.1");

/// What pkg-config reads, with the prefix to be filled in.
const PKG_CONFIG: Artifact = source("crates/libhe/he.pc.in", "lib/pkgconfig/he.pc");

/// The list of what was installed, a path below the prefix in each line.
const LIST: &str = "share/helium/installed";

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
    #[command(flatten)]
    place: Place,
    /// Build without optimization, with assertions, and keep all symbols where they are
    #[arg(long)]
    debug: bool,
    /// Put what debuggers need into files of their own, beside the libraries and the command
    #[arg(long)]
    debug_files: bool,
}

/// Where something is installed.
#[derive(clap::Args)]
pub struct Place {
    /// Where to, as in /usr/local
    #[arg(long)]
    prefix: PathBuf,
    /// A folder to put everything in for now, as packagers want it
    #[arg(long)]
    destdir: Option<PathBuf>,
}

impl Place {
    fn prefix(&self) -> Result<PathBuf> {
        std::path::absolute(&self.prefix).context("the prefix is no path")
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(below(self.destdir.as_deref(), &self.prefix()?))
    }

    /// Removes what was installed there, and folders that are empty then.
    pub fn uninstall(&self) -> Result<()> {
        let folder = self.folder()?;
        let list = folder.join(LIST);
        let files = fs::read_to_string(&list).with_context(|| {
            format!(
                "nothing that `cargo xtask install` would have listed is below {}: {}",
                folder.display(),
                list.display()
            )
        })?;
        step::step(&format!("uninstall from {}", folder.display()), || {
            files
                .lines()
                .chain([LIST])
                .try_for_each(|file| remove(&folder, file))
        })
    }
}

impl Install {
    /// Builds, and installs below the prefix.
    pub fn run(&self) -> Result<()> {
        let built = self.build()?;
        let files = self.files(&built)?;
        let place = self.place.folder()?;
        step::step(&format!("install to {}", place.display()), || {
            let before = fs::read_to_string(place.join(LIST)).unwrap_or_default();
            for (to, bytes, mode) in &files {
                put(&place.join(to), bytes, *mode)?;
            }
            link(&place)?;
            let names = files.iter().map(|(to, ..)| to.as_path());
            let list: Vec<String> = names
                .chain([Path::new(LINK.0)])
                .map(|name| name.display().to_string() + "\n")
                .collect();
            let list = list.concat();
            put(&place.join(LIST), list.as_bytes(), 0o644)?;
            // What was installed before, and is no part of it any more.
            let mut gone = before
                .lines()
                .filter(|old| list.lines().all(|new| new != *old));
            gone.try_for_each(|file| remove(&place, file))
        })
    }

    /// All that is installed, by where it goes below the prefix, and with what permissions.
    fn files(&self, built: &Path) -> Result<Vec<(PathBuf, Vec<u8>, u32)>> {
        let mut files = Vec::new();
        for Artifact { from, to, mode } in &BUILT {
            let (bytes, symbols) = self.stripped(&built.join(from), to)?;
            files.push((to.into(), bytes, *mode));
            if let Some(symbols) = symbols {
                files.push((format!("{to}.debug").into(), symbols, 0o644));
            }
        }
        for Artifact { from, to, mode } in &SOURCES {
            files.push((to.into(), fs_read(&step::root().join(from))?, *mode));
        }
        let template = fs::read_to_string(step::root().join(PKG_CONFIG.from))?;
        let filled = pkg_config(&template, &self.place.prefix()?).into_bytes();
        files.push((PKG_CONFIG.to.into(), filled, PKG_CONFIG.mode));
        let pages = pages::all(&built.join("helium"))?;
        files.extend(pages.into_iter().map(|(to, bytes)| (to, bytes, 0o644)));
        Ok(files)
    }

    /// The bytes of a built file without what only debuggers need; and that, if it is wanted. The file names it
    /// by the name that it will have beside `to`, where debuggers look.
    fn stripped(&self, file: &Path, to: &str) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        if self.debug && !self.debug_files {
            return Ok((fs_read(file)?, None));
        }
        let small = suffixed(file, "stripped");
        let mut strip = Command::new("objcopy");
        let mut kept = None;
        if file.extension().is_some_and(|extension| extension == "a") {
            strip.arg("--strip-debug");
        } else {
            strip.arg("--strip-unneeded");
            if self.debug_files {
                let name = Path::new(to).file_name().unwrap_or_default();
                let symbols = suffixed(&file.with_file_name(name), "debug");
                let mut keep = Command::new("objcopy");
                run(keep.arg("--only-keep-debug").arg(file).arg(&symbols))?;
                strip.arg("--add-gnu-debuglink").arg(&symbols);
                kept = Some(fs_read(&symbols)?);
            }
        }
        run(strip.arg(file).arg(&small))?;
        Ok((fs_read(&small)?, kept))
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

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{command:?}: is binutils installed?"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn suffixed(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
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
}

fn put(to: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fresh = suffixed(to, "new");
    let write = || {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::write(&fresh, bytes)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
        fs::rename(&fresh, to)
    };
    write().with_context(|| format!("install {}", to.display()))
}

fn link(place: &Path) -> Result<()> {
    let (name, file) = LINK;
    let (to, fresh) = (place.join(name), place.join(format!("{name}.new")));
    let make = || {
        let _ = fs::remove_file(&fresh);
        symlink(file, &fresh)?;
        fs::rename(&fresh, &to)
    };
    make().with_context(|| format!("install {}", to.display()))
}

/// Removes one file of the list below `folder`, and the folders that are empty without it.
fn remove(folder: &Path, file: &str) -> Result<()> {
    let path = Path::new(file);
    if path
        .components()
        .any(|part| !matches!(part, Component::Normal(_)))
    {
        bail!("the list of what was installed names {file:?}, which is not below the prefix");
    }
    let whole = folder.join(path);
    match fs::remove_file(&whole) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            return Err(why).with_context(|| format!("remove {}", whole.display()));
        }
        _ => {}
    }
    // Those that still hold something stay.
    for parent in path
        .ancestors()
        .skip(1)
        .filter(|parent| *parent != Path::new(""))
    {
        let _ = fs::remove_dir(folder.join(parent));
    }
    Ok(())
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

    #[test]
    fn what_was_installed_goes_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("helium-uninstall-{}", std::process::id()));
        let place = Place {
            prefix: folder.clone(),
            destdir: None,
        };
        assert!(place.uninstall().is_err(), "nothing is installed");
        for file in ["lib/libhe.so.1", "lib/other.so", "include/2.8/he.h"] {
            put(&folder.join(file), b"x", 0o644).unwrap();
        }
        link(&folder).unwrap();
        let list = "lib/libhe.so.1\nlib/libhe.so\ninclude/2.8/he.h\nlib/gone\n";
        put(&folder.join(LIST), list.as_bytes(), 0o644).unwrap();
        place.uninstall().unwrap();
        let left: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(folder.join("lib/other.so").is_file());
        put(&folder.join(LIST), b"../lib/other.so\n", 0o644).unwrap();
        assert!(place.uninstall().is_err());
        assert!(folder.join("lib/other.so").is_file());
        fs::remove_dir_all(&folder).unwrap();
    }
}
