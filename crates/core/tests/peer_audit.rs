//! The peer audit: honest clocks are never accused, whatever happens to messages and machines; a lie
//! is found within its bound; and no report does anything but be counted.

#![allow(clippy::as_conversions, reason = "round trips and rates as fractions, in a test")]

mod audit;

use audit::honest::{Run, honest_fast, honest_slow, trip};
use audit::{BILLION, Lie};
use proptest::prelude::*;
use tlease_core::audit::{Disagreement, PeerAudit, StampedReply};
use tlease_core::time::{FastHand, FastInstant, Readings, Segment, Source, Span, Ticks};

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(600), ..ProptestConfig::default() })]

    /// Invariant I50.
    #[test]
    fn honest_clocks_are_never_accused(
        fast in honest_fast(),
        slow in honest_slow(),
        trips in prop::collection::vec(trip(), 2..40),
    ) {
        prop_assert_eq!(Run::new(fast, slow).all(trips), Ok(()));
    }

    /// Promise P12.
    #[test]
    fn a_constant_lie_is_found_within_its_bound(
        granter in BILLION / 2..3 * BILLION,
        holder in BILLION / 2..3 * BILLION,
        delay in prop_oneof![0..100_000_u64, 0..100_000_000_u64],
        period in prop_oneof![1_000_000..100_000_000_u64, 1_000_000..2 * BILLION],
    ) {
        let lie = Lie { granter, holder, delay, period };
        if lie.beyond_slack() <= 0.0 {
            prop_assert_eq!(lie.found_after(100 * period), None);
        } else if lie.bound() / (period as f64) < 20_000.0 {
            let bound = lie.bound();
            let found = lie.found_after(bound as u64 + 2 * period);
            let (after, _) = found.expect("it is found");
            prop_assert!(after as f64 <= bound, "after {after} ns, bound {bound}");
        }
    }

    /// The one stamp that is kept finds whatever any pair of stamps would.
    #[test]
    fn one_kept_stamp_finds_what_all_pairs_find(
        source in (1..5_u64, 1..5_u64, 0..3_u64),
        edge in prop_oneof![Just(0_u64), Just(u64::MAX - 400)],
        replies in prop::collection::vec((0..12_u64, 0..12_u64, 0..9_u64, 0..30_u8), 2..30),
    ) {
        let (nanos, ticks, granularity) = source;
        let hand = FastHand::new(&[Source::assume(nanos, ticks, Ticks(granularity))]);
        let at = |ticks| FastInstant::new(Segment(0), Readings::one(Ticks(ticks)));
        let (mut audit, mut before) = (PeerAudit::default(), Vec::<StampedReply>::new());
        let (mut now, mut moved) = (edge, 0);
        for (gap, trip, further, late) in replies {
            now += gap;
            moved += further;
            // Some come after others that were sent later, with a stamp as old as they are.
            let (sent, stamp) = if late == 0 { (now, moved) } else {
                (now.saturating_sub(trip), moved - further)
            };
            let reply = StampedReply {
                sent: at(sent),
                moved: Span::from_nanos(stamp),
                received: at(now + trip),
            };
            let any = before.iter().any(|earlier| {
                let elapsed = hand.elapsed_ceil(&earlier.sent, &reply.received);
                elapsed.is_some_and(|elapsed| reply.moved.saturating_sub(earlier.moved) > elapsed)
            });
            let found = audit.judge(&hand, &reply);
            prop_assert_eq!(found.is_some(), any, "{:?} after {:?}", reply, before);
            if let Some(found) = found {
                prop_assert!(found.granter > found.holder);
                before.clear();
            }
            before.push(reply);
        }
    }
}

/// One in a thousand beyond what both allow, with round trips of 20 ms every 50 ms: of two stamps in a row the
/// earlier is older by 70 ms on the holder's hand, and by hardly more than 50 ms on the granter's.
const HIDDEN_IN_ROUND_TRIPS: Lie =
    Lie { granter: BILLION + 1_600_000, holder: BILLION, delay: 10_000_000, period: 50_000_000 };

#[test]
fn a_lie_that_no_two_stamps_in_a_row_show_is_found() {
    let lie = HIDDEN_IN_ROUND_TRIPS;
    let bound = lie.bound();
    assert!(bound < 21e9, "about 20 ms / 1e-3: {bound} ns");
    let (after, _) = lie.found_after(bound as u64 + 2 * lie.period).expect("it is found");
    assert!(after as f64 <= bound && after > 10 * BILLION, "after {after} ns, bound {bound}");
}

#[test]
fn what_a_segment_can_hide_accuses_nobody() {
    assert_eq!(accused_after_hiding(20_000, hides()), None);
    let found = accused_after_hiding(20_001, hides()).expect("more than it can hide");
    assert_eq!((found.granter, found.holder), (Span::from_secs(1), Span::from_nanos(999_999_999)));
}

/// A hand of which a segment can hide a suspend of 20 us.
fn hides() -> FastHand {
    FastHand::new(&[Source::assume(1, 1, Ticks(0))]).assume_hides(Span::from_nanos(20_000))
}

/// A second passes between two stamps without a round trip, and the segment hides some of it.
fn accused_after_hiding(hidden: u64, hand: FastHand) -> Option<Disagreement> {
    let at = |nanos| FastInstant::new(Segment(0), Readings::one(Ticks(nanos)));
    let mut audit = PeerAudit::default();
    let stamp = |nanos, moved| StampedReply { sent: at(nanos), moved, received: at(nanos) };
    assert_eq!(audit.judge(&hand, &stamp(0, Span::ZERO)), None);
    audit.judge(&hand, &stamp(BILLION - hidden, Span::from_secs(1)))
}

#[cfg(feature = "mutants")]
#[test]
fn a_bug_is_noticed_when_it_is_planted() {
    use tlease_core::Mutant;

    let lie = HIDDEN_IN_ROUND_TRIPS;
    let hand = FastHand::new(&[Source::assume_fast_nanos(audit::PPB)]);
    let limit = 2 * lie.bound() as u64;
    assert!(lie.found_by(hand, limit).is_some());
    let bug = Mutant::AuditKeepsLatest;
    assert_eq!(lie.found_by(hand.mutate(bug), limit), None, "{bug:?} goes unnoticed");
    let bug = Mutant::HiddenForgotten;
    assert!(accused_after_hiding(20_000, hides().mutate(bug)).is_some(), "{bug:?} goes unnoticed");
}

/// Cases of a property in an ordinary run; `TLEASE_FULL=1` draws a hundred times as many.
fn cases(ordinary: u32) -> u32 {
    if std::env::var_os("TLEASE_FULL").is_some() { ordinary * 100 } else { ordinary }
}
