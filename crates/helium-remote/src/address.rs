//! URLs of volumes on servers: `he://host[:port]/volume`.
//!
//! Invariant: nothing secret is ever part of one, so that it can be printed.

use std::fmt;

use heliumdb::{Error, ErrorKind, Result};

/// The port of a server unless its URL has another one.
pub const PORT: u16 = 41_000;

/// Where a server is, and what it calls the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty for the first that it serves.
    pub(crate) volume: String,
}

/// Whether a URL names a volume on a server: it has a host, where those of this machine have a dot or nothing.
pub fn is_remote(url: &str) -> bool {
    rest(url).is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && host != "."
    })
}

fn rest(url: &str) -> Option<&str> {
    let scheme = url.get(..5)?;
    scheme.eq_ignore_ascii_case("he://").then(|| &url[5..])
}

impl Address {
    pub(crate) fn of(url: &str) -> Result<Self> {
        let bad = |why: &str| Err(Error::new(ErrorKind::InvalidUrl, why));
        let rest = rest(url).filter(|_| is_remote(url));
        let Some(rest) = rest else {
            return bad(
                "a volume on a server is named by host, port and its name there, as in he://localhost:41000/fruit",
            );
        };
        let (server, volume) = rest.split_once('/').unwrap_or((rest, ""));
        if server.contains('@') {
            // It may be a password: it is not shown.
            return bad(
                "the URL of a server has no user or password in it: they are in HELIUM_USER and HELIUM_PASSWORD",
            );
        }
        let (host, port) = match server.strip_prefix('[') {
            Some(literal) => match literal.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, port)) => match port.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None => {
                        return bad(
                            "behind the address in [] of a URL stands a colon and the port",
                        );
                    }
                },
                None => return bad("the address of the URL has a [ without a ]"),
            },
            None => match server.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (server, None),
            },
        };
        let port = match port.map(str::parse::<u16>) {
            None => PORT,
            Some(Ok(port @ 1..)) => port,
            Some(_) => {
                return bad(
                    "the port of a URL is a number from 1 to 65535, as in he://localhost:41000/fruit",
                );
            }
        };
        if host.is_empty() || host.contains(|found: char| found.is_control() || found == ' ') {
            return bad("the URL of a server has no host, or one that cannot be");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            volume: volume.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, is_remote};

    #[test]
    fn hosts_ports_and_names() {
        for (url, host, port, volume) in [
            ("he://a/b", "a", 41_000, "b"),
            ("HE://a.b:1/b/c", "a.b", 1, "b/c"),
            ("he://a", "a", 41_000, ""),
            ("he://a:65535/", "a", 65_535, ""),
            ("he://[::1]/v", "::1", 41_000, "v"),
            ("he://[::1]:7/v", "::1", 7, "v"),
        ] {
            let found = Address::of(url).unwrap();
            assert_eq!(
                (&*found.host, found.port, &*found.volume),
                (host, port, volume),
                "{url}"
            );
        }
        for url in [
            "he://a:/v",
            "he://a:0/v",
            "he://a:65536/v",
            "he://a:b/v",
            "he://[::1/v",
            "he://[::1]7/v",
            "he://:5/v",
            "he://[]/v",
        ] {
            assert!(Address::of(url).is_err(), "{url}");
        }
        for url in ["he://./a", "he:///a", "a", "/a", "he:/", "", "he://."] {
            assert!(!is_remote(url), "{url}");
            assert!(Address::of(url).is_err(), "{url}");
        }
        let why = Address::of("he://me:secret@a/v").unwrap_err().to_string();
        assert!(
            !why.contains("secret") && why.contains("HELIUM_PASSWORD"),
            "{why}"
        );
    }
}
