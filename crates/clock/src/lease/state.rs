//! What a check says.

use core::fmt;

use tlease_core::time::Span;

/// The state of a lease at some instant during the call that returned it. Advice: by the time the
/// caller acts on it, it may have changed. Only the guard makes check and act one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an unchecked lease is no lease"]
pub enum Check {
    /// Usable, for at least this much longer: rounded down, drift and hidden suspends charged.
    Valid {
        /// True time left, at least.
        remaining: Span,
    },
    /// Continuity of time since the anchor cannot be shown. One renewal decides.
    Suspect,
    /// The whole term may have passed.
    Expired,
    /// Never granted to this cell, released, revoked, held under another fence, or seen from a
    /// forked child.
    NotHeld,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid { remaining } => write!(f, "valid for {remaining} more"),
            Self::Suspect => f.write_str("suspect: continuity of time cannot be shown"),
            Self::Expired => f.write_str("expired"),
            Self::NotHeld => f.write_str("not held"),
        }
    }
}
