//! JSON Lines: one object per item, and one per datastore where there is something to say of it.
//!
//! `{"key":K,"value":V}` is an item, `{"datastore":D,"key":K,"value":V}` says which datastore it is
//! in, and `{"datastore":D,"attributes":A,"compress":true,"unordered":true}` is a datastore, of which all
//! but the first may be left out. Each of D, A, K and V is a string, or `{"base64":"..."}` where it is not UTF-8.

use std::io::{BufRead, Write};

use serde_json::{Map, Value};

use super::{Entry, Head, Sink, Source, bad_line, lines::Lines};
use crate::{
    failure::{self, Result},
    text,
};

pub(super) struct JsonLines<R> {
    lines: Lines<R>,
}

impl<R: BufRead> JsonLines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
        }
    }
}

impl<R: BufRead> Source for JsonLines<R> {
    fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let Some(line) = self.lines.next()? else {
                return Ok(None);
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let entry = entry(line);
            return entry
                .map(Some)
                .map_err(|why| bad_line(self.lines.number(), why));
        }
    }

    fn line(&self) -> u64 {
        self.lines.number()
    }
}

fn entry(line: &[u8]) -> Result<Entry, String> {
    let fields: Map<String, Value> = serde_json::from_slice(line).map_err(|why| {
        // What counts is the column: the line is ours.
        let text = why.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text);
        format!("not a JSON object: {what}, at column {}", why.column())
    })?;
    let mut datastore = None;
    let mut attributes = None;
    let mut compress = None;
    let mut unordered = None;
    let mut key = None;
    let mut value = None;
    for (name, field) in &fields {
        let flag = match name.as_str() {
            "compress" => Some(&mut compress),
            "unordered" => Some(&mut unordered),
            _ => None,
        };
        if let Some(flag) = flag {
            let value = field.as_bool();
            *flag = Some(value.ok_or_else(|| format!("{name:?} is neither true nor false"))?);
            continue;
        }
        let slot = match name.as_str() {
            "datastore" => &mut datastore,
            "attributes" => &mut attributes,
            "key" => &mut key,
            "value" => &mut value,
            _ => return Err(format!("has a field {name:?}, which means nothing here")),
        };
        *slot = Some(text::from_json(field).map_err(|why| format!("{name:?} is {why}"))?);
    }
    let says_more = attributes.is_some() || compress.is_some() || unordered.is_some();
    match (datastore, says_more, key, value) {
        (datastore, false, Some(key), Some(value)) => Ok(Entry::Item {
            datastore,
            key,
            value,
        }),
        (Some(name), _, None, None) => Ok(Entry::Datastore(Head {
            name,
            attributes: attributes.unwrap_or_default(),
            compress: compress.unwrap_or(false),
            unordered: unordered.unwrap_or(false),
        })),
        (_, _, Some(_), None) => Err("has a key and no \"value\"".to_owned()),
        (_, _, None, Some(_)) => Err("has a value and no \"key\"".to_owned()),
        _ => Err("has no \"key\" and \"value\"".to_owned()),
    }
}

pub(super) struct Writer<W> {
    output: W,
    /// Items say which datastore they are in.
    several: bool,
    datastore: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W, several: bool) -> Self {
        Self {
            output,
            several,
            datastore: Vec::new(),
        }
    }

    fn line(&mut self, fields: Map<String, Value>) -> Result<()> {
        let write = || {
            serde_json::to_writer(&mut self.output, &fields)?;
            self.output.write_all(b"\n")
        };
        let mut write = write;
        write().map_err(failure::output)
    }
}

impl<W: Write> Sink for Writer<W> {
    fn datastore(&mut self, head: &Head) -> Result<()> {
        self.datastore.clone_from(&head.name);
        let is_plain = head.attributes.is_empty() && !head.compress && !head.unordered;
        if !self.several && is_plain {
            return Ok(());
        }
        let mut fields = Map::new();
        fields.insert("datastore".into(), text::to_json(&head.name));
        if !head.attributes.is_empty() {
            fields.insert("attributes".into(), text::to_json(&head.attributes));
        }
        if head.compress {
            fields.insert("compress".into(), true.into());
        }
        if head.unordered {
            fields.insert("unordered".into(), true.into());
        }
        self.line(fields)
    }

    fn item(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut fields = Map::new();
        if self.several {
            fields.insert("datastore".into(), text::to_json(&self.datastore));
        }
        fields.insert("key".into(), text::to_json(key));
        fields.insert("value".into(), text::to_json(value));
        self.line(fields)
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush().map_err(failure::output)
    }
}
