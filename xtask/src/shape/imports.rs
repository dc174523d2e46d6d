//! Which file depends on which, by the paths that it names, and the circles of that.
//!
//! A name that a module only passes on (`use`) counts as one of the file that defines it, and passing on
//! (`pub use`) counts as no dependency. What methods are called is not in a file's paths: types that
//! spread over many files show in [`super::types`].

use super::source::{File, Package, is_test};
use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};
use std::collections::{BTreeMap, BTreeSet};
use syn::{
    ItemMod, ItemUse, Path, UseTree, Visibility,
    visit::{self, Visit},
};

/// Files that depend on each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    pub files: usize,
    pub lines: usize,
    /// The folders they are in.
    pub folders: Vec<String>,
}

/// The circles of a crate, the largest first.
pub fn circles(package: &Package) -> Vec<Circle> {
    let graph: DiGraphMap<usize, ()> = arrows(package).into_iter().collect();
    let mut circles: Vec<Circle> = tarjan_scc(&graph)
        .into_iter()
        .filter(|files| files.len() > 1)
        .map(|files| {
            let folders: BTreeSet<&str> = files
                .iter()
                .map(|&file| package.files[file].path.as_str())
                .map(|path| path.rsplit_once('/').map_or(".", |(folder, _)| folder))
                .collect();
            Circle {
                files: files.len(),
                lines: files.iter().map(|&file| package.files[file].lines).sum(),
                folders: folders.into_iter().map(str::to_owned).collect(),
            }
        })
        .collect();
    circles.sort_by_key(|circle| usize::MAX - circle.lines);
    circles
}

/// From each file to those that it depends on, as indices into the package's files.
pub fn arrows(package: &Package) -> BTreeSet<(usize, usize)> {
    let crate_map = Map::of(package);
    let mut arrows = BTreeSet::new();
    for (from, file) in package.files.iter().enumerate() {
        for named in &Named::by(file).depends {
            if let Some(path) = crate_map.absolute(&file.module, named)
                && let Some(to) = crate_map.definer(&path, 0)
                && to != from
            {
                arrows.insert((from, to));
            }
        }
    }
    arrows
}

type Names = Vec<String>;

/// Where modules and the names that they pass on are.
struct Map {
    files: BTreeMap<Names, usize>,
    /// Module and name, and what it is imported as.
    passed_on: BTreeMap<(Names, String), Names>,
}

impl Map {
    fn of(package: &Package) -> Self {
        let files = package.files.iter().enumerate();
        let mut map = Self {
            files: files.map(|(at, file)| (file.module.clone(), at)).collect(),
            passed_on: BTreeMap::new(),
        };
        for file in &package.files {
            for (name, path) in Named::by(file).imports {
                if let Some(path) = map.absolute(&file.module, &path) {
                    map.passed_on.insert((file.module.clone(), name), path);
                }
            }
        }
        map
    }

    /// `path` as it is named from the root; none if it is another crate's.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Names> {
        let mut from = module.to_vec();
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => from.clear(),
                "super" => {
                    from.pop();
                }
                "self" => {}
                _ => break,
            }
            rest = others;
        }
        if rest.len() == path.len() {
            // Relative without saying so: a module below this one, or another crate.
            let below = from.iter().chain(path.first()).cloned().collect::<Names>();
            if !self.files.contains_key(&below) {
                return None;
            }
        }
        from.extend_from_slice(rest);
        Some(from)
    }

    /// The file that defines what `path` names.
    fn definer(&self, path: &[String], passed: usize) -> Option<usize> {
        // A name that is passed on in a circle would be an error of the compiler's.
        const PASSED_MAX: usize = 16;
        let module = (0..=path.len())
            .rev()
            .map(|end| &path[..end])
            .find(|module| self.files.contains_key(*module))?;
        let Some(name) = path.get(module.len()) else {
            return self.files.get(module).copied();
        };
        match self.passed_on.get(&(module.to_vec(), name.clone())) {
            Some(target) if passed < PASSED_MAX && target != path => {
                let target: Names = target
                    .iter()
                    .chain(&path[module.len() + 1..])
                    .cloned()
                    .collect();
                self.definer(&target, passed + 1)
            }
            _ => self.files.get(module).copied(),
        }
    }
}

/// The paths that a file names.
#[derive(Default)]
struct Named {
    depends: Vec<Names>,
    /// What it imports, by the name that it gives it.
    imports: Vec<(String, Names)>,
}

impl Named {
    fn by(file: &File) -> Self {
        let mut named = Self::default();
        file.items.iter().for_each(|item| named.visit_item(item));
        named
    }

    fn add(&mut self, tree: &UseTree, mut path: Names, is_passed_on: bool) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.add(&tree.tree, path, is_passed_on);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add(tree, path.clone(), is_passed_on);
                }
            }
            UseTree::Name(name) => self.import(&name.ident, &name.ident, path, is_passed_on),
            UseTree::Rename(rename) => {
                self.import(&rename.ident, &rename.rename, path, is_passed_on)
            }
            _ => self.depends.push(path),
        }
    }

    fn import(
        &mut self,
        name: &syn::Ident,
        alias: &syn::Ident,
        mut path: Names,
        is_passed_on: bool,
    ) {
        if name == "self" {
            let module = path.last().cloned().unwrap_or_default();
            self.imports.push((module, path.clone()));
        } else {
            path.push(name.to_string());
            self.imports.push((alias.to_string(), path.clone()));
        }
        if !is_passed_on {
            self.depends.push(path);
        }
    }
}

impl<'a> Visit<'a> for Named {
    fn visit_item_use(&mut self, item: &'a ItemUse) {
        let is_passed_on = !matches!(item.vis, Visibility::Inherited);
        self.add(&item.tree, Names::new(), is_passed_on);
    }

    fn visit_path(&mut self, path: &'a Path) {
        let names: Names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.depends.push(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
}
