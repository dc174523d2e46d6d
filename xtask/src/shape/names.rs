//! Type names that stand for more than one type of a crate.

use super::source::Package;
use std::collections::BTreeMap;
use syn::Item;

/// Each such name, and how many types it stands for.
pub fn twice(package: &Package) -> Vec<(String, usize)> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for item in package.files.iter().flat_map(|file| &file.items) {
        let name = match item {
            Item::Enum(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => continue,
        };
        *names.entry(name.to_string()).or_default() += 1;
    }
    let mut twice: Vec<_> = names.into_iter().filter(|(_, count)| *count > 1).collect();
    twice.sort_by_key(|(_, count)| usize::MAX - count);
    twice
}

/// `names` as a line of text.
pub fn list(names: &[(String, usize)]) -> String {
    let words: Vec<String> = names
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    words.join(", ")
}
