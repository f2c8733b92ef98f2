//! I18: the links that a granter counts on were executed, and no more were executed than those from which
//! it stamps.

use super::Claim;
use crate::world::enclave::Executed;

pub(crate) const CLAIM: Claim = Claim::new(
    "I18",
    "in an enclave the slow hand counts only links that were executed, and a start stamp is above them",
);

/// Without a margin: a link too many or too few shows.
pub(crate) fn check(shown: Executed) -> Result<(), String> {
    if shown.not_before <= shown.least && shown.most <= shown.not_after {
        Ok(())
    } else {
        Err(format!("the hand is beside what was executed: {shown:?}"))
    }
}
