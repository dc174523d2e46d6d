//! Users: who has not said who it is, and what each may do where.

use std::sync::Arc;

use helium_server::{Options, Users, hash_password};

use crate::harness::{Client, Fixture, encode};

fn with_users(options: &mut Options) {
    let hash = hash_password("secret").unwrap();
    let text = format!(
        "# who may what\n\
         default {hash} rwa@*/*\n\
         reader  {hash} r@one/0   # and nothing else\n\
         writer  {hash} w@one/log* a@one/log*\n"
    );
    options.users = Some(Arc::new(Users::parse(&text).unwrap()));
}

fn as_user(fixture: &Fixture, name: &str) -> Client {
    let mut client = fixture.connect();
    assert_eq!(client.ask(&format!("AUTH {name} secret")), "+OK");
    client
}

#[test]
fn nobody_does_anything_before_it_has_said_who_it_is() {
    let fixture = Fixture::with(with_users);
    let mut client = fixture.connect();
    for line in [
        "GET a",
        "PING",
        "HE.VOLUMES",
        "CLIENT LIST",
        "MULTI",
        "EXEC",
        "INFO",
        "COMMAND",
        "CONFIG GET save",
    ] {
        assert_eq!(
            client.ask(line),
            "-NOAUTH Authentication required.",
            "{line}"
        );
    }
    assert!(
        client
            .ask("HELLO 3")
            .starts_with("-NOAUTH HELLO must be called")
    );
    // What is wrong makes no difference.
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    for line in [
        "AUTH x",
        "AUTH nobody secret",
        "AUTH reader x",
        "HELLO 3 AUTH reader x",
        "AUTH default x",
    ] {
        assert_eq!(client.ask(line), wrong, "{line}");
    }
    assert_eq!(client.ask("GET a"), "-NOAUTH Authentication required.");
    assert_eq!(client.ask("AUTH secret"), "+OK");
    assert_eq!(client.ask("PING"), "+PONG");
    // A wrong password afterwards changes nothing.
    assert_eq!(client.ask("AUTH reader x"), wrong);
    assert_eq!(client.ask("SET a 1"), "+OK");
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("GET a"), "-NOAUTH Authentication required.");
    assert!(
        client
            .ask("HELLO 2 AUTH reader secret")
            .starts_with("*14 $6 server")
    );
    assert_eq!(client.ask("GET a"), "$1 1");
}

#[test]
fn who_is_unknown_sends_little_until_then() {
    let fixture = Fixture::with(with_users);
    let mut client = fixture.connect();
    client.send(b"*11\r\n");
    assert_eq!(
        client.until_end(),
        b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    );
    // In one go with who it is, it may be more.
    let mut client = fixture.connect();
    let value = "v".repeat(100_000);
    client.send(&[encode(&["AUTH", "secret"]), encode(&["SET", "a", &value])].concat());
    assert_eq!([client.reply(), client.reply()], ["+OK", "+OK"]);
}

#[test]
fn each_does_what_it_may_and_where() {
    let fixture = Fixture::with(with_users);
    let mut all = as_user(&fixture, "default");
    for line in ["SET a 1", "HE.CREATE log1", "HE.CREATE other"] {
        assert_eq!(all.ask(line), "+OK");
    }
    let no = |command: &str| {
        format!("-NOPERM this user has no permissions to run the '{command}' command")
    };
    let mut reader = as_user(&fixture, "reader");
    for (line, reply) in [
        ("GET a", "$1 1".to_owned()),
        ("SCAN 0", "*2 $1 0 *1 $1 a".to_owned()),
        ("HE.DATASTORES", "*1 $1 0".to_owned()),
        ("SET a 2", no("set")),
        ("HE.TAKE a", no("he.take")),
        ("FLUSHDB", no("flushdb")),
        ("FLUSHALL", no("flushall")),
        ("CLIENT LIST", no("client")),
        ("CONFIG GET save", no("config")),
        ("HE.CREATE x", no("he.create")),
        ("HE.DROP 0", no("he.drop")),
        ("HE.BACKUP x", no("he.backup")),
        ("HE.CHECKPOINT", no("he.checkpoint")),
        ("SELECT 1", "+OK".to_owned()),
        ("GET a", no("get")),
        ("SELECT 0", "+OK".to_owned()),
        ("MULTI", "+OK".to_owned()),
        ("GET a", "+QUEUED".to_owned()),
        ("SELECT 1", "+QUEUED".to_owned()),
        ("GET a", "+QUEUED".to_owned()),
        ("SELECT 0", "+QUEUED".to_owned()),
        ("SET a 5", "+QUEUED".to_owned()),
        (
            "EXEC",
            format!("*5 $1 1 +OK {} +OK {}", no("get"), no("set")),
        ),
    ] {
        assert_eq!(reader.ask(line), reply, "{line}");
    }
    let mut writer = as_user(&fixture, "writer");
    for (line, reply) in [
        ("GET a", no("get")),
        ("HE.CREATE log2", "+OK".to_owned()),
        ("HE.CREATE other2", no("he.create")),
        ("HE.RENAME log2 other2", no("he.rename")),
        ("HE.RENAME other log3", no("he.rename")),
        ("HE.RENAME log2 log3", "+OK".to_owned()),
        ("HE.USE log3", "+OK".to_owned()),
        ("SET k 1", "+OK".to_owned()),
        ("GET k", no("get")),
        ("HE.DROP log3", "+OK".to_owned()),
        ("HE.CHECKPOINT", no("he.checkpoint")),
    ] {
        assert_eq!(writer.ask(line), reply, "{line}");
    }
}

#[test]
fn users_that_change_are_others_from_the_next_command_on() {
    let fixture = Fixture::with(with_users);
    let server = fixture.server.as_ref().unwrap();
    let mut all = as_user(&fixture, "default");
    let [mut reader, mut writer, mut other] =
        ["reader", "writer", "reader"].map(|name| as_user(&fixture, name));
    assert_eq!(all.ask("SET a 1"), "+OK");
    assert_eq!(writer.ask("MULTI"), "+OK");
    assert_eq!(reader.ask("GET a"), "$1 1");
    // The writer has another password, the reader may write and not read, and there is one more.
    let [hash, other_hash] = ["secret", "other"].map(|password| hash_password(password).unwrap());
    let keep = |users: &str| users.replace("HASH", &hash).replace("OTHER", &other_hash);
    let text = keep("default HASH rwa@*/*\nwriter OTHER w@one/log*\nnew HASH r@*/*\n");
    server.set_users(Users::parse(&text).unwrap()).unwrap();
    let no = "-NOAUTH Authentication required.";
    // A hash of its own is a change, even if the password is the same.
    for client in [&mut all, &mut reader, &mut writer, &mut other] {
        assert_eq!(client.ask("GET a"), no);
    }
    assert_eq!(writer.ask("EXEC"), no);
    assert_eq!(writer.ask("AUTH writer other"), "+OK");
    assert_eq!(writer.ask("EXEC"), "-ERR EXEC without MULTI");
    assert!(reader.ask("AUTH reader secret").starts_with("-WRONGPASS"));
    assert_eq!(reader.ask("AUTH new secret"), "+OK");
    assert_eq!(reader.ask("GET a"), "$1 1");
    // Whose line has other rights keeps the connection, with these.
    let text = keep("default HASH rwa@*/*\nnew HASH w@*/*\n");
    server.set_users(Users::parse(&text).unwrap()).unwrap();
    let refused = reader.ask("GET a");
    assert!(refused.starts_with("-NOPERM"), "{refused}");
    assert_eq!(reader.ask("SET a 2"), "+OK");
    // Without users to begin with nobody was asked who it is.
    let open = Fixture::new();
    let users = Users::parse(&text).unwrap();
    assert!(open.server.as_ref().unwrap().set_users(users).is_err());
}

#[test]
fn a_file_of_users_that_makes_no_sense_is_refused() {
    let hash = hash_password("x").unwrap();
    assert_ne!(
        hash,
        hash_password("x").unwrap(),
        "each has a salt of its own"
    );
    for (text, words) in [
        (String::new(), "nobody could connect"),
        ("alice".to_owned(), "line 1: a user has a name and the hash"),
        ("alice secret rw@*/*".to_owned(), "is none of Argon2"),
        (format!("alice {hash}"), "the rights of alice"),
        (
            format!("\nalice {hash} x@*/*"),
            "line 2: the rights of alice",
        ),
        (format!("alice {hash} rw@one"), "the rights of alice"),
        (
            format!("a {hash} r@*/*\na {hash} r@*/*"),
            "the user a is there twice",
        ),
    ] {
        let why = Users::parse(&text).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
    }
}
