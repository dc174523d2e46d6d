//! The Python package: its wheel is built as `pip install ./python` builds it, and its tests run on what was installed.
//!
//! Python, `venv` and PyPI are not everywhere. What is missing is said, and then the store's own tests go on without
//! these: only what was built and fails is an error.

use crate::{setup, step};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest version that the package is for, and more than the newest that there may be, as 3.N.
const VERSIONS: std::ops::Range<u32> = 9..32;
/// What builds and tests the package, by exact versions.
const TOOLS: [&str; 2] = ["maturin==1.16.0", "pytest>=8.4.2,<10"];

/// An interpreter that can have a virtual environment.
struct Python {
    program: PathBuf,
    minor: u32,
}

/// Builds the wheel and runs the tests, on the machine's `python3`, and on the oldest and the newest other one that is
/// found.
pub fn test() -> Result<()> {
    let pythons = match interpreters() {
        Ok(pythons) => pythons,
        Err(why) => return skip(&why),
    };
    let folder = step::target()?.join("python");
    let mut wheel = None;
    for python in pythons {
        let venv = folder.join(format!("venv-3.{}", python.minor));
        if let Err(why) = prepare(&python, &venv) {
            skip(&why)?;
            continue;
        }
        let wheel = match &wheel {
            Some(wheel) => wheel,
            None => wheel.insert(build(&venv, &folder)?),
        };
        test_on(&python, &venv, wheel)?;
    }
    Ok(())
}

/// Says on standard output, where whoever reads the outcome looks, that the package is not tested.
fn skip(why: &anyhow::Error) -> Result<()> {
    println!("==> the Python package is NOT tested: {why:#}");
    Ok(())
}

/// `python3`, and of the others on the path the oldest and the newest.
fn interpreters() -> Result<Vec<Python>> {
    let first = match Python::find("python3") {
        Ok(python) => python,
        // Debian's Python comes without.
        Err(_) => {
            setup::install("python3-venv").context("there is no python3 with venv")?;
            Python::find("python3")?
        }
    };
    let others = VERSIONS.filter_map(|minor| Python::find(&format!("python3.{minor}")).ok());
    let others: BTreeMap<u32, Python> = others.map(|python| (python.minor, python)).collect();
    let ends = [others.keys().next(), others.keys().next_back()].map(|minor| minor.copied());
    let mut pythons = vec![first];
    for (minor, python) in others {
        if ends.contains(&Some(minor)) && pythons.iter().all(|known| known.minor != minor) {
            pythons.push(python);
        }
    }
    Ok(pythons)
}

impl Python {
    fn find(program: &str) -> Result<Self> {
        let mut ask = Command::new(program);
        let found = ask
            .args([
                "-c",
                "import sys, venv, ensurepip; print(*sys.version_info[:2])",
            ])
            .output()
            .with_context(|| format!("cannot run {program}"))?;
        let text = String::from_utf8_lossy(&found.stdout);
        let minor = text
            .trim()
            .strip_prefix("3 ")
            .and_then(|minor| minor.parse().ok());
        match minor {
            Some(minor) if found.status.success() && VERSIONS.contains(&minor) => Ok(Self {
                program: program.into(),
                minor,
            }),
            Some(minor) => bail!("{program} is 3.{minor}, and the package is for 3.9 and later"),
            None => bail!("{program} has no venv"),
        }
    }
}

fn inside(venv: &Path, program: &str) -> Command {
    Command::new(venv.join("bin").join(program))
}

/// Makes the virtual environment, with the tools in it, unless it is there.
fn prepare(python: &Python, venv: &Path) -> Result<()> {
    let mark = venv.join("tools");
    let wanted = TOOLS.join("\n");
    if fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    step::command(
        &format!("a virtual environment of Python 3.{}", python.minor),
        Command::new(&python.program)
            .args(["-m", "venv", "--clear"])
            .arg(venv),
    )?;
    step::command(
        "what builds and tests the package, from PyPI",
        inside(venv, "python")
            .args(["-m", "pip", "install", "--quiet"])
            .args(TOOLS),
    )?;
    fs::write(&mark, wanted).with_context(|| mark.display().to_string())
}

/// Builds the wheel, one for all versions.
fn build(venv: &Path, folder: &Path) -> Result<PathBuf> {
    let wheels = folder.join("wheels");
    let _ = fs::remove_dir_all(&wheels);
    let mut maturin = inside(venv, "maturin");
    maturin
        .current_dir(step::root().join("python"))
        .args(["build", "--profile", "wheel", "--locked", "--out"])
        .arg(&wheels)
        .env("CARGO_TARGET_DIR", step::target()?);
    step::command("the wheel of the Python package", &mut maturin)?;
    let made = fs::read_dir(&wheels)?
        .next()
        .context("maturin has made no wheel")?;
    Ok(made?.path())
}

fn test_on(python: &Python, venv: &Path, wheel: &Path) -> Result<()> {
    let mut install = inside(venv, "python");
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--force-reinstall",
        ])
        .arg(wheel);
    step::command("the wheel, installed", &mut install)?;
    let mut tests = inside(venv, "python");
    tests
        .current_dir(step::root().join("python"))
        // Nothing is left in the tree.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-m", "pytest", "-p", "no:cacheprovider"]);
    step::command(
        &format!("the Python package, on 3.{}", python.minor),
        &mut tests,
    )
}
