//! `helium create`.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::Path,
};

use heliumdb::{DatastoreOptions, ErrorKind, VolumeOptions};
use serde_json::json;

use super::Consent;
use crate::{
    failure::{self, Code, Failure, Result},
    fresh::Fresh,
    output::Output,
    served, text,
    volume::{self, Access},
    writing::{self, Place},
};

/// Arguments of `helium create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The volume; it is made if it is not there
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// Datastores to make in it
    datastores: Vec<OsString>,
    /// Compress the values of these datastores where that makes them shorter
    #[arg(long, requires = "datastores")]
    compress: bool,
    /// Keep no order in these datastores: less memory for long keys, and scans of everything only
    #[arg(long, requires = "datastores")]
    unordered: bool,
    /// Attributes to keep with these datastores: any text, which helium itself does not look at
    #[arg(long, value_name = "TEXT", requires = "datastores")]
    attributes: Option<OsString>,
    /// Make each new file of the volume this large, for good; without it, files grow
    #[arg(long, value_parser = text::parse_size)]
    size: Option<u64>,
    /// Make a new volume of it, whatever it holds
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Create {
    /// Makes the volume and the datastores.
    pub fn run(self, output: Output) -> Result<()> {
        if served::is_served(&self.volume) {
            return self.make_served(output);
        }
        let mut options = Access::Create.options();
        options.truncate = self.overwrite;
        options.remake_copy = true;
        if self.overwrite {
            let question = format!("Everything on {} will be lost. Go on?", self.volume);
            self.consent.ask(&question)?;
        } else if self.datastores.is_empty() {
            self.refuse_existing()?;
        }
        let fresh = Fresh::of(&self.volume);
        if let Some(bytes) = self.size {
            allot(&self.volume, bytes).inspect_err(|_| fresh.remove_blank())?;
        }
        let made = self.make_all(&options, output);
        made.inspect_err(|_| fresh.remove_blank())
    }

    fn make_all(&self, options: &VolumeOptions, output: Output) -> Result<()> {
        volume::with_options(&self.volume, options, |open| {
            self.make_in(&Place::Here(open), output)
        })
    }

    /// Datastores in a volume that a server has: the volume is there.
    fn make_served(&self, output: Output) -> Result<()> {
        if self.overwrite || self.size.is_some() {
            served::refuse(&self.volume)?;
        }
        writing::with(&self.volume, |to| match self.datastores.is_empty() {
            true => Err(self.is_there()),
            false => self.make_in(&to, output),
        })
    }

    fn make_in(&self, to: &Place<'_>, output: Output) -> Result<()> {
        for name in &self.datastores {
            self.make(to, name)?;
        }
        to.flush()?;
        let names: Vec<_> = self
            .datastores
            .iter()
            .map(|name| text::to_json(name.as_bytes()))
            .collect();
        let result = json!({"volume": to.url(), "id": to.id(), "datastores": names});
        output.print(&result, String::new)
    }

    fn make(&self, to: &Place<'_>, name: &OsStr) -> Result<()> {
        let mut options = DatastoreOptions::default();
        options.error_if_exists = true;
        options.compress = self.compress;
        options.unordered = self.unordered;
        if let Some(attributes) = &self.attributes {
            options.attributes = attributes.as_bytes().to_vec();
        }
        let made = to.make(name.as_bytes(), &options);
        made.map(drop).map_err(|why| {
            let exists = why.kind() == ErrorKind::DatastoreExists;
            let failure = Failure::from(why);
            match exists {
                true => failure.advise("`helium truncate` empties it, `helium drop` removes it."),
                false => failure,
            }
        })
    }

    /// Without datastores to make, a volume that is there already is none to make.
    fn refuse_existing(&self) -> Result<()> {
        match volume::with(&self.volume, Access::Read, |_| Ok(())) {
            Ok(()) => Err(self.is_there()),
            Err(why) if why.code() == Code::InUse => Err(why),
            Err(_) => Ok(()),
        }
    }

    fn is_there(&self) -> Failure {
        let why = format!("{}: there is a volume already", self.volume);
        Failure::new(Code::Exists, why).advise(
            "Name datastores to make in it; or use --overwrite, which destroys what it holds.",
        )
    }
}

/// Makes the files that are new, or empty, this large.
fn allot(volume: &str, bytes: u64) -> Result<()> {
    for path in heliumdb::device::paths(&volume::url(volume))? {
        if path.as_os_str().as_bytes().starts_with(b"_") {
            // Memory: its name says how large it is.
            continue;
        }
        let complain = |why| failure::system(format_args!("cannot make {}", path.display()), why);
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(has_a_size(&path));
        }
        // No link is followed to a place where nothing is yet.
        let file = match OpenOptions::new().write(true).open(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path),
            opened => opened,
        };
        let file = file.map_err(complain)?;
        let found = file.metadata().map_err(complain)?;
        if found.len() > 0 || !found.is_file() {
            return Err(has_a_size(&path));
        }
        file.set_len(bytes).map_err(complain)?;
    }
    Ok(())
}

fn has_a_size(path: &Path) -> Failure {
    let what = format!("{} has a size already", path.display());
    Failure::new(Code::Exists, what)
        .advise("--size is for files that are not there yet, or are empty.")
}
