//! What can go wrong, one enum per operation: each variant says what to do, or names who is at fault.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tlease_clock::ClockFault;
use tlease_core::Refusal;
use tlease_core::holder::Ending;
use tlease_core::name::{BadName, ValueTooLong};
use tlease_daemon::StartError;
use tlease_wire::{Address, BadAddress, Goodbye};

/// Why there is no connection to a granter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// This machine's clocks cannot be used as the profile asks.
    #[error("this machine's clocks cannot time a lease as asked")]
    Clock(#[from] ClockFault),
    /// The system gave no random bytes, threads or descriptors.
    #[error("the system does not provide what a session needs")]
    System(#[source] io::Error),
    /// The host name means nothing here.
    #[error("cannot find the host '{host}'")]
    Unresolved {
        /// The name.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The address leads over a network, which needs TLS.
    #[error(
        "will not connect to {address}: leases are not sent over a network in the clear, and TLS \
         is not in this version; use a loopback address (127.0.0.1, [::1]) or a Unix socket, and \
         forward it through a tunnel that authenticates"
    )]
    NotLoopback {
        /// Where the name or number leads.
        address: SocketAddr,
    },
    /// Nobody listens there, or the system does not let us.
    #[error("no granter answers at {address}; start one with 'tlease serve'")]
    Unreachable {
        /// Where.
        address: Address,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody listens there, and did not open the session in time.
    #[error("the granter at {address} did not open a session within {within:?}{}", heard(.goodbye))]
    Silent {
        /// Where.
        address: Address,
        /// How long it was given: [`ClientBuilder::connect_within`](crate::ClientBuilder).
        within: Duration,
        /// What it said last.
        goodbye: Option<Goodbye>,
    },
    /// Whoever listens there does not speak the protocol.
    #[error("what listens at {address} is not a granter of this version: {reason}")]
    Foreign {
        /// Where.
        address: Address,
        /// What it said instead.
        reason: String,
    },
    /// The granter does not open a session for us.
    #[error("the granter does not open a session: {0}")]
    Refused(Refusal),
    /// This is a forked child: it has no thread that could drive a session.
    #[error(
        "a forked child cannot use its parent's client; run another program, or connect before \
         anything else in a child that was forked before the first client"
    )]
    Forked,
    /// The granter in this process did not start.
    #[error("the embedded granter did not start")]
    Embedded(#[from] StartError),
    /// The granter in this process could not begin its life: see the log.
    #[error("the embedded granter could not begin its life: {reason}")]
    EmbeddedEnded {
        /// Why, as it said.
        reason: String,
    },
}

fn heard(goodbye: &Option<Goodbye>) -> String {
    goodbye.as_ref().map(|goodbye| format!("; it said: {goodbye}")).unwrap_or_default()
}

/// Why a lease was not acquired. Nothing is held then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The bytes are no name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The value is too long.
    #[error(transparent)]
    Value(#[from] ValueTooLong),
    /// The term or the time to wait is longer than can be written.
    #[error("{0:?} is longer than 584 years")]
    TooLong(Duration),
    /// Somebody else holds the name, and the acquire was not to wait.
    #[error("the name is held by another; wait for it, or try again later")]
    Held {
        /// How many requests stand in its queue.
        waiters: u32,
    },
    /// Somebody else held the name for as long as the acquire was to wait.
    #[error("the name was not free within the time to wait")]
    WaitedOut,
    /// The granter said no for another reason.
    #[error("the granter refused: {0}")]
    Refused(Refusal),
    /// No answer came from the granter. The request is withdrawn.
    #[error("no answer came from the granter within {within:?}; see whether it runs")]
    Unreachable {
        /// How long it was waited for.
        within: Duration,
    },
    /// The lease was over before it could be used.
    #[error("the lease was granted, and over before it could be used: {0}")]
    Over(Loss),
    /// The system has no memory for a lease.
    #[error("the system has no memory for a lease")]
    System(#[source] io::Error),
    /// The session is closed, or the runtime that drove it is gone.
    #[error("the session is closed; open another")]
    SessionOver,
    /// This is a forked child.
    #[error("a session does not survive a fork; connect again in the child")]
    Forked,
}

impl AcquireError {
    pub(crate) const fn of(refusal: Refusal) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest of them stays as it is")]
        match refusal {
            Refusal::Held { waiters } => Self::Held { waiters },
            Refusal::WaitedOut => Self::WaitedOut,
            other => Self::Refused(other),
        }
    }
}

/// How a lease ended: final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// Its term ended before a renewal arrived.
    #[error("its term ended before a renewal arrived")]
    Expired,
    /// It was given back.
    #[error("it was released")]
    Released,
    /// It was wanted back, and its grace is over.
    #[error("it was recalled")]
    Recalled,
    /// The granter does not know it any more.
    #[error("the granter has it no more: {0}")]
    Gone(Refusal),
    /// This machine was loaded from a snapshot, and may be one of several copies, of which only one could
    /// go on with the lease: none does.
    #[error("this machine is a copy, and another may go on with the lease")]
    Copied,
    /// This is a forked child, which holds nothing.
    #[error("a forked child does not hold its parent's leases")]
    Forked,
}

impl Loss {
    /// How a lease that was held ended.
    pub(crate) const fn of(ending: Ending) -> Self {
        match ending {
            Ending::Released => Self::Released,
            Ending::Recalled => Self::Recalled,
            Ending::Expired => Self::Expired,
            Ending::Copied => Self::Copied,
            Ending::Lost(refusal) | Ending::Refused(refusal) => Self::Gone(refusal),
        }
    }
}

/// Why a lease cannot be used at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotValid {
    /// Continuity of time since its last renewal cannot be shown: [`Lease::ensure`](crate::Lease)
    /// renews it.
    #[error("the lease is suspect, since time was interrupted; renew it")]
    Suspect,
    /// It is over.
    #[error("the lease is over: {0}")]
    Over(Loss),
}

/// Why a lease was not renewed as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// It is over.
    #[error("the lease is over: {0}")]
    Over(Loss),
    /// The granter said no. The lease goes on as it was.
    #[error("the granter refused: {0}")]
    Refused(Refusal),
    /// More was wanted to be left than the lease's term.
    #[error("{wanted:?} cannot be left of a term of {term:?}; acquire it for longer")]
    BeyondTerm {
        /// What was wanted.
        wanted: Duration,
        /// The term.
        term: Duration,
    },
    /// It was renewed, and less than wanted is left: it is recalled, or renewals take too long.
    #[error("only {left:?} is left after a renewal")]
    TooLittle {
        /// What is left.
        left: Duration,
    },
    /// No answer came. The lease may still be valid for a while.
    #[error("no answer came from the granter within {within:?}; see whether it runs")]
    Unreachable {
        /// How long it was waited for.
        within: Duration,
    },
    /// The session is closed, or the runtime that drove it is gone. The lease runs to its deadline.
    #[error("the session is closed; the lease runs to its deadline")]
    SessionOver,
}

/// Why it is not known whether the granter has freed a released lease. It cannot be used any more in
/// any case, and is free for others at the end of its term at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// No answer came.
    #[error("no answer came from the granter within {within:?}; it frees the lease with its term")]
    Unheard {
        /// How long it was waited for.
        within: Duration,
    },
    /// The session is closed, or the runtime that drove it is gone.
    #[error("the session is closed; the granter frees the lease with its term")]
    SessionOver,
    /// This is a forked child: nothing was released.
    #[error("a forked child cannot release its parent's lease")]
    Forked,
}

/// Why a question or an order got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The bytes are no name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The prefix is longer than any name, or a span longer than can be written.
    #[error("longer than can be asked for")]
    TooLong,
    /// The granter said no.
    #[error("the granter refused: {0}")]
    Refused(Refusal),
    /// No answer came.
    #[error("no answer came from the granter within {within:?}; see whether it runs")]
    Unreachable {
        /// How long it was waited for.
        within: Duration,
    },
    /// The granter answered something else.
    #[error("the granter answered another question")]
    Confused,
    /// The session is closed, or the runtime that drove it is gone.
    #[error("the session is closed; open another")]
    SessionOver,
    /// This is a forked child.
    #[error("a session does not survive a fork; connect again in the child")]
    Forked,
}
