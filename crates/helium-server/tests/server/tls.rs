//! TLS, with redis-cli and certificates that openssl makes for the test.

use std::{path::Path, process::Command};

use helium_server::tls_acceptor;

use crate::harness::{Fixture, installed};

/// Makes a certificate and its key, by an authority if one is named.
fn certificate(folder: &Path, name: &str, authority: Option<&str>) {
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
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
    ]);
    command.args(["-subj", &format!("/CN={name}")]);
    command.args([
        "-keyout",
        &format!("{name}.key"),
        "-out",
        &format!("{name}.crt"),
    ]);
    if let Some(authority) = authority {
        command.args([
            "-CA",
            &format!("{authority}.crt"),
            "-CAkey",
            &format!("{authority}.key"),
        ]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let made = command.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// What redis-cli says of PING there.
fn ping(fixture: &Fixture, folder: &Path, more: &[&str]) -> (bool, String) {
    let ran = Command::new("redis-cli")
        .current_dir(folder)
        .args(["-p", &fixture.address().port().to_string(), "--tls"])
        .args(more)
        .arg("PING")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    (
        said.trim() == "PONG",
        said + &String::from_utf8_lossy(&ran.stderr),
    )
}

#[test]
fn connections_are_encrypted_and_clients_show_certificates_where_they_have_to() {
    // `openssl --version` is there since 3.0; older ones print the same and fail.
    if !installed("redis-cli") || !installed("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    certificate(folder.path(), "authority", None);
    for name in ["server", "client"] {
        certificate(folder.path(), name, Some("authority"));
    }
    certificate(folder.path(), "stranger", None);
    let acceptor = |asks: bool| {
        let authority = path("authority.crt");
        tls_acceptor(
            &path("server.crt"),
            &path("server.key"),
            asks.then_some(&*authority),
        )
        .unwrap()
    };
    let known = ["--cacert", "authority.crt"];
    let as_client = ["--cert", "client.crt", "--key", "client.key"];
    let as_stranger = ["--cert", "stranger.crt", "--key", "stranger.key"];

    let open = Fixture::with(|options| options.tls = Some(acceptor(false)));
    let (works, said) = ping(&open, folder.path(), &known);
    assert!(works, "{said}");
    assert!(!ping(&open, folder.path(), &["--cacert", "stranger.crt"]).0);
    // Who does not speak TLS is let go of.
    let mut plain = open.connect();
    plain.send(b"PING\r\n");
    assert!(!plain.until_end().starts_with(b"+PONG"));

    let closed = Fixture::with(|options| options.tls = Some(acceptor(true)));
    let (works, said) = ping(
        &closed,
        folder.path(),
        &[known.as_slice(), &as_client].concat(),
    );
    assert!(works, "{said}");
    assert!(!ping(&closed, folder.path(), &known).0);
    assert!(
        !ping(
            &closed,
            folder.path(),
            &[known.as_slice(), &as_stranger].concat()
        )
        .0
    );

    for (certificate, key, words) in [
        ("gone.crt", "server.key", "gone.crt: no certificate"),
        ("server.key", "server.key", "server.key: no certificate"),
        ("server.crt", "gone.key", "gone.key: no private key"),
        ("server.crt", "client.key", "server.crt and"),
    ] {
        let why = tls_acceptor(&path(certificate), &path(key), None)
            .err()
            .unwrap();
        assert!(why.contains(words), "{why}");
    }
}
