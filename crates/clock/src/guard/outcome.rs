//! How an attempt to act ended.

use core::fmt;

use tlease_core::time::Span;

use super::status::AbortStatus;

/// The body's effects became visible, all at one instant, while the lease was valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<R> {
    /// What the body returned in the run that counted.
    pub value: R,
    /// How many transactions it took, this one included.
    pub tries: u32,
    /// Not `None` if the effects cannot be shown to have been on time (assumption A6): they became
    /// visible this long after the deadline, at most. The clock is read again after the commit, so a
    /// pause right after it shows here too. Counted in
    /// [`HostClock::late_commits`](crate::HostClock::late_commits).
    pub late: Option<Span>,
}

/// The value was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// What held check and store together.
    pub strength: Strength,
    /// As [`Committed::late`].
    pub late: Option<Span>,
}

/// What held check and store together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// A hardware transaction: as strong as a commit.
    Transaction,
    /// A restartable sequence. Weaker (I10): no preemption, signal or migration fell between check and
    /// store, but a pause below the scheduler may have (an interrupt handler, a virtual CPU taken
    /// away). The publish margin covers pauses up to its own length.
    Restartable,
}

/// Nothing happened, and why. `Revoked` is said before `Expired`, before `Suspect`, before the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The lease is not held under this fence: released, revoked, replaced, or this is a forked child.
    Revoked,
    /// Its term may have passed, or ends within the margin.
    Expired,
    /// Continuity of time since its anchor cannot be shown. One renewal decides.
    Suspect,
    /// The lease may be valid, but the act did not go through.
    CannotCommit(Obstacle),
    /// This machine cannot guard this act.
    Unsupported(Missing),
    /// Called inside the body of another commit.
    Nested,
}

/// Why a valid lease could not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Transactions kept aborting. Status 0: the body made a system call, ran too long, or used memory
    /// that it did not register.
    Aborted(AbortStatus),
    /// The body panicked. (A panic that prints shows as an abort with status 0.)
    Panicked,
    /// The kernel's clock refused to be read.
    ClockFailed,
    /// The restartable sequence was preempted each time.
    Preempted,
}

/// What a machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Hardware transactions that commit (Intel TSX), or `TLEASE_NO_RTM=1` is set.
    Transactions,
    /// A clock that can be read without a system call.
    Vdso,
    /// For a publish without transactions: restartable sequences registered by libc, a counter that
    /// the kernel trusts as its clock, and membarrier for them.
    RestartableSequences,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked => f.write_str("the lease is not held"),
            Self::Expired => f.write_str("the lease is over"),
            Self::Suspect => f.write_str("the lease is suspect until it is renewed"),
            Self::CannotCommit(obstacle) => write!(f, "cannot commit: {obstacle}"),
            Self::Unsupported(missing) => write!(f, "unsupported here: {missing}"),
            Self::Nested => f.write_str("a commit inside the body of another"),
        }
    }
}

impl core::error::Error for Refusal {}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted(status) => write!(f, "transactions abort with status {status}"),
            Self::Panicked => f.write_str("the body panicked"),
            Self::ClockFailed => f.write_str("the clock cannot be read"),
            Self::Preempted => f.write_str("preempted each time"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transactions => "hardware transactions (Intel TSX)",
            Self::Vdso => "a clock that is read without a system call",
            Self::RestartableSequences => {
                "hardware transactions, or restartable sequences on a trusted counter"
            }
        })
    }
}
