//! The holder under any sequence of inputs: a granter that says anything, a clock that jumps and breaks,
//! a user who wants anything. [`run`] feeds it, `inputs` draws, `judge` holds it to its claims.

mod inputs;
mod judge;

use tlease_core::holder::{Holder, Input};
use tlease_core::identity::{Secret, SessionId};
use tlease_core::time::{FastHand, FastInstant, Now, Readings, Segment, Source, Ticks};

use crate::choices::Choices;
use inputs::Drawn;
use judge::Judge;

/// Takes one input.
///
/// # Panics
/// If a claim is broken.
pub fn run(input: &[u8]) {
    run_with(input, FastHand::new(&[Source::assume(1, 1, Ticks(0)); 2]));
}

/// As [`run`], with a hand of two sources of nanoseconds that may carry a planted bug.
///
/// # Panics
/// If a claim is broken.
pub fn run_with(input: &[u8], hand: FastHand) {
    let mut choices = Choices::of(input);
    let mut world = World::new(hand);
    for _ in 0..STEPS_MAX {
        if choices.are_used_up() {
            return;
        }
        world.step(&mut choices);
    }
}

/// Steps of one run: enough for all that a few kilobytes choose.
const STEPS_MAX: usize = 1_000;

/// A holder and its clock, and what was drawn so far.
#[derive(Debug)]
struct World {
    holder: Holder,
    clock: [Option<u64>; 2],
    segment: u64,
    /// How far a moment's upper bound lies behind its lower bound.
    blur: u64,
    drawn: Drawn,
    judge: Judge,
}

impl World {
    fn new(hand: FastHand) -> Self {
        let clock = [Some(0); 2];
        let now = moment(clock, 0, 0);
        let holder = Holder::new(hand, SessionId([1; 16]), Secret([1; 16]), now);
        let (drawn, judge) = (Drawn::default(), Judge::of(hand));
        Self { holder, clock, segment: 0, blur: 0, drawn, judge }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 32 {
            0..=3 => {
                let nanos = choices.span().as_nanos().min(20_000_000_000);
                for reading in self.clock.iter_mut().flatten() {
                    *reading = reading.saturating_add(nanos);
                }
                match choices.byte() % 4 {
                    0 => {}
                    // Nobody looks: what is seen to be over stays over, and hides what would not.
                    2 => return,
                    _ => self.feed(Input::Wake),
                }
            }
            4 => self.segment += 1,
            5 => {
                // One source jumps or vanishes, or comes back.
                let source = usize::from(choices.byte() % 2);
                self.clock[source] = choices.maybe(|choices| choices.span().as_nanos());
            }
            6 => self.blur = choices.span().as_nanos().min(1_000_000_000),
            _ => {
                let input = self.drawn.input(choices);
                self.feed(input);
            }
        }
        self.judge.looks(&self.holder, self.now(), &self.drawn);
    }

    fn feed(&mut self, input: Input) {
        let now = self.now();
        self.judge.hears(&input, &now);
        let outputs: Vec<_> = self.holder.handle(now, input).collect();
        self.judge.takes(&outputs, &now);
        self.drawn.learn(&outputs);
    }

    fn now(&self) -> Now<FastInstant> {
        moment(self.clock, self.blur, self.segment)
    }
}

fn moment(clock: [Option<u64>; 2], blur: u64, segment: u64) -> Now<FastInstant> {
    let shown = |later: u64| {
        let readings = clock.map(|source| source.map(|ticks| Ticks(ticks.saturating_add(later))));
        FastInstant::new(Segment(segment), Readings::new(&readings))
    };
    Now { not_before: shown(0), not_after: shown(blur) }
}
