//! How timekeepers would fare here: for how long at a time their clock goes on, and how much of the time
//! acts need no round trip.

use std::thread;

use tlease_core::time::{Span, Ticks};

use crate::arch::clocks::{KernelClock, KernelClocks};

/// What one thread that only reads the clock, and two of them beside each other, went through.
///
/// A gap is a microsecond or longer between two readings. By the kernel's clock: these are figures for
/// people, on which no lease rests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// How long they were watched together.
    pub watched: Span,
    /// With one timekeeper, every gap of which ends the segment.
    pub one: Serving,
    /// With two, whose segment ends when gaps of both overlap; `None` on a single core.
    pub two: Option<Serving>,
    /// What a renewal is taken to need.
    pub round_trip: Span,
}

/// How steadily a clock of timekeepers would serve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Serving {
    /// How often a second a segment would end.
    pub breaks_per_second: f64,
    /// The longest stretch without such an end.
    pub longest_stretch: Span,
    /// The share of time, from 0 to 1, in which acts need no round trip: of each stretch the beginning is
    /// lost to the check of the counter's rate, and to the renewal.
    pub share: f64,
}

impl Outlook {
    /// Watches for this long, on two threads that spin.
    #[must_use]
    pub fn watch(length: Span) -> Self {
        let clocks = KernelClocks::find();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let [first, second] = thread::scope(|scope| {
            let second = (cores > 1).then(|| scope.spawn(|| Watched::watch(&clocks, length)));
            let first = Watched::watch(&clocks, length);
            [Some(first), second.and_then(|thread| thread.join().ok())]
        });
        let first = first.unwrap_or_default();
        match second.as_ref().and_then(|second| first.together(second)) {
            Some(both) => {
                let two = joint(&first.gaps, &second.unwrap_or_default().gaps);
                Self::of(both, &first.gaps, Some(&two))
            }
            None => Self::of(first.during, &first.gaps, None),
        }
    }

    fn of(during: Interval, one: &[Interval], two: Option<&[Interval]>) -> Self {
        Self {
            watched: during.length(),
            one: Serving::of(during, one),
            two: two.map(|two| Serving::of(during, two)),
            round_trip: ROUND_TRIP,
        }
    }
}

impl Serving {
    fn of(during: Interval, breaks: &[Interval]) -> Self {
        let (mut begin, mut count) = (during.begin, 0_u32);
        let (mut longest, mut served) = (0_u64, 0_u64);
        let end = Interval { begin: during.end, end: during.end };
        let inside = breaks.iter().filter(|gap| gap.end > during.begin && gap.begin < during.end);
        count = count.saturating_add(u32::try_from(inside.clone().count()).unwrap_or(u32::MAX));
        let lost = RECOVERY.as_nanos().saturating_add(ROUND_TRIP.as_nanos());
        for gap in inside.chain([&end]) {
            let stretch = gap.begin.saturating_sub(begin);
            longest = longest.max(stretch);
            served = served.saturating_add(stretch.saturating_sub(lost));
            begin = gap.end;
        }
        let watched = seconds(during.length().as_nanos());
        let part = |of: f64| if watched > 0.0 { of / watched } else { 0.0 };
        Self {
            breaks_per_second: part(f64::from(count)),
            longest_stretch: Span::from_nanos(longest),
            share: part(seconds(served)),
        }
    }
}

/// From one reading of the clock to another, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Interval {
    begin: u64,
    end: u64,
}

impl Interval {
    fn length(self) -> Span {
        Span::from_nanos(self.end.saturating_sub(self.begin))
    }

    fn overlap(self, other: Self) -> Option<Self> {
        let both = Self { begin: self.begin.max(other.begin), end: self.end.min(other.end) };
        (both.begin < both.end).then_some(both)
    }
}

/// One thread's gaps, in their order.
#[derive(Debug, Default)]
struct Watched {
    during: Interval,
    gaps: Vec<Interval>,
}

impl Watched {
    fn watch(clocks: &KernelClocks, length: Span) -> Self {
        let now = || {
            let Ticks(now) = clocks.read(KernelClock::Raw);
            now
        };
        let begin = now();
        let mut watched = Self { during: Interval { begin, end: begin }, gaps: Vec::new() };
        while watched.during.length() < length && watched.gaps.len() < GAPS_MAX {
            let gap = Interval { begin: watched.during.end, end: now() };
            watched.during.end = gap.end;
            if gap.length() >= GAP_MIN {
                watched.gaps.push(gap);
            }
        }
        watched
    }

    /// When both were watched.
    fn together(&self, other: &Self) -> Option<Interval> {
        self.during.overlap(other.during)
    }
}

/// Where gaps of two threads overlap. A timekeeper that was interrupted serves nobody until the
/// counter's rate has been checked, so its gap is as much longer.
fn joint(first: &[Interval], second: &[Interval]) -> Vec<Interval> {
    let longer = |gap: &Interval| Interval {
        begin: gap.begin,
        end: gap.end.saturating_add(RECOVERY.as_nanos()),
    };
    let mut second = second.iter().map(longer).peekable();
    let mut joint = Vec::new();
    for gap in first.iter().map(longer) {
        while second.peek().is_some_and(|other| other.end <= gap.begin) {
            second.next();
        }
        // One long gap of the first can overlap several of the second, and the last of them another.
        while let Some(other) = second.peek().copied().filter(|other| other.begin < gap.end) {
            joint.extend(gap.overlap(other));
            if other.end > gap.end {
                break;
            }
            second.next();
        }
    }
    joint
}

fn seconds(nanos: u64) -> f64 {
    core::time::Duration::from_nanos(nanos).as_secs_f64()
}

/// As for timekeepers.
const GAP_MIN: Span = Span::from_nanos(1_000);
/// Two windows of the rate check.
const RECOVERY: Span = Span::from_nanos(10_000);
/// A renewal over a Unix socket or loopback, with two threads to be woken.
const ROUND_TRIP: Span = Span::from_nanos(100_000);
/// 16 MB.
const GAPS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn us(begin: u64, end: u64) -> Interval {
        let nanos = |us: u64| us.saturating_mul(1_000);
        Interval { begin: nanos(begin), end: nanos(end) }
    }

    #[test]
    fn of_each_stretch_the_check_and_the_round_trip_are_lost() {
        // Stretches of 500, 50, 390 us.
        let serving = Serving::of(us(0, 1_000), &[us(500, 550), us(600, 610)]);
        assert!((serving.breaks_per_second - 2_000.0).abs() < 1e-6, "{serving:?}");
        assert_eq!(serving.longest_stretch, Span::from_nanos(500_000));
        assert!((serving.share - (0.390 + 0.280)).abs() < 1e-9, "{serving:?}");
        let quiet = Serving::of(us(0, 1_000), &[]);
        assert!((quiet.share - 0.890).abs() < 1e-9, "{quiet:?}");
    }

    #[test]
    fn gaps_before_and_after_the_watch_do_not_count() {
        let serving = Serving::of(us(100, 1_100), &[us(0, 50), us(600, 610), us(1_200, 1_300)]);
        assert!((serving.breaks_per_second - 1_000.0).abs() < 1e-6, "{serving:?}");
    }

    #[test]
    fn joint_gaps_are_where_both_are_away_or_not_checked_again() {
        let first = [us(0, 10), us(100, 200), us(1_000, 1_001)];
        let second =
            [us(15, 30), us(50, 60), us(120, 130), us(150, 160), us(205, 206), us(2_000, 2_001)];
        let expected = [us(15, 20), us(120, 140), us(150, 170), us(205, 210)];
        assert_eq!(joint(&first, &second), expected);
        assert_eq!(joint(&second, &first), expected);
        assert_eq!(joint(&first, &[]), []);
    }

    #[test]
    fn this_machine_is_watched() {
        let outlook = Outlook::watch(Span::from_millis(20));
        assert!((0.0..=1.0).contains(&outlook.one.share), "{outlook:?}");
        // What ends the segment of two ends that of one.
        if let Some(two) = outlook.two {
            assert!(two.longest_stretch <= outlook.watched, "{outlook:?}");
            assert!((0.0..=1.0).contains(&two.share), "{outlook:?}");
        }
    }
}
