//! From what the user calls a volume to an open one, and to sentences when it does not open.

use clap::builder::{OsStringValueParser, TypedValueParser};
use helium_activity::Publisher;
use heliumdb::{Datastore, DatastoreInfo, ErrorKind, Volume, VolumeOptions, device};
use std::{
    cell::RefCell,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::OnceLock,
};

use crate::{
    failure::{Code, Failure, Result},
    fresh::Fresh,
    interrupt,
    progress::Progress,
    served, target, text, words,
};

/// What is going to be done with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reading: several processes may do so at once.
    Read,
    /// Writing to a volume that is there.
    Write,
    /// Making it if it is not there.
    Create,
}

impl Access {
    /// The store's options for it.
    pub fn options(self) -> VolumeOptions {
        let mut options = VolumeOptions::default();
        options.create = self == Self::Create;
        options.read_only = self == Self::Read;
        let caches = CACHES.get().copied().unwrap_or_default();
        options.read_cache_bytes = caches.read_cache.unwrap_or(options.read_cache_bytes);
        options.write_cache_bytes = caches.write_cache.unwrap_or(options.write_cache_bytes);
        options
    }
}

/// Memory for the caches of a volume. Without them: the store's own sizes, as far as the machine has them.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Caches {
    /// Memory for items that are read, as in 64M; at most half of what the machine has available
    #[arg(long, global = true, value_name = "SIZE", value_parser = text::parse_size)]
    read_cache: Option<u64>,
    /// Memory for what is being written, as in 16M; at most a quarter of what the machine has available
    #[arg(long, global = true, value_name = "SIZE", value_parser = text::parse_size)]
    write_cache: Option<u64>,
}

static CACHES: OnceLock<Caches> = OnceLock::new();

/// Volumes that are opened from here on have caches of these sizes. Once.
pub fn set_caches(caches: Caches) {
    CACHES.get_or_init(|| caches);
}

/// What the user calls a volume, which may have bytes in it that are no text: they have escapes from here on.
pub fn name() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|name| device::url_text(name.as_bytes()).into_owned())
}

/// The URL of what the user calls a volume: a URL, or one or several paths.
pub fn url(volume: &str) -> String {
    if volume.contains("://") {
        return volume.to_owned();
    }
    // Behind `he://./` a leading underscore would mean memory.
    let paths = device::split_list(volume).into_iter();
    let paths = paths.map(|path| match path.starts_with('_') {
        true => format!("./{path}"),
        false => path.to_owned(),
    });
    format!("he://./{}", paths.collect::<Vec<_>>().join(","))
}

/// Opens `volume`, lets `work` use it, and closes it whatever comes of that.
pub fn with<R>(volume: &str, access: Access, work: impl FnOnce(&Volume) -> Result<R>) -> Result<R> {
    with_options(volume, &access.options(), work)
}

thread_local! {
    /// The volume that stays open from command to command, by the name that it has there.
    static KEPT: RefCell<Option<(String, Volume)>> = const { RefCell::new(None) };
}

/// For as long as it lives, a volume stays open.
pub struct Kept(());

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.take();
    }
}

/// Has commands of this thread that name `volume` so use the one that is open.
pub fn keep_open(volume: &str, open: &Volume) -> Kept {
    KEPT.set(Some((volume.to_owned(), open.clone())));
    Kept(())
}

fn kept(volume: &str) -> Option<Volume> {
    KEPT.with_borrow(|kept| {
        let (name, open) = kept.as_ref()?;
        (name == volume).then(|| open.clone())
    })
}

/// The datastores of a volume that stays open, as they are typed.
pub fn names_of_open(volume: &str) -> Vec<String> {
    let here = kept(volume).into_iter().flat_map(|open| open.datastores());
    let names = here
        .map(|info| info.name)
        .chain(served::names_of_kept(volume));
    names.map(|name| words::quoted(&name)).collect()
}

/// What a command may do with a volume that stays open.
fn check_kept(open: &Volume, options: &VolumeOptions) -> Result<()> {
    if options.truncate {
        return Err(Failure::new(
            Code::InUse,
            "the volume is open here, and cannot be made anew",
        ));
    }
    if open.options().read_only && !options.read_only {
        return Err(Failure::new(
            Code::NotAllowed,
            "the volume is open for reading only",
        ));
    }
    Ok(())
}

/// As [`with`], with options of the caller's own.
pub fn with_options<R>(
    volume: &str,
    options: &VolumeOptions,
    work: impl FnOnce(&Volume) -> Result<R>,
) -> Result<R> {
    if let Some(kept) = kept(volume) {
        check_kept(&kept, options)?;
        return work(&kept).map_err(|why| why.naming(volume));
    }
    let open = open(volume, options)?;
    // Someone may have asked just then.
    let worked = interrupt::check().and_then(|()| work(&open));
    let worked = worked.map_err(|why| why.naming(volume));
    let closed = {
        let _progress = Progress::waiting("closing the volume");
        open.close()
    };
    let result = worked?;
    closed?;
    Ok(result)
}

fn open(volume: &str, options: &VolumeOptions) -> Result<Volume> {
    served::refuse(volume)?;
    let _progress = Progress::waiting("opening the volume");
    target::refuse_output_on(volume)?;
    let fresh = Fresh::of(volume);
    // Of a volume that is being made a kill could leave a part.
    let stays = fresh.is_there() && !options.truncate;
    let _opening = stays.then(interrupt::opening);
    Volume::open(&url(volume), options).map_err(|why| {
        fresh.remove_blank();
        match why.kind() == ErrorKind::VolumeFull && !stays {
            true => no_room(why),
            false => explain(volume, options, why),
        }
    })
}

/// A new volume is full: there is nothing in it that could be removed.
pub fn no_room(why: heliumdb::Error) -> Failure {
    Failure::new(Code::Full, why.to_string())
        .advise("Name a place with more room, or free space on that file system.")
}

fn explain(volume: &str, options: &VolumeOptions, why: heliumdb::Error) -> Failure {
    let kind = why.kind();
    let failure = Failure::from(why).naming(volume);
    if failure.code() == Code::NotFound {
        // Commas are between several files, unless they are escaped.
        if device::split_list(volume).len() > 1 && Path::new(volume).exists() {
            let escaped = device::text_of(Path::new(volume));
            return failure.advise(format!(
                "A comma in a name is written with a backslash: '{escaped}'."
            ));
        }
        return failure.advise(match options.create {
            true => "The folder that it would be in is not there.".to_owned(),
            false => format!("There is no volume there. `helium create {volume}` makes one."),
        });
    }
    match kind {
        ErrorKind::NotAVolume => failure.advise(format!(
            "If nothing on it is needed any more, `helium create --overwrite {volume}` makes a volume of it. If it was a volume, `helium salvage {volume} NEW` finds what is left of it."
        )),
        ErrorKind::VolumeInUse => {
            let rule = match options.read_only {
                true => "A process writes to it: it can be read, by several at once, when that is over.",
                false => "One process at a time writes to a volume, and while nobody reads it.",
            };
            let told = helium_activity::find(Some(&url(volume))).unwrap_or_default();
            failure.advise(match told.is_empty() {
                false => format!(
                    "{rule} `helium top {volume}` shows what goes on, and get, scan, ls, stat, dump and backup read \
                     through that process."
                ),
                true => rule.to_owned(),
            })
        }
        _ => failure,
    }
}

/// Tells others of what goes on in the volume while `command` works, for `helium top`.
pub fn publish(open: &Volume, command: &str) -> Option<Publisher> {
    // Nobody else can look then; that is no reason not to work.
    Publisher::start(open, command).ok()
}

/// Opens the datastore of that name; the sentence says which ones there are.
pub fn datastore(volume: &Volume, name: &OsStr) -> Result<Datastore> {
    datastore_called(volume, name.as_bytes())
}

/// The same, of a name that does not come from the command line.
pub fn datastore_called(volume: &Volume, name: &[u8]) -> Result<Datastore> {
    volume.datastore(name).map_err(|why| {
        if why.kind() != ErrorKind::DatastoreNotFound {
            return why.into();
        }
        advise_of(Failure::from(why), &volume.datastores(), name)
    })
}

/// There is no datastore of that name, but these.
pub fn no_datastore(all: &[DatastoreInfo], name: &OsStr) -> Failure {
    let called = name.as_bytes().escape_ascii();
    let why = format!("the volume has no datastore called '{called}'");
    advise_of(
        heliumdb::Error::new(ErrorKind::DatastoreNotFound, why).into(),
        all,
        name.as_bytes(),
    )
}

fn advise_of(failure: Failure, all: &[DatastoreInfo], name: &[u8]) -> Failure {
    failure.advise(match meant(all, name) {
        Some(meant) => format!("Did you mean {meant}? {}", there_are(all)),
        None => there_are(all),
    })
}

/// The datastores of these names, or all if none is named.
pub fn chosen(volume: &Volume, names: &[OsString]) -> Result<Vec<Datastore>> {
    if names.is_empty() {
        let all = volume.datastores();
        let open = |id| volume.datastore_by_id(id).map_err(Failure::from);
        return all.iter().map(|info| open(info.id)).collect();
    }
    names.iter().map(|name| datastore(volume, name)).collect()
}

/// Names that are less alike than this (of 1) were not meant.
const ALIKE: f64 = 0.7;

/// The datastore whose name is most like `name`.
fn meant(all: &[DatastoreInfo], name: &[u8]) -> Option<String> {
    let wanted = text::shown(name).to_lowercase();
    let names = all.iter();
    let alike = names.map(|info| {
        let known = text::shown(&info.name);
        let likeness = strsim::normalized_damerau_levenshtein(&wanted, &known.to_lowercase());
        (likeness.max(prefix_likeness(&wanted, &known)), known)
    });
    let best = alike.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// A name that was begun was probably meant.
fn prefix_likeness(wanted: &str, known: &str) -> f64 {
    let is_start = wanted.len() >= 3 && known.to_lowercase().starts_with(wanted);
    if is_start { ALIKE } else { 0.0 }
}

/// Datastores that the advice lists at most.
const LISTED: usize = 8;

fn there_are(all: &[DatastoreInfo]) -> String {
    if all.is_empty() {
        return "The volume has no datastores yet: `helium create VOLUME DATASTORE` makes one."
            .to_owned();
    }
    let names: Vec<String> = all
        .iter()
        .take(LISTED)
        .map(|info| text::shown(&info.name))
        .collect();
    let more = match all.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more (`helium ls` lists them)"),
    };
    format!("The volume has: {}{more}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn paths_become_urls() {
        assert_eq!(url("data.he"), "he://./data.he");
        assert_eq!(url("/dev/sda,/dev/sdb"), "he://.//dev/sda,/dev/sdb");
        assert_eq!(url("_1"), "he://././_1");
        assert_eq!(url("a\\,_b,_c"), "he://./a\\,_b,./_c");
        assert_eq!(url("he://./_1048576"), "he://./_1048576");
    }
}
