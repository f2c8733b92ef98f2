//! A session: bytes in both directions, each kept from being read, changed, repeated, left out,
//! moved or cut off on their way (I31).

use core::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use snow::StatelessTransportState;

use crate::appraise::Peer;
use crate::frame::{Broken, FRAME_MAX, Frames, framed};

/// A stream to a peer that has proved what it is.
///
/// Blocks as its stream does. Over one that does not block, `WouldBlock` loses nothing: the call can
/// be repeated, and [`Write::flush`] sends what an accepted write has left.
#[derive(Debug)]
pub struct Session<S> {
    stream: S,
    receiver: Receiver,
    sender: Sender,
    peer: Peer,
    peer_key: [u8; 32],
}

impl<S> Session<S> {
    pub(crate) fn new(
        stream: S,
        (sender, receiver): (Sender, Receiver),
        peer: Peer,
        peer_key: [u8; 32],
    ) -> Self {
        Self { stream, receiver, sender, peer, peer_key }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The key that the peer has as long as it runs: equal in all sessions of one instance.
    #[must_use]
    pub const fn peer_key(&self) -> &[u8; 32] {
        &self.peer_key
    }

    /// The stream below, for its settings. Whoever reads or writes there breaks the session.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Two halves for two threads. `again` is another handle of the same stream, as from
    /// [`std::net::TcpStream::try_clone`]; with any other the peer refuses what is written.
    #[must_use]
    pub fn split(self, again: S) -> (Reader<S>, Writer<S>) {
        let reader = Reader { stream: self.stream, receiver: self.receiver };
        (reader, Writer { stream: again, sender: self.sender })
    }
}

impl<S: Write> Session<S> {
    /// Tells the peer that nothing more comes from here. Without this the peer's reads end in
    /// [`Fault::Truncated`], not in an end of file.
    ///
    /// # Errors
    /// As the stream says; after `WouldBlock` call it again.
    pub fn close(&mut self) -> io::Result<()> {
        self.sender.close(&mut self.stream)
    }
}

impl<S: Read> Read for Session<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receiver.read(&mut self.stream, buffer)
    }
}

impl<S: Write> Write for Session<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sender.write(&mut self.stream, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sender.flush(&mut self.stream)
    }
}

/// The half of a session that reads.
#[derive(Debug)]
pub struct Reader<S> {
    stream: S,
    receiver: Receiver,
}

impl<S: Read> Read for Reader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receiver.read(&mut self.stream, buffer)
    }
}

/// The half of a session that writes.
#[derive(Debug)]
pub struct Writer<S> {
    stream: S,
    sender: Sender,
}

impl<S: Write> Writer<S> {
    /// As [`Session::close`].
    ///
    /// # Errors
    /// As [`Session::close`].
    pub fn close(&mut self) -> io::Result<()> {
        self.sender.close(&mut self.stream)
    }
}

impl<S: Write> Write for Writer<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sender.write(&mut self.stream, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sender.flush(&mut self.stream)
    }
}

/// What a frame carries; its first byte under the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Data,
    /// Nothing more comes.
    Close,
    Evidence,
    /// The evidence was good.
    Accepted,
    /// It was not; one byte says why.
    Refused,
}

impl Content {
    const fn number(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Close => 1,
            Self::Evidence => 2,
            Self::Accepted => 3,
            Self::Refused => 4,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Data),
            1 => Some(Self::Close),
            2 => Some(Self::Evidence),
            3 => Some(Self::Accepted),
            4 => Some(Self::Refused),
            _ => None,
        }
    }
}

/// Opens what the peer sealed.
pub(crate) struct Receiver {
    ciphers: Arc<StatelessTransportState>,
    /// The number of the next frame, which its seal covers: none is repeated, left out or moved.
    next: u64,
    frames: Frames,
    /// Data of the last frame, and how much of it was given out.
    data: Vec<u8>,
    done: usize,
    end: Option<End>,
}

/// Why nothing more is read.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The peer said so.
    Closed,
    Fault(Fault),
}

impl Receiver {
    pub(crate) fn new(ciphers: Arc<StatelessTransportState>) -> Self {
        Self { ciphers, next: 0, frames: Frames::default(), data: Vec::new(), done: 0, end: None }
    }

    /// The next frame, opened.
    pub(crate) fn next(&mut self, stream: &mut impl Read) -> Result<(Content, Vec<u8>), Unread> {
        let sealed = match self.frames.next(stream) {
            Ok(sealed) => sealed,
            Err(Broken::Io(error)) => return Err(Unread::Io(error)),
            Err(Broken::Ended) => return Err(Unread::Fault(Fault::Truncated)),
            Err(Broken::TooLong { announced }) => {
                return Err(Unread::Fault(Fault::TooLong { announced }));
            }
        };
        let mut opened = vec![0; sealed.len()];
        let len = self
            .ciphers
            .read_message(self.next, &sealed, &mut opened)
            .map_err(|_| Unread::Fault(Fault::Forged))?;
        self.next = self.next.checked_add(1).ok_or(Unread::Fault(Fault::Exhausted))?;
        opened.truncate(len);
        let content = opened.first().copied().and_then(Content::of);
        let content = content.ok_or(Unread::Fault(Fault::Unexpected))?;
        opened.drain(..1);
        Ok((content, opened))
    }

    fn read(&mut self, stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.done == self.data.len() {
            match self.end {
                None => self.read_frame(stream)?,
                Some(End::Closed) => {}
                Some(End::Fault(fault)) => return Err(fault.into()),
            }
        }
        let len = buffer.len().min(self.data.len() - self.done);
        buffer[..len].copy_from_slice(&self.data[self.done..self.done + len]);
        self.done += len;
        Ok(len)
    }

    /// Takes one frame of data, or the end.
    fn read_frame(&mut self, stream: &mut impl Read) -> io::Result<()> {
        let fault = match self.next(stream) {
            Ok((Content::Data, data)) if !data.is_empty() => {
                self.data = data;
                self.done = 0;
                return Ok(());
            }
            Ok((Content::Close, _)) => {
                self.end = Some(End::Closed);
                return Ok(());
            }
            // An empty frame would be work for nothing, as often as the peer likes.
            Ok(_) => Fault::Unexpected,
            Err(Unread::Io(error)) => return Err(error),
            Err(Unread::Fault(fault)) => fault,
        };
        self.end = Some(End::Fault(fault));
        Err(fault.into())
    }
}

/// Without keys and data.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Why there is no frame.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The stream failed; it may go on later.
    Io(io::Error),
    /// The session is over.
    Fault(Fault),
}

/// Seals what goes to the peer.
pub(crate) struct Sender {
    ciphers: Arc<StatelessTransportState>,
    next: u64,
    /// A sealed frame, and how much of it the stream has taken.
    sealed: Vec<u8>,
    sent: usize,
    is_closed: bool,
}

impl Sender {
    pub(crate) fn new(ciphers: Arc<StatelessTransportState>) -> Self {
        Self { ciphers, next: 0, sealed: Vec::new(), sent: 0, is_closed: false }
    }

    /// Sends one frame and waits until the stream has taken it.
    ///
    /// # Panics
    /// If the frame is too long: the caller has a bound.
    pub(crate) fn send(
        &mut self,
        stream: &mut impl Write,
        content: Content,
        payload: &[u8],
    ) -> io::Result<()> {
        self.seal(content, payload)?;
        self.flush(stream)
    }

    fn write(&mut self, stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Err(Fault::Closed.into());
        }
        self.drain(stream)?;
        let bytes = &bytes[..bytes.len().min(DATA_MAX)];
        if bytes.is_empty() {
            return Ok(0);
        }
        self.seal(Content::Data, bytes)?;
        // The bytes are taken once they are sealed: to send them again would be to send them twice.
        match self.drain(stream) {
            Err(error) if is_for_later(&error) => Ok(bytes.len()),
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self, stream: &mut impl Write) -> io::Result<()> {
        self.drain(stream)?;
        stream.flush()
    }

    fn close(&mut self, stream: &mut impl Write) -> io::Result<()> {
        if !self.is_closed {
            self.drain(stream)?;
            self.seal(Content::Close, &[])?;
            self.is_closed = true;
        }
        self.flush(stream)
    }

    /// Only when the last frame is sent.
    fn seal(&mut self, content: Content, payload: &[u8]) -> io::Result<()> {
        let mut plain = Vec::with_capacity(1 + payload.len());
        plain.push(content.number());
        plain.extend_from_slice(payload);
        let mut sealed = vec![0; plain.len() + SEAL];
        let number = self.next;
        // Counted first: no number ever seals two frames.
        self.next = number.checked_add(1).ok_or(Fault::Exhausted)?;
        self.ciphers.write_message(number, &plain, &mut sealed).map_err(|_| Fault::Exhausted)?;
        self.sealed = framed(&sealed);
        self.sent = 0;
        Ok(())
    }

    fn drain(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while self.sent < self.sealed.len() {
            match stream.write(&self.sealed[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Without keys and data.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("next", &self.next).finish_non_exhaustive()
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Why a session is over before its end. The source of the [`io::Error`] that reads and writes give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The stream ended, and the peer did not say that it would.
    Truncated,
    /// A frame announces more than [`FRAME_MAX`] bytes.
    TooLong {
        /// How many.
        announced: usize,
    },
    /// A frame was not sealed by the peer for this place in this session.
    Forged,
    /// The peer sent what has no place here.
    Unexpected,
    /// Frames have no numbers left.
    Exhausted,
    /// This side said that nothing more comes.
    Closed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str(
                "the connection was cut: the peer did not say that it was done; connect again",
            ),
            Self::TooLong { announced } => {
                write!(f, "a frame of {announced} bytes was announced; at most {FRAME_MAX} go")
            }
            Self::Forged => f.write_str(
                "a frame was changed, repeated, left out or moved on its way; connect again",
            ),
            Self::Unexpected => f.write_str("the peer broke the protocol tlease-attest/1"),
            Self::Exhausted => f.write_str("the session is used up; connect again"),
            Self::Closed => f.write_str("this side has closed the session already"),
        }
    }
}

impl core::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::Truncated => ErrorKind::UnexpectedEof,
            Fault::TooLong { .. } | Fault::Forged | Fault::Unexpected => ErrorKind::InvalidData,
            Fault::Exhausted | Fault::Closed => ErrorKind::BrokenPipe,
        };
        Self::new(kind, fault)
    }
}

/// What the cipher adds to a frame.
const SEAL: usize = 16;

/// The most data in one frame: its first byte says what it carries.
const DATA_MAX: usize = FRAME_MAX - SEAL - 1;
