//! `helium create`.

use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use heliumdb::ErrorKind;
use serde_json::json;

use super::Consent;
use crate::{
    failure::{Code, Failure, Result},
    output::Output,
    text,
    volume::{self, Access},
};

/// Arguments of `helium create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The volume; it is made if it is not there
    volume: String,
    /// Datastores to make in it
    datastores: Vec<OsString>,
    /// Make a new volume of it, whatever it holds
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Create {
    /// Makes the volume and the datastores.
    pub fn run(self, output: Output) -> Result<()> {
        let mut options = Access::Create.options();
        options.truncate = self.overwrite;
        if self.overwrite {
            let question = format!("Everything on {} will be lost. Go on?", self.volume);
            self.consent.ask(&question)?;
        } else if self.datastores.is_empty() {
            self.refuse_existing()?;
        }
        volume::with_options(&self.volume, &options, |open| {
            for name in &self.datastores {
                open.create_datastore(name.as_bytes(), b"").map_err(|why| {
                    let exists = why.kind() == ErrorKind::DatastoreExists;
                    let failure = Failure::from(why);
                    match exists {
                        true => failure
                            .advise("`helium truncate` empties it, `helium drop` removes it."),
                        false => failure,
                    }
                })?;
            }
            let names: Vec<_> = self
                .datastores
                .iter()
                .map(|name| text::to_json(name.as_bytes()))
                .collect();
            let result =
                json!({"volume": open.url(), "id": open.id().to_string(), "datastores": names});
            output.print(&result, String::new)
        })
    }

    /// Without datastores to make, a volume that is there already is none to make.
    fn refuse_existing(&self) -> Result<()> {
        match volume::with(&self.volume, Access::Read, |_| Ok(())) {
            Ok(()) => Err(Failure::new(
                Code::Exists,
                format!("{}: there is a volume already", self.volume),
            )
            .advise(
                "Name datastores to make in it; or use --overwrite, which destroys what it holds.",
            )),
            Err(why) if why.code() == Code::InUse => Err(why),
            Err(_) => Ok(()),
        }
    }
}
