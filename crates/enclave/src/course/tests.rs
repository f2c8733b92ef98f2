//! Two courses and the granter that ships, step by step. A step is a millisecond; nobody waits for one,
//! so that what stands still is found by counting.

use super::*;
use std::collections::VecDeque;
use tlease_core::Key;
use tlease_core::granter::{self, Granter, Leftovers, Limits, Past, Record, Start, TokenKey};
use tlease_core::identity::{Incarnation, Peer, Rights, Secret, SessionId};
use tlease_core::time::{
    FastHand, Readings, Remaining, Segment, SlowHand, SlowInstant, Source, Ticks,
};

/// A granter, two enclaves with a course each, and a network that takes a step.
struct World {
    step: u64,
    granter: Granter,
    desks: [Desk; 2],
    /// Whose clock breaks at each reading.
    broken: [bool; 2],
}

/// What `inside::holder` does around a course.
struct Desk {
    course: Course,
    segment: u64,
    sent: VecDeque<ToGranter>,
    heard: VecDeque<FromGranter>,
    guard: Option<Hold>,
    acts: u64,
    leases: u64,
}

impl World {
    fn new(bug: Option<Mutant>) -> Self {
        let past = Past::Record(Record {
            incarnation: Incarnation::new(1).unwrap(),
            fence_mark: 0,
            longest_promise: TERM,
            settled: None,
            leftovers: Leftovers::Possible,
            token_key: TokenKey([1; 16]),
        });
        let limits =
            Limits { term_min: Span::from_millis(20), term_max: TERM, ..Limits::default() };
        let hand = SlowHand::new(&[Source::assume(1, 1, Ticks(0))]);
        let start = Start { hand, limits, past, table_key: Key([2; 16]) };
        let granter = Granter::new(start, slow_now(0));
        let desks = [1, 2].map(|number| Desk::new(number, bug));
        let mut world = Self { step: 0, granter, desks, broken: [false; 2] };
        let first: Vec<_> = world.granter.outputs().collect();
        world.carry_out(first);
        for peer in [0, 1] {
            world.hand(granter::Input::Connected { peer: Peer(peer), rights: Rights::Holder });
        }
        world
    }

    fn step(&mut self) {
        self.step += 1;
        self.hand(granter::Input::Wake);
        for (number, broken) in self.broken.into_iter().enumerate() {
            let desk = &mut self.desks[number];
            desk.run(self.step, broken);
            for message in core::mem::take(&mut desk.sent) {
                let peer = Peer(u64::try_from(number).unwrap());
                self.hand(granter::Input::Received { peer, message });
            }
        }
    }

    fn hand(&mut self, input: granter::Input) {
        let outputs: Vec<_> = self.granter.handle(slow_now(self.step), input).collect();
        self.carry_out(outputs);
    }

    fn carry_out(&mut self, outputs: Vec<granter::Output>) {
        for output in outputs {
            match output {
                granter::Output::Persist { id, .. } => self.hand(granter::Input::Persisted(id)),
                granter::Output::Send { peer, message } => {
                    self.desks[usize::try_from(peer.0).unwrap()].heard.push_back(message);
                }
                granter::Output::WakeAt { .. } => {}
                granter::Output::Close { .. }
                | granter::Output::Reported { .. }
                | granter::Output::Stopped { .. } => panic!("{output:?}"),
            }
        }
    }

    fn leases(&self) -> [u64; 2] {
        self.desks.each_ref().map(|desk| desk.leases)
    }

    /// How many steps pass until each desk is done with `more` leases.
    fn steps_until_each_had(&mut self, more: u64) -> Result<u64, StandsStill> {
        let before = self.leases();
        for steps in 0..STEPS_MAX {
            if self.leases().iter().zip(before).all(|(leases, before)| *leases >= before + more) {
                return Ok(steps);
            }
            self.step();
        }
        Err(StandsStill { leases: self.leases() })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct StandsStill {
    leases: [u64; 2],
}

impl Desk {
    fn new(number: u8, bug: Option<Mutant>) -> Self {
        let now = fast_now(0, 0);
        let holder = Holder::new(hand(), SessionId([number; 16]), Secret([number; 16]), now);
        let wish = Wish { name: "n".parse().unwrap(), term: TERM, acts: ACTS };
        let mut course = Course::begin(holder, now, wish);
        course.planted.bug = bug;
        Self {
            course,
            segment: 0,
            sent: VecDeque::new(),
            heard: VecDeque::new(),
            guard: None,
            acts: 0,
            leases: 0,
        }
    }

    /// All that it does within a step: one act at most.
    fn run(&mut self, step: u64, broken: bool) {
        for message in core::mem::take(&mut self.heard) {
            let now = self.now(step, broken);
            self.course.received(now, message);
        }
        for _ in 0..TURNS_MAX {
            while let Some(order) = self.course.order() {
                self.carry_out(order);
            }
            let now = self.now(step, broken);
            match self.course.next(now).unwrap() {
                Next::Orders => {}
                Next::Act(fence) => {
                    let now = self.now(step, broken);
                    let acts = self.lets_pass(fence, &now);
                    self.acts += u64::from(acts);
                    return self.course.tried(now, acts);
                }
                Next::Listen => return,
                Next::Done { .. } => self.leases += 1,
            }
        }
        panic!("it neither acts nor waits: {:?}", self.course);
    }

    fn now(&mut self, step: u64, broken: bool) -> Now<FastInstant> {
        self.segment += u64::from(broken);
        fast_now(self.segment, step)
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Send(message) => self.sent.push_back(message),
            Order::Hold(hold) => self.guard = Some(hold),
            Order::Suspend(_) | Order::Revoke => self.guard = None,
        }
    }

    fn lets_pass(&self, fence: Fence, now: &Now<FastInstant>) -> bool {
        self.guard.is_some_and(|hold| {
            let left = hand().remaining(&hold.anchor, hold.term, &now.reading());
            hold.fence == fence && matches!(left, Remaining::AtLeast(_))
        })
    }
}

fn hand() -> FastHand {
    FastHand::new(&[Source::assume(1, 1, Ticks(0))])
}

fn fast_now(segment: u64, step: u64) -> Now<FastInstant> {
    Now::at(FastInstant::new(Segment(segment), Readings::one(ticks(step))))
}

fn slow_now(step: u64) -> Now<SlowInstant> {
    Now::at(SlowInstant::new(Readings::one(ticks(step))))
}

fn ticks(step: u64) -> Ticks {
    Ticks(Span::from_millis(step).as_nanos())
}

/// Interrupts one or both for a while, from each moment of two leases on, and has them go on after it.
fn storms(bug: Option<Mutant>) -> Result<u64, StandsStill> {
    let mut longest = 0;
    for broken in [[true, false], [true, true]] {
        for length in [1, 2, 4, 20] {
            for begin in 0..2 * (ACTS + 10) {
                let mut world = World::new(bug);
                world.steps_until_each_had(1)?;
                (0..begin).for_each(|_| world.step());
                world.broken = broken;
                (0..length).for_each(|_| world.step());
                world.broken = [false; 2];
                longest = longest.max(world.steps_until_each_had(2)?);
            }
        }
    }
    Ok(longest)
}

#[test]
fn a_holder_goes_on_after_every_storm_of_interrupts() {
    let longest = storms(None).expect("nobody stands still");
    assert!(longest < STEPS_MAX / 2, "{longest} steps are nearly too many");
}

#[test]
fn a_holder_that_heeds_only_some_wake_ups_stands_still() {
    let end = storms(Some(Mutant::HeedsSuspectAlone));
    assert!(matches!(end, Err(StandsStill { .. })), "the planted fault must show: {end:?}");
}

#[test]
fn it_acts_so_often_and_gives_the_name_back() {
    let mut world = World::new(None);
    world.steps_until_each_had(5).expect("nobody stands still");
    for desk in &world.desks {
        assert_eq!(desk.acts / ACTS, desk.leases, "each lease saw its acts, but the one under way");
    }
}

const TERM: Span = Span::from_millis(60);
/// One in a step, so that a lease lives until it is worth renewing.
const ACTS: u64 = 30;
/// Four terms for each of two leases of two desks: what is lost at worst runs out at the granter.
const STEPS_MAX: u64 = 960;
/// More than a course has to do at a moment.
const TURNS_MAX: u32 = 100;
