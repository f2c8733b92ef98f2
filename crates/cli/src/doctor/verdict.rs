//! What follows from a machine's report: which promise each call keeps here.

use tlease_clock::machine::{MachineReport, Transactions};

/// Which promise `commit` keeps here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// Check and act are one step.
    Yes,
    /// Refused, and why.
    No(NoCommit),
}

/// Why commits are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoCommit {
    NoTransactions,
    NeverCommit,
    TurnedOff,
    /// The clock can only be read by a system call, which ends every transaction.
    ClockNeedsSystemCall,
    /// Everything is there, and not one of the trials went through.
    NoneWentThrough,
}

/// Which promise `publish` keeps here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    /// As strong as a commit.
    Transaction,
    /// Weaker: pauses below the scheduler go unseen.
    Restartable,
    No,
}

pub(super) fn commit(report: &MachineReport) -> Commit {
    match report.transactions {
        Transactions::Absent => Commit::No(NoCommit::NoTransactions),
        Transactions::NeverCommit => Commit::No(NoCommit::NeverCommit),
        Transactions::TurnedOff => Commit::No(NoCommit::TurnedOff),
        Transactions::Commit if !report.vdso => Commit::No(NoCommit::ClockNeedsSystemCall),
        Transactions::Commit => match report.costs.commit_success_percent {
            Some(percent) if percent > 0.0 => Commit::Yes,
            Some(_) | None => Commit::No(NoCommit::NoneWentThrough),
        },
    }
}

pub(super) fn publish(report: &MachineReport) -> Publish {
    match (commit(report), report.costs.publish_ns) {
        (_, None) => Publish::No,
        (Commit::Yes, Some(_)) => Publish::Transaction,
        (Commit::No(_), Some(_)) => Publish::Restartable,
    }
}

impl Commit {
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Yes => {
                "yes: check and act are one step. An effect in memory happens while the lease is valid, \
                 or not at all, however long the holder is paused."
            }
            Self::No(why) => match why {
                NoCommit::NoTransactions => {
                    "no: this CPU has no hardware transactions (Intel TSX)."
                }
                NoCommit::NeverCommit => {
                    "no: this CPU says that it has hardware transactions, but none ever commits; \
                     microcode or the kernel (tsx=off) has disabled them."
                }
                NoCommit::TurnedOff => "no: TLEASE_NO_RTM=1 turns hardware transactions off.",
                NoCommit::ClockNeedsSystemCall => {
                    "no: the kernel's clock can only be read by a system call here, which ends every \
                     transaction; choose the clock source tsc if you can."
                }
                NoCommit::NoneWentThrough => {
                    "no: transactions commit, but not one with a lease's check in it did; is this \
                     process traced, or its counter trapped?"
                }
            },
        }
    }
}

impl Publish {
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Transaction => "yes: as strong as a commit, for one word.",
            Self::Restartable => {
                "weaker: for one word, safe against the scheduler, signals and migration, but not \
                 against pauses that nobody reports (interrupts, a virtual CPU taken away); a margin \
                 covers those up to its length."
            }
            Self::No => "no.",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Restartable => "restartable",
            Self::No => "unsupported",
        }
    }
}
