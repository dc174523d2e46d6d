//! Where the sockets are: a folder of the user's own.
//!
//! Invariant: nobody else can write to it, whoever made it.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::PathBuf,
};

/// What sockets' names end with.
pub(crate) const ENDING: &str = "sock";

/// `$XDG_RUNTIME_DIR/helium`, or `/tmp/helium-<user>` where there is no runtime directory.
pub(crate) fn path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder).join("helium"),
        _ => PathBuf::from(format!("/tmp/helium-{}", user())),
    }
}

/// The folder, made if it is not there.
pub(crate) fn make() -> io::Result<PathBuf> {
    let path = path();
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
        _ => {}
    }
    check(&path)?;
    Ok(path)
}

/// Refuses a folder that someone else has put there.
pub(crate) fn check(path: &std::path::Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() && found.uid() == user() && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} is not a folder that only this user can look into",
            path.display()
        ),
    ))
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}
