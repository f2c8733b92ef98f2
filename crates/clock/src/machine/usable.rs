//! What a machine profile's ranges cost: how much of a term its holder can use, and how late it is freed.

use tlease_core::time::{FastInstant, Readings, Segment, Span, Ticks};

use super::Survey;
use crate::enclave::{Hertz, HzRange, MachineProfile};

/// What is left of a term on a machine that runs as it was seen to, under a profile that admits more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usable {
    /// The part of a term, from 0 to 1, that its holder can use: the counter may be as slow as admitted.
    pub held: f64,
    /// After how many terms the granter frees a name that nobody releases: its core may be as fast as
    /// admitted.
    pub freed_after: f64,
}

impl Usable {
    /// For a term of [`Usable::TERM`] under `profile`, while the machine runs as in `survey`: the counter
    /// at its fastest, cores at their fastest.
    #[must_use]
    pub fn of(profile: &MachineProfile, survey: &Survey) -> Self {
        let anchor = FastInstant::new(Segment(1), Readings::one(Ticks(0)));
        let held = profile.fast_hand().deadline(&anchor, Self::TERM, 0).unwrap_or(Ticks(0));
        let held = ratio(held.0, survey.tsc_hz.max().get());
        let freed_after = ratio(profile.core_hz().max().get(), survey.core_hz_seen.max().get());
        let term = core::time::Duration::from(Self::TERM).as_secs_f64();
        Self { held: held / term, freed_after }
    }

    /// As [`Usable::of`] for a profile whose ranges reach by `ppm` parts per million beyond what was seen:
    /// a counter slower, and cores faster by it. `None` from a million on.
    #[must_use]
    pub fn widened(survey: &Survey, ppm: u64) -> Option<Self> {
        let part = |of: Hertz| {
            let part = u128::from(of.get()).saturating_mul(ppm.into()).div_ceil(1_000_000);
            u64::try_from(part).ok()
        };
        let (tsc, core) = (survey.tsc_hz, survey.core_hz_seen);
        let slowest = Hertz::new(tsc.min().get().checked_sub(part(tsc.min())?)?)?;
        let fastest = Hertz::new(core.max().get().checked_add(part(core.max())?)?)?;
        let tsc = HzRange::assume(slowest, tsc.max())?;
        let core = HzRange::assume(core.min(), fastest)?;
        let smt = crate::enclave::Smt::On;
        let profile = MachineProfile::assume(survey.cpu.clone(), core, tsc, smt).ok()?;
        Some(Self::of(&profile, survey))
    }

    /// The part of the time for which a name is kept from others in which its holder can use it.
    #[must_use]
    pub fn of_the_time(&self) -> f64 {
        if self.freed_after > 0.0 { self.held / self.freed_after } else { 0.0 }
    }

    /// The term that is reckoned with: long beside what readings of a clock leave open.
    pub const TERM: Span = Span::from_secs(1);
}

#[expect(clippy::as_conversions, reason = "a figure for people: 53 bits are plenty")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

#[cfg(test)]
mod tests {
    use super::super::survey::tests::survey;
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-4
    }

    #[test]
    fn wider_ranges_leave_less_of_a_term() {
        let usable = |ppm| Usable::widened(&survey(None), ppm).unwrap();
        let exact = usable(0);
        assert!(near(exact.held, 1.0) && exact.held < 1.0 && near(exact.freed_after, 1.0));
        let tenth = usable(100_000);
        assert!(near(tenth.held, 0.9) && near(tenth.freed_after, 1.1), "{tenth:?}");
        assert!(near(tenth.of_the_time(), 0.9 / 1.1), "{tenth:?}");
        assert_eq!(Usable::widened(&survey(None), 1_000_000), None);
        // What `profile` admits: 300 ppm, and half as much again.
        let profile = survey(None).profile().unwrap();
        let usable = Usable::of(&profile, &survey(None));
        assert!(near(usable.held, 0.9997) && (usable.freed_after - 1.5).abs() < 1e-3, "{usable:?}");
    }
}
