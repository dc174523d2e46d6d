//! Rules on the shape of the code: how long functions are, and which way the layers point.

use super::Complaint;
use crate::shape::{LINES_MAX, Package, arrows, functions};

/// Functions that may be long, by file and name: what each does is a list, and not a tangle.
const LONG: [(&str, &str); 1] = [("log/place.rs", "place_batch")];

/// The store's layers, the lowest first: modules at the root of `heliumdb`. Each may use those below
/// it, and those of its own.
const LAYERS: [&[&str]; 23] = [
    &[
        "bell",
        "chance",
        "clock",
        "codec",
        "enough",
        "error",
        "peers",
        "id",
        "limits",
        "location",
        "memory",
        "options",
        "printable",
        "process",
        "progress",
        "scratch",
        "threads",
    ],
    &["device"],
    &["format"],
    &["cache", "index"],
    &["log"],
    &["access"],
    &["version"],
    &["tree"],
    &["read"],
    &["write"],
    &["catalog"],
    &["ground"],
    &["checkpoint"],
    &["cleaner"],
    &["owing"],
    &["checking"],
    &["shared"],
    &["datastore"],
    &["transaction"],
    &["volume"],
    &["backup", "salvage"],
    &["host", "upkeep"],
    &["lib"],
];

/// No function is longer than can be read at once, but for those named.
pub fn lengths(package: &Package) -> Vec<Complaint> {
    functions(package)
        .iter()
        .filter(|function| function.is_long())
        .filter(|function| !LONG.contains(&(function.path.as_str(), function.name.as_str())))
        .map(|function| {
            format!(
                "{}: `{}` has {} lines; {LINES_MAX} are the limit",
                function.path, function.name, function.lines
            )
        })
        .collect()
}

/// No layer of the store uses one above it.
pub fn layers(package: &Package) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in &package.files {
        if layer(root_module(&file.module)).is_none() {
            complaints.push(format!("{}: is in no layer", file.path));
        }
    }
    for (from, to) in arrows(package) {
        let (from, to) = (&package.files[from], &package.files[to]);
        if layer(root_module(&from.module)) < layer(root_module(&to.module)) {
            complaints.push(format!(
                "{}: uses {}, of a layer above it",
                from.path, to.path
            ));
        }
    }
    complaints
}

fn root_module(module: &[String]) -> &str {
    module.first().map_or("lib", String::as_str)
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}
