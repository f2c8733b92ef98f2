//! The timekeeper: counts what it executed, and for how long nobody interrupted it.

use core::ops::RangeInclusive;

use tlease_core::time::{Segment, Ticks};

use super::line::{Line, Skew};
use super::profile::MachineProfile;
use super::rate::{Alarm, Rate, RateBounds, RateCheck};
use super::record::{Links, Published};

/// What a timekeeper observed: it executed one beat of links, then read the counter, then looked at
/// its mark, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The counter, read after the links.
    pub own: Ticks,
    /// The mark, looked at after the counter was read.
    pub mark: Mark,
}

/// Whether a thread was interrupted since it armed its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was not.
    Kept,
    /// It was, or somebody else used the mark.
    Lost,
}

/// The state machine of one timekeeper. See the [module](super).
///
/// Guarantees, for what [`Timekeeper::published`] shows: the links are those that were executed (I1,
/// I18), and two readings of one segment are apart by at least the ticks that passed (I2, I19), as long
/// as the machine profile is right (A14, A15) and the mark sees every interruption (A16, A17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timekeeper {
    pace: Pace,
    links: u64,
    last: Ticks,
    chain: Chain,
    exits: Exits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// Interrupted, and not started again.
    Broken(Exit),
    /// Not interrupted since it was started, but the counter's rate has not been checked since: it
    /// serves nobody, so that no time goes by unchecked after an interruption.
    Unproved { line: Line, rate: RateCheck },
    /// Serves anchors and handshakes.
    Proved { line: Line, rate: RateCheck },
}

/// What ended a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The mark was lost.
    Interrupted,
    /// A beat took longer than a beat can: an interruption that the mark did not see.
    Gap,
    /// The counter went back.
    WentBack,
    /// The bounds of the hand have parted too far: no thread has the counter any more by which the
    /// segment began.
    Blurred,
    /// Counter and core contradict the profile.
    Rate(Alarm),
}

/// What a beat was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The chain goes on.
    Continues,
    /// It is over: arm the mark again, and then [`Timekeeper::restart`].
    Broke(Exit),
}

/// How often what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exits {
    /// The mark was lost.
    pub interrupted: u64,
    /// Gaps that the mark did not see.
    pub gaps: u64,
    /// The counter went back.
    pub went_back: u64,
    /// The bounds of a segment had parted too far.
    pub blurred: u64,
    /// Contradictions: a lie, a wrong profile, or a false alarm.
    pub alarms: u64,
    /// Windows whose rate was checked.
    pub windows: u64,
    /// Restarts on the line of another timekeeper: the segment went on.
    pub bridged: u64,
    /// Restarts in a new segment.
    pub segments: u64,
}

/// What a timekeeper judges by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    beat: Links,
    gap_max: Ticks,
    blur_max: Ticks,
    skew: Skew,
    rate: RateBounds,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl Pace {
    /// The pace of a machine.
    ///
    /// A beat longer than a microsecond, or than twice what the slowest admitted core needs for it,
    /// counts as an interruption.
    #[must_use]
    pub fn of(profile: &MachineProfile) -> Self {
        Self::with_beat(profile, Links(BEAT_LINKS))
    }

    /// The pace of a machine whose timekeepers take `beat` links for a beat: a simulator's, in which
    /// time goes by in larger steps.
    #[must_use]
    pub fn with_beat(profile: &MachineProfile, beat: Links) -> Self {
        let microsecond = profile.tsc_hz().min().get().div_euclid(1_000_000);
        let cycles = beat.0.saturating_mul(profile.cycles_per_link().get());
        let longest = u128::from(cycles).saturating_mul(profile.tsc_hz().max().get().into());
        let longest = longest.checked_div(profile.core_hz().min().get().into()).unwrap_or(0);
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        let gap_max = microsecond.max(longest.saturating_mul(2));
        let blur_max = microsecond.saturating_mul(BLUR_MAX_US).max(gap_max.saturating_mul(2));
        Self {
            beat,
            gap_max: Ticks(gap_max),
            blur_max: Ticks(blur_max),
            skew: profile.skew(),
            rate: RateBounds::of(profile, beat),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// How many links make a beat.
    #[must_use]
    pub const fn beat(&self) -> Links {
        self.beat
    }

    /// The longest beat that is no interruption.
    #[must_use]
    pub const fn gap_max(&self) -> Ticks {
        self.gap_max
    }

    /// The widest bounds with which a segment goes on.
    #[must_use]
    pub const fn blur_max(&self) -> Ticks {
        self.blur_max
    }

    /// How far the counters of two threads can drift apart.
    #[must_use]
    pub const fn skew(&self) -> Skew {
        self.skew
    }

    /// What the rate check compares with.
    #[must_use]
    pub const fn rate(&self) -> &RateBounds {
        &self.rate
    }

    /// Where a timekeeper's links can be while it shows `published`.
    ///
    /// Up to two beats more: it fences after each beat, but the publication of one beat and the links of
    /// the next overlap. A granter takes the end as start stamp and the beginning as now (I3).
    #[must_use]
    pub const fn executed(&self, Links(published): Links) -> RangeInclusive<u64> {
        planted!(self, StampedOneBeatAbove => {
            return published..=published.saturating_add(self.beat.0);
        });
        published..=published.saturating_add(self.beat.0.saturating_mul(2))
    }
}

#[cfg(feature = "mutants")]
impl Pace {
    /// Plants a bug in the timekeeper that has this pace.
    #[must_use]
    pub const fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        planted!(self, SlowCoreAlarms => self.rate = self.rate.of_fast_cores());
        self
    }
}

impl Timekeeper {
    /// A timekeeper that has not started yet: [`Timekeeper::restart`] it.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            links: 0,
            last: Ticks(0),
            chain: Chain::Broken(Exit::Interrupted),
            exits: Exits::default(),
        }
    }

    /// Takes in one beat.
    ///
    /// Its links count whatever happened meanwhile: an interruption executes none of them.
    pub fn beat(&mut self, seen: &Beat) -> Verdict {
        self.links = self.links.saturating_add(self.pace.beat.0);
        match self.judge(seen) {
            Ok(chain) => {
                self.chain = chain;
                self.last = seen.own;
                Verdict::Continues
            }
            Err(exit) => {
                if !matches!(self.chain, Chain::Broken(_)) {
                    self.exits.count(exit);
                }
                self.chain = Chain::Broken(exit);
                Verdict::Broke(exit)
            }
        }
    }

    /// Starts a chain after the mark was armed again; `own` was read after that.
    ///
    /// `bridge` is where another timekeeper, that was not interrupted, puts this thread's counter: then
    /// the segment goes on, unless the bounds have become too wide or the chain ended with a
    /// contradiction. Else `fresh` makes a segment that there never was.
    pub fn restart(&mut self, own: Ticks, bridge: Option<Line>, fresh: impl FnOnce() -> Segment) {
        let contradicted = matches!(self.chain, Chain::Broken(Exit::Rate(_)))
            && !planted!(self.pace, BridgedAfterContradiction);
        let bridge = bridge.filter(|line| !contradicted && self.carries(line, own));
        let line = match bridge {
            Some(line) => {
                self.exits.bridged = self.exits.bridged.saturating_add(1);
                line
            }
            None => {
                self.exits.segments = self.exits.segments.saturating_add(1);
                let segment = fresh();
                if planted!(self.pace, OneSegmentForAll) {
                    Line::begin(Segment(1), own)
                } else {
                    Line::begin(segment, own)
                }
            }
        };
        self.last = own;
        let rate = RateCheck::begin(self.pace.rate);
        self.chain = Chain::Unproved { line, rate };
        planted!(self.pace, RateCheckedWhenQuiet => self.chain = Chain::Proved { line, rate });
        planted!(self.pace, LinksBeforeExecuted => {
            self.links = self.links.saturating_add(self.pace.beat.0);
        });
    }

    /// Whether this timekeeper should learn the line of the other: of a segment that was begun later, or
    /// because its own bounds have parted by twice as much as the other's and a gap.
    #[must_use]
    pub fn should_follow(&self, other: &Published) -> bool {
        let (Some(own), Some(theirs)) = (self.line(), other.segment) else { return false };
        let blur = own.at(self.last).map_or(Ticks(u64::MAX), |bounds| bounds.blur());
        let much = other.blur.0.saturating_mul(2).saturating_add(self.pace.gap_max.0);
        own.segment().0 < theirs.0 || (own.segment() == theirs && blur.0 > much)
    }

    /// Goes over to the line of another timekeeper, learned while this chain was not interrupted; `own` is
    /// the counter's last reading, and was compared with the mark.
    ///
    /// The rate of the counter stays proved; what happened since the last beat is not measured by it.
    pub fn follow(&mut self, line: Line, own: Ticks) {
        if own < self.last || !self.carries(&line, own) {
            return;
        }
        let rate = RateCheck::begin(self.pace.rate);
        self.chain = match self.chain {
            Chain::Broken(exit) => Chain::Broken(exit),
            Chain::Unproved { .. } => Chain::Unproved { line, rate },
            Chain::Proved { .. } => Chain::Proved { line, rate },
        };
        self.last = own;
    }

    /// What is to be published after each beat, and at once when the chain broke.
    #[must_use]
    pub fn published(&self) -> Published {
        let nothing =
            Published { segment: None, slow: Links(self.links), fast: Ticks(0), blur: Ticks(0) };
        let Chain::Proved { line, .. } = &self.chain else { return nothing };
        let Some(bounds) = line.at(self.last) else { return nothing };
        let (fast, blur) = (bounds.lower, bounds.blur());
        planted!(self.pace, UpperPublished => {
            let segment = Some(line.segment());
            return Published { segment, fast: bounds.upper, blur: Ticks(0), ..nothing };
        });
        let blur = if planted!(self.pace, BlurNotPublished) { Ticks(0) } else { blur };
        Published { segment: Some(line.segment()), fast, blur, ..nothing }
    }

    /// What happened so far.
    #[must_use]
    pub const fn exits(&self) -> Exits {
        self.exits
    }

    /// The links executed so far.
    #[must_use]
    pub const fn links(&self) -> Links {
        Links(self.links)
    }

    /// What it judges by.
    #[must_use]
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    fn judge(&mut self, seen: &Beat) -> Result<Chain, Exit> {
        let (line, mut rate, proved) = match self.chain {
            Chain::Broken(exit) => return Err(exit),
            Chain::Unproved { line, rate } => (line, rate, false),
            Chain::Proved { line, rate } => (line, rate, true),
        };
        if seen.mark == Mark::Lost && !planted!(self.pace, MarkPassedOver) {
            return Err(Exit::Interrupted);
        }
        let ticks = seen.own.0.checked_sub(self.last.0).ok_or(Exit::WentBack)?;
        if ticks > self.pace.gap_max.0 {
            return Err(Exit::Gap);
        }
        // The line must have a place for this reading: 64 bits of ticks do not end, but may be forged.
        let bounds = line.at(seen.own).ok_or(Exit::WentBack)?;
        // On a line that was learned they part for as long as it lasts. A new segment costs one round
        // trip; leases that nobody can use any more would cost more.
        if bounds.blur() > self.pace.blur_max {
            return Err(Exit::Blurred);
        }
        let proved = match rate.beat(Ticks(ticks), self.pace.beat) {
            Rate::Going => proved,
            Rate::Fits => {
                self.exits.windows = self.exits.windows.saturating_add(1);
                true
            }
            Rate::Contradicts(alarm) => return Err(Exit::Rate(alarm)),
        };
        Ok(if proved { Chain::Proved { line, rate } } else { Chain::Unproved { line, rate } })
    }

    /// Whether a segment may go on with these bounds.
    fn carries(&self, line: &Line, own: Ticks) -> bool {
        line.at(own).is_some_and(|bounds| bounds.blur() <= self.pace.blur_max)
    }

    const fn line(&self) -> Option<&Line> {
        match &self.chain {
            Chain::Broken(_) => None,
            Chain::Unproved { line, .. } | Chain::Proved { line, .. } => Some(line),
        }
    }
}

impl Exits {
    fn count(&mut self, exit: Exit) {
        let counter = match exit {
            Exit::Interrupted => &mut self.interrupted,
            Exit::Gap => &mut self.gaps,
            Exit::WentBack => &mut self.went_back,
            Exit::Blurred => &mut self.blurred,
            Exit::Rate(_) => {
                self.windows = self.windows.saturating_add(1);
                &mut self.alarms
            }
        };
        *counter = counter.saturating_add(1);
    }

    /// How many chains ended, for whatever reason.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.interrupted
            .saturating_add(self.gaps)
            .saturating_add(self.went_back)
            .saturating_add(self.blurred)
            .saturating_add(self.alarms)
    }
}

/// Links in a beat: 768 cycles, of which the chain itself is 96 % here.
pub(crate) const BEAT_LINKS: u64 = 256;
/// The bounds of a segment that was bridged, in microseconds, again and again or long ago: a new segment
/// costs one round trip, and each lease is charged at most this much.
const BLUR_MAX_US: u64 = 1_000;
