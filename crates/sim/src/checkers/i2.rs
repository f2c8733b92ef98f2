//! I2: between two stamps of one segment no less passed on a holder's fast hand than in truth; and no
//! guard lets anything pass once the term has passed, in truth, since the request was sent. All that as
//! long as one source `kept` what the hand promises (assumption A2): a scenario may break that on purpose.

use tlease_core::holder::Hold;
use tlease_core::time::{FastHand, FastInstant, Now};

use super::Claim;
use crate::world::node::Seen;

pub(crate) const CLAIM: Claim =
    Claim::new("I2", "the fast hand never advances less than true time within a segment");

/// `open` is what the guard lets pass at true time `now`.
pub(crate) fn check(kept: bool, now: u64, seen: &Seen, open: Option<Hold>) -> Result<(), String> {
    match open {
        Some(hold) if kept && now - seen.anchored_at >= hold.term.as_nanos() => {
            Err(format!("acts after its term: {hold:?}, sent at {}", seen.anchored_at))
        }
        Some(_) | None => Ok(()),
    }
}

/// Compares a moment with some of the stamps before it. `hidden` is the suspended time that a segment
/// can hide, which guards charge.
pub(crate) fn read(
    kept: bool,
    hand: &FastHand,
    stamps: &[(FastInstant, u64)],
    now: Now<FastInstant>,
    true_time: u64,
    hidden: u64,
) -> Result<(), String> {
    let some = [stamps.first(), stamps.get(stamps.len() / 2), stamps.iter().rev().nth(1)];
    for (anchor, at) in some.into_iter().flatten() {
        let passed = hand.elapsed_ceil(anchor, &now.reading()).map(|span| span.as_nanos());
        if kept && passed.is_some_and(|passed| passed.saturating_add(hidden) < true_time - at) {
            return Err(format!("{passed:?} ns on the hand from {at} to {true_time}"));
        }
    }
    Ok(())
}
