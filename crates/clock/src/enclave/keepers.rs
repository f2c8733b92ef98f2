//! The timekeepers of a clock, and what their threads and everybody else share.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Span, Ticks,
};

use super::handshake::Handshake;
use super::line::Line;
use super::profile::MachineProfile;
use super::record::{Links, Published, Record};
use super::stretch::Stretch;
use super::timekeeper::{Beat, Exits, Mark, Pace, Timekeeper, Verdict};
use super::world::choose;
use crate::arch::{Chain, counter};
use crate::stay::{Stay, Thread};

/// A clock made of one or two timekeepers, each of which needs a thread that does nothing else:
/// [`Keepers::keep`].
///
/// It reads no clock of the kernel's, and asks nobody.
#[derive(Debug)]
pub struct Keepers {
    records: [Record; KEEPERS_MAX],
    exits: [Tally; KEEPERS_MAX],
    count: KeeperCount,
    /// The segment begun last.
    segments: AtomicU64,
    /// Instants that belong to no segment, each of which stands alone.
    strays: AtomicU64,
    stop: AtomicBool,
    pace: Pace,
    slow: SlowHand,
    fast: FastHand,
    reach: Ticks,
    /// Nanoseconds that a tick lasts at least, in units of 2^-32.
    nanos_per_tick: u64,
    #[cfg(feature = "emulated-transactions")]
    is_steady: bool,
}

/// How many timekeepers a clock has, each of which costs a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeeperCount {
    /// Every interruption of it begins a new segment.
    One,
    /// A segment goes on while they are not interrupted both at once.
    Two,
}

/// A handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// This thread was interrupted meanwhile.
    Interrupted,
    /// No timekeeper published twice in time: they were interrupted, or have no thread.
    Starved,
}

impl Keepers {
    /// A clock that stands until a thread keeps it.
    ///
    /// `reach` is how far beyond a handshake a thread extends the fast hand by itself, at most. It is
    /// rounded up to the tick.
    #[must_use]
    pub fn new(profile: &MachineProfile, count: KeeperCount, reach: Span) -> Self {
        let tsc = profile.tsc_hz();
        let ticks = |hertz: u64, span: Span| {
            let ticks = u128::from(hertz).saturating_mul(span.as_nanos().into());
            u64::try_from(ticks.div_ceil(NANOS)).unwrap_or(u64::MAX)
        };
        let nanos_per_tick = (NANOS << 32).checked_div(tsc.max().get().into()).unwrap_or(0);
        Self {
            records: Default::default(),
            exits: Default::default(),
            count,
            segments: AtomicU64::new(0),
            strays: AtomicU64::new(STRAYS),
            stop: AtomicBool::new(false),
            pace: Pace::of(profile),
            slow: profile.slow_hand(),
            fast: profile.fast_hand(),
            reach: Ticks(ticks(tsc.max().get(), reach)),
            nanos_per_tick: u64::try_from(nanos_per_tick).unwrap_or(0),
            #[cfg(feature = "emulated-transactions")]
            is_steady: false,
        }
    }

    /// Keeps time on the calling thread until [`Keepers::stop`]: timekeeper `index`, 0 or 1.
    ///
    /// # Panics
    /// If the clock has no such timekeeper. Two threads must not keep the same one.
    pub fn keep(&self, index: usize, thread: &mut Thread) {
        self.keep_noting(index, thread, |_, _| ());
    }

    /// As [`Keepers::keep`]; `note` is told of each change of the segment that this timekeeper shows,
    /// with the counter's last reading in the old one, or the first in the new one.
    ///
    /// For measurements: it runs between two beats, and what it takes makes a beat longer.
    ///
    /// # Panics
    /// As [`Keepers::keep`].
    pub fn keep_noting(
        &self,
        index: usize,
        thread: &mut Thread,
        mut note: impl FnMut(Ticks, Option<Segment>),
    ) {
        let records = self.records();
        let own = records.get(index).expect("a clock has one or two timekeepers");
        let other = records.get(1_usize.wrapping_sub(index));
        let mut keeper = Timekeeper::new(self.pace);
        let mut chain = Chain::begin();
        let mut stay = thread.stay();
        self.restart(&mut keeper, &stay, other);
        let mut beats = 0_u64;
        let (mut last, mut segment) = (Ticks(0), None);
        while !self.stop.load(Ordering::Relaxed) {
            let tsc = chain.beat();
            let seen = Beat { own: tsc, mark: mark(&stay) };
            let verdict = keeper.beat(&seen);
            let published = keeper.published();
            own.publish(&published);
            if published.segment != segment {
                note(if segment.is_some() { last } else { tsc }, published.segment);
                segment = published.segment;
            }
            last = tsc;
            beats = beats.wrapping_add(1);
            match verdict {
                Verdict::Continues if beats.is_multiple_of(LOOK_BEATS) => {
                    self.exits[index].note(&keeper.exits());
                    if let Some(other) = other {
                        self.follow(&mut keeper, &stay, other);
                    }
                }
                Verdict::Continues => {}
                Verdict::Broke(_) => {
                    drop(stay);
                    stay = thread.stay();
                    self.restart(&mut keeper, &stay, other);
                    self.exits[index].note(&keeper.exits());
                }
            }
        }
        let nothing = Published { segment: None, ..keeper.published() };
        own.publish(&nothing);
        if segment.is_some() {
            note(last, None);
        }
    }

    /// As [`Keepers::keep`], on a machine whose counter nothing moves: its one segment does not end, and
    /// whoever shakes hands waits for it.
    #[cfg(feature = "emulated-transactions")]
    pub(super) fn keep_steadily(&self) {
        let [own, ..] = &self.records;
        let mut shown = Published {
            segment: Some(self.begin_segment()),
            slow: Links(0),
            fast: counter(),
            blur: Ticks(0),
        };
        while !self.stop.load(Ordering::Relaxed) {
            shown.fast = counter();
            own.publish(&shown);
            std::thread::yield_now();
        }
    }

    /// For [`Keepers::keep_steadily`].
    #[cfg(feature = "emulated-transactions")]
    pub(super) const fn steady(mut self, is_steady: bool) -> Self {
        self.is_steady = is_steady;
        self
    }

    #[cfg(feature = "emulated-transactions")]
    pub(super) const fn is_steady(&self) -> bool {
        self.is_steady
    }

    /// Ends every [`Keepers::keep`]: the clock stands.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Reads the slow hand.
    ///
    /// # Timing
    /// What the first timekeeper published, and two beats more: the links that it can have executed
    /// (I18). A granter calls it after the last byte of the input was read.
    #[must_use]
    pub fn slow_now(&self) -> Now<SlowInstant> {
        let [first, ..] = &self.records;
        let (_, Published { slow, .. }) = read(first);
        let at = |links| SlowInstant::new(Readings::one(Ticks(links)));
        let executed = self.pace.executed(slow);
        Now { not_before: at(*executed.start()), not_after: at(*executed.end()) }
    }

    /// What the fast hand has certainly reached, to anchor a request by; `None` while no timekeeper
    /// serves.
    #[must_use]
    pub fn anchor(&self) -> Option<FastInstant> {
        let [first, second] = &self.records;
        let shown = [read(first).1, read(second).1];
        choose(&shown)
    }

    /// The bounds of a moment that belongs to no segment: nothing can be shown of it.
    #[must_use]
    pub fn stray(&self) -> FastInstant {
        let stray = self.strays.fetch_add(1, Ordering::Relaxed);
        FastInstant::new(Segment(stray), Readings::one(Ticks(0)))
    }

    /// Puts the calling thread on a timekeeper's line, for as long as its marks, which it has armed, are
    /// `kept`.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(crate) fn shake(&self, kept: impl Fn() -> bool) -> Result<Stretch, NoAnswer> {
        let line = self.learn(self.records(), kept, self.patience())?;
        Stretch::begin(&line, self.reach).ok_or(NoAnswer::Starved)
    }

    /// The arithmetic of [`Keepers::slow_now`].
    #[must_use]
    pub const fn slow_hand(&self) -> SlowHand {
        self.slow
    }

    /// The arithmetic of the fast hand.
    #[must_use]
    pub const fn fast_hand(&self) -> FastHand {
        self.fast
    }

    /// What happened to a timekeeper so far, as of its last look at itself.
    #[must_use]
    pub fn exits(&self, index: usize) -> Exits {
        self.exits.get(index).map(Tally::shown).unwrap_or_default()
    }

    /// The links that the first timekeeper has executed, at least.
    #[must_use]
    pub fn links(&self) -> Links {
        let [first, ..] = &self.records;
        read(first).1.slow
    }

    /// How many timekeepers it has.
    #[must_use]
    pub const fn count(&self) -> KeeperCount {
        self.count
    }

    /// What its timekeepers judge by.
    #[must_use]
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// How near a deadline a commit must be to be looked at again: the stall between reading and effect
    /// would have to outlast a timer tick, which aborts the transaction.
    #[inline]
    pub(crate) const fn late_watch(&self) -> Ticks {
        self.reach
    }

    /// How far beyond a handshake a thread extends the fast hand.
    #[must_use]
    pub const fn reach(&self) -> Ticks {
        self.reach
    }

    /// The time that so many ticks take at least, rounded down.
    #[inline]
    pub(crate) fn span_floor(&self, Ticks(ticks): Ticks) -> Span {
        let nanos = u128::from(ticks).wrapping_mul(self.nanos_per_tick.into()) >> 32;
        Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The ticks that a span can take at most, rounded up.
    pub(crate) fn ticks_ceil(&self, span: Span) -> Ticks {
        let ticks = u128::from(span.as_nanos()).saturating_mul(1 << 32);
        let ticks = ticks.div_ceil(u128::from(self.nanos_per_tick).max(1)).saturating_add(1);
        Ticks(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    fn records(&self) -> &[Record] {
        let [first, _] = &self.records;
        match self.count {
            KeeperCount::One => core::slice::from_ref(first),
            KeeperCount::Two => &self.records,
        }
    }

    fn restart(&self, keeper: &mut Timekeeper, stay: &Stay<'_>, other: Option<&Record>) {
        let line = other.and_then(|other| self.learn_from(other, stay));
        keeper.restart(counter(), line, || self.begin_segment());
    }

    fn follow(&self, keeper: &mut Timekeeper, stay: &Stay<'_>, other: &Record) {
        if keeper.should_follow(&read(other).1)
            && let Some(line) = self.learn_from(other, stay)
        {
            keeper.follow(line, counter());
        }
    }

    /// The line of the other timekeeper, if it serves and answers soon.
    fn learn_from(&self, other: &Record, stay: &Stay<'_>) -> Option<Line> {
        read(other).1.segment?;
        let Ticks(gap) = self.pace.gap_max();
        let patience = Ticks(gap.saturating_mul(2));
        self.learn(core::slice::from_ref(other), || stay.is_unbroken(), patience).ok()
    }

    fn learn(
        &self,
        records: &[Record],
        kept: impl Fn() -> bool,
        Ticks(patience): Ticks,
    ) -> Result<Line, NoAnswer> {
        let before = counter();
        let mut begun = [None; KEEPERS_MAX];
        for (handshake, record) in begun.iter_mut().zip(records) {
            *handshake = Some(Handshake::begin(before, record.version()));
        }
        loop {
            for (handshake, record) in begun.iter().zip(records) {
                let (Some(handshake), Some((version, shown))) = (handshake, record.read()) else {
                    continue;
                };
                if let Some(line) = handshake.answer(version, &shown, counter(), self.pace.skew()) {
                    return if kept() { Ok(line) } else { Err(NoAnswer::Interrupted) };
                }
            }
            if !kept() {
                return Err(NoAnswer::Interrupted);
            }
            if counter().0.checked_sub(before.0).is_none_or(|waited| waited > patience) {
                return Err(NoAnswer::Starved);
            }
            core::hint::spin_loop();
        }
    }

    /// How long a thread waits for a timekeeper: one that was interrupted has to be checked first.
    fn patience(&self) -> Ticks {
        #[cfg(feature = "emulated-transactions")]
        if self.is_steady {
            return Ticks(u64::MAX);
        }
        let Ticks(gap) = self.pace.gap_max();
        Ticks(gap.saturating_mul(PATIENCE_GAPS))
    }

    fn begin_segment(&self) -> Segment {
        Segment(self.segments.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }
}

/// Counters of [`Exits`], written by one timekeeper and read by anybody.
#[derive(Debug, Default)]
struct Tally([AtomicU64; 8]);

impl Tally {
    fn note(&self, exits: &Exits) {
        let Exits { interrupted, gaps, went_back, blurred, alarms, windows, bridged, segments } =
            *exits;
        let counts = [interrupted, gaps, went_back, blurred, alarms, windows, bridged, segments];
        for (word, count) in self.0.iter().zip(counts) {
            word.store(count, Ordering::Relaxed);
        }
    }

    fn shown(&self) -> Exits {
        let [interrupted, gaps, went_back, blurred, alarms, windows, bridged, segments] =
            self.0.each_ref().map(|word| word.load(Ordering::Relaxed));
        Exits { interrupted, gaps, went_back, blurred, alarms, windows, bridged, segments }
    }
}

/// What a record shows: again if it was overwritten, which takes as long as ten readings.
fn read(record: &Record) -> (u64, Published) {
    loop {
        if let Some(read) = record.read() {
            return read;
        }
        core::hint::spin_loop();
    }
}

fn mark(stay: &Stay<'_>) -> Mark {
    if stay.is_unbroken() { Mark::Kept } else { Mark::Lost }
}

const KEEPERS_MAX: usize = 2;
const NANOS: u128 = 1_000_000_000;
/// Beats between two looks at the other timekeeper: some 60 us.
const LOOK_BEATS: u64 = 256;
/// Longer than a window of the rate check, and far less than a timer tick.
const PATIENCE_GAPS: u64 = 32;
/// Numbers of segments that never are: 2^63 segments do not begin.
const STRAYS: u64 = 1 << 63;
