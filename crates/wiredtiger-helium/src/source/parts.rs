//! Parts of tables that were given a source of their own, and what a rename of the table makes of it.
//!
//! WiredTiger renames the object of a column group or index to the part's type, a colon, and the new names of table and
//! part. For `source="helium:dev1/x"` without a type that is `file:new.wt`, which it then refuses as another kind of
//! object; and with `type=helium` it has no volume if the table's name has none. So such a part's type becomes
//! what its object is called: `helium:dev1/x` becomes `helium:dev1/x:new`. Invariant: a part whose object has the name that WiredTiger has given it
//! is left alone.

use crate::{
    config::{Kind, Lookup, Pairs},
    error::Result,
};

/// The metadata entry that the part `name` of `table` needs before the table can be renamed; none if its entry, `entry`, is
/// as it has to be.
pub fn renamable(table: &str, name: &str, entry: &str) -> Result<Option<String>> {
    let Some(suffix) = suffix(table, name) else {
        return Ok(None);
    };
    let text =
        |key| -> Result<String> { Ok(entry.value(key)?.map_or(String::new(), |value| value.text)) };
    let (source, kind) = (text("source")?, text("type")?);
    if !source.starts_with("helium:") || source == format!("{kind}:{table}{suffix}") {
        return Ok(None);
    }
    with_type(entry, &source).map(Some)
}

/// What WiredTiger puts behind the table's name in that of the part's object; none if it is no part of the table.
fn suffix(table: &str, name: &str) -> Option<String> {
    let (kind, name) = name.split_once(':')?;
    match (kind, name.strip_prefix(table)?.strip_prefix(':')) {
        ("colgroup", Some(group)) => Some(format!("_{group}")),
        ("colgroup", None) if name == table => Some(String::new()),
        ("index", Some(index)) => Some(format!("_{index}_idx")),
        _ => None,
    }
}

/// `entry` with another type.
fn with_type(entry: &str, kind: &str) -> Result<String> {
    let mut found = None;
    for pair in Pairs::new(entry) {
        let (key, value) = pair?;
        if key.text == "type" {
            found = Some(value);
        }
    }
    let Some(value) = found else {
        return Ok(format!("{entry},type=\"{kind}\""));
    };
    // The value is a piece of the entry.
    let start = value.text.as_ptr().addr() - entry.as_ptr().addr();
    let (before, after) = (&entry[..start], &entry[start + value.text.len()..]);
    Ok(match value.kind {
        Kind::String => format!("{before}{kind}{after}"),
        _ => format!("{before}\"{kind}\"{after}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(name: &str, entry: &str) -> Option<String> {
        renamable("t", name, entry).expect("readable")
    }

    #[test]
    fn a_source_of_its_own_becomes_the_type() {
        let entry = "columns=(a),source=\"helium:dev1/x\",type=file,value_format=u";
        let expected = "columns=(a),source=\"helium:dev1/x\",type=\"helium:dev1/x\",value_format=u";
        for name in ["colgroup:t", "colgroup:t:c", "index:t:i"] {
            assert_eq!(renamed(name, entry).as_deref(), Some(expected), "{name}");
        }
        let quoted = entry.replace("type=file", "type=\"file\"");
        assert_eq!(renamed("colgroup:t", &quoted).as_deref(), Some(expected));
        let typed = entry.replace("type=file", "type=helium");
        assert_eq!(renamed("colgroup:t", &typed).as_deref(), Some(expected));
        let untyped = "source=\"helium:dev1/x\"";
        let expected = "source=\"helium:dev1/x\",type=\"helium:dev1/x\"";
        assert_eq!(renamed("colgroup:t", untyped).as_deref(), Some(expected));
    }

    #[test]
    fn what_wiredtiger_has_named_is_left_alone() {
        for (name, kind, source) in [
            ("colgroup:t", "helium", "helium:t"),
            ("colgroup:t:c", "helium", "helium:t_c"),
            ("index:t:i", "helium", "helium:t_i_idx"),
            ("colgroup:t", "helium:dev1/x", "helium:dev1/x:t"),
            ("colgroup:t", "file", "file:x.wt"),
            // Parts of other tables.
            ("colgroup:tt", "file", "helium:dev1/x"),
            ("index:tt:i", "file", "helium:dev1/x"),
            ("table:t", "file", "helium:dev1/x"),
        ] {
            let entry = format!("source=\"{source}\",type=\"{kind}\"");
            assert_eq!(renamed(name, &entry), None, "{name} {entry}");
        }
    }
}
