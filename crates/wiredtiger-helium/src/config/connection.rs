//! The extension's configuration: the volumes, and what holds for all of them.

use super::{Item, Kind, volume};
use crate::error::{Error, Result};
use heliumdb::{Durability, VolumeOptions};
use std::path::PathBuf;

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
    /// Clean whatever gives room once it is open.
    pub clean: bool,
    /// `helium_o_volume_create`: whether it is made if it is not there.
    pub create: Option<bool>,
}

impl VolumeConfig {
    /// Whether it is gone with the connection, whatever it holds.
    fn is_memory(&self) -> bool {
        let paths = heliumdb::device::paths(&self.url).unwrap_or_default();
        let is_memory = |path: &PathBuf| path.as_os_str().as_encoded_bytes().starts_with(b"_");
        !paths.is_empty() && paths.iter().all(is_memory)
    }
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

    /// Says whether volumes that are not there are made. Of a database that was there before, what is not
    /// there is missing, unless the configuration says in so many words that it is new.
    pub fn of_database(mut self, is_new: bool) -> Self {
        for volume in &mut self.volumes {
            volume.options.create = volume.create.unwrap_or(is_new) || volume.is_memory();
        }
        self
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
        let volume = volume::read(name, value.text)?;
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
