//! A hostile world around the machines that ship, and somebody who knows the true time.

pub(crate) mod clock;
mod copies;
mod cpu;
mod damage;
pub(crate) mod disk;
pub(crate) mod enclave;
mod heal;
mod host;
mod liar;
mod look;
mod machines;
mod net;
pub(crate) mod node;
mod resource;
mod tell;
mod users;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tlease_core::granter::{self, Granter};
use tlease_core::holder::{self, Handle, View};
use tlease_core::identity::{AskId, Peer, SessionId};
use tlease_core::message::{FromGranter, ToGranter};
use tlease_core::time::Span;
use tlease_core::{Fence, Name};

use crate::act::{Lease, Link, Rule};
use crate::checkers::{Checkers, Claim, i17};
use crate::options::Options;
use crate::plan::{Plan, Timed};
use crate::planted::Planted;
use crate::report::{Report, Tally, Violation};
use crate::rng::Rng;
use crate::trace::{Lines, Trace, What};
use clock::Clock;
use cpu::Section;
use disk::Disk;
use liar::Liar;
use net::Conn;
use node::Node;
use resource::{Resource, Write};

pub use look::Effect;
pub(crate) use look::Usable;

/// One granter, some holders, a network, a disk, users, faults, and the checkers.
#[derive(Debug)]
pub struct World {
    seed: u64,
    options: Options,
    acts: VecDeque<Timed>,
    draws: Draws,
    /// True time, in nanoseconds.
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    last_event: u64,
    names: Vec<Name>,
    granter: Option<Granter>,
    granter_clock: Clock,
    granter_paused: u64,
    /// Whether a scenario broke what is assumed of its clock.
    granter_excused: bool,
    granter_wake: Option<u64>,
    /// After how long the granter asked to be woken last.
    granter_asked: Option<Span>,
    disk: Disk,
    conns: Vec<Conn>,
    rules: Vec<Rule>,
    /// Ways on which nothing gets through, and until when.
    parted: Vec<(Link, u64)>,
    nodes: Vec<Node>,
    liar: Liar,
    last_handle: u64,
    checkers: Checkers,
    usable: Vec<Usable>,
    effects: Vec<Effect>,
    sections: BTreeMap<u64, Section>,
    last_section: u64,
    resources: BTreeMap<u64, Resource>,
    healed: bool,
    /// Whether what happens now is judged: not what a holder does that was deceived.
    judges: bool,
    steps: u64,
    violation: Option<Violation>,
    tally: Tally,
    digest: u64,
    /// What happened so far, if it is kept.
    trace: Option<Lines>,
    planted: Planted,
    /// What the granter's clock showed at the input before.
    #[cfg(feature = "mutants")]
    slow_before: Option<tlease_core::time::Now<tlease_core::time::SlowInstant>>,
}

/// What the options leave open, drawn from one generator for each purpose.
#[derive(Debug)]
struct Draws {
    net: Rng,
    disk: Rng,
    clocks: Rng,
    wakes: Rng,
    crashes: Rng,
    cpu: Rng,
    copies: Rng,
    damage: Rng,
}

#[derive(Debug, Clone)]
enum Event {
    ToGranter(usize),
    ToHolder(usize),
    StrayToGranter(usize, SessionId, ToGranter),
    StrayToHolder(usize, SessionId, FromGranter),
    GranterSees(usize),
    HolderSees(usize),
    CopySees(usize),
    Connect(usize),
    GranterWake(u64),
    HolderWake(usize, u64),
    WriteDone(granter::PersistId),
    Release(usize, Handle),
    Commit(usize, Handle),
    Instruction(u64),
    WriteArrives(Write),
    Look,
    Start,
}

/// The connection over which the checkers watch the granter.
pub(crate) const OBSERVER: Peer = Peer(0);
/// Their watch.
pub(crate) const WATCH: AskId = AskId(1);
const STATUS: AskId = AskId(2);

impl World {
    /// The world of a plan, at its beginning: the granter starts and the holders connect.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::with(plan, Planted::default(), None)
    }

    /// The same, keeping a trace.
    #[must_use]
    pub fn traced(plan: Plan) -> Self {
        let first = Trace::first_line(&plan);
        Self::with(plan, Planted::default(), Some(Lines::of(first)))
    }

    /// The same with a bug planted, which must show.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn mutated(plan: Plan, bug: crate::mutants::Bug) -> Self {
        Self::with(plan, Planted::one(bug), None)
    }

    /// The same with a bug planted, keeping a trace. The trace does not say so.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn mutated_and_traced(plan: Plan, bug: crate::mutants::Bug) -> Self {
        let first = Trace::first_line(&plan);
        Self::with(plan, Planted::one(bug), Some(Lines::of(first)))
    }

    fn with(plan: Plan, planted: Planted, trace: Option<Lines>) -> Self {
        let Plan { seed, options, acts } = plan;
        let mut draws = Draws {
            net: Rng::stream(seed, 11),
            disk: Rng::stream(seed, 12),
            clocks: Rng::stream(seed, 13),
            wakes: Rng::stream(seed, 14),
            crashes: Rng::stream(seed, 15),
            cpu: Rng::stream(seed, 16),
            copies: Rng::stream(seed, 17),
            damage: Rng::stream(seed, 18),
        };
        let begin = |clock| Node::begin(clock, &mut draws.clocks, 0, planted);
        let nodes = options.holder_clocks.iter().map(begin).collect();
        let mut world = Self {
            seed,
            acts: acts.into(),
            draws,
            now: 0,
            events: BTreeMap::new(),
            last_event: 0,
            names: (0..options.names).map(node::name_of).collect(),
            granter: None,
            granter_clock: Clock::begin(&options.granter_clock, 0, planted),
            granter_paused: 0,
            granter_excused: false,
            granter_wake: None,
            granter_asked: None,
            disk: Disk::empty(),
            conns: Vec::new(),
            rules: Vec::new(),
            parted: Vec::new(),
            nodes,
            liar: Liar::default(),
            last_handle: 0,
            checkers: Checkers::default(),
            usable: Vec::new(),
            effects: Vec::new(),
            sections: BTreeMap::new(),
            last_section: 0,
            resources: BTreeMap::new(),
            healed: false,
            judges: true,
            steps: 0,
            violation: None,
            tally: Tally::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            trace,
            planted,
            #[cfg(feature = "mutants")]
            slow_before: None,
            options,
        };
        world.start_granter();
        for node in 0..world.nodes.len() {
            world.at(0, Event::Connect(node));
        }
        world
    }

    /// The same world, which keeps a trace, as that of a scenario: what it tells goes to `lines`, in place of
    /// what a world of that scenario told before.
    #[must_use]
    pub fn of_scenario(mut self, name: &str, lines: &Lines) -> Self {
        if let Some(before) = self.trace.replace(lines.clone()) {
            lines.take_over(name, before);
        }
        self
    }

    /// The hostile part, then the healed one. A panic of a machine is a violation of I17.
    #[must_use]
    pub fn run(mut self) -> Report {
        let run = AssertUnwindSafe(|| {
            self.run_until(self.options.hostile);
            self.heal_and_settle();
        });
        if let Err(panic) = catch_unwind(run) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()));
            self.violated(i17::CLAIM, || format!("panicked: {}", text.unwrap_or_default()));
        }
        self.report()
    }

    /// For a scenario: heals, demands liveness, and says what was shown.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.heal_and_settle();
        self.report()
    }

    /// For a scenario: does all that happens up to a moment, that moment included.
    pub fn run_until(&mut self, until: u64) {
        while self.violation.is_none() && self.step(until) {}
        self.now = self.now.max(until);
    }

    /// For a scenario: does all that happens within so many nanoseconds.
    pub fn run_for(&mut self, nanos: u64) {
        self.run_until(self.now + nanos);
    }

    /// True time, in nanoseconds since the world began.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// What a holder says of one of its leases now; `None` if it has none such.
    #[must_use]
    pub fn view(&mut self, node: usize, lease: Lease) -> Option<View> {
        let node = &mut self.nodes[node];
        let handle = node.find(lease)?;
        node.holder.view(handle, node.clock.at_most(self.now))
    }

    /// The fence under which a holder can act now.
    #[must_use]
    pub fn fence(&mut self, node: usize, lease: Lease) -> Option<Fence> {
        let node = &mut self.nodes[node];
        let handle = node.find(lease)?;
        let held = node.holder.held(handle, node.clock.at_most(self.now)).ok()?;
        Some(held.fence())
    }

    /// The effects that became visible so far, in their order.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The first claim that did not hold, if one did not.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// How often something happened so far.
    #[must_use]
    pub fn times(&self, what: &str) -> u64 {
        self.tally.get(what).copied().unwrap_or(0)
    }

    fn report(mut self) -> Report {
        let steps = self.steps;
        self.tell(|| What::End { steps });
        let verdict = self.violation.map_or(Ok(()), Err);
        let (tally, digest, trace) = (self.tally, self.digest, self.trace.map(Lines::into_trace));
        Report { verdict, tally, digest, steps, trace }
    }

    /// Handles the next event or act, if it is due by `until`, and has the checkers look just before
    /// it and after it. False once there is none.
    fn step(&mut self, until: u64) -> bool {
        let event = self.events.first_key_value().map(|((when, _), _)| *when);
        let act = self.acts.front().filter(|_| !self.healed).map(|timed| timed.at);
        let act_first = act.is_some_and(|act| event.is_none_or(|event| act <= event));
        let next = if act_first { act } else { event };
        let Some(when) = next.filter(|when| *when <= until) else { return false };
        self.steps += 1;
        if self.steps > i17::STEPS_MAX {
            self.violated(i17::CLAIM, || "the machines keep each other busy".to_owned());
            return false;
        }
        if when > self.now {
            // The last moment before the event: whatever held until now must still be harmless.
            self.now = when - 1;
            self.look();
            self.now = when;
        }
        self.digest_in(when);
        if act_first {
            let timed = self.acts.pop_front().expect("it was there");
            self.act(&timed.act);
        } else {
            let (_, event) = self.events.pop_first().expect("it was there");
            self.handle(event);
        }
        self.look();
        true
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ToGranter(conn) => self.deliver_to_granter(conn),
            Event::ToHolder(conn) => self.deliver_to_holder(conn),
            Event::StrayToGranter(node, of, message) => self.stray_to_granter(node, of, message),
            Event::StrayToHolder(node, of, message) => self.stray_to_holder(node, of, message),
            Event::GranterSees(conn) => self.granter_sees_the_end(conn),
            Event::HolderSees(conn) => self.holder_sees_the_end(conn),
            Event::CopySees(node) => self.copy_sees(node),
            Event::Connect(node) => self.connect(node),
            Event::GranterWake(when) => self.wake_granter(when),
            Event::HolderWake(node, when) => self.wake_holder(node, when),
            Event::WriteDone(id) => self.write_done(id),
            Event::Release(node, handle) => self.release_now(node, handle),
            Event::Commit(node, handle) => {
                if self.now >= self.nodes[node].paused {
                    self.begin_commit(node, handle);
                }
            }
            Event::Instruction(number) => self.instruction(number),
            Event::WriteArrives(write) => self.write_arrives(write),
            Event::Start => self.start_granter(),
            Event::Look => {}
        }
    }

    fn wake_granter(&mut self, when: u64) {
        if self.granter_wake != Some(when) {
            return;
        }
        if self.now < self.granter_paused {
            let when = self.granter_paused;
            self.granter_wake = Some(when);
            return self.at(when, Event::GranterWake(when));
        }
        self.granter_wake = None;
        self.feed_granter(granter::Input::Wake);
    }

    fn wake_holder(&mut self, node: usize, when: u64) {
        if self.nodes[node].wake != Some(when) {
            return;
        }
        if self.now < self.nodes[node].paused {
            let when = self.nodes[node].paused;
            self.nodes[node].wake = Some(when);
            return self.at(when, Event::HolderWake(node, when));
        }
        self.nodes[node].wake = None;
        self.feed(node, holder::Input::Wake);
    }

    fn at(&mut self, when: u64, event: Event) {
        self.last_event += 1;
        self.events.insert((when, self.last_event), event);
    }

    fn count(&mut self, what: &'static str, times: u64) {
        *self.tally.entry(what).or_default() += times;
    }

    fn digest_in(&mut self, what: u64) {
        self.digest = (self.digest ^ what).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Notes that a claim did not hold; the first counts, and ends the run.
    pub(crate) fn violated(&mut self, claim: Claim, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.tell(|| What::Violated { claim: claim.id().to_owned(), what: what.clone() });
            self.violation = Some(Violation { claim, at: self.now, seed: self.seed, what });
        }
    }

    fn judge(&mut self, claim: Claim, result: Result<(), String>) {
        if let Err(what) = result.or_else(|what| if self.judges { Err(what) } else { Ok(()) }) {
            self.violated(claim, || what);
        }
    }

    /// The number of a name.
    fn name_number(&self, name: &Name) -> u64 {
        let index = self.names.iter().position(|known| known == name);
        index.map_or(u64::MAX, |index| index as u64)
    }
}
