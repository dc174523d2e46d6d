//! The largest types: how many fields they have, who sees them, and how far their methods reach.

use super::source::{Package, is_test};
use std::collections::{BTreeMap, BTreeSet};
use syn::{ImplItem, Item, Type, Visibility};

/// One type.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kind {
    pub name: String,
    pub fields: usize,
    /// Fields that more than their own module sees.
    pub shared: usize,
    pub methods: usize,
    /// Files in which it has methods.
    pub files: usize,
}

/// The `count` structures with most fields and methods. Those of one name count as one.
pub fn largest(package: &Package, count: usize) -> Vec<Kind> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    let mut files: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for file in &package.files {
        for item in &file.items {
            match item {
                Item::Struct(item) => {
                    let kind = kinds.entry(item.ident.to_string()).or_default();
                    kind.fields += item.fields.len();
                    kind.shared += item
                        .fields
                        .iter()
                        .filter(|field| is_shared(&field.vis))
                        .count();
                }
                // What a trait asks for is not the type's own.
                Item::Impl(item) if item.trait_.is_none() => {
                    let Some(name) = name(&item.self_ty) else {
                        continue;
                    };
                    let methods = item.items.iter().filter(|item| is_method(item)).count();
                    kinds.entry(name.clone()).or_default().methods += methods;
                    files.entry(name).or_default().insert(&file.path);
                }
                _ => {}
            }
        }
    }
    let mut all: Vec<Kind> = kinds
        .into_iter()
        .map(|(name, kind)| Kind {
            files: files.get(&name).map_or(0, BTreeSet::len),
            name,
            ..kind
        })
        .collect();
    all.sort_by_key(|kind| usize::MAX - kind.fields - kind.methods);
    all.truncate(count);
    all
}

fn is_shared(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

fn is_method(item: &ImplItem) -> bool {
    matches!(item, ImplItem::Fn(function) if !is_test(&function.attrs))
}

fn name(kind: &Type) -> Option<String> {
    match kind {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}
