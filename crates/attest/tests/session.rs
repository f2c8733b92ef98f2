//! What comes through a session, and what somebody between its ends cannot do (I31).
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use common::{GRANTER, HOLDER, Stranger, identity, machine, only, pair, put, tap};
use tlease_attest::{Evidence, FRAME_MAX, Fault, ReportData, Role, Session, accept};

fn fault_of(error: &std::io::Error) -> Fault {
    *error.get_ref().and_then(|source| source.downcast_ref()).expect("a session's fault")
}

/// Reads until an end or a fault: the bytes, and which it was.
fn read_out(mut from: impl Read) -> (Vec<u8>, Result<(), Fault>) {
    let mut bytes = Vec::new();
    let end = from.read_to_end(&mut bytes).map(drop).map_err(|error| fault_of(&error));
    (bytes, end)
}

#[test]
fn much_data_comes_through_both_ways_at_once() {
    let (holder, granter) = pair();
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|i| i.wrapping_mul(i).to_be_bytes()[2]).collect();
    let echo = |session: Session<UnixStream>| {
        let again = session.stream().try_clone().unwrap();
        let (mut reader, mut writer) = session.split(again);
        let bytes = &bytes;
        thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(bytes).unwrap();
                writer.close().unwrap();
            });
            let mut seen = Vec::new();
            reader.read_to_end(&mut seen).unwrap();
            assert!(seen == *bytes);
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| echo(holder));
        echo(granter);
    });
}

#[test]
fn nothing_is_lost_on_streams_that_do_not_block() {
    let (mut holder, mut granter) = pair();
    holder.stream().set_nonblocking(true).unwrap();
    granter.stream().set_nonblocking(true).unwrap();
    let bytes = vec![0x5a; 700_000];
    let (mut sent, mut seen, mut halts) = (0, Vec::new(), 0);
    let mut buffer = [0; 3000];
    let mut is_closed = false;
    loop {
        if sent < bytes.len() {
            match holder.write(&bytes[sent..]) {
                Ok(len) => {
                    sent += len;
                    continue;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        } else if !is_closed {
            is_closed = holder.close().is_ok();
        }
        halts += 1;
        match granter.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => seen.extend_from_slice(&buffer[..len]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!(halts > 10, "the stream took all at once, so this shows nothing");
    assert!(seen == bytes);
}

#[test]
fn an_end_that_was_declared_is_one_for_ever() {
    let (mut holder, mut granter) = pair();
    holder.write_all(b"done").unwrap();
    holder.close().unwrap();
    holder.close().unwrap();
    assert_eq!(fault_of(&holder.write(b"x").unwrap_err()), Fault::Closed);
    holder.flush().unwrap();
    let mut bytes = Vec::new();
    granter.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"done");
    assert_eq!(granter.read(&mut [0]).unwrap(), 0);

    granter.write_all(b"still here").unwrap();
    granter.close().unwrap();
    assert_eq!(read_out(holder), (b"still here".to_vec(), Ok(())));
}

#[test]
fn nothing_is_sent_for_no_bytes_and_nothing_is_read_into_none() {
    let (holder, mut granter) = pair();
    let mut tap = tap(holder);
    assert_eq!(tap.writer.write(&[]).unwrap(), 0);
    tap.writer.write_all(b"a").unwrap();
    let frame = tap.take();
    tap.inject(&frame);
    assert_eq!(granter.read(&mut []).unwrap(), 0);
    assert_eq!(granter.read(&mut [0; 9]).unwrap(), 1);
}

/// The sealed frames of four writes and a close.
fn frames(tap: &mut common::Tap) -> Vec<Vec<u8>> {
    for word in ["one ", "two ", "three ", "four "] {
        tap.writer.write_all(word.as_bytes()).unwrap();
    }
    tap.writer.close().unwrap();
    (0..5).map(|_| tap.take()).collect()
}

/// What the granter reads when frames of its session come in this order.
fn in_order(order: &[usize]) -> (Vec<u8>, Result<(), Fault>) {
    let (holder, granter) = pair();
    let mut tap = tap(holder);
    let frames = frames(&mut tap);
    for index in order {
        tap.inject(&frames[*index]);
    }
    drop(tap);
    read_out(granter)
}

#[test]
fn frames_count_only_in_their_place() {
    let all = b"one two three four ".to_vec();
    assert_eq!(in_order(&[0, 1, 2, 3, 4]), (all.clone(), Ok(())));
    assert_eq!(
        in_order(&[0, 1, 2, 3]),
        (all, Err(Fault::Truncated)),
        "an end that nobody declared"
    );
    assert_eq!(in_order(&[]), (vec![], Err(Fault::Truncated)));
    for (order, seen) in [
        (&[0, 0, 1][..], "one "),    // repeated
        (&[0, 1, 0, 1], "one two "), // repeated later
        (&[0, 2, 3, 4], "one "),     // left out
        (&[1, 0, 2, 3, 4], ""),      // moved
        (&[0, 4], "one "),           // ended early
    ] {
        assert_eq!(in_order(order), (seen.into(), Err(Fault::Forged)), "{order:?}");
    }
}

#[test]
fn a_frame_that_was_changed_at_any_byte_is_refused_and_so_is_all_that_follows() {
    let (holder, _granter) = pair();
    let len = {
        let mut tap = tap(holder);
        frames(&mut tap)[1].len()
    };
    for at in 0..len {
        let (holder, mut granter) = pair();
        let mut tap = tap(holder);
        let mut frames = frames(&mut tap);
        frames[1][at] ^= 0x10;
        frames.iter().for_each(|frame| tap.inject(frame));
        let mut bytes = Vec::new();
        let error = granter.read_to_end(&mut bytes).unwrap_err();
        assert_eq!((&*bytes, fault_of(&error)), (&b"one "[..], Fault::Forged), "byte {at}");
        assert_eq!(fault_of(&granter.read(&mut [0; 9]).unwrap_err()), Fault::Forged, "byte {at}");
    }
}

#[test]
fn a_genuine_frame_after_a_forged_one_is_refused_too() {
    let (holder, mut granter) = pair();
    let mut tap = tap(holder);
    let genuine = frames(&mut tap);
    let mut forged = genuine[1].clone();
    forged[0] ^= 1;
    tap.inject(&genuine[0]);
    tap.inject(&forged);
    // In its place, and sealed by the peer: but somebody is at the wire.
    genuine[1..].iter().for_each(|frame| tap.inject(frame));
    let mut bytes = Vec::new();
    let error = granter.read_to_end(&mut bytes).unwrap_err();
    assert_eq!((&*bytes, fault_of(&error)), (&b"one "[..], Fault::Forged));
    for _ in 0..genuine.len() {
        assert_eq!(fault_of(&granter.read(&mut [0; 9]).unwrap_err()), Fault::Forged);
    }
}

#[test]
fn frames_of_another_session_are_refused() {
    let (holder, granter) = pair();
    let (other_holder, other_granter) = pair();
    let mut tap = tap(holder);
    let mut other = common::tap(other_holder);
    let spliced = frames(&mut other);
    tap.writer.write_all(b"mine").unwrap();
    let own = tap.take();
    tap.inject(&own);
    tap.inject(&spliced[1]);
    drop(tap);
    assert_eq!(read_out(granter), (b"mine".to_vec(), Err(Fault::Forged)));
    drop((other, other_granter));
}

#[test]
fn frames_that_are_thrown_back_are_refused() {
    let (holder, granter) = pair();
    let mut tap = tap(holder);
    let own = frames(&mut tap);
    let mut raw = granter.stream().try_clone().unwrap();
    put(&mut raw, &own[0]);
    drop((granter, raw));
    assert_eq!(read_out(&mut tap.reader), (vec![], Err(Fault::Forged)));
}

#[test]
fn a_stream_that_is_cut_anywhere_is_truncated() {
    let (holder, granter) = pair();
    let mut tap = tap(holder);
    let frame = frames(&mut tap).remove(0);
    let mut sent = Vec::new();
    put(&mut sent, &frame);
    drop(granter);
    for len in 1..sent.len() {
        let (holder, granter) = pair();
        let mut raw = holder.stream().try_clone().unwrap();
        raw.write_all(&sent[..len]).unwrap();
        drop((holder, raw));
        assert_eq!(read_out(granter), (vec![], Err(Fault::Truncated)), "{len} bytes");
    }
}

#[test]
fn a_frame_over_the_bound_is_refused_at_its_length() {
    let (holder, granter) = pair();
    let mut raw = holder.stream().try_clone().unwrap();
    raw.write_all(&[0xff, 0xff]).unwrap();
    assert_eq!(read_out(granter), (vec![], Err(Fault::TooLong { announced: 65_535 })));
}

#[test]
fn no_frame_that_is_written_is_over_the_bound() {
    let (holder, mut granter) = pair();
    let mut tap = tap(holder);
    let bytes = vec![9; 3 * FRAME_MAX];
    let taken = tap.writer.write(&bytes).unwrap();
    let frame = tap.take();
    assert_eq!((frame.len(), taken), (FRAME_MAX, FRAME_MAX - 17));
    tap.inject(&frame);
    let mut seen = vec![0; taken];
    granter.read_exact(&mut seen).unwrap();
    assert!(seen == bytes[..taken]);
}

#[test]
fn what_has_no_place_in_a_session_ends_it() {
    for (content, payload) in [(0, &b""[..]), (2, b"x"), (3, b""), (4, b"\x01"), (9, b"x")] {
        let (near, far) = UnixStream::pair().unwrap();
        let granter = thread::scope(|scope| {
            scope.spawn(|| {
                let mut stranger = Stranger::connect(near);
                let data = ReportData::bind(Role::Initiator, &stranger.hash, &stranger.key);
                let report = machine().enclave(HOLDER).report(&stranger.peers_target, &data);
                stranger.send(2, &Evidence::Local(Box::new(report)).to_bytes());
                stranger.receive();
                stranger.send(3, &[]);
                stranger.send(0, b"fine");
                stranger.send(content, payload);
            });
            accept(far, &identity(machine().enclave(GRANTER)), &only(HOLDER), None).unwrap()
        });
        assert_eq!(read_out(granter), (b"fine".to_vec(), Err(Fault::Unexpected)), "{content}");
    }
}

#[test]
fn what_is_printed_of_sessions_and_identities_holds_no_secret() {
    let (holder, granter) = pair();
    let shown = format!("{:?} {:?}", holder, identity(machine().enclave(HOLDER)));
    for word in ["private", "cipher", "data"] {
        assert!(!shown.contains(word), "{shown}");
    }
    drop(granter);
}
