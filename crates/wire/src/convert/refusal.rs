//! Refusals.

use tlease_core::refusal::{Bound, Refusal};
use tlease_core::time::Span;

use super::fields::{Required, incarnation};
use crate::bad::BadField;
use crate::generated as pb;
use pb::refusal::Refusal as Pb;

impl TryFrom<pb::Refusal> for Refusal {
    type Error = BadField;

    fn try_from(refusal: pb::Refusal) -> Result<Self, BadField> {
        Ok(match refusal.refusal.required("Refusal.refusal")? {
            Pb::Held(held) => Self::Held { waiters: held.waiters },
            Pb::WaitedOut(pb::Nothing {}) => Self::WaitedOut,
            Pb::QueueFullLimit(limit) => Self::QueueFull { limit },
            Pb::AlreadyHeld(pb::Nothing {}) => Self::AlreadyHeld,
            Pb::NoUpgrade(pb::Nothing {}) => Self::NoUpgrade,
            Pb::NotHeldHere(pb::Nothing {}) => Self::NotHeldHere,
            Pb::TermTooShortMinNs(nanos) => Self::TermTooShort { min: Span::from_nanos(nanos) },
            Pb::TermTooLongMaxNs(nanos) => Self::TermTooLong { max: Span::from_nanos(nanos) },
            Pb::RestartWaitLeftNs(nanos) => Self::RestartWait { left: Span::from_nanos(nanos) },
            Pb::StoreUnavailable(pb::Nothing {}) => Self::StoreUnavailable,
            Pb::Stopping(pb::Nothing {}) => Self::Stopping,
            Pb::NoSession(pb::Nothing {}) => Self::NoSession,
            Pb::WrongSecret(pb::Nothing {}) => Self::WrongSecret,
            Pb::StaleEpoch(pb::Nothing {}) => Self::StaleEpoch,
            Pb::UsedId(pb::Nothing {}) => Self::UsedId,
            Pb::BadTag(pb::Nothing {}) => Self::BadTag,
            Pb::WrongIncarnationThis(number) => Self::WrongIncarnation {
                this: incarnation(number, "Refusal.wrong_incarnation_this")?,
            },
            Pb::NotReclaimable(pb::Nothing {}) => Self::NotReclaimable,
            Pb::Superseded(pb::Nothing {}) => Self::Superseded,
            Pb::FullLeasesLimit(limit) => Self::Full(Bound::Leases { limit }),
            Pb::FullSessionsLimit(limit) => Self::Full(Bound::Sessions { limit }),
            Pb::FullParkedLimit(limit) => Self::Full(Bound::Parked { limit }),
            Pb::FullWatchesLimit(limit) => Self::Full(Bound::Watches { limit }),
            Pb::FullFences(pb::Nothing {}) => Self::Full(Bound::Fences),
            Pb::NotOperator(pb::Nothing {}) => Self::NotOperator,
        })
    }
}

impl From<Refusal> for pb::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal: Some(match refusal {
                Refusal::Held { waiters } => Pb::Held(pb::Held { waiters }),
                Refusal::WaitedOut => Pb::WaitedOut(pb::Nothing {}),
                Refusal::QueueFull { limit } => Pb::QueueFullLimit(limit),
                Refusal::AlreadyHeld => Pb::AlreadyHeld(pb::Nothing {}),
                Refusal::NoUpgrade => Pb::NoUpgrade(pb::Nothing {}),
                Refusal::NotHeldHere => Pb::NotHeldHere(pb::Nothing {}),
                Refusal::TermTooShort { min } => Pb::TermTooShortMinNs(min.as_nanos()),
                Refusal::TermTooLong { max } => Pb::TermTooLongMaxNs(max.as_nanos()),
                Refusal::RestartWait { left } => Pb::RestartWaitLeftNs(left.as_nanos()),
                Refusal::StoreUnavailable => Pb::StoreUnavailable(pb::Nothing {}),
                Refusal::Stopping => Pb::Stopping(pb::Nothing {}),
                Refusal::NoSession => Pb::NoSession(pb::Nothing {}),
                Refusal::WrongSecret => Pb::WrongSecret(pb::Nothing {}),
                Refusal::StaleEpoch => Pb::StaleEpoch(pb::Nothing {}),
                Refusal::UsedId => Pb::UsedId(pb::Nothing {}),
                Refusal::BadTag => Pb::BadTag(pb::Nothing {}),
                Refusal::WrongIncarnation { this } => Pb::WrongIncarnationThis(this.get()),
                Refusal::NotReclaimable => Pb::NotReclaimable(pb::Nothing {}),
                Refusal::Superseded => Pb::Superseded(pb::Nothing {}),
                Refusal::Full(Bound::Leases { limit }) => Pb::FullLeasesLimit(limit),
                Refusal::Full(Bound::Sessions { limit }) => Pb::FullSessionsLimit(limit),
                Refusal::Full(Bound::Parked { limit }) => Pb::FullParkedLimit(limit),
                Refusal::Full(Bound::Watches { limit }) => Pb::FullWatchesLimit(limit),
                Refusal::Full(Bound::Fences) => Pb::FullFences(pb::Nothing {}),
                Refusal::NotOperator => Pb::NotOperator(pb::Nothing {}),
            }),
        }
    }
}
