//! Clients that misbehave hear why, and disturb nobody.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

mod common;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use common::{Client, Home, Running, SECOND, name, until};
use tlease_core::identity::AskId;
use tlease_core::message::{Answer, Ask, FromGranter, Op, Prefix, Reply, ToGranter};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;
use tlease_wire::{FRAME_MAX, GoodbyeReason, HELLO};

/// Runs `misuse` while another client holds a lease and renews it.
fn beside_a_holder(granter: &Running, misuse: impl FnOnce()) {
    let mut holder = granter.session(200);
    let grant = holder.take("beside", Span::from_secs(60));
    misuse();
    assert!(matches!(holder.renew("beside", grant.fence), Reply::Renewed(_)));
}

#[test]
fn garbage_is_answered_with_what_was_expected() {
    let home = Home::new();
    let granter = home.start();
    beside_a_holder(&granter, || {
        for (garbage, says) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not speak tlease/1"),
            (b"tlease/2\n".to_vec(), "speaks tlease/2, this side tlease/1"),
            ([HELLO, &u32::MAX.to_be_bytes()].concat(), "at most 1048576 go"),
            ([HELLO, b"\0\0\0\x02\x08\x01"].concat(), "not of the protocol's shape"),
            ([HELLO, b"\0\0\0\x02\x22\x00"].concat(), "Question.ask is missing"),
        ] {
            let mut client = Client::silent(granter.tcp());
            client.send_raw(&garbage);
            let goodbye = client.hear_goodbye();
            assert_eq!(goodbye.reason, GoodbyeReason::NotUnderstood);
            assert!(goodbye.detail.contains(says), "{}", goodbye.detail);
        }
    });
    assert_eq!(granter.metrics.snapshot().not_understood, 5);
}

#[test]
fn a_client_that_writes_long_before_it_reads_hears_its_goodbye() {
    let home = Home::new();
    let mut config = home.config();
    config.connections.goodbye_within = common::PATIENCE;
    let granter = Running::start(config);
    let mut client = Client::silent(granter.tcp());
    let before = common::now();
    client.send_raw(&vec![b'x'; 16 << 20]);
    assert_eq!(client.hear_goodbye().reason, GoodbyeReason::NotUnderstood);
    assert!(before.elapsed() < common::PATIENCE, "it was kept waiting until it was dropped");
}

#[test]
fn random_bytes_after_a_hello_never_end_the_granter() {
    let home = Home::new();
    let granter = home.start();
    beside_a_holder(&granter, || {
        let mut state = 1_u32;
        for _ in 0..300 {
            let noise: Vec<u8> = (0..200)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0]
                })
                .collect();
            let mut client = Client::silent(granter.tcp());
            client.send_raw(HELLO);
            client.send_raw(&100_u32.to_be_bytes());
            client.send_raw(&noise);
        }
    });
    until("all are gone", || granter.metrics.snapshot().connections == 0);
}

#[test]
fn a_connection_that_says_nothing_is_closed_in_time() {
    let home = Home::new();
    let mut config = home.config();
    config.connections.hello_within = Duration::from_millis(50);
    let granter = Running::start(config);
    beside_a_holder(&granter, || {
        let mut silent = Client::silent(granter.tcp());
        silent.send_raw(b"tlea");
        assert_eq!(silent.hear_goodbye().reason, GoodbyeReason::TooSlow);
    });
}

#[test]
fn a_request_that_never_ends_keeps_nobody_waiting() {
    let home = Home::new();
    let granter = home.start();
    let mut stuck = Client::over(granter.tcp());
    stuck.send_raw(HELLO);
    stuck.send_raw(&u32::try_from(FRAME_MAX).unwrap().to_be_bytes());
    stuck.send_raw(&vec![0x22; FRAME_MAX / 2]);
    beside_a_holder(&granter, || {});
}

#[test]
fn a_client_that_is_told_goodbye_and_stays_is_dropped() {
    let home = Home::new();
    let mut config = home.config();
    config.connections.goodbye_within = Duration::from_millis(50);
    let granter = Running::start(config);
    let mut stream = granter.tcp();
    stream.write_all(b"nonsense").unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert!(heard.starts_with(HELLO));
    // It has not closed its end; the granter does without.
    until("it is dropped", || granter.metrics.snapshot().connections == 0);
}

#[test]
fn a_watcher_that_does_not_read_is_closed_and_its_memory_bounded() {
    let home = Home::new();
    let mut config = home.config();
    config.connections.unread_max = 64 << 10;
    let granter = Running::start(config);
    let mut watcher = Client::at(&home.socket());
    let all = Prefix::default();
    let watch = Ask::Watch { prefix: all, after: None };
    assert!(matches!(watcher.answer(watch), Answer::Watching { .. }));
    let mut busy = granter.session(1);
    until("the watcher is closed", || {
        for _ in 0..100 {
            let fence = busy.take("job", SECOND).fence;
            busy.call(Op::Release { name: name("job"), fence });
        }
        granter.metrics.snapshot().too_slow == 1
    });
    while watcher.next().is_ok() {}
    until("it is gone", || granter.metrics.snapshot().connections == 1);
}

#[test]
fn a_client_that_asks_much_and_reads_nothing_is_not_read_either() {
    let home = Home::new();
    let granter = home.start();
    beside_a_holder(&granter, || {
        let mut greedy = granter.tcp();
        greedy.set_nonblocking(true).unwrap();
        greedy.write_all(HELLO).unwrap();
        let mut frames = tlease_wire::ToGranterFrames::default();
        for id in 0..1000 {
            frames.push(&ToGranter::Ask { id: AskId(id), ask: Ask::Status }).unwrap();
        }
        let asks = frames.unsent().to_vec();
        // Cut anywhere, the stream stays in step: what was written of it is remembered.
        let mut at = 0;
        until("it is not read any more", || {
            at = (at + greedy.write(&asks[at..]).unwrap_or(0)) % asks.len();
            granter.metrics.snapshot().paused > 0
        });
        assert_eq!(granter.metrics.snapshot().too_slow, 0);
        // Once it reads, it is served again.
        let mut bytes = [0; 65536];
        let served = granter.metrics.snapshot().messages_in;
        until("it is served again", || {
            while greedy.read(&mut bytes).is_ok_and(|count| count > 0) {}
            at = (at + greedy.write(&asks[at..]).unwrap_or(0)) % asks.len();
            granter.metrics.snapshot().messages_in > served + 100_000
        });
    });
}

#[test]
fn connections_beyond_the_bound_hear_so() {
    let home = Home::new();
    let mut config = home.config();
    config.connections.count_max = 3;
    let granter = Running::start(config);
    beside_a_holder(&granter, || {
        let kept: Vec<_> = (1..=2).map(|number| granter.session(number)).collect();
        let mut refused = granter.client();
        assert_eq!(refused.hear_goodbye().reason, GoodbyeReason::Full);
        drop(kept);
        until("there is room again", || granter.metrics.snapshot().connections == 1);
        granter.session(3);
    });
    assert_eq!(granter.metrics.snapshot().turned_away, 1);
}

#[test]
fn another_clients_session_and_a_used_id_are_refused() {
    let home = Home::new();
    let granter = home.start();
    let mut client = granter.session(1);
    let grant = client.take("job", Span::from_secs(60));
    let mut thief = granter.session(2);
    let release = Op::Release { name: name("job"), fence: grant.fence };
    assert_eq!(thief.call(release), Reply::Released { was_held: false });
    assert!(matches!(thief.renew("job", grant.fence), Reply::Refused(Refusal::NotHeldHere)));

    let mut again = granter.client();
    again.push(&ToGranter::Open {
        session: tlease_core::identity::SessionId([1; 16]),
        secret: tlease_core::identity::Secret([9; 16]),
    });
    assert_eq!(again.hear(), FromGranter::NotOpened(Refusal::WrongSecret));
    assert_eq!(again.hear_goodbye().reason, GoodbyeReason::Unwelcome);
    assert!(matches!(client.renew("job", grant.fence), Reply::Renewed(_)));
}
