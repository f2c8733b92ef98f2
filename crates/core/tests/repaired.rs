//! Executions that once went wrong here, each found by a simulated world (`docs/track-record.md`) or by reading, and
//! kept as a sentence that holds now.

mod support;

use support::holder::{changes, fence, grant, name, ops, requests};
use support::{exclusive, granter, holder, shared};
use tlease_core::granter::{Input as ToGranterMachine, Limits, Past};
use tlease_core::holder::{Change, Ending, Handle, Hold, Holder, Input, Output, Renewal, View};
use tlease_core::identity::RequestId;
use tlease_core::message::{
    Acquire, Answer, Ask, Force, FromGranter, Op, Recall, Reclaim, Renewed, Reply, Tag, Wait,
};
use tlease_core::refusal::{Bound, Refusal};
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowInstant, Source, Span, Ticks,
};
use tlease_core::{Fence, Mode};

/// Of `exclusive` and `shared`.
const TERM: Span = Span::from_secs(5);
const TEN_MINUTES: Span = Span::from_secs(600);

fn renew(of: &str, fence: Fence) -> Op {
    Op::Renew { name: name(of), fence, term: None }
}

#[test]
fn a_withdrawal_sent_again_does_not_take_the_name_from_the_wish_that_came_after_it() {
    let mut bench = holder::Bench::new();
    // The driver's handles need not go up.
    bench.want(9, exclusive("jobs"));
    bench.feed(Input::Release { handle: Handle(9) });
    bench.want(3, exclusive("jobs"));
    let sent = ops(&bench.connect(1, 1));
    let is_withdrawal = |op: &Op| matches!(op, Op::Withdraw { .. });
    assert!(sent.first().is_some_and(is_withdrawal), "{sent:?}");
    assert_eq!(sent.iter().filter(|op| is_withdrawal(op)).count(), 1);
}

#[test]
fn a_withdrawal_whose_answer_was_lost_is_not_sent_again_once_a_later_wish_was_granted() {
    let mut bench = holder::Bench::open();
    bench.want(1, exclusive("jobs"));
    bench.feed(Input::Release { handle: Handle(1) });
    bench.hold(2, exclusive("jobs"), 7);
    bench.feed(Input::Disconnected);
    let sent = ops(&bench.connect(1, 2));
    assert!(!sent.iter().any(|op| matches!(op, Op::Withdraw { .. })), "{sent:?}");
    assert!(matches!(bench.view(2), View::Valid { .. }));
}

#[test]
fn giving_back_a_grant_that_is_gone_leaves_the_later_wish_in_the_queue() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let first = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.reply(ada, Op::Withdraw { name: name("jobs") });
    let second = bench.grant(bob, Op::Acquire(exclusive("jobs")));
    let (again, queued) = bench.request(ada, Op::Acquire(exclusive("jobs")));
    assert!(matches!(granter::reply_to(again, &queued), Some(Reply::Queued { .. })));
    // The first grant reaches a holder that had withdrawn: it gives that back, too late.
    let late = bench.reply(ada, Op::Release { name: name("jobs"), fence: first.fence });
    assert_eq!(late, Reply::Released { was_held: false });
    let (_, freed) = bench.request(bob, Op::Release { name: name("jobs"), fence: second.fence });
    let offered = granter::reply_to(again, &freed);
    assert!(matches!(offered, Some(Reply::Offered { .. })), "{freed:?}");
}

#[test]
fn a_downgrade_whose_answer_was_lost_is_asked_for_again() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("page"), 7);
    bench.feed(Input::Downgrade { handle: Handle(1) });
    bench.feed(Input::Disconnected);
    let sent = requests(&bench.connect(1, 2));
    let again = sent.iter().find(|request| matches!(request.op, Op::Downgrade { .. }));
    let again = again.unwrap_or_else(|| panic!("{sent:?}"));
    let done = bench.reply(again.id, Reply::Downgraded { tag: Tag([1; 16]) });
    assert_eq!(changes(&done), [Change::Downgraded]);
    bench.feed(Input::Disconnected);
    let sent = ops(&bench.connect(1, 3));
    assert!(!sent.iter().any(|op| matches!(op, Op::Downgrade { .. })), "{sent:?}");
}

#[test]
fn a_lease_that_was_downgraded_just_before_a_restart_is_reclaimed_as_shared() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let first = bench.grant(ada, Op::Acquire(exclusive("page")));
    let issued = bench.granter.incarnation();
    bench.restart();
    let ada = bench.open(1, 2);
    let claim = Reclaim {
        name: name("page"),
        mode: Mode::Shared,
        fence: first.fence,
        term: first.term,
        issued,
        tag: first.tag,
        to: bench.granter.incarnation(),
        value: None,
    };
    let reply = bench.reply(ada, Op::Reclaim(Box::new(claim)));
    assert!(matches!(reply, Reply::Reclaimed { .. }), "{reply:?}");
    assert_eq!(bench.entry("page").unwrap().leases[0].mode, Mode::Shared);
}

#[test]
fn a_shared_lease_is_never_reclaimed_as_exclusive() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let first = bench.grant(ada, Op::Acquire(shared("page")));
    let issued = bench.granter.incarnation();
    bench.restart();
    let ada = bench.open(1, 2);
    let claim = Reclaim {
        name: name("page"),
        mode: Mode::Exclusive,
        fence: first.fence,
        term: first.term,
        issued,
        tag: first.tag,
        to: bench.granter.incarnation(),
        value: None,
    };
    let reply = bench.reply(ada, Op::Reclaim(Box::new(claim)));
    assert_eq!(reply, Reply::Refused(Refusal::BadTag));
}

#[test]
fn a_break_of_the_slow_hand_does_not_let_a_recalled_lease_outgrow_its_promise() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let long = Acquire { term: Span::from_secs(60), ..exclusive("jobs") };
    let first = bench.grant(ada, Op::Acquire(long));
    bench.pass(Span::from_secs(50));
    let grace = Span::from_secs(50);
    bench.ask(Ask::Recall { name: name("jobs"), grace, force: Force::Grace });
    bench.pass(Span::from_secs(5));
    let shortened = renewed_for(bench.reply(ada, renew("jobs", first.fence)));
    assert_eq!(shortened, Span::from_secs(45));
    // The longest promise may be lowered to what is left; then a source falls back.
    bench.now = granter::at(1);
    bench.feed(ToGranterMachine::Wake);
    let again = renewed_for(bench.reply(ada, renew("jobs", first.fence)));
    assert!(again <= shortened, "{again}");
}

#[test]
fn a_renewal_of_a_recalled_lease_promises_the_grace_again_to_a_holder_that_lost_continuity() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let first = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let grace = Span::from_secs(2);
    bench.ask(Ask::Recall { name: name("jobs"), grace, force: Force::Grace });
    let reply = bench.reply(ada, renew("jobs", first.fence));
    let Reply::Renewed(Renewed { term, recall: Some(_), .. }) = reply else { panic!("{reply:?}") };
    assert_eq!(term, grace);
}

#[test]
fn a_promise_to_a_recalled_holder_is_kept_though_the_lower_bound_of_now_was_old() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let first = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let grace = Span::from_millis(4_500);
    bench.ask(Ask::Recall { name: name("jobs"), grace, force: Force::Grace });
    // A second has passed, and what was published is a second old.
    let second = granter::at(1_000_000_000);
    bench.now = Now { not_before: bench.now.not_before, not_after: second.not_after };
    let promised = renewed_for(bench.reply(ada, renew("jobs", first.fence)));
    let end = 1_000_000_000 + promised.as_nanos();
    bench.now = granter::at(end - 1);
    bench.feed(ToGranterMachine::Wake);
    assert_eq!(bench.fences("jobs"), [first.fence], "promised for {promised}");
    bench.pass(Span::from_secs(5));
    assert_eq!(bench.fences("jobs"), []);
}

#[test]
fn a_suspect_lease_that_is_recalled_becomes_usable_for_its_grace_and_then_ends() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.feed(recalled("jobs", 7, Span::from_secs(3), Force::Grace));
    bench.segment = 1;
    let sent = requests(&bench.feed(Input::Wake));
    assert_eq!(bench.view(1), View::Suspect);
    let recall = Recall { until: Span::from_secs(2), force: Force::Grace };
    let renewed = Renewed { term: Span::from_secs(2), tag: None, recall: Some(recall) };
    bench.reply(sent[0].id, Reply::Renewed(renewed));
    assert_eq!(bench.view(1), View::Recalled { at_least: Span::from_secs(2) });
    let over = bench.pass(Span::from_millis(2_001));
    assert_eq!(changes(&over), [Change::Ended(Ending::Recalled)]);
}

#[test]
fn a_grace_that_a_break_made_unmeasurable_gives_way_to_the_next_that_is_heard_of() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.feed(recalled("jobs", 7, Span::from_secs(3), Force::Grace));
    bench.segment = 1;
    let sent = requests(&bench.feed(Input::Wake));
    let recall = Recall { until: Span::from_secs(2), force: Force::Grace };
    let renewed = Renewed { term: Span::from_secs(2), tag: None, recall: Some(recall) };
    bench.reply(sent[0].id, Reply::Renewed(renewed));
    // The granter's clock stands still: by its word the grace has not begun to run.
    bench.now += 1_900_000_000;
    let again = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }));
    bench.reply(again[0].id, Reply::Renewed(renewed));
    assert_eq!(bench.view(1), View::Recalled { at_least: Span::from_millis(100) });
}

#[test]
fn a_grace_that_a_clock_fell_back_behind_is_usable_for_neither_guard_nor_user() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.now += Span::from_secs(1).as_nanos();
    let anchor = bench.moment().send_anchor();
    let told = bench.feed(recalled("jobs", 7, Span::from_secs(3), Force::Grace));
    // What the guard goes by from here on.
    let hold = last_hold(&told);
    assert_eq!((hold.anchor, hold.term), (anchor, Span::from_secs(3)));
    bench.now -= Span::from_millis(500).as_nanos();
    assert_eq!(bench.view(1), View::Suspect);
    // A renewal is asked for, and grants the grace anew.
    let outputs = bench.feed(Input::Wake);
    assert_eq!(changes(&outputs), [Change::Suspect]);
    assert_eq!(bench.view(1), View::Suspect);
    let recall = Recall { until: Span::from_secs(2), force: Force::Grace };
    let renewed = Renewed { term: Span::from_secs(2), tag: None, recall: Some(recall) };
    let outputs = bench.reply(requests(&outputs)[0].id, Reply::Renewed(renewed));
    let hold = last_hold(&outputs);
    assert_eq!((hold.anchor, hold.term), (bench.moment().send_anchor(), Span::from_secs(2)));
    assert_eq!(bench.view(1), View::Recalled { at_least: Span::from_secs(2) });
}

#[test]
fn a_lease_that_is_recalled_without_grace_is_given_back_at_once() {
    let back = Op::Release { name: name("jobs"), fence: fence(7) };
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let outputs = bench.feed(recalled("jobs", 7, Span::ZERO, Force::Grace));
    assert_eq!(ops(&outputs), std::slice::from_ref(&back));
    assert_eq!(changes(&outputs).last(), Some(&Change::Ended(Ending::Recalled)));
    // So is one whose recall was lost, and whose grace is over when a renewal repeats it.
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let sent = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }));
    let recall = Some(Recall { until: Span::ZERO, force: Force::Grace });
    let renewed = Renewed { term: Span::ZERO, tag: None, recall };
    assert_eq!(ops(&bench.reply(sent[0].id, Reply::Renewed(renewed))), [back]);
}

#[test]
fn a_suspect_lease_ends_when_the_renewal_that_was_to_save_it_came_too_late() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.segment = 1;
    let sent = requests(&bench.feed(Input::Wake));
    assert_eq!(bench.view(1), View::Suspect);
    bench.now += Span::from_secs(5).as_nanos();
    let renewed = Renewed { term: Span::from_secs(5), tag: None, recall: None };
    let outputs = bench.reply(sent[0].id, Reply::Renewed(renewed));
    assert_eq!(changes(&outputs), [Change::Ended(Ending::Expired)]);
    assert_eq!(ops(&outputs), [Op::Release { name: name("jobs"), fence: fence(7) }]);
}

#[test]
fn an_offer_that_was_recalled_by_force_is_given_back_and_not_confirmed_without_end() {
    let mut bench = holder::Bench::open();
    let asked = requests(&bench.want(1, exclusive("jobs")));
    let offer = Reply::Offered { grant: grant(7, Span::from_secs(5)), life: Span::from_secs(1) };
    let confirmation = requests(&bench.reply(asked[0].id, offer));
    let recall = Some(Recall { until: Span::ZERO, force: Force::Now });
    let renewed = Renewed { term: Span::ZERO, tag: None, recall };
    let sent = ops(&bench.reply(confirmation[0].id, Reply::Renewed(renewed)));
    let back = Op::Release { name: name("jobs"), fence: fence(7) };
    assert_eq!(sent, [back, Op::Acquire(exclusive("jobs"))]);
    assert_eq!(bench.view(1), View::Pending);
}

#[test]
fn a_recalled_lease_runs_to_the_end_of_its_grace_across_a_restart_of_the_granter() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.feed(recalled("jobs", 7, Span::from_secs(4), Force::Grace));
    bench.now += 2_000_000_000;
    bench.feed(Input::Disconnected);
    let sent = ops(&bench.connect(2, 1));
    assert_eq!(sent, [], "the new life knows nothing of it and is not asked");
    assert_eq!(bench.view(1), View::Recalled { at_least: Span::from_secs(2) });
}

#[test]
fn timers_go_on_when_a_stale_lower_bound_straddles_a_break() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let before = bench.moment().not_before;
    bench.segment = 1;
    bench.now += 1_000_000;
    let straddling = Now { not_before: before, not_after: bench.moment().not_after };
    let outputs: Vec<_> = bench.holder.handle(straddling, Input::Wake).collect();
    let renewal = requests(&outputs);
    // Its anchor lies before the break, so that it does not help; the next one does.
    let renewed = Renewed { term: Span::from_secs(5), tag: None, recall: None };
    let again = requests(&bench.reply(renewal[0].id, Reply::Renewed(renewed)));
    assert_eq!(bench.view(1), View::Suspect);
    assert_eq!(again.len(), 1, "a renewal that did not help is followed by another");
    let renewed = Renewed { term: Span::from_secs(5), tag: None, recall: None };
    bench.reply(again[0].id, Reply::Renewed(renewed));
    assert!(matches!(bench.view(1), View::Valid { .. }));
    let over = bench.pass(Span::from_secs(6));
    assert!(changes(&over).contains(&Change::Ended(Ending::Expired)), "{over:?}");
}

#[test]
fn a_granter_that_does_not_answer_the_opening_is_given_up_for_a_new_connection() {
    let mut bench = holder::Bench::new();
    let opening = bench.feed(Input::Connected);
    assert!(opening.iter().any(|o| matches!(o, Output::WakeAt { .. })), "{opening:?}");
    let given_up = bench.pass(Span::from_millis(5_001));
    assert!(given_up.iter().any(|o| matches!(o, Output::Reconnect)), "{given_up:?}");
}

#[test]
fn a_source_that_leapt_ahead_and_stopped_does_not_stop_the_timers() {
    let good_and_bad = FastHand::new(&[Source::assume(1, 1, Ticks(1)); 2]);
    let at = |good: u64, bad: u64| {
        let readings = Readings::new(&[Some(Ticks(good)), Some(Ticks(bad))]);
        Now::at(FastInstant::new(Segment(0), readings))
    };
    let (session, secret) = (granter::session_id(1), granter::secret_of(1));
    let mut machine = Holder::new(good_and_bad, session, secret, at(0, 0));
    let hour = Span::from_secs(3_600).as_nanos();
    let mut feed =
        |good, bad, input| -> Vec<Output> { machine.handle(at(good, bad), input).collect() };
    feed(0, 0, Input::Connected);
    feed(0, hour, Input::Received(holder::opened(1, 1)));
    let (handle, renewal) = (Handle(1), Renewal::Automatic);
    let acquire = exclusive("jobs");
    let asked = requests(&feed(0, hour, Input::Acquire { handle, acquire, renewal }))[0].id;
    let granted = Reply::Granted(grant(7, Span::from_secs(5)));
    feed(0, hour, Input::Received(FromGranter::Reply { id: asked, reply: granted, moved: None }));
    let renewal = requests(&feed(2_000_000_000, hour, Input::Wake));
    assert_eq!(renewal.len(), 1, "a third of the term has passed");
    let over = feed(5_001_000_000, hour, Input::Wake);
    assert!(changes(&over).contains(&Change::Ended(Ending::Expired)), "{over:?}");
}

#[test]
fn a_request_that_goes_unanswered_across_a_break_still_costs_the_connection() {
    let mut bench = holder::Bench::open();
    bench.want(1, exclusive("jobs"));
    bench.segment = 1;
    bench.feed(Input::Wake);
    let given_up = bench.pass(Span::from_millis(5_001));
    assert!(given_up.iter().any(|o| matches!(o, Output::Reconnect)), "{given_up:?}");
}

#[test]
fn what_was_over_before_a_break_is_not_suspect_after_it() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    // Over, and the tick of its last timer has not come.
    bench.pass(Span::from_nanos(4_999_900_000));
    bench.now += 100_000;
    bench.feed(Input::Received(FromGranter::NotOpened(Refusal::WrongSecret)));
    bench.segment = 1;
    bench.feed(Input::Wake);
    assert_eq!(bench.view(1), View::Ended(Ending::Expired));
}

#[test]
fn a_bound_that_was_to_be_lowered_keeps_up_with_what_is_granted_before_it_is_written() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let long = |of| Acquire { term: Span::from_secs(100), ..exclusive(of) };
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let gone = bench.grant(ada, Op::Acquire(long("long")));
    bench.reply(ada, Op::Release { name: name("long"), fence: gone.fence });
    bench.pass(Span::from_secs(4));
    // A record is under way and the disk is slow; meanwhile the bound is to be lowered.
    bench.writes = granter::Writes::Wait;
    let longer = Op::Renew { name: name("jobs"), fence: held.fence, term: Some(TEN_MINUTES) };
    bench.reply(ada, longer);
    bench.pass(Span::from_secs(4));
    bench.reply(ada, renew("jobs", held.fence));
    bench.pass(Span::from_secs(4));
    // What the disk may hold covers this grant: it is made at once.
    bench.grant(bob, Op::Acquire(long("other")));
    while bench.unwritten.is_some() {
        bench.write();
    }
    let durable = bench.disk.expect("a record").longest_promise;
    assert!(durable >= Span::from_secs(100), "{durable}");
}

#[test]
fn a_record_that_is_written_together_with_a_grant_covers_it() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.reply(ada, Op::Release { name: name("jobs"), fence: held.fence });
    bench.pass(Span::from_secs(4));
    // A longer bound is being written and fails, after it was to be lowered to nothing.
    bench.writes = granter::Writes::Wait;
    let long = Acquire { term: TEN_MINUTES, ..exclusive("long") };
    bench.request(ada, Op::Acquire(long));
    bench.reply(ada, Op::Withdraw { name: name("long") });
    bench.pass(Span::from_secs(7));
    let (failed, _) = bench.unwritten.take().expect("a record is under way");
    bench.feed(ToGranterMachine::PersistFailed(failed));
    let (id, outputs) = bench.request(bob, Op::Acquire(exclusive("jobs")));
    let Some(Reply::Granted(grant)) = granter::reply_to(id, &outputs) else {
        panic!("what is durable covers it: {outputs:?}")
    };
    let (_, record) = bench.unwritten.expect("the record is written again");
    assert!(record.longest_promise >= grant.term, "{record:?}");
}

#[test]
fn an_epoch_is_never_given_twice_in_one_life() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    bench.feed(ToGranterMachine::Disconnected { peer: ada.peer });
    bench.pass(Span::from_secs(3_600));
    let again = bench.open(1, 2);
    assert!(again.epoch > ada.epoch);
}

#[test]
fn a_name_stays_with_its_waiter_when_a_stamp_falls_back_behind_the_first_reading() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    bench.pass(Span::from_secs(10));
    bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let two = Acquire { wait: Wait::Unbounded, ..exclusive("jobs") };
    let (id, _) = bench.request(bob, Op::Acquire(two));
    // The source resets: the lease counts from now on, and still ends.
    bench.now = Now::at(SlowInstant::new(Readings::one(Ticks(5))));
    bench.feed(ToGranterMachine::Wake);
    assert!(
        bench
            .pass(Span::from_millis(4_999))
            .iter()
            .all(|o| { granter::reply_to(id, std::slice::from_ref(o)).is_none() })
    );
    let freed = bench.pass(Span::from_millis(3));
    assert!(matches!(granter::reply_to(id, &freed), Some(Reply::Offered { .. })), "{freed:?}");
}

#[test]
fn those_who_wait_are_given_no_more_leases_than_there_is_room_for() {
    let limits = Limits { leases_max: 3, ..Limits::default() };
    let mut bench = granter::Bench::with(limits);
    let readers: Vec<_> = (1..=4_u8).map(|number| bench.open(number, number.into())).collect();
    bench.grant(readers[0], Op::Acquire(exclusive("jobs")));
    let waiting = Acquire { wait: Wait::Unbounded, ..shared("jobs") };
    let replies: Vec<Reply> =
        readers[1..].iter().map(|of| bench.reply(*of, Op::Acquire(waiting.clone()))).collect();
    let full = Refusal::Full(Bound::Leases { limit: 3 });
    assert!(matches!(replies[..2], [Reply::Queued { .. }, Reply::Queued { .. }]), "{replies:?}");
    assert_eq!(replies[2], Reply::Refused(full));
}

#[test]
fn a_reset_between_the_two_readings_of_a_moment_frees_nothing() {
    let mut bench = granter::Bench::new();
    bench.now = granter::at(10_000_000_000);
    let ada = bench.open(1, 1);
    bench.grant(ada, Op::Acquire(exclusive("jobs")));
    // The clock was read, it began anew, and its bound was read.
    let torn = |before, after| {
        let read = |nanos| SlowInstant::new(Readings::one(Ticks(nanos)));
        Now { not_before: read(before), not_after: read(after) }
    };
    bench.now = torn(10_000_000_100, 5);
    assert_eq!(bench.fences("jobs").len(), 1, "nothing is known to have passed");
    bench.now = granter::at(TERM.as_nanos());
    assert_eq!(bench.fences("jobs").len(), 1, "it counts from the reset");
    bench.pass(Span::from_secs(1));
    assert!(bench.fences("jobs").is_empty(), "and ends");
    // The same at a start, from which the wait after a restart counts.
    let wait = Span::from_secs(60);
    bench.grant(ada, Op::Acquire(Acquire { term: wait, ..exclusive("jobs") }));
    let past = Past::Record(bench.disk.expect("a record"));
    let mut bench = granter::Bench::begin_at(Limits::default(), past, torn(100_000_000_000, 5));
    bench.connect_operator();
    let Answer::Status(status) = bench.ask(Ask::Status) else { panic!("a status") };
    assert!(status.wait_left >= Some(wait), "{status:?}");
}

#[test]
fn a_lease_that_a_renewal_carried_into_a_new_life_can_be_reclaimed_in_the_next() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    // The answer to the first reclaim was lost, and by the second the wait was over.
    bench.connect(2, 1);
    let claims = requests(&bench.connect(2, 2));
    let sent = requests(&bench.reply(claims[0].id, Reply::Refused(Refusal::NotReclaimable)));
    let [renewal] = &sent[..] else { panic!("one renewal: {sent:?}") };
    // It asks for a signature of the new life: that is what naming a term does.
    let named = Op::Renew { name: name("jobs"), fence: fence(7), term: Some(TERM) };
    assert_eq!(renewal.op, named);
    let tag = Some(Tag([9; 16]));
    bench.reply(renewal.id, Reply::Renewed(Renewed { term: TERM, tag, recall: None }));
    let sent = ops(&bench.connect(3, 1));
    let [Op::Reclaim(claim)] = &sent[..] else { panic!("one claim: {sent:?}") };
    assert_eq!((claim.issued, Some(claim.tag)), (holder::life(2), tag));
}

#[test]
fn a_renewal_that_names_its_term_is_signed_anew() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let grant = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let tag_of = |reply| {
        let Reply::Renewed(Renewed { tag, .. }) = reply else { panic!("not renewed: {reply:?}") };
        tag
    };
    assert_eq!(tag_of(bench.reply(ada, renew("jobs", grant.fence))), None);
    let named = Op::Renew { name: name("jobs"), fence: grant.fence, term: Some(grant.term) };
    assert_eq!(tag_of(bench.reply(ada, named)), Some(grant.tag));
}

#[test]
fn an_acquire_that_is_refused_costs_neither_the_place_in_the_queue_nor_the_lease() {
    let mut bench = granter::Bench::with(Limits { leases_max: 3, ..Limits::default() });
    let [ada, bob] = [1, 2].map(|who| bench.open(who, who.into()));
    bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let queued = bench.reply(bob, Op::Acquire(exclusive("jobs")));
    assert!(matches!(queued, Reply::Queued { .. }), "{queued:?}");
    let impatient = Op::Acquire(Acquire { wait: Wait::Try, ..exclusive("jobs") });
    let refused = bench.reply(bob, impatient.clone());
    assert_eq!(refused, Reply::Refused(Refusal::Held { waiters: 0 }));
    assert_eq!(bench.entry("jobs").map(|entry| entry.waiters), Some(1), "bob waits on");
    // Who asks anew for what it holds gives that up; not if it gets nothing for it.
    let recall = Ask::Recall { name: name("jobs"), grace: Span::from_secs(1), force: Force::Grace };
    bench.ask(recall);
    let refused = bench.reply(ada, impatient);
    assert_eq!(refused, Reply::Refused(Refusal::Held { waiters: 1 }));
    assert_eq!(bench.fences("jobs").len(), 1, "ada holds on");
}

#[test]
fn a_reclaim_that_finds_no_room_leaves_the_lease_to_its_end_and_is_tried_again() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.pass(Span::from_millis(100));
    let sent = requests(&bench.connect(2, 1));
    let [claim] = &sent[..] else { panic!("one claim: {sent:?}") };
    let full = Refusal::Full(Bound::Leases { limit: 1 });
    let told = changes(&bench.reply(claim.id, Reply::Refused(full)));
    assert_eq!(told, [Change::NotRenewed(full)]);
    assert_eq!(bench.view(1), View::Valid { at_least: Span::from_millis(4_900) });
    // When a renewal is due.
    let sent = requests(&bench.pass(Span::from_secs(2)));
    assert!(matches!(&sent[..], [again] if matches!(again.op, Op::Reclaim(_))), "{sent:?}");
    let reclaimed = bench.reply(sent[0].id, Reply::Reclaimed { tag: Tag([1; 16]) });
    assert_eq!(changes(&reclaimed), [Change::Renewed]);
    assert_eq!(bench.view(1), View::Valid { at_least: TERM });
}

#[test]
fn what_was_over_for_whoever_asked_stays_over_across_a_break() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.now = TERM.as_nanos();
    let over = View::Ended(Ending::Expired);
    assert_eq!(bench.view(1), over);
    bench.segment = 1;
    assert_eq!(bench.view(1), over);
    let told = changes(&bench.feed(Input::Wake));
    assert_eq!(told, [Change::Ended(Ending::Expired)]);
    // Nor does a clock that is read more closely.
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let read = |nanos| FastInstant::new(Segment(0), Readings::one(Ticks(nanos)));
    let vague = Now { not_before: read(1), not_after: read(TERM.as_nanos()) };
    assert_eq!(bench.holder.view(Handle(1), vague), Some(over));
    assert_eq!(bench.view(1), over);
}

#[test]
fn no_wish_of_a_user_opens_the_guard_of_a_lease_that_is_over() {
    let wishes = [
        Input::Downgrade { handle: Handle(1) },
        Input::Renew { handle: Handle(1), term: None },
        Input::Release { handle: Handle(1) },
        recalled("jobs", 7, TERM, Force::Grace),
    ];
    for wish in wishes {
        let mut bench = holder::Bench::open();
        bench.hold(1, exclusive("jobs"), 7);
        bench.now = TERM.as_nanos();
        let outputs = bench.feed(wish.clone());
        assert!(!outputs.iter().any(|o| matches!(o, Output::Hold { .. })), "{wish:?}: {outputs:?}");
        assert_eq!(changes(&outputs), [Change::Ended(Ending::Expired)], "{wish:?}");
    }
}

fn renewed_for(reply: Reply) -> Span {
    let Reply::Renewed(renewed) = reply else { panic!("not renewed: {reply:?}") };
    renewed.term
}

fn last_hold(outputs: &[Output]) -> Hold {
    let hold = |output: &Output| {
        let Output::Hold { hold, .. } = output else { return None };
        Some(*hold)
    };
    outputs.iter().rev().find_map(hold).unwrap_or_else(|| panic!("no hold: {outputs:?}"))
}

fn recalled(of: &str, number: u64, until: Span, force: Force) -> Input {
    let recall = Recall { until, force };
    Input::Received(FromGranter::Recalled { name: name(of), fence: fence(number), recall })
}

#[cfg(feature = "mutants")]
#[test]
fn the_bugs_are_noticed_when_they_are_planted_again() {
    use support::planted::dies;
    use tlease_core::Mutant;

    dies(Mutant::BreakHidesExpiry, what_was_over_before_a_break_is_not_suspect_after_it);
    dies(
        Mutant::LimitAtEachLook,
        a_grace_that_a_clock_fell_back_behind_is_usable_for_neither_guard_nor_user,
    );
    dies(Mutant::DowngradeAtReply, a_downgrade_whose_answer_was_lost_is_asked_for_again);
    dies(Mutant::PromiseNotKept, a_record_that_is_written_together_with_a_grant_covers_it);
    dies(
        Mutant::RecalledKeepsOldStamp,
        a_promise_to_a_recalled_holder_is_kept_though_the_lower_bound_of_now_was_old,
    );
    dies(
        Mutant::WithdrawalResent,
        a_withdrawal_whose_answer_was_lost_is_not_sent_again_once_a_later_wish_was_granted,
    );
    dies(Mutant::EpochRepeats, an_epoch_is_never_given_twice_in_one_life);
}

#[test]
fn while_nothing_is_known_of_the_moment_a_reply_does_not_call_for_another_renewal() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.hold(2, exclusive("page"), 8);
    let at = |segment| FastInstant::new(Segment(segment), Readings::one(Ticks(0)));
    // What a timekeeper published is of segment 1; its own thread knows nothing, each time anew.
    let moment = |stray: u64| Now { not_before: at(1), not_after: at(1_000 + stray) };
    let feed = |bench: &mut holder::Bench, stray, input| -> Vec<Output> {
        bench.holder.handle(moment(stray), input).collect()
    };
    let sent = requests(&feed(&mut bench, 0, Input::Wake));
    let [all] = &sent[..] else { panic!("one renewal: {sent:?}") };
    for stray in 1..10 {
        assert_eq!(requests(&feed(&mut bench, stray, Input::Wake)), [], "at wake-up {stray}");
        // To a request that was repeated on its way.
        let (id, reply) = (RequestId(1), Reply::Refused(Refusal::UsedId));
        let again = Input::Received(FromGranter::Reply { id, reply, moved: None });
        assert_eq!(requests(&feed(&mut bench, stray + 100, again)), [], "at reply {stray}");
    }
    bench.segment = 1;
    bench.reply(all.id, Reply::RenewedAll);
    assert!(matches!(bench.view(1), View::Valid { .. }), "the one answer is enough");
}

#[test]
fn a_bulk_renewal_from_before_a_lease_was_held_does_not_move_it() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.hold(2, exclusive("page"), 8);
    let term = exclusive("late").term;
    let asked = requests(&bench.want(3, exclusive("late")));
    let offer = Reply::Offered { grant: grant(9, term), life: term };
    let confirms = requests(&bench.reply(asked[0].id, offer));
    // The two are renewed while the confirmation is on its way: the fingerprint is of two.
    let sent = requests(&bench.pass(term.scaled_floor(4, 10)));
    let all = sent.iter().find(|request| matches!(request.op, Op::RenewAll { .. }));
    let all = all.unwrap_or_else(|| panic!("{sent:?}")).id;
    bench.reply(confirms[0].id, Reply::Renewed(Renewed { term, tag: None, recall: None }));
    assert!(matches!(bench.view(3), View::Valid { .. }));
    // It is over at the granter, which confirms the other two. Nothing is known here of that moment.
    bench.now += term.scaled_floor(7, 10).as_nanos();
    bench.segment = 99;
    bench.reply(all, Reply::RenewedAll);
    bench.segment = 0;
    assert!(matches!(bench.view(2), View::Valid { .. }), "they are renewed");
    assert!(!matches!(bench.view(3), View::Valid { .. }), "{:?}", bench.view(3));
}
