//! Gaps: how often and for how long a running thread does not run.

use tlease_core::time::{Span, Ticks};

use crate::arch::clocks::{KernelClock, KernelClocks};
use crate::arch::{Mark, Rseq};

/// Gaps above a microsecond in a thread that only read the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gaps {
    /// How long it was watched, by `CLOCK_MONOTONIC_RAW`.
    pub watched: Span,
    /// How many gaps there were.
    pub count: u64,
    /// The longest.
    pub longest: Span,
    /// The longest that the mark did not see: interrupts, and virtual CPUs taken away. Equal to
    /// `longest` where there is no mark. A restartable publish can be late by such a gap.
    pub longest_unseen: Span,
    /// The longest stretch without a gap: what a trusted timekeeper could count in one go.
    pub longest_stretch: Span,
}

impl Gaps {
    /// Watches for this long, spinning.
    pub(super) fn watch(clocks: &KernelClocks, rseq: Option<Rseq>, length: Span) -> Self {
        let now = || clocks.read(KernelClock::Raw);
        let mut watch = Watch::begin(now());
        let mut mark = rseq.map(Mark::arm);
        while watch.gaps.watched < length {
            let seen = || mark.as_ref().is_some_and(|mark| !mark.is_armed());
            if watch.read(now(), seen) {
                if let Some(mark) = &mut mark {
                    mark.rearm();
                }
                watch.resume(now());
            }
        }
        watch.gaps
    }

    /// How often a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = core::time::Duration::from(self.watched).as_secs_f64();
        let count = u32::try_from(self.count).map_or(f64::MAX, f64::from);
        if seconds > 0.0 { count / seconds } else { 0.0 }
    }
}

/// Finds gaps in a sequence of clock readings.
struct Watch {
    begin: u64,
    last: u64,
    stretch_begin: u64,
    gaps: Gaps,
}

impl Watch {
    fn begin(Ticks(now): Ticks) -> Self {
        Self { begin: now, last: now, stretch_begin: now, gaps: Gaps::default() }
    }

    /// Takes the next reading; `seen` says whether the mark was lost. Whether there was a gap.
    fn read(&mut self, Ticks(now): Ticks, seen: impl FnOnce() -> bool) -> bool {
        let gap = Span::from_nanos(now.saturating_sub(self.last));
        let stretch = Span::from_nanos(self.last.saturating_sub(self.stretch_begin));
        self.gaps.watched = Span::from_nanos(now.saturating_sub(self.begin));
        self.gaps.longest_stretch = self.gaps.longest_stretch.max(stretch);
        self.last = now;
        if gap < GAP_MIN {
            return false;
        }
        self.gaps.count = self.gaps.count.saturating_add(1);
        self.gaps.longest = self.gaps.longest.max(gap);
        if !seen() {
            self.gaps.longest_unseen = self.gaps.longest_unseen.max(gap);
        }
        true
    }

    /// Goes on after what was done about a gap.
    fn resume(&mut self, Ticks(now): Ticks) {
        self.last = now;
        self.stretch_begin = now;
    }
}

/// Twenty times what one reading takes.
const GAP_MIN: Span = Span::from_nanos(1_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_stretches_are_told_apart() {
        let mut watch = Watch::begin(Ticks(1_000));
        assert!(!watch.read(Ticks(1_030), || true));
        assert!(!watch.read(Ticks(1_060), || true));
        assert!(watch.read(Ticks(9_060), || true), "a gap that the mark saw");
        watch.resume(Ticks(9_100));
        assert!(!watch.read(Ticks(9_900), || false));
        assert!(!watch.read(Ticks(10_700), || false));
        assert!(watch.read(Ticks(13_700), || false), "a gap that it did not see");
        let expected = Gaps {
            watched: Span::from_nanos(12_700),
            count: 2,
            longest: Span::from_nanos(8_000),
            longest_unseen: Span::from_nanos(3_000),
            longest_stretch: Span::from_nanos(1_600),
        };
        assert_eq!(watch.gaps, expected);
    }
}
