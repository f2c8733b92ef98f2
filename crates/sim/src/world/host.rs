//! A Linux machine as the profile `host` sees it: three kernel clocks, suspends, VMClock, and the very
//! `SegmentTracker` that ships.

use tlease_clock::segment::{Markers, OFFSET_BLUR, Observation, Offset, SegmentTracker, Suspends};
use tlease_clock::vmclock::Marks;
use tlease_core::holder::Hold;
use tlease_core::time::{FastHand, FastInstant, Now, Readings, Segment, Source, Ticks};

use crate::act::ClockAct;
use crate::options::{BILLION, HostPlan, PPB};
use crate::planted::Planted;
use crate::rng::Rng;

/// The kernel's clocks of one machine, and who follows its segments.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// The true time up to which they ran.
    at: u64,
    /// Billionths of a nanosecond each.
    raw: u128,
    monotonic: u128,
    boot: u128,
    raw_ppb: u64,
    steered_ppb: u64,
    /// For how much of the time to come the machine is suspended: only `boot` runs.
    asleep: u64,
    /// For how much of the time to come the virtual machine is stopped: none runs.
    stopped: u64,
    marks: Markers,
    /// Whether it was stopped and nothing said so: the assumption A7 is broken.
    stopped_unseen: bool,
    /// When they were last read.
    read_at: u64,
    tracker: SegmentTracker,
}

impl Host {
    pub(crate) fn begin(plan: &HostPlan, true_time: u64, planted: Planted) -> Self {
        let shown = u128::from(plan.shown) * u128::from(BILLION);
        let marks = if plan.has_vmclock {
            Markers::Read(Marks { disruption: 1, generation: Some(1) })
        } else {
            Markers::NoDevice
        };
        let mut host = Self {
            at: true_time,
            raw: shown,
            monotonic: shown,
            boot: shown + u128::from(plan.slept) * u128::from(BILLION),
            raw_ppb: plan.raw_ppb,
            steered_ppb: plan.steered_ppb,
            asleep: 0,
            stopped: 0,
            marks,
            stopped_unseen: false,
            read_at: true_time,
            tracker: SegmentTracker::begin(Suspends::Watched, &nothing_seen(marks)),
        };
        let tracker = SegmentTracker::begin(Suspends::Watched, &host.observation(0));
        host.tracker = planted.in_tracker(tracker);
        host
    }

    pub(crate) fn fast_hand(&self) -> FastHand {
        FastHand::new(&[Source::assume(BILLION, BILLION - PPB, Ticks(1))]).assume_hides(OFFSET_BLUR)
    }

    /// Whether the raw clock never fell behind true time by more than its drift, within a segment and
    /// but for what that can hide.
    pub(crate) const fn kept_fast_promise(&self) -> bool {
        self.raw_ppb >= BILLION - PPB && !self.stopped_unseen
    }

    pub(crate) fn advance_to(&mut self, true_time: u64) {
        let mut passed = true_time - self.at;
        self.at = true_time;
        let stopped = passed.min(self.stopped);
        self.stopped -= stopped;
        passed -= stopped;
        let asleep = passed.min(self.asleep);
        self.asleep -= asleep;
        let awake = u128::from(passed - asleep);
        // What was slept is not steered: it is added on waking.
        self.boot += u128::from(asleep) * u128::from(BILLION);
        self.boot += awake * u128::from(self.steered_ppb);
        self.raw += awake * u128::from(self.raw_ppb);
        self.monotonic += awake * u128::from(self.steered_ppb);
    }

    pub(crate) fn happen(&mut self, act: &ClockAct) {
        match act {
            ClockAct::Jump { by, .. } => self.steer(*by),
            ClockAct::Rate { ppb, .. } => self.steered_ppb = *ppb,
            ClockAct::Suspend { lasts } => self.asleep += lasts,
            ClockAct::Migrate { lasts } => {
                self.stopped += lasts;
                self.stopped_unseen |= !self.has_vmclock();
                self.disrupt();
            }
            // A host has no sources that come and go, and finds its segments itself.
            ClockAct::Vanish { .. }
            | ClockAct::Appear { .. }
            | ClockAct::Break { .. }
            | ClockAct::Exit { .. }
            | ClockAct::Core { .. }
            | ClockAct::Counter { .. } => {}
        }
    }

    pub(crate) fn heal(&mut self) {
        (self.raw_ppb, self.steered_ppb, self.asleep, self.stopped) = (BILLION, BILLION, 0, 0);
        // A nap is taken from time at one rate.
        self.read_at = self.at;
    }

    /// Reads the hand as `HostClock::fast_now` does. The machine may sleep for a moment between two of
    /// its reads: that moment is taken from the time since the last observation.
    pub(crate) fn fast_now(&mut self, rng: &mut Rng) -> Now<FastInstant> {
        let nap = if rng.chance(20) && self.asleep == 0 && self.stopped == 0 {
            rng.between(0, OFFSET_BLUR.as_nanos() * 2).min(self.at - self.read_at)
        } else {
            0
        };
        if nap > 0 {
            // It was asleep just now, and not awake.
            self.raw -= u128::from(nap) * u128::from(self.raw_ppb);
            let steered = u128::from(nap) * u128::from(self.steered_ppb);
            self.monotonic -= steered;
            self.boot = self.boot - steered + u128::from(nap) * u128::from(BILLION);
        }
        self.read_at = self.at;
        let mut within = if nap > 0 { rng.below(nap + 1) } else { 0 };
        let mut tracker = self.tracker.clone();
        let (segment, raw) = tracker.instant(|| {
            let seen = self.observation(within);
            within = 0;
            seen
        });
        self.tracker = tracker;
        Now::at(FastInstant::new(segment, Readings::one(raw)))
    }

    /// What its clocks show now, if it slept for `within` between the first read and the last.
    fn observation(&self, within: u64) -> Observation {
        let slept = u128::from(within) * u128::from(BILLION);
        Observation {
            boot_before: ticks(self.boot.saturating_sub(slept)),
            monotonic: ticks(self.monotonic),
            raw: ticks(self.raw),
            boot_after: ticks(self.boot),
            marks: self.marks,
        }
    }

    /// What the gate of a transaction at this instant shows of a lease: whether it belongs to the live
    /// segment, whose evidence still stands, and is `margin` ahead of its end.
    pub(crate) fn passes(&self, hand: &FastHand, hold: &Hold, margin: u64) -> bool {
        let evidence = self.tracker.evidence();
        let offset = self.observation(0).offset_ceil();
        hold.anchor.segment() == evidence.segment
            && self.marks == evidence.marks
            && offset.within_blur_of(evidence.offset_floor)
            && deadline(hand, hold).is_some_and(|end| ticks(self.raw).0 + margin < end)
    }

    pub(crate) const fn segment(&self) -> u64 {
        let Segment(segment) = self.tracker.evidence().segment;
        segment
    }

    /// The moment, as a reader finds it that ends no segment.
    pub(crate) fn exactly(&self) -> Now<FastInstant> {
        let evidence = self.tracker.evidence();
        let offset: Offset = self.observation(0).offset_ceil();
        let same = self.marks == evidence.marks && offset.within_blur_of(evidence.offset_floor);
        let segment = if same { evidence.segment } else { Segment(u64::MAX) };
        Now::at(FastInstant::new(segment, Readings::one(ticks(self.raw))))
    }

    /// `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` are steered alike; nothing steers the raw clock.
    fn steer(&mut self, by: i64) {
        let far = u128::from(by.unsigned_abs()) * u128::from(BILLION);
        for clock in [&mut self.monotonic, &mut self.boot] {
            *clock = if by > 0 { *clock + far } else { *clock };
        }
    }

    pub(crate) const fn has_vmclock(&self) -> bool {
        matches!(self.marks, Markers::Read(_))
    }

    pub(crate) const fn goes_on_at(&mut self, true_time: u64) {
        (self.at, self.read_at) = (true_time, true_time);
        (self.asleep, self.stopped) = (0, 0);
    }

    pub(crate) const fn falls_behind(&mut self) {
        self.stopped_unseen = true;
    }

    pub(crate) fn disrupt(&mut self) {
        if let Markers::Read(marks) = &mut self.marks {
            marks.disruption += 1;
            marks.generation = marks.generation.map(|generation| generation + 1);
        }
    }
}

/// The deadline that a lease cell keeps: charged with the suspends that a segment can hide.
fn deadline(hand: &FastHand, hold: &Hold) -> Option<u64> {
    let Ticks(end) = hand.deadline(&hold.anchor, hold.term, 0)?;
    end.checked_sub(OFFSET_BLUR.as_nanos())
}

fn ticks(billionths: u128) -> Ticks {
    Ticks(u64::try_from(billionths / u128::from(BILLION)).expect("64 bits of nanoseconds"))
}

const fn nothing_seen(marks: Markers) -> Observation {
    let zero = Ticks(0);
    Observation { boot_before: zero, monotonic: zero, raw: zero, boot_after: zero, marks }
}
