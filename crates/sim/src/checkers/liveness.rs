//! Liveness: once the world has healed, every wish is granted and given back within a bound, and
//! nothing is left over at the granter.

use super::Claim;
use crate::options::Options;

pub(crate) const CLAIM: Claim =
    Claim::new("liveness", "after healing, leases are granted again within a bound");

/// By when all is granted after healing, in nanoseconds: a restart wait, and for each of `wishes`
/// the longest lease of somebody who is gone, an offer that lapses, and a few retries of store and
/// connection.
pub(crate) fn bound(options: &Options, wishes: u64) -> u64 {
    let longest = options.scale * 2;
    (wishes + 4) * longest + options.session_idle + 60_000_000_000
}
