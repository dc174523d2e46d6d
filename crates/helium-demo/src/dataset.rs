//! The data: the package database of the machine that this runs on.
//!
//! Every Debian machine has one: `status` says which packages are there, a `.list`
//! file for each says which files it owns, `.md5sums` what is in them. The rows are
//! real: long shared prefixes, keys of very different length, a few giants.

use anyhow::{Context, Result, ensure};
use std::{collections::HashMap, fs, path::Path};

/// Where dpkg keeps its database.
pub const DPKG: &str = "/var/lib/dpkg";

/// A package and its files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name, with the architecture if dpkg tells its files apart by that.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its section, such as `libs`.
    pub section: String,
    /// Its files, each path once, in order.
    pub files: Vec<File>,
}

/// A file or folder of a package.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: String,
    /// The MD5 sum of its content; empty for folders and what dpkg keeps no sum of.
    pub digest: String,
}

/// Packages in order of their names.
pub struct DataSet {
    /// All packages that own files.
    pub packages: Vec<Package>,
}

impl DataSet {
    /// Reads dpkg's database in `folder`.
    pub fn read(folder: &Path) -> Result<Self> {
        let status = folder.join("status");
        let text = read_text(&status).with_context(|| {
            format!(
                "the demo's data is Debian's package database, and {} cannot be read",
                status.display()
            )
        })?;
        let info = folder.join("info");
        let mut packages = Vec::new();
        for stanza in text.split("\n\n") {
            if let Some(package) = read_package(stanza, &info)? {
                packages.push(package);
            }
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        packages.dedup_by(|a, b| a.name == b.name);
        ensure!(
            !packages.is_empty(),
            "no package in {} owns a file",
            folder.display()
        );
        Ok(Self { packages })
    }

    /// Number of files of all packages.
    pub fn files(&self) -> u64 {
        self.packages
            .iter()
            .map(|package| package.files.len() as u64)
            .sum()
    }

    /// Bytes of names, paths and sums.
    pub fn bytes(&self) -> u64 {
        let file = |file: &File| file.path.len() + file.digest.len();
        let package = |package: &Package| {
            let files: usize = package.files.iter().map(file).sum();
            package.name.len() * (1 + package.files.len()) + files
        };
        self.packages.iter().map(|one| package(one) as u64).sum()
    }
}

/// The package that a stanza of `status` describes, if it owns files.
fn read_package(stanza: &str, info: &Path) -> Result<Option<Package>> {
    let (Some(name), Some(architecture)) =
        (field(stanza, "Package"), field(stanza, "Architecture"))
    else {
        return Ok(None);
    };
    let qualified = format!("{name}:{architecture}");
    for name in [qualified.as_str(), name] {
        let list = info.join(format!("{name}.list"));
        if list.is_file() {
            let paths = read_text(&list)?;
            let sums = read_text(&info.join(format!("{name}.md5sums"))).unwrap_or_default();
            let files = files(&paths, &sums);
            return Ok((!files.is_empty()).then(|| Package {
                name: name.to_owned(),
                version: field(stanza, "Version").unwrap_or_default().to_owned(),
                section: field(stanza, "Section").unwrap_or_default().to_owned(),
                files,
            }));
        }
    }
    Ok(None)
}

/// The value of `name` in a stanza of `Name: value` lines.
fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::trim)
}

/// The files of a list of paths, with the sums that a list of `sum  path` lines has of them.
fn files(paths: &str, sums: &str) -> Vec<File> {
    let digests: HashMap<&str, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, path)| (path, digest))
        .collect();
    let mut paths: Vec<&str> = paths.lines().filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let file = |path: &str| File {
        path: path.to_owned(),
        digest: digests
            .get(path.trim_start_matches('/'))
            .copied()
            .unwrap_or_default()
            .to_owned(),
    };
    paths.into_iter().map(file).collect()
}

/// Text of a file; what is not UTF-8 in it is replaced.
fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_own_files_are_read_with_their_sums() {
        let folder = tempfile::tempdir().unwrap();
        let info = folder.path().join("info");
        fs::create_dir(&info).unwrap();
        let status = "Package: b\nArchitecture: amd64\nVersion: 2\nSection: libs\n\n\
                      Package: a\nArchitecture: all\nVersion: 1:1-1\n\n\
                      Package: gone\nArchitecture: all\n";
        fs::write(folder.path().join("status"), status).unwrap();
        fs::write(info.join("b:amd64.list"), "/.\n/usr\n/usr/b\n/usr/b\n").unwrap();
        fs::write(info.join("b:amd64.md5sums"), "00ff  usr/b\n").unwrap();
        fs::write(info.join("a.list"), "/a\n").unwrap();

        let data = DataSet::read(folder.path()).unwrap();

        let names: Vec<&str> = data.packages.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b:amd64"]);
        assert_eq!(data.files(), 4);
        let file = &data.packages[1].files[2];
        assert_eq!(
            (file.path.as_str(), file.digest.as_str()),
            ("/usr/b", "00ff")
        );
        assert_eq!(data.packages[1].section, "libs");
    }

    #[test]
    fn a_machine_without_dpkg_gets_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let error = DataSet::read(folder.path()).err().unwrap();
        assert!(format!("{error:#}").contains("Debian's package database"));
    }
}
