//! What a user vouches for about this machine: profile `host`.

use std::path::PathBuf;

use tlease_core::time::Span;

use crate::order::{COMMIT_MARGIN, CommitOrder, PUBLISH_MARGIN};
use crate::segment::Suspends;

/// The trust profile `host`: the kernel and the hypervisor keep time; the scheduler is not trusted.
///
/// Each method named `assume_*` accepts a fact that nothing here can prove.
///
/// # Examples
/// ```
/// use tlease_clock::{HostClock, Profile};
/// let clock = HostClock::open(&Profile::host())?;
/// println!("{clock}"); // what it trusts and what it found, in one line
/// # Ok::<(), tlease_clock::OpenFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Profile {
    pub(crate) drift_ppb: u32,
    pub(crate) suspends: Suspends,
    pub(crate) bare_metal: bool,
    pub(crate) require_continuity: bool,
    pub(crate) vmclock: PathBuf,
    pub(crate) order: CommitOrder,
    pub(crate) commit_margin: Span,
    pub(crate) publish_margin: Span,
    pub(crate) transactions: bool,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

impl Profile {
    /// The defaults: 300 ppm, suspends watched, VMClock at `/dev/vmclock0`, a commit margin of 50 us.
    pub fn host() -> Self {
        Self {
            drift_ppb: DRIFT_PPB,
            suspends: Suspends::Watched,
            bare_metal: false,
            require_continuity: false,
            vmclock: PathBuf::from("/dev/vmclock0"),
            order: CommitOrder::Fenced,
            commit_margin: COMMIT_MARGIN,
            publish_margin: PUBLISH_MARGIN,
            transactions: true,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Takes the kernel's clocks to be within `ppb` parts per billion of true time (assumption A1 for
    /// the slow hand, A2 for the fast one). Default 300,000: calibration of the counter, its crystal,
    /// and temperature, each of which is commonly below 100 ppm.
    ///
    /// # Panics
    /// If `ppb` is a billion or more.
    pub fn assume_drift_ppb(mut self, ppb: u32) -> Self {
        assert!(ppb < 1_000_000_000, "a drift of 100 % or more leaves no clock");
        self.drift_ppb = ppb;
        self
    }

    /// Takes it that this machine is never suspended while a lease is held (assumption A11), and saves
    /// two clock reads in each check and commit.
    pub fn assume_no_suspend(mut self) -> Self {
        self.suspends = Suspends::AssumedAbsent;
        self
    }

    /// Takes it that this is no virtual machine, or one that is never snapshotted, cloned or migrated
    /// (assumption A7): then continuity of time needs no VMClock. CPUID cannot show it, being the hypervisor's word.
    pub fn assume_bare_metal(mut self) -> Self {
        self.bare_metal = true;
        self
    }

    /// Refuses to open a clock without positive evidence of continuity: VMClock, or
    /// [`Profile::assume_bare_metal`].
    pub fn require_continuity(mut self) -> Self {
        self.require_continuity = true;
        self
    }

    /// Looks for VMClock at another path than `/dev/vmclock0`.
    pub fn vmclock_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.vmclock = path.into();
        self
    }

    /// The time before the deadline from which commits are refused. It covers the time from the clock
    /// reading in a transaction to its effects (assumption A6, A-commit). At least 2 us, unless the order
    /// is [`CommitOrder::Strict`]; [`HostClock::open`](crate::HostClock::open) checks it.
    pub fn commit_margin(mut self, margin: Span) -> Self {
        self.commit_margin = margin;
        self
    }

    /// [`CommitOrder::Strict`], without a margin.
    pub fn strict(mut self) -> Self {
        self.order = CommitOrder::Strict;
        self.commit_margin = Span::ZERO;
        self
    }

    /// The time before the deadline from which the restartable `publish` is refused: the longest pause
    /// that nothing reports on this machine (`MachineReport` measures it). At least 500 us.
    pub fn publish_margin(mut self, margin: Span) -> Self {
        self.publish_margin = margin;
        self
    }

    /// Does without hardware transactions even where there are some, as `TLEASE_NO_RTM=1` does for the
    /// whole process: commits are refused, and publish uses a restartable sequence.
    pub fn without_transactions(mut self) -> Self {
        self.transactions = false;
        self
    }
}

#[cfg(feature = "mutants")]
impl Profile {
    /// Plants a fault.
    pub fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}

impl Profile {
    /// What the guard adds to the clock before it compares with the deadline, in ns. Clamped to 292
    /// years, so that the sum does not wrap.
    pub(crate) fn margin_ticks(&self) -> u64 {
        planted!(self, CommitBeyondDeadline => return 0_u64.wrapping_sub(20_000_000));
        self.commit_margin.as_nanos().min(u64::MAX >> 1)
    }

    pub(crate) const fn touches_nothing(&self) -> bool {
        planted!(self, TouchNothing)
    }

    pub(crate) const fn revokes_without_barrier(&self) -> bool {
        planted!(self, RevokeWithoutBarrier)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::host()
    }
}

/// 300 ppm.
const DRIFT_PPB: u32 = 300_000;
