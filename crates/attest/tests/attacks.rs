//! What somebody between two enclaves, or in place of one, can do (I30): nothing that ends in a session.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use common::{GRANTER, HOLDER, Outcome, Stranger, hear, identity, machine, noise, only, say};
use tlease_attest::{
    BadEvidence, Challenge, EVIDENCE_MAX, Evidence, FRAME_MAX, Fault, HELLO, HandshakeError, Kind,
    Reason, Refusal, ReportData, Role, Target, accept, connect,
};

const DATA: u8 = 0;
const CLOSE: u8 = 1;
const EVIDENCE: u8 = 2;
const ACCEPTED: u8 = 3;
const REFUSED: u8 = 4;

/// What the granter makes of a stranger.
fn granter_meets(stranger: impl FnOnce(UnixStream) + Send) -> Outcome {
    let (near, far) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| stranger(near));
        accept(far, &identity(machine().enclave(GRANTER)), &only(HOLDER), None)
    })
}

/// Evidence of the enclave that is on the list, for the granter, carrying this.
fn evidence(stranger: &Stranger, data: &ReportData) -> Vec<u8> {
    let report = machine().enclave(HOLDER).report(&stranger.peers_target, data);
    Evidence::Local(Box::new(report)).to_bytes()
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Err(HandshakeError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// What a stranger is told who shows this.
fn shows(bytes: impl FnOnce(&Stranger) -> Vec<u8> + Send) -> (Outcome, Vec<u8>) {
    let mut answer = Vec::new();
    let outcome = granter_meets(|stream| {
        let mut stranger = Stranger::connect(stream);
        let bytes = bytes(&stranger);
        stranger.send(EVIDENCE, &bytes);
        answer = stranger.receive();
        if answer[0] == EVIDENCE {
            stranger.send(ACCEPTED, &[]);
        }
    });
    (outcome, answer)
}

#[test]
fn evidence_that_is_made_as_it_should_is_accepted() {
    let (outcome, answer) = shows(|stranger| {
        evidence(stranger, &ReportData::bind(Role::Initiator, &stranger.hash, &stranger.key))
    });
    outcome.unwrap();
    assert_eq!(answer[0], EVIDENCE, "the granter shows its own");
}

#[test]
fn evidence_for_another_session_key_or_role_is_refused() {
    let flipped = |bytes: &[u8; 32]| {
        let mut bytes = *bytes;
        bytes[31] ^= 1;
        bytes
    };
    for other in 0..4 {
        let (outcome, answer) = shows(|stranger| {
            let Stranger { hash, key, .. } = stranger;
            let data = match other {
                0 => ReportData::bind(Role::Initiator, &flipped(hash), key),
                1 => ReportData::bind(Role::Initiator, hash, &flipped(key)),
                2 => ReportData::bind(Role::Responder, hash, key),
                _ => ReportData([0; 64]),
            };
            evidence(stranger, &data)
        });
        assert_eq!(refusal(outcome), Refusal::NotBound, "variant {other}");
        assert_eq!(answer, [REFUSED, 3]);
    }
}

#[test]
fn a_stranger_who_relays_the_evidence_of_a_listed_enclave_is_refused() {
    let (to_holder, holders) = UnixStream::pair().unwrap();
    let outcome = thread::scope(|scope| {
        let holder = scope
            .spawn(|| connect(holders, &identity(machine().enclave(HOLDER)), &only(GRANTER), None));
        let outcome = granter_meets(|stream| {
            let mut stranger = Stranger::connect(stream);
            // The holder makes its report for the true granter, since the stranger asks for that.
            let target = Some(stranger.peers_target.clone());
            let challenge = Challenge { local: target, quotes: false };
            let mut session = Stranger::accept(to_holder, &challenge);
            let genuine = session.receive();
            assert_eq!(genuine[0], EVIDENCE);
            stranger.send(EVIDENCE, &genuine[1..]);
            assert_eq!(stranger.receive(), [REFUSED, 3]);
        });
        assert!(matches!(holder.join().unwrap(), Err(HandshakeError::Ended)));
        outcome
    });
    assert_eq!(refusal(outcome), Refusal::NotBound);
}

#[test]
fn an_initiator_that_is_shown_its_own_evidence_refuses_it() {
    let (near, far) = UnixStream::pair().unwrap();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let own = machine().enclave(HOLDER);
            let target = tlease_attest::Platform::target(&own);
            let mut stranger = Stranger::accept(far, &Challenge { local: target, quotes: false });
            let shown = stranger.receive();
            stranger.send(EVIDENCE, &shown[1..]);
        });
        connect(near, &identity(machine().enclave(HOLDER)), &only(HOLDER), None)
    });
    assert_eq!(refusal(outcome), Refusal::NotBound);
}

#[test]
fn what_is_no_evidence_is_refused_by_its_kind_and_length() {
    let empty = BadEvidence::Empty;
    let unknown = |number| BadEvidence::UnknownKind { number };
    let length = |kind, len| BadEvidence::WrongLength { kind, len };
    for (bytes, bad) in [
        (vec![], empty),
        (vec![0], unknown(0)),
        (vec![3; 1185], unknown(3)),
        (vec![255; 433], unknown(255)),
        (vec![1; 432], length(Kind::LocalReport, 431)),
        (vec![1; 434], length(Kind::LocalReport, 433)),
        (vec![2], length(Kind::Quote, 0)),
        (vec![2; 1 + EVIDENCE_MAX + 1], length(Kind::Quote, EVIDENCE_MAX + 1)),
        // As much as a frame holds, beside its seal and the number of what it carries.
        (vec![2; FRAME_MAX - 16 - 1], length(Kind::Quote, FRAME_MAX - 16 - 2)),
    ] {
        let (outcome, answer) = shows(|_| bytes);
        assert_eq!(refusal(outcome), Refusal::NoEvidence(bad));
        assert_eq!(answer, [REFUSED, 1]);
    }
    for len in [5000, EVIDENCE_MAX] {
        let (outcome, answer) = shows(|_| vec![2; 1 + len]);
        assert_eq!(refusal(outcome), Refusal::NoQuotes, "{len} bytes");
        assert_eq!(answer, [REFUSED, 2]);
    }
}

/// The third message of the channel has nothing to say; what it said would be sealed, and of nobody yet.
#[test]
fn a_third_message_that_says_something_gets_no_session() {
    for payload in [&b"x"[..], &[0], &[9; 1_000]] {
        let outcome = granter_meets(|mut stream| {
            let (mut noise, _) = noise(true);
            let challenge = Challenge { local: Some(Target::from_bytes([0; 128])), quotes: false };
            stream.write_all(HELLO).unwrap();
            say(&mut stream, &mut noise, &challenge.to_bytes());
            stream.read_exact(&mut [0; HELLO.len()]).unwrap();
            hear(&mut stream, &mut noise);
            say(&mut stream, &mut noise, payload);
        });
        let Err(HandshakeError::Protocol(Fault::Unexpected)) = outcome else {
            panic!("{payload:?}: {outcome:?}")
        };
    }
}

#[test]
fn whoever_speaks_out_of_turn_gets_no_session() {
    for content in [DATA, CLOSE, ACCEPTED, 5, 255] {
        let outcome = granter_meets(|stream| Stranger::connect(stream).send(content, b"x"));
        let Err(HandshakeError::Protocol(Fault::Unexpected)) = outcome else {
            panic!("{content}: {outcome:?}")
        };
    }
    let outcome = granter_meets(|stream| Stranger::connect(stream).send(REFUSED, &[200]));
    let Err(HandshakeError::RefusedByPeer(Reason::Other { number: 200 })) = outcome else {
        panic!("{outcome:?}")
    };
}

#[test]
fn an_initiator_that_does_not_accept_leaves_the_granter_without_a_session() {
    for content in [DATA, CLOSE, EVIDENCE, REFUSED] {
        let outcome = granter_meets(|stream| {
            let mut stranger = Stranger::connect(stream);
            let data = ReportData::bind(Role::Initiator, &stranger.hash, &stranger.key);
            let genuine = evidence(&stranger, &data);
            stranger.send(EVIDENCE, &genuine);
            assert_eq!(stranger.receive()[0], EVIDENCE);
            stranger.send(content, &[4]);
        });
        assert!(outcome.is_err(), "{content}");
    }
}

/// Remembers what its user wrote.
struct Recorder {
    stream: UnixStream,
    written: Vec<u8>,
}

impl Read for &mut Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for &mut Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        self.stream.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_handshake_that_is_replayed_to_the_same_granter_gives_no_session() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut recorder = Recorder { stream: near, written: Vec::new() };
    let granter = identity(machine().enclave(GRANTER));
    let holder = identity(machine().enclave(HOLDER));
    thread::scope(|scope| {
        scope.spawn(|| connect(&mut recorder, &holder, &only(GRANTER), None).map(drop).unwrap());
        accept(far, &granter, &only(HOLDER), None).unwrap();
    });

    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(&recorder.written).unwrap();
    let outcome = accept(far, &granter, &only(HOLDER), None);
    let Err(HandshakeError::Channel(_)) = outcome else { panic!("{outcome:?}") };
}

/// Lets two enclaves talk through somebody who changes a bit of one frame: who got a session.
fn meet_through(frame: usize, at: impl Fn(usize) -> usize + Send) -> (bool, bool) {
    let (holders, mut to_holder) = UnixStream::pair().unwrap();
    let (granters, mut to_granter) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let holder = scope.spawn(|| {
            connect(holders, &identity(machine().enclave(HOLDER)), &only(GRANTER), None).is_ok()
        });
        let granter = scope.spawn(|| {
            accept(granters, &identity(machine().enclave(GRANTER)), &only(HOLDER), None).is_ok()
        });
        let mut turn = 0;
        let mut pass = |from: &mut UnixStream, to: &mut UnixStream| -> io::Result<()> {
            let mut body = try_take(from)?;
            if turn == frame {
                let at = at(body.len());
                body[at] ^= 4;
            }
            turn += 1;
            to.write_all(&u16::try_from(body.len()).unwrap().to_be_bytes())?;
            to.write_all(&body)
        };
        let mut talk = || -> io::Result<()> {
            pass_hello(&mut to_holder, &mut to_granter)?;
            pass(&mut to_holder, &mut to_granter)?;
            pass_hello(&mut to_granter, &mut to_holder)?;
            pass(&mut to_granter, &mut to_holder)?;
            pass(&mut to_holder, &mut to_granter)?;
            pass(&mut to_holder, &mut to_granter)?;
            pass(&mut to_granter, &mut to_holder)?;
            pass(&mut to_holder, &mut to_granter)
        };
        // An end that has given up has closed its stream; the other must hear of it.
        let _ = talk();
        drop((to_holder, to_granter));
        (holder.join().unwrap(), granter.join().unwrap())
    })
}

fn pass_hello(from: &mut UnixStream, to: &mut UnixStream) -> io::Result<()> {
    let mut hello = [0; HELLO.len()];
    from.read_exact(&mut hello)?;
    to.write_all(&hello)
}

fn try_take(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 2];
    from.read_exact(&mut len)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes(len))];
    from.read_exact(&mut body)?;
    Ok(body)
}

const FRAMES: usize = 6;

#[test]
fn whoever_passes_frames_on_unchanged_is_not_noticed() {
    assert_eq!(meet_through(FRAMES, |_| 0), (true, true));
}

#[test]
fn a_handshake_of_which_a_bit_was_changed_gives_no_session_to_whoever_it_was_sent_to() {
    for frame in 0..FRAMES {
        for part in 0..12 {
            let (holder, granter) = meet_through(frame, |len| (len - 1) * part / 11);
            assert!(!granter, "frame {frame}, part {part}");
            // The last frame is the holder's own.
            assert_eq!(holder, frame == FRAMES - 1, "frame {frame}, part {part}");
        }
    }
}

#[test]
fn another_protocol_is_told_at_its_first_wrong_byte() {
    for hello in [&b"tlease/1\n"[..], b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"tlease-attest/2\n"]
    {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(hello).unwrap();
        let granter = identity(machine().enclave(GRANTER));
        let outcome = accept(far, &granter, &only(HOLDER), None);
        let Err(HandshakeError::OtherProtocol) = outcome else { panic!("{outcome:?}") };
    }
}

#[test]
fn a_handshake_that_is_cut_off_anywhere_is_an_end() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut recorder = Recorder { stream: near, written: Vec::new() };
    let granter = identity(machine().enclave(GRANTER));
    thread::scope(|scope| {
        scope.spawn(|| {
            let holder = identity(machine().enclave(HOLDER));
            connect(&mut recorder, &holder, &only(GRANTER), None).map(drop).unwrap();
        });
        accept(far, &granter, &only(HOLDER), None).unwrap();
    });
    // Up to the second frame of the initiator nothing depends on the responder.
    let first = HELLO.len() + 2 + 32 + 129;
    for len in 0..first + 2 {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(&recorder.written[..len]).unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
        let outcome = accept(far, &granter, &only(HOLDER), None);
        let Err(HandshakeError::Ended) = outcome else { panic!("{len}: {outcome:?}") };
    }
}

#[test]
fn a_frame_over_the_bound_ends_the_handshake() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(HELLO).unwrap();
    near.write_all(&[0x40, 0x01]).unwrap();
    let outcome = accept(far, &identity(machine().enclave(GRANTER)), &only(HOLDER), None);
    let Err(HandshakeError::Protocol(Fault::TooLong { announced: 16_385 })) = outcome else {
        panic!("{outcome:?}")
    };
}

#[test]
fn a_challenge_that_means_nothing_ends_the_handshake() {
    let outcome = granter_meets(|mut stream| {
        let (mut noise, _) = noise(true);
        stream.write_all(HELLO).unwrap();
        say(&mut stream, &mut noise, &[1, 2, 3]);
    });
    let Err(HandshakeError::Challenge(bad)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(bad.len, 3);
}
