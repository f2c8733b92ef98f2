//! A plan: all that makes a run, as a value. Drawn from a seed, written by a scenario, or read from
//! the first line of a trace.

mod copies;
mod lies;

use serde::{Deserialize, Serialize};

use crate::act::{Act, ClockAct, Lease, Link, WaitFor, Want};
use crate::options::{BILLION, ClockPlan, EnclavePlan, Options, Role, draw_rate};
use crate::rng::Rng;

/// A run, before it is run. The same plan gives the same run, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Draws what the options leave open: delays, failures, lateness.
    pub seed: u64,
    /// The parameters.
    pub options: Options,
    /// What is done and what goes wrong, in order.
    pub acts: Vec<Timed>,
}

/// Something at a moment of true time, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed {
    /// When.
    pub at: u64,
    /// What.
    pub act: Act,
}

impl Plan {
    /// The plan that belongs to a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let options = Options::draw(seed);
        let mut acts = Drawing::new(seed, &options).acts();
        copies::add(seed, &options, &mut acts);
        lies::add(seed, &options, &mut acts);
        Self { seed, options, acts }
    }

    /// A plan without acts.
    #[must_use]
    pub const fn of(seed: u64, options: Options) -> Self {
        Self { seed, options, acts: Vec::new() }
    }
}

/// Draws acts: often several at the same moment.
struct Drawing<'a> {
    rng: Rng,
    options: &'a Options,
    clocks: Vec<ClockPlan>,
    granter_clock: ClockPlan,
    acts: Vec<Timed>,
    at: u64,
}

impl<'a> Drawing<'a> {
    fn new(seed: u64, options: &'a Options) -> Self {
        let (clocks, granter_clock) =
            (options.holder_clocks.clone(), options.granter_clock.clone());
        Self { rng: Rng::stream(seed, 2), options, clocks, granter_clock, acts: Vec::new(), at: 0 }
    }

    fn acts(mut self) -> Vec<Timed> {
        let count = self.rng.between(15, 50);
        let mut moments: Vec<u64> =
            (0..count).map(|_| self.rng.below(self.options.hostile)).collect();
        moments.sort_unstable();
        for at in moments {
            self.at = at;
            let nodes = self.clocks.len() as u64;
            let node = usize::try_from(self.rng.below(nodes)).expect("an index");
            for _ in 0..self.rng.pick(&[1, 1, 2, 3]) {
                self.once(node);
            }
        }
        self.use_leases();
        self.part();
        self.acts
    }

    /// In some worlds messages get through one way and not the other, now and then.
    fn part(&mut self) {
        if !self.rng.chance(25) {
            return;
        }
        for _ in 0..self.rng.between(1, 3) {
            let at = self.rng.below(self.options.hostile);
            let node = usize::try_from(self.rng.below(self.clocks.len() as u64)).expect("an index");
            let link =
                if self.rng.chance(50) { Link::ToGranter(node) } else { Link::ToHolder(node) };
            let lasts = self.rng.between(1, self.options.scale);
            self.acts.push(Timed { at, act: Act::Part { link, lasts } });
        }
        self.acts.sort_by_key(|timed| timed.at);
    }

    /// Acts under leases, at any moment.
    fn use_leases(&mut self) {
        for _ in 0..self.rng.between(0, 40) {
            let at = self.rng.below(self.options.hostile);
            let node = usize::try_from(self.rng.below(self.clocks.len() as u64)).expect("an index");
            let lease = Lease::Held(self.rng.next() >> 32);
            let act = if self.rng.chance(60) {
                Act::Commit { node, lease }
            } else {
                let longest = self.rng.pick(&[1_000_000, self.options.scale / 2]);
                Act::Write { node, lease, delay: self.rng.between(0, longest) }
            };
            self.acts.push(Timed { at, act });
        }
        self.acts.sort_by_key(|timed| timed.at);
    }

    fn push(&mut self, act: Act) {
        self.acts.push(Timed { at: self.at, act });
    }

    fn once(&mut self, node: usize) {
        match self.rng.below(100) {
            0..=18 => {
                let name = self.rng.below(self.options.names);
                self.want(node, name);
            }
            19..=25 => (0..self.options.names).for_each(|name| self.want(node, name)),
            26..=31 => self.change_its_mind(node),
            32..=41 => {
                let lease = self.lease();
                self.push(Act::Release { node, lease });
            }
            42..=50 => {
                let lease = self.lease();
                let longer = self.options.scale / 4 * self.rng.between(1, 3);
                let term = self.rng.chance(50).then_some(longer);
                self.push(Act::Renew { node, lease, term });
            }
            51..=58 => {
                let lease = self.lease();
                self.push(Act::Downgrade { node, lease });
            }
            59..=61 => {
                let lease = Lease::Any(self.rng.next());
                self.push(Act::Forget { node, lease });
            }
            62..=64 => self.push(Act::Wake { node }),
            65..=69 => {
                let name = self.rng.below(self.options.names);
                let grace = self.rng.below(self.options.scale / 4);
                let at_once = self.rng.chance(30);
                self.push(Act::Recall { name, grace, at_once });
            }
            70..=84 => self.trouble_a_holder(node),
            _ => self.trouble_the_granter(),
        }
    }

    fn lease(&mut self) -> Lease {
        let n = self.rng.next() >> 32;
        if self.rng.chance(20) { Lease::Live(n) } else { Lease::Held(n) }
    }

    fn want(&mut self, node: usize, name: u64) {
        let scale = self.options.scale;
        let term = self.rng.pick(&[scale / 20, scale / 8, scale / 4]).max(10_000_000);
        let wait = match self.rng.below(6) {
            0 => WaitFor::Try,
            1 => WaitFor::AtMost(self.rng.between(1, scale)),
            _ => WaitFor::Ever,
        };
        let (shared, by_hand) = (self.rng.chance(40), self.rng.chance(20));
        self.push(Act::Want(Want { node, name, shared, term, wait, by_hand }));
    }

    /// Wants a name, then not, then again, before anything can be answered.
    fn change_its_mind(&mut self, node: usize) {
        let name = self.rng.below(self.options.names);
        self.want(node, name);
        self.push(Act::Release { node, lease: Lease::Of(name) });
        self.want(node, name);
    }

    fn trouble_a_holder(&mut self, node: usize) {
        let scale = self.options.scale;
        match self.rng.below(10) {
            0 | 1 => {
                let lasts = self.rng.between(1, scale / 2);
                self.push(Act::Pause { node, lasts });
            }
            2 | 3 => self.break_segment(node),
            4 => {
                let clock = self.disturbance(&self.clocks[node].clone(), Role::Holder);
                self.push(Act::Clock { node, clock });
            }
            5 => {
                for clock in self.rates(&self.clocks[node].clone(), Role::Holder) {
                    self.push(Act::Clock { node, clock });
                }
            }
            6 => self.push(Act::Cut { node }),
            7 => {
                let mut clock = ClockPlan::draw(&mut self.rng, Role::Holder, scale);
                if self.options.has_enclaves() && self.rng.chance(70) {
                    clock = ClockPlan::draw_enclave(&mut self.rng, scale);
                }
                self.clocks[node] = clock.clone();
                self.push(Act::Replace { node, clock });
            }
            _ => {
                // A suspend: paused for about a term, and continuity of time is lost.
                let lasts = self.rng.between(scale / 100, scale / 3);
                self.push(Act::Pause { node, lasts });
                self.break_segment(node);
            }
        }
    }

    /// Continuity is lost: by a suspend or a migration of a machine, or as somebody says.
    fn break_segment(&mut self, node: usize) {
        if let Some(enclave) = self.clocks[node].enclave {
            let lasts = self.rng.between(1, self.options.scale / 3);
            let jumps = (0..4).map(|_| self.counter_jump(&enclave)).collect();
            let clock = match self.rng.below(3) {
                0 => ClockAct::Suspend { lasts },
                1 => ClockAct::Migrate { lasts },
                _ => ClockAct::Break { jumps },
            };
            return self.push(Act::Clock { node, clock });
        }
        if let Some(host) = self.clocks[node].host {
            let lasts = self.rng.between(1, self.options.scale / 3);
            let clock = if host.has_vmclock && self.rng.chance(50) {
                ClockAct::Migrate { lasts }
            } else {
                ClockAct::Suspend { lasts }
            };
            return self.push(Act::Clock { node, clock });
        }
        let jumps = (0..self.clocks[node].sources.len()).map(|_| self.jump()).collect();
        self.push(Act::Clock { node, clock: ClockAct::Break { jumps } });
    }

    fn jump(&mut self) -> i64 {
        let by = self.rng.between(0, self.options.scale * 2).cast_signed();
        if self.rng.chance(50) { by } else { -by }
    }

    /// Something that a hand must see for itself: a source jumps, vanishes or comes back. The
    /// honest one of a granter may only fall back, that of a holder only leap ahead.
    fn disturbance(&mut self, clock: &ClockPlan, role: Role) -> ClockAct {
        if let Some(enclave) = clock.enclave {
            return self.exit(&enclave);
        }
        let source = usize::try_from(self.rng.below(clock.sources.len() as u64)).expect("an index");
        let by = self.jump();
        if clock.host.is_some() {
            // The administrator sets the time of the steered clocks ahead.
            return ClockAct::Jump { source: 0, by: by.abs() };
        }
        match (source == clock.honest, role) {
            (true, Role::Granter) => ClockAct::Jump { source, by: -by.abs() },
            (true, Role::Holder) => ClockAct::Jump { source, by: by.abs() },
            (false, _) => match self.rng.below(100) {
                0..=19 => ClockAct::Vanish { source },
                20..=39 => ClockAct::Appear { source },
                _ => ClockAct::Jump { source, by },
            },
        }
    }

    fn rates(&mut self, clock: &ClockPlan, role: Role) -> Vec<ClockAct> {
        if let Some(enclave) = clock.enclave {
            return self.frequencies(&enclave, role);
        }
        if clock.host.is_some() {
            let ppb = self.rng.pick(&[900_000_000, BILLION, 1_100_000_000]);
            return vec![ClockAct::Rate { source: 0, ppb }];
        }
        let rate = |source| {
            let ppb = draw_rate(&mut self.rng, role, source == clock.honest);
            ClockAct::Rate { source, ppb }
        };
        (0..clock.sources.len()).map(rate).collect()
    }

    /// A thread is out for longer than a tick of a timer, and comes back elsewhere.
    fn exit(&mut self, enclave: &EnclavePlan) -> ClockAct {
        let lasts =
            self.rng.pick(&[0, enclave.beat * 5, enclave.beat * 100, self.options.scale / 3]);
        let by = self.counter_jump(enclave);
        let hz = self.rng.between(enclave.tsc_hz.0, enclave.tsc_hz.1);
        let thread = usize::try_from(self.rng.below(4)).expect("an index");
        // The threads of the driver and of the acts come back at once, or their machine is paused.
        let lasts = if thread < 2 { lasts } else { 0 };
        ClockAct::Exit { thread, lasts, by, hz }
    }

    fn counter_jump(&mut self, enclave: &EnclavePlan) -> i64 {
        let far = self.rng.pick(&[1_000, enclave.beat * 5, self.options.scale * 2]);
        let by = self.rng.between(0, far).cast_signed();
        if self.rng.chance(50) { by } else { -by }
    }

    /// Cores and counters run otherwise from now on, within what is admitted.
    ///
    /// But for a holder's cores, which may run faster: only its counters matter to it, and that they seem
    /// to run slow beside such a core is a false alarm.
    fn frequencies(&mut self, enclave: &EnclavePlan, role: Role) -> Vec<ClockAct> {
        let ((slow, fast), (least, most)) = (enclave.core_hz, enclave.tsc_hz);
        let overclocked = if role == Role::Holder { fast / 4 * 5 } else { fast };
        let cores = (0..2).map(|keeper| {
            let between = self.rng.between(slow, fast);
            ClockAct::Core { keeper, hz: self.rng.pick(&[slow, fast, overclocked, between]) }
        });
        let mut acts: Vec<ClockAct> = cores.collect();
        for thread in 0..4 {
            let between = self.rng.between(least, most);
            acts.push(ClockAct::Counter { thread, hz: self.rng.pick(&[least, most, between]) });
        }
        acts
    }

    fn trouble_the_granter(&mut self) {
        let scale = self.options.scale;
        match self.rng.below(8) {
            0 | 1 => {
                let lasts = self.rng.between(1, scale / 3);
                self.push(Act::PauseGranter { lasts });
            }
            2 | 3 => {
                let clock = self.disturbance(&self.granter_clock.clone(), Role::Granter);
                self.push(Act::ClockGranter { clock });
            }
            4 | 5 => {
                for clock in self.rates(&self.granter_clock.clone(), Role::Granter) {
                    self.push(Act::ClockGranter { clock });
                }
            }
            6 => self.push(Act::Crash),
            _ => self.push(Act::Stop),
        }
    }
}
