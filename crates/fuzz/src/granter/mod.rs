//! The granter under any sequence of inputs: peers that say anything, a disk that fails and forgets,
//! a clock that jumps, crashes. [`run`] feeds it, `inputs` draws what is said, `judge` holds it to its
//! claims.

mod inputs;
mod judge;

use tlease_core::Key;
use tlease_core::granter::{
    Granter, Input, Limits, Output, Past, PersistId, Record, Start, TokenKey,
};
use tlease_core::identity::Rights;
use tlease_core::message::Entry;
use tlease_core::time::{Now, Readings, SlowHand, SlowInstant, Source, Ticks};

use crate::choices::Choices;
use inputs::Peers;
use judge::Judge;

/// Takes one input.
///
/// # Panics
/// If a claim is broken.
pub fn run(input: &[u8]) {
    run_with(input, SlowHand::new(&[Source::assume(1, 1, Ticks(0)); 2]));
}

/// As [`run`], with a hand of two sources of nanoseconds that may carry a planted bug.
///
/// # Panics
/// If a claim is broken.
pub fn run_with(input: &[u8], hand: SlowHand) {
    let mut choices = Choices::of(input);
    let mut world = World::new(hand, &mut choices);
    for _ in 0..STEPS_MAX {
        if choices.are_used_up() {
            return;
        }
        world.step(&mut choices);
    }
}

/// Steps of one run: enough for all that a few kilobytes choose.
const STEPS_MAX: usize = 1_000;

/// Records that one step makes durable, one after the other: each can make another one necessary.
const WRITES_MAX: usize = 4;

/// A granter, its clock, its disk and its peers.
#[derive(Debug)]
struct World {
    hand: SlowHand,
    limits: Limits,
    granter: Granter,
    /// What each source of its clock shows, if anything.
    clock: [Option<u64>; 2],
    /// How far a moment's upper bound lies behind its lower bound.
    blur: u64,
    /// What a crash can leave: the last record that was durable, and those after it whose fate is open.
    disk: Vec<Record>,
    writing: Option<(PersistId, Record)>,
    stopped: bool,
    peers: Peers,
    judge: Judge,
}

impl World {
    fn new(hand: SlowHand, choices: &mut Choices<'_>) -> Self {
        let limits = Limits {
            leases_max: 4,
            sessions_max: 3,
            waiters_per_name_max: 2,
            watches_max: 2,
            events_kept: 3,
            parked_max: 1,
            recall_on_wait: choices.maybe(Choices::span),
            ..Limits::default()
        };
        let past = Past::FirstStart { token_key: TokenKey([7; 16]) };
        let start = Start { hand, limits, past, table_key: Key([3; 16]) };
        let clock = [Some(0); 2];
        let granter = Granter::new(start, moment(clock, 0));
        let mut world = Self {
            hand,
            limits,
            granter,
            clock,
            blur: 0,
            disk: Vec::new(),
            writing: None,
            stopped: false,
            peers: Peers::default(),
            judge: Judge::default(),
        };
        world.start();
        world.finish_writes();
        world
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 32 {
            0..=2 => {
                let nanos = choices.span().as_nanos().min(20_000_000_000);
                for reading in self.clock.iter_mut().flatten() {
                    *reading = reading.saturating_add(nanos);
                }
                self.feed(Input::Wake);
            }
            3 => {
                // One source jumps or vanishes, or comes back.
                let source = usize::from(choices.byte() % 2);
                self.clock[source] = choices.maybe(|choices| choices.span().as_nanos());
            }
            4 => self.finish_writes(),
            5 => self.fail_write(),
            6 => self.restart(choices),
            7 => self.blur = choices.span().as_nanos().min(1_000_000_000),
            _ => {
                let input = self.peers.draw(choices);
                self.feed_judged(input);
                if choices.byte() % 8 != 7 {
                    self.finish_writes();
                }
            }
        }
        if self.stopped {
            self.restart(choices);
        }
    }

    fn finish_writes(&mut self) {
        for _ in 0..WRITES_MAX {
            let Some((id, record)) = self.writing.take() else { return };
            self.disk = vec![record];
            self.judge.is_born();
            self.feed(Input::Persisted(id));
        }
    }

    fn fail_write(&mut self) {
        let Some((id, _)) = self.writing.take() else { return };
        self.feed(Input::PersistFailed(id));
    }

    /// It is killed, and begins its next life from what its disk kept.
    fn restart(&mut self, choices: &mut Choices<'_>) {
        let left = choices.pick(&self.disk);
        (self.disk, self.writing, self.stopped) = (vec![left], None, false);
        let Self { hand, limits, .. } = *self;
        let start = Start { hand, limits, past: Past::Record(left), table_key: Key([3; 16]) };
        self.granter = Granter::new(start, self.now());
        self.peers.lose_connections();
        self.judge.sees_a_crash();
        self.start();
        if choices.byte() % 4 != 3 {
            self.finish_writes();
        }
    }

    /// Takes what a start puts out.
    fn start(&mut self) {
        let outputs: Vec<Output> = self.granter.outputs().collect();
        self.take(&outputs);
    }

    /// Feeds one input; if it is a request that is refused, nothing may have changed (invariant I17).
    fn feed_judged(&mut self, input: Input) {
        let is_request = Judge::is_request(&input);
        let before = is_request.then(|| self.visible());
        let outputs = self.feed(input);
        if let Some(before) = before
            && Judge::only_refused(&outputs)
        {
            assert_eq!(before, self.visible(), "a refused request changed something");
        }
        Judge::checks_exclusion(&self.visible());
    }

    fn feed(&mut self, input: Input) -> Vec<Output> {
        if self.stopped {
            return Vec::new();
        }
        let outputs: Vec<Output> = self.granter.handle(self.now(), input).collect();
        self.take(&outputs);
        outputs
    }

    /// Does what is asked for, in its order.
    fn take(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Persist { id, record } => {
                    assert!(self.writing.is_none(), "at most one record is under way");
                    self.writing = Some((*id, *record));
                    self.disk.push(*record);
                }
                Output::Send { message, .. } => self.judge.hears(message, &self.disk),
                Output::Stopped { .. } => self.stopped = true,
                Output::Close { .. } | Output::WakeAt { .. } | Output::Reported { .. } => {}
            }
        }
        self.peers.learn(outputs);
    }

    fn now(&self) -> Now<SlowInstant> {
        moment(self.clock, self.blur)
    }

    /// All names with their leases and waiters, at this very moment. Leases that are over are left
    /// out: they are freed when somebody comes by.
    fn visible(&mut self) -> Vec<Entry> {
        if self.stopped || !self.judge.knows_a_born_granter() {
            return Vec::new();
        }
        if self.peers.operator.is_none() {
            let peer = self.peers.next_operator();
            self.feed(Input::Connected { peer, rights: Rights::Operator });
        }
        self.feed(Input::Wake);
        // One that is stopping serves nobody.
        let Some(question) = self.peers.list_all() else { return Vec::new() };
        let outputs = self.feed(question);
        inputs::page(&outputs)
    }
}

fn moment(clock: [Option<u64>; 2], blur: u64) -> Now<SlowInstant> {
    let shown = |later: u64| {
        let readings = clock.map(|source| source.map(|ticks| Ticks(ticks.saturating_add(later))));
        SlowInstant::new(Readings::new(&readings))
    };
    Now { not_before: shown(0), not_after: shown(blur) }
}
