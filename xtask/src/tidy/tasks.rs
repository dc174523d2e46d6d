//! `docs/tasks.md`: the same tasks in three stores, side by side.
//!
//! Invariant: what the page shows is what the examples do; nothing of it is written by hand twice.

use super::{Complaint, tree::Tree};

pub const PAGE: &str = "docs/tasks.md";

/// The stores, and the examples that do the tasks in them.
const STORES: [(&str, &str); 3] = [
    ("heliumdb", "crates/heliumdb/examples/tasks.rs"),
    ("redb 4", "bench-compare/examples/tasks_redb.rs"),
    ("fjall 3", "bench-compare/examples/tasks_fjall.rs"),
];

const HEAD: &str = "# The commonest tasks, beside redb and fjall

Each of these pieces is a part of a program that runs: `cargo run -p heliumdb --example tasks`, and
`cargo run --manifest-path bench-compare/Cargo.toml --example tasks_redb` or `tasks_fjall`. `cargo xtask tasks` makes this page of
them.

What differs in kind: `heliumdb` and fjall write outside transactions too, and such writes are durable after a `flush` or `persist`; each
write of redb is in a transaction, which is durable when it returns. redb has one writer at a time, and so has fjall's
`SingleWriterTxDatabase`. Transactions of `heliumdb` go on side by side, and one of two that write the same item is run
again by `transact`. `heliumdb` keeps all keys in memory, the others do not.
";

/// Complains if the page is another one than the examples make.
pub fn are_the_examples(tree: &Tree) -> Vec<Complaint> {
    if !tree.has(STORES[0].1) || tree.text(PAGE) == Some(&page(tree)) {
        return Vec::new();
    }
    vec![format!(
        "{PAGE}: is not what the examples show; run `cargo xtask tasks`"
    )]
}

/// The page, as the examples have it.
pub fn page(tree: &Tree) -> String {
    let stores = STORES.map(|(store, path)| (store, tasks(tree.text(path).unwrap_or_default())));
    let mut page = HEAD.to_owned();
    for (at, (title, _)) in stores[0].1.iter().enumerate() {
        page += &format!("\n## {title}\n");
        for (store, tasks) in &stores {
            let same = tasks.get(at).filter(|(its, _)| its == title);
            let code = same.map_or("// is missing", |(_, code)| code.as_str());
            page += &format!("\n{store}:\n\n```rust\n{code}\n```\n");
        }
    }
    page
}

/// The stretches of an example that begin with a numbered comment: the comment, and the code.
fn tasks(example: &str) -> Vec<(String, String)> {
    let mut tasks: Vec<(String, String)> = Vec::new();
    for line in example.lines() {
        let line = line.strip_prefix("    ").unwrap_or(line);
        let title = line.strip_prefix("// ");
        match title.filter(|title| title.starts_with(|first: char| first.is_ascii_digit())) {
            Some(title) => tasks.push((title.to_owned(), String::new())),
            None if title == Some("The end") => break,
            None => {
                if let Some((_, code)) = tasks.last_mut() {
                    *code += line;
                    code.push('\n');
                }
            }
        }
    }
    for (_, code) in &mut tasks {
        code.truncate(code.trim_end().len());
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_to_be_made_again_when_an_example_changes() {
        let example =
            "fn main() {\n    // 1. Open\n    open(\n        1,\n    );\n\n    // The end\n}\n";
        let files = [
            (STORES[0].1, example),
            (STORES[1].1, example),
            (
                STORES[2].1,
                "fn main() {\n    // 1. Open\n    other();\n}\n",
            ),
        ];
        let made = page(&Tree::of(&files));
        assert!(made.contains("## 1. Open\n\nheliumdb:\n\n```rust\nopen(\n    1,\n);\n```\n"));
        let with = |page| Tree::of(&[files[0], files[1], files[2], (PAGE, page)]);
        assert!(are_the_examples(&with(&made)).is_empty());
        assert_eq!(are_the_examples(&with("another")).len(), 1);
    }
}
