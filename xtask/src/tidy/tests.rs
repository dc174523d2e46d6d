//! Each rule, on a tree that keeps it and on one that does not.

use super::{documents, shape, sources, tree::Tree, variables};
use crate::shape::Package;

#[test]
fn sources_start_with_a_module_doc() {
    let tree = Tree::of(&[("a.rs", "//! What it is.\n"), ("b.rs", "use std;\n")]);
    assert_eq!(sources::module_docs(&tree).len(), 1);
}

#[test]
fn long_sources_are_named() {
    let long = "//! Long.\n".repeat(601);
    let tree = Tree::of(&[("a.rs", &long), ("b.rs", "//! Short.\n")]);
    assert_eq!(
        sources::lengths(&tree),
        ["a.rs: 601 lines; 600 are the limit"]
    );
}

#[test]
fn unfinished_work_is_named_with_its_line() {
    let text = format!("//! Doc.\nfn f() {{ to{}() }}\n", "do!");
    let complaints = sources::unfinished(&Tree::of(&[("a.rs", &text)]));
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].starts_with("a.rs:2:"));
}

#[test]
fn crates_take_the_lints() {
    let with = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
    let tree = Tree::of(&[
        ("a/Cargo.toml", with),
        ("b/Cargo.toml", "[package]\n"),
        ("c/Cargo.toml", "[package]\n[workspace]\n"),
    ]);
    assert_eq!(sources::lints(&tree).len(), 1);
}

#[test]
fn the_map_names_what_exists_and_all_of_it() {
    let map = "# Map\n## Code map\n| `top` | does `this` |\n`crates/a`, `crates/a/src/log/`, `crates/gone`\n## Next\n`x/y`\n";
    let tree = Tree::of(&[
        ("ARCHITECTURE.md", map),
        ("top/src/lib.rs", ""),
        ("crates/a/src/lib.rs", ""),
        ("crates/a/src/log/mod.rs", ""),
        ("crates/a/src/index/mod.rs", ""),
    ]);
    assert_eq!(
        documents::map_names_what_exists(&tree),
        ["ARCHITECTURE.md: names crates/gone, which does not exist"]
    );
    assert_eq!(
        documents::map_is_complete(&tree),
        ["ARCHITECTURE.md: `crates/a/src/index` is not in the code map"]
    );
}

#[test]
fn a_tree_without_a_map_is_not_tidy() {
    assert_eq!(documents::map_names_what_exists(&Tree::default()).len(), 1);
}

#[test]
fn links_lead_somewhere() {
    let text = "[a](../README.md#top) [b](gone.md) [c](https://example.org/) [d](#here)";
    let tree = Tree::of(&[("docs/a.md", text), ("README.md", "")]);
    assert_eq!(
        documents::links(&tree),
        ["docs/a.md: links to gone.md, which does not exist"]
    );
}

#[test]
fn decisions_have_numbers_and_alternatives() {
    let tree = Tree::of(&[
        ("docs/decisions/0001-a.md", "## Rejected\n"),
        ("docs/decisions/0003-b.md", "nothing\n"),
    ]);
    assert_eq!(documents::decisions_are_numbered(&tree).len(), 2);
}

#[test]
fn the_glossary_has_words_that_are_used() {
    let glossary =
        "| word | |\n|---|---|\n| *view* | eyes |\n| *spot*, *to seal* | |\n| *gone* | |\n";
    let tree = Tree::of(&[
        ("docs/glossary.md", glossary),
        ("crates/heliumdb/src/a.rs", "fn is_seal(view: Spot) {}"),
        ("crates/else/src/a.rs", "gone"),
    ]);
    assert_eq!(
        documents::words_are_used(&tree),
        ["docs/glossary.md: nothing in crates/heliumdb/src/ is called \"gone\""]
    );
}

#[test]
fn long_functions_are_named() {
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(70));
    let package = Package::of(&[
        ("a.rs", &long),
        ("log/place.rs", &long.replace("long", "place_batch")),
    ]);
    assert_eq!(
        shape::lengths(&package),
        ["a.rs: `long` has 72 lines; 70 are the limit"]
    );
}

#[test]
fn layers_use_only_those_below() {
    let package = Package::of(&[
        ("lib.rs", "mod log; pub use volume::Volume;"),
        ("log/mod.rs", "use crate::Volume; use crate::format::frame;"),
        ("format/frame.rs", ""),
        ("volume/mod.rs", "pub struct Volume(crate::log::Log);"),
        ("else.rs", ""),
    ]);
    assert_eq!(
        shape::layers(&package),
        [
            "else.rs: is in no layer",
            "log/mod.rs: uses volume/mod.rs, of a layer above it"
        ]
    );
}

#[test]
fn variables_are_in_the_table_and_are_read() {
    let table =
        "| variable | plain | full | |\n| `HELIUM_A` | 1 | | a |\n| `HELIUM_GONE` | | | b |\n";
    let tree = Tree::of(&[
        ("docs/testing.md", table),
        (
            "a.rs",
            "//! `HELIUM_A`\nfn f() { var(\"HELIUM_A\"); var(\"HELIUM_NEW\"); }\n",
        ),
        (
            "b.rs",
            "//! `HELIUM_GONE` is only spoken of, and NO_HELIUM_HERE is none.\n",
        ),
        ("b.md", "Set HELIUM_OLD=1.\n"),
    ]);
    assert_eq!(
        variables::are_in_the_table(&tree),
        [
            "a.rs: `HELIUM_NEW` is not in the table of docs/testing.md",
            "b.md: `HELIUM_OLD` is not in the table of docs/testing.md",
            "docs/testing.md: nothing reads `HELIUM_GONE`",
        ]
    );
}

#[test]
fn the_table_says_what_is_set_for_the_long_tests() {
    let table = "| `HELIUM_CRASH_IMAGES` | 2,000 | 20,000 | |\n| `HELIUM_MODEL_OPS` | | 7 | |\n| `HELIUM_SEED` | | 1 | |\n";
    let complaints = variables::are_set_as_the_table_says(&Tree::of(&[("docs/testing.md", table)]));
    assert_eq!(complaints.len(), 2);
    assert!(complaints[0].contains("HELIUM_MODEL_OPS"));
    assert!(complaints[1].contains("HELIUM_SEED"));
}
