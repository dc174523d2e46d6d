//! The extension's configuration: the volumes, and what holds for all of them.

use super::{Item, Kind, Pairs};
use crate::error::{Error, Result};
use heliumdb::{Durability, VolumeOptions};
use std::borrow::Cow;

/// How URLs of local devices start.
const LOCAL: &str = "he://./";

/// How much is told through WiredTiger's message handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Nothing.
    #[default]
    Quiet,
    /// Volumes and objects as they come and go.
    Objects,
    /// Every write as well.
    Operations,
}

/// One volume, as configured.
#[derive(Clone, Debug)]
pub struct VolumeConfig {
    /// What URIs call it.
    pub name: String,
    /// What the store calls it.
    pub url: String,
    /// How it is opened.
    pub options: VolumeOptions,
}

/// The whole configuration of a connection.
#[derive(Clone, Debug, Default)]
pub struct ConnectionOptions {
    /// `helium_verbose`.
    pub verbosity: Verbosity,
    /// `helium_durability`.
    pub durability: Durability,
    /// The volumes, in the order in which they were given.
    pub volumes: Vec<VolumeConfig>,
}

impl ConnectionOptions {
    /// Reads the pairs of the extension's configuration.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (Item<'a>, Item<'a>)>) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in pairs {
            options.apply(key, value)?;
        }
        if options.volumes.is_empty() {
            return Err(Error::invalid(
                "no volume is configured; name at least one, as in \
                 config=[dev1=[helium_devices=[\"he://./path\"]]]",
            ));
        }
        Ok(options)
    }

    fn apply(&mut self, key: Item<'_>, value: Item<'_>) -> Result<()> {
        match key.text {
            "helium_verbose" => self.verbosity = verbosity(value)?,
            "helium_durability" => self.durability = durability(value)?,
            name if name.starts_with("helium_") => {
                return Err(Error::invalid(format!(
                    "unknown key '{name}' (value '{}') in the extension's configuration",
                    value.text
                )));
            }
            name => self.add_volume(name, value)?,
        }
        Ok(())
    }

    fn add_volume(&mut self, name: &str, value: Item<'_>) -> Result<()> {
        if name.is_empty() || name.contains('/') {
            return Err(Error::invalid(format!(
                "'{name}' cannot name a volume: a name is not empty and has no slash"
            )));
        }
        if self.volumes.iter().any(|volume| volume.name == name) {
            return Err(Error::invalid(format!("volume {name} is configured twice")));
        }
        if value.kind != Kind::Struct {
            return Err(Error::invalid(format!(
                "volume {name}: its configuration belongs in brackets, as in \
                 {name}=[helium_devices=[\"he://./path\"]], not '{}'",
                value.text
            )));
        }
        let volume = read_volume(name, value.text)?;
        self.volumes.push(volume);
        Ok(())
    }
}

fn verbosity(value: Item<'_>) -> Result<Verbosity> {
    // WiredTiger's own configuration of the kind also takes a boolean.
    match (value.as_number(), value.as_bool()) {
        (Some(2), _) => Ok(Verbosity::Operations),
        (_, Some(true)) => Ok(Verbosity::Objects),
        (_, Some(false)) => Ok(Verbosity::Quiet),
        _ => Err(Error::invalid(format!(
            "helium_verbose is 0, 1 or 2, not '{}'",
            value.text
        ))),
    }
}

fn durability(value: Item<'_>) -> Result<Durability> {
    match value.text {
        "sync" => Ok(Durability::Synced),
        "buffered" => Ok(Durability::Buffered),
        other => Err(Error::invalid(format!(
            "helium_durability is \"sync\" or \"buffered\", not '{other}'"
        ))),
    }
}

fn read_volume(name: &str, text: &str) -> Result<VolumeConfig> {
    let mut options = VolumeOptions::default();
    // A volume's ids belong to one connection's transactions.
    options.exclusive = true;
    let mut url = None;
    for pair in Pairs::new(text) {
        let (key, value) = pair.map_err(|error| error.context(format!("volume {name}")))?;
        match key.text {
            "helium_devices" => url = Some(devices(name, value)?),
            "helium_o_volume_truncate" => options.truncate = boolean(name, key, value)?,
            "helium_read_only" => options.read_only = boolean(name, key, value)?,
            "helium_env_read_cache_size" | "helium_read_cache" => {
                options.read_cache_bytes = size(name, key, value)?;
            }
            "helium_env_write_cache_size" | "helium_write_cache" => {
                options.write_cache_bytes = size(name, key, value)?;
            }
            "helium_volume_limit" => options.limit_bytes = Some(size(name, key, value)?),
            "helium_version_budget" => options.version_budget_bytes = size(name, key, value)?,
            unknown => {
                return Err(Error::invalid(format!(
                    "volume {name}: unknown key '{unknown}' (value '{}')",
                    value.text
                )));
            }
        }
    }
    let url = url
        .ok_or_else(|| Error::invalid(format!("volume {name}: helium_devices names no device")))?;
    Ok(VolumeConfig {
        name: name.to_owned(),
        url,
        options,
    })
}

fn boolean(volume: &str, key: Item<'_>, value: Item<'_>) -> Result<bool> {
    value.as_bool().ok_or_else(|| {
        Error::invalid(format!(
            "volume {volume}: {} is true or false, not '{}'",
            key.text, value.text
        ))
    })
}

fn size(volume: &str, key: Item<'_>, value: Item<'_>) -> Result<u64> {
    value.as_number().ok_or_else(|| {
        Error::invalid(format!(
            "volume {volume}: {} is a number of bytes like 64MB, not '{}'",
            key.text, value.text
        ))
    })
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
        Kind::String | Kind::Word if !value.text.is_empty() => Ok(local(value.text).into_owned()),
        Kind::Struct => {
            let mut url = String::new();
            for pair in Pairs::new(value.text) {
                let (device, no_value) = pair?;
                if device.text.is_empty() || no_value.kind != Kind::Bool {
                    return Err(complaint("is a list of quoted strings"));
                }
                add_device(&mut url, &local(device.text))
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

/// A URL of local devices, however it was written: a path alone is one too.
fn local(device: &str) -> Cow<'_, str> {
    match device.strip_prefix("he://") {
        Some(path) if path.starts_with('/') => Cow::Owned(format!("{LOCAL}{path}")),
        None if !device.contains("://") => Cow::Owned(format!("{LOCAL}{device}")),
        _ => Cow::Borrowed(device),
    }
}
