//! I13: a lease that was over for its holder at one moment is over at every later one.

use super::Claim;
use crate::world::node::Seen;

pub(crate) const CLAIM: Claim =
    Claim::new("I13", "loss is known locally: no call after the deadline says valid");

/// `valid` is what the machine says at the upper bound of the present.
pub(crate) fn check(seen: &Seen, valid: bool) -> Result<(), String> {
    if seen.was_over && valid { Err("was over and is not".to_owned()) } else { Ok(()) }
}
