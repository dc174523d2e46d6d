//! Each figure, on a crate of a few lines.

use super::{
    Package, functions,
    imports::{self, Circle},
    names,
    types::{self, Kind},
};

#[test]
fn types_count_with_all_their_files() {
    let package = Package::of(&[
        (
            "a.rs",
            "pub struct Big { one: u8, pub two: u8, pub(crate) three: u8 }\nimpl Big { fn f(&self) {} }\nimpl Drop for Big { fn drop(&mut self) {} }",
        ),
        (
            "b.rs",
            "impl crate::a::Big { fn g() {} #[cfg(test)] fn h() {} }\n#[cfg(test)] struct Test;\nstruct Small(u8);",
        ),
    ]);
    let big = Kind {
        name: "Big".to_owned(),
        fields: 3,
        shared: 2,
        methods: 2,
        files: 2,
    };
    let small = Kind {
        name: "Small".to_owned(),
        fields: 1,
        ..Kind::default()
    };
    assert_eq!(types::largest(&package, 5), [big, small]);
}

#[test]
fn names_of_two_types_are_found() {
    let package = Package::of(&[
        ("a.rs", "struct State; enum Once {}"),
        ("b.rs", "enum State {}\n#[cfg(test)] struct Once;"),
    ]);
    assert_eq!(names::twice(&package), [("State".to_owned(), 2)]);
}

#[test]
fn functions_are_as_long_as_their_text() {
    let long = format!(
        "impl A {{\n fn long() {{\n{} }}\n}}\nfn short() {{}}\n#[cfg(test)]\nmod t {{ fn no() {{}} }}",
        "  call();\n".repeat(70)
    );
    let found = functions(&Package::of(&[("a.rs", &long)]));
    let figures: Vec<_> = found
        .iter()
        .map(|function| (function.name.as_str(), function.lines, function.is_long()))
        .collect();
    assert_eq!(figures, [("long", 72, true), ("short", 1, false)]);
}

#[test]
fn circles_go_to_who_defines_a_name() {
    let package = Package::of(&[
        // Passes `Core` on, and defines what `core` uses.
        (
            "log/mod.rs",
            "mod core;\npub use core::Core;\npub struct Place;",
        ),
        (
            "log/core.rs",
            "use super::Place;\nuse crate::volume::{Shared, other::Thing};",
        ),
        (
            "volume/mod.rs",
            "mod other; use std::fmt; pub struct Shared(crate::log::Core);",
        ),
        ("volume/other.rs", "pub struct Thing;"),
        ("lib.rs", "mod log; mod volume; pub use volume::Shared;"),
    ]);
    let circle = Circle {
        files: 2,
        lines: 3,
        folders: vec!["log".to_owned(), "volume".to_owned()],
    };
    assert_eq!(imports::circles(&package), [circle]);
}

#[test]
fn a_crate_without_circles_has_none() {
    let package = Package::of(&[
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        (
            "a.rs",
            "pub struct A; fn f() { crate::b::g(); serde::b(); }",
        ),
        ("b.rs", "pub fn g() {}"),
    ]);
    assert_eq!(imports::circles(&package), []);
    assert_eq!(imports::arrows(&package).len(), 1);
}
