//! What reads the protocol: any bytes are read or refused, and what was read is written as what reads
//! as the same (invariant I17).

use tlease_core::message::{FromGranter, ToGranter};
use tlease_wire::{
    FrameDecoder, FromGranterFrames, Goodbye, HELLO, ToGranterFrames, read_from_granter,
    read_to_granter,
};

/// Bytes as a stream to a granter, and as a frame of it.
///
/// # Panics
/// If what was read does not survive the wire, or a refused frame leaves something behind.
pub fn to_granter(input: &[u8]) {
    for frame in frames(input) {
        let mut messages = Vec::new();
        match read_to_granter(&frame, &mut messages) {
            Ok(()) => {
                let written = written_to_granter(&messages);
                let mut again = Vec::new();
                for frame in decoded(&written, written.len() / 2) {
                    read_to_granter(&frame, &mut again).expect("what was written here");
                }
                assert_eq!(format!("{messages:?}"), format!("{again:?}"));
                // Secrets neither compare nor print, but they are written.
                assert_eq!(written, written_to_granter(&again));
            }
            Err(_) => assert!(messages.is_empty(), "nothing of a refused frame is read"),
        }
    }
}

/// Bytes as a stream from a granter, and as a frame of it.
///
/// # Panics
/// If what was read does not survive the wire, or a refused frame leaves something behind.
pub fn from_granter(input: &[u8]) {
    for frame in frames(input) {
        let mut messages = Vec::new();
        match read_from_granter(&frame, &mut messages) {
            Ok(goodbye) => check_from_granter(&messages, goodbye.as_ref()),
            Err(_) => assert!(messages.is_empty(), "nothing of a refused frame is read"),
        }
    }
}

fn check_from_granter(messages: &[FromGranter], goodbye: Option<&Goodbye>) {
    let mut frames = FromGranterFrames::with_hello();
    for message in messages {
        frames.push(message).expect("it came in a frame, so it fits into one");
    }
    if let Some(goodbye) = goodbye {
        frames.push_goodbye(goodbye);
    }
    let written = frames.unsent();
    let (mut again, mut last_word) = (Vec::new(), None);
    for frame in decoded(written, written.len() / 2) {
        last_word = read_from_granter(&frame, &mut again).expect("what was written here");
    }
    assert_eq!((messages, goodbye), (&again[..], last_word.as_ref()));
}

fn written_to_granter(messages: &[ToGranter]) -> Vec<u8> {
    let mut frames = ToGranterFrames::with_hello();
    for message in messages {
        frames.push(message).expect("no message of this direction is too large");
    }
    frames.unsent().to_vec()
}

/// The input as one frame, and the frames of a stream that it is after a hello, cut in two somewhere.
fn frames(input: &[u8]) -> Vec<Vec<u8>> {
    let Some((cut, rest)) = input.split_first() else { return Vec::new() };
    let stream = [HELLO, rest].concat();
    let mut frames = decoded(&stream, usize::from(*cut));
    // As the very first bytes, too: most are no hello.
    frames.extend(decoded(rest, usize::from(*cut)));
    frames.push(rest.to_vec());
    frames
}

/// The whole frames of a stream that comes in two parts, until one is malformed.
fn decoded(stream: &[u8], cut: usize) -> Vec<Vec<u8>> {
    let mut decoder = FrameDecoder::default();
    let mut frames = Vec::new();
    let (first, second) = stream.split_at(cut.min(stream.len()));
    for part in [first, second] {
        decoder.push(part);
        while let Ok(Some(frame)) = decoder.next_frame() {
            frames.push(frame.to_vec());
        }
    }
    frames
}
