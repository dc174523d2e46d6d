//! TLS: who may have signed the server's certificate, and the client's own.

use std::{fmt, io, net::TcpStream, path::Path, sync::Arc};

use heliumdb::{Error, Result};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::{
    address::Address,
    failure::{Network, failed, lost},
    options::TlsFiles,
    stream::Stream,
};

/// Agrees on keys with the server at the other end of `socket`, which has to show that it is the one that was named.
pub(crate) fn encrypt(mut socket: TcpStream, at: &Address, files: &TlsFiles) -> Result<Stream> {
    let config = config(at, files)?;
    let complain = |why: &dyn fmt::Display| failed(Network::Encryption, at, why);
    let name = ServerName::try_from(at.host.clone()).map_err(|why| complain(&why))?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|why| complain(&why))?;
    while tls.is_handshaking() {
        let done = tls.complete_io(&mut socket);
        done.map_err(|why| match why.kind() {
            io::ErrorKind::InvalidData => complain(&format_args!("no keys were agreed on: {why}")),
            _ => lost(at, &why),
        })?;
    }
    Ok(Stream::encrypted(socket, tls))
}

fn config(at: &Address, files: &TlsFiles) -> Result<ClientConfig> {
    let complain = |why: &dyn fmt::Display| failed(Network::Encryption, at, why);
    let mut roots = RootCertStore::empty();
    for authority in certificates(at, &files.authority)? {
        roots.add(authority).map_err(|why| complain(&why))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| complain(&why))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &files.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|why| complain(&format_args!("{}: no private key: {why}", key.display())))?;
    builder
        .with_client_auth_cert(certificates(at, certificate)?, secret)
        .map_err(|why| complain(&format_args!("{}: {why}", certificate.display())))
}

fn certificates(at: &Address, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let complain = |why: &dyn fmt::Display| -> Error {
        let why = format_args!("{}: no certificate: {why}", path.display()).to_string();
        failed(Network::Encryption, at, why)
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|why| complain(&why))?;
    let found: std::result::Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|why| complain(&why))?;
    match found.is_empty() {
        true => Err(complain(&"the file has none")),
        false => Ok(found),
    }
}
