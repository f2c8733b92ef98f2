//! I50: the peer audit accuses no clocks that both keep their promises, whatever happens to messages.

use tlease_core::audit::Disagreement;

use super::Claim;

pub(crate) const CLAIM: Claim = Claim::new("I50", "honest clocks are never accused");

/// Which of the two clocks has one source that kept the hand's promise all along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// The granter's, never ahead of true time.
    pub(crate) slow: bool,
    /// The holder's, never behind it.
    pub(crate) fast: bool,
}

pub(crate) fn check(kept: Kept, accused: Disagreement) -> Result<(), String> {
    match kept {
        Kept { slow: true, fast: true } => Err(format!("a false alarm: {accused:?}")),
        Kept { slow: false, .. } | Kept { fast: false, .. } => Ok(()),
    }
}
