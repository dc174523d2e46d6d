//! Volumes that a server has open: `he://host:port/name`.

use std::cell::RefCell;

use helium_remote::{Options, Remote};

use crate::failure::{Code, Failure, Result};

thread_local! {
    /// What the shell works on, by the name that it has there, and whether it may be written to.
    static KEPT: RefCell<Option<(String, Remote, bool)>> = const { RefCell::new(None) };
}

/// Whether `volume` is a server's.
pub fn is_served(volume: &str) -> bool {
    helium_remote::is_remote(volume)
}

/// Connects to the server that has `volume`. How, the environment says.
pub fn open(volume: &str, writes: bool) -> Result<Remote> {
    let kept = KEPT.with_borrow(|kept| {
        let (name, remote, may_write) = kept.as_ref()?;
        (name == volume).then(|| (remote.clone(), *may_write))
    });
    match kept {
        Some((_, false)) if writes => Err(Failure::new(
            Code::NotAllowed,
            "the volume is open for reading only",
        )),
        Some((remote, _)) => Ok(remote),
        None => Ok(Remote::open(volume, &Options::from_environment()?)?),
    }
}

/// Has commands of this thread that name `volume` so use these connections, until it is dropped.
pub fn keep_open(volume: &str, remote: Remote, may_write: bool) -> Kept {
    KEPT.set(Some((volume.to_owned(), remote, may_write)));
    Kept(())
}

/// See [`keep_open`].
pub struct Kept(());

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.take();
    }
}

/// The datastores of the volume that is kept so, if it is.
pub fn names_of_kept(volume: &str) -> Vec<Vec<u8>> {
    let kept = KEPT.with_borrow(|kept| {
        let (name, remote, _) = kept.as_ref()?;
        (name == volume).then(|| remote.clone())
    });
    // Where nothing can be asked there is nothing to complete.
    let all = kept.map(|remote| remote.datastores().unwrap_or_default());
    let names = all.into_iter().flatten().map(|found| found.info.name);
    names.collect()
}

/// Fails if `volume` is a server's: for what is done to files and devices.
pub fn refuse(volume: &str) -> Result<()> {
    // What should not be there may be a password.
    let shown = match volume.contains('@') {
        true => "the volume",
        false => volume,
    };
    match is_served(volume) {
        false => Ok(()),
        true => Err(Failure::new(
            Code::Usage,
            format!("{shown} is a server's, and this is done to a volume's own files and devices"),
        )
        .advise("Do it on the server's machine, with the volume's path.")),
    }
}
