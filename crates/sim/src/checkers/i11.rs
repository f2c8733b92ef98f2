//! I11: a life of the granter makes no new grant while a lease of an earlier life that it does not know
//! can still be in use, by true time.

use super::Claim;
use super::witness::Witness;
use crate::world::node::{Guard, Node};

pub(crate) const CLAIM: Claim =
    Claim::new("I11", "no new grant after a restart until the longest promise has passed");

/// To be asked when this life, which began at `born`, makes a new grant at `now`.
pub(crate) fn check(nodes: &[Node], witness: &Witness, born: u64, now: u64) -> Result<(), String> {
    for (index, node) in
        nodes.iter().enumerate().filter(|(_, node)| !node.excused && !node.deceived)
    {
        for seen in node.leases.values().filter(|seen| !seen.ended && seen.anchored_at < born) {
            if let Guard::Open(hold) = seen.guard
                && seen.anchored_at + hold.term.as_nanos() > now
                && !witness.knows(seen.name, hold.fence)
            {
                return Err(format!(
                    "granted while holder {index} has {hold:?} of name {}, sent at {} before \
                     this life began at {born}",
                    seen.name, seen.anchored_at
                ));
            }
        }
    }
    Ok(())
}
