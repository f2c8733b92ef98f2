//! The rate check: the counter's ticks beside executed cycles.

use tlease_core::time::Ticks;

use super::profile::MachineProfile;
use super::record::Links;

/// What a window of links may take, in ticks of the counter.
///
/// A tripwire, not a bound: a core that is slowed hides a counter that is slowed as much. What it
/// shows is that counter and core *together* contradict the machine profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateBounds {
    window: Links,
    least: Ticks,
    most: Ticks,
}

/// One check, over a window of beats that were not interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateCheck {
    bounds: RateBounds,
    ticks: u64,
    links: u64,
}

/// What a rate check says after a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// The window is not full.
    Going,
    /// A window fits the profile; the next one begins.
    Fits,
    /// A window contradicts it.
    Contradicts(Alarm),
}

/// How counter and core contradict the machine profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Fewer ticks than the slowest counter shows while the fastest core executes the window: the
    /// counter is slower than admitted, or the core faster (A14, A15).
    CounterSlow,
    /// More ticks than the fastest counter shows while the slowest core executes the window, three times
    /// over: the counter is faster than admitted, or the core slower, or shared with more than a sibling
    /// thread.
    CounterFast,
}

impl RateBounds {
    /// The bounds that follow from a machine profile, for beats of so many links.
    #[must_use]
    pub fn of(profile: &MachineProfile, Links(beat): Links) -> Self {
        let links = beat.saturating_mul(WINDOW_BEATS);
        let cycles = u128::from(links).saturating_mul(profile.cycles_per_link().get().into());
        let ticks = |tsc: u64, core: u64| {
            let ticks = cycles.saturating_mul(tsc.into()).checked_div(core.into());
            u64::try_from(ticks.unwrap_or(u128::MAX)).unwrap_or(u64::MAX)
        };
        let (core, tsc) = (profile.core_hz(), profile.tsc_hz());
        let least = ticks(tsc.min().get(), core.max().get());
        let most = ticks(tsc.max().get(), core.min().get());
        let Ticks(granularity) = super::profile::TSC_GRANULARITY;
        Self {
            window: Links(links),
            least: Ticks(least.saturating_sub(granularity)),
            most: Ticks(most.saturating_mul(SHARED).saturating_add(granularity)),
        }
    }

    /// The fewest ticks that a window may take.
    #[must_use]
    pub const fn least(&self) -> Ticks {
        self.least
    }

    /// The most ticks that a window may take.
    #[must_use]
    pub const fn most(&self) -> Ticks {
        self.most
    }

    /// How many links make a window.
    #[must_use]
    pub const fn window(&self) -> Links {
        self.window
    }
}

#[cfg(feature = "mutants")]
impl RateBounds {
    /// `Mutant::SlowCoreAlarms`.
    pub(super) const fn of_fast_cores(mut self) -> Self {
        self.most = Ticks(self.least.0.saturating_add(self.least.0 / 2));
        self
    }
}

impl RateCheck {
    /// Begins a window.
    #[must_use]
    pub const fn begin(bounds: RateBounds) -> Self {
        Self { bounds, ticks: 0, links: 0 }
    }

    /// Takes a beat of `links` links, during which the counter advanced by `ticks`.
    pub fn beat(&mut self, Ticks(ticks): Ticks, Links(links): Links) -> Rate {
        self.ticks = self.ticks.saturating_add(ticks);
        self.links = self.links.saturating_add(links);
        if self.links < self.bounds.window.0 {
            return Rate::Going;
        }
        let ticks = Ticks(self.ticks);
        *self = Self::begin(self.bounds);
        if ticks < self.bounds.least {
            Rate::Contradicts(Alarm::CounterSlow)
        } else if ticks > self.bounds.most {
            Rate::Contradicts(Alarm::CounterFast)
        } else {
            Rate::Fits
        }
    }
}

/// About 4 us, some hundred times the cost of a reading, and a small part of the time between two timer
/// ticks.
const WINDOW_BEATS: u64 = 16;
/// What a sibling thread and the beat's own overhead can stretch a window by: a factor of two was
/// measured, and half as much again is allowed.
const SHARED: u64 = 3;

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::*;

    fn run(ticks_per_beat: u64, beats: usize) -> Vec<Rate> {
        let beat = Links(super::super::timekeeper::BEAT_LINKS);
        let mut check = RateCheck::begin(RateBounds::of(&profile(), beat));
        (0..beats).map(|_| check.beat(Ticks(ticks_per_beat), beat)).collect()
    }

    #[test]
    fn a_window_must_take_what_counter_and_core_can() {
        // 256 links are 768 cycles: at 4 GHz 192 ns, 480 ticks of 2.5 GHz; at 1 GHz 1,920.
        let last = |ticks| *run(ticks, 16).last().unwrap();
        assert_eq!(run(480, 15), [Rate::Going; 15]);
        assert_eq!(last(480), Rate::Fits);
        assert_eq!(last(470), Rate::Contradicts(Alarm::CounterSlow));
        assert_eq!(last(3 * 1_920), Rate::Fits);
        assert_eq!(last(3 * 1_930), Rate::Contradicts(Alarm::CounterFast));
    }

    #[test]
    fn each_window_stands_alone() {
        let rates = run(480, 48);
        assert_eq!(rates.iter().filter(|rate| **rate == Rate::Fits).count(), 3);
    }
}
