//! Timekeepers and holders on a hostile CPU: whatever the host does to counters while it interrupts, an
//! advance of the fast hand is never short of the time that passed, nor one of the slow hand beyond it.

#![expect(clippy::unwrap_used, reason = "a world of numbers that fit")]

use proptest::prelude::*;
use tlease_clock::enclave::{
    Beat, CpuModel, Handshake, Hertz, HzRange, Links, MachineProfile, Mark, Pace, Published, Smt,
    Stretch, Timekeeper, Verdict, choose,
};
use tlease_core::time::{FastInstant, Now, Readings, Remaining, Segment, SlowInstant, Span, Ticks};

/// Everything at once: true time in picoseconds, and counters that the host moves.
struct World {
    time: u64,
    fresh: u64,
    profile: MachineProfile,
    threads: [Thread; 3],
    keepers: [Keeper; 2],
    anchors: Vec<(u64, FastInstant)>,
    stamps: Vec<(u64, u64)>,
    stretch: Option<Stretch>,
}

/// A thread's counter: what it showed at some time, and how fast it runs, in Hz.
#[derive(Clone, Copy)]
struct Thread {
    at: u64,
    shown: u64,
    hz: u64,
}

struct Keeper {
    machine: Timekeeper,
    shows: Published,
    /// Published, and not visible before the fence that ends the next beat.
    leaving: Option<Published>,
    version: u64,
    lost: bool,
    late: bool,
    /// When its beat ends, and the frequency of its core, in MHz.
    due: u64,
    mhz: u64,
    /// It waits for the other one, and does not beat.
    waits: bool,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A timekeeper's core goes on at another frequency, in MHz, and its stores leave it at once or as
    /// late as they can.
    Pace { keeper: usize, mhz: u64, late: bool },
    /// A thread is interrupted for so many ns, and its counter is set by so many ticks, at another rate.
    /// That rate is anywhere between the slowest and the fastest admitted: so many per mille of it.
    Exit { thread: usize, nanos: u64, set: i64, rate: u64 },
    /// A holder anchors.
    Anchor,
    /// A granter stamps.
    Stamp,
    /// The holder begins a stretch by a handshake with a timekeeper.
    Shake { keeper: usize },
    /// Time passes, and the holder looks at the clock.
    Check { nanos: u64 },
}

const HZ: u64 = 2_500_000_000;
const HOLDER: usize = 2;

impl World {
    /// Counters may differ by `width` Hz.
    fn new(width: u64) -> Self {
        let hz =
            |min, max| HzRange::assume(Hertz::new(min).unwrap(), Hertz::new(max).unwrap()).unwrap();
        let cpu = CpuModel { vendor: "AuthenticAMD".into(), family: 25, model: 17, stepping: 1 };
        let core = hz(1_000_000_000, 4_000_000_000);
        let profile = MachineProfile::assume(cpu, core, hz(HZ, HZ + width), Smt::Off).unwrap();
        let pace = Pace::of(&profile);
        let keeper = || {
            let machine = Timekeeper::new(pace);
            Keeper {
                shows: machine.published(),
                leaving: None,
                machine,
                version: 0,
                lost: true,
                late: true,
                due: 0,
                mhz: 3_500,
                waits: false,
            }
        };
        let thread = |shown| Thread { at: 0, shown, hz: HZ };
        Self {
            time: 0,
            fresh: 0,
            threads: [thread(1 << 40), thread(1 << 41), thread(1 << 39)],
            keepers: [keeper(), keeper()],
            profile,
            anchors: Vec::new(),
            stamps: Vec::new(),
            stretch: None,
        }
    }

    fn own(&self, thread: usize) -> Ticks {
        let Thread { at, shown, hz } = self.threads[thread];
        let ticks = u128::from(self.time - at) * u128::from(hz) / 1_000_000_000_000;
        Ticks(shown + u64::try_from(ticks).unwrap())
    }

    /// Time passes, and every timekeeper beats that is neither interrupted nor waiting.
    fn pass(&mut self, nanos: u64) {
        let until = self.time + nanos * 1_000;
        while let Some(keeper) = self.next().filter(|next| self.keepers[*next].due <= until) {
            self.time = self.time.max(self.keepers[keeper].due);
            self.beat(keeper);
        }
        self.time = self.time.max(until);
    }

    /// Whose beat ends first.
    fn next(&self) -> Option<usize> {
        let beats = |keeper: &usize| !self.keepers[*keeper].waits;
        (0..2).filter(beats).min_by_key(|keeper| self.keepers[*keeper].due)
    }

    /// The end of a beat of a timekeeper, and its publication.
    fn beat(&mut self, keeper: usize) {
        self.arrive(keeper);
        let own = self.own(keeper);
        let at = &mut self.keepers[keeper];
        let mark = if at.lost { Mark::Lost } else { Mark::Kept };
        let verdict = at.machine.beat(&Beat { own, mark });
        self.publish(keeper);
        if verdict != Verdict::Continues {
            self.restart(keeper);
        } else if self.keepers[keeper].machine.should_follow(&self.keepers[1 - keeper].shows)
            && let Some((line, own)) = self.shake(keeper, 1 - keeper)
            && !self.keepers[keeper].lost
        {
            self.keepers[keeper].machine.follow(line, own);
        }
        let Links(links) = self.keepers[keeper].machine.pace().beat();
        // Three cycles each; a cycle takes 10^6 / MHz picoseconds, and the rest of the loop some ns.
        let at = &mut self.keepers[keeper];
        at.due = self.time + links * 3 * 1_000_000 / at.mhz + 5_000;
    }

    fn publish(&mut self, keeper: usize) {
        self.arrive(keeper);
        self.keepers[keeper].leaving = Some(self.keepers[keeper].machine.published());
        if !self.keepers[keeper].late {
            self.arrive(keeper);
        }
    }

    fn arrive(&mut self, keeper: usize) {
        let at = &mut self.keepers[keeper];
        if let Some(shown) = at.leaving.take() {
            at.shows = shown;
            at.version += 1;
        }
    }

    fn restart(&mut self, keeper: usize) {
        self.keepers[keeper].lost = false;
        let own = self.own(keeper);
        let bridged = self.shake(keeper, 1 - keeper);
        let own = bridged.as_ref().map_or(own, |(_, after)| *after);
        let fresh = &mut self.fresh;
        self.keepers[keeper].machine.restart(own, bridged.map(|(line, _)| line), || {
            *fresh += 1;
            Segment(*fresh)
        });
    }

    /// A handshake of a thread with a timekeeper, which beats twice meanwhile.
    fn shake(
        &mut self,
        thread: usize,
        keeper: usize,
    ) -> Option<(tlease_clock::enclave::Line, Ticks)> {
        if self.keepers[keeper].waits || self.keepers[keeper].shows.segment.is_none() {
            return None;
        }
        if let Some(own) = self.keepers.get_mut(thread) {
            own.waits = true;
        }
        let handshake = Handshake::begin(self.own(thread), self.keepers[keeper].version);
        let (skew, mut line) = (self.profile.skew(), None);
        for _ in 0..60 {
            self.pass(40);
            let Keeper { shows, version, .. } = &self.keepers[keeper];
            let after = self.own(thread);
            line = handshake.answer(*version, shows, after, skew).map(|line| (line, after));
            if line.is_some() {
                break;
            }
        }
        if let Some(own) = self.keepers.get_mut(thread) {
            own.waits = false;
        }
        line
    }

    fn exit(&mut self, thread: usize, nanos: u64, set: i64, hz: u64) {
        // One that is interrupted does not beat, but it may have been about to publish.
        match self.keepers.get_mut(thread) {
            Some(keeper) => {
                keeper.lost = true;
                // It goes on only when its counter has been moved.
                keeper.due = self.time + nanos * 1_000 + 1;
            }
            None => self.stretch = None,
        }
        self.pass(nanos);
        let Ticks(own) = self.own(thread);
        let shown = own.saturating_add_signed(set);
        self.threads[thread] = Thread { at: self.time, shown, hz };
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pace { keeper, mhz, late } => {
                self.keepers[keeper].mhz = mhz;
                self.keepers[keeper].late = late;
            }
            Step::Exit { thread, nanos, set, rate } => {
                let width = self.profile.tsc_hz().max().get() - HZ;
                self.exit(thread, nanos, set, HZ + width * rate / 1_000);
            }
            Step::Anchor => {
                let shown = [self.keepers[0].shows, self.keepers[1].shows];
                self.anchors.extend(choose(&shown).map(|anchor| (self.time, anchor)));
            }
            Step::Stamp => {
                let executed = self.keepers[0].machine.pace().executed(self.keepers[0].shows.slow);
                self.stamps.push((self.time, *executed.end()));
            }
            Step::Shake { keeper } => {
                let reach = Ticks(HZ / 100);
                let line = self.shake(HOLDER, keeper);
                self.stretch = line.and_then(|(line, _)| Stretch::begin(&line, reach));
            }
            Step::Check { nanos } => self.pass(nanos),
        }
    }

    /// What a holder that looks now must not believe, and a granter that looks now must not free.
    fn judge(&self) -> Result<(), TestCaseError> {
        let slow = self.keepers[0].shows.slow.0;
        let slow = SlowInstant::new(Readings::one(Ticks(slow)));
        for (then, stamp) in &self.stamps {
            let passed = (self.time - then) / 1_000;
            let stamp = SlowInstant::new(Readings::one(Ticks(*stamp)));
            // A stamp above now is no advance at all.
            let elapsed = self.profile.slow_hand().elapsed_floor(&stamp, &slow);
            prop_assert!(elapsed.unwrap_or(Span::ZERO).as_nanos() <= passed, "freed early");
        }
        let Some(stretch) = &self.stretch else { return Ok(()) };
        let Ok(upper) = stretch.upper(self.own(HOLDER)) else { return Ok(()) };
        let now = Now::at(FastInstant::new(stretch.segment(), Readings::one(upper)));
        for (then, anchor) in &self.anchors {
            // In whole ns, rounded down: a term that long is over.
            let passed = Span::from_nanos((self.time - then) / 1_000);
            let left = self.profile.fast_hand().remaining(anchor, passed, &now.reading());
            prop_assert!(!matches!(left, Remaining::AtLeast(_)), "acted late");
        }
        Ok(())
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mhz = prop_oneof![4 => 1_000_u64..=4_000, 1 => Just(4_000_u64)];
    let set = prop_oneof![Just(0_i64), -3_000_i64..3_000, -30_000_000_i64..30_000_000];
    let rate = prop_oneof![Just(0_u64), Just(1_000), 0..=1_000_u64];
    let step = prop_oneof![
        1 => (0..2_usize, mhz, any::<bool>())
            .prop_map(|(keeper, mhz, late)| Step::Pace { keeper, mhz, late }),
        2 => (0..3_usize, prop_oneof![0_u64..500, 0_u64..300_000], set, rate)
            .prop_map(|(thread, nanos, set, rate)| Step::Exit { thread, nanos, set, rate }),
        3 => Just(Step::Anchor),
        3 => Just(Step::Stamp),
        4 => (0..2_usize).prop_map(|keeper| Step::Shake { keeper }),
        6 => prop_oneof![0_u64..100, 0_u64..10_000, 0_u64..300_000].prop_map(|nanos| Step::Check { nanos }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_host_makes_a_hand_run_on_the_wrong_side(
        steps in steps(), width in prop_oneof![Just(0), Just(20_000_000)]
    ) {
        let mut world = World::new(width);
        for step in &steps {
            world.step(step);
            world.judge()?;
        }
    }
}

/// With the admitted rates 2 % apart, what was learned of a hand is worth less and less.
#[test]
fn a_segment_whose_counter_is_gone_ends_before_its_bounds_eat_up_a_lease() {
    let mut world = World::new(HZ / 50);
    world.pass(40_000);
    world.step(&Step::Anchor);
    let segment = world.anchors[0].1.segment();
    for thread in 0..2 {
        world.step(&Step::Exit { thread, nanos: 10_000, set: 0, rate: 0 });
        world.pass(40_000);
    }
    world.step(&Step::Anchor);
    assert_eq!(world.anchors[1].1.segment(), segment, "both go on with what they learned");
    // 20 ms: 4 % of that are 0.8 ms.
    world.pass(20_000_000);
    world.step(&Step::Anchor);
    assert_eq!(world.anchors[2].1.segment(), segment);
    world.pass(20_000_000);
    world.step(&Step::Anchor);
    assert_ne!(world.anchors[3].1.segment(), segment);
    let most = world.keepers[0].machine.pace().blur_max();
    assert!(world.keepers.iter().all(|keeper| keeper.shows.blur <= most));
    world.judge().unwrap();
}

/// The property above must not hold for want of anything to judge.
#[test]
fn a_quiet_machine_anchors_checks_and_bridges() {
    let mut world = World::new(20_000_000);
    for _ in 0..3 {
        world.pass(40_000);
        world.step(&Step::Anchor);
        world.step(&Step::Stamp);
    }
    let segment = world.anchors[1].1.segment();
    let before = world.keepers[0].machine.exits();
    world.step(&Step::Exit { thread: 0, nanos: 100_000, set: -2_000_000, rate: 1_000 });
    world.pass(40_000);
    let after = world.keepers[0].machine.exits();
    assert_eq!(after.bridged, before.bridged + 1, "on the other's line");
    world.step(&Step::Anchor);
    world.step(&Step::Shake { keeper: 0 });
    world.step(&Step::Check { nanos: 1_000 });
    let stretch = world.stretch.as_ref().expect("a handshake");
    assert_eq!(stretch.segment(), segment, "the segment goes on");
    let upper = stretch.upper(world.own(HOLDER)).unwrap();
    let now = FastInstant::new(segment, Readings::one(upper));
    let (then, anchor) = world.anchors[2];
    let passed = (world.time - then) / 1_000;
    let term = Span::from_nanos(passed + 100_000);
    let left = world.profile.fast_hand().remaining(&anchor, term, &now);
    assert!(matches!(left, Remaining::AtLeast(_)), "{left:?} of {term} after {passed} ns");
    world.judge().unwrap();
}
