//! The peer audit: honest clocks are never accused, whatever happens to messages and machines; a lie
//! is found within its bound; and no report does anything but be counted.

#![allow(clippy::as_conversions, reason = "round trips and rates as fractions, in a test")]

mod audit;

use audit::honest::{Run, honest_fast, honest_slow, trip};
use audit::{BILLION, Lie};
use proptest::prelude::*;
use tlease_core::audit::{PeerAudit, StampedReply};
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

/// Cases of a property in an ordinary run; `TLEASE_FULL=1` draws a hundred times as many.
fn cases(ordinary: u32) -> u32 {
    if std::env::var_os("TLEASE_FULL").is_some() { ordinary * 100 } else { ordinary }
}
