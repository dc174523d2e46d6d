//! A page of the manual for each call of the library, made of `crates/libhe/man/calls.txt`.
//!
//! Invariant: every call that a header declares has one, with words of its own.

use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use crate::step;

/// What the text says of a call.
#[derive(Default)]
struct Call<'a> {
    name: &'a str,
    purpose: &'a str,
    prototypes: Vec<&'a str>,
    paragraphs: Vec<&'a str>,
    errors: Vec<&'a str>,
    see: Vec<&'a str>,
}

/// Pages, by where they go below the prefix.
pub fn pages() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let text = text()?;
    let calls = parse(&text)?;
    Ok(calls
        .iter()
        .map(|call| {
            let to = format!("share/man/man3/{}.3", call.name);
            (to.into(), call.page().into_bytes())
        })
        .collect())
}

fn text() -> Result<String> {
    let path = step::root().join("crates/libhe/man/calls.txt");
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Call<'_>>> {
    let mut calls: BTreeMap<&str, Call<'_>> = BTreeMap::new();
    let mut call = Call::default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    for line in lines.filter(|line| !line.trim().is_empty()) {
        if let Some((name, purpose)) = line.split_once(": ").filter(|(name, _)| is_name(name)) {
            let done = std::mem::replace(
                &mut call,
                Call {
                    name,
                    purpose,
                    ..Call::default()
                },
            );
            calls.insert(done.name, done);
        } else if let Some(errors) = line.strip_prefix("Errors: ") {
            call.errors = errors.split_whitespace().collect();
        } else if let Some(see) = line.strip_prefix("See: ") {
            call.see = see.split_whitespace().collect();
        } else if call.name.is_empty() {
            bail!("{line:?} belongs to no call");
        } else if line.ends_with(");") && call.paragraphs.is_empty() {
            call.prototypes.push(line);
        } else {
            call.paragraphs.push(line);
        }
    }
    calls.insert(call.name, call);
    calls.remove("");
    Ok(calls.into_values().collect())
}

fn is_name(text: &str) -> bool {
    text.starts_with("he_")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

impl Call<'_> {
    /// The page, for man(1).
    fn page(&self) -> String {
        let mut page = format!(
            ".TH {} 3 2026-11-29 \"Helium\" \"Library Functions Manual\"\n.SH NAME\n{} \\- {}\n",
            self.name.to_uppercase(),
            self.name,
            self.purpose
        );
        page += ".SH SYNOPSIS\n.nf\n.B #include <he.h>\n.PP\n";
        for prototype in &self.prototypes {
            // Writing into a string cannot fail.
            let _ = writeln!(page, ".B {}", escaped(prototype));
        }
        page += ".fi\n.SH DESCRIPTION\n";
        page += &self
            .paragraphs
            .iter()
            .map(|text| escaped(text))
            .collect::<Vec<_>>()
            .join("\n.PP\n");
        let _ = write!(page, "\n.SH RETURN VALUE\n{}\n", self.returns());
        if !self.errors.is_empty() {
            page += ".SH ERRORS\n.nf\n";
            page += &self.errors.join("\n");
            page += "\n.fi\n.PP\nBeside those that every call may give: see he(3).\n";
        }
        page += ".SH SEE ALSO\n.BR he (3)";
        for other in &self.see {
            let _ = write!(page, ",\n.BR {other} (3)");
        }
        page + "\n"
    }

    fn returns(&self) -> &'static str {
        let is_question = self.name.starts_with("he_is_");
        match self
            .prototypes
            .first()
            .and_then(|one| one.split_once(self.name))
        {
            Some((kind, _)) if kind.starts_with("void") => "Nothing; errno stays as it is.",
            Some((kind, _)) if kind.starts_with("int") && is_question => "1 or 0.",
            Some((kind, _)) if kind.starts_with("int") => {
                "0, or a negative code, which is left in errno too."
            }
            Some((kind, _)) if kind.contains("char") => "The text, which the caller does not free.",
            _ => "What it gives, or NULL, with a negative code in errno.",
        }
    }
}

/// Text of which man(1) obeys nothing.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::{parse, text};
    use crate::step;

    #[test]
    fn every_call_of_every_header_has_a_page() {
        let text = text().unwrap();
        let calls: Vec<_> = parse(&text).unwrap();
        let has_page = |name: &str| calls.iter().any(|call| call.name == name);
        for version in ["2.2", "2.8", "3.x"] {
            let header = step::root().join(format!("crates/libhe/include/{version}/he.h"));
            let header = std::fs::read_to_string(header).unwrap();
            let code = header.lines().filter(|line| line.ends_with(");"));
            let mut found = 0;
            for line in code.filter(|line| !line.starts_with([' ', '\t', '#', '/'])) {
                let Some((before, _)) = line.split_once('(') else {
                    continue;
                };
                let call = before.rsplit([' ', '*']).next().unwrap_or_default();
                if !call.is_empty() && !call.starts_with("he_transaction_v") {
                    assert!(has_page(call), "{call} of {version} has no page");
                    found += 1;
                }
            }
            assert!(found > 20, "{version} declares {found} calls");
        }
    }

    #[test]
    fn every_page_has_words_of_its_own() {
        let text = text().unwrap();
        let calls = parse(&text).unwrap();
        let codes = std::fs::read_to_string(step::root().join("crates/libhe/include/3.x/he.h"));
        let codes = codes.unwrap();
        for call in &calls {
            let page = call.page();
            assert!(call.paragraphs.concat().len() > 60, "{}: {page}", call.name);
            assert!(call.prototypes.iter().all(|one| one.contains(call.name)));
            for code in &call.errors {
                assert!(codes.contains(&format!("#define {code} ")), "{code}");
            }
            for other in call.see.iter().filter(|other| other.starts_with("he_")) {
                assert!(calls.iter().any(|call| call.name == *other), "{other}");
            }
            let lines = page.lines().filter(|line| line.starts_with('.'));
            let known = [".TH", ".SH", ".nf", ".fi", ".PP", ".BR", ".B", ".TP"];
            assert!(
                lines
                    .clone()
                    .all(|line| known.iter().any(|macro_| line.starts_with(macro_)))
            );
        }
    }
}
