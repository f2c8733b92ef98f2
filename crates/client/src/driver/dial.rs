//! Where a granter is, and how a connection to it is made.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tlease_core::identity::Rights;
use tlease_wire::Address;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::embedded::Embedded;
use crate::error::ConnectError;

/// Makes connections to one granter.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    address: Address,
    /// The granter, if it is in this process; lives as long as somebody may dial it.
    embedded: Option<Arc<Embedded>>,
    within: Duration,
}

/// A connected socket of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Dialer {
    pub(crate) const fn new(
        address: Address,
        embedded: Option<Arc<Embedded>>,
        within: Duration,
    ) -> Self {
        Self { address, embedded, within }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// How long a connection may take, and then the opening of the session on it.
    pub(crate) const fn within(&self) -> Duration {
        self.within
    }

    pub(crate) const fn embedded(&self) -> Option<&Arc<Embedded>> {
        self.embedded.as_ref()
    }

    /// Makes a connection.
    pub(super) async fn dial(&self) -> Result<Stream, ConnectError> {
        let dialed = tokio::time::timeout(self.within, self.dial_patiently()).await;
        dialed.unwrap_or_else(|_| Err(self.unreachable(io::ErrorKind::TimedOut.into())))
    }

    async fn dial_patiently(&self) -> Result<Stream, ConnectError> {
        match (&self.address, &self.embedded) {
            (Address::Tcp { host, port }, _) => self.dial_tcp(host, *port).await,
            (Address::Unix(path), _) => UnixStream::connect(path)
                .await
                .map(Stream::Unix)
                .map_err(|source| self.unreachable(source)),
            (Address::Embedded(_), Some(embedded)) => {
                let stream = embedded.connect(Rights::Operator).map_err(ConnectError::System)?;
                stream.set_nonblocking(true).map_err(ConnectError::System)?;
                UnixStream::from_std(stream).map(Stream::Unix).map_err(ConnectError::System)
            }
            (Address::Embedded(_), None) => Err(self.unreachable(io::ErrorKind::NotFound.into())),
        }
    }

    async fn dial_tcp(&self, host: &str, port: u16) -> Result<Stream, ConnectError> {
        let unresolved = |source| ConnectError::Unresolved { host: host.into(), source };
        let mut failed = None;
        for address in tokio::net::lookup_host((host, port)).await.map_err(unresolved)? {
            if !address.ip().to_canonical().is_loopback() {
                return Err(ConnectError::NotLoopback { address });
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|source| self.unreachable(source))?;
                    return Ok(Stream::Tcp(stream));
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(match failed {
            Some(source) => self.unreachable(source),
            None => unresolved(io::ErrorKind::NotFound.into()),
        })
    }

    fn unreachable(&self, source: io::Error) -> ConnectError {
        ConnectError::Unreachable { address: self.address.clone(), source }
    }
}

impl Stream {
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
        }
    }

    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(into),
            Self::Unix(stream) => stream.try_read(into),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }
}
