//! `Connection`: one client's socket, from its hello to its goodbye.

use std::io;
use std::time::Instant;

use tlease_core::identity::Rights;
use tlease_core::message::{FromGranter, ToGranter};
use tlease_wire::{
    BadFrame, FrameDecoder, FrameError, FromGranterFrames, Goodbye, MessageTooLarge,
    read_to_granter,
};

use super::poll::Interest;
use super::stream::{Origin, Stream};

/// One client's socket.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) origin: Origin,
    pub(super) rights: Rights,
    pub(super) stage: Stage,
    /// What the poll was told.
    pub(super) interest: Interest,
    /// Whether it waits to be flushed at the end of this turn.
    pub(super) dirty: bool,
    decoder: FrameDecoder,
    outgoing: FromGranterFrames,
    /// Whether the client has closed its ear: nothing more can be written, but what it sent before
    /// can be read.
    deaf: bool,
}

/// How far along a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client's hello has not come.
    Greeting { until: Instant },
    /// The granter knows it.
    Open,
    /// Goodbye was said; what still comes is thrown away, so that the goodbye is not.
    Leaving { until: Instant },
}

/// What came of a read.
#[derive(Debug)]
pub(super) enum Came {
    /// Perhaps messages; more may follow later.
    Bytes(usize),
    /// Nothing at present.
    Nothing,
    /// Nothing ever again.
    End,
    /// Something that is not of the protocol, perhaps after messages that are.
    Nonsense(usize, Nonsense),
}

/// What is wrong with what came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Nonsense {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Content(#[from] BadFrame),
}

impl Connection {
    pub(super) fn new(stream: Stream, origin: Origin, rights: Rights, until: Instant) -> Self {
        Self {
            stream,
            origin,
            rights,
            stage: Stage::Greeting { until },
            interest: Interest::READ,
            dirty: false,
            decoder: FrameDecoder::default(),
            outgoing: FromGranterFrames::with_hello(),
            deaf: false,
        }
    }

    /// Reads once, and appends the messages that are whole now.
    pub(super) fn read(&mut self, buffer: &mut [u8], messages: &mut Vec<ToGranter>) -> Came {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Came::End,
            Ok(count) => count,
            Err(error) => return unless_broken(&error, Came::Nothing, Came::End),
        };
        match self.stage {
            Stage::Leaving { .. } => return Came::Bytes(count),
            Stage::Greeting { .. } | Stage::Open => {}
        }
        self.decoder.push(&buffer[..count]);
        loop {
            let read = match self.decoder.next_frame() {
                Ok(Some(frame)) => read_to_granter(frame, messages).map_err(Nonsense::Content),
                Ok(None) => return Came::Bytes(count),
                Err(error) => Err(Nonsense::Frame(error)),
            };
            if let Err(nonsense) = read {
                return Came::Nonsense(count, nonsense);
            }
        }
    }

    /// Whether the client's hello has come.
    pub(super) const fn greeted(&self) -> bool {
        self.decoder.greeted()
    }

    /// Queues a message; it is sent with the next flush.
    pub(super) fn push(&mut self, message: &FromGranter) -> Result<(), MessageTooLarge> {
        match self.deaf {
            true => Ok(()),
            false => self.outgoing.push(message),
        }
    }

    /// Says goodbye with the next flush, and listens no more.
    pub(super) fn leave(&mut self, goodbye: &Goodbye, until: Instant) {
        self.stage = Stage::Leaving { until };
        self.decoder = FrameDecoder::default();
        if !self.deaf {
            self.outgoing.push_goodbye(goodbye);
        }
    }

    /// Sends what the socket takes now; how much that was.
    pub(super) fn flush(&mut self) -> usize {
        let mut flushed = 0;
        while self.unread() > 0 {
            let count = match self.stream.write(self.outgoing.unsent()) {
                Ok(count) => count,
                Err(error) if unless_broken(&error, true, false) => return flushed,
                Err(_) => {
                    self.deaf = true;
                    self.outgoing = FromGranterFrames::default();
                    return flushed;
                }
            };
            self.outgoing.sent(count);
            flushed += count;
        }
        flushed
    }

    /// How many bytes wait for the client to read.
    pub(super) fn unread(&self) -> usize {
        self.outgoing.unsent_len()
    }

    /// What to wait for now; while so many bytes are unread, not for requests.
    pub(super) fn wants(&self, unread_pause: usize) -> Interest {
        let unread = self.unread();
        let read = match self.stage {
            Stage::Greeting { .. } | Stage::Open => unread < unread_pause,
            Stage::Leaving { .. } => true,
        };
        Interest { read, write: unread > 0 }
    }
}

/// Tells "not now" from "never again".
fn unless_broken<T>(error: &io::Error, not_now: T, never: T) -> T {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the standard library's")]
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => not_now,
        _ => never,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use tlease_core::identity::AskId;
    use tlease_core::message::Ask;
    use tlease_wire::{GoodbyeReason, ToGranterFrames};

    use super::*;
    use crate::server::monotonic_now;

    fn connection() -> (Connection, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let until = monotonic_now() + Duration::from_secs(3600);
        (Connection::new(Stream::Unix(here), Origin::ThisProcess, Rights::Holder, until), there)
    }

    #[test]
    fn what_a_client_sent_before_it_went_is_read_though_it_hears_no_more() {
        let (mut connection, mut client) = connection();
        let mut frames = ToGranterFrames::with_hello();
        frames.push(&ToGranter::Ask { id: AskId(1), ask: Ask::Status }).unwrap();
        client.write_all(frames.unsent()).unwrap();
        drop(client);
        assert_eq!(connection.flush(), 0);
        assert_eq!(connection.unread(), 0, "nothing is kept for it");
        let mut messages = Vec::new();
        assert!(matches!(connection.read(&mut [0; 4096], &mut messages), Came::Bytes(_)));
        assert_eq!(messages.len(), 1);
        assert!(matches!(connection.read(&mut [0; 4096], &mut messages), Came::End));
    }

    #[test]
    fn requests_are_not_waited_for_while_replies_are_unread() {
        let (mut connection, _client) = connection();
        connection.flush();
        assert_eq!(connection.wants(1), Interest::READ);
        let message = FromGranter::NotOpened(tlease_core::Refusal::WrongSecret);
        connection.push(&message).unwrap();
        assert_eq!(connection.wants(1), Interest { read: false, write: true });
        assert_eq!(connection.wants(1000), Interest { read: true, write: true });
        // Of a client that leaves, all is read, and thrown away.
        let goodbye = Goodbye { reason: GoodbyeReason::Full, detail: String::new() };
        connection.leave(&goodbye, monotonic_now());
        assert_eq!(connection.wants(1), Interest { read: true, write: true });
    }
}
