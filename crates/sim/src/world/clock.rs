//! A machine's clock: sources of ticks that run, jump and vanish, and the two bounds of a moment.

use tlease_clock::segment::OFFSET_BLUR;
use tlease_core::holder::Hold;
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Remaining, SOURCES_MAX, Segment, SlowHand, SlowInstant,
    Source, Ticks,
};

use super::enclave::{Enclave, Executed, Reading, Who};
use super::host::Host;
use crate::act::ClockAct;
use crate::options::{BILLION, ClockPlan, PPB, SourcePlan};
use crate::planted::Planted;
use crate::rng::Rng;

/// A source of nanosecond ticks at a rate of its own.
#[derive(Debug, Clone)]
struct Raw {
    /// Billionths of a tick.
    shown: u128,
    rate_ppb: u64,
    granularity: u64,
    present: bool,
    /// Whether it ran too fast for a slow hand, or leapt ahead.
    ran_ahead: bool,
    /// Whether it ran too slow for a fast hand, or fell back.
    fell_behind: bool,
}

impl Raw {
    const fn begin(plan: &SourcePlan) -> Self {
        let shown = plan.shown as u128 * BILLION as u128;
        let granularity = plan.granularity;
        let (ran_ahead, fell_behind) = (false, false);
        let mut raw =
            Self { shown, rate_ppb: 0, granularity, present: true, ran_ahead, fell_behind };
        raw.run_at(plan.rate_ppb);
        raw
    }

    const fn run_at(&mut self, rate_ppb: u64) {
        self.rate_ppb = rate_ppb;
        self.ran_ahead |= rate_ppb > BILLION + PPB;
        self.fell_behind |= rate_ppb < BILLION - PPB;
    }

    fn reading(&self, more: u64) -> Option<Ticks> {
        let ticks = u64::try_from(self.shown / u128::from(BILLION)).expect("64 bits of ticks");
        let ticks = ticks / self.granularity * self.granularity;
        self.present.then_some(Ticks(ticks + more))
    }

    fn jump(&mut self, by: i64) {
        self.ran_ahead |= by > 0;
        self.fell_behind |= by < 0;
        let far = u128::from(by.unsigned_abs()) * u128::from(BILLION);
        self.shown = if by > 0 { self.shown + far } else { self.shown.saturating_sub(far) };
    }
}

/// The clocks of one machine.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// Any sources within the contract of a hand, and no more: segments end when the world says so.
    Free(Free),
    /// A Linux machine, of which the tracker that ships finds the segments.
    Host(Box<Host>),
    /// An enclave, whose timekeepers are those that ship.
    Enclave(Box<Enclave>),
}

/// Which threads of an enclave are taken out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupted {
    All,
    Actor,
}

/// Sources of any kind.
#[derive(Debug, Clone)]
pub(crate) struct Free {
    sources: Vec<Raw>,
    /// The true time up to which the sources have run.
    at: u64,
    segment: u64,
    /// The last readings that another thread published: a lower bound of the present.
    published: Option<(u64, Readings)>,
    /// What may have passed beyond a reading, in ticks: an upper bound of the present.
    slack: u64,
}

impl Clock {
    pub(crate) fn begin(plan: &ClockPlan, true_time: u64, planted: Planted) -> Self {
        match (&plan.enclave, &plan.host) {
            (Some(enclave), _) => {
                Self::Enclave(Box::new(Enclave::begin(enclave, true_time, planted)))
            }
            (None, Some(host)) => Self::Host(Box::new(Host::begin(host, true_time, planted))),
            (None, None) => Self::Free(Free::begin(plan, true_time)),
        }
    }

    pub(crate) fn slow_hand(&self, planted: Planted) -> SlowHand {
        match self {
            Self::Free(free) => {
                planted.in_granter(SlowHand::new(&free.described(BILLION - PPB, BILLION)))
            }
            Self::Enclave(enclave) => planted.in_granter(enclave.slow_hand()),
            Self::Host(_) => panic!("a granter's clock has free sources"),
        }
    }

    pub(crate) fn fast_hand(&self, planted: Planted) -> FastHand {
        planted.in_holder(match self {
            Self::Free(free) => FastHand::new(&free.described(BILLION, BILLION - PPB)),
            Self::Host(host) => host.fast_hand(),
            Self::Enclave(enclave) => enclave.fast_hand(),
        })
    }

    /// The segment that lives now, as its machine knows it.
    pub(crate) fn segment(&self) -> u64 {
        match self {
            Self::Free(free) => free.segment,
            Self::Host(host) => host.segment(),
            Self::Enclave(enclave) => enclave.segment(),
        }
    }

    pub(crate) fn happen(&mut self, act: &ClockAct, true_time: u64) {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => free.happen(act),
            Self::Host(host) => host.happen(act),
            Self::Enclave(enclave) => enclave.happen(act),
        }
    }

    /// From now on it is a good one.
    pub(crate) fn heal(&mut self, true_time: u64) {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => free.heal(),
            Self::Host(host) => host.heal(),
            Self::Enclave(enclave) => enclave.heal(),
        }
    }

    pub(crate) fn slow_now(&mut self, rng: &mut Rng, true_time: u64) -> Now<SlowInstant> {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => {
                let ((_, before), (_, after)) = free.now(rng);
                Now { not_before: SlowInstant::new(before), not_after: SlowInstant::new(after) }
            }
            Self::Enclave(enclave) => enclave.slow_now(),
            Self::Host(_) => panic!("a granter's clock has free sources"),
        }
    }

    /// The readings of the slow hand, for a trace.
    pub(crate) fn slow_readings(&mut self, true_time: u64) -> Readings {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => free.readings(0),
            Self::Enclave(enclave) => *enclave.slow_now().reading().readings(),
            Self::Host(_) => panic!("a granter's clock has free sources"),
        }
    }

    pub(crate) fn fast_now(&mut self, rng: &mut Rng, true_time: u64) -> Now<FastInstant> {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => {
                let ((then, before), (now, after)) = free.now(rng);
                Now {
                    not_before: FastInstant::new(Segment(then), before),
                    not_after: FastInstant::new(Segment(now), after),
                }
            }
            Self::Host(host) => host.fast_now(rng),
            Self::Enclave(enclave) => enclave.fast_now(),
        }
    }

    /// The moment as the most daring reader may see it: without slack.
    pub(crate) fn exactly(&mut self, true_time: u64) -> Now<FastInstant> {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => Now::at(FastInstant::new(Segment(free.segment), free.readings(0))),
            Self::Host(host) => host.exactly(),
            Self::Enclave(enclave) => enclave.exactly(),
        }
    }

    /// The moment as its machine reads it: the upper bound.
    pub(crate) fn at_most(&mut self, true_time: u64) -> Now<FastInstant> {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => {
                Now::at(FastInstant::new(Segment(free.segment), free.readings(free.slack)))
            }
            Self::Host(host) => host.exactly(),
            Self::Enclave(enclave) => enclave.exactly(),
        }
    }

    /// Whether a guard lets an act pass at this instant, `margin` nanoseconds ahead of the end.
    pub(crate) fn passes(
        &mut self,
        hand: &FastHand,
        hold: &Hold,
        margin: u64,
        true_time: u64,
    ) -> bool {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => {
                let now = FastInstant::new(Segment(free.segment), free.readings(0));
                match hand.remaining(&hold.anchor, hold.term, &now) {
                    Remaining::AtLeast(left) => margin == 0 || left.as_nanos() > margin,
                    Remaining::Over | Remaining::Unknown => false,
                }
            }
            Self::Host(host) => host.passes(hand, hold, margin),
            Self::Enclave(enclave) => enclave.passes(hand, hold, margin),
        }
    }

    pub(crate) fn source_count(&self) -> usize {
        match self {
            Self::Free(free) => free.sources.len(),
            Self::Host(_) | Self::Enclave(_) => 1,
        }
    }

    /// The suspended time that a segment can hide, in nanoseconds: guards charge it.
    pub(crate) const fn hidden(&self) -> u64 {
        match self {
            Self::Free(_) | Self::Enclave(_) => 0,
            Self::Host(_) => OFFSET_BLUR.as_nanos(),
        }
    }

    /// Whether its machine and its guard read one and the same hand.
    pub(crate) const fn is_one_for_all(&self) -> bool {
        matches!(self, Self::Free(_))
    }

    /// Whether a machine can act by what it says itself: that of a host charges less than its guard.
    pub(crate) const fn is_host(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    /// For how long nothing of it moves, in nanoseconds, however often it is read.
    pub(crate) fn stands(&self) -> u64 {
        match self {
            Self::Free(_) | Self::Host(_) => 0,
            Self::Enclave(enclave) => enclave.beat(),
        }
    }

    /// How often the thread that acts was taken out of its enclave, and until when it is out.
    pub(crate) fn actor(&mut self, true_time: u64) -> (u64, u64) {
        self.advance_to(true_time);
        match self {
            Self::Free(_) | Self::Host(_) => (0, 0),
            Self::Enclave(enclave) => enclave.actor(),
        }
    }

    /// The threads of an enclave are taken out of it for so long.
    pub(crate) fn interrupt(&mut self, threads: Interrupted, lasts: u64, true_time: u64) {
        self.advance_to(true_time);
        match (self, threads) {
            (Self::Enclave(enclave), Interrupted::All) => enclave.stop(lasts, false),
            (Self::Enclave(enclave), Interrupted::Actor) => enclave.interrupt_actor(lasts),
            (Self::Free(_) | Self::Host(_), _) => {}
        }
    }

    /// What the granter's timekeeper shows beside the truth, if there is one.
    pub(crate) fn executed(&mut self, true_time: u64) -> Option<Executed> {
        self.advance_to(true_time);
        match self {
            Self::Free(_) | Self::Host(_) => None,
            Self::Enclave(enclave) => Some(enclave.executed()),
        }
    }

    /// What the threads of an enclave know of this moment.
    pub(crate) fn threads(&mut self, true_time: u64) -> [Option<Reading>; 2] {
        self.advance_to(true_time);
        match self {
            Self::Free(_) | Self::Host(_) => [None, None],
            Self::Enclave(enclave) => [Who::Driver, Who::Actor].map(|who| enclave.asked(who)),
        }
    }

    /// Whether a timekeeper's segment went on after a contradiction.
    pub(crate) fn bridged_wrongly(&self) -> bool {
        match self {
            Self::Free(_) | Self::Host(_) => false,
            Self::Enclave(enclave) => enclave.bridged_wrongly(),
        }
    }

    /// The slowest counter that an enclave's profile admits, in Hz.
    pub(crate) fn slowest_counter(&self) -> Option<u64> {
        match self {
            Self::Free(_) | Self::Host(_) => None,
            Self::Enclave(enclave) => Some(enclave.slowest()),
        }
    }

    /// Whether it must see that continuity was lost.
    pub(crate) fn sees(&self, act: &ClockAct) -> bool {
        match (self, act) {
            (Self::Free(_) | Self::Enclave(_), ClockAct::Break { .. }) => true,
            (
                Self::Free(_) | Self::Enclave(_),
                ClockAct::Suspend { .. } | ClockAct::Migrate { .. },
            ) => true,
            (Self::Host(_), ClockAct::Suspend { lasts }) => *lasts > 2 * OFFSET_BLUR.as_nanos(),
            (Self::Host(host), ClockAct::Migrate { .. }) => host.has_vmclock(),
            (Self::Host(_), ClockAct::Break { .. })
            | (
                _,
                ClockAct::Jump { .. }
                | ClockAct::Rate { .. }
                | ClockAct::Vanish { .. }
                | ClockAct::Appear { .. }
                | ClockAct::Exit { .. }
                | ClockAct::Core { .. }
                | ClockAct::Counter { .. },
            ) => false,
        }
    }

    /// Whether one source never ran ahead of true time by more than its drift.
    pub(crate) fn kept_slow_promise(&self) -> bool {
        match self {
            Self::Free(free) => free.sources.iter().any(|source| !source.ran_ahead),
            Self::Enclave(enclave) => enclave.kept_slow_promise(),
            Self::Host(_) => panic!("a granter's clock has free sources"),
        }
    }

    /// Whether one source never fell behind true time by more than its drift, within a segment.
    pub(crate) fn kept_fast_promise(&self) -> bool {
        match self {
            Self::Free(free) => free.sources.iter().any(|source| !source.fell_behind),
            Self::Host(host) => host.kept_fast_promise(),
            Self::Enclave(enclave) => enclave.kept_fast_promise(),
        }
    }

    /// Whether a hypervisor can copy the machine: not the memory of an enclave.
    pub(crate) const fn can_be_copied(&self) -> bool {
        matches!(self, Self::Free(_) | Self::Host(_))
    }

    /// Whether something tells it that it was copied.
    pub(crate) const fn can_be_told(&self) -> bool {
        match self {
            Self::Free(_) => true,
            Self::Host(host) => host.has_vmclock(),
            Self::Enclave(_) => false,
        }
    }

    pub(crate) fn is_told_of_a_copy(&mut self, true_time: u64) {
        self.advance_to(true_time);
        match self {
            Self::Free(free) => free.happen(&ClockAct::Break { jumps: Vec::new() }),
            Self::Host(host) => host.disrupt(),
            Self::Enclave(_) => {}
        }
    }

    /// It ran up to this moment.
    pub(crate) fn run_to(&mut self, true_time: u64) {
        self.advance_to(true_time);
    }

    /// It goes on at this moment from what it shows: it did not run up to it.
    pub(crate) const fn goes_on_at(&mut self, true_time: u64) {
        match self {
            Self::Free(free) => free.at = true_time,
            Self::Host(host) => host.goes_on_at(true_time),
            Self::Enclave(_) => {}
        }
    }

    /// What it shows is behind true time, and nothing says so.
    pub(crate) fn falls_behind(&mut self) {
        match self {
            Self::Free(free) => {
                free.sources.iter_mut().for_each(|source| source.fell_behind = true)
            }
            Self::Host(host) => host.falls_behind(),
            Self::Enclave(_) => {}
        }
    }

    fn advance_to(&mut self, true_time: u64) {
        match self {
            Self::Free(free) => free.advance_to(true_time),
            Self::Host(host) => host.advance_to(true_time),
            Self::Enclave(enclave) => enclave.advance_to(true_time),
        }
    }
}

impl Free {
    fn begin(plan: &ClockPlan, true_time: u64) -> Self {
        let sources = plan.sources.iter().map(Raw::begin).collect();
        Self { sources, at: true_time, segment: 0, published: None, slack: plan.slack }
    }

    fn happen(&mut self, act: &ClockAct) {
        match act {
            ClockAct::Jump { source, by } => {
                // A reset concerns what was published too: the bounds of a moment are of one clock.
                self.published = None;
                if let Some(source) = self.sources.get_mut(*source) {
                    source.jump(*by);
                }
            }
            ClockAct::Rate { source, ppb } => {
                if let Some(source) = self.sources.get_mut(*source) {
                    source.run_at(*ppb);
                }
            }
            ClockAct::Vanish { source } | ClockAct::Appear { source } => {
                self.published = None;
                if let Some(source) = self.sources.get_mut(*source) {
                    source.present = matches!(act, ClockAct::Appear { .. });
                }
            }
            ClockAct::Break { jumps } => {
                self.segment += 1;
                for (source, by) in self.sources.iter_mut().zip(jumps) {
                    // Of no consequence for a fast hand, which measures within a segment.
                    let fell_behind = source.fell_behind;
                    source.jump(*by);
                    source.fell_behind = fell_behind;
                }
            }
            ClockAct::Suspend { .. } | ClockAct::Migrate { .. } => self.segment += 1,
            // Of enclaves.
            ClockAct::Exit { .. } | ClockAct::Core { .. } | ClockAct::Counter { .. } => {}
        }
    }

    fn heal(&mut self) {
        self.slack = 0;
        for source in &mut self.sources {
            source.rate_ppb = BILLION;
            source.present = true;
        }
    }

    fn now(&mut self, rng: &mut Rng) -> ((u64, Readings), (u64, Readings)) {
        let fresh = (self.segment, self.readings(0));
        let before = match self.published {
            Some(published) if self.slack > 0 && rng.chance(50) => published,
            Some(_) | None => fresh,
        };
        self.published = Some(before);
        (before, (self.segment, self.readings(self.slack)))
    }

    fn advance_to(&mut self, true_time: u64) {
        let passed = u128::from(true_time - self.at);
        if passed > 0 {
            self.at = true_time;
            for source in &mut self.sources {
                source.shown += passed * u128::from(source.rate_ppb);
            }
        }
    }

    fn readings(&self, more: u64) -> Readings {
        let mut all = [None; SOURCES_MAX];
        for (slot, source) in all.iter_mut().zip(&self.sources) {
            *slot = source.reading(more);
        }
        Readings::new(&all)
    }

    fn described(&self, nanos: u64, ticks: u64) -> Vec<Source> {
        let described = |raw: &Raw| Source::assume(nanos, ticks, Ticks(raw.granularity));
        self.sources.iter().map(described).collect()
    }
}
