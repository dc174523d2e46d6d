//! `helium salvage`.

use heliumdb::{
    VolumeId,
    upkeep::{Salvage as Source, SalvageReport, Unresolved},
};
use serde_json::{Value, json};

use super::{
    Consent,
    copying::{self, Half, Steps},
};
use crate::{
    failure::Result,
    output::{Column, Output, figures, table},
    served, target, text,
    volume::{self, Access},
};

const COPIED_WHILE_OPEN: &str = "It was copied while a program had it open for writing, or after that program was killed: whether \
     anything is missing in it, nobody can tell.\n";

const UNFINISHED_COPY: &str =
    "It is itself a copy that was not finished: what it never got is missing.\n";

/// Arguments of `helium salvage`.
#[derive(Debug, clap::Args)]
pub struct Salvage {
    /// The damaged volume, which is only read; devices that are lost are left out
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The volume that what is left goes to; it is made if it is not there
    #[arg(required_unless_present = "lost", value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    target: Option<String>,
    /// Take items of transactions that are not whole any more
    #[arg(long)]
    partial: bool,
    /// Take items of which it is not certain that they were not deleted
    #[arg(long)]
    doubtful: bool,
    /// Take transactions over several volumes of which nothing says whether they committed
    #[arg(long)]
    unresolved: bool,
    /// Another volume, damaged or not, that took part in transactions with this one
    #[arg(long, value_name = "VOLUME", value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    decider: Vec<String>,
    /// Copy nothing: VOLUME, which is sound, forgets what it keeps for another one, of this id, that
    /// is lost for ever and took part in transactions with it
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["target", "partial", "doubtful", "unresolved", "decider"]
    )]
    lost: Vec<VolumeId>,
    #[command(flatten)]
    consent: Consent,
}

impl Salvage {
    /// Copies what is left, or forgets what is kept for others.
    pub fn run(mut self, output: Output) -> Result<()> {
        match self.target.take() {
            Some(target) => self.copy(&target, output),
            None => self.forget(output),
        }
    }

    fn copy(self, target: &str, output: Output) -> Result<()> {
        for named in self.decider.iter().chain([&self.volume]) {
            served::refuse(named)?;
        }
        target::refuse_output_on(&self.volume)?;
        let unresolved = match self.unresolved {
            true => Unresolved::Keep,
            false => Unresolved::Drop,
        };
        let mut source = Source::open(&volume::url(&self.volume))?
            .partial_batches(self.partial)
            .doubtful_items(self.doubtful)
            .unresolved(unresolved);
        for decider in &self.decider {
            source = source.decider(&volume::url(decider))?;
        }
        copying::into_new(&self.volume, target, Half::Stays, |made| {
            let mut steps = Steps::default();
            let copied = source.run(made, &mut |step| steps.at(step));
            drop(steps);
            let report = copied.map_err(|why| copying::explain(why, target, Half::Stays))?;
            output.print(&to_json(&report), || to_text(&report))
        })
    }

    fn forget(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Write, |open| {
            let ids: Vec<String> = self.lost.iter().map(VolumeId::to_string).collect();
            self.consent.ask(&format!(
                "Forget what became of transactions with {}?",
                ids.join(", ")
            ))?;
            let forgotten = open.forget_lost(&self.lost)?;
            output.print(&json!({"forgotten": forgotten}), || {
                let decisions = text::things(forgotten, "decision");
                format!("{decisions} forgotten.")
            })
        })
    }
}

/// What is lost, by what programs and people call it.
fn losses(report: &SalvageReport) -> [(&'static str, &'static str, u64); 10] {
    [
        (
            "missing_devices",
            "devices that are missing",
            report.missing_devices,
        ),
        (
            "lost_segments",
            "segments without a header",
            report.lost_segments,
        ),
        (
            "unreadable_bytes",
            "bytes that could not be read",
            report.unreadable_bytes,
        ),
        ("gaps", "gaps in the log", report.gaps),
        (
            "gap_bytes",
            "bytes of those that are there",
            report.gap_bytes,
        ),
        ("damaged_frames", "damaged frames", report.damaged_frames),
        (
            "broken_batches",
            "transactions that are not whole",
            report.broken_batches,
        ),
        (
            "dropped_items",
            "items of those, left out",
            report.dropped_items,
        ),
        (
            "unresolved_batches",
            "transactions without an outcome",
            report.unresolved_batches,
        ),
        (
            "lost_datastores",
            "datastores for which there is no place",
            report.lost_datastores,
        ),
    ]
}

fn to_json(report: &SalvageReport) -> Value {
    let datastores: Value = report
        .datastores
        .iter()
        .map(|one| {
            json!({
                "name": text::to_json(&one.name),
                "renamed": one.renamed,
                "items": one.items,
                "lost_items": one.lost_items,
            })
        })
        .collect();
    let mut json = json!({
        "lossless": report.is_lossless(),
        "copied_while_open": report.copied_while_open,
        "unfinished_copy": report.unfinished_copy,
        "items": report.items,
        "bytes": report.bytes,
        "datastores": datastores,
    });
    for (name, _, count) in losses(report) {
        json[name] = count.into();
    }
    json
}

fn to_text(report: &SalvageReport) -> String {
    let columns = [
        Column::Left("DATASTORE"),
        Column::Right("ITEMS"),
        Column::Right("LOST"),
        Column::Left("NAME"),
    ];
    let rows = report.datastores.iter().map(|one| {
        let name = if one.renamed {
            "made up: its own is lost"
        } else {
            "its own"
        };
        vec![
            text::shown(&one.name),
            text::count(one.items),
            text::count(one.lost_items),
            name.to_owned(),
        ]
    });
    let datastores = table(&columns, rows);
    if report.is_lossless() {
        return format!("{datastores}\nNothing is lost.");
    }
    let lost = losses(report)
        .into_iter()
        .filter(|(_, _, count)| *count > 0);
    let lost: Vec<_> = lost
        .map(|(_, what, count)| (what, text::count(count)))
        .collect();
    let mut text = format!("{datastores}\n");
    if !lost.is_empty() {
        text += &figures(&lost);
    }
    if report.copied_while_open {
        text += COPIED_WHILE_OPEN;
    }
    if report.unfinished_copy {
        text += UNFINISHED_COPY;
    }
    text
}
