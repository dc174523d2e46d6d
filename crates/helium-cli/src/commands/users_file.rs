//! The file of a server's users, read again when it changes.
//!
//! Invariant: a file that cannot be read, or makes no sense, changes nothing. One that is being written is left alone
//! until two looks find it the same.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use helium_server::{Server, Users};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is different once a file was written: its inode, length and times.
type Stamp = Option<[i64; 6]>;

/// The file, and what was seen of it.
pub struct UsersFile {
    path: PathBuf,
    read: Stamp,
    seen: Stamp,
    due: Instant,
}

impl UsersFile {
    /// The file, and the users that are in it now.
    pub fn open(path: PathBuf) -> Result<(Self, Users), String> {
        // In this order: what is written meanwhile shows at the next look.
        let read = stamp(&path);
        let users = Users::read(&path)?;
        let file = Self {
            path,
            read,
            seen: read,
            due: Instant::now() + INTERVAL,
        };
        Ok((file, users))
    }

    /// Looks whether it has changed, every second; if so the server gets the new users.
    pub fn look(&mut self, server: &Server) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + INTERVAL;
        let now = stamp(&self.path);
        let before = std::mem::replace(&mut self.seen, now);
        if now == self.read || now != before {
            return;
        }
        self.read = now;
        let users = Users::read(&self.path);
        let set = users.and_then(|users| server.set_users(users).map_err(|why| why.to_string()));
        match set {
            Ok(()) => tracing::info!(file = %self.path.display(), "the users were read again"),
            Err(why) => tracing::error!(%why, "the users stay as they were"),
        }
    }
}

fn stamp(path: &PathBuf) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let (inode, len) = (file.ino() as i64, file.len() as i64);
    let changed = [file.ctime(), file.ctime_nsec()];
    Some([
        inode,
        len,
        file.mtime(),
        file.mtime_nsec(),
        changed[0],
        changed[1],
    ])
}
