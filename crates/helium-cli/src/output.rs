//! What goes to standard output: tables and figures for people, JSON for programs.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write, stdout};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::{
    failure::{self, Result},
    json, text,
};

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As JSON.
    pub json: bool,
}

impl Output {
    /// Buffered standard output.
    pub fn writer(self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 << 10, stdout().lock())
    }

    /// Whether a person looks at it.
    pub fn is_terminal(self) -> bool {
        stdout().is_terminal()
    }

    /// Prints `value` as JSON, or what `text` makes for people.
    pub fn print(self, value: &Value, text: impl FnOnce() -> String) -> Result<()> {
        let text = match self.json {
            true => json::line(value),
            false => text::plain_lines(&text()),
        };
        let text = text.trim_end_matches('\n');
        let mut out = self.writer();
        let written = if text.is_empty() {
            Ok(())
        } else {
            writeln!(out, "{text}")
        };
        written.and_then(|()| out.flush()).map_err(failure::output)
    }
}

/// Ends buffered output.
pub fn finish(mut writer: impl io::Write) -> Result<()> {
    writer.flush().map_err(failure::output)
}

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Text.
    Left(&'static str),
    /// Figures.
    Right(&'static str),
}

/// Rows in aligned columns, without lines.
pub fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let names = columns.iter().map(|column| match column {
        Column::Left(name) | Column::Right(name) => *name,
    });
    table.set_header(names);
    for row in rows {
        table.add_row(row);
    }
    for (number, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(number) {
            shown.set_padding((0, 2));
            if matches!(column, Column::Right(_)) {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    trimmed(&table.to_string())
}

/// Names and what they are, one below the other.
pub fn figures(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"));
    lines.collect()
}

fn trimmed(text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}
