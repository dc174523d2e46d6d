//! The formats of a WiredTiger table: in its configuration, and in the attributes of a datastore.
//!
//! Invariant: attributes are the data source's own, of an object that is in use; so it takes a table
//! that was loaded for one of its own when it is created there with the same formats.

/// What the attributes of a datastore of the data source start with.
const OBJECT: &str = "wiredtiger_object=";

/// Formats of keys and values, in WiredTiger's letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Formats {
    key: String,
    value: String,
}

impl Default for Formats {
    /// Raw bytes.
    fn default() -> Self {
        Self {
            key: "u".to_owned(),
            value: "u".to_owned(),
        }
    }
}

impl Formats {
    /// Out of a table's configuration.
    pub(super) fn of_config(config: &str) -> Self {
        let is_format = |text: &&str| text.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
        let format = |key| {
            let found = value_of(config, key).filter(is_format);
            found.unwrap_or("u").to_owned()
        };
        Self {
            key: format("key_format"),
            value: format("value_format"),
        }
    }

    /// Out of attributes: raw bytes if they are not the data source's.
    pub(super) fn of_attributes(attributes: &[u8]) -> Self {
        match std::str::from_utf8(attributes) {
            Ok(text) if text.starts_with(OBJECT) => Self::of_config(text),
            _ => Self::default(),
        }
    }

    /// As attributes; none for raw bytes.
    pub(super) fn to_attributes(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        format!("{OBJECT}live,{}", self.to_config()).into_bytes()
    }

    /// As configuration.
    pub(super) fn to_config(&self) -> String {
        let (key, value) = (word(&self.key), word(&self.value));
        format!("key_format={key},value_format={value}")
    }

    /// Whether keys are record numbers.
    pub(super) fn has_record_numbers(&self) -> bool {
        self.key == "r"
    }
}

fn word(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// The value of a key of the outermost level, without its quotes; the last one counts.
fn value_of<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let (mut depth, mut quoted, mut start) = (0_u32, false, 0);
    let mut found = None;
    let mut take = |part: &'a str| {
        if let Some((name, value)) = part.split_once('=')
            && name.trim() == key
        {
            found = Some(value.trim().trim_matches('"'));
        }
    };
    for (at, byte) in config.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'(' | b'[' if !quoted => depth += 1,
            b')' | b']' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                take(&config[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    take(&config[start..]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_the_table_itself() {
        let config =
            "app_metadata=\"key_format=x,\",lsm=(key_format=i),key_format=r,value_format=\"5s\"";
        let formats = Formats::of_config(config);
        assert_eq!((formats.key.as_str(), formats.value.as_str()), ("r", "5s"));
        assert!(formats.has_record_numbers());
        assert_eq!(Formats::of_attributes(&formats.to_attributes()), formats);
        assert_eq!(Formats::of_config(&formats.to_config()), formats);
    }

    #[test]
    fn what_says_nothing_is_raw_bytes() {
        for attributes in [&b""[..], b"he.h 1 00", b"key_format=r", b"\xff"] {
            assert_eq!(Formats::of_attributes(attributes), Formats::default());
        }
        assert_eq!(Formats::of_config(",,key_format"), Formats::default());
        assert_eq!(Formats::default().to_attributes(), b"");
        let empty = Formats::of_config("key_format=S,value_format=");
        assert_eq!(Formats::of_attributes(&empty.to_attributes()), empty);
    }
}
