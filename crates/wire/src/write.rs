//! From core values to the bytes of frames.

use core::fmt;

use prost::Message;
use tlease_core::identity::Epoch;
use tlease_core::message::{Answer, FromGranter, ToGranter};

use crate::convert;
use crate::elements::ELEMENTS_MAX;
use crate::frame::{FRAME_MAX, HEADER, HELLO};
use crate::generated as pb;
use crate::goodbye::Goodbye;

/// What a client has yet to send: messages to a granter, packed into as few frames as their order
/// allows.
#[derive(Debug, Default)]
pub struct ToGranterFrames {
    frames: Frames,
    /// What the last frame holds already, while it is open.
    holds: Holds,
}

/// The parts of a `ToGranter` frame in the order in which a granter handles them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Holds {
    #[default]
    Nothing,
    Open,
    Operations(Epoch),
    Questions,
}

impl ToGranterFrames {
    /// Begins with the hello: for a new connection.
    #[must_use]
    pub fn with_hello() -> Self {
        Self { frames: Frames::with_hello(), holds: Holds::Nothing }
    }

    /// Adds one message.
    ///
    /// # Errors
    /// [`MessageTooLarge`]; nothing is added. No valid message of this direction is too large.
    pub fn push(&mut self, message: &ToGranter) -> Result<(), MessageTooLarge> {
        match message {
            ToGranter::Open { session, secret } => {
                let open = pb::Open { session: session.0.into(), secret: secret.0.into() };
                if self.holds != Holds::Nothing {
                    self.seal();
                }
                self.frames.append(field::OPEN, &open, 1)?;
                self.holds = Holds::Open;
            }
            ToGranter::Request(request) => {
                let operation = convert::operation(request);
                let fits = match self.holds {
                    Holds::Operations(epoch) => epoch == request.epoch,
                    Holds::Nothing | Holds::Open | Holds::Questions => false,
                };
                if !fits || !self.frames.has_room_for(&operation, 1) {
                    self.begin_operations(request.epoch)?;
                }
                self.frames.append(field::OPERATION, &operation, 1)?;
            }
            ToGranter::Ask { id, ask } => {
                self.frames.append(field::QUESTION, &convert::question(*id, ask), 1)?;
                self.holds = Holds::Questions;
            }
        }
        Ok(())
    }

    fn begin_operations(&mut self, epoch: Epoch) -> Result<(), MessageTooLarge> {
        self.seal();
        self.frames.append(field::EPOCH, &pb::Epoch::from(epoch), 0)?;
        self.holds = Holds::Operations(epoch);
        Ok(())
    }

    /// The bytes to send. What is pushed from now on goes into a frame of its own.
    pub fn unsent(&mut self) -> &[u8] {
        self.seal();
        self.frames.unsent()
    }

    /// Forgets the first `count` unsent bytes: they were sent.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn sent(&mut self, count: usize) {
        self.frames.sent(count);
    }

    fn seal(&mut self) {
        self.frames.seal();
        self.holds = Holds::Nothing;
    }
}

/// What a granter has yet to send on one connection.
#[derive(Debug, Default)]
pub struct FromGranterFrames {
    frames: Frames,
}

impl FromGranterFrames {
    /// Begins with the hello: for a new connection.
    #[must_use]
    pub fn with_hello() -> Self {
        Self { frames: Frames::with_hello() }
    }

    /// Adds one message.
    ///
    /// # Errors
    /// [`MessageTooLarge`]; nothing is added. Only a page of a list can be, if its entries show very
    /// many leases.
    pub fn push(&mut self, message: &FromGranter) -> Result<(), MessageTooLarge> {
        self.frames.append(field::MESSAGE, &pb::Message::from(message), elements(message))
    }

    /// Adds the last word.
    ///
    /// # Panics
    /// If its detail is longer than a frame.
    pub fn push_goodbye(&mut self, goodbye: &Goodbye) {
        let added = self.frames.append(field::GOODBYE, &pb::Goodbye::from(goodbye), 0);
        added.expect("a goodbye is a short sentence");
    }

    /// The bytes to send. What is pushed from now on goes into a frame of its own.
    pub fn unsent(&mut self) -> &[u8] {
        self.frames.seal();
        self.frames.unsent()
    }

    /// How many bytes are to be sent.
    #[must_use]
    pub fn unsent_len(&self) -> usize {
        self.frames.bytes.len() - self.frames.sent
    }

    /// Forgets the first `count` unsent bytes: they were sent.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn sent(&mut self, count: usize) {
        self.frames.sent(count);
    }
}

/// How many repeated elements `message` brings into a frame.
fn elements(message: &FromGranter) -> usize {
    let FromGranter::Answer { answer, .. } = message else { return 1 };
    let Answer::Page { entries, .. } = &**answer else { return 1 };
    // The message, its answer, its page; then each entry, and its leases.
    3 + entries.iter().map(|entry| 1 + entry.leases.len()).sum::<usize>()
}

/// Bytes to send: sealed frames, then perhaps one that is still open.
///
/// A frame is written part by part: in Protocol Buffers, a message is the concatenation of its
/// fields.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// How many of them, at the front, were sent.
    sent: usize,
    open: Option<OpenFrame>,
}

#[derive(Debug, Clone, Copy)]
struct OpenFrame {
    /// Where its length is, at present zero.
    start: usize,
    elements: usize,
}

impl Frames {
    fn with_hello() -> Self {
        Self { bytes: HELLO.to_vec(), sent: 0, open: None }
    }

    /// Appends a field to the open frame, or to a new one if there is no room.
    fn append(
        &mut self,
        key: u8,
        message: &impl Message,
        elements: usize,
    ) -> Result<(), MessageTooLarge> {
        let len = FIELD_OVERHEAD + message.encoded_len();
        if len > FRAME_MAX || elements > ELEMENTS_MAX {
            return Err(MessageTooLarge { len, elements });
        }
        if !self.has_room_for(message, elements) {
            self.seal();
        }
        let frame = self.open.get_or_insert_with(|| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&[0; HEADER]);
            OpenFrame { start, elements: 0 }
        });
        frame.elements += elements;
        self.bytes.push(key);
        message.encode_length_delimited(&mut self.bytes).expect("a vector grows");
        Ok(())
    }

    fn has_room_for(&self, message: &impl Message, elements: usize) -> bool {
        self.open.is_none_or(|frame| {
            let len = self.bytes.len() - frame.start - HEADER;
            len + FIELD_OVERHEAD + message.encoded_len() <= FRAME_MAX
                && frame.elements + elements <= ELEMENTS_MAX
        })
    }

    fn seal(&mut self) {
        let Some(OpenFrame { start, .. }) = self.open.take() else { return };
        let len = u32::try_from(self.bytes.len() - start - HEADER).expect("a frame is bounded");
        self.bytes[start..start + HEADER].copy_from_slice(&len.to_be_bytes());
    }

    fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn sent(&mut self, count: usize) {
        self.sent += count;
        assert!(self.sent <= self.bytes.len(), "more bytes sent than there were");
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_WHEN_IDLE);
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 && self.open.is_none() {
            // A peer that always leaves a little unread must not make this grow for ever.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// A message that fits into no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageTooLarge {
    /// Its bytes.
    pub len: usize,
    /// Its repeated elements.
    pub elements: usize,
}

impl fmt::Display for MessageTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, elements } = self;
        write!(
            f,
            "a message of {len} bytes and {elements} elements fits into no frame; \
             at most {FRAME_MAX} bytes and {ELEMENTS_MAX} elements go"
        )
    }
}

impl core::error::Error for MessageTooLarge {}

/// The key and length before a field of variable length, at most.
const FIELD_OVERHEAD: usize = 1 + 4;

/// What an idle connection keeps, so that usual replies need no allocation.
const KEPT_WHEN_IDLE: usize = 4096;

/// Keys of the fields of a frame: number times 8, plus 2 for "of variable length".
mod field {
    pub(super) const EPOCH: u8 = 1 << 3 | 2;
    pub(super) const OPEN: u8 = 2 << 3 | 2;
    pub(super) const OPERATION: u8 = 3 << 3 | 2;
    pub(super) const QUESTION: u8 = 4 << 3 | 2;
    pub(super) const MESSAGE: u8 = 1 << 3 | 2;
    pub(super) const GOODBYE: u8 = 2 << 3 | 2;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goodbye::GoodbyeReason;

    #[test]
    fn what_was_sent_takes_no_memory_even_if_never_all_is() {
        let goodbye = Goodbye { reason: GoodbyeReason::Full, detail: "x".repeat(1000) };
        let mut frames = FromGranterFrames::default();
        frames.push_goodbye(&goodbye);
        for _ in 0..10_000 {
            frames.push_goodbye(&goodbye);
            let unsent = frames.unsent().len();
            frames.sent(unsent - 10);
        }
        assert_eq!(frames.unsent_len(), 10);
        assert!(frames.frames.bytes.capacity() < 20_000);
    }
}
