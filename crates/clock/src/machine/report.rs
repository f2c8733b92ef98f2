//! Everything that is known of this machine.

use std::sync::Arc;

use tlease_core::time::Span;

use super::{Costs, CpuModel, CycleRatio, Gaps, MarkSight, TrustedHardware, facts};
use crate::arch::clocks::KernelClocks;
use crate::arch::{Cpu, Rseq, Rtm};
use crate::host::{HostClock, OpenFault};
use crate::order::PUBLISH_MARGIN;
use crate::profile::Profile;

/// What this machine offers: found at once, or measured in the time given.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MachineReport {
    /// The profile as opened: its name, what it trusts and what it found, in one line.
    pub profile: String,
    /// Whether continuity of time is shown, or assumed by the profile.
    pub continuity: bool,
    /// The CPU's model.
    pub cpu: CpuModel,
    /// A hypervisor announces itself. If not, there may still be one.
    pub hypervisor: bool,
    /// The kernel's clock source, if it says.
    pub clocksource: Option<String>,
    /// The counter runs at one rate in all power states and does not stop.
    pub invariant_counter: bool,
    /// The kernel's clocks can be read without a system call, as a commit needs it.
    pub vdso: bool,
    /// Hardware transactions.
    pub transactions: Transactions,
    /// Restartable sequences: what their mark sees; `None` if libc has registered none.
    pub restartable: Option<MarkSight>,
    /// What the hands and the guard cost.
    pub costs: Costs,
    /// How often and for how long a running thread does not run.
    pub gaps: Gaps,
    /// The counter's ticks per executed core cycle; `None` without transactions.
    pub cycle_ratio: Option<CycleRatio>,
    /// Hardware for the profiles that do not trust the kernel.
    pub trusted_hardware: TrustedHardware,
}

/// Hardware transactions (Intel TSX).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transactions {
    /// The CPU has none.
    Absent,
    /// The CPU says that it has them, but every one aborts (microcode can do that).
    NeverCommit,
    /// They work, but `TLEASE_NO_RTM=1` is set.
    TurnedOff,
    /// They commit.
    Commit,
}

impl MachineReport {
    /// Looks at this machine under `profile`, and watches a spinning thread for `watch`.
    ///
    /// # Errors
    /// What opening the clock says, or that there is no memory.
    pub fn measure(profile: &Profile, watch: Span) -> Result<Self, OpenFault> {
        let clock = Arc::new(HostClock::open(profile)?);
        let clocks = KernelClocks::find();
        Ok(Self {
            profile: clock.to_string(),
            continuity: clock.continuity().is_shown(),
            cpu: CpuModel::here(),
            hypervisor: Cpu::has_hypervisor(),
            clocksource: facts::clocksource(),
            invariant_counter: Cpu::has_invariant_tsc(),
            vdso: clocks.vdso().is_some(),
            transactions: Transactions::find(),
            restartable: MarkSight::test(),
            costs: Costs::measure(&clock).map_err(OpenFault::NoMemory)?,
            gaps: Gaps::watch(&clocks, Rseq::find(), watch),
            cycle_ratio: CycleRatio::measure(),
            trusted_hardware: TrustedHardware::find(),
        })
    }

    /// The margin that a restartable publish needs here: twice the longest gap that its mark did not
    /// see, and at least 500 us. For [`Profile::publish_margin`].
    #[must_use]
    pub fn publish_margin(&self) -> Span {
        self.gaps.longest_unseen.saturating_add(self.gaps.longest_unseen).max(PUBLISH_MARGIN)
    }
}

impl Transactions {
    fn find() -> Self {
        if Rtm::detect().is_some() {
            Self::Commit
        } else if !Cpu::has_rtm() {
            Self::Absent
        } else if std::env::var_os("TLEASE_NO_RTM").is_some_and(|no| no == "1") {
            Self::TurnedOff
        } else {
            Self::NeverCommit
        }
    }
}
