//! What comes of clocks that disagree: leases wait for one round trip, their users and the granter are
//! told, and nobody gets or loses anything by it.

#[path = "support/rng.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod rng;
mod support;

use rng::Rng;
use support::granter::{self, reply_to};
use support::holder::{Bench, changes, fence, ops, requests};
use support::{exclusive, shared};
use tlease_core::audit::Disagreement;
use tlease_core::granter::Output as GranterOutput;
use tlease_core::holder::{Change, Ending, Handle, Input, Output, Renewal, View};
use tlease_core::identity::RequestId;
use tlease_core::message::{
    Answer, Ask, Force, FromGranter, Op, Recall, Renewed, Reply, Request, Status,
};
use tlease_core::time::Span;

const TERM: Span = Span::from_secs(5);

/// A holder of a lease which has one stamp, at its beginning.
fn stamped() -> Bench {
    let mut bench = Bench::open();
    bench.hold(1, exclusive("n"), 7);
    let [renewal] = &requests(&renew(&mut bench, 1))[..] else { panic!("one renewal") };
    answer(&mut bench, renewal.id, renewed(), Span::ZERO);
    bench
}

fn renew(bench: &mut Bench, handle: u64) -> Vec<Output> {
    bench.feed(Input::Renew { handle: Handle(handle), term: None })
}

fn renewed() -> Reply {
    Reply::Renewed(Renewed { term: TERM, tag: None, recall: None })
}

fn answer(bench: &mut Bench, id: RequestId, reply: Reply, moved: Span) -> Vec<Output> {
    bench.feed(Input::Received(FromGranter::Reply { id, reply, moved: Some(moved) }))
}

/// A second later the granter says that a millisecond more has passed since the first stamp.
fn disagree(bench: &mut Bench) -> Vec<Output> {
    bench.now += 1_000_000_000;
    let [renewal] = &requests(&renew(bench, 1))[..] else { panic!("one renewal") };
    let moved = Span::from_nanos(bench.now + 1_000_000);
    answer(bench, renewal.id, renewed(), moved)
}

const FOUND: Disagreement =
    Disagreement { granter: Span::from_millis(1_001), holder: Span::from_secs(1) };

#[test]
fn a_lease_is_suspect_until_a_renewal_sent_after_the_clocks_disagreed() {
    let mut bench = stamped();
    let outputs = disagree(&mut bench);
    let suspend = outputs.iter().position(|o| matches!(o, Output::Suspend { handle: Handle(1) }));
    let sent = outputs.iter().position(|o| matches!(o, Output::Send(_)));
    assert!(suspend.is_some() && suspend < sent, "the guard first: {outputs:?}");
    let not_held = outputs.iter().all(|o| !matches!(o, Output::Hold { .. }));
    assert!(not_held, "the reply that gave it away extends nothing: {outputs:?}");
    assert_eq!(changes(&outputs)[0], Change::ClocksDisagree(FOUND));
    assert_eq!(bench.view(1), View::Suspect);
    let sent = requests(&outputs);
    let [Request { op: Op::Report(FOUND), .. }, Request { id, op: Op::Renew { .. }, .. }] =
        sent[..]
    else {
        panic!("a report and a renewal: {sent:?}")
    };
    let outputs = bench.reply(id, renewed());
    assert!(outputs.iter().any(|o| matches!(o, Output::Hold { handle: Handle(1), .. })));
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn requests_that_were_under_way_when_the_clocks_disagreed_revive_nothing() {
    let mut bench = stamped();
    bench.now += 500_000_000;
    let [early] = &requests(&renew(&mut bench, 1))[..] else { panic!("one renewal") };
    let wanted = requests(&bench.want(2, exclusive("m")));
    disagree(&mut bench);
    bench.reply(early.id, renewed());
    assert_eq!(bench.view(1), View::Suspect);
    // A grant that was under way is confirmed by one more round trip, like an offer.
    let outputs = bench.reply(wanted[0].id, Reply::Granted(support::holder::grant(9, TERM)));
    assert_eq!(bench.view(2), View::Pending);
    let [confirmation] = &requests(&outputs)[..] else { panic!("a confirmation: {outputs:?}") };
    bench.reply(confirmation.id, renewed());
    assert!(matches!(bench.view(2), View::Valid { .. }));
}

#[test]
fn a_lease_that_is_renewed_by_hand_waits_for_its_user() {
    let mut bench = Bench::open();
    let (handle, renewal) = (Handle(1), Renewal::ByHand);
    let sent = requests(&bench.feed(Input::Acquire { handle, acquire: exclusive("n"), renewal }));
    answer(&mut bench, sent[0].id, Reply::Granted(support::holder::grant(7, TERM)), Span::ZERO);
    let outputs = disagree(&mut bench);
    assert_eq!(ops(&outputs), [Op::Report(FOUND)]);
    assert_eq!(bench.view(1), View::Suspect);
    let sent = requests(&renew(&mut bench, 1));
    bench.reply(sent[0].id, renewed());
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn what_was_over_before_the_clocks_disagreed_is_over_after_it() {
    let mut bench = stamped();
    let [early] = &requests(&renew(&mut bench, 1))[..] else { panic!("one renewal") };
    bench.now += 6_000_000_000;
    let outputs = answer(&mut bench, early.id, renewed(), Span::from_secs(7));
    assert_eq!(changes(&outputs)[0], Change::Ended(Ending::Expired));
    assert_eq!(bench.view(1), View::Ended(Ending::Expired));
}

#[test]
fn a_doubted_lease_still_ends_at_its_deadline() {
    let mut bench = stamped();
    disagree(&mut bench);
    bench.now += 6_000_000_000;
    assert_eq!(bench.view(1), View::Ended(Ending::Expired));
}

#[test]
fn a_recall_of_a_doubted_lease_does_not_open_its_guard() {
    let mut bench = stamped();
    disagree(&mut bench);
    let recall = Recall { until: Span::from_secs(1), force: Force::Grace };
    let (name, fence) = (support::holder::name("n"), fence(7));
    let outputs = bench.feed(Input::Received(FromGranter::Recalled { name, fence, recall }));
    assert!(outputs.iter().all(|o| !matches!(o, Output::Hold { .. })), "{outputs:?}");
    assert_eq!(bench.view(1), View::Suspect);
}

#[test]
fn stamps_of_different_segments_and_lives_are_not_compared() {
    let mut bench = stamped();
    bench.segment = 1;
    let sent = requests(&renew(&mut bench, 1));
    let outputs = answer(&mut bench, sent[0].id, renewed(), Span::from_secs(100));
    assert!(!changes(&outputs).contains(&Change::Suspect), "{outputs:?}");
    assert!(matches!(bench.view(1), View::Valid { .. }));
    // The next life counts from zero, and its first stamp is not held against the last life's.
    bench.connect(2, 1);
    bench.want(2, exclusive("m"));
    let outputs = bench.connect(2, 2);
    let sent = requests(&outputs);
    let outputs = answer(&mut bench, sent[0].id, renewed(), Span::from_secs(900));
    let found = |change: &Change| matches!(change, Change::ClocksDisagree(_));
    assert!(!changes(&outputs).iter().any(found), "{outputs:?}");
}

/// However a granter makes up its stamps, a holder with many leases sends no more than a report, and a
/// renewal of each lease, in a round trip.
#[test]
fn stamps_that_are_made_up_do_not_multiply_requests() {
    let mut bench = Bench::open();
    let leases = 20;
    for handle in 1..=leases {
        let acquire = if handle % 2 == 0 { exclusive("n") } else { shared("n") };
        let name = support::holder::name(&format!("n/{handle}"));
        bench.hold(handle, tlease_core::message::Acquire { name, ..acquire }, handle);
    }
    let mut to_answer: Vec<Request> =
        (1..=leases).flat_map(|h| requests(&renew(&mut bench, h))).collect();
    let mut moved = 0;
    for round_trip in 0..50 {
        let mut sent = Vec::new();
        for request in to_answer {
            moved += 1_000_000_000;
            let reply = match request.op {
                Op::Report(_) => Reply::Noted,
                Op::RenewAll { .. } => Reply::RenewedAll,
                Op::Renew { .. }
                | Op::Acquire(_)
                | Op::Release { .. }
                | Op::Withdraw { .. }
                | Op::Downgrade { .. }
                | Op::Reclaim(_) => renewed(),
            };
            sent.extend(requests(&answer(&mut bench, request.id, reply, Span::from_nanos(moved))));
        }
        assert!(!sent.is_empty() && sent.len() as u64 <= leases + 1, "{round_trip}: {sent:?}");
        to_answer = sent;
    }
}

/// Invariant I51.
#[test]
fn a_report_is_counted_and_changes_nothing_else() {
    let mut reports = 0;
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (mut with, mut without) = (granter::Bench::new(), granter::Bench::new());
        let sessions =
            [1, 2].map(|who| (with.open(who, who.into()), without.open(who, who.into())));
        for id in 1..60 {
            let (session, same) = rng.pick(&sessions);
            let lies = Disagreement {
                granter: Span::from_nanos(rng.next()),
                holder: Span::from_nanos(rng.next()),
            };
            if rng.chance(40) {
                let id = RequestId(2 * id);
                let outputs = with.request_as(session, id, Op::Report(lies));
                let [GranterOutput::Reported { disagreement, .. }, GranterOutput::Send { .. }] =
                    &outputs[..]
                else {
                    panic!("a report and its answer: {outputs:?}")
                };
                assert_eq!((*disagreement, reply_to(id, &outputs)), (lies, Some(Reply::Noted)));
                reports += 1;
            }
            let op = some_op(&mut rng);
            let id = RequestId(2 * id + 1);
            let outputs =
                (with.request_as(session, id, op.clone()), without.request_as(same, id, op));
            assert_eq!(unstamped(outputs.0), unstamped(outputs.1), "seed {seed}");
            let span = Span::from_millis(rng.pick(&[0, 1, 100, 4_000]));
            assert_eq!(unstamped(with.pass(span)), unstamped(without.pass(span)), "seed {seed}");
        }
        let (with, without) = (status(&mut with), status(&mut without));
        assert_eq!(without.disagreements, 0);
        assert_eq!(Status { disagreements: 0, ..with }, without);
    }
    assert!(reports > 1_000, "{reports}");
}

fn some_op(rng: &mut Rng) -> Op {
    let (name, fence) = (support::holder::name("n"), fence(rng.between(1, 6)));
    match rng.below(6) {
        0 => Op::Acquire(exclusive("n")),
        1 => Op::Acquire(shared("n")),
        2 | 3 => Op::Renew { name, fence, term: None },
        4 => Op::Release { name, fence },
        _ => Op::Withdraw { name },
    }
}

fn status(bench: &mut granter::Bench) -> Status {
    let Answer::Status(status) = bench.ask(Ask::Status) else { panic!("a status") };
    status
}

/// Without the stamps: a report may carry the one that the next reply would have.
fn unstamped(outputs: Vec<GranterOutput>) -> Vec<GranterOutput> {
    let mut outputs = outputs;
    for output in &mut outputs {
        if let GranterOutput::Send { message: FromGranter::Reply { moved, .. }, .. } = output {
            *moved = None;
        }
    }
    outputs
}

#[cfg(feature = "mutants")]
#[test]
fn the_bugs_are_noticed_when_they_are_planted() {
    use support::planted::dies;
    use tlease_core::Mutant;

    dies(
        Mutant::DoubtKeepsLeases,
        a_lease_is_suspect_until_a_renewal_sent_after_the_clocks_disagreed,
    );
    dies(
        Mutant::DoubtSparesRequests,
        requests_that_were_under_way_when_the_clocks_disagreed_revive_nothing,
    );
    dies(Mutant::ReportFrees, a_report_is_counted_and_changes_nothing_else);
}
