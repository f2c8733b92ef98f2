//! What a model check of the protocol found, each finding as a sentence that holds now.
//!
//! Findings 1 (reclaim) and 5 (delayed release) are the executions A8 and A6 of
//! `review_executions.rs` and tested there; the others are here, under their numbers.

mod support;

use support::granter::Writes;
use support::holder::{changes, fence, grant, life, name, ops, requests};
use support::{exclusive, granter, holder, shared};
use tlease_core::granter::{Input as GranterInput, Leftovers, Output, Past, Record};
use tlease_core::holder::{Change, Ending, Handle, Input, Output as HolderOutput, View};
use tlease_core::message::{
    Acquire, Answer, Ask, Force, FromGranter, Grant, Op, Recall, Renewed, Reply,
};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;
use tlease_core::{FenceGate, Mode};

const TERM: Span = Span::from_secs(5);

fn renewed(term: Span) -> Reply {
    Reply::Renewed(Renewed { term, tag: None, recall: None })
}

fn renew(grant: &Grant, term: Option<Span>) -> Op {
    Op::Renew { name: name("jobs"), fence: grant.fence, term }
}

fn release(grant: &Grant) -> Op {
    Op::Release { name: name("jobs"), fence: grant.fence }
}

#[test]
fn finding_2_nothing_is_granted_before_its_fence_and_its_term_are_durable() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    bench.writes = Writes::Wait;
    let (id, outputs) = bench.request(ada, Op::Acquire(exclusive("jobs")));
    assert_eq!(granter::reply_to(id, &outputs), None);
    let (_, record) = bench.unwritten.expect("something to write");
    assert!(record.longest_promise >= TERM && record.leftovers == Leftovers::Possible);
    let Some(Reply::Granted(grant)) = granter::reply_to(id, &bench.write()) else {
        panic!("granted once durable")
    };
    assert!(grant.fence.get() <= record.fence_mark);
}

#[test]
fn finding_2_a_longer_renewal_is_not_promised_before_it_is_durable() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.writes = Writes::Wait;
    let longer = Some(Span::from_secs(500));
    assert_eq!(bench.reply(ada, renew(&held, longer)), renewed(TERM));
    bench.write();
    let Reply::Renewed(now) = bench.reply(ada, renew(&held, longer)) else { panic!("renewed") };
    assert_eq!(Some(now.term), longer);
    assert!(now.tag.is_some(), "a new term is signed anew");
}

#[test]
fn finding_2_a_write_that_fails_refuses_what_waited_and_leaves_what_was_as_it_was() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.writes = Writes::Wait;
    let long = Acquire { term: Span::from_secs(5_000), ..exclusive("other") };
    let (id, _) = bench.request(bob, Op::Acquire(long));
    let (write, _) = bench.unwritten.take().expect("something to write");
    let failed = bench.feed(GranterInput::PersistFailed(write));
    let refused = Some(Reply::Refused(Refusal::StoreUnavailable));
    assert_eq!(granter::reply_to(id, &failed), refused);
    assert_eq!(bench.reply(ada, renew(&held, None)), renewed(TERM), "renewals go on");
    assert_eq!(bench.fences("other"), []);
}

#[test]
fn finding_2_the_incarnation_is_durable_before_anything_is_sent() {
    let mut bench = granter::Bench::new();
    let record = bench.disk.take().expect("a record");
    let mut next = granter::Bench::unborn(Default::default(), Past::Record(record), 0);
    let rights = tlease_core::identity::Rights::Holder;
    let peer = tlease_core::identity::Peer(1);
    let outputs = next.feed(GranterInput::Connected { peer, rights });
    let sends = |output: &Output| matches!(output, Output::Send { .. });
    assert!(!outputs.iter().any(sends), "{outputs:?}");
    assert_eq!(granter::closed(&outputs).len(), 1);
    assert!(next.disk.is_some_and(|now| now.incarnation > record.incarnation));
}

#[test]
fn finding_3_the_bound_is_lowered_only_after_the_wait_and_never_below_a_live_lease() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let hour = Acquire { term: Span::from_secs(3_600), ..exclusive("long") };
    let long = bench.grant(ada, Op::Acquire(hour));
    bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let bound = |bench: &granter::Bench| bench.disk.expect("a record").longest_promise;
    assert!(bound(&bench) >= Span::from_secs(3_600));
    bench.restart();
    bench.pass(Span::from_secs(1_800));
    assert!(bound(&bench) >= Span::from_secs(3_600), "not during the wait");

    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let hour = Acquire { term: Span::from_secs(3_600), ..exclusive("long") };
    let again = bench.grant(ada, Op::Acquire(hour));
    assert_eq!(again.fence, long.fence);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.reply(ada, Op::Release { name: name("long"), fence: again.fence });
    for _ in 0..4 {
        bench.pass(Span::from_secs(4));
        bench.reply(ada, renew(&held, None));
    }
    assert!((TERM..Span::from_secs(10)).contains(&bound(&bench)), "{}", bound(&bench));
}

#[test]
fn finding_3_a_smaller_bound_of_the_configuration_does_not_shorten_the_wait() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let hour = Acquire { term: Span::from_secs(3_600), ..exclusive("long") };
    bench.grant(ada, Op::Acquire(hour));
    let past = Past::Record(bench.disk.expect("a record"));
    let limits =
        tlease_core::granter::Limits { term_max: Span::from_secs(10), ..Default::default() };
    let mut next = granter::Bench::begin(limits, past, 0);
    next.connect_operator();
    let Answer::Status(status) = next.ask(Ask::Status) else { panic!("a status") };
    assert!(status.wait_left >= Some(Span::from_secs(3_600)), "{status:?}");
}

#[test]
fn finding_4_a_renewal_sets_the_later_deadline_on_both_sides() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let shorter = Some(Span::from_secs(1));
    assert_eq!(bench.reply(ada, renew(&held, shorter)), renewed(TERM));

    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let sent = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }));
    bench.reply(sent[0].id, renewed(Span::from_secs(1)));
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn finding_6_the_acknowledgement_of_a_recall_is_the_release_after_the_guard_is_closed() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let recall = Recall { until: Span::ZERO, force: Force::Now };
    let message = FromGranter::Recalled { name: name("jobs"), fence: fence(7), recall };
    let outputs = bench.feed(Input::Received(message.clone()));
    let close = outputs.iter().position(|o| matches!(o, HolderOutput::Close { .. }));
    let send = outputs.iter().position(|o| matches!(o, HolderOutput::Send(_)));
    assert!(close.is_some() && close < send, "{outputs:?}");
    let back = Op::Release { name: name("jobs"), fence: fence(7) };
    assert_eq!(ops(&outputs), [back]);
    assert_eq!(bench.view(1), View::Ended(Ending::Recalled), "and that is final");
    let again = bench.feed(Input::Received(message));
    assert_eq!(ops(&again), []);
}

#[test]
fn finding_6_a_recall_of_another_fence_concerns_nobody() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let recall = Recall { until: Span::ZERO, force: Force::Now };
    let stale = FromGranter::Recalled { name: name("jobs"), fence: fence(6), recall };
    bench.feed(Input::Received(stale));
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn finding_7_after_a_release_no_answer_to_an_older_request_makes_a_lease() {
    let mut bench = holder::Bench::open();
    let asked = requests(&bench.want(1, exclusive("jobs")))[0].id;
    bench.feed(Input::Release { handle: Handle(1) });
    let late = bench.reply(asked, Reply::Granted(grant(7, TERM)));
    assert_eq!(bench.view(1), View::Ended(Ending::Released));
    let back = Op::Release { name: name("jobs"), fence: fence(7) };
    assert_eq!(ops(&late), [back], "it is given back");
    assert!(!late.iter().any(|output| matches!(output, HolderOutput::Hold { .. })));
}

#[test]
fn finding_8_a_second_acquire_gets_a_new_fence_and_never_the_old_one_again() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let first = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let second = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    assert!(second.fence > first.fence);
    assert_eq!(bench.reply(ada, release(&first)), Reply::Released { was_held: false });
    assert_eq!(bench.fences("jobs"), [second.fence]);
}

#[test]
fn finding_8_a_holder_does_not_ask_for_what_it_has() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let outputs = bench.want(2, exclusive("jobs"));
    assert_eq!(ops(&outputs), []);
    assert_eq!(bench.view(2), View::Ended(Ending::Refused(Refusal::AlreadyHeld)));
}

#[test]
fn finding_9_an_acquire_replayed_after_a_crash_is_refused() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let (id, _) = bench.request(ada, Op::Acquire(exclusive("jobs")));
    bench.restart();
    bench.pass(Span::from_secs(10));
    let again = bench.open(1, 1);
    let replayed = granter::Session { peer: again.peer, epoch: ada.epoch };
    let outputs = bench.request_as(replayed, id, Op::Acquire(exclusive("jobs")));
    assert_eq!(granter::reply_to(id, &outputs), Some(Reply::Refused(Refusal::StaleEpoch)));
    assert_eq!(bench.fences("jobs"), []);
}

#[test]
fn finding_10_a_waiter_that_asks_again_keeps_its_place_and_the_newest_request_is_answered() {
    let mut bench = granter::Bench::new();
    let (ada, bob, eve) = (bench.open(1, 1), bench.open(2, 2), bench.open(3, 3));
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let (older, _) = bench.request(bob, Op::Acquire(exclusive("jobs")));
    bench.reply(eve, Op::Acquire(exclusive("jobs")));
    let bob = bench.open(2, 12);
    let (newer, outputs) = bench.request(bob, Op::Acquire(exclusive("jobs")));
    let kept = Some(Reply::Queued { ahead: 0, wait_left: None });
    assert_eq!(granter::reply_to(newer, &outputs), kept);
    let (_, freed) = bench.request(ada, release(&held));
    assert_eq!(granter::reply_to(older, &freed), None);
    assert!(matches!(granter::reply_to(newer, &freed), Some(Reply::Offered { .. })), "{freed:?}");
}

#[test]
fn finding_10_a_grant_that_is_dead_on_arrival_is_confirmed_like_an_offer() {
    let mut bench = holder::Bench::open();
    let asked = requests(&bench.want(1, exclusive("jobs")))[0].id;
    bench.now += TERM.as_nanos();
    let confirmation = requests(&bench.reply(asked, Reply::Granted(grant(7, TERM))));
    assert_eq!(bench.view(1), View::Pending);
    bench.reply(confirmation[0].id, renewed(TERM));
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn finding_11_a_break_also_voids_the_anchors_of_requests_under_way() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let before = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }))[0].id;
    bench.segment = 1;
    let after = requests(&bench.feed(Input::Wake));
    bench.reply(before, renewed(TERM));
    assert_eq!(bench.view(1), View::Suspect);
    bench.reply(after[0].id, renewed(TERM));
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn finding_12_a_resource_refuses_no_shared_holder_because_another_one_acted() {
    let (exclusive, shared) = (Mode::Exclusive, Mode::Shared);
    let mut gate = FenceGate::default();
    assert!(gate.admit(fence(1), exclusive).is_ok());
    assert!(gate.admit(fence(3), shared).is_ok());
    assert!(gate.admit(fence(2), shared).is_ok(), "its fence is older, and it is no less valid");
    assert!(gate.admit(fence(2), exclusive).is_err());
    assert!(gate.admit(fence(4), exclusive).is_ok());
    assert!(gate.admit(fence(3), shared).is_err());
}

#[test]
fn finding_13_a_recalled_lease_is_not_renewed_past_its_grace() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let (waits, _) = bench.request(bob, Op::Acquire(exclusive("jobs")));
    let grace = Span::from_secs(2);
    bench.ask(Ask::Recall { name: name("jobs"), grace, force: Force::Grace });
    let mut offered = None;
    for _ in 0..60 {
        let outputs = bench.pass(Span::from_millis(100));
        offered = offered.or(granter::reply_to(waits, &outputs));
        let (id, outputs) = bench.request(ada, renew(&held, None));
        offered = offered.or(granter::reply_to(waits, &outputs));
        if let Some(Reply::Renewed(renewed)) = granter::reply_to(id, &outputs) {
            assert!(renewed.recall.is_some(), "the recall may have been lost");
        }
    }
    assert!(matches!(offered, Some(Reply::Offered { .. })), "a steady renewer starves nobody");
}

#[test]
fn finding_14_expiry_is_final_on_both_sides() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.now = granter::at(TERM.as_nanos());
    let refused = bench.reply(ada, renew(&held, None));
    assert_eq!(refused, Reply::Refused(Refusal::NotHeldHere), "also before its timer fired");

    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let asked = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }))[0].id;
    let over = bench.pass(Span::from_millis(5_001));
    assert_eq!(changes(&over), [Change::Ended(Ending::Expired)]);
    let late = bench.reply(asked, renewed(Span::from_secs(60)));
    assert_eq!(changes(&late), []);
    assert_eq!(bench.view(1), View::Ended(Ending::Expired));
}

#[test]
fn an_orderly_exit_with_nothing_held_saves_the_next_start_its_wait_and_is_erased_by_a_grant() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.reply(ada, release(&held));
    bench.feed(GranterInput::Stop);
    let settled = bench.disk.expect("a record");
    assert_eq!(settled.leftovers, Leftovers::None);
    let mut next = granter::Bench::begin(Default::default(), Past::Record(settled), 0);
    let bob = next.open(2, 2);
    let again = next.grant(bob, Op::Acquire(shared("jobs")));
    assert!(again.fence > held.fence);
    let Record { leftovers, incarnation, .. } = next.disk.expect("a record");
    assert_eq!((leftovers, incarnation), (Leftovers::Possible, life(2)));
}
