//! How long functions are.

use super::source::{Package, is_test};
use syn::{
    Attribute, Block, ImplItemFn, ItemFn, ItemMod, Signature, TraitItemFn,
    spanned::Spanned,
    visit::{self, Visit},
};

/// Lines of a function, from its name to its last brace, beyond which it is long.
pub const LINES_MAX: usize = 70;

/// One function.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// From the crate's `src`.
    pub path: String,
    pub name: String,
    pub lines: usize,
}

impl Function {
    /// Whether it is too long to be read at once.
    pub fn is_long(&self) -> bool {
        self.lines > LINES_MAX
    }
}

/// Every function of a crate that has a body.
pub fn functions(package: &Package) -> Vec<Function> {
    let mut finder = Finder {
        path: "",
        found: Vec::new(),
    };
    for file in &package.files {
        finder.path = &file.path;
        file.items.iter().for_each(|item| finder.visit_item(item));
    }
    finder.found
}

struct Finder<'a> {
    path: &'a str,
    found: Vec<Function>,
}

impl Finder<'_> {
    fn add(&mut self, attributes: &[Attribute], signature: &Signature, body: &Block) {
        if is_test(attributes) {
            return;
        }
        let (start, end) = (signature.ident.span().start().line, body.span().end().line);
        self.found.push(Function {
            path: self.path.to_owned(),
            name: signature.ident.to_string(),
            lines: end + 1 - start,
        });
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'a ItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a ImplItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.attrs, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
}
