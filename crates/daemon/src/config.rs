//! What a server is set to.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use tlease_core::granter::Limits;
use tlease_core::identity::Rights;
use tlease_wire::Address;

use crate::store::{Holders, Init};

/// What a server is set to.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of its record.
    pub data: PathBuf,
    /// Whether it may begin without one.
    pub init: Init,
    /// Where it listens; nowhere, if only [`Control::connect`](crate::Control::connect) is to reach
    /// it.
    pub listen: Vec<Listen>,
    /// Bounds of the granter.
    pub limits: Limits,
    /// Bounds of its connections.
    pub connections: ConnectionLimits,
    /// Stops after so long without a connection, as soon as nothing is held or waited for: for a
    /// granter that is started on demand.
    pub stop_when_idle: Option<Duration>,
}

impl Config {
    /// Defaults for a granter that keeps its record in `data` and listens nowhere yet.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, init: Init) -> Self {
        Self {
            data: data.into(),
            init,
            listen: Vec::new(),
            limits: Limits::default(),
            connections: ConnectionLimits::default(),
            stop_when_idle: None,
        }
    }

    /// Adds a place to listen.
    #[must_use]
    pub fn listen(mut self, listen: Listen) -> Self {
        self.listen.push(listen);
        self
    }

    /// Where its holders can be. TCP on the loopback address can be forwarded, so it counts as
    /// anywhere.
    pub(crate) fn holders(&self) -> Holders {
        let tcp = self.listen.iter().any(|listen| match listen {
            Listen::Tcp(_) => true,
            Listen::Unix { .. } => false,
        });
        match tcp {
            true => Holders::Anywhere,
            false => Holders::OnThisMachine,
        }
    }
}

/// A place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// TCP, for any user of this machine. Refused at the start unless it is a loopback address. Its
    /// connections may hold leases.
    Tcp(SocketAddr),
    /// A Unix socket with mode 0600, for processes of the server's own user and of root.
    ///
    /// Who may recall by force is decided by the socket, not by the user: an operator's socket
    /// besides the one for holders lets a tool of the same user be kept from it by a directory's
    /// permissions. A granter that serves a single user may give everyone [`Rights::Operator`].
    Unix {
        /// Its path. A socket that nobody listens on any more is replaced.
        path: PathBuf,
        /// What its connections may do.
        rights: Rights,
    },
}

impl Listen {
    /// The places that `address` names, for holders: a host name may have several.
    ///
    /// # Errors
    /// If it names none, or one that this version does not serve.
    pub fn at(address: &Address) -> Result<Vec<Self>, BadListen> {
        match address {
            Address::Tcp { host, port } => {
                let found = (host.as_str(), *port)
                    .to_socket_addrs()
                    .map_err(|source| BadListen::Unresolved { host: host.clone(), source })?;
                found.map(|address| Self::Tcp(address).served()).collect()
            }
            Address::Unix(path) => {
                Ok(vec![Self::Unix { path: path.clone(), rights: Rights::Holder }])
            }
            Address::Embedded(_) => Err(BadListen::Embedded),
        }
    }

    /// Itself, if this version serves it.
    pub(crate) fn served(self) -> Result<Self, BadListen> {
        match self {
            Self::Tcp(address) if !address.ip().to_canonical().is_loopback() => {
                Err(BadListen::NotLoopback { address })
            }
            Self::Tcp(_) | Self::Unix { .. } => Ok(self),
        }
    }
}

/// Why a place cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BadListen {
    /// It can be reached from elsewhere, which needs TLS.
    #[error(
        "will not listen on {address}: anyone who reaches it could take and release leases, and \
         TLS is not in this version; listen on a loopback address (127.0.0.1, [::1]) or a Unix \
         socket, and forward it through a tunnel that authenticates"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The host name means nothing here.
    #[error("cannot find the host '{host}'")]
    Unresolved {
        /// The name.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// An embedded granter listens nowhere.
    #[error("a granter embedded in a client listens nowhere; write HOST:PORT or unix:PATH")]
    Embedded,
}

/// Bounds of a server's connections: what a client can cost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once. Each takes a descriptor and some kilobytes; see `ulimit -n`.
    pub count_max: usize,
    /// How long a client may take to say its hello: a slow network's round trip, many times over.
    pub hello_within: Duration,
    /// How long a client that was said goodbye may take to read it.
    pub goodbye_within: Duration,
    /// While so many bytes wait to be read by a client, no more of its requests are read.
    pub unread_pause: usize,
    /// A client that leaves more than so many bytes unread is closed: several of the longest frames,
    /// so that only watches and recalls that nobody reads get there. Times the bound on watches, it
    /// is what watchers that do not read can cost in memory.
    pub unread_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            count_max: 10_000,
            hello_within: Duration::from_secs(10),
            goodbye_within: Duration::from_secs(2),
            unread_pause: 256 << 10,
            unread_max: 8 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_unix_sockets_are_served() {
        for text in ["tcp://127.0.0.1:0", "[::1]:7420", "127.8.8.8:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(Listen::at(&text.parse().unwrap()).unwrap().len(), 1, "{text}");
        }
        for text in ["0.0.0.0:1", "tcp://[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            let refused = Listen::at(&text.parse().unwrap()).unwrap_err().to_string();
            assert!(refused.contains("TLS is not in this version"), "{refused}");
        }
        assert!(Listen::at(&"unix:/run/x".parse().unwrap()).is_ok());
        assert!(Listen::at(&"embedded:x".parse().unwrap()).is_err());
    }

    #[test]
    fn holders_are_on_this_machine_only_if_nothing_but_unix_sockets_lead_here() {
        let unix = Listen::Unix { path: "x".into(), rights: Rights::Holder };
        let config = Config::new("x", Init::Never).listen(unix);
        assert_eq!(config.holders(), Holders::OnThisMachine);
        let config = config.listen(Listen::Tcp(([127, 0, 0, 1], 0).into()));
        assert_eq!(config.holders(), Holders::Anywhere);
    }
}
