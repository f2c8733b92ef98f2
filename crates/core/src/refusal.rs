//! Refusals: the expected answers of the protocol that are not a yes.

use core::fmt;

use crate::identity::Incarnation;
use crate::time::Span;

/// Why a request was not carried out. It changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The name is taken, and the request would not wait.
    Held {
        /// How many requests stand in its queue.
        waiters: u32,
    },
    /// The time that the request was willing to wait is over.
    WaitedOut,
    /// The queue of the name is full.
    QueueFull {
        /// Its bound.
        limit: u32,
    },
    /// The session holds the name already, or is offered it.
    AlreadyHeld,
    /// A shared lease cannot become exclusive: release it, then acquire.
    NoUpgrade,
    /// No such lease of this session is known here: released, expired, or from an earlier life.
    NotHeldHere,
    /// The term is shorter than the granter allows.
    TermTooShort {
        /// The shortest term.
        min: Span,
    },
    /// The term is longer than the granter allows.
    TermTooLong {
        /// The longest term.
        max: Span,
    },
    /// The granter restarted and makes no new grants yet.
    RestartWait {
        /// For how long still, rounded up; it may take longer.
        left: Span,
    },
    /// The granter cannot make the grant durable. Leases already granted go on.
    StoreUnavailable,
    /// The granter is shutting down.
    Stopping,
    /// This connection has not opened a session.
    NoSession,
    /// The session exists and its secret is another.
    WrongSecret,
    /// The connection's session was opened again elsewhere, or the granter restarted.
    StaleEpoch,
    /// The request's id is not above the last one.
    UsedId,
    /// The reclaim's signature is not this granter's for this session and these terms.
    BadTag,
    /// The reclaim names another incarnation than this one.
    WrongIncarnation {
        /// This incarnation.
        this: Incarnation,
    },
    /// The wait in which leases can be reclaimed is over, or there was none.
    NotReclaimable,
    /// A lease with a higher fence was reclaimed on the name.
    Superseded,
    /// The granter keeps as many of something as it is set to.
    Full(Bound),
    /// Only the operator's socket may do this.
    NotOperator,
}

/// Something a granter bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Live leases.
    Leases {
        /// The bound.
        limit: u32,
    },
    /// Sessions.
    Sessions {
        /// The bound.
        limit: u32,
    },
    /// Requests that wait for the store.
    Parked {
        /// The bound.
        limit: u32,
    },
    /// Watches.
    Watches {
        /// The bound.
        limit: u32,
    },
    /// Fences: all 2^63 were given.
    Fences,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { waiters: 0 } => f.write_str("the name is held"),
            Self::Held { waiters } => write!(f, "the name is held, and {waiters} wait for it"),
            Self::WaitedOut => f.write_str("the name was not free within the time to wait"),
            Self::QueueFull { limit } => {
                write!(f, "the name's queue is full ({limit} waiting); try again later")
            }
            Self::AlreadyHeld => f.write_str("this session holds the name already"),
            Self::NoUpgrade => f.write_str(
                "a shared lease cannot become exclusive; release it and acquire it exclusively",
            ),
            Self::NotHeldHere => {
                f.write_str("the granter knows no such lease of this session; acquire it again")
            }
            Self::TermTooShort { min } => {
                write!(f, "the term is too short; this granter gives at least {min}")
            }
            Self::TermTooLong { max } => {
                write!(f, "the term is too long; this granter gives at most {max}")
            }
            Self::RestartWait { left } => write!(
                f,
                "the granter restarted and makes no new grants for another {left:.1} or so"
            ),
            Self::StoreUnavailable => f.write_str(
                "the granter cannot write its data directory, so it makes no new grants; \
                 see its log",
            ),
            Self::Stopping => f.write_str("the granter is shutting down"),
            Self::NoSession => f.write_str("open a session first"),
            Self::WrongSecret => f.write_str("the session exists and its secret is another"),
            Self::StaleEpoch => {
                f.write_str("the session was opened again elsewhere, or the granter restarted")
            }
            Self::UsedId => {
                f.write_str("the request's id was used before; a resend needs a new id")
            }
            Self::BadTag => f.write_str("the lease's token was not issued to this session here"),
            Self::WrongIncarnation { this } => {
                write!(f, "the reclaim is for another life of the granter; this is number {this}")
            }
            Self::NotReclaimable => {
                f.write_str("leases of earlier lives can no longer be reclaimed")
            }
            Self::Superseded => f.write_str("a newer lease on the name was reclaimed"),
            Self::Full(bound) => write!(f, "the granter's bound of {bound} is reached"),
            Self::NotOperator => {
                f.write_str("only the operator's socket may recall by force; see 'tlease serve'")
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leases { limit } => write!(f, "{limit} leases"),
            Self::Sessions { limit } => write!(f, "{limit} sessions"),
            Self::Parked { limit } => write!(f, "{limit} requests waiting for the store"),
            Self::Watches { limit } => write!(f, "{limit} watches"),
            Self::Fences => f.write_str("2^63 fences"),
        }
    }
}

impl core::error::Error for Refusal {}
