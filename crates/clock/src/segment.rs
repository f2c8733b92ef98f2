//! Where one segment of the fast hand ends: a judgement over what the clocks showed, and no more.
//!
//! `CLOCK_MONOTONIC_RAW` does not count a suspend, so a suspend is *detected*: it grows the offset
//! between `CLOCK_BOOTTIME` and `CLOCK_MONOTONIC`, which nothing else changes (both are steered
//! alike). Two clocks cannot be read at one instant, so an [`Observation`] only brackets the offset:
//!
//! ```text
//! boot_before, monotonic, raw, boot_after
//!    boot_before - monotonic <= offset before `raw` was read
//!    boot_after  - monotonic >= offset after `raw` was read
//! ```
//!
//! A segment keeps the *lower* bound of its beginning, and an instant belongs to it iff its own
//! *upper* bound is at most [`OFFSET_BLUR`] above that. This one comparison sees every suspend longer
//! than the blur, sees the offset shrink, and bounds what it cannot see: however many short suspends
//! hid in the brackets, together they last at most [`OFFSET_BLUR`], which every deadline is charged.
//! (That two brackets *meet* would not do: a suspend inside a wide bracket hides any later one.)

use tlease_core::time::{Segment, Span, Ticks};

use crate::vmclock::Marks;

/// The most suspended time that one segment can hide, and the widest usable bracket.
///
/// Three clock reads take 70 ns through the vDSO and some microseconds by system calls; anything
/// wider was interrupted and is read again.
pub const OFFSET_BLUR: Span = Span::from_nanos(20_000);

/// What the clocks showed, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_before: Ticks,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic: Ticks,
    /// `CLOCK_MONOTONIC_RAW`, nanoseconds: the reading that becomes the instant.
    pub raw: Ticks,
    /// `CLOCK_BOOTTIME` again.
    pub boot_after: Ticks,
    /// The markers of the VMClock device, read last.
    pub marks: Markers,
}

/// What an observation shows of VMClock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markers {
    /// There is no such device.
    NoDevice,
    /// They were being changed each time: nothing can be shown now.
    Changing,
    /// They read so.
    Read(Marks),
}

impl Observation {
    /// The offset `CLOCK_BOOTTIME - CLOCK_MONOTONIC` was at least this before `raw` was read.
    #[must_use]
    pub const fn offset_floor(&self) -> Offset {
        Offset(self.boot_before.0.wrapping_sub(self.monotonic.0))
    }

    /// The offset was at most this after `raw` was read.
    #[must_use]
    pub const fn offset_ceil(&self) -> Offset {
        Offset(self.boot_after.0.wrapping_sub(self.monotonic.0))
    }

    fn sharp(&self) -> bool {
        self.offset_ceil().within_blur_of(self.offset_floor())
    }
}

/// A bound of `CLOCK_BOOTTIME - CLOCK_MONOTONIC`, in wrapping nanoseconds: a lower bound can be
/// below zero on a machine that never slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset(pub u64);

impl Offset {
    /// Whether this upper bound shows that the offset grew by at most [`OFFSET_BLUR`] since `floor`,
    /// and did not shrink below it.
    #[must_use]
    #[inline]
    pub const fn within_blur_of(self, floor: Self) -> bool {
        self.0.wrapping_sub(floor.0) <= OFFSET_BLUR.as_nanos()
    }
}

/// Why a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The machine was suspended (the offset grew), or its clocks were replaced (it shrank).
    Suspended,
    /// VMClock's markers changed: the virtual machine was migrated, restored or cloned.
    Disrupted,
    /// `CLOCK_MONOTONIC_RAW` went backwards.
    WentBack,
    /// The clocks could not be read close together, so nothing could be shown.
    Unreadable,
}

/// What an observation says of the current segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The instant belongs to it.
    Continues,
    /// It is over and a new one has begun. The instant belongs to neither: the evidence of the new
    /// segment is *younger* than its `raw`.
    Broke(Break),
    /// The reads were too far apart, or VMClock was being changed: observe again.
    Blurred,
}

/// What a segment rests on: what was true when it began and must still be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// The segment.
    pub segment: Segment,
    /// Lower bound of the clock offset at its beginning.
    pub offset_floor: Offset,
    /// VMClock's markers at its beginning.
    pub marks: Markers,
}

/// Follows one fast hand from segment to segment.
///
/// Guarantee (invariants I2, I5): if [`SegmentTracker::observe`] says [`Verdict::Continues`], then from
/// the beginning of the segment to the read of `raw` the machine was suspended for at most
/// [`OFFSET_BLUR`] in total (if it watches for suspends), and VMClock reported no disruption. A
/// segment that broke never comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentTracker {
    suspends: Suspends,
    evidence: Evidence,
    last_raw: Ticks,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

/// Whether a profile looks for suspends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspends {
    /// By the offset of the clocks.
    Watched,
    /// The profile assumes that there are none (`Profile::assume_no_suspend`).
    AssumedAbsent,
}

impl SegmentTracker {
    /// Begins the first segment. The observation's own instant is older than the segment.
    #[must_use]
    pub const fn begin(suspends: Suspends, first: &Observation) -> Self {
        let evidence = Evidence {
            segment: Segment(1),
            offset_floor: first.offset_floor(),
            marks: first.marks,
        };
        Self {
            suspends,
            evidence,
            last_raw: first.raw,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The instant now: a segment, and the raw reading of an observation that belongs to it.
    ///
    /// Observes until one does: after a break the clocks are read again, since the evidence of the new
    /// segment is *younger* than the reading that showed the break. After [`OBSERVATIONS_MAX`] of them the instant gets
    /// a segment of its own, to which nothing else will belong.
    pub fn instant(&mut self, mut observe: impl FnMut() -> Observation) -> (Segment, Ticks) {
        let mut seen = observe();
        for _ in 0..OBSERVATIONS_MAX {
            let verdict = self.observe(&seen);
            let is_over = matches!(verdict, Verdict::Broke(_));
            if verdict == Verdict::Continues || is_over && planted!(self, BreakKeepsReading) {
                return (self.evidence.segment, seen.raw);
            }
            seen = observe();
        }
        (self.give_up(&seen), seen.raw)
    }

    /// Judges an observation made after all earlier ones.
    pub fn observe(&mut self, seen: &Observation) -> Verdict {
        let verdict = self.judge(seen);
        match verdict {
            Verdict::Continues => {
                self.last_raw = seen.raw;
                planted!(self, OffsetFollows => self.evidence.offset_floor = seen.offset_floor());
            }
            Verdict::Broke(_) => self.begin_next(seen),
            Verdict::Blurred => {}
        }
        verdict
    }

    /// Ends the segment because the clocks could not be read close together.
    ///
    /// Returns a segment to which nothing else belongs, for the instant at hand.
    fn give_up(&mut self, seen: &Observation) -> Segment {
        self.begin_next(seen);
        let dead = self.evidence.segment;
        self.begin_next(seen);
        dead
    }

    /// What the current segment rests on.
    #[must_use]
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    fn judge(&self, seen: &Observation) -> Verdict {
        if seen.marks == Markers::Changing {
            return Verdict::Blurred;
        }
        if seen.marks != self.evidence.marks && !planted!(self, DisruptionIgnored) {
            return Verdict::Broke(Break::Disrupted);
        }
        if seen.raw < self.last_raw && !planted!(self, RawMayGoBack) {
            return Verdict::Broke(Break::WentBack);
        }
        let floor = self.evidence.offset_floor;
        planted!(self, SuspendByLowerBound => {
            let grown = seen.offset_floor().0.wrapping_sub(floor.0).cast_signed();
            if grown <= OFFSET_BLUR.as_nanos().cast_signed() {
                return Verdict::Continues;
            }
        });
        planted!(self, BlurContinues => if !seen.sharp() { return Verdict::Continues });
        match self.suspends {
            Suspends::AssumedAbsent => Verdict::Continues,
            Suspends::Watched if seen.offset_ceil().within_blur_of(floor) => Verdict::Continues,
            Suspends::Watched if seen.sharp() => Verdict::Broke(Break::Suspended),
            Suspends::Watched => Verdict::Blurred,
        }
    }

    const fn begin_next(&mut self, seen: &Observation) {
        let Segment(number) = self.evidence.segment;
        // 2^64 breaks do not happen; wrapping could not revive a lease that old anyway.
        self.evidence = Evidence {
            segment: Segment(number.wrapping_add(if planted!(self, SegmentRevived) {
                0
            } else {
                1
            })),
            offset_floor: seen.offset_floor(),
            marks: seen.marks,
        };
        self.last_raw = seen.raw;
    }
}

/// How often the clocks are read for one instant: again when a read was interrupted or a segment has
/// just begun. Each takes 0.1 us; on a machine that interrupts this many in a row nothing can be shown.
pub const OBSERVATIONS_MAX: u32 = 32;

#[cfg(feature = "mutants")]
impl SegmentTracker {
    /// Plants a bug.
    #[must_use]
    pub const fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "test arithmetic on small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A machine whose clocks we move by hand.
    #[derive(Clone, Copy)]
    struct Machine {
        awake: u64,
        slept: u64,
        marks: Markers,
    }

    impl Machine {
        fn new() -> Self {
            Self { awake: 1_000_000, slept: 0, marks: Markers::NoDevice }
        }

        /// Reads the clocks, `gap` ns and `sleep` ns of suspend between any two reads.
        fn read(&mut self, gap: u64, sleep: [u64; 3]) -> Observation {
            let step = |machine: &mut Self, sleep| {
                machine.awake += gap;
                machine.slept += sleep;
            };
            let boot_before = Ticks(self.awake + self.slept);
            step(self, sleep[0]);
            let monotonic = Ticks(self.awake);
            step(self, sleep[1]);
            let raw = Ticks(self.awake);
            step(self, sleep[2]);
            let boot_after = Ticks(self.awake + self.slept);
            Observation { boot_before, monotonic, raw, boot_after, marks: self.marks }
        }
    }

    fn tracker(machine: &mut Machine) -> SegmentTracker {
        let tracker = SegmentTracker::begin(Suspends::Watched, &machine.read(20, [0; 3]));
        #[cfg(feature = "mutants")]
        let tracker = SegmentTracker { mutant: PLANTED.get(), ..tracker };
        tracker
    }

    #[cfg(feature = "mutants")]
    thread_local! {
        static PLANTED: std::cell::Cell<Option<crate::Mutant>> = const { std::cell::Cell::new(None) };
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn bugs_are_noticed_when_they_are_planted() {
        use crate::Mutant;

        let dies = |bug: Mutant, execution: fn()| {
            PLANTED.set(Some(bug));
            let passed = std::panic::catch_unwind(execution).is_ok();
            PLANTED.set(None);
            assert!(!passed, "{bug:?} goes unnoticed: {}", bug.says());
        };
        dies(Mutant::SuspendByLowerBound, a_suspend_before_the_last_read_is_seen_at_once);
        dies(Mutant::OffsetFollows, short_suspends_that_add_up_are_seen);
        dies(Mutant::BlurContinues, reads_that_were_interrupted_decide_nothing);
        dies(Mutant::DisruptionIgnored, a_disruption_and_a_raw_clock_that_goes_back_are_breaks);
        dies(Mutant::RawMayGoBack, a_disruption_and_a_raw_clock_that_goes_back_are_breaks);
        dies(Mutant::SegmentRevived, a_suspend_ends_the_segment_for_ever);
        dies(Mutant::BreakKeepsReading, the_reading_that_shows_a_break_belongs_to_no_segment);
    }

    #[test]
    fn an_undisturbed_machine_stays_in_its_segment() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        for _ in 0..100 {
            machine.awake += 1_000_000_000;
            assert_eq!(tracker.observe(&machine.read(25, [0; 3])), Verdict::Continues);
        }
    }

    #[test]
    fn a_suspend_ends_the_segment_for_ever() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        let before = tracker.evidence().segment;
        machine.slept += OFFSET_BLUR.as_nanos() + 1;
        let seen = machine.read(25, [0; 3]);
        assert_eq!(tracker.observe(&seen), Verdict::Broke(Break::Suspended));
        assert_ne!(tracker.evidence().segment, before);
        assert_eq!(tracker.observe(&machine.read(25, [0; 3])), Verdict::Continues);
        assert_ne!(tracker.evidence().segment, before);
    }

    #[test]
    fn short_suspends_that_add_up_are_seen() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        let unseen = (0..10).take_while(|_| {
            machine.slept += OFFSET_BLUR.as_nanos() / 2;
            tracker.observe(&machine.read(25, [0; 3])) == Verdict::Continues
        });
        assert!(unseen.count() <= 2);
    }

    #[test]
    fn the_reading_that_shows_a_break_belongs_to_no_segment() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        // Migrated after `raw` was read and before VMClock is: the new segment begins after that.
        let mut migrated_at = None;
        let (_, raw) = tracker.instant(|| {
            let mut seen = machine.read(25, [0; 3]);
            migrated_at.get_or_insert(seen.boot_after);
            machine.marks = Markers::Read(Marks { disruption: 7, generation: None });
            seen.marks = machine.marks;
            seen
        });
        assert!(Some(raw) > migrated_at, "{raw:?} was read before it");
    }

    #[test]
    fn a_suspend_before_the_last_read_is_seen_at_once() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        let seen = machine.read(25, [0, 0, 5_000_000]);
        assert_ne!(tracker.observe(&seen), Verdict::Continues, "it may lie before `raw`");
    }

    #[test]
    fn a_suspend_inside_the_first_bracket_does_not_hide_a_later_one() {
        let mut machine = Machine::new();
        let first = machine.read(25, [0, 10_000_000_000, 0]);
        let mut tracker = SegmentTracker::begin(Suspends::Watched, &first);
        let seen = machine.read(25, [0; 3]);
        assert_eq!(tracker.observe(&seen), Verdict::Broke(Break::Suspended));
    }

    #[test]
    fn reads_that_were_interrupted_decide_nothing() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        let before = tracker.clone();
        assert_eq!(tracker.observe(&machine.read(4_000_000, [0; 3])), Verdict::Blurred);
        assert_eq!(tracker, before);
    }

    #[test]
    fn giving_up_leaves_a_segment_that_nothing_continues() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        let dead = tracker.give_up(&machine.read(4_000_000, [0; 3]));
        for _ in 0..10 {
            tracker.observe(&machine.read(25, [0; 3]));
            assert_ne!(tracker.evidence().segment, dead);
        }
    }

    #[test]
    fn a_disruption_and_a_raw_clock_that_goes_back_are_breaks() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        machine.marks = Markers::Read(Marks { disruption: 7, generation: None });
        let seen = machine.read(25, [0; 3]);
        assert_eq!(tracker.observe(&seen), Verdict::Broke(Break::Disrupted));
        machine.awake -= 1_000;
        let seen = machine.read(25, [0; 3]);
        assert_eq!(tracker.observe(&seen), Verdict::Broke(Break::WentBack));
    }

    #[test]
    fn while_vmclock_is_being_changed_every_instant_stands_alone() {
        let mut machine = Machine::new();
        let mut tracker = tracker(&mut machine);
        let (before, _) = tracker.instant(|| machine.read(25, [0; 3]));
        machine.marks = Markers::Changing;
        let (during, _) = tracker.instant(|| machine.read(25, [0; 3]));
        let (again, _) = tracker.instant(|| machine.read(25, [0; 3]));
        machine.marks = Markers::NoDevice;
        let (after, _) = tracker.instant(|| machine.read(25, [0; 3]));
        assert!(before != during && during != again && again != after);
        assert_eq!(tracker.instant(|| machine.read(25, [0; 3])).0, after);
    }

    /// What happens between the reads of one observation: the time between two of them, the suspended
    /// time after each of the first three, and whether VMClock changes right before it is read.
    type Step = (u64, [u64; 3], bool);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let gap = prop_oneof![0_u64..100, 0_u64..40_000];
        let sleep = prop_oneof![Just(0_u64), 0_u64..30_000];
        let step = (gap, prop::array::uniform3(sleep), prop::bool::weighted(0.1));
        prop::collection::vec(step, 40..200)
    }

    proptest! {
        /// Whatever happens between whatever reads: between two instants of one segment the machine
        /// was suspended for at most `OFFSET_BLUR`, and VMClock did not change.
        #[test]
        fn hidden_suspends_never_add_up_beyond_the_blur(steps in steps()) {
            let mut machine = Machine::new();
            machine.marks = Markers::Read(Marks { disruption: 0, generation: None });
            let mut tracker = tracker(&mut machine);
            let mut steps = steps.into_iter().cycle().take(2_000);
            let mut disruptions = 0;
            // The first instant of the current segment: its number, suspended time, disruptions.
            let mut first = None;
            let mut more = true;
            while more {
                let mut truth = (0, 0);
                let (segment, _) = tracker.instant(|| {
                    let (gap, sleep, disrupts) = steps.next().unwrap_or_else(|| {
                        more = false;
                        (20, [0; 3], false)
                    });
                    let mut seen = machine.read(gap, sleep);
                    truth = (machine.slept - sleep[2], disruptions);
                    if disrupts {
                        disruptions += 1;
                        let marks = Marks { disruption: disruptions, generation: None };
                        machine.marks = Markers::Read(marks);
                        seen.marks = machine.marks;
                    }
                    seen
                });
                match first {
                    Some((same, slept, disrupted)) if same == segment => {
                        prop_assert!(truth.0 - slept <= OFFSET_BLUR.as_nanos());
                        prop_assert_eq!(truth.1, disrupted);
                    }
                    Some(_) | None => first = Some((segment, truth.0, truth.1)),
                }
            }
        }
    }
}
