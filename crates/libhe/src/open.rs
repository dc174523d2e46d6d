//! `he_open` and the other calls that open, name, empty and remove datastores.
//!
//! Invariant: a call that fails has changed nothing, and of several reasons to fail the first
//! one in the documented order is told.

use std::{borrow::Cow, sync::Arc, thread, time::Duration};

use crate::{
    code::{Code, During, Result, is_access_refused, of},
    datastore::{DatastoreHandle, while_writing},
    env::Env,
    flags::Flags,
    handle::{self, Entry, Number, Object},
    limits::{DATASTORES_MAX, KEY_BYTES_MAX},
    store::{self, ErrorKind, Opening, Properties},
    volumes::{self, OpenVolume, Users},
};

/// How long to wait for calls on handles that were closed already.
const LETTING_GO_ATTEMPTS: usize = 1000;
const LETTING_GO_PAUSE: Duration = Duration::from_millis(1);

/// Opens a datastore, and its volume if need be.
pub fn open(url: &[u8], name: &[u8], flags: Flags, env: &Env) -> Result<Number> {
    check_name(name)?;
    check_length(url)?;
    if flags.has(Flags::READONLY) && flags.has(Flags::TRUNCATE | Flags::VOLUME_TRUNCATE) {
        return Err(Code::ARGUMENTS);
    }
    let url = &*check_url(url)?;
    // Nothing would be left to open: nothing is truncated.
    if flags.has(Flags::VOLUME_TRUNCATE) && !flags.has(Flags::CREATE) {
        return Err(if is_used(url)? {
            Code::VOLUME_IN_USE
        } else {
            Code::DATASTORE_NOT_FOUND
        });
    }
    for _ in 0..LETTING_GO_ATTEMPTS {
        let (volume, is_new) = volumes::open(url, || open_volume(url, flags, env))?;
        let mut users = volume.users();
        let found = find_or_check(&volume, &users, name, flags, is_new)?;
        let is_in_the_way = flags.has(Flags::VOLUME_TRUNCATE)
            || volume.store.is_read_only() && !flags.has(Flags::READONLY);
        if is_in_the_way && !is_new {
            check_unused(&users, flags)?;
            // Only calls on handles that were closed are under way, or one that looks at the
            // names: when they are over, the volume closes and can be opened as it is wanted.
            drop((found, users));
            volume.release()?;
            thread::sleep(LETTING_GO_PAUSE);
            continue;
        }
        if is_new && flags.has(Flags::CLEAN) && !volume.store.is_read_only() {
            volume.store.clean().map_err(while_writing)?;
        }
        let datastore = sit_down(&volume, &mut users, found, name, flags)?;
        drop(users);
        return handle::insert(Object::Datastore(datastore));
    }
    Err(Code::VOLUME_IN_USE)
}

fn is_used(url: &str) -> Result<bool> {
    let Some(volume) = volumes::find(url)? else {
        return Ok(false);
    };
    let is_used = !volume.users().is_empty();
    volume.release()?;
    Ok(is_used)
}

fn check_unused(users: &Users, flags: Flags) -> Result<()> {
    match users.is_empty() {
        true => Ok(()),
        false if flags.has(Flags::VOLUME_TRUNCATE) => Err(Code::VOLUME_IN_USE),
        false => Err(Code::READ_ONLY_DATASTORE),
    }
}

fn open_volume(url: &str, flags: Flags, env: &Env) -> Result<store::Volume> {
    let mut opening = Opening {
        create: flags.has(Flags::VOLUME_CREATE),
        truncate: flags.has(Flags::VOLUME_TRUNCATE),
        read_only: false,
        no_trim: flags.has(Flags::VOLUME_NOTRIM),
        scan: flags.has(Flags::SCAN),
    };
    let opened = match store::Volume::open(url, opening, env) {
        Err(why) if flags.has(Flags::READONLY) && is_access_refused(&why) => {
            opening.read_only = true;
            store::Volume::open(url, opening, env)
        }
        opened => opened,
    };
    opened.map_err(|why| of(&why, During::Open))
}

/// The datastore, if it is there; an error if it, or its users, are not as the flags want it.
fn find_or_check(
    volume: &OpenVolume,
    users: &Users,
    name: &[u8],
    flags: Flags,
    is_new: bool,
) -> Result<Option<store::Datastore>> {
    let found = match volume.store.datastore(name) {
        Ok(datastore) => Some(datastore),
        Err(why) if why.kind() == ErrorKind::DatastoreNotFound => None,
        Err(why) => return Err(of(&why, During::Read)),
    };
    let Some(datastore) = &found else {
        if flags.has(Flags::CREATE) {
            return Ok(None);
        }
        return Err(Code::DATASTORE_NOT_FOUND);
    };
    if flags.has(Flags::ERR_EXISTS) {
        return Err(Code::DATASTORE_EXISTS);
    }
    let Some(other) = users.of(datastore.id()) else {
        return Ok(found);
    };
    if flags.has(Flags::TRUNCATE) {
        return Err(Code::DATASTORE_IN_USE);
    }
    if flags.has(Flags::VOLUME_TRUNCATE) && !is_new {
        return Err(Code::VOLUME_IN_USE);
    }
    if other.read_only != flags.has(Flags::READONLY) {
        return Err(Code::READ_ONLY_DATASTORE);
    }
    Ok(found)
}

/// Makes or empties the datastore as the flags want it, and counts a handle of it.
fn sit_down(
    volume: &Arc<OpenVolume>,
    users: &mut Users,
    found: Option<store::Datastore>,
    name: &[u8],
    flags: Flags,
) -> Result<DatastoreHandle> {
    let properties = Properties {
        unordered: flags.has(Flags::NOSORT),
        compressed: flags.has(Flags::COMPRESS),
    };
    let datastore = match found {
        None => {
            if volume.store.names().len() >= DATASTORES_MAX {
                return Err(Code::VOLUME_FULL);
            }
            let made = volume.store.create_datastore(name, properties);
            made.map_err(while_writing)?
        }
        Some(datastore) if flags.has(Flags::TRUNCATE) => {
            let truncated = volume.store.truncate_as(&datastore, properties);
            truncated.map_err(while_writing)?
        }
        Some(datastore) => datastore,
    };
    let read_only = flags.has(Flags::READONLY);
    let seat = users.sit(volume, datastore.id(), read_only);
    Ok(DatastoreHandle::new(datastore, seat, read_only))
}

/// Closes a handle of a datastore, and its volume if it was the last. What was written is
/// durable when the datastore's last handle is closed.
pub fn close_datastore(number: Number) -> Result<()> {
    let entry = handle::take(number, |object| object.datastore().is_ok())?;
    let datastore = entry.datastore()?;
    datastore.end_children();
    let volume = datastore.seat.volume.clone();
    let was_last = datastore.seat.leave();
    drop(entry);
    let flushed = if was_last && !volume.store.is_read_only() {
        volume.store.flush().map_err(while_writing)
    } else {
        Ok(())
    };
    flushed.and(volume.release())
}

/// Removes the datastore of a handle, which is over then.
pub fn remove(number: Number) -> Result<()> {
    let found = handle::find(number)?;
    let datastore = found.datastore()?;
    datastore.check_writable()?;
    let volume = datastore.seat.volume.clone();
    let id = datastore.store.id();
    let mut users = volume.users();
    if users.of(id).is_none_or(|of_it| of_it.handles > 1) {
        return Err(Code::DATASTORE_IN_USE);
    }
    volume.store.remove(id).map_err(while_writing)?;
    drop(found);
    if let Ok(entry) = handle::take(number, |object| object.datastore().is_ok()) {
        finish_removal(&entry, &mut users)?;
    }
    drop(users);
    volume.release()
}

fn finish_removal(entry: &Entry, users: &mut Users) -> Result<()> {
    let datastore = entry.datastore()?;
    datastore.end_children();
    datastore.seat.leave_with(users);
    Ok(())
}

/// Gives the datastore of a handle another name.
pub fn rename(number: Number, name: &[u8]) -> Result<()> {
    check_name(name)?;
    let found = handle::find(number)?;
    let datastore = found.datastore()?;
    datastore.check_writable()?;
    let volume = &datastore.seat.volume;
    let renamed = volume.store.rename(datastore.store.id(), name);
    renamed.map_err(while_writing)
}

/// Removes all items of the datastore of a handle.
pub fn truncate(datastore: &DatastoreHandle) -> Result<()> {
    datastore.check_writable()?;
    let volume = &datastore.seat.volume;
    let truncated = volume.store.truncate(&datastore.store);
    truncated.map_err(while_writing)
}

/// The names of all datastores of a volume, which this process may have open or not.
pub fn names(url: &[u8]) -> Result<Vec<Vec<u8>>> {
    check_length(url)?;
    let url = &*check_url(url)?;
    let (volume, _) = volumes::open(url, || {
        let opening = Opening {
            read_only: true,
            ..Opening::default()
        };
        store::Volume::open(url, opening, &Env::default()).map_err(|why| of(&why, During::Open))
    })?;
    let names = volume.store.names();
    volume.release()?;
    Ok(names)
}

/// Wipes the volume that a URL names, which no one may use.
pub fn remove_volume(url: &[u8]) -> Result<()> {
    check_length(url)?;
    let url = &*check_url(url)?;
    if volumes::find(url)?.is_some() {
        return Err(Code::VOLUME_IN_USE);
    }
    store::destroy(url).map_err(|why| of(&why, During::Open))
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return Err(Code::ARGUMENTS);
    }
    check_length(name)
}

fn check_length(text: &[u8]) -> Result<()> {
    if text.len() > KEY_BYTES_MAX {
        Err(Code::ARGUMENTS)
    } else {
        Ok(())
    }
}

fn check_url(url: &[u8]) -> Result<Cow<'_, str>> {
    if !(url.starts_with(b"he://") || url.starts_with(b"HE://")) {
        return Err(Code::ARGUMENTS);
    }
    Ok(heliumdb::device::url_text(url))
}
