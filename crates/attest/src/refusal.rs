//! Why a peer was not let in: in full for this side's log, in a word for the peer.

use core::fmt;

use crate::evidence::BadEvidence;
use crate::measured::Measured;
use crate::platform::PlatformFault;
use crate::policy::TcbStatus;

/// Why this side did not let the peer in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What it sent is no evidence of a kind known here.
    NoEvidence(BadEvidence),
    /// Its local report was not made for this enclave on this machine, or was changed.
    ForgedReport,
    /// It sent a local report, and none can be verified here.
    NoReportKey(PlatformFault),
    /// It sent a quote, and none can be verified here.
    NoQuotes,
    /// It sent a quote, and the caller gave no time to judge its collateral by.
    NoTime,
    /// Its quote does not verify.
    BadQuote {
        /// What the verifier says.
        why: String,
    },
    /// Its evidence is for another key or another session: replayed, or relayed.
    NotBound,
    /// It has attributes that its measurement does not cover and that change what it can do.
    Attributes {
        /// Its flags.
        flags: u64,
    },
    /// Its host can read and write its memory.
    Debug {
        /// What it is.
        measured: Measured,
    },
    /// The state of its machine is none that the policy accepts.
    Tcb {
        /// The state.
        status: TcbStatus,
        /// What is known about it.
        advisories: Vec<String>,
    },
    /// An advisory that the policy refuses applies to its machine.
    Advisory {
        /// Its id.
        id: String,
    },
    /// Its machine has a property that the policy does not accept, or does not say whether it does.
    Machine {
        /// The statement that would accept it.
        statement: &'static str,
    },
    /// No rule lets it in.
    NotAllowed {
        /// What it is.
        measured: Measured,
    },
}

impl Refusal {
    /// What the peer is told.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoEvidence(_) | Self::ForgedReport | Self::BadQuote { .. } => Reason::BadEvidence,
            Self::NoReportKey(_) | Self::NoQuotes | Self::NoTime => Reason::CannotVerify,
            Self::NotBound => Reason::NotBound,
            Self::Debug { .. } => Reason::Debug,
            Self::Tcb { .. } | Self::Advisory { .. } | Self::Machine { .. } => Reason::Machine,
            Self::Attributes { .. } | Self::NotAllowed { .. } => Reason::NotAllowed,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvidence(_) => f.write_str("the peer's evidence cannot be read"),
            Self::ForgedReport => f.write_str(
                "the peer's local report was not made for this enclave on this machine; \
                 between machines, use quotes",
            ),
            Self::NoReportKey(_) => f.write_str("the peer's local report cannot be verified here"),
            Self::NoQuotes => f.write_str(
                "the peer sent a quote, and there is no collateral here to verify it by",
            ),
            Self::NoTime => f.write_str(
                "the peer sent a quote, and no time was given to judge its collateral by",
            ),
            Self::BadQuote { why } => write!(f, "the peer's quote does not verify: {why}"),
            Self::NotBound => f.write_str(
                "the peer's evidence is for another key or session: it was replayed or relayed",
            ),
            Self::Attributes { flags } => write!(
                f,
                "the peer's enclave has the attributes {flags:#x}; only INIT, MODE64BIT and, with \
                 accept-debug, DEBUG go, since its measurement covers none of them"
            ),
            Self::Debug { measured } => write!(
                f,
                "the peer can be debugged by its host ({measured}); build it without debugging"
            ),
            Self::Tcb { status, advisories } => {
                write!(
                    f,
                    "the peer's machine is {status} ({}); update it, or add `accept-tcb {status}`",
                    advisories.join(", ")
                )
            }
            Self::Advisory { id } => {
                write!(f, "{id} applies to the peer's machine; update it")
            }
            Self::Machine { statement } => {
                write!(f, "the peer's machine needs `{statement}` in the policy")
            }
            Self::NotAllowed { measured } => {
                write!(f, "no rule lets the peer in; to do so, add `allow NAME {measured}`")
            }
        }
    }
}

impl core::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NoEvidence(bad) => Some(bad),
            Self::NoReportKey(fault) => Some(fault),
            Self::ForgedReport
            | Self::NoQuotes
            | Self::NoTime
            | Self::BadQuote { .. }
            | Self::NotBound
            | Self::Attributes { .. }
            | Self::Debug { .. }
            | Self::Tcb { .. }
            | Self::Advisory { .. }
            | Self::Machine { .. }
            | Self::NotAllowed { .. } => None,
        }
    }
}

/// What a side is told when it is not let in: enough to know where to look, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The evidence does not verify.
    BadEvidence,
    /// The evidence is of a kind that the other side cannot verify.
    CannotVerify,
    /// The evidence is for another key or session.
    NotBound,
    /// The other side's policy names nothing like it.
    NotAllowed,
    /// Its memory can be read by its host.
    Debug,
    /// Its machine is not as the other side's policy demands.
    Machine,
    /// The other side has no evidence of its own to show.
    NothingToShow,
    /// A reason of another version.
    Other {
        /// Its number.
        number: u8,
    },
}

impl Reason {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::BadEvidence => 1,
            Self::CannotVerify => 2,
            Self::NotBound => 3,
            Self::NotAllowed => 4,
            Self::Debug => 5,
            Self::Machine => 6,
            Self::NothingToShow => 7,
            Self::Other { number } => number,
        }
    }

    pub(crate) const fn of(number: u8) -> Self {
        match number {
            1 => Self::BadEvidence,
            2 => Self::CannotVerify,
            3 => Self::NotBound,
            4 => Self::NotAllowed,
            5 => Self::Debug,
            6 => Self::Machine,
            7 => Self::NothingToShow,
            _ => Self::Other { number },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::BadEvidence => "this side's evidence does not verify there",
            Self::CannotVerify => "this side's kind of evidence cannot be verified there",
            Self::NotBound => "this side's evidence is for another session",
            Self::NotAllowed => "its policy does not name this side's measurement",
            Self::Debug => "this side can be debugged by its host",
            Self::Machine => "its policy does not accept the state of this machine",
            Self::NothingToShow => "it has no evidence that this side could verify",
            Self::Other { number } => return write!(f, "for a reason unknown here, {number}"),
        };
        f.write_str(why)
    }
}
