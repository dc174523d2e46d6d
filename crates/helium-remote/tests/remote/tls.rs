//! Encrypted connections, with certificates that `openssl` makes.

use std::{
    io::BufReader,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use helium_remote::{Network, Options, Remote, TlsFiles, network};
use helium_server::tls_acceptor;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::harness::{Fixture, end, greet, open_with, request, say};

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
    // One that closes says nothing of encryption.
    let (closing, end) = end(|_, _| false);
    let files = files("authority.crt", None);
    let why = open_with(closing, |options| options.tls = Some(files)).unwrap_err();
    assert_eq!(network(&why), Some(Network::CutOff), "{why}");
    end.join().unwrap();
}

/// Who says that nothing more is encrypted answers nothing more, though the socket is open: nothing is sent there, and so
/// nothing is unknown.
#[test]
fn a_connection_whose_encryption_was_ended_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, authority) in [("authority", None), ("server", Some("authority"))] {
        if !certificate(folder.path(), name, authority) {
            return;
        }
    }
    let certificate = CertificateDer::from_pem_file(path("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(path("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    // The word of the end may come late once: then what was asked is lost on the way, as it should be.
    let is_seen = (0..20).any(|_| {
        let put = put_after_an_end(config.clone(), path("authority.crt"));
        if let Err(why) = &put {
            assert_eq!(network(why), Some(Network::CutOff), "{why}");
        }
        put.is_ok()
    });
    assert!(is_seen);
}

/// Puts an item after the encryption of the connection that was kept was ended.
fn put_after_an_end(config: Arc<ServerConfig>, authority: PathBuf) -> heliumdb::Result<()> {
    let (close, closing) = std::sync::mpsc::channel::<()>();
    let (closed, is_closed) = std::sync::mpsc::channel();
    // Sockets of connections that are over stay open.
    let mut kept = Vec::new();
    let (address, end) = end(move |number, socket| {
        let socket = socket.get_ref().try_clone().unwrap();
        kept.push(socket.try_clone().unwrap());
        let tls = ServerConnection::new(config.clone()).unwrap();
        let mut stream = BufReader::new(StreamOwned::new(tls, socket));
        greet(&mut stream);
        if number == 0 {
            closing.recv().unwrap();
            let StreamOwned { conn, sock } = stream.get_mut();
            conn.send_close_notify();
            while conn.wants_write() {
                conn.write_tls(sock).unwrap();
            }
            closed.send(()).unwrap();
            return true;
        }
        while request(&mut stream).is_some() {
            say(&mut stream, "+OK\r\n");
        }
        false
    });
    let remote = open_with(address, |options| {
        options.tls = Some(TlsFiles {
            authority,
            identity: None,
        });
    });
    let remote = remote.unwrap();
    close.send(()).unwrap();
    is_closed.recv().unwrap();
    let put = remote.datastore(b"d").put(b"k", b"v");
    // A connection that broke is not used again, either.
    remote.datastore(b"d").put(b"k", b"v").unwrap();
    drop(remote);
    end.join().unwrap();
    put
}
