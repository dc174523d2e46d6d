//! Installs what is missing, and only that.
//!
//! What is there already is never touched, so that on a machine that is set up no
//! package manager, network or privilege is needed.

use crate::step;
use anyhow::{Context, Result, bail};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A Debian package and how to tell that what we need of it is there.
struct Need {
    package: &'static str,
    why: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 6] = [
    Need {
        package: "libwiredtiger-dev",
        why: "WiredTiger's library and C header",
        is_there: || in_any(&["/usr/include", "/usr/local/include"], "wiredtiger.h"),
    },
    Need {
        package: "wiredtiger",
        why: "the wt command",
        is_there: || on_path("wt"),
    },
    Need {
        package: "gcc",
        why: "a C compiler, for the tests that check C layouts and examples",
        is_there: || on_path("cc") && in_any(&["/usr/include"], "stdio.h"),
    },
    Need {
        package: "valgrind",
        why: "it watches the memory of C programs on our library",
        is_there: || on_path("valgrind"),
    },
    Need {
        package: "redis-server",
        why: "our server's replies are compared with its",
        is_there: || on_path("redis-server"),
    },
    Need {
        package: "redis-tools",
        why: "redis-cli talks to our server, and redis-benchmark measures it",
        is_there: || on_path("redis-cli") && on_path("redis-benchmark"),
    },
];

/// What `gcc` needs to be of use and only recommends.
const WITH_GCC: &str = "libc6-dev";

/// Makes sure that everything the build, the tests and the demo need is installed.
pub fn setup() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        eprintln!("==> set-up: nothing is missing");
        return Ok(());
    }
    for need in &missing {
        eprintln!("    missing: {} ({})", need.package, need.why);
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let apt = apt_get(&packages)?;
    if packages.contains(&"gcc") {
        packages.push(WITH_GCC);
    }
    apt.install(&packages)?;
    match NEEDS.iter().find(|need| !(need.is_there)()) {
        None => Ok(()),
        Some(need) => bail!(
            "{} was installed, but {} is not there",
            need.package,
            need.why
        ),
    }
}

/// Installs a package that not everything needs.
pub fn install(package: &str) -> Result<()> {
    apt_get(&[package])?.install(&[package])
}

/// How this user may call apt-get.
struct AptGet {
    prefix: &'static [&'static str],
}

impl AptGet {
    fn install(&self, packages: &[&str]) -> Result<()> {
        step::command("apt-get update", self.command().arg("update"))?;
        step::command(
            "apt-get install",
            self.command()
                .args(["install", "--yes", "--no-install-recommends"])
                .args(packages),
        )
    }

    fn command(&self) -> Command {
        let mut words = self.prefix.iter().chain(&[
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "--quiet",
        ]);
        let mut command = Command::new(words.next().unwrap_or(&"env"));
        command.args(words);
        command
    }
}

fn apt_get(packages: &[&str]) -> Result<AptGet> {
    let list = packages.join(" ");
    if !on_path("apt-get") {
        bail!(
            "this is not Debian (no apt-get): install WiredTiger 3.2.1 with its header and \
             wt command, and a C compiler, yourself (Debian's packages: {list}), then run this again"
        );
    }
    if is_root()? {
        return Ok(AptGet { prefix: &[] });
    }
    if on_path("sudo") {
        return Ok(AptGet { prefix: &["sudo"] });
    }
    bail!("neither root nor sudo here: ask someone who may to run `apt-get install {list}`")
}

fn is_root() -> Result<bool> {
    let own = std::fs::metadata("/proc/self").context("cannot find out who runs this")?;
    Ok(own.uid() == 0)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether `file` is in one of `folders` or in a folder for one architecture below it.
fn in_any(folders: &[&str], file: &str) -> bool {
    let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
    folders.iter().map(Path::new).any(|folder| {
        let places: [PathBuf; 2] = [folder.join(file), folder.join(&architecture).join(file)];
        places.iter().any(|place| place.is_file())
    })
}
