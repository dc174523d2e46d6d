//! JSON Lines: one object per item, and one per datastore where there is something to say of it.
//!
//! `{"key":K,"value":V}` is an item, `{"datastore":D,"key":K,"value":V}` says which datastore it is
//! in, and `{"datastore":D,"attributes":A,"compress":true,"unordered":true}` is a datastore, of which all
//! but the first may be left out. Each of D, A, K and V is a string, or `{"base64":"..."}` where it is not UTF-8.

use std::{
    fmt,
    io::{BufRead, Write},
};

use serde::de::{self, Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Entry, Head, Sink, Source, bad_line, lines::Lines};
use crate::{
    failure::{self, Result},
    json, text,
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
    let fields: Fields = serde_json::from_slice(line).map_err(|why| {
        // What counts is the column: the line is ours.
        let text = why.to_string();
        let what = text::excerpt(text.split(" at line ").next().unwrap_or(&text));
        let column = why.column();
        match why.is_data() {
            true => format!("{what}, at column {column}"),
            false => format!("not a JSON object: {what}, at column {column}"),
        }
    })?;
    let says_more =
        fields.attributes.is_some() || fields.compress.is_some() || fields.unordered.is_some();
    match (fields.datastore, says_more, fields.key, fields.value) {
        (datastore, false, Some(key), Some(value)) => Ok(Entry::Item {
            datastore,
            key,
            value,
        }),
        (Some(name), _, None, None) => Ok(Entry::Datastore(Head {
            name,
            attributes: fields.attributes.unwrap_or_default(),
            compress: fields.compress.unwrap_or(false),
            unordered: fields.unordered.unwrap_or(false),
        })),
        (_, _, Some(_), None) => Err("has a key and no \"value\"".to_owned()),
        (_, _, None, Some(_)) => Err("has a value and no \"key\"".to_owned()),
        _ => Err("has no \"key\" and \"value\"".to_owned()),
    }
}

/// The fields of a line. What is none of them, or of another kind, ends the reading of the line before it is in
/// memory: an array may be much longer there than it is in the line.
#[derive(Default)]
struct Fields {
    datastore: Option<Vec<u8>>,
    attributes: Option<Vec<u8>>,
    compress: Option<bool>,
    unordered: Option<bool>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let slot = match name.as_str() {
                "datastore" => &mut fields.datastore,
                "attributes" => &mut fields.attributes,
                "key" => &mut fields.key,
                "value" => &mut fields.value,
                "compress" => {
                    set(&mut fields.compress, &name, map.next_value()?)?;
                    continue;
                }
                "unordered" => {
                    set(&mut fields.unordered, &name, map.next_value()?)?;
                    continue;
                }
                _ => {
                    let name = text::excerpt(&name);
                    return Err(M::Error::custom(format_args!(
                        "has a field {name:?}, which means nothing here"
                    )));
                }
            };
            set(slot, &name, map.next_value::<text::JsonBytes>()?.0)?;
        }
        Ok(fields)
    }
}

fn set<T, E: de::Error>(slot: &mut Option<T>, name: &str, field: T) -> Result<(), E> {
    match slot.replace(field) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("has {name:?} twice"))),
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
            json::write(&mut self.output, &fields)?;
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
