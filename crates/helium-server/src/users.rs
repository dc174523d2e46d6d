//! Who may do what: users with hashed passwords, and rights for datastores.
//!
//! Invariants: an unknown name, a wrong password and a user that may nothing take the same time and get the same
//! answer; passwords are kept nowhere; and no more than one is checked at a time, since that takes memory and time.
//! Where the users are others now, a connection has the new rights of its user from its next command on; or none, if
//! that is gone or has another password.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use parking_lot::{Mutex, RwLock};

use crate::{commands::Kind, glob};

/// The users of a server.
#[derive(Debug)]
pub struct Users {
    users: Vec<Arc<User>>,
    /// What passwords of unknown users are compared with.
    nobody: String,
    checking: Mutex<()>,
}

/// The users of now.
#[derive(Debug)]
pub struct Current {
    users: RwLock<Option<Arc<Users>>>,
    /// Goes up when they change.
    changes: AtomicU64,
}

impl Current {
    /// They, to begin with.
    pub fn new(users: Option<Arc<Users>>) -> Self {
        Self {
            users: RwLock::new(users),
            changes: AtomicU64::new(0),
        }
    }

    /// Those there are, if it matters who somebody is.
    pub fn get(&self) -> Option<Arc<Users>> {
        self.users.read().clone()
    }

    /// From now on there are these.
    pub fn set(&self, users: Users) {
        *self.users.write() = Some(Arc::new(users));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The number of changes until now.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What has become of `user`, who has shown the password that it had.
    pub fn still(&self, user: &User) -> Option<Arc<User>> {
        let users = self.get()?;
        let mut users = users.users.iter();
        let is_it = |known: &&Arc<User>| known.name == user.name && known.hash == user.hash;
        users.find(is_it).cloned()
    }
}

/// Somebody who may connect.
#[derive(Debug)]
pub struct User {
    /// The name.
    pub name: String,
    hash: String,
    rights: Vec<Right>,
}

/// What a user may do where.
#[derive(Debug)]
struct Right {
    is_for: [bool; 3],
    volume: Vec<u8>,
    datastore: Vec<u8>,
}

impl Right {
    /// Reads one, like rw@fruit/*.
    fn parse(text: &str) -> Option<Self> {
        let (letters, place) = text.split_once('@')?;
        let (volume, datastore) = place.split_once('/')?;
        let is_for = ['r', 'w', 'a'].map(|letter| letters.contains(letter));
        let is_known = letters.chars().all(|letter| "rwa".contains(letter));
        (is_known && !letters.is_empty() && !volume.is_empty()).then(|| Self {
            is_for,
            volume: volume.into(),
            datastore: datastore.into(),
        })
    }

    fn is_of(&self, volume: &str, datastore: &[u8]) -> bool {
        glob::matches(&self.volume, volume.as_bytes()) && glob::matches(&self.datastore, datastore)
    }
}

impl User {
    /// Whether it may do what `kind` says there.
    pub fn may(&self, kind: Kind, volume: &str, datastore: &[u8]) -> bool {
        let which = match kind {
            Kind::Connection => return true,
            Kind::Read => 0,
            Kind::Write => 1,
            Kind::Admin => 2,
        };
        let mut rights = self.rights.iter();
        rights.any(|right| right.is_for[which] && right.is_of(volume, datastore))
    }
}

impl Users {
    /// Reads a file of them. A line is a name, a hash, and rights; what is behind a # is not looked at.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|why| format!("cannot read {}: {why}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// Those that `text` names.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut users: Vec<Arc<User>> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let at = |why: String| format!("line {}: {why}", number + 1);
            let user = user(line).map_err(at)?;
            if users.iter().any(|known| known.name == user.name) {
                return Err(at(format!("the user {} is there twice", user.name)));
            }
            users.push(Arc::new(user));
        }
        if users.is_empty() {
            return Err("there is no user in it, so that nobody could connect".to_owned());
        }
        Ok(Self {
            users,
            nobody: hash("")?,
            checking: Mutex::default(),
        })
    }

    /// The user of that name, if that is the password.
    pub fn check(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        let mut users = self.users.iter();
        let user = users.find(|user| user.name.as_bytes() == name);
        let hash = user.map_or(&self.nobody, |user| &user.hash);
        let _one_at_a_time = self.checking.lock();
        let hash = PasswordHash::new(hash).ok()?;
        let is_it = Argon2::default().verify_password(password, &hash).is_ok();
        user.filter(|_| is_it).cloned()
    }
}

fn user(line: &str) -> Result<User, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(hash)) = (words.next(), words.next()) else {
        return Err("a user has a name and the hash of a password".to_owned());
    };
    PasswordHash::new(hash)
        .map_err(|why| format!("the hash of {name} is none of Argon2 ({why}): `helium server --hash-password` makes one"))?;
    let rights: Option<Vec<_>> = words.map(Right::parse).collect();
    let rights = rights.filter(|rights| !rights.is_empty()).ok_or_else(|| {
        format!("the rights of {name} are not like rw@volume/datastore: r reads, w writes, a administers")
    })?;
    Ok(User {
        name: name.to_owned(),
        hash: hash.to_owned(),
        rights,
    })
}

/// A hash of `password` for a file of users, with a salt of its own.
pub fn hash(password: &str) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|why| format!("cannot hash the password: {why}"))
}
