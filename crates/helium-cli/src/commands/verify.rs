//! `helium verify`.

use std::ffi::OsString;

use heliumdb::{Datastore, Volume};
use serde_json::{Value, json};

use crate::{
    failure::{Code, Failure, Result},
    interrupt,
    output::{Column, Output, table},
    progress::Progress,
    text,
    volume::{self, Access},
};

/// Arguments of `helium verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The volume
    volume: String,
    /// Only these datastores
    datastores: Vec<OsString>,
}

/// What became of one datastore.
struct Checked {
    name: Vec<u8>,
    items: u64,
    bytes: u64,
    damage: Option<String>,
}

impl Verify {
    /// Reads every item: its order, place, checksum and owner. Damage in one datastore does not
    /// keep the others from being checked.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Read, |open| {
            let _publisher = volume::publish(open, "helium verify");
            let mut checked = Vec::new();
            for datastore in self.chosen(open)? {
                checked.push(check(&datastore)?);
            }
            report(&checked, output)?;
            match checked.iter().filter(|one| one.damage.is_some()).count() {
                0 => Ok(()),
                damaged => Err(Failure::new(
                    Code::Damaged,
                    format!("{}: {damaged} of {} datastores are damaged", self.volume, checked.len()),
                )
                .advise("What can be read can still be dumped or copied; restore the rest from a backup.")),
            }
        })
    }

    fn chosen(&self, open: &Volume) -> Result<Vec<Datastore>> {
        if self.datastores.is_empty() {
            let all = open.datastores();
            return all
                .iter()
                .map(|info| Ok(open.datastore_by_id(info.id)?))
                .collect();
        }
        self.datastores
            .iter()
            .map(|name| volume::datastore(open, name))
            .collect()
    }
}

fn check(datastore: &Datastore) -> Result<Checked> {
    let name = datastore.info()?.name;
    let progress = Progress::items(&format!("checking {}", text::shown(&name)), datastore.len());
    let mut items = 0;
    let found = datastore.verify(&mut |done| {
        progress.at(done);
        items = done;
        if interrupt::asked() {
            // Nothing was changed: there is nothing to put in order.
            std::process::exit(Code::Interrupted as i32);
        }
    });
    Ok(match found {
        Ok(report) => Checked {
            name,
            items: report.items,
            bytes: report.bytes,
            damage: None,
        },
        Err(why) => {
            let why = Failure::from(why);
            if why.code() != Code::Damaged {
                return Err(why);
            }
            Checked {
                name,
                items,
                bytes: 0,
                damage: Some(why.to_string()),
            }
        }
    })
}

fn report(checked: &[Checked], output: Output) -> Result<()> {
    let json: Value = checked
        .iter()
        .map(|one| {
            json!({
                "datastore": text::to_json(&one.name),
                "items": one.items,
                "bytes": one.bytes,
                "damage": one.damage,
            })
        })
        .collect();
    output.print(&json, || {
        let columns = [
            Column::Left("DATASTORE"),
            Column::Right("ITEMS"),
            Column::Right("SIZE"),
            Column::Left("STATE"),
        ];
        let rows = checked.iter().map(|one| {
            let state = one.damage.as_deref().unwrap_or("sound");
            vec![
                text::shown(&one.name),
                text::count(one.items),
                text::size(one.bytes),
                state.to_owned(),
            ]
        });
        if checked.is_empty() {
            "no datastores".to_owned()
        } else {
            table(&columns, rows)
        }
    })
}
