//! How a server is connected to, beyond its address: who one is, how it is encrypted, and how long anything may take.
//!
//! Invariant: a password is never shown.

use std::{env, ffi::OsString, fmt, fs, path::PathBuf, time::Duration};

use heliumdb::{Error, ErrorKind, Result};

/// Files in PEM for a connection that is encrypted.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Those who may have signed the server's certificate.
    pub authority: PathBuf,
    /// The client's own certificate and its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a server is connected to.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The user, where there is a password.
    pub user: String,
    /// The user's password. Without TLS it is sent to this machine only.
    pub password: Option<String>,
    /// Connections are encrypted.
    pub tls: Option<TlsFiles>,
    /// How long it may take to connect to one address of the host.
    pub connect: Duration,
    /// How long an answer may take, or a part of it to come, or to be sent.
    pub answer: Duration,
    /// How long the server may work on a copy or a checkpoint.
    pub work: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user: "default".to_owned(),
            password: None,
            tls: None,
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(120),
            work: Duration::from_secs(24 * 3600),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Options({:?}, {:?})", self.user, self.tls)
    }
}

impl Options {
    /// What the environment says: `HELIUM_USER`, `HELIUM_PASSWORD` or a file with it (`HELIUM_PASSWORD_FILE`), `HELIUM_TLS_CA` for
    /// connections that are encrypted, and with `HELIUM_TLS_CERT` and `HELIUM_TLS_KEY` the client's certificate.
    pub fn from_environment() -> Result<Self> {
        Self::from(|name| env::var_os(name))
    }

    fn from(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let bad = |why: String| Error::new(ErrorKind::InvalidArgument, why);
        let text = |name: &str| {
            let value = variable(name).map(OsString::into_string).transpose();
            value.map_err(|_| bad(format!("{name} is no text")))
        };
        let mut options = Self::default();
        if let Some(user) = text("HELIUM_USER")? {
            options.user = user;
        }
        options.password = text("HELIUM_PASSWORD")?;
        if let (None, Some(path)) = (&options.password, variable("HELIUM_PASSWORD_FILE")) {
            let read = fs::read_to_string(&path);
            let read =
                read.map_err(|why| Error::io(format_args!("reading {}", path.display()), why))?;
            options.password = Some(read.trim_end_matches(['\r', '\n']).to_owned());
        }
        let identity = match (variable("HELIUM_TLS_CERT"), variable("HELIUM_TLS_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => {
                return Err(bad(
                    "HELIUM_TLS_CERT and HELIUM_TLS_KEY go together".to_owned()
                ));
            }
        };
        match (variable("HELIUM_TLS_CA"), identity) {
            (Some(authority), identity) => {
                let authority = authority.into();
                options.tls = Some(TlsFiles {
                    authority,
                    identity,
                });
            }
            (None, None) => {}
            // Without it what follows would go out unencrypted.
            (None, Some(_)) => return Err(bad("HELIUM_TLS_CERT needs HELIUM_TLS_CA".to_owned())),
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn of(set: &[(&str, &str)]) -> heliumdb::Result<Options> {
        Options::from(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn the_environment_says_who_and_how() {
        let nothing = of(&[]).unwrap();
        assert_eq!(
            (&*nothing.user, &nothing.password, nothing.tls.is_some()),
            ("default", &None, false)
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "of a file\n").unwrap();
        let file = file.to_str().unwrap();
        let from_file = of(&[("HELIUM_PASSWORD_FILE", file)]).unwrap();
        assert_eq!(from_file.password.as_deref(), Some("of a file"));
        let both = [
            ("HELIUM_USER", "me"),
            ("HELIUM_PASSWORD", "secret"),
            ("HELIUM_PASSWORD_FILE", file),
        ];
        let both = of(&both).unwrap();
        assert_eq!(
            (&*both.user, both.password.as_deref()),
            ("me", Some("secret"))
        );
        assert!(!format!("{both:?}").contains("secret"));
        assert!(of(&[("HELIUM_TLS_CA", "ca")]).unwrap().tls.is_some());
        for set in [
            &[("HELIUM_TLS_CERT", "c")][..],
            &[("HELIUM_TLS_CERT", "c"), ("HELIUM_TLS_KEY", "k")],
            &[("HELIUM_PASSWORD_FILE", "/gone")],
        ] {
            assert!(of(set).is_err(), "{set:?}");
        }
    }
}
