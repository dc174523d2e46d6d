//! A crate's production code: its files, read and parsed once.

use anyhow::{Context, Result};
use std::{fs, path::Path};
use syn::{Attribute, Item};

/// One file and the module that it is.
pub struct File {
    /// From the crate's `src`, with `/` between folders.
    pub path: String,
    /// The names of the modules that lead to it; none for the root.
    pub module: Vec<String>,
    pub lines: usize,
    pub items: Vec<Item>,
}

/// The files of a crate.
pub struct Package {
    pub files: Vec<File>,
}

impl Package {
    /// Reads the crate in `folder`.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        add(&folder.join("src"), "", &mut files)?;
        files.sort_by(|one: &File, other| one.path.cmp(&other.path));
        Ok(Self { files })
    }

    /// A crate of the given files.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let parse = |(path, text): &(&str, &str)| parse(path, text).expect("source text");
        Self {
            files: files.iter().map(parse).collect(),
        }
    }
}

fn add(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if name != "tests" {
                add(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            files.push(parse(&path, &text).with_context(|| path.clone())?);
        }
    }
    Ok(())
}

fn parse(path: &str, text: &str) -> Result<File> {
    let mut items = syn::parse_file(text)?.items;
    items.retain(|item| !is_test(attributes(item)));
    Ok(File {
        path: path.to_owned(),
        module: module(path),
        lines: text.lines().count(),
        items,
    })
}

/// The module of the file at `path`: `a/mod.rs` and `a.rs` are both `a`.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs");
    let mut names: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(
        names.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        names.pop();
    }
    names
}

/// Whether something is compiled for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
