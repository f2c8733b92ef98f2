//! Renewals that come back in vain, since continuity of time broke meanwhile.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod support;

use support::exclusive;
use support::holder::{Bench, grant, ops, requests};
use tlease_core::holder::{Input, Output, View, WakeReason};
use tlease_core::identity::RequestId;
use tlease_core::message::{Op, Renewed, Reply};
use tlease_core::time::Span;

const TERM: Span = Span::from_secs(5);

fn renewed() -> Reply {
    Reply::Renewed(Renewed { term: TERM, tag: None, recall: None })
}

/// Continuity breaks, and then this answer comes.
fn in_vain(bench: &mut Bench, id: RequestId, reply: Reply) -> Vec<Output> {
    bench.segment += 1;
    bench.reply(id, reply)
}

fn only(outputs: &[Output]) -> RequestId {
    let sent = requests(outputs);
    let [request] = &sent[..] else { panic!("one request: {sent:?}") };
    request.id
}

/// The wake-up for the next attempt, if one was asked for.
fn pause(outputs: &[Output]) -> Option<Span> {
    outputs.iter().find_map(|output| {
        let Output::WakeAt { after, reason: WakeReason::Suspect } = output else { return None };
        Some(*after)
    })
}

#[test]
fn a_second_renewal_in_vain_is_followed_by_a_pause_and_then_by_another() {
    let mut bench = Bench::open();
    bench.hold(1, exclusive("n"), 7);
    bench.segment += 1;
    let mut id = only(&bench.feed(Input::Wake));
    // Once is chance.
    let outputs = in_vain(&mut bench, id, renewed());
    assert_eq!(pause(&outputs), None);
    id = only(&outputs);
    let mut last = Span::ZERO;
    for _ in 0..4 {
        let outputs = in_vain(&mut bench, id, renewed());
        assert_eq!(ops(&outputs), [], "it waits");
        let pause = pause(&outputs).expect("a wake-up");
        assert!(pause > last && pause < Span::from_millis(20), "{pause}");
        last = pause;
        assert_eq!(bench.view(1), View::Suspect);
        // However the hand moves meanwhile, and even if it stands.
        id = only(&bench.feed(Input::Wake));
    }
    let outputs = bench.reply(id, renewed());
    assert!(outputs.iter().any(|output| matches!(output, Output::Hold { .. })));
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
    // It helped: the next break is answered at once again.
    bench.segment += 1;
    id = only(&bench.feed(Input::Wake));
    only(&in_vain(&mut bench, id, renewed()));
}

#[test]
fn what_is_not_suspect_is_renewed_during_a_pause() {
    let mut bench = Bench::open();
    bench.hold(1, exclusive("n"), 7);
    bench.segment += 1;
    let first = only(&bench.feed(Input::Wake));
    let second = only(&in_vain(&mut bench, first, renewed()));
    assert!(pause(&in_vain(&mut bench, second, renewed())).is_some());
    let sent = requests(&bench.want(2, exclusive("m")));
    bench.reply(sent[0].id, Reply::Granted(grant(8, TERM)));
    assert_eq!(bench.view(2), View::Valid { at_least: TERM });
    assert_eq!(bench.view(1), View::Suspect);
    // The user of the suspect one need not wait.
    let outputs = bench.feed(Input::Renew { handle: tlease_core::holder::Handle(1), term: None });
    bench.reply(only(&outputs), renewed());
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn a_grant_that_is_confirmed_in_vain_is_confirmed_again_after_a_pause() {
    let mut bench = Bench::open();
    let sent = requests(&bench.want(1, exclusive("n")));
    let mut id = only(&in_vain(&mut bench, sent[0].id, Reply::Granted(grant(7, TERM))));
    id = only(&in_vain(&mut bench, id, renewed()));
    let outputs = in_vain(&mut bench, id, renewed());
    assert_eq!((ops(&outputs), bench.view(1)), (Vec::new(), View::Pending));
    assert!(pause(&outputs).is_some());
    id = only(&bench.feed(Input::Wake));
    bench.reply(id, renewed());
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn a_clock_that_breaks_at_every_reading_does_not_flood_the_granter() {
    let mut bench = Bench::open();
    bench.hold(1, exclusive("n"), 7);
    bench.hold(2, exclusive("m"), 8);
    let mut under_way = Vec::new();
    for _ in 0..1_000 {
        bench.segment += 1;
        under_way.extend(requests(&bench.feed(Input::Wake)));
    }
    assert!(under_way.iter().all(|request| matches!(request.op, Op::RenewAll { .. })));
    assert!((1..=4).contains(&under_way.len()), "{}", under_way.len());
    // Nothing is forgotten for it: the answers make the leases valid, or have it asked again.
    let mut answered = 0;
    let mut under_way = std::collections::VecDeque::from(under_way);
    while let Some(request) = under_way.pop_front() {
        under_way.extend(requests(&bench.reply(request.id, Reply::RenewedAll)));
        answered += 1;
    }
    assert!(answered < 10, "{answered}");
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
    assert_eq!(bench.view(2), View::Valid { at_least: TERM });
}
