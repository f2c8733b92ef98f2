//! A thread's counter: what RDTSC shows it, wherever the host lets it run.

use tlease_core::time::Ticks;

use crate::options::BILLION;

/// A counter that the host sets and slows as it likes.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    at: u64,
    /// Billionths of a tick, so that changes of the rate lose nothing.
    shown: u128,
    hz: u64,
    /// In which steps it moves.
    step: u64,
}

impl Counter {
    pub(super) fn begin(at: u64, shown: u64, hz: u64, step: u64) -> Self {
        Self { at, shown: u128::from(shown) * u128::from(BILLION), hz, step }
    }

    pub(super) fn shows(&self, at: u64) -> Ticks {
        let shown = self.exactly(at) / u128::from(BILLION);
        let shown = u64::try_from(shown).expect("64 bits of ticks");
        Ticks(shown / self.step * self.step)
    }

    /// From `at` on it runs at this rate.
    pub(super) fn run_at(&mut self, at: u64, hz: u64) {
        self.shown = self.exactly(at);
        (self.at, self.hz) = (at, hz);
    }

    /// At `at` it is set by so many ticks; not below zero.
    pub(super) fn set(&mut self, at: u64, by: i64) {
        let far = u128::from(by.unsigned_abs()) * u128::from(BILLION);
        let shown = self.exactly(at);
        self.shown = if by > 0 { shown + far } else { shown.saturating_sub(far) };
        self.at = at;
    }

    fn exactly(&self, at: u64) -> u128 {
        self.shown + u128::from(at - self.at) * u128::from(self.hz)
    }
}
