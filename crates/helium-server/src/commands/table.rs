//! The table of all commands.

use std::{collections::HashMap, sync::OnceLock};

use super::{
    Call, client, connection, he, he_datastores, he_transactions, info, introspect, keys, multi,
    numbers, scan, strings,
};
use crate::refusal::Outcome;

/// What a command does, and so which right it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is about the connection alone, or the server.
    Connection,
    /// It reads items.
    Read,
    /// It writes items.
    Write,
    /// It is about datastores, volumes, or the server as a whole.
    Admin,
}

/// A command.
#[derive(Debug)]
pub struct Spec {
    /// Its name, in small letters.
    pub name: &'static str,
    /// So many arguments, with its name; at least so many if less than none.
    pub arity: i32,
    /// What it does.
    pub kind: Kind,
    /// Its keys: the number of the first, of the last (behind the end if less than none), and the step between them.
    pub keys: [i32; 3],
    /// For COMMAND DOCS.
    pub summary: &'static str,
    /// It is done even between MULTI and EXEC.
    pub ends_multi: bool,
    /// It is refused between MULTI and EXEC.
    pub not_in_multi: bool,
    /// It is done even where the connection's transaction was rolled back.
    pub ends_transaction: bool,
    /// It is done for who has not said who it is.
    pub is_open: bool,
    /// It may be done by who must not wait, and says so ([`crate::refusal::Refusal::Waits`]) before it has done anything
    /// where it would have to.
    pub is_short: bool,
    /// It asks by itself whether the user may do what it does, since that is not about where the connection is.
    pub asks_itself: bool,
    /// Does it.
    pub run: fn(&mut Call<'_>) -> Outcome,
}

impl Spec {
    /// Its number in the table.
    pub fn index(&self) -> usize {
        let apart = (&raw const *self as usize).saturating_sub(SPECS.as_ptr() as usize);
        apart / size_of::<Self>()
    }

    /// Whether it takes so many arguments, its name among them.
    pub fn takes(&self, count: usize) -> bool {
        match usize::try_from(self.arity) {
            Ok(exactly) => count == exactly,
            Err(_) => count >= self.arity.unsigned_abs() as usize,
        }
    }
}

const fn spec(
    name: &'static str,
    arity: i32,
    kind: Kind,
    keys: [i32; 3],
    run: fn(&mut Call<'_>) -> Outcome,
    summary: &'static str,
) -> Spec {
    Spec {
        name,
        arity,
        kind,
        keys,
        summary,
        ends_multi: false,
        not_in_multi: false,
        ends_transaction: false,
        is_open: false,
        is_short: false,
        asks_itself: false,
        run,
    }
}

impl Spec {
    const fn ends_multi(self) -> Self {
        Self {
            ends_multi: true,
            ends_transaction: true,
            ..self
        }
    }

    const fn alone(self) -> Self {
        Self {
            not_in_multi: true,
            ..self
        }
    }

    const fn open(self) -> Self {
        Self {
            is_open: true,
            ..self
        }
    }

    const fn short(self) -> Self {
        Self {
            is_short: true,
            ..self
        }
    }

    const fn asks(self) -> Self {
        Self {
            asks_itself: true,
            ..self
        }
    }

    const fn ends_transaction(self) -> Self {
        Self {
            ends_transaction: true,
            ..self
        }
    }
}

const NONE: [i32; 3] = [0, 0, 0];
const ONE: [i32; 3] = [1, 1, 1];
const ALL: [i32; 3] = [1, -1, 1];
const PAIRS: [i32; 3] = [1, -1, 2];
const TWO: [i32; 3] = [1, 2, 1];

use Kind::{Admin, Connection, Read, Write};

#[rustfmt::skip]
static SPECS: &[Spec] = &[
    spec("append", 3, Write, ONE, strings::append, "Appends a string to the value of a key"),
    spec("auth", -2, Connection, NONE, connection::auth, "Says who the client is").open(),
    spec("client", -2, Connection, NONE, client::client, "About connections").ends_transaction(),
    spec("command", -1, Connection, NONE, introspect::command, "About the commands"),
    spec("config", -2, Admin, NONE, introspect::config, "About how the server was started"),
    spec("dbsize", 1, Read, NONE, keys::dbsize, "Returns how many keys there are"),
    spec("decr", 2, Write, ONE, numbers::decr, "Takes 1 from the number of a key"),
    spec("decrby", 3, Write, ONE, numbers::decrby, "Takes a number from the number of a key"),
    spec("del", -2, Write, ALL, keys::del, "Removes keys"),
    spec("discard", 1, Connection, NONE, multi::discard, "Forgets the commands since MULTI").ends_multi().short(),
    spec("echo", 2, Connection, NONE, connection::echo, "Returns its argument").short(),
    spec("exec", 1, Connection, NONE, multi::exec, "Does the commands since MULTI, as one").ends_multi(),
    spec("exists", -2, Read, ALL, keys::exists, "Returns how many of the keys are there").short(),
    spec("flushall", -1, Admin, NONE, keys::flushall, "Empties all numbered databases of the volume").alone(),
    spec("flushdb", -1, Write, NONE, keys::flushdb, "Empties the datastore").alone(),
    spec("get", 2, Read, ONE, strings::get, "Returns the value of a key").short(),
    spec("getdel", 2, Write, ONE, strings::getdel, "Returns the value of a key, and removes it"),
    spec("getrange", 4, Read, ONE, strings::getrange, "Returns a part of the value of a key").short(),
    spec("getset", 3, Write, ONE, strings::getset, "Sets a key, and returns what it was before"),
    spec("hello", -1, Connection, NONE, connection::hello, "Chooses the protocol, and says what the server is").alone().open(),
    spec("incr", 2, Write, ONE, numbers::incr, "Adds 1 to the number of a key"),
    spec("incrby", 3, Write, ONE, numbers::incrby, "Adds a number to the number of a key"),
    spec("incrbyfloat", 3, Write, ONE, numbers::incrbyfloat, "Adds a decimal number to the one of a key"),
    spec("info", -1, Connection, NONE, info::info, "Returns figures of the server"),
    spec("keys", 2, Read, NONE, scan::keys, "Returns all keys that match a pattern"),
    spec("mget", -2, Read, ALL, strings::mget, "Returns the values of keys, at one moment"),
    spec("mset", -3, Write, PAIRS, strings::mset, "Sets keys, as one"),
    spec("msetnx", -3, Write, PAIRS, strings::msetnx, "Sets keys, as one, if none of them is there"),
    spec("multi", 1, Connection, NONE, multi::multi, "Begins a list of commands that are done as one").ends_multi().short(),
    spec("persist", 2, Write, ONE, keys::persist, "Removes the time to live of a key, which none has"),
    spec("ping", -1, Connection, NONE, connection::ping, "Returns PONG, or its argument").short(),
    spec("pttl", 2, Read, ONE, keys::ttl, "Returns -1 for a key that is there, else -2").short(),
    spec("quit", -1, Connection, NONE, connection::quit, "Closes the connection").ends_multi().open().short(),
    spec("rename", 3, Write, TWO, keys::rename, "Gives an item another key"),
    spec("renamenx", 3, Write, TWO, keys::renamenx, "Gives an item another key, if that is not there"),
    spec("reset", 1, Connection, NONE, connection::reset, "Makes the connection as it was at its beginning").ends_multi().open(),
    spec("scan", -2, Read, NONE, scan::scan, "Returns keys, some at a time"),
    spec("select", 2, Connection, NONE, connection::select, "Chooses the datastore by a number").short(),
    spec("set", -3, Write, ONE, strings::set, "Sets a key"),
    spec("setnx", 3, Write, ONE, strings::setnx, "Sets a key that is not there"),
    spec("setrange", 4, Write, ONE, strings::setrange, "Writes into the value of a key"),
    spec("strlen", 2, Read, ONE, strings::strlen, "Returns how long the value of a key is").short(),
    spec("substr", 4, Read, ONE, strings::getrange, "Returns a part of the value of a key").short(),
    spec("time", 1, Connection, NONE, introspect::time, "Returns the server's time").short(),
    spec("touch", -2, Read, ALL, keys::exists, "Returns how many of the keys are there").short(),
    spec("ttl", 2, Read, ONE, keys::ttl, "Returns -1 for a key that is there, else -2").short(),
    spec("type", 2, Read, ONE, keys::kind, "Returns string for a key that is there, else none").short(),
    spec("unlink", -2, Write, ALL, keys::del, "Removes keys"),
    spec("unwatch", 1, Connection, NONE, multi::unwatch, "Watches no keys any more").short(),
    spec("watch", -2, Read, ALL, multi::watch, "Has EXEC fail if a key is written before").ends_multi(),
    spec("he.backup", 2, Admin, NONE, he_datastores::backup, "Copies the volume to a new one in the folder for backups").alone().asks(),
    spec("he.begin", 1, Connection, NONE, he_transactions::begin, "Begins a transaction that reads a snapshot").alone(),
    spec("he.checkpoint", 1, Admin, NONE, he_datastores::checkpoint, "Takes a checkpoint of the volume").alone().asks(),
    spec("he.commit", 1, Connection, NONE, he_transactions::commit, "Commits the transaction").alone().ends_transaction(),
    spec("he.create", -2, Admin, NONE, he_datastores::create, "Makes a datastore").alone().asks(),
    spec("he.datastores", -1, Read, NONE, he_datastores::datastores, "Returns the names of the volume's datastores, or more of them").alone().asks(),
    spec("he.drop", 2, Admin, NONE, he_datastores::drop_one, "Removes a datastore and its items").alone().asks(),
    spec("he.first", 1, Read, NONE, he::first, "Returns the first item"),
    spec("he.insert", 3, Write, ONE, he::insert, "Sets a key that must not be there"),
    spec("he.last", 1, Read, NONE, he::last, "Returns the last item"),
    spec("he.next", 2, Read, ONE, he::next, "Returns the item after a key, which need not be there"),
    spec("he.part", 4, Read, ONE, he::part, "Returns how long the value of a key is, and a part of it").short(),
    spec("he.prev", 2, Read, ONE, he::previous, "Returns the item before a key, which need not be there"),
    spec("he.range", -3, Read, NONE, he::range, "Returns the items between two keys, in order or against it"),
    spec("he.rename", 3, Admin, NONE, he_datastores::rename, "Gives a datastore another name").alone().asks(),
    spec("he.replace", 3, Write, ONE, he::replace, "Sets a key that must be there"),
    spec("he.rollback", 1, Connection, NONE, he_transactions::rollback, "Rolls the transaction back").alone().ends_transaction(),
    spec("he.stats", 1, Read, NONE, he_datastores::stats, "Returns figures of the volume").alone(),
    spec("he.sync", 1, Connection, NONE, he_transactions::sync, "Returns when all that was written to the volume is durable").alone(),
    spec("he.take", 2, Write, ONE, strings::getdel, "Removes a key, and returns its value"),
    spec("he.use", -2, Connection, NONE, he_datastores::use_one, "Chooses the datastore by its name, and the volume").alone().asks(),
    spec("he.volume", -1, Connection, NONE, he_datastores::volume, "Chooses the volume, and returns its name and id").alone(),
    spec("he.volumes", 1, Connection, NONE, he_datastores::volumes, "Returns the names of the volumes that are served"),
];

/// All commands.
pub fn all() -> &'static [Spec] {
    SPECS
}

/// The command of that name, in whatever letters.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    static BY_NAME: OnceLock<HashMap<&'static [u8], &'static Spec>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| {
        let specs = SPECS.iter();
        specs.map(|spec| (spec.name.as_bytes(), spec)).collect()
    });
    const LONGEST: usize = 16;
    let mut small = [0; LONGEST];
    let small = small.get_mut(..name.len())?;
    small.copy_from_slice(name);
    small.make_ascii_lowercase();
    by_name.get(&*small).copied()
}

#[cfg(test)]
mod tests {
    use super::{all, find};

    #[test]
    fn every_command_is_found_by_its_name() {
        for spec in all() {
            let found = find(spec.name.to_uppercase().as_bytes()).unwrap();
            assert_eq!(
                (found.name, all()[spec.index()].name),
                (spec.name, spec.name)
            );
        }
        assert!(find(b"").is_none() && find(&[b'a'; 1000]).is_none());
    }
}
