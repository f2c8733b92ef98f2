//! The executions of an adversarial review that put two holders in a name at once, each as a
//! sentence that holds now.
//!
//! Not all of them are the core's to prevent. Where each is tested:
//!
//! | execution | where |
//! |---|---|
//! | A1 rounding of instants, A9 sources that reset | here, and over whole domains in `arithmetic.rs` |
//! | A2 stamps on the wrong side, A3 anchors across hands and segments | here |
//! | A4 queued grants, A5 resends, A6 stale requests, A7 bulk renewals | here |
//! | A8 restarts and reclaims (a to d) | here |
//! | A10 steered clocks, A11 kernel clocks in the guard | `tlease-clock`: `tests/clocks.rs`, `tests/guard.rs` |
//! | A12 fork and snapshots | `tlease-clock`: segments and the lease cell; `tlease-attack`: `tests/fork.rs` |
//! | A13 `publish` without transactions | `tlease-clock`: `tests/guard.rs` |
//! | A14 executed cycles, A15 the peer audit | not yet built: profiles `enclave*` |
//! | A16 segments as short as a tick | here: what a break costs; its rate is the profiles' |

mod support;

use support::holder::{changes, fence, grant, life, name, ops, requests};
use support::{exclusive, granter, holder, shared};
use tlease_core::Mode;
use tlease_core::granter::{CloseReason, Input as GranterInput};
use tlease_core::holder::{Change, Ending, Handle, Input, Renewal, View};
use tlease_core::identity::{Incarnation, RequestId, Rights};
use tlease_core::message::{
    Acquire, Answer, Ask, Fingerprint, FromGranter, Grant, Op, Reclaim, Renewed, RenewedSome,
    Reply, Tag, ToGranter, Wait,
};
use tlease_core::refusal::Refusal;
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Source, Span, Ticks,
};

const TERM: Span = Span::from_secs(5);

fn renewed(term: Span) -> Reply {
    Reply::Renewed(Renewed { term, tag: None, recall: None })
}

fn claim(of: &str, grant: &Grant, issued: Incarnation, to: Incarnation) -> Reclaim {
    let Grant { fence, term, tag } = *grant;
    Reclaim { name: name(of), mode: Mode::Exclusive, fence, term, issued, tag, to, value: None }
}

#[test]
fn a1_a_difference_is_rounded_once_and_never_the_instants() {
    // Sources of a tenth of a nanosecond: 1.9 and 2.0, then 1.1 and 1.9.
    let tenth = Source::assume(1, 10, Ticks(0));
    let (slow, fast) = (SlowHand::new(&[tenth]), FastHand::new(&[tenth]));
    let at = |ticks| Readings::one(Ticks(ticks));
    let elapsed = slow.elapsed_floor(&SlowInstant::new(at(19)), &SlowInstant::new(at(20)));
    assert_eq!(elapsed, Some(Span::ZERO), "floor(2.0) - floor(1.9) would have been 1");
    let (a, b) = (FastInstant::new(Segment(0), at(11)), FastInstant::new(Segment(0), at(19)));
    let elapsed = fast.elapsed_ceil(&a, &b);
    assert_eq!(elapsed, Some(Span::from_nanos(1)), "ceil(1.9) - ceil(1.1) would have been 0");
}

#[test]
fn a2_a_lease_is_freed_by_the_upper_bound_of_its_start_and_the_lower_bound_of_now() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    // A timekeeper published 0 a quantum ago: true time may be anything up to 1 s.
    let quantum = 1_000_000_000;
    let published = |at: u64| Now {
        not_before: granter::at(at).not_before,
        not_after: granter::at(at + quantum).not_after,
    };
    bench.now = published(0);
    let first = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.now = published(TERM.as_nanos());
    bench.feed(GranterInput::Wake);
    assert_eq!(bench.fences("jobs"), [first.fence], "a term from the published value is too soon");
    bench.now = published(TERM.as_nanos() + quantum - 1);
    bench.feed(GranterInput::Wake);
    assert_eq!(bench.fences("jobs"), [first.fence]);
    bench.now = published(TERM.as_nanos() + quantum + 1_000_000);
    bench.feed(GranterInput::Wake);
    assert_eq!(bench.fences("jobs"), []);
}

#[test]
fn a3_an_anchor_is_the_lower_bound_at_the_sending_and_void_in_another_segment() {
    let mut bench = holder::Bench::open();
    let earlier = bench.moment().not_before;
    bench.now += 1_000_000_000;
    let now = Now { not_before: earlier, not_after: bench.moment().not_after };
    let acquire = Input::Acquire {
        handle: Handle(1),
        acquire: exclusive("jobs"),
        renewal: Renewal::Automatic,
    };
    let sent: Vec<_> = bench.holder.handle(now, acquire).collect();
    let id = requests(&sent)[0].id;
    bench.reply(id, Reply::Granted(grant(7, TERM)));
    let left = Span::from_secs(4);
    assert_eq!(bench.view(1), View::Valid { at_least: left }, "a stale anchor ends it earlier");

    let mut bench = holder::Bench::open();
    let id = requests(&bench.want(1, exclusive("jobs")))[0].id;
    bench.segment = 1;
    let confirmation = ops(&bench.reply(id, Reply::Granted(grant(7, TERM))));
    assert_eq!(bench.view(1), View::Pending, "its anchor is of a segment that is over");
    assert!(matches!(confirmation[..], [Op::Renew { .. }]), "{confirmation:?}");
}

#[test]
fn a4_a_grant_out_of_the_queue_counts_from_the_sending_of_its_confirmation() {
    let mut bench = holder::Bench::open();
    let asked = requests(&bench.want(1, exclusive("jobs")))[0].id;
    bench.reply(asked, Reply::Queued { ahead: 0, wait_left: None });
    bench.now += Span::from_secs(3_600).as_nanos();
    let offer = Reply::Offered { grant: grant(7, TERM), life: Span::from_secs(1) };
    let confirmation = requests(&bench.reply(asked, offer))[0].id;
    assert_eq!(bench.view(1), View::Pending, "an offer is no lease yet");
    bench.now += 400_000_000;
    bench.reply(confirmation, renewed(TERM));
    let at_least = Span::from_millis(4_600);
    assert_eq!(bench.view(1), View::Valid { at_least }, "neither at the acquire nor at a receipt");
}

#[test]
fn a4_an_unconfirmed_offer_lapses_to_the_next_waiter_and_cannot_be_confirmed_after_that() {
    let mut bench = granter::Bench::new();
    let (ada, bob, eve) = (bench.open(1, 1), bench.open(2, 2), bench.open(3, 3));
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let (bobs, _) = bench.request(bob, Op::Acquire(exclusive("jobs")));
    let (eves, _) = bench.request(eve, Op::Acquire(exclusive("jobs")));
    let release = Op::Release { name: name("jobs"), fence: held.fence };
    let (_, outputs) = bench.request(ada, release);
    let offered = granter::reply_to(bobs, &outputs);
    let Some(Reply::Offered { grant, life }) = offered else { panic!("{outputs:?}") };
    assert_eq!(life, Span::from_secs(1));
    let lapsed = bench.pass(Span::from_millis(1_001));
    assert!(matches!(granter::reply_to(eves, &lapsed), Some(Reply::Offered { .. })), "{lapsed:?}");
    let confirm = Op::Renew { name: name("jobs"), fence: grant.fence, term: None };
    assert_eq!(bench.reply(bob, confirm), Reply::Refused(Refusal::NotHeldHere));
}

#[test]
fn a5_an_id_names_one_transmission_and_is_answered_once() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let first = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let renew = Op::Renew { name: name("jobs"), fence: first.fence, term: None };
    let (id, _) = bench.request(ada, renew.clone());
    let (again, repeated) = (id, bench.request_as(ada, id, renew.clone()));
    let refused = Some(Reply::Refused(Refusal::UsedId));
    assert_eq!(granter::reply_to(again, &repeated), refused);
    // Also after the session was opened again, where ids go on.
    let ada = bench.open(1, 2);
    let resent = bench.request_as(ada, id, renew);
    assert_eq!(granter::reply_to(id, &resent), refused);
}

#[test]
fn a5_a_resend_has_an_id_of_its_own_and_an_answer_to_the_earlier_one_moves_nothing() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    bench.now += 1_000_000_000;
    let earlier = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }))[0].id;
    bench.feed(Input::Disconnected);
    bench.now += 2_000_000_000;
    bench.connect(1, 2);
    let resent = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }))[0].id;
    assert!(resent > earlier);
    bench.reply(earlier, renewed(TERM));
    assert_eq!(bench.view(1), View::Valid { at_least: Span::from_secs(2) });
    bench.now += 1_000_000_000;
    bench.reply(resent, renewed(TERM));
    assert_eq!(bench.view(1), View::Valid { at_least: Span::from_secs(4) });
}

#[test]
fn a6_requests_of_an_earlier_connection_move_nothing() {
    let mut bench = granter::Bench::new();
    let old = bench.open(1, 1);
    let five = bench.grant(old, Op::Acquire(exclusive("jobs")));
    let new = bench.open(1, 2);
    let eight = bench.grant(new, Op::Acquire(exclusive("jobs")));
    assert!(eight.fence > five.fence);
    // On the connection that was closed; then on the new one, under the old epoch and the new.
    let release = |grant: &Grant| Op::Release { name: name("jobs"), fence: grant.fence };
    let (_, dropped) = bench.request(old, release(&eight));
    assert_eq!(dropped, [], "what is unread of a closed connection is dropped");
    let stale = granter::Session { peer: new.peer, epoch: old.epoch };
    assert_eq!(bench.reply(stale, release(&eight)), Reply::Refused(Refusal::StaleEpoch));
    assert_eq!(bench.reply(new, release(&five)), Reply::Released { was_held: false });
    let renew = Op::Renew { name: name("jobs"), fence: five.fence, term: None };
    assert_eq!(bench.reply(new, renew), Reply::Refused(Refusal::NotHeldHere));
    assert_eq!(bench.fences("jobs"), [eight.fence]);
}

#[test]
fn a6_the_earlier_connection_is_closed_before_the_session_is_opened_on_the_new_one() {
    let mut bench = granter::Bench::new();
    let old = bench.open(1, 1);
    let peer = tlease_core::identity::Peer(2);
    bench.feed(GranterInput::Connected { peer, rights: Rights::Holder });
    let (session, secret) = (granter::session_id(1), granter::secret_of(1));
    let message = ToGranter::Open { session, secret };
    let outputs = bench.feed(GranterInput::Received { peer, message });
    assert_eq!(granter::closed(&outputs), [(old.peer, CloseReason::Superseded)]);
    let position = |is: fn(&tlease_core::granter::Output) -> bool| outputs.iter().position(is);
    let close = position(|o| matches!(o, tlease_core::granter::Output::Close { .. }));
    let opened = position(|o| matches!(o, tlease_core::granter::Output::Send { .. }));
    assert!(close < opened, "{outputs:?}");
}

#[test]
fn a6_another_session_cannot_touch_a_lease_whose_fence_it_knows() {
    let mut bench = granter::Bench::new();
    let (ada, eve) = (bench.open(1, 1), bench.open(2, 2));
    let Grant { fence, .. } = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let of = || name("jobs");
    assert_eq!(
        bench.reply(eve, Op::Release { name: of(), fence }),
        Reply::Released { was_held: false }
    );
    assert_eq!(bench.reply(eve, Op::Withdraw { name: of() }), Reply::Withdrawn);
    for op in [Op::Renew { name: of(), fence, term: None }, Op::Downgrade { name: of(), fence }] {
        assert_eq!(bench.reply(eve, op), Reply::Refused(Refusal::NotHeldHere));
    }
    let entry = bench.entry("jobs").expect("held");
    assert_eq!((entry.leases[0].fence, entry.leases[0].mode), (fence, Mode::Exclusive));
}

#[test]
fn a6_a_session_is_resumed_only_with_its_secret() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let peer = tlease_core::identity::Peer(2);
    bench.feed(GranterInput::Connected { peer, rights: Rights::Holder });
    let (session, secret) = (granter::session_id(1), granter::secret_of(2));
    let message = ToGranter::Open { session, secret };
    let outputs = bench.feed(GranterInput::Received { peer, message });
    let refused = FromGranter::NotOpened(Refusal::WrongSecret);
    assert!(
        outputs.contains(&tlease_core::granter::Output::Send { peer, message: refused }),
        "{outputs:?}"
    );
    assert_eq!(granter::closed(&outputs), [(peer, CloseReason::Unwelcome)]);
    let release = Op::Release { name: name("jobs"), fence: held.fence };
    assert_eq!(bench.reply(ada, release), Reply::Released { was_held: true });
}

#[test]
fn a7_a_bulk_renewal_extends_only_what_both_sides_hold() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let short = Acquire { term: Span::from_secs(1), ..exclusive("x") };
    let x = bench.grant(ada, Op::Acquire(short));
    let y = bench.grant(ada, Op::Acquire(exclusive("y")));
    let secret = granter::secret_of(1);
    let (nx, ny) = (name("x"), name("y"));
    let both = [(&nx, x.fence, Mode::Exclusive), (&ny, y.fence, Mode::Exclusive)];
    let fingerprint = Fingerprint::of(&secret, both.into_iter());
    assert_eq!(bench.reply(ada, Op::RenewAll { fingerprint }), Reply::RenewedAll);
    bench.pass(Span::from_millis(1_001));
    bench.grant(bob, Op::Acquire(exclusive("x")));
    let some = RenewedSome { fences: vec![y.fence], more: false };
    assert_eq!(bench.reply(ada, Op::RenewAll { fingerprint }), Reply::RenewedSome(some));
}

#[test]
fn a7_of_a_partial_bulk_renewal_only_the_listed_fences_move() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("x"), 7);
    bench.hold(2, exclusive("y"), 8);
    let sent = requests(&bench.pass(Span::from_secs(2)));
    assert!(matches!(sent[..], [ref all] if matches!(all.op, Op::RenewAll { .. })), "{sent:?}");
    let some = RenewedSome { fences: vec![fence(8)], more: false };
    let asked = ops(&bench.reply(sent[0].id, Reply::RenewedSome(some)));
    assert_eq!(bench.view(1), View::Valid { at_least: Span::from_secs(3) });
    assert_eq!(bench.view(2), View::Valid { at_least: TERM });
    assert_eq!(asked, [Op::Renew { name: name("x"), fence: fence(7), term: None }]);
}

#[test]
fn a7_what_is_over_stays_over_whatever_still_arrives() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("x"), 7);
    bench.hold(2, exclusive("y"), 8);
    let all = requests(&bench.pass(Span::from_secs(4)))[0].id;
    let over = bench.pass(Span::from_millis(1_001));
    assert_eq!(changes(&over), [Change::Ended(Ending::Expired); 2]);
    let late = bench.reply(all, Reply::RenewedAll);
    assert_eq!(changes(&late), []);
    assert_eq!(bench.view(1), View::Ended(Ending::Expired));
    assert_eq!(bench.view(2), View::Ended(Ending::Expired));
}

#[test]
fn a8a_a_tag_of_a_life_before_the_last_settled_one_proves_nothing() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let five = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let first_life = bench.granter.incarnation();
    bench.restart();
    bench.pass(Span::from_secs(10));
    let bob = bench.open(2, 2);
    let six = bench.grant(bob, Op::Acquire(exclusive("jobs")));
    let second_life = bench.granter.incarnation();
    bench.restart();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let to = bench.granter.incarnation();
    let replayed = Op::Reclaim(Box::new(claim("jobs", &five, first_life, to)));
    assert_eq!(bench.reply(ada, replayed), Reply::Refused(Refusal::NotReclaimable));
    let true_claim = Op::Reclaim(Box::new(claim("jobs", &six, second_life, to)));
    assert!(matches!(bench.reply(bob, true_claim), Reply::Reclaimed { .. }));
}

#[test]
fn a8a_of_two_claims_the_higher_fence_wins_whichever_comes_first() {
    for first_comes_first in [true, false] {
        let mut bench = granter::Bench::new();
        let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
        let five = bench.grant(ada, Op::Acquire(exclusive("jobs")));
        bench.reply(ada, Op::Release { name: name("jobs"), fence: five.fence });
        let six = bench.grant(bob, Op::Acquire(exclusive("jobs")));
        let issued = bench.granter.incarnation();
        bench.restart();
        let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
        let to = bench.granter.incarnation();
        let adas = Op::Reclaim(Box::new(claim("jobs", &five, issued, to)));
        let bobs = Op::Reclaim(Box::new(claim("jobs", &six, issued, to)));
        if first_comes_first {
            assert!(matches!(bench.reply(ada, adas), Reply::Reclaimed { .. }));
            assert!(matches!(bench.reply(bob, bobs), Reply::Reclaimed { .. }));
        } else {
            assert!(matches!(bench.reply(bob, bobs), Reply::Reclaimed { .. }));
            assert_eq!(bench.reply(ada, adas), Reply::Refused(Refusal::Superseded));
        }
        assert_eq!(bench.fences("jobs"), [six.fence]);
    }
}

#[test]
fn a8b_nothing_is_granted_during_the_wait_whatever_is_reclaimed_or_released() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let issued = bench.granter.incarnation();
    bench.restart();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let to = bench.granter.incarnation();
    let reclaim = Op::Reclaim(Box::new(claim("jobs", &held, issued, to)));
    assert!(matches!(bench.reply(ada, reclaim), Reply::Reclaimed { .. }));
    let release = Op::Release { name: name("jobs"), fence: held.fence };
    assert_eq!(bench.reply(ada, release), Reply::Released { was_held: true });
    for of in ["jobs", "never/held"] {
        let (id, outputs) = bench.request(bob, Op::Acquire(exclusive(of)));
        let waits = matches!(
            granter::reply_to(id, &outputs),
            Some(Reply::Queued { wait_left: Some(_), .. })
        );
        assert!(waits, "{outputs:?}");
        let tried = Op::Acquire(Acquire { wait: Wait::Try, ..exclusive("third") });
        let refused = bench.reply(bob, tried);
        assert!(matches!(refused, Reply::Refused(Refusal::RestartWait { .. })), "{refused:?}");
    }
    assert_eq!(bench.fences("jobs"), []);
    assert_eq!(bench.fences("never/held"), []);
}

#[test]
fn a8b_shared_leases_are_reclaimed_by_each_session_for_itself() {
    let mut bench = granter::Bench::new();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let a = bench.grant(ada, Op::Acquire(shared("page")));
    let b = bench.grant(bob, Op::Acquire(shared("page")));
    let issued = bench.granter.incarnation();
    bench.restart();
    let (ada, bob) = (bench.open(1, 1), bench.open(2, 2));
    let to = bench.granter.incarnation();
    let of = |grant: &Grant| Reclaim { mode: Mode::Shared, ..claim("page", grant, issued, to) };
    for (session, grant) in [(ada, &a), (bob, &b)] {
        let reply = bench.reply(session, Op::Reclaim(Box::new(of(grant))));
        assert!(matches!(reply, Reply::Reclaimed { .. }), "{reply:?}");
    }
    assert_eq!(bench.fences("page").len(), 2);
}

#[test]
fn a8c_the_key_under_the_tags_survives_and_a_tag_proves_every_part_of_a_claim() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let issued = bench.granter.incarnation();
    bench.restart();
    let (ada, eve) = (bench.open(1, 1), bench.open(2, 2));
    let to = bench.granter.incarnation();
    let good = claim("jobs", &held, issued, to);
    let forged = [
        Reclaim { name: name("other"), ..good.clone() },
        Reclaim { fence: fence(held.fence.get() + 1), ..good.clone() },
        Reclaim { term: Span::from_secs(4), ..good.clone() },
        Reclaim { tag: Tag([0; 16]), ..good.clone() },
    ];
    for forged in forged {
        let reply = bench.reply(ada, Op::Reclaim(Box::new(forged.clone())));
        assert_eq!(reply, Reply::Refused(Refusal::BadTag), "{forged:?}");
    }
    let stolen = bench.reply(eve, Op::Reclaim(Box::new(good.clone())));
    assert_eq!(stolen, Reply::Refused(Refusal::BadTag), "a stolen tag is worth nothing");
    assert!(matches!(bench.reply(ada, Op::Reclaim(Box::new(good))), Reply::Reclaimed { .. }));
}

#[test]
fn a8d_a_holder_reclaims_only_what_is_valid_at_that_sending_and_names_the_life_it_is_for() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("valid"), 7);
    let short = Acquire { term: Span::from_secs(1), ..exclusive("over") };
    bench.hold(2, short, 8);
    bench.feed(Input::Disconnected);
    bench.now += 2_000_000_000;
    let sent = ops(&bench.connect(2, 1));
    let claims: Vec<&Reclaim> = sent
        .iter()
        .filter_map(|op| if let Op::Reclaim(claim) = op { Some(claim.as_ref()) } else { None })
        .collect();
    assert!(matches!(claims[..], [claim] if claim.name == name("valid") && claim.to == life(2)));

    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("suspect"), 7);
    bench.feed(Input::Disconnected);
    bench.segment = 1;
    let sent = ops(&bench.connect(2, 1));
    assert!(!sent.iter().any(|op| matches!(op, Op::Reclaim(_))), "{sent:?}");
    let lost = View::Ended(Ending::Lost(Refusal::NotReclaimable));
    assert_eq!(bench.view(1), lost);
}

#[test]
fn a8d_a_claim_for_another_life_or_after_the_wait_is_refused() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    let issued = bench.granter.incarnation();
    bench.restart();
    let ada = bench.open(1, 1);
    let to = bench.granter.incarnation();
    let early = Op::Reclaim(Box::new(claim("jobs", &held, issued, issued)));
    let refused = Reply::Refused(Refusal::WrongIncarnation { this: to });
    assert_eq!(bench.reply(ada, early), refused);
    bench.pass(Span::from_secs(10));
    let late = Op::Reclaim(Box::new(claim("jobs", &held, issued, to)));
    assert_eq!(bench.reply(ada, late), Reply::Refused(Refusal::NotReclaimable));
    let renew = Op::Renew { name: name("jobs"), fence: held.fence, term: None };
    let unknown = Reply::Refused(Refusal::NotHeldHere);
    assert_eq!(bench.reply(ada, renew), unknown, "a renewal is never taken for a reclaim");
}

#[test]
fn a9_sources_are_combined_as_advances_since_the_anchor_and_a_reset_moves_no_hand() {
    let source = Source::assume(1, 1, Ticks(0));
    let (slow, fast) = (SlowHand::new(&[source; 2]), FastHand::new(&[source; 2]));
    let shown = |a, b| Readings::new(&[Some(Ticks(a)), Some(Ticks(b))]);
    // min(readings): the second source stood at 0 and resets forward; the hand would jump by 101.
    let (then, now) = (shown(1_000, 0), shown(1_001, 5_000));
    let elapsed = slow.elapsed_floor(&SlowInstant::new(then), &SlowInstant::new(now));
    assert_eq!(elapsed, Some(Span::from_nanos(1)));
    // max(readings): the source that was ahead falls back; the hand would move by -99.
    let (then, now) = (shown(1_000, 1_100), shown(1_001, 1));
    let (a, b) = (FastInstant::new(Segment(0), then), FastInstant::new(Segment(0), now));
    assert_eq!(fast.elapsed_ceil(&a, &b), None);
}

#[test]
fn a9_a_source_that_dies_neither_frees_a_lease_early_nor_keeps_it_for_ever() {
    let mut bench = granter::Bench::new();
    let ada = bench.open(1, 1);
    bench.pass(Span::from_secs(1_000));
    let held = bench.grant(ada, Op::Acquire(exclusive("jobs")));
    bench.pass(Span::from_secs(3));
    bench.now = granter::at(0);
    bench.feed(GranterInput::Wake);
    bench.pass(Span::from_millis(4_999));
    assert_eq!(bench.fences("jobs"), [held.fence], "counted anew from the break");
    bench.pass(Span::from_millis(2));
    assert_eq!(bench.fences("jobs"), []);
    let Answer::Status(status) = bench.ask(Ask::Status) else { panic!("a status") };
    assert_eq!(status.clock_breaks, 1);
}

#[test]
fn a16_a_break_costs_one_round_trip_for_all_leases_of_the_session_and_not_the_leases() {
    let mut bench = holder::Bench::open();
    for handle in 1..=50 {
        bench.hold(handle, exclusive(&format!("name/{handle}")), handle + 6);
    }
    bench.segment = 1;
    let outputs = bench.feed(Input::Wake);
    assert_eq!(changes(&outputs), [Change::Suspect; 50]);
    assert_eq!(bench.view(1), View::Suspect);
    let sent = requests(&outputs);
    assert!(matches!(sent[..], [ref all] if matches!(all.op, Op::RenewAll { .. })), "{sent:?}");
    bench.now += 1_000_000;
    bench.reply(sent[0].id, Reply::RenewedAll);
    let at_least = Span::from_millis(4_999);
    assert!((1..=50).all(|handle| bench.view(handle) == View::Valid { at_least }));
}

#[test]
fn a_message_for_nobody_changes_nothing() {
    let mut bench = holder::Bench::open();
    bench.hold(1, exclusive("jobs"), 7);
    let before = bench.view(1);
    for reply in [renewed(TERM), Reply::RenewedAll, Reply::Granted(grant(9, TERM))] {
        let outputs = bench.reply(RequestId(99), reply);
        assert_eq!(changes(&outputs), []);
    }
    bench.feed(Input::Received(FromGranter::NotOpened(Refusal::WrongSecret)));
    assert_eq!(bench.view(1), before);
}

#[cfg(feature = "mutants")]
#[test]
fn the_bugs_are_noticed_when_they_are_planted() {
    use support::planted::dies;
    use tlease_core::Mutant;

    dies(
        Mutant::FreesByUpperBound,
        a2_a_lease_is_freed_by_the_upper_bound_of_its_start_and_the_lower_bound_of_now,
    );
    dies(Mutant::AnyoneMovesLease, a6_another_session_cannot_touch_a_lease_whose_fence_it_knows);
    dies(Mutant::SecretUnchecked, a6_a_session_is_resumed_only_with_its_secret);
    dies(
        Mutant::ReclaimOfSettledLife,
        a8a_a_tag_of_a_life_before_the_last_settled_one_proves_nothing,
    );
    dies(
        Mutant::ReclaimsNotCompared,
        a8a_of_two_claims_the_higher_fence_wins_whichever_comes_first,
    );
    dies(
        Mutant::ReclaimUnproved,
        a8c_the_key_under_the_tags_survives_and_a_tag_proves_every_part_of_a_claim,
    );
    dies(
        Mutant::SuspectReclaimed,
        a8d_a_holder_reclaims_only_what_is_valid_at_that_sending_and_names_the_life_it_is_for,
    );
    dies(Mutant::ReclaimForAnyLife, a8d_a_claim_for_another_life_or_after_the_wait_is_refused);
}
