//! I52: what was anchored before clocks were found to disagree lets nothing pass after it, until a
//! renewal. Drawn clocks keep their promises: the scenario `s20_crystal_slowed` has some that do not.

use tlease_core::holder::Hold;

use super::Claim;
use crate::world::node::Seen;

pub(crate) const CLAIM: Claim =
    Claim::new("I52", "leases from before clocks disagreed wait for a renewal sent after it");

/// `doubted_at` is when its holder found clocks to disagree last.
pub(crate) fn check(
    doubted_at: Option<u64>,
    seen: &Seen,
    open: Option<Hold>,
) -> Result<(), String> {
    match (doubted_at, open) {
        (Some(doubted), Some(hold)) if seen.anchored_at < doubted => Err(format!(
            "acts under {hold:?}, sent at {}, though clocks disagreed at {doubted}",
            seen.anchored_at
        )),
        (_, _) => Ok(()),
    }
}
