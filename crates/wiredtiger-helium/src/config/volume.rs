//! What the extension's configuration says of one volume.
//!
//! Invariant: an unknown key and a value of the wrong kind are refused with the names of key and
//! volume; a number out of range is not: the store brings it into range.

use super::{Item, Kind, Pairs, VolumeConfig};
use crate::error::{Error, Result};
use heliumdb::VolumeOptions;
use std::borrow::Cow;

/// How URLs of local devices start.
const LOCAL: &str = "he://./";

/// A key and its value, of a volume.
#[derive(Clone, Copy)]
struct Setting<'a> {
    volume: &'a str,
    key: &'a str,
    value: Item<'a>,
}

/// Reads the configuration of the volume `name`.
pub(super) fn read(name: &str, text: &str) -> Result<VolumeConfig> {
    let mut options = VolumeOptions::default();
    // A volume's ids belong to one connection's transactions.
    options.exclusive = true;
    let mut config = VolumeConfig {
        name: name.to_owned(),
        url: String::new(),
        options,
        clean: false,
        create: None,
    };
    for pair in Pairs::new(text) {
        let (key, value) = pair.map_err(|error| error.context(format!("volume {name}")))?;
        let setting = Setting {
            volume: name,
            key: key.text,
            value,
        };
        setting.apply(&mut config)?;
    }
    if config.url.is_empty() {
        return Err(Error::invalid(format!(
            "volume {name}: helium_devices names no device"
        )));
    }
    Ok(config)
}

impl Setting<'_> {
    /// Does what it says. What `he.h` has in its environment goes by the name there, with
    /// `helium_` or `helium_env_` in front, in the unit there; what it has as a flag, with `helium_o_`.
    fn apply(self, config: &mut VolumeConfig) -> Result<()> {
        let options = &mut config.options;
        match self.key {
            "helium_devices" => config.url = devices(self.volume, self.value)?,
            "helium_o_volume_create" => config.create = Some(self.boolean()?),
            "helium_o_volume_truncate" => options.truncate = self.boolean()?,
            "helium_o_volume_notrim" => options.no_trim = self.boolean()?,
            "helium_o_volume_clean" => config.clean = self.boolean()?,
            "helium_o_volume_scan" => options.scan = self.boolean()?,
            "helium_read_only" => options.read_only = self.boolean()?,
            "helium_env_read_cache_size" | "helium_env_read_cache" | "helium_read_cache" => {
                options.read_cache_bytes = self.bytes()?;
            }
            "helium_env_write_cache_size" | "helium_env_write_cache" | "helium_write_cache" => {
                options.write_cache_bytes = self.bytes()?;
            }
            "helium_env_auto_commit_period" | "helium_auto_commit_period" => {
                // The highest number turns it off, there as here.
                options.auto_commit_period_ms = self.number("seconds")?.saturating_mul(1000);
            }
            "helium_scrub_rate" => options.scrub_bytes_per_second = self.bytes()?,
            "helium_env_auto_clean_period" | "helium_auto_clean_period" => {
                options.auto_clean_period_ms = self.number("seconds")?.saturating_mul(1000);
            }
            "helium_env_clean_util_pct" | "helium_clean_util_pct" => {
                options.clean_util_pct = self.small("per cent")?;
            }
            "helium_env_clean_dirty_pct" | "helium_clean_dirty_pct" => {
                options.clean_dirty_pct = self.small("per cent")?;
            }
            "helium_env_retry_count" | "helium_retry_count" => {
                options.retry_count = self.small("attempts")?;
            }
            "helium_env_retry_delay" | "helium_retry_delay" => {
                options.retry_delay_us = self.number("microseconds")?;
            }
            "helium_checkpoint_log_bytes" => options.checkpoint_log_bytes = Some(self.bytes()?),
            "helium_volume_limit" => options.limit_bytes = Some(self.bytes()?),
            "helium_version_budget" => options.version_budget_bytes = self.bytes()?,
            unknown => {
                return Err(Error::invalid(format!(
                    "volume {}: unknown key '{unknown}' (value '{}')",
                    self.volume, self.value.text
                )));
            }
        }
        Ok(())
    }

    fn boolean(self) -> Result<bool> {
        let answer = self.value.as_bool();
        answer.ok_or_else(|| self.refusal("true or false"))
    }

    fn bytes(self) -> Result<u64> {
        let bytes = self.value.as_number();
        bytes.ok_or_else(|| self.refusal("a number of bytes like 64MB"))
    }

    fn number(self, unit: &str) -> Result<u64> {
        let number = self.value.as_number();
        number.ok_or_else(|| self.refusal(&format!("a number of {unit}")))
    }

    /// A number that the store keeps in fewer bits, which it never needs all of.
    fn small(self, unit: &str) -> Result<u32> {
        let number = self.number(unit)?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn refusal(self, what: &str) -> Error {
        Error::invalid(format!(
            "volume {}: {} is {what}, not '{}'",
            self.volume, self.key, self.value.text
        ))
    }
}

/// The URL of a volume: one string, or a list of strings whose devices make one volume.
fn devices(volume: &str, value: Item<'_>) -> Result<String> {
    let complaint = |what: &str| {
        Error::invalid(format!(
            "volume {volume}: helium_devices {what}, not '{}'",
            value.text
        ))
    };
    match value.kind {
        Kind::String | Kind::Word if !value.text.is_empty() => {
            Ok(local(&unescaped(value.text)).into_owned())
        }
        Kind::Struct => {
            let mut url = String::new();
            for pair in Pairs::new(value.text) {
                let (device, no_value) = pair?;
                if device.text.is_empty() || no_value.kind != Kind::Bool {
                    return Err(complaint("is a list of quoted strings"));
                }
                add_device(&mut url, &local(&unescaped(device.text)))
                    .ok_or_else(|| complaint("names devices of different places"))?;
            }
            if url.is_empty() {
                return Err(complaint("names at least one device"));
            }
            Ok(url)
        }
        _ => Err(complaint("is a quoted string or a list of them")),
    }
}

/// Adds the devices that `device` names to those of `url`.
fn add_device(url: &mut String, device: &str) -> Option<()> {
    if url.is_empty() {
        url.push_str(device);
        return Some(());
    }
    let paths = device.strip_prefix(LOCAL)?;
    if !url.starts_with(LOCAL) {
        return None;
    }
    url.push(',');
    url.push_str(paths);
    Some(())
}

/// Text of WiredTiger's, where a backslash that is one has another in front.
fn unescaped(text: &str) -> Cow<'_, str> {
    match text.contains("\\\\") {
        true => text.replace("\\\\", "\\").into(),
        false => text.into(),
    }
}

/// A URL of local devices, however it was written: a path alone is one too.
fn local(device: &str) -> Cow<'_, str> {
    match device.strip_prefix("he://") {
        Some(path) if path.starts_with('/') => Cow::Owned(format!("{LOCAL}{path}")),
        None if !device.contains("://") => Cow::Owned(format!("{LOCAL}{device}")),
        _ => Cow::Borrowed(device),
    }
}
