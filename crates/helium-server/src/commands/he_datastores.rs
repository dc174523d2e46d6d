//! Volumes and their datastores: which there are, making and removing them, and what is done to a volume as a whole.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use heliumdb::{
    Datastore, DatastoreInfo, DatastoreOptions, Volume, VolumeOptions, device, upkeep::BackupFrom,
};

use super::{Call, Kind, connection};
use crate::{
    moment,
    refusal::{Outcome, SYNTAX, said},
    session,
    volumes::{Place, Served},
};

/// What is done to all of a volume takes a right that no pattern but `*` gives: no datastore is called so by chance.
const ALL: &[u8] = b"*";

/// HE.VOLUMES
pub fn volumes(call: &mut Call<'_>) -> Outcome {
    let volumes = &call.shared.volumes;
    call.replies.array(volumes.len());
    for served in volumes {
        call.replies.bulk(served.name.as_bytes());
    }
    Ok(())
}

/// `HE.VOLUME [name]`: goes to a volume, to where connections begin in it; its name, and its id.
pub fn volume(call: &mut Call<'_>) -> Outcome {
    let served = match call.rest(1) {
        [] => call.session.place.served.clone(),
        [name] => served_as(call, name)?,
        _ => return Err(SYNTAX),
    };
    check_transaction(call, &served)?;
    let (name, id) = (served.name.clone(), served.volume.id().to_string());
    if call.args.len() > 1 {
        connection::go_to(call, Place::new(served, Bytes::from_static(b"0")));
    }
    call.replies.array(2);
    call.replies.bulk(name.as_bytes());
    call.replies.bulk(id.as_bytes());
    Ok(())
}

fn served_as(call: &Call<'_>, name: &[u8]) -> Outcome<Arc<Served>> {
    let mut volumes = call.shared.volumes.iter();
    let found = volumes.find(|served| served.name.as_bytes() == name);
    found.cloned().ok_or(said(
        "NOVOLUME no volume of that name is served: HE.VOLUMES lists them",
    ))
}

fn check_transaction(call: &Call<'_>, served: &Served) -> Outcome {
    match call.session.running.is_some() && served.name != call.session.place.served.name {
        true => Err(said(
            "ERR a transaction is of one volume: HE.COMMIT or HE.ROLLBACK first",
        )),
        false => Ok(()),
    }
}

/// `HE.DATASTORES [DETAILS]`: names; or name, id, items, whether it compresses, whether it has no order, attributes.
pub fn datastores(call: &mut Call<'_>) -> Outcome {
    let there = match session::moment(&call.session.running) {
        Some(moment) => moment.datastores.clone(),
        None => moment::datastores(&call.session.place.served.volume)?,
    };
    let is_seen = |info: &DatastoreInfo| {
        let kinds = [Kind::Read, Kind::Write, Kind::Admin];
        kinds.iter().any(|&kind| call.session.may(kind, &info.name))
    };
    let all: Vec<_> = there.iter().filter(|one| is_seen(&one.0)).collect();
    match call.rest(1) {
        [] => {
            call.replies.array(all.len());
            all.iter().for_each(|one| call.replies.bulk(&one.0.name));
            Ok(())
        }
        [word] if word.eq_ignore_ascii_case(b"details") => details(call, &all),
        _ => Err(SYNTAX),
    }
}

fn details(call: &mut Call<'_>, all: &[&(DatastoreInfo, Datastore)]) -> Outcome {
    let start = call.replies.bytes.len();
    call.replies.array(all.len());
    for (info, datastore) in all {
        let items = datastore.len();
        call.replies.array(6);
        call.replies.bulk(&info.name);
        call.replies.integer(i64::from(info.id.0));
        call.replies
            .integer(i64::try_from(items).unwrap_or(i64::MAX));
        call.replies.integer(i64::from(info.compress));
        call.replies.integer(i64::from(info.unordered));
        call.replies.bulk(&info.attributes);
        call.check_reply(start)?;
    }
    Ok(())
}

/// `HE.USE datastore [VOLUME name]`
pub fn use_one(call: &mut Call<'_>) -> Outcome {
    let served = match call.rest(2) {
        [] => call.session.place.served.clone(),
        [word, name] if word.eq_ignore_ascii_case(b"volume") => served_as(call, name)?,
        _ => return Err(SYNTAX),
    };
    check_transaction(call, &served)?;
    let mut place = Place::kept(served, Bytes::copy_from_slice(&call.args[1]));
    if place
        .datastore(session::moment(&call.session.running))?
        .is_none()
    {
        return Err(said(
            "NODATASTORE the volume has no datastore of that name: HE.CREATE makes one",
        ));
    }
    connection::go_to(call, place);
    call.ok()
}

/// `HE.CREATE datastore [COMPRESS] [UNORDERED] [ATTRIBUTES bytes]`
pub fn create(call: &mut Call<'_>) -> Outcome {
    call.allow(Kind::Admin, &call.args[1])?;
    let mut options = DatastoreOptions::default();
    options.create = true;
    options.error_if_exists = true;
    let mut words = call.rest(2);
    while let [word, rest @ ..] = words {
        words = match (word.to_ascii_uppercase().as_slice(), rest) {
            (b"COMPRESS", _) => {
                options.compress = true;
                rest
            }
            (b"UNORDERED", _) => {
                options.unordered = true;
                rest
            }
            (b"ATTRIBUTES", [bytes, rest @ ..]) => {
                options.attributes = bytes.to_vec();
                rest
            }
            _ => return Err(SYNTAX),
        };
    }
    let served = call.session.place.served.clone();
    served.volume.open_datastore(&call.args[1], &options)?;
    served.change_catalog();
    call.ok()
}

/// HE.DROP datastore
pub fn drop_one(call: &mut Call<'_>) -> Outcome {
    let served = call.session.place.served.clone();
    let name = &call.args[1];
    call.allow(Kind::Admin, name)?;
    let gate = served.enter_alone();
    let id = served.volume.datastore(name)?.id();
    served.volume.drop_datastore(id)?;
    served.change_catalog();
    served.watches.touch_all(name);
    drop(gate);
    call.ok()
}

/// HE.RENAME datastore newname
pub fn rename(call: &mut Call<'_>) -> Outcome {
    let served = call.session.place.served.clone();
    let (name, new) = (&call.args[1], &call.args[2]);
    call.allow(Kind::Admin, name)?;
    call.allow(Kind::Admin, new)?;
    let gate = served.enter_alone();
    let id = served.volume.datastore(name)?.id();
    served.volume.rename_datastore(id, new)?;
    served.change_catalog();
    served.watches.touch_all(name);
    served.watches.touch_all(new);
    drop(gate);
    call.ok()
}

/// HE.CHECKPOINT
pub fn checkpoint(call: &mut Call<'_>) -> Outcome {
    call.allow(Kind::Admin, ALL)?;
    call.session.place.served.volume.checkpoint()?;
    call.ok()
}

/// HE.STATS
pub fn stats(call: &mut Call<'_>) -> Outcome {
    let metrics: Vec<_> = call.session.place.served.volume.stats().metrics().collect();
    call.replies.map(metrics.len());
    for metric in metrics {
        call.replies.bulk(metric.name.as_bytes());
        call.replies
            .integer(i64::try_from(metric.value).unwrap_or(i64::MAX));
    }
    Ok(())
}

/// HE.BACKUP name: of a file in the folder that the server was given for it.
pub fn backup(call: &mut Call<'_>) -> Outcome {
    call.allow(Kind::Admin, ALL)?;
    let Some(folder) = &call.shared.options.backups else {
        return Err(said(
            "ERR this server makes no backups: it was started without --backups FOLDER",
        ));
    };
    let name = std::str::from_utf8(&call.args[1]).ok();
    let name = name
        .filter(|name| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']))
        .ok_or(said(
            "ERR the name of a backup is that of a file in the server's folder for them, without a path",
        ))?;
    let path = folder.join(name);
    if path.symlink_metadata().is_ok() {
        return Err(said("EXISTS there is a file of that name already"));
    }
    let stopping = &call.shared.stopping;
    let mut go_on = |_: &heliumdb::upkeep::Progress| !stopping.load(Ordering::Relaxed);
    let made = copy(&call.session.place.served.volume, &path, &mut go_on);
    let items = match made {
        Ok(items) => items,
        Err(why) => {
            // Only a part: nothing would take it for a volume.
            let _ = fs::remove_file(&path);
            return Err(why.into());
        }
    };
    call.replies
        .simple(&format!("OK {items} items are in {name}"));
    Ok(())
}

fn copy(
    from: &Volume,
    path: &Path,
    go_on: &mut dyn FnMut(&heliumdb::upkeep::Progress) -> bool,
) -> heliumdb::Result<u64> {
    let mut options = VolumeOptions::default();
    options.receive_copy = true;
    // It is filled once and closed: it needs little memory.
    options.read_cache_bytes = 1 << 20;
    options.write_cache_bytes = 32 << 20;
    let url = format!("he://./{}", device::text_of(path));
    let target = Volume::open(&url, &options)?;
    let report = from.backup(BackupFrom::Newest, &target, go_on)?;
    target.close()?;
    Ok(report.items)
}
