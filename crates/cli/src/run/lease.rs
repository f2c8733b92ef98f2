//! What `tlease run` needs of a lease: the seam between the process chain and the client library.

use super::exit::Exit;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::time::Duration;
use tlease_clock::Deadline;

/// The lease that a command needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The granter's address as the user gave it; the local granter if absent.
    pub server: Option<OsString>,
    /// Its name.
    pub name: OsString,
    /// How long one grant or renewal lasts.
    pub term: Duration,
    /// Whether others may hold it too.
    pub sharing: Sharing,
    /// What to do while another holds it.
    pub queueing: Queueing,
}

/// Whether a lease admits others beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody else.
    Exclusive,
    /// Others that share too.
    Shared,
}

/// What to do while another holds the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queueing {
    /// Give up at once.
    Try,
    /// Wait at most so long.
    AtMost(Duration),
    /// Wait.
    Forever,
}

/// A granter that leases can be had from.
pub trait Leases {
    /// A lease that was granted.
    type Held: Held;

    /// Acquires the lease, waiting as `wanted` says.
    ///
    /// Gives up, and withdraws its request, as soon as `give_up` becomes readable. `note` takes
    /// sentences worth showing to a user who waits: which granter it is, that it was restarted.
    ///
    /// # Errors
    /// [`Denied`], with a sentence for the user.
    fn acquire(
        wanted: &Wanted,
        give_up: BorrowedFd<'_>,
        note: &mut dyn FnMut(&str),
    ) -> Result<Self::Held, Denied>;
}

/// A lease in hand. It renews itself while [`Held::next`] is being called.
pub trait Held {
    /// Its fence.
    fn fence(&self) -> u64;

    /// The end of what has been granted so far.
    fn deadline(&self) -> Deadline;

    /// Waits for the next change, or until one of `interrupts` is readable.
    fn next(&mut self, interrupts: &[BorrowedFd<'_>]) -> Change;

    /// Gives the lease back.
    ///
    /// # Errors
    /// A sentence: why it is not known whether the granter heard.
    fn release(self) -> Result<(), String>;

    /// Lets go of the lease without giving it back: the granter frees it when it must be over.
    fn let_run_out(self);
}

/// What can happen to a lease in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was renewed until here.
    Renewed(Deadline),
    /// The granter wants it back within this time.
    Recalled(Duration),
    /// It is gone, for this reason. Nothing follows.
    Lost(String),
    /// One of the interrupts is readable.
    Interrupted,
}

/// Why there is no lease: a sentence each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No granter answers.
    Unreachable(String),
    /// The granter said no, and will again.
    Refused(String),
    /// Another holds it, and waiting was not wanted.
    Busy(String),
    /// Another held it for as long as waiting was wanted.
    TimedOut(String),
    /// The user no longer wants it.
    GivenUp,
}

impl Denied {
    /// The exit code for it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Refused(_) => Exit::Refused,
            Self::Busy(_) => Exit::Busy,
            Self::TimedOut(_) => Exit::TimedOut,
            // The front process that gave up does not ask.
            Self::GivenUp => Exit::Broken,
        }
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Unreachable(why) | Self::Refused(why) | Self::Busy(why) | Self::TimedOut(why) => {
                why
            }
            Self::GivenUp => "given up",
        }
    }
}

impl Wanted {
    /// The wish as arguments for the supervisor's process.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![
            self.name.clone(),
            self.term.as_nanos().to_string().into(),
            match self.sharing {
                Sharing::Exclusive => EXCLUSIVE.into(),
                Sharing::Shared => SHARED.into(),
            },
            match self.queueing {
                Queueing::Try => TRY.into(),
                Queueing::Forever => FOREVER.into(),
                Queueing::AtMost(span) => span.as_nanos().to_string().into(),
            },
        ];
        arguments.extend(self.server.clone());
        arguments
    }

    /// The wish that these arguments are.
    pub(super) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [name, term, sharing, queueing, server @ ..] = arguments else { return None };
        let nanos = |text: &OsString| Some(Duration::from_nanos(text.to_str()?.parse().ok()?));
        Some(Self {
            server: server.first().cloned(),
            name: name.clone(),
            term: nanos(term)?,
            sharing: if sharing == SHARED { Sharing::Shared } else { Sharing::Exclusive },
            queueing: if queueing == TRY {
                Queueing::Try
            } else if queueing == FOREVER {
                Queueing::Forever
            } else {
                Queueing::AtMost(nanos(queueing)?)
            },
        })
    }
}

const EXCLUSIVE: &str = "exclusive";
const SHARED: &str = "shared";
const TRY: &str = "try";
const FOREVER: &str = "forever";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_survives_the_command_line() {
        let queueings =
            [Queueing::Try, Queueing::Forever, Queueing::AtMost(Duration::from_millis(1_500))];
        for queueing in queueings {
            for sharing in [Sharing::Exclusive, Sharing::Shared] {
                for server in [None, Some("unix:/a b".into())] {
                    let name = "jobs/nightly".into();
                    let term = Duration::from_secs(10);
                    let wanted = Wanted { server, name, term, sharing, queueing };
                    assert_eq!(Wanted::from_arguments(&wanted.arguments()), Some(wanted));
                }
            }
        }
    }

    #[test]
    fn other_arguments_are_no_wish() {
        assert_eq!(Wanted::from_arguments(&[]), None);
        let nonsense = ["x", "soon", "exclusive", "try"].map(OsString::from);
        assert_eq!(Wanted::from_arguments(&nonsense), None);
    }
}
