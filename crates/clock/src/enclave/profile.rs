//! What is assumed of a processor: the machine profile.

use core::fmt;

use tlease_core::time::{FastHand, SlowHand, Source, Ticks};

use super::line::Skew;
use super::model::{CpuModel, CyclesPerLink, Shown};

/// What the profiles `enclave` and `enclave-sim` assume of this machine's processor. Written once, in a
/// trusted setting, by `tlease doctor --emit-profile`.
///
/// Nothing can prove it later: both hands rest on it.
///
/// | assumption | rests on it |
/// |---|---|
/// | A14, A-model: this is the model, and a link takes no fewer cycles than its row says | slow hand |
/// | A15, A-turbo, A-noOC: no core ever runs faster than `core_hz.max`, overclocked or not | slow hand |
/// | A2: no counter ever runs slower than `tsc_hz.min`, nor faster than `tsc_hz.max` | fast hand |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineProfile {
    cpu: CpuModel,
    cycles: CyclesPerLink,
    shown: Shown,
    core_hz: HzRange,
    tsc_hz: HzRange,
    smt: Smt,
}

/// A frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hertz(u64);

/// An admitted range of frequencies, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HzRange {
    min: Hertz,
    max: Hertz,
}

/// Whether two threads share a core: SGX attests it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smt {
    /// Every thread has a core of its own.
    Off,
    /// Siblings share one, and can slow a timekeeper to half: the slow hand then loses as much.
    On,
}

/// Why a profile is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Nobody has looked up how many cycles a link takes on this model.
    UnknownModel(CpuModel),
    /// The profile is of another model than this machine's, as CPUID reports it.
    OtherMachine {
        /// The profile's.
        profile: CpuModel,
        /// This machine's.
        here: CpuModel,
    },
}

impl MachineProfile {
    /// A profile of this model with these ranges, none of which anything here can prove.
    ///
    /// # Errors
    /// [`NotAdmitted::UnknownModel`].
    pub fn assume(
        cpu: CpuModel,
        core_hz: HzRange,
        tsc_hz: HzRange,
        smt: Smt,
    ) -> Result<Self, NotAdmitted> {
        let Some((cycles, shown)) = cpu.cycles_per_link() else {
            return Err(NotAdmitted::UnknownModel(cpu));
        };
        Ok(Self { cpu, cycles, shown, core_hz, tsc_hz, smt })
    }

    /// Refuses a profile of another model.
    ///
    /// # Errors
    /// [`NotAdmitted::OtherMachine`].
    pub fn admits(&self, here: &CpuModel) -> Result<(), NotAdmitted> {
        if self.cpu == *here {
            return Ok(());
        }
        Err(NotAdmitted::OtherMachine { profile: self.cpu.clone(), here: here.clone() })
    }

    /// The hand of granters: one source, the links that a timekeeper executed, each of which took at
    /// least its cycles on the fastest admitted core.
    #[must_use]
    pub fn slow_hand(&self) -> SlowHand {
        let nanos = self.cycles.get().saturating_mul(1_000_000_000);
        SlowHand::new(&[Source::assume(nanos, self.core_hz.max.0, LINK_GRANULARITY)])
    }

    /// The hand of holders: one source, ticks of an uninterrupted chain, each of which took at most what
    /// the slowest admitted counter takes.
    #[must_use]
    pub fn fast_hand(&self) -> FastHand {
        FastHand::new(&[Source::assume(1_000_000_000, self.tsc_hz.min.0, TSC_GRANULARITY)])
    }

    /// How much faster one admitted counter can run than another, rounded up.
    #[must_use]
    pub fn skew(&self) -> Skew {
        let HzRange { min: Hertz(min), max: Hertz(max) } = self.tsc_hz;
        Skew::at_most(max.saturating_sub(min), min)
    }

    /// The model.
    #[must_use]
    pub const fn cpu(&self) -> &CpuModel {
        &self.cpu
    }

    /// What a link takes at least on this model.
    #[must_use]
    pub const fn cycles_per_link(&self) -> CyclesPerLink {
        self.cycles
    }

    /// How that is known.
    #[must_use]
    pub const fn shown(&self) -> Shown {
        self.shown
    }

    /// The admitted frequencies of a core: from the slowest (throttled) to the highest single-core turbo.
    #[must_use]
    pub const fn core_hz(&self) -> HzRange {
        self.core_hz
    }

    /// The admitted rates of the counter.
    #[must_use]
    pub const fn tsc_hz(&self) -> HzRange {
        self.tsc_hz
    }

    /// Whether threads share cores.
    #[must_use]
    pub const fn smt(&self) -> Smt {
        self.smt
    }
}

impl Hertz {
    /// A frequency; `None` for zero.
    #[must_use]
    pub const fn new(hertz: u64) -> Option<Self> {
        if hertz == 0 { None } else { Some(Self(hertz)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl HzRange {
    /// A range; `None` if it is empty.
    #[must_use]
    pub fn assume(min: Hertz, max: Hertz) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    /// The slowest.
    #[must_use]
    pub const fn min(&self) -> Hertz {
        self.min
    }

    /// The fastest.
    #[must_use]
    pub const fn max(&self) -> Hertz {
        self.max
    }
}

impl fmt::Display for HzRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let khz = |Hertz(hertz): Hertz| hertz.div_euclid(1_000);
        write!(f, "{} to {} kHz", khz(self.min), khz(self.max))
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownModel(cpu) => {
                write!(f, "nobody has looked up how many cycles a multiplication takes on {cpu}")
            }
            Self::OtherMachine { profile, here } => {
                write!(f, "the profile is of {profile}, and this is {here}")
            }
        }
    }
}

impl core::error::Error for NotAdmitted {}

/// Where within a link a reading falls is not known.
const LINK_GRANULARITY: Ticks = Ticks(1);
/// Counters that move in larger steps are not known: 1 tick was measured, and the ratio of core to crystal,
/// some tens, is the coarsest that has been reported.
pub(crate) const TSC_GRANULARITY: Ticks = Ticks(64);

#[cfg(test)]
pub(crate) mod tests {
    use tlease_core::time::{FastInstant, Readings, Remaining, Segment, SlowInstant, Span};

    use super::*;

    pub(crate) fn hz(min: u64, max: u64) -> HzRange {
        HzRange::assume(Hertz::new(min).unwrap(), Hertz::new(max).unwrap()).unwrap()
    }

    pub(crate) fn cpu() -> CpuModel {
        CpuModel { vendor: "AuthenticAMD".into(), family: 25, model: 17, stepping: 1 }
    }

    /// A core of 1 to 4 GHz and a counter of 2.5 GHz.
    pub(crate) fn profile() -> MachineProfile {
        let core_hz = hz(1_000_000_000, 4_000_000_000);
        let tsc_hz = hz(2_500_000_000, 2_500_000_000);
        MachineProfile::assume(cpu(), core_hz, tsc_hz, Smt::Off).unwrap()
    }

    #[test]
    fn the_slow_hand_counts_links_at_the_fastest_core() {
        let at = |links| SlowInstant::new(Readings::one(Ticks(links)));
        let elapsed = profile().slow_hand().elapsed_floor(&at(5), &at(5 + 4_000_000_001));
        assert_eq!(elapsed, Some(Span::from_secs(3)), "at three cycles each and 4 GHz");
    }

    #[test]
    fn the_fast_hand_counts_ticks_at_the_slowest_counter() {
        let at = |ticks| FastInstant::new(Segment(1), Readings::one(Ticks(ticks)));
        let hand = profile().fast_hand();
        let second = 2_500_000_000;
        let left = |ticks: u64| hand.remaining(&at(7), Span::from_secs(1), &at(7 + ticks));
        assert_eq!(left(second), Remaining::Over);
        assert_eq!(left(second - 64), Remaining::Over);
        assert!(matches!(left(second - 65), Remaining::AtLeast(_)));
    }

    #[test]
    fn an_unknown_model_and_another_machine_are_refused() {
        let other = CpuModel { model: 0xff, ..cpu() };
        let (core, tsc) = (profile().core_hz(), profile().tsc_hz());
        let refused = MachineProfile::assume(other.clone(), core, tsc, Smt::Off);
        assert_eq!(refused, Err(NotAdmitted::UnknownModel(other.clone())));
        assert!(matches!(profile().admits(&other), Err(NotAdmitted::OtherMachine { .. })));
        assert_eq!(profile().admits(&cpu()), Ok(()));
    }

    #[test]
    fn the_skew_is_the_width_of_the_admitted_range() {
        let tsc_hz = hz(1_000_000_000, 1_000_600_001);
        let wide = MachineProfile::assume(cpu(), profile().core_hz(), tsc_hz, Smt::Off).unwrap();
        assert_eq!(wide.skew(), Skew::at_most(600_001, 1_000_000_000));
        assert_eq!(profile().skew(), Skew::NONE);
    }
}
