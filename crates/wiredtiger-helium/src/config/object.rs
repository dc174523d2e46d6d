//! What `WT_SESSION.create` and `WT_SESSION.open_cursor` are told of one object.

use super::{Lookup, columns};
use crate::error::{Code, Error, Result};
use std::fmt::Write;

/// The format that a key or value has if none is given: raw bytes.
const DEFAULT_FORMAT: &str = "u";

/// Options of `WT_SESSION.create`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// Fail if the object exists.
    pub exclusive: bool,
    /// Remove all items if the object exists.
    pub truncate: bool,
    /// Compress items.
    pub compress: bool,
    /// It is to be an index, which is filled from a table's rows.
    pub is_index: bool,
    /// Format of keys.
    pub key_format: String,
    /// Format of values.
    pub value_format: String,
    /// Names of columns, as configured, with brackets; empty if none were given.
    pub columns: String,
    /// The application's own words, as configured; empty if none were given.
    pub app_metadata: String,
    /// What names compressors, codes and encryptors of WiredTiger's, as configured; empty if nothing does.
    pub storage: String,
    /// The encryptor that was asked for; empty if none was.
    pub encryptor: String,
}

/// Keys that name one, or none, and one that WiredTiger takes in some databases only.
const STORAGE_KEYS: [&str; 4] = [
    "block_compressor",
    "huffman_key",
    "huffman_value",
    "ignore_in_memory_cache_size",
];

impl CreateOptions {
    /// Reads them from a call's configuration.
    pub fn read(config: &(impl Lookup + ?Sized)) -> Result<Self> {
        let text = |key| -> Result<String> {
            let value = config.value(key)?.filter(|value| !value.text.is_empty());
            Ok(value.map_or(String::new(), |value| value.item().to_config()))
        };
        let options = Self {
            exclusive: boolean(config, "exclusive")?.unwrap_or(false),
            truncate: boolean(config, "helium_o_truncate")?.unwrap_or(false),
            compress: boolean(config, "helium_o_compress")?.unwrap_or(false),
            is_index: config.value("index_key_columns")?.is_some(),
            key_format: format(config, "key_format")?,
            value_format: format(config, "value_format")?,
            columns: text("columns")?,
            app_metadata: text("app_metadata")?,
            storage: storage(config)?,
            encryptor: encryptor(config)?,
        };
        columns::check(&options.columns, &options.key_format, &options.value_format)?;
        Ok(options)
    }

    /// Whether an object of these formats is what the caller asks for. A format that was
    /// not given cannot be told from the default one, so that one asks for nothing.
    pub fn accept_formats(&self, key_format: &str, value_format: &str) -> bool {
        // One that is empty was made as the default once.
        let is_old = |asked: &str, has: &str| asked.is_empty() && has == DEFAULT_FORMAT;
        let accepts =
            |asked: &str, has: &str| asked == DEFAULT_FORMAT || asked == has || is_old(asked, has);
        accepts(&self.key_format, key_format) && accepts(&self.value_format, value_format)
    }
}

/// Options of `WT_SESSION.open_cursor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorOptions {
    /// Inserts get the next record number.
    pub append: bool,
    /// Inserts replace and updates create.
    pub overwrite: bool,
    /// Fills an index that is being made.
    pub fills_index: bool,
    /// Fills an object that is empty, in the order of keys, while nobody else uses it.
    pub bulk: bool,
}

impl CursorOptions {
    /// Reads them from a call's configuration, and refuses what a cursor here cannot do.
    pub fn read(config: &(impl Lookup + ?Sized)) -> Result<Self> {
        let text = |key| -> Result<String> {
            Ok(config.value(key)?.map_or(String::new(), |value| value.text))
        };
        let checkpoint = text("checkpoint")?;
        if !checkpoint.is_empty() {
            return Err(unsupported(format!(
                "a cursor on checkpoint '{checkpoint}' is not supported: an object here has no \
                 named states; use a snapshot transaction"
            )));
        }
        let sample = text("next_random_sample_size")?;
        if boolean(config, "next_random")?.unwrap_or(false) || !matches!(sample.as_str(), "" | "0")
        {
            return Err(unsupported("a cursor with next_random is not supported"));
        }
        let bulk = text("bulk")?;
        if !matches!(
            bulk.as_str(),
            "" | "true" | "false" | "1" | "0" | "unordered"
        ) {
            return Err(unsupported(format!(
                "a cursor with bulk={bulk} is not supported"
            )));
        }
        let is_bulk = config
            .value("bulk")?
            .is_some_and(|bulk| bulk.item().as_bool() == Some(true));
        Ok(Self {
            append: boolean(config, "append")?.unwrap_or(false),
            overwrite: boolean(config, "overwrite")?.unwrap_or(true),
            fills_index: bulk == "unordered",
            bulk: is_bulk,
        })
    }
}

fn unsupported(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Code::Unsupported, message)
}

fn boolean(config: &(impl Lookup + ?Sized), key: &str) -> Result<Option<bool>> {
    let Some(value) = config.value(key)? else {
        return Ok(None);
    };
    let answer = value
        .item()
        .as_bool()
        .ok_or_else(|| Error::invalid(format!("{key} is true or false, not '{}'", value.text)))?;
    Ok(Some(answer))
}

fn format(config: &(impl Lookup + ?Sized), key: &str) -> Result<String> {
    let value = config.value(key)?;
    Ok(value.map_or_else(|| DEFAULT_FORMAT.to_owned(), |value| value.text))
}

fn storage(config: &(impl Lookup + ?Sized)) -> Result<String> {
    let mut storage = String::new();
    for key in STORAGE_KEYS {
        if let Some(value) = config.value(key)?.filter(|value| is_name(&value.text)) {
            // Writing to a string cannot fail.
            let _ = write!(storage, ",{key}={}", value.item().to_config());
        }
    }
    if !encryptor(config)?.is_empty()
        && let Some(value) = config.value("encryption")?
    {
        let _ = write!(storage, ",encryption={}", value.item().to_config());
    }
    Ok(storage)
}

fn encryptor(config: &(impl Lookup + ?Sized)) -> Result<String> {
    let encryption = config.value("encryption")?;
    let name = encryption
        .map(|value| value.text.value("name"))
        .transpose()?;
    let name = name.flatten().map_or(String::new(), |name| name.text);
    Ok(if is_name(&name) { name } else { String::new() })
}

fn is_name(text: &str) -> bool {
    !matches!(text, "" | "none" | "false" | "0")
}
