//! TLS: the server's certificate, and those that clients have to show.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

/// Reads the files that a server is given for TLS.
pub fn acceptor(
    certificate: &Path,
    key: &Path,
    client_authority: Option<&Path>,
) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|why| format!("TLS: {why}"))?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots
                    .add(authority)
                    .map_err(|why| format!("{}: {why}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|why| format!("{}: {why}", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|why| format!("{}: no private key: {why}", key.display()))?;
    let config = builder
        .with_single_cert(certificates(certificate)?, secret)
        .map_err(|why| format!("{} and {}: {why}", certificate.display(), key.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let complain =
        |why: &dyn std::fmt::Display| format!("{}: no certificate: {why}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|why| complain(&why))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|why| complain(&why))?;
    if found.is_empty() {
        return Err(complain(&"the file has none"));
    }
    Ok(found)
}
