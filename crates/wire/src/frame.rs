//! Frames: how a stream of bytes is cut into batches of messages.

use core::fmt;

/// What each side sends first.
pub const HELLO: &[u8] = b"tlease/1\n";

/// The longest frame, in bytes without its length: room for thousands of renewals, and little enough
/// for a granter to hold one per connection.
pub const FRAME_MAX: usize = 1 << 20;

/// Cuts what comes over a connection into frames, after checking the other side's hello.
///
/// Push bytes as they come, then take frames until there is none. Holds at most one unfinished frame
/// beside the bytes of one push; memory grows with the bytes that came, not with the length that a
/// frame announces.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    bytes: Vec<u8>,
    /// What was given out already, at the front of `bytes`.
    done: usize,
    greeted: bool,
}

impl FrameDecoder {
    /// Takes in what was read from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget_done();
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has come.
    ///
    /// # Errors
    /// If the other side does not speak this protocol. The stream is unusable then, and every later
    /// call says the same.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if !self.greeted {
            let Some(len) = hello(self.rest())? else { return Ok(None) };
            self.done += len;
            self.greeted = true;
        }
        let Some((header, body)) = self.rest().split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let announced = u32::from_be_bytes(*header);
        let len = match usize::try_from(announced) {
            Ok(len) if len <= FRAME_MAX => len,
            Ok(_) | Err(_) => return Err(FrameError::TooLong { announced }),
        };
        if body.len() < len {
            return Ok(None);
        }
        let start = self.done + HEADER;
        self.done = start + len;
        Ok(Some(&self.bytes[start..self.done]))
    }

    /// Whether the other side's hello has come.
    #[must_use]
    pub const fn greeted(&self) -> bool {
        self.greeted
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`FrameError::CutShort`] in the midst of a hello or a frame.
    pub fn end(&self) -> Result<(), FrameError> {
        match self.rest().len() {
            0 => Ok(()),
            held => Err(FrameError::CutShort { held }),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.done..]
    }

    fn forget_done(&mut self) {
        if self.done == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_WHEN_IDLE);
        } else {
            self.bytes.drain(..self.done);
        }
        self.done = 0;
    }
}

/// Checks as much of a hello as there is; its length once it is whole.
fn hello(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let start = &bytes[..bytes.len().min(HELLO.len())];
    if start == HELLO {
        return Ok(Some(HELLO.len()));
    }
    if HELLO.starts_with(start) {
        return Ok(None);
    }
    Err(other_hello(bytes))
}

fn other_hello(bytes: &[u8]) -> FrameError {
    let version = bytes.strip_prefix(b"tlease/").map(|rest| {
        rest.iter().copied().take(VERSION_DIGITS).take_while(u8::is_ascii_digit).collect::<Vec<_>>()
    });
    match version.map(String::from_utf8) {
        Some(Ok(version)) if !version.is_empty() => FrameError::OtherVersion { version },
        Some(_) | None => FrameError::NotTlease,
    }
}

/// Why a stream cannot be cut into frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The other side's first bytes are no hello of this protocol.
    NotTlease,
    /// The other side speaks another version of it.
    OtherVersion {
        /// The digits that it sent.
        version: String,
    },
    /// A frame announces more than [`FRAME_MAX`] bytes.
    TooLong {
        /// How many.
        announced: u32,
    },
    /// The stream ended in the midst of a hello or a frame.
    CutShort {
        /// How many bytes of it had come.
        held: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTlease => f.write_str("the other side does not speak tlease/1"),
            Self::OtherVersion { version } => {
                write!(f, "the other side speaks tlease/{version}, this side tlease/1")
            }
            Self::TooLong { announced } => {
                write!(f, "a frame of {announced} bytes was announced; at most {FRAME_MAX} go")
            }
            Self::CutShort { held } => {
                write!(f, "the connection ended {held} bytes into a hello or a frame")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// The length before each frame.
pub(crate) const HEADER: usize = 4;

/// What an idle connection keeps, so that usual requests need no allocation.
const KEPT_WHEN_IDLE: usize = 4096;

/// Enough of another version's number to name it.
const VERSION_DIGITS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(bytes: &[u8]) -> FrameDecoder {
        let mut decoder = FrameDecoder::default();
        decoder.push(bytes);
        decoder
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let stream = b"tlease/1\n\0\0\0\x03abc\0\0\0\0\0\0\0\x01z";
        for cut in 0..=stream.len() {
            for second_cut in cut..=stream.len() {
                let mut decoder = FrameDecoder::default();
                let mut frames = Vec::new();
                for part in [&stream[..cut], &stream[cut..second_cut], &stream[second_cut..]] {
                    decoder.push(part);
                    while let Some(frame) = decoder.next_frame().unwrap() {
                        frames.push(frame.to_vec());
                    }
                }
                assert_eq!(frames, [b"abc".to_vec(), vec![], b"z".to_vec()]);
                assert_eq!(decoder.end(), Ok(()));
            }
        }
    }

    #[test]
    fn other_protocols_and_versions_are_told_apart_at_their_first_wrong_byte() {
        assert_eq!(decoder(b"GET / HTTP/1.1").next_frame(), Err(FrameError::NotTlease));
        assert_eq!(decoder(b"tlease/x").next_frame(), Err(FrameError::NotTlease));
        for (hello, version) in [("tlease/2\n", "2"), ("tlease/12\n", "12"), ("tlease/2", "2")] {
            assert_eq!(
                decoder(hello.as_bytes()).next_frame(),
                Err(FrameError::OtherVersion { version: version.into() })
            );
        }
        assert_eq!(decoder(b"tleas").next_frame(), Ok(None));
    }

    #[test]
    fn a_frame_over_the_bound_is_refused_at_its_length_and_takes_no_memory() {
        let mut stream = HELLO.to_vec();
        stream.extend(u32::try_from(FRAME_MAX + 1).unwrap().to_be_bytes());
        let mut decoder = decoder(&stream);
        for _ in 0..2 {
            assert_eq!(
                decoder.next_frame(),
                Err(FrameError::TooLong { announced: (1 << 20) + 1 }),
                "also when asked again"
            );
        }
        assert!(decoder.bytes.capacity() < 100);
    }

    #[test]
    fn a_stream_that_ends_early_says_so() {
        assert_eq!(decoder(b"tle").end(), Err(FrameError::CutShort { held: 3 }));
        let mut decoder = decoder(b"tlease/1\n\0\0\0\x03ab");
        assert_eq!(decoder.next_frame(), Ok(None));
        assert_eq!(decoder.end(), Err(FrameError::CutShort { held: 6 }));
    }

    #[test]
    fn an_idle_decoder_gives_its_memory_back() {
        let mut decoder = decoder(HELLO);
        decoder.push(&u32::try_from(FRAME_MAX).unwrap().to_be_bytes());
        decoder.push(&vec![0; FRAME_MAX]);
        assert!(decoder.next_frame().unwrap().is_some());
        decoder.push(&[]);
        assert!(decoder.bytes.capacity() <= KEPT_WHEN_IDLE);
    }
}
