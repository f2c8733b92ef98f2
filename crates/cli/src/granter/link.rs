//! One connection to a granter, and messages over it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tlease_core::identity::AskId;
use tlease_core::message::{Answer, Ask, FromGranter, ToGranter};
use tlease_wire::{
    Address, BadFrame, FrameDecoder, FrameError, Goodbye, MessageTooLarge, ToGranterFrames,
    read_from_granter,
};

/// A connection to a granter.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    frames: ToGranterFrames,
    decoder: FrameDecoder,
    heard: VecDeque<FromGranter>,
    goodbye: Option<Goodbye>,
    last_ask: u64,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why nothing can be said over a connection, or none can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(
        "no granter at {address}; start one with 'tlease serve', or leave out --server and \
         TLEASE_SERVER to use this user's local granter"
    )]
    Connect { address: Address, source: io::Error },
    #[error(
        "{address} is not on this machine, and TLS is not in this version; use a loopback address \
         or unix:PATH, through a tunnel that authenticates"
    )]
    NotThisMachine { address: SocketAddr },
    #[error("a command cannot embed a granter; write HOST:PORT or unix:PATH")]
    Embedded,
    #[error("the granter does not answer (waited {waited:?}); it may be stopped or overloaded")]
    Silent { waited: Duration },
    #[error("the granter closed the connection without a word; is it one?")]
    Closed,
    #[error("the granter closed the connection: {0}")]
    Goodbye(Goodbye),
    #[error("the connection to the granter broke")]
    Io(#[source] io::Error),
    #[error("what answers there is no granter, or one of another version: {0}")]
    NotUnderstood(String),
    #[error("the request is too large")]
    TooLarge(#[source] MessageTooLarge),
}

impl LinkError {
    /// Whether the granter went away, so that a new one may be had in its place.
    pub(crate) const fn is_absence(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Closed | Self::Goodbye(_) | Self::Io(_) => true,
            Self::NotThisMachine { .. }
            | Self::Embedded
            | Self::Silent { .. }
            | Self::NotUnderstood(_)
            | Self::TooLarge(_) => false,
        }
    }
}

impl Link {
    /// Connects to the granter at `address`.
    pub(crate) fn to(address: &Address) -> Result<Self, LinkError> {
        let connect = |source| LinkError::Connect { address: address.clone(), source };
        let stream = match address {
            Address::Tcp { host, port } => {
                let found = (host.as_str(), *port).to_socket_addrs().map_err(connect)?;
                Stream::Tcp(connect_tcp(found, &connect)?)
            }
            Address::Unix(path) => Stream::Unix(connect_unix(path).map_err(connect)?),
            Address::Embedded(_) => return Err(LinkError::Embedded),
        };
        Self::over(stream).map_err(connect)
    }

    /// Speaks over a connection that was made already.
    pub(crate) fn over_unix(stream: UnixStream) -> io::Result<Self> {
        Self::over(Stream::Unix(stream))
    }

    fn over(stream: Stream) -> io::Result<Self> {
        match &stream {
            Stream::Tcp(stream) => stream.set_nodelay(true)?,
            Stream::Unix(_) => {}
        }
        Ok(Self {
            stream,
            frames: ToGranterFrames::with_hello(),
            decoder: FrameDecoder::default(),
            heard: VecDeque::new(),
            goodbye: None,
            last_ask: 0,
        })
    }

    /// Asks, and waits for the answer. Whatever else comes meanwhile is kept.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Answer, LinkError> {
        let id = self.send_ask(ask)?;
        let mut others = VecDeque::new();
        let answer = loop {
            match self.hear(ANSWER_WITHIN)? {
                FromGranter::Answer { id: of, answer } if of == id => break *answer,
                other @ (FromGranter::Answer { .. }
                | FromGranter::Opened(_)
                | FromGranter::NotOpened(_)
                | FromGranter::Reply { .. }
                | FromGranter::Recalled { .. }
                | FromGranter::Happened { .. }) => others.push_back(other),
            }
        };
        others.append(&mut self.heard);
        self.heard = others;
        Ok(answer)
    }

    /// Sends a question; its id.
    pub(crate) fn send_ask(&mut self, ask: Ask) -> Result<AskId, LinkError> {
        self.last_ask += 1;
        let id = AskId(self.last_ask);
        self.send(&ToGranter::Ask { id, ask })?;
        Ok(id)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &ToGranter) -> Result<(), LinkError> {
        self.frames.push(message).map_err(LinkError::TooLarge)?;
        let unsent = self.frames.unsent();
        let written = match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(unsent),
            Stream::Unix(stream) => stream.write_all(unsent),
        };
        let count = unsent.len();
        self.frames.sent(count);
        // A granter that hung up has said why, most likely: read that.
        written.or_else(|why| self.last_word().map_or(Err(LinkError::Io(why)), Err))
    }

    /// The next message, which must come within `patience`.
    pub(crate) fn hear(&mut self, patience: Duration) -> Result<FromGranter, LinkError> {
        let until = monotonic_now() + patience;
        loop {
            if let Some(message) = self.next_heard()? {
                return Ok(message);
            }
            let left = until.saturating_duration_since(monotonic_now());
            if !self.readable_within(left)? {
                return Err(LinkError::Silent { waited: patience });
            }
            self.read()?;
        }
    }

    /// The next message that has come already.
    pub(crate) fn next_heard(&mut self) -> Result<Option<FromGranter>, LinkError> {
        match (self.heard.pop_front(), self.goodbye.take()) {
            (Some(message), goodbye) => {
                self.goodbye = goodbye;
                Ok(Some(message))
            }
            (None, Some(goodbye)) => Err(LinkError::Goodbye(goodbye)),
            (None, None) => Ok(None),
        }
    }

    /// Reads once; waits if nothing has come. To be called when the descriptor is readable.
    pub(crate) fn read(&mut self) -> Result<(), LinkError> {
        let mut bytes = [0; 16_384];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut bytes),
            Stream::Unix(stream) => stream.read(&mut bytes),
        };
        let count = match read {
            Ok(0) => return Err(LinkError::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(LinkError::Io(error)),
        };
        self.decoder.push(&bytes[..count]);
        let mut messages = Vec::new();
        while let Some(frame) = self.decoder.next_frame()? {
            if let Some(goodbye) = read_from_granter(frame, &mut messages)? {
                self.goodbye = Some(goodbye);
            }
        }
        self.heard.extend(messages);
        Ok(())
    }

    fn last_word(&mut self) -> Option<LinkError> {
        while self.goodbye.is_none() && self.readable_within(Duration::ZERO).ok()? {
            self.read().ok()?;
        }
        self.goodbye.take().map(LinkError::Goodbye)
    }

    fn readable_within(&self, patience: Duration) -> Result<bool, LinkError> {
        wait(&[self.as_fd()], Some(patience)).map(|ready| ready[0]).map_err(LinkError::Io)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl From<FrameError> for LinkError {
    fn from(error: FrameError) -> Self {
        Self::NotUnderstood(error.to_string())
    }
}

impl From<BadFrame> for LinkError {
    fn from(error: BadFrame) -> Self {
        Self::NotUnderstood(error.to_string())
    }
}

/// Which of `fds` are readable or closed, after at most `patience`. An interruption counts as none.
pub(crate) fn wait(fds: &[BorrowedFd<'_>], patience: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    // Rounded up by a millisecond, so that a wait is not over just before its time, again and again.
    let patience = patience.map(|span| span.min(WAIT_MAX) + Duration::from_millis(1));
    let patience = patience.and_then(|span| Timespec::try_from(span).ok());
    match poll(&mut polled, patience.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect())
}

/// The kernel's clock, for timeouts of sockets: no lease depends on it.
#[expect(clippy::disallowed_methods, reason = "a shell's timeouts; leases have their own hands")]
pub(crate) fn monotonic_now() -> Instant {
    Instant::now()
}

fn connect_tcp(
    found: impl Iterator<Item = SocketAddr>,
    connect: &impl Fn(io::Error) -> LinkError,
) -> Result<TcpStream, LinkError> {
    let mut last = connect(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for address in found {
        if !address.ip().to_canonical().is_loopback() {
            return Err(LinkError::NotThisMachine { address });
        }
        match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = connect(error),
        }
    }
    Err(last)
}

fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    // A granter that is stopped accepts nothing, and the kernel lets us wait for ever once its
    // queue is full; in practice the queue has room, and the silence shows at the first question.
    UnixStream::connect(path)
}

/// Far beyond what a granter takes under load; a user who waits longer wants to know.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// `poll` takes no more; every wait is in a loop.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
