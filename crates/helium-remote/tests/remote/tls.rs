//! Encrypted connections, with certificates that `openssl` makes.

use std::{path::Path, process::Command};

use helium_remote::{Network, Options, Remote, TlsFiles, network};
use helium_server::tls_acceptor;
use heliumdb::ErrorKind;

use crate::harness::{Fixture, end, open_with};

/// Makes a certificate and its key, by an authority if one is named; false where there is no openssl.
fn certificate(folder: &Path, name: &str, authority: Option<&str>) -> bool {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]);
    command.args(["-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}.key")]);
    command.args(["-out", &format!("{name}.crt")]);
    if let Some(authority) = authority {
        command.args(["-CA", &format!("{authority}.crt")]);
        command.args(["-CAkey", &format!("{authority}.key")]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let (Ok(made), Ok(version)) = (
        command.output(),
        Command::new("openssl").arg("version").output(),
    ) else {
        println!("SKIPPED: openssl is not installed");
        return false;
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !made.status.success() && !version.starts_with("OpenSSL 3") {
        println!(
            "SKIPPED: this takes OpenSSL 3, and there is {}",
            version.trim()
        );
        return false;
    }
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    true
}

#[test]
fn the_server_shows_who_it_is_and_the_client_where_it_has_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, authority) in [
        ("authority", None),
        ("server", Some("authority")),
        ("client", Some("authority")),
        ("stranger", None),
    ] {
        if !certificate(folder.path(), name, authority) {
            return;
        }
    }
    let served = |asks: bool| {
        let authority = path("authority.crt");
        let (certificate, key) = (path("server.crt"), path("server.key"));
        let tls = tls_acceptor(&certificate, &key, asks.then_some(&*authority)).unwrap();
        Fixture::with(|options| options.tls = Some(tls))
    };
    let files = |authority: &str, client: Option<&str>| TlsFiles {
        authority: path(authority),
        identity: client.map(|name| (path(&format!("{name}.crt")), path(&format!("{name}.key")))),
    };
    let open = served(false);
    let connect = |to: &Fixture, files: TlsFiles| {
        open_with(to.address(), |options| options.tls = Some(files))
    };
    let remote = connect(&open, files("authority.crt", None)).unwrap();
    remote
        .create_datastore(b"d", &heliumdb::DatastoreOptions::default())
        .unwrap();
    let d = remote.datastore(b"d");
    // Some megabytes, and connections that are kept.
    let value = vec![7; 5 << 20];
    for _ in 0..3 {
        d.put(b"k", &value).unwrap();
        assert!(d.get(b"k").unwrap().unwrap() == value);
    }
    let closed = served(true);
    connect(&closed, files("authority.crt", Some("client"))).unwrap();
    for (to, files) in [
        (&open, files("stranger.crt", None)),
        (&open, files("gone.crt", None)),
        (&open, files("server.key", None)),
        (&closed, files("authority.crt", Some("gone"))),
    ] {
        let why = connect(to, files).unwrap_err();
        assert_eq!(network(&why), Some(Network::Encryption), "{why}");
    }
    // These are refused after keys were agreed on.
    for client in [None, Some("stranger")] {
        assert!(network(&connect(&closed, files("authority.crt", client)).unwrap_err()).is_some());
    }
    // The certificate is for an address, not for a name.
    let mut options = Options::default();
    options.tls = Some(files("authority.crt", None));
    let url = format!("he://localhost:{}/fruit", open.address().port());
    let why = Remote::open(&url, &options).unwrap_err();
    assert_eq!(network(&why), Some(Network::Encryption), "{why}");
    // One end alone is no connection.
    let plain = Fixture::new();
    let why = connect(&plain, files("authority.crt", None)).unwrap_err();
    assert_eq!(network(&why), Some(Network::Encryption), "{why}");
    let why = open_with(open.address(), |_| {}).unwrap_err();
    assert!(network(&why).is_some(), "{why}");
    // What was kept and is closed is not used: nothing is unknown.
    drop(open);
    let why = d.put(b"k", b"w").unwrap_err();
    assert_ne!(why.kind(), ErrorKind::OutcomeUnknown, "{why}");
    // One that closes says nothing of encryption.
    let (closing, end) = end(|_, _| false);
    let files = files("authority.crt", None);
    let why = open_with(closing, |options| options.tls = Some(files)).unwrap_err();
    assert_eq!(network(&why), Some(Network::CutOff), "{why}");
    end.join().unwrap();
}
