//! `helium verify`.

use std::ffi::OsString;

use heliumdb::{
    DatastoreId, Volume,
    upkeep::{Damage, VerifyReport},
};
use serde_json::{Value, json};

use super::copying::Steps;
use crate::{
    failure::{Code, Failure, Result},
    output::{Column, Output, table},
    text,
    volume::{self, Access},
};

/// Longest part of a key that is shown to people.
const KEY_BYTES_SHOWN: usize = 40;

/// Arguments of `helium verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// Only these datastores
    datastores: Vec<OsString>,
}

impl Verify {
    /// Reads every item: its place, checksum and owner. Damage of one item does not keep the
    /// others from being checked.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Read, |open| {
            let _publisher = volume::publish(open, "helium verify");
            let mut steps = Steps::default();
            let checked = if self.datastores.is_empty() {
                open.verify(&mut |step| steps.at(step))
            } else {
                let chosen = volume::chosen(open, &self.datastores)?;
                let ids: Vec<DatastoreId> = chosen.iter().map(|one| one.id()).collect();
                open.verify_datastores(&ids, &mut |step| steps.at(step))
            };
            drop(steps);
            let report = checked.map_err(Failure::from)?;
            self.report(open, &report, output)
        })
    }

    fn report(&self, open: &Volume, report: &VerifyReport, output: Output) -> Result<()> {
        let damage = open.damage();
        let listed: Value = damage
            .iter()
            .map(|one| {
                json!({
                    "datastore": one.datastore.map(|id| text::to_json(&name(open, id))),
                    "key": text::to_json(&one.key),
                    "error": one.error.to_string(),
                })
            })
            .collect();
        let json = json!({
            "items": report.items,
            "records": report.records,
            "bytes": report.bytes,
            "damaged": report.damaged,
            "damage": listed,
        });
        output.print(&json, || to_text(open, report, &damage))?;
        match report.damaged {
            0 => Ok(()),
            damaged => Err(Failure::new(
                Code::Damaged,
                format!("{}: {} damaged", self.volume, text::things(damaged, "item")),
            )
            .advise(
                "The other items can still be read and dumped; restore these from a backup, or \
                 `helium salvage VOLUME NEW` copies what is left.",
            )),
        }
    }
}

fn to_text(open: &Volume, report: &VerifyReport, damage: &[Damage]) -> String {
    let sound = format!(
        "{} and {} of the volume's own, {}: {}",
        text::things(report.items, "item"),
        text::things(report.records, "record"),
        text::size(report.bytes),
        match report.damaged {
            0 => "all sound".to_owned(),
            damaged => format!("sound; {} damaged", text::things(damaged, "item")),
        }
    );
    if damage.is_empty() {
        return sound;
    }
    let columns = [
        Column::Left("DATASTORE"),
        Column::Left("KEY"),
        Column::Left("DAMAGE"),
    ];
    let rows = damage.iter().map(|one| {
        let datastore = one.datastore.map(|id| text::shown(&name(open, id)));
        let key = one.key.get(..KEY_BYTES_SHOWN).map_or_else(
            || text::shown(&one.key),
            |start| format!("{}...", text::shown(start)),
        );
        vec![
            datastore.unwrap_or_else(|| "(the volume's own)".to_owned()),
            key,
            one.error.to_string(),
        ]
    });
    format!("{}\n{sound}", table(&columns, rows))
}

fn name(open: &Volume, id: DatastoreId) -> Vec<u8> {
    let info = open.datastore_by_id(id).and_then(|found| found.info());
    info.map_or_else(|_| id.0.to_string().into_bytes(), |info| info.name)
}
