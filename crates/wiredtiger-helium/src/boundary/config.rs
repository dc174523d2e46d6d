//! The configuration that WiredTiger passes to a call.
#![expect(unsafe_code, reason = "calls WiredTiger")]

use crate::{
    config::{Kind, Lookup, Value},
    error::{Code, Error, Result},
};
use std::{
    ffi::{CString, c_int},
    ptr::{self, NonNull},
    slice,
};
use wiredtiger_abi::v3_2::{
    ConfigArg, ConfigItem, ConfigItemType, ConfigParser, ExtensionApi, Session, WT_NOTFOUND,
};

/// A call's configuration, by the pointers that it came with.
pub struct CallConfig {
    api: NonNull<ExtensionApi>,
    session: *mut Session,
    config: *mut ConfigArg,
}

impl CallConfig {
    /// The configuration of a call.
    ///
    /// # Safety
    ///
    /// The pointers are WiredTiger's, session and configuration may be null, and the value
    /// is used during the call only.
    pub unsafe fn new(
        api: NonNull<ExtensionApi>,
        session: *mut Session,
        config: *mut ConfigArg,
    ) -> Self {
        Self {
            api,
            session,
            config,
        }
    }

    /// All its pairs.
    pub fn pairs(&self) -> Result<Vec<(Value, Value)>> {
        if self.config.is_null() {
            return Ok(Vec::new());
        }
        let mut parser: *mut ConfigParser = ptr::null_mut();
        // SAFETY: see `new`; on success there is a parser, which is closed below.
        let number = unsafe {
            let open = self.api.as_ref().config_parser_open_arg;
            open.map_or(WT_NOTFOUND, |open| {
                open(self.api.as_ptr(), self.session, self.config, &mut parser)
            })
        };
        // SAFETY: as above.
        let Some(table) = (unsafe { parser.as_ref() }).filter(|_| number == 0) else {
            return Err(failed("the configuration cannot be parsed", number));
        };
        let mut pairs = Vec::new();
        let end = loop {
            let (mut key, mut value) = (empty(), empty());
            let number = match table.next {
                // SAFETY: the parser is open, and stores through its pointers only.
                Some(next) => unsafe { next(parser, &mut key, &mut value) },
                None => WT_NOTFOUND,
            };
            if number != 0 {
                break number;
            }
            // SAFETY: the parser says how long its texts are.
            pairs.push(unsafe { (copy(&key)?, copy(&value)?) });
        };
        if let Some(close) = table.close {
            // SAFETY: the parser is open, and not used any more.
            unsafe { close(parser) };
        }
        match end {
            WT_NOTFOUND => Ok(pairs),
            number => Err(failed("the configuration cannot be parsed", number)),
        }
    }
}

impl Lookup for CallConfig {
    fn value(&self, key: &str) -> Result<Option<Value>> {
        if self.config.is_null() {
            return Ok(None);
        }
        let name = CString::new(key).map_err(|_| Error::invalid("a key has a zero byte in it"))?;
        let mut item = empty();
        // SAFETY: see `new`; the answer is stored through the last pointer.
        let number = unsafe {
            let get = self.api.as_ref().config_get;
            get.map_or(WT_NOTFOUND, |get| {
                get(
                    self.api.as_ptr(),
                    self.session,
                    self.config,
                    name.as_ptr(),
                    &mut item,
                )
            })
        };
        match number {
            // SAFETY: WiredTiger says how long its text is.
            0 => unsafe { copy(&item) }.map(Some),
            WT_NOTFOUND => Ok(None),
            number => Err(failed(&format!("configuration key {key}"), number)),
        }
    }
}

fn empty() -> ConfigItem {
    ConfigItem {
        str: ptr::null(),
        len: 0,
        val: 0,
        kind: ConfigItemType::STRING,
    }
}

/// # Safety
///
/// The item's text is as long as it says, or null.
unsafe fn copy(item: &ConfigItem) -> Result<Value> {
    let bytes = if item.str.is_null() {
        &[]
    } else {
        // SAFETY: the caller vouches for it.
        unsafe { slice::from_raw_parts(item.str.cast::<u8>(), item.len) }
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::invalid("the configuration is not UTF-8"))?
        .to_owned();
    let kind = match item.kind {
        ConfigItemType::STRING => Kind::String,
        ConfigItemType::BOOL => Kind::Bool,
        ConfigItemType::NUM => Kind::Number,
        ConfigItemType::STRUCT => Kind::Struct,
        _ => Kind::Word,
    };
    Ok(Value { text, kind })
}

fn failed(what: &str, number: c_int) -> Error {
    Error::new(Code::Host(number), format!("{what} (error {number})"))
}
