//! Reaching a granter: which one, over which connection.

pub(crate) mod link;
pub(crate) mod seat;
mod which;

pub(crate) use link::{Link, LinkError};
pub(crate) use which::{Reached, Which};

use crate::exit::{Chain, Exit, Failure};
use tlease_core::refusal::Refusal;

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let exit = match error {
            LinkError::NotThisMachine { .. } | LinkError::Embedded => Exit::Malformed,
            LinkError::TooLarge(_) => Exit::Usage,
            LinkError::Connect { .. }
            | LinkError::Silent { .. }
            | LinkError::Closed
            | LinkError::Goodbye(_)
            | LinkError::Io(_)
            | LinkError::NotUnderstood(_) => Exit::Unreachable,
        };
        Self::new(exit, Chain(&error).to_string())
    }
}

/// The failure that a refusal is for its user.
pub(crate) fn refused(refusal: Refusal) -> Failure {
    let exit = match refusal {
        Refusal::Held { .. } | Refusal::RestartWait { .. } => Exit::Busy,
        Refusal::WaitedOut => Exit::TimedOut,
        Refusal::NotHeldHere
        | Refusal::NotReclaimable
        | Refusal::Superseded
        | Refusal::BadTag
        | Refusal::WrongSecret => Exit::Lost,
        Refusal::QueueFull { .. }
        | Refusal::AlreadyHeld
        | Refusal::NoUpgrade
        | Refusal::TermTooShort { .. }
        | Refusal::TermTooLong { .. }
        | Refusal::StoreUnavailable
        | Refusal::Stopping
        | Refusal::NoSession
        | Refusal::StaleEpoch
        | Refusal::UsedId
        | Refusal::WrongIncarnation { .. }
        | Refusal::Full(_)
        | Refusal::NotOperator => Exit::Refused,
    };
    Failure::new(exit, format!("the granter refuses: {refusal}"))
}

/// An answer that does not go with its question: a granter that errs.
pub(crate) fn out_of_place(what: &str) -> Failure {
    Failure::new(Exit::Unreachable, format!("the granter answers with {what}, which was not asked"))
}
