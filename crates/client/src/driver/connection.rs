//! `Connection`: one socket to the granter, from our hello to its goodbye.

use std::io;
use std::time::Duration;

use tlease_core::message::FromGranter;
use tlease_wire::{
    BadFrame, FrameDecoder, FrameError, Goodbye, ToGranterFrames, read_from_granter,
};
use tokio::io::Interest;
use tokio::time::Instant;

use super::dial::Stream;

/// One socket to the granter.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    decoder: FrameDecoder,
    /// When the session must be open on it.
    pub(super) open_by: Instant,
    silence: Silence,
}

/// How long nothing has come.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// To be noticed then.
    Until(Instant),
    /// It was noticed, and the granter was asked for a sign of life: it has until then.
    Asked(Instant),
}

/// What is to be done about a silent granter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// It was silent for long: ask for a sign of life.
    Ask,
    /// It gave none: the connection is half-open, or the granter is stopped.
    GiveUp,
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the granter closed the connection")]
    Closed,
    #[error("the granter said goodbye: {0}")]
    Goodbye(Goodbye),
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("the other side is no granter of this version")]
    Frame(#[from] FrameError),
    #[error("the granter sent what is not in the contract")]
    Content(#[from] BadFrame),
}

impl Connection {
    pub(super) fn new(stream: Stream, open_by: Instant) -> Self {
        let silence = Silence::Until(Instant::now() + QUIET);
        Self { stream, decoder: FrameDecoder::default(), open_by, silence }
    }

    /// When [`Connection::suspicion`] is to be asked next.
    pub(super) const fn suspect_at(&self) -> Instant {
        match self.silence {
            Silence::Until(at) | Silence::Asked(at) => at,
        }
    }

    /// What is to be done about its silence at `now`, if somebody waits for something to come.
    pub(super) fn suspicion(&mut self, now: Instant, somebody_waits: bool) -> Suspicion {
        match self.silence {
            Silence::Until(at) | Silence::Asked(at) if now < at => Suspicion::None,
            Silence::Until(_) if somebody_waits => {
                self.silence = Silence::Asked(now + SIGN_WITHIN);
                Suspicion::Ask
            }
            Silence::Until(_) => {
                self.silence = Silence::Until(now + QUIET);
                Suspicion::None
            }
            Silence::Asked(_) => Suspicion::GiveUp,
        }
    }

    /// Waits until there is something to read, or, if something is to be sent, room for it.
    pub(super) async fn ready(&self, to_send: bool) {
        let interest =
            if to_send { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        // An error shows again at the next read.
        let _ = self.stream.ready(interest).await;
    }

    /// Reads what is there, up to a slice, and appends the messages that are whole now.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        messages: &mut Vec<FromGranter>,
    ) -> Result<(), Ended> {
        for _ in 0..READS_PER_TURN {
            match self.stream.try_read(buffer) {
                Ok(0) => return Err(Ended::Closed),
                Ok(count) => {
                    self.silence = Silence::Until(Instant::now() + QUIET);
                    self.decoder.push(&buffer[..count]);
                    self.decode(messages)?;
                    if count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(error) => return Err(Ended::Broken(error)),
            }
        }
        Ok(())
    }

    /// Sends what the socket takes now.
    pub(super) fn write(&self, frames: &mut ToGranterFrames) -> Result<(), Ended> {
        while !frames.unsent().is_empty() {
            match self.stream.try_write(frames.unsent()) {
                Ok(count) => frames.sent(count),
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(error) => return Err(Ended::Broken(error)),
            }
        }
        Ok(())
    }

    fn decode(&mut self, messages: &mut Vec<FromGranter>) -> Result<(), Ended> {
        while let Some(frame) = self.decoder.next_frame()? {
            if let Some(goodbye) = read_from_granter(frame, messages)? {
                return Err(Ended::Goodbye(goodbye));
            }
        }
        Ok(())
    }
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A granter that says nothing for so long is asked for a sign of life while somebody waits for
/// something: a place in a queue and a watch owe no answer, so nothing else would show that a connection
/// is half-open. Leases show it by their renewals.
const QUIET: Duration = Duration::from_secs(2);

/// How long it may take to give one: a store that must catch up does not keep it from answering.
const SIGN_WITHIN: Duration = Duration::from_secs(3);

/// Reads before the messages are handed on: what a granter can send in a burst must not keep the
/// holder from its deadlines.
const READS_PER_TURN: usize = 8;
