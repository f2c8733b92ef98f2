//! Every message survives the wire, in its order and in any cut; bytes that are none are refused.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use tlease_core::identity::{Epoch, Incarnation, RequestId};
use tlease_core::message::{
    Answer, Entry, EntryLease, EntryState, FromGranter, Op, Request, ToGranter,
};
use tlease_core::name::{Name, Value};
use tlease_core::time::Span;
use tlease_wire::{
    BadFrame, ELEMENTS_MAX, FRAME_MAX, FrameDecoder, FromGranterFrames, Goodbye, GoodbyeReason,
    ToGranterFrames, read_from_granter, read_to_granter,
};

proptest! {
    #[test]
    fn what_a_client_sends_arrives_in_order(sent in vec(common::to_granter(), 0..20)) {
        let mut frames = ToGranterFrames::with_hello();
        for message in &sent {
            frames.push(message).unwrap();
        }
        let mut received = Vec::new();
        for frame in frames_of(frames.unsent()) {
            read_to_granter(&frame, &mut received).unwrap();
        }
        prop_assert_eq!(comparable(&received), comparable(&sent));
    }

    #[test]
    fn what_a_granter_sends_arrives_in_order(
        sent in vec(common::from_granter(), 0..20),
        detail in ".{0,80}",
    ) {
        let goodbye = Goodbye { reason: GoodbyeReason::Superseded, detail };
        let mut frames = FromGranterFrames::with_hello();
        for message in &sent {
            frames.push(message).unwrap();
        }
        frames.push_goodbye(&goodbye);
        let mut received = Vec::new();
        let mut last_word = None;
        for frame in frames_of(frames.unsent()) {
            prop_assert_eq!(&last_word, &None, "nothing follows a goodbye");
            last_word = read_from_granter(&frame, &mut received).unwrap();
        }
        prop_assert_eq!(received, sent);
        prop_assert_eq!(last_word, Some(goodbye));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        let mut received = Vec::new();
        if read_to_granter(&bytes, &mut received).is_err() {
            prop_assert!(received.is_empty());
        }
        let mut received = Vec::new();
        if read_from_granter(&bytes, &mut received).is_err() {
            prop_assert!(received.is_empty());
        }
        let mut decoder = FrameDecoder::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next_frame() {}
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(
        sent in vec(common::from_granter(), 1..4),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut frames = FromGranterFrames::default();
        for message in &sent {
            frames.push(message).unwrap();
        }
        let mut bytes = frames.unsent()[4..].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = read_from_granter(&bytes, &mut Vec::new());
    }

    #[test]
    fn a_request_cut_short_is_refused(message in common::to_granter(), cut in any::<prop::sample::Index>()) {
        let mut frames = ToGranterFrames::default();
        frames.push(&message).unwrap();
        let frame = frames.unsent()[4..].to_vec();
        let mut received = Vec::new();
        let read = read_to_granter(&frame[..cut.index(frame.len())], &mut received);
        // Cut between two fields, what is left may be a frame of its own; but not this message.
        prop_assert!(read.is_err() || comparable(&received) != comparable(&[message]));
    }
}

#[test]
fn many_requests_go_in_few_frames_and_none_is_too_long() {
    let epoch = Epoch { incarnation: Incarnation::FIRST, opening: 1 };
    let name = Name::new(&[b'n'; 200]).unwrap();
    let request = |id| {
        ToGranter::Request(Request {
            epoch,
            id: RequestId(id),
            op: Op::Withdraw { name: name.clone() },
        })
    };
    let count = 3 * u64::try_from(ELEMENTS_MAX).unwrap();
    let mut frames = ToGranterFrames::with_hello();
    for id in 0..count {
        frames.push(&request(id)).unwrap();
    }
    let frames = frames_of(frames.unsent());
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert!(frames.iter().all(|frame| frame.len() <= FRAME_MAX));
    assert!(frames.len() <= bytes / FRAME_MAX + 1, "{} frames", frames.len());

    let mut received = Vec::new();
    for frame in frames {
        read_to_granter(&frame, &mut received).unwrap();
    }
    let ids = received.iter().map(|message| match message {
        ToGranter::Request(request) => request.id.0,
        ToGranter::Open { .. } | ToGranter::Ask { .. } => unreachable!("only requests were sent"),
    });
    assert!(ids.eq(0..count));
}

#[test]
fn a_frame_of_empty_elements_is_refused_before_it_is_built_in_memory() {
    let empty_operations = [3 << 3 | 2, 0].repeat(FRAME_MAX / 2);
    let read = read_to_granter(&empty_operations, &mut Vec::new());
    assert_eq!(read, Err(BadFrame::TooManyElements));
}

#[test]
fn a_page_that_fits_into_no_frame_is_an_error_of_its_writer() {
    let lease = EntryLease {
        session: tlease_core::identity::SessionId([7; 16]),
        fence: tlease_core::Fence::FIRST,
        mode: tlease_core::Mode::Shared,
        term: Span::from_secs(1),
        remaining: Span::from_secs(1),
        state: EntryState::Held,
        value: Some(Value::new(&[0; 1024]).unwrap()),
    };
    let page = |leases: usize| FromGranter::Answer {
        id: tlease_core::identity::AskId(1),
        answer: Box::new(Answer::Page {
            entries: vec![Entry {
                name: "readers".parse().unwrap(),
                leases: vec![lease.clone(); leases],
                waiters: 0,
            }],
            next: None,
        }),
    };
    let mut frames = FromGranterFrames::default();
    assert!(frames.push(&page(2000)).is_err());
    assert!(frames.unsent().is_empty(), "nothing of it is left behind");
    frames.push(&page(900)).unwrap();
    let frames = framed(frames.unsent());
    assert_eq!(read_from_granter(&frames[0], &mut Vec::new()), Ok(None));
}

/// The frames of a stream that begins with a hello, fed in two parts.
fn frames_of(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut decoder = FrameDecoder::default();
    let mut frames = Vec::new();
    let (first, second) = stream.split_at(stream.len() / 2);
    for part in [first, second] {
        decoder.push(part);
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame.to_vec());
        }
    }
    assert_eq!(decoder.end(), Ok(()));
    frames
}

/// The frames of a stream without hello.
fn framed(stream: &[u8]) -> Vec<Vec<u8>> {
    frames_of(&[tlease_wire::HELLO, stream].concat())
}

/// As text, with the secrets, which neither compare nor print.
fn comparable(messages: &[ToGranter]) -> Vec<String> {
    let secret = |message: &ToGranter| match message {
        ToGranter::Open { secret, .. } => Some(secret.0),
        ToGranter::Request(_) | ToGranter::Ask { .. } => None,
    };
    messages.iter().map(|message| format!("{message:?} {:?}", secret(message))).collect()
}
