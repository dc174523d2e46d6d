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

use super::{Change, ChangeKind, Entry, Head, Sink, Source, bad_line, lines::Lines};
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

fn fields(text: &[u8]) -> Result<Fields, String> {
    serde_json::from_slice(text).map_err(|why| {
        // What counts is the column: the line is ours.
        let text = why.to_string();
        let what = text::excerpt(text.split(" at line ").next().unwrap_or(&text));
        let column = why.column();
        match why.is_data() {
            true => format!("{what}, at column {column}"),
            false => format!("not a JSON object: {what}, at column {column}"),
        }
    })
}

/// The change that an object describes: an item, or the key of one that goes.
pub(super) fn change(line: &[u8]) -> Result<Change, String> {
    let fields = fields(line)?;
    if fields.attributes.is_some() || fields.compress.is_some() || fields.unordered.is_some() {
        return Err("a batch makes no datastores".to_owned());
    }
    let kind = match fields.change.as_deref() {
        None | Some("put") => ChangeKind::Put,
        Some("insert") => ChangeKind::Insert,
        Some("replace") => ChangeKind::Replace,
        Some("rm") => ChangeKind::Remove { force: false },
        Some(other) => {
            return Err(format!(
                "the change {:?} is none: they are put, insert, replace and rm",
                text::excerpt(other)
            ));
        }
    };
    let removes = matches!(kind, ChangeKind::Remove { .. });
    let value = match (removes, fields.value) {
        (true, Some(_)) => return Err("has a value, and removes the item".to_owned()),
        (false, None) => return Err("has no \"value\"".to_owned()),
        (_, value) => value.unwrap_or_default(),
    };
    Ok(Change {
        kind,
        datastore: fields.datastore.ok_or("has no \"datastore\"")?,
        key: fields.key.ok_or("has no \"key\"")?,
        value,
    })
}

/// The entry that an object describes.
pub(super) fn entry(text: &[u8]) -> Result<Entry, String> {
    let fields = fields(text)?;
    if fields.change.is_some() {
        return Err("has a \"change\": `helium batch` does those".to_owned());
    }
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
    change: Option<String>,
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
                "change" => {
                    set(&mut fields.change, &name, map.next_value()?)?;
                    continue;
                }
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
    /// What stands in front of the next line of an array; nothing but for arrays.
    between: Option<&'static str>,
    datastore: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Lines, or an `array` of them.
    pub(super) fn new(output: W, several: bool, array: bool) -> Self {
        Self {
            output,
            several,
            between: array.then_some("[\n"),
            datastore: Vec::new(),
        }
    }

    fn line(&mut self, fields: Map<String, Value>) -> Result<()> {
        let mut write = || match &mut self.between {
            None => {
                json::write(&mut self.output, &fields)?;
                self.output.write_all(b"\n")
            }
            Some(between) => {
                self.output.write_all(between.as_bytes())?;
                *between = ",\n";
                json::write(&mut self.output, &fields)
            }
        };
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
        let end = match self.between {
            None => "",
            Some("[\n") => "[]\n",
            Some(_) => "\n]\n",
        };
        let ended = self.output.write_all(end.as_bytes());
        let ended = ended.and_then(|()| self.output.flush());
        ended.map_err(failure::output)
    }
}
