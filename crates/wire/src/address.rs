//! Where a granter is.

use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};

/// Where a granter is reached.
///
/// Written `tcp://HOST:PORT` (or `HOST:PORT`), `unix:PATH`, or `embedded:DIR` for a granter inside
/// the client's own process that keeps its record in `DIR`.
///
/// # Examples
/// ```
/// use tlease_wire::Address;
/// let address: Address = "tcp://[::1]:7420".parse()?;
/// assert_eq!(address, Address::Tcp { host: "::1".into(), port: 7420 });
/// assert_eq!(address.to_string(), "tcp://[::1]:7420");
/// # Ok::<(), tlease_wire::BadAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Over TCP.
    Tcp {
        /// A host name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Over a Unix socket.
    Unix(PathBuf),
    /// In this process.
    Embedded(PathBuf),
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/x` is the path /run/x, as in a URL.
            let path = path.strip_prefix("//").unwrap_or(path);
            return path_of(path, text).map(Self::Unix);
        }
        if let Some(path) = text.strip_prefix("embedded:") {
            return path_of(path, text).map(Self::Embedded);
        }
        match (text.strip_prefix("tcp://"), text.contains("://")) {
            (Some(rest), _) => tcp(rest, text),
            (None, false) => tcp(text, text),
            (None, true) => Err(BadAddress::Scheme { text: text.into() }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
        }
    }
}

fn path_of(path: &str, text: &str) -> Result<PathBuf, BadAddress> {
    if path.is_empty() || path.contains('\0') {
        return Err(BadAddress::NoPath { text: text.into() });
    }
    Ok(Path::new(path).to_path_buf())
}

fn tcp(rest: &str, text: &str) -> Result<Address, BadAddress> {
    let (host, port) = rest
        .trim_end_matches('/')
        .rsplit_once(':')
        .ok_or_else(|| BadAddress::NoPort { text: text.into() })?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']'),
        None => (!host.contains(':')).then_some(host),
    };
    let host = host.filter(|host| !host.is_empty() && !host.contains(['/', '[', ']', ' ']));
    let host = host.ok_or_else(|| BadAddress::Host { text: text.into() })?;
    // `parse` alone would take "+1".
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port);
    let port = digits.and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| BadAddress::NoPort { text: text.into() })?;
    Ok(Address::Tcp { host: host.into(), port })
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadAddress {
    /// It begins with another scheme.
    Scheme {
        /// The text.
        text: String,
    },
    /// It has no path, or one with a zero byte.
    NoPath {
        /// The text.
        text: String,
    },
    /// It ends without a port between 0 and 65535.
    NoPort {
        /// The text.
        text: String,
    },
    /// Its host is empty or malformed.
    Host {
        /// The text.
        text: String,
    },
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme { text } => write!(
                f,
                "'{text}' is no address: write tcp://HOST:PORT, unix:PATH or embedded:DIR"
            ),
            Self::NoPath { text } => write!(f, "'{text}' is no address: its path is missing"),
            Self::NoPort { text } => write!(
                f,
                "'{text}' is no address: it needs a port at its end, as in tcp://HOST:PORT; \
                 or write unix:PATH or embedded:DIR"
            ),
            Self::Host { text } => write!(
                f,
                "'{text}' is no address: its host is missing or malformed (an IPv6 address goes \
                 in brackets: tcp://[::1]:7420)"
            ),
        }
    }
}

impl core::error::Error for BadAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        let tcp = |host: &str| Address::Tcp { host: host.into(), port: 7420 };
        for (text, address) in [
            ("tcp://127.0.0.1:7420", tcp("127.0.0.1")),
            ("tcp://localhost:7420", tcp("localhost")),
            ("tcp://[::1]:7420", tcp("::1")),
            ("unix:/run/tlease.sock", Address::Unix("/run/tlease.sock".into())),
            ("unix:relative", Address::Unix("relative".into())),
            ("embedded:./granter", Address::Embedded("./granter".into())),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()), "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("127.0.0.1:7420".parse(), Ok(tcp("127.0.0.1")));
        assert_eq!("tcp://localhost:7420/".parse(), Ok(tcp("localhost")));
        assert_eq!("unix:///run/x".parse(), Ok(Address::Unix("/run/x".into())));
    }

    #[test]
    fn what_is_no_address_says_what_is_missing() {
        for (text, says) in [
            ("http://localhost:1", "write tcp://HOST:PORT"),
            ("localhost", "needs a port"),
            ("tcp://localhost:", "needs a port"),
            ("tcp://localhost:+1", "needs a port"),
            ("tcp://localhost:65536", "needs a port"),
            ("tcp://:1", "host is missing"),
            ("tcp://::1:7420", "in brackets"),
            ("tcp://[::1:7420", "in brackets"),
            ("", "needs a port"),
            ("unix:", "path is missing"),
            ("embedded:", "path is missing"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
