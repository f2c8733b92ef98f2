//! An enclave on a host that takes its threads out of it whenever it likes, and sets and slows their
//! counters meanwhile: the very `Timekeeper`, `Handshake` and `Stretch` that ship, driven as `Keepers`
//! drives them.
//!
//! A beat takes longer here than on a processor, so that a world has some ten thousand of them and not
//! millions; all that is judged by the length of a beat is longer by as much.

mod counter;
mod keeper;
mod reader;

use tlease_clock::enclave::{
    CpuModel, Handshake, Hertz, HzRange, Line, Links, MachineProfile, Pace, Published, Smt,
    Stretch, Timekeeper, choose,
};
use tlease_core::holder::Hold;
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Source, Ticks,
};

use self::counter::Counter;
use self::keeper::{Doing, Keeper, Next, Why};
use self::reader::{Asks, Known, Reader};
use crate::act::ClockAct;
use crate::options::{BILLION, EnclavePlan};
use crate::planted::Planted;
use crate::rng::Rng;

/// The clock of an enclave.
#[derive(Debug, Clone)]
pub(crate) struct Enclave {
    /// The true time up to which it ran.
    at: u64,
    plan: EnclavePlan,
    profile: MachineProfile,
    pace: Pace,
    keepers: Vec<Keeper>,
    readers: [Reader; 2],
    reach: Ticks,
    /// For how long a thread waits for an answer.
    patience: u64,
    fresh: u64,
    strays: u64,
    rng: Rng,
    next_exit: Option<u64>,
    healed: bool,
    /// Whether the machine profile was right so far: of the cores, and of the counters.
    cores_kept: bool,
    counters_kept: bool,
    /// Whether a segment went on after a counter and its core had contradicted the profile.
    bridged_wrongly: bool,
    planted: Planted,
}

/// A thread in the enclave that extends the fast hand by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one that feeds the holder.
    Driver,
    /// The one that acts.
    Actor,
}

/// What a thread knows of this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) at: FastInstant,
    /// When the handshake began that it rests on, and when the thread was interrupted last.
    pub(crate) since: u64,
    pub(crate) broken_at: Option<u64>,
}

/// The links that a granter can count on, and those that were executed, in truth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Executed {
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Enclave {
    pub(crate) fn begin(plan: &EnclavePlan, true_time: u64, planted: Planted) -> Self {
        let profile = profile(plan);
        let cycles_per_link = profile.cycles_per_link().get();
        let cycles = u128::from(plan.beat) * u128::from(plan.core_hz.1) / u128::from(BILLION);
        let links = u64::try_from(cycles).expect("a moment").div_ceil(cycles_per_link);
        let pace = planted.in_pace(Pace::with_beat(&profile, Links(links)));
        let mut rng = Rng::stream(plan.seed, 21);
        let mut counter = || {
            let shown = rng.between(1 << 40, 1 << 50);
            Counter::begin(true_time, shown, plan.tsc_hz.0, plan.step)
        };
        let mut keeper = || {
            let machine = Timekeeper::new(pace);
            Keeper::begin(true_time, machine, counter(), links * cycles_per_link)
        };
        let keepers = (0..plan.keepers).map(|_| keeper()).collect();
        let readers = [Reader::begin(counter()), Reader::begin(counter())];
        let patience = u128::from(pace.gap_max().0) * 2 * u128::from(BILLION);
        let patience = patience / u128::from(plan.tsc_hz.1);
        let mut enclave = Self {
            at: true_time,
            patience: u64::try_from(patience).expect("a moment"),
            pace,
            keepers,
            readers,
            reach: Ticks(pace.gap_max().0 * REACH_GAPS),
            fresh: 0,
            strays: 0,
            rng,
            next_exit: None,
            healed: false,
            cores_kept: true,
            counters_kept: true,
            bridged_wrongly: false,
            planted,
            profile,
            plan: *plan,
        };
        for keeper in &mut enclave.keepers {
            keeper.core_runs_at(true_time, plan.core_hz.1);
        }
        enclave.draw_next_exit();
        enclave
    }

    pub(crate) fn slow_hand(&self) -> SlowHand {
        if planted!(self.planted, SlowestCoreCounts) {
            let nanos = self.profile.cycles_per_link().get() * BILLION;
            let slowest = self.profile.core_hz().min().get();
            return SlowHand::new(&[Source::assume(nanos, slowest, Ticks(1))]);
        }
        self.profile.slow_hand()
    }

    pub(crate) fn fast_hand(&self) -> FastHand {
        self.profile.fast_hand()
    }

    /// Whether no core ran faster than the profile admits.
    pub(crate) const fn kept_slow_promise(&self) -> bool {
        self.cores_kept
    }

    /// Whether every counter ran at an admitted rate.
    pub(crate) const fn kept_fast_promise(&self) -> bool {
        self.counters_kept
    }

    /// The segment that is served.
    pub(crate) fn segment(&self) -> u64 {
        self.anchor().map_or(NOTHING.0, |anchor| anchor.segment().0)
    }

    /// For how long a beat of the slowest core lasts: nothing changes in between.
    pub(crate) fn beat(&self) -> u64 {
        self.plan.beat * self.plan.core_hz.1 / self.plan.core_hz.0
    }

    /// Whether a segment went on after a counter and its core had contradicted the profile.
    pub(crate) const fn bridged_wrongly(&self) -> bool {
        self.bridged_wrongly
    }

    /// The slowest admitted counter, in Hz.
    pub(crate) const fn slowest(&self) -> u64 {
        self.plan.tsc_hz.0
    }

    /// As `Keepers::slow_now`.
    pub(crate) fn slow_now(&self) -> Now<SlowInstant> {
        let at = |links| SlowInstant::new(Readings::one(Ticks(links)));
        let executed = self.pace.executed(self.keepers[0].shows.slow);
        Now { not_before: at(*executed.start()), not_after: at(*executed.end()) }
    }

    /// What the slow hand shows, beside the truth.
    pub(crate) fn executed(&self) -> Executed {
        let range = self.pace.executed(self.keepers[0].shows.slow);
        let (least, most) = self.keepers[0].executed();
        Executed { not_before: *range.start(), not_after: *range.end(), least, most }
    }

    /// As `KeeperClock::fast_now`.
    pub(crate) fn fast_now(&mut self) -> Now<FastInstant> {
        let Some(anchor) = self.anchor() else {
            return Now { not_before: self.stray(), not_after: self.stray() };
        };
        let reading = self.reading(Who::Driver).map(|reading| reading.at);
        let reading = reading.filter(|reading| reading.segment() == anchor.segment());
        if reading.is_none() {
            self.shakes_anew(Who::Driver);
        }
        let not_after = reading.unwrap_or_else(|| self.stray());
        Now { not_before: anchor, not_after }
    }

    /// As `Keepers::anchor`.
    pub(crate) fn anchor(&self) -> Option<FastInstant> {
        let shown: Vec<Published> = self.keepers.iter().map(|keeper| keeper.shows).collect();
        if planted!(self.planted, MostAdvancedKeeper) {
            let fast = shown.iter().filter(|shown| shown.segment.is_some()).map(|shown| shown.fast);
            let segment = choose(&shown)?.segment();
            return Some(FastInstant::new(segment, Readings::one(fast.max()?)));
        }
        choose(&shown)
    }

    /// An upper bound of this moment, by what a thread knows.
    pub(crate) fn reading(&self, who: Who) -> Option<Reading> {
        let reader = &self.readers[who.index()];
        if reader.out > self.at {
            return None;
        }
        let Known { since, stretch } = reader.stretch?;
        let Ok(mut upper) = stretch.upper(reader.counter.shows(self.at)) else { return None };
        if planted!(self.planted, PublishedAsNow) {
            upper = self.keepers[0].shows.fast;
        }
        let at = FastInstant::new(stretch.segment(), Readings::one(upper));
        Some(Reading { at, since, broken_at: reader.broken_at })
    }

    /// The same, of a thread that shakes hands anew if it knows nothing any more.
    pub(crate) fn asked(&mut self, who: Who) -> Option<Reading> {
        let reading = self.reading(who);
        if reading.is_none() {
            self.shakes_anew(who);
        }
        reading
    }

    /// The same as an instant, to which nothing else belongs if nothing is known.
    pub(crate) fn exactly(&self) -> Now<FastInstant> {
        let reading = self.reading(Who::Driver).map(|reading| reading.at);
        Now::at(reading.unwrap_or_else(|| FastInstant::new(NOTHING, Readings::one(Ticks(0)))))
    }

    /// What the gate of a transaction at this instant shows of a lease: whether the acting thread knows
    /// its segment, and is `margin` ahead of its end.
    pub(crate) fn passes(&mut self, hand: &FastHand, hold: &Hold, margin: u64) -> bool {
        let Some(reading) = self.reading(Who::Actor) else {
            self.shakes_anew(Who::Actor);
            return false;
        };
        if reading.at.segment() != hold.anchor.segment() && !planted!(self.planted, AnySegment) {
            if Some(reading.at.segment()) != self.anchor().map(|anchor| anchor.segment()) {
                self.shakes_anew(Who::Actor);
            }
            return false;
        }
        let margin = u128::from(margin) * u128::from(self.plan.tsc_hz.1);
        let margin = u64::try_from(margin.div_ceil(u128::from(BILLION))).expect("a moment");
        let Some(Ticks(end)) = hand.deadline(&hold.anchor, hold.term, 0) else { return false };
        let Some(Ticks(now)) = reading.at.readings().get(0) else { return false };
        now.saturating_add(margin) < end
    }

    /// How often the acting thread was interrupted, and until when it is out.
    pub(crate) const fn actor(&self) -> (u64, u64) {
        let [_, actor] = &self.readers;
        (actor.exits, actor.out)
    }

    pub(crate) fn happen(&mut self, act: &ClockAct) {
        match act {
            ClockAct::Exit { thread, lasts, by, hz } => self.exit(*thread, *lasts, *by, *hz),
            ClockAct::Core { keeper, hz } => {
                self.cores_kept &= *hz <= self.plan.core_hz.1;
                let at = self.at;
                if let Some(keeper) = self.keepers.get_mut(*keeper) {
                    keeper.core_runs_at(at, *hz);
                }
            }
            ClockAct::Counter { thread, hz } => {
                self.counters_kept &= self.admits(*hz);
                let at = self.at;
                if let Some(counter) = self.counter(*thread) {
                    counter.run_at(at, *hz);
                }
            }
            // Everything stops, and the counters with it.
            ClockAct::Suspend { lasts } | ClockAct::Migrate { lasts } => self.stop(*lasts, true),
            ClockAct::Break { jumps } => {
                for thread in 0..THREADS {
                    let by = jumps.get(thread % jumps.len().max(1)).copied().unwrap_or(0);
                    self.exit(thread, 0, by, self.plan.tsc_hz.0);
                }
            }
            ClockAct::Jump { .. }
            | ClockAct::Rate { .. }
            | ClockAct::Vanish { .. }
            | ClockAct::Appear { .. } => {}
        }
    }

    /// Every thread is taken out for so long.
    pub(crate) fn stop(&mut self, lasts: u64, counters_too: bool) {
        let ticks = u128::from(lasts) * u128::from(self.plan.tsc_hz.0) / u128::from(BILLION);
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        for thread in 0..THREADS {
            let by = if counters_too { -ticks } else { 0 };
            self.exit(thread, lasts, by, self.plan.tsc_hz.0);
        }
    }

    /// The thread that acts is taken out for so long; its counter stands still meanwhile.
    pub(crate) fn interrupt_actor(&mut self, lasts: u64) {
        let ticks = u128::from(lasts) * u128::from(self.plan.tsc_hz.0) / u128::from(BILLION);
        let by = i64::try_from(ticks).unwrap_or(i64::MAX);
        self.exit(THREADS - 1, lasts, -by, self.plan.tsc_hz.0);
    }

    /// From now on nobody interrupts it.
    pub(crate) fn heal(&mut self) {
        let at = self.at;
        (self.healed, self.next_exit) = (true, None);
        for keeper in &mut self.keepers {
            keeper.returns(at);
            keeper.core_runs_at(at, self.plan.core_hz.1);
        }
        for reader in &mut self.readers {
            reader.out = reader.out.min(at);
        }
        for thread in 0..THREADS {
            let hz = self.plan.tsc_hz.0;
            if let Some(counter) = self.counter(thread) {
                counter.run_at(at, hz);
            }
        }
    }

    /// A thread is out of the enclave for so long, and its counter is set and slowed meanwhile.
    pub(crate) fn exit(&mut self, thread: usize, lasts: u64, by: i64, hz: u64) {
        self.counters_kept &= self.admits(hz);
        let (at, until) = (self.at, self.at + lasts);
        let keeps = planted!(self.planted, StretchOutlivesExit);
        match thread.checked_sub(KEEPERS_MAX) {
            None => match self.keepers.get_mut(thread) {
                Some(keeper) => keeper.exit(at, until),
                None => return,
            },
            Some(reader) => self.readers[reader % 2].exit(at, until, keeps),
        }
        if let Some(counter) = self.counter(thread) {
            // Nobody reads it before the thread is back: it may be moved at any moment until then.
            counter.set(at, by);
            counter.run_at(at, hz);
        }
    }

    /// Goes on to a moment, and does all that happens until then in its order.
    pub(crate) fn advance_to(&mut self, true_time: u64) {
        loop {
            let (when, what) = self.next();
            if when > true_time {
                break;
            }
            self.at = self.at.max(when);
            match what {
                Happens::Exit => self.exit_now(),
                Happens::Keeper(index) => self.keeper_is_due(index),
                Happens::Reader(index) => self.ask(index),
            }
        }
        self.at = true_time;
        for keeper in &mut self.keepers {
            keeper.run_to(true_time);
        }
    }

    fn next(&self) -> (u64, Happens) {
        let mut next = (u64::MAX, Happens::Exit);
        let mut candidate = |when: u64, what| {
            if when < next.0 {
                next = (when, what);
            }
        };
        if let Some(when) = self.next_exit {
            candidate(when, Happens::Exit);
        }
        for (index, keeper) in self.keepers.iter().enumerate() {
            candidate(keeper.due(), Happens::Keeper(index));
        }
        for (index, reader) in self.readers.iter().enumerate() {
            if let Some(when) = reader.due(self.patience) {
                candidate(when, Happens::Reader(index));
            }
        }
        next
    }

    fn keeper_is_due(&mut self, index: usize) {
        let at = self.at;
        self.keepers[index].run_to(at);
        if let Doing::Asks { .. } = self.keepers[index].doing {
            return self.learned(index, None);
        }
        // The fence at the end of a beat: what was published before it is visible.
        self.publish(index);
        let next = self.keepers[index].beat(at);
        if !self.plan.late || index > 0 {
            self.publish(index);
        }
        match next {
            Next::Beats => {}
            Next::Looks => self.looks(index),
            Next::Restarts => self.asks_the_other(index, Why::Restart),
        }
    }

    fn looks(&mut self, index: usize) {
        let Some(other) = self.keepers.get(1 - index) else { return };
        if self.keepers[index].machine.should_follow(&other.shows) {
            self.asks_the_other(index, Why::Follow);
        }
    }

    /// As `Keepers::learn_from` begins.
    fn asks_the_other(&mut self, index: usize, why: Why) {
        let at = self.at;
        let serves = self.keepers.get(1 - index).filter(|other| other.shows.segment.is_some());
        let Some(version) = serves.map(|other| other.version) else {
            if why == Why::Restart {
                self.restart(index, None);
            }
            return;
        };
        let before = self.keepers[index].counter.shows(at);
        let handshake = self.planted.in_handshake(Handshake::begin(before, version));
        self.keepers[index].asks(at, handshake, at + self.patience, why);
    }

    /// The end of that.
    fn learned(&mut self, index: usize, line: Option<Line>) {
        let at = self.at;
        let Doing::Asks { why, .. } = self.keepers[index].doing else { return };
        let line = line.filter(|_| self.keepers[index].is_unbroken());
        match (why, line) {
            (Why::Restart, line) => self.restart(index, line),
            (Why::Follow, Some(line)) => {
                let keeper = &mut self.keepers[index];
                keeper.machine.follow(line, keeper.counter.shows(at));
            }
            (Why::Follow, None) => {}
        }
        self.keepers[index].beats_again(at);
    }

    fn restart(&mut self, index: usize, line: Option<Line>) {
        let (at, fresh) = (self.at, &mut self.fresh);
        let keeper = &mut self.keepers[index];
        let bridged = keeper.machine.exits().bridged;
        let contradicted = keeper.contradicted;
        keeper.machine.restart(keeper.counter.shows(at), line, || {
            *fresh += 1;
            Segment(*fresh)
        });
        self.bridged_wrongly |= contradicted && keeper.machine.exits().bridged != bridged;
    }

    /// What a timekeeper published becomes visible, and answers those who wait for it.
    fn publish(&mut self, index: usize) {
        if !self.keepers[index].publish() {
            return;
        }
        let (at, skew) = (self.at, self.pace.skew());
        let Keeper { version, shows, .. } = self.keepers[index];
        if let Some(other) = self.keepers.get(1 - index)
            && let Doing::Asks { handshake, .. } = other.doing
            && other.is_in(at)
        {
            let after = other.counter.shows(at);
            let line = handshake.answer(version, &shows, after, skew);
            if line.is_some() {
                self.learned(1 - index, line);
            }
        }
        for reader in &mut self.readers {
            if let Some(Asks { since, handshakes }) = reader.asks
                && let Some(handshake) = handshakes[index]
                && reader.out <= at
                && let Some(line) =
                    handshake.answer(version, &shows, reader.counter.shows(at), skew)
            {
                reader.asks = None;
                let stretch = Stretch::begin(&line, self.reach);
                reader.stretch = stretch.map(|stretch| Known { since, stretch });
            }
        }
    }

    fn ask(&mut self, index: usize) {
        let at = self.at;
        let reader = &mut self.readers[index];
        let before = reader.counter.shows(at);
        let mut handshakes = [None; KEEPERS_MAX];
        for (handshake, keeper) in handshakes.iter_mut().zip(&self.keepers) {
            let begun = Handshake::begin(before, keeper.version);
            *handshake = Some(self.planted.in_handshake(begun));
        }
        reader.asks = Some(Asks { since: at, handshakes });
    }

    fn shakes_anew(&mut self, who: Who) {
        self.readers[who.index()].stretch = None;
    }

    /// As `Keepers::stray`.
    fn stray(&mut self) -> FastInstant {
        self.strays += 1;
        FastInstant::new(Segment(STRAYS + self.strays), Readings::one(Ticks(0)))
    }

    /// The host takes a thread out: a timer tick, or more than that.
    fn exit_now(&mut self) {
        let beat = self.plan.beat;
        let thread = self.rng.pick(&[0, 0, 1, 1, 2, 3]);
        let lasts = self.rng.pick(&[0, beat / 3, beat * 3, beat * 40]);
        let ticks = u128::from(lasts) * u128::from(self.plan.tsc_hz.0) / u128::from(BILLION);
        let stood_still = -i64::try_from(ticks).expect("a moment");
        let far = self.rng.between(0, self.pace.gap_max().0 * 100).cast_signed();
        let by = self.rng.pick(&[0, stood_still, stood_still, far, -far]);
        let hz = self.admitted();
        self.exit(thread, if thread < KEEPERS_MAX { lasts } else { 0 }, by, hz);
        self.draw_next_exit();
    }

    fn draw_next_exit(&mut self) {
        let every = self.plan.exits_every;
        if every > 0 && !self.healed {
            self.next_exit = Some(self.at + self.rng.between(1, every * 2));
        }
    }

    fn admitted(&mut self) -> u64 {
        let (slowest, fastest) = self.plan.tsc_hz;
        let between = self.rng.between(slowest, fastest);
        self.rng.pick(&[slowest, fastest, between])
    }

    const fn admits(&self, hz: u64) -> bool {
        let (slowest, fastest) = self.plan.tsc_hz;
        slowest <= hz && hz <= fastest
    }

    fn counter(&mut self, thread: usize) -> Option<&mut Counter> {
        match thread.checked_sub(KEEPERS_MAX) {
            None => self.keepers.get_mut(thread).map(|keeper| &mut keeper.counter),
            Some(reader) => self.readers.get_mut(reader).map(|reader| &mut reader.counter),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Happens {
    Exit,
    Keeper(usize),
    Reader(usize),
}

impl Who {
    const fn index(self) -> usize {
        match self {
            Self::Driver => 0,
            Self::Actor => 1,
        }
    }
}

/// Whether nothing else belongs to this segment.
pub(crate) const fn is_stray(segment: Segment) -> bool {
    segment.0 >= STRAYS
}

fn profile(plan: &EnclavePlan) -> MachineProfile {
    let range = |(min, max)| HzRange::assume(Hertz::new(min)?, Hertz::new(max)?);
    let core = range(plan.core_hz).expect("a range of frequencies");
    let tsc = range(plan.tsc_hz).expect("a range of rates");
    let cpu = CpuModel { vendor: "AuthenticAMD".into(), family: 25, model: 17, stepping: 1 };
    MachineProfile::assume(cpu, core, tsc, Smt::Off).expect("a known model")
}

/// Timekeepers are threads 0 and 1, the driver is 2 and the actor 3.
const KEEPERS_MAX: usize = 2;
const THREADS: usize = 4;
/// How far beyond a handshake a thread extends the hand: as many times the longest beat as ships is
/// thousands, but here a beat is longer.
const REACH_GAPS: u64 = 16;
/// Segments of instants to which nothing else belongs.
const STRAYS: u64 = 1 << 63;
const NOTHING: Segment = Segment(u64::MAX);
