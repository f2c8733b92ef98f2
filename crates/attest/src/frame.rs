//! Frames: a length of two bytes, big-endian, then so many bytes.

use std::io::{self, ErrorKind, Read};

/// The longest frame in bytes, without its length: a peer can make this side hold one in memory.
pub const FRAME_MAX: usize = 16_384;

/// The bytes before a frame that say how long it is.
const HEADER: usize = 2;

/// Puts the length before a frame that was written behind room for it.
///
/// # Panics
/// If the frame is longer than [`FRAME_MAX`]: all that is framed here has a smaller bound.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    assert!(body.len() <= FRAME_MAX, "no message of this crate is longer than a frame");
    let len = u16::try_from(body.len()).expect("a frame's length fits two bytes");
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// Reads frames, and can go on where a stream that does not block left it.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// What came of the frame that is being read, its header included.
    bytes: Vec<u8>,
    /// How much of `bytes` is read; what follows is room.
    filled: usize,
}

impl Frames {
    /// The next frame.
    ///
    /// # Errors
    /// [`Broken::Io`] as the stream says; after `WouldBlock` or `TimedOut` it can be called again.
    pub(crate) fn next(&mut self, stream: &mut impl Read) -> Result<Vec<u8>, Broken> {
        self.fill(stream, HEADER)?;
        let announced = usize::from(u16::from_be_bytes([self.bytes[0], self.bytes[1]]));
        if announced > FRAME_MAX {
            return Err(Broken::TooLong { announced });
        }
        self.fill(stream, HEADER + announced)?;
        let mut frame = core::mem::take(&mut self.bytes);
        self.filled = 0;
        frame.drain(..HEADER);
        Ok(frame)
    }

    fn fill(&mut self, stream: &mut impl Read, want: usize) -> Result<(), Broken> {
        if self.bytes.len() < want {
            self.bytes.resize(want, 0);
        }
        while self.filled < want {
            match stream.read(&mut self.bytes[self.filled..want]) {
                Ok(0) => return Err(Broken::Ended),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Io(error)),
            }
        }
        Ok(())
    }
}

/// Why there is no next frame.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream failed.
    Io(io::Error),
    /// The stream ended.
    Ended,
    /// A frame announces more than [`FRAME_MAX`] bytes.
    TooLong {
        /// How many.
        announced: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte, then none for once, in turn.
    struct Halting<'a> {
        bytes: &'a [u8],
        has_halted: bool,
    }

    impl Read for Halting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.has_halted = !self.has_halted;
            if self.has_halted {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.bytes.read(&mut buffer[..1])
        }
    }

    #[test]
    fn a_frame_is_read_on_where_the_stream_left_it() {
        let bytes = [framed(b"abc"), framed(b""), framed(b"z")].concat();
        let mut stream = Halting { bytes: &bytes, has_halted: false };
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        loop {
            match frames.next(&mut stream) {
                Ok(frame) => seen.push(frame),
                Err(Broken::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(Broken::Ended) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, [b"abc".to_vec(), vec![], b"z".to_vec()]);
    }

    #[test]
    fn a_frame_over_the_bound_is_refused_at_its_length() {
        let announced = u16::try_from(FRAME_MAX + 1).unwrap();
        let result = Frames::default().next(&mut &announced.to_be_bytes()[..]);
        assert!(matches!(result, Err(Broken::TooLong { announced: 16_385 })), "{result:?}");
    }
}
