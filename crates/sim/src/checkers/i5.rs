//! I5: what was anchored before continuity was lost lets nothing pass after it, until a renewal.

use tlease_core::holder::Hold;

use super::Claim;
use crate::world::node::Seen;

pub(crate) const CLAIM: Claim =
    Claim::new("I5", "leases from before a break are suspect until one round trip");

/// `broken_at` is when continuity was lost last in a way that must be seen.
pub(crate) fn check(broken_at: Option<u64>, seen: &Seen, open: Option<Hold>) -> Result<(), String> {
    match (broken_at, open) {
        (Some(broken), Some(hold)) if seen.anchored_at < broken => Err(format!(
            "acts under {hold:?}, sent at {}, though continuity was lost at {broken}",
            seen.anchored_at
        )),
        (_, _) => Ok(()),
    }
}
