//! How much of a term is usable as the admitted ranges of frequencies widen, on a machine that runs in
//! the middle of them.
//!
//! Nothing is timed here: granter, holder, timekeepers, handshake and stretch, as they ship, are stepped
//! through a world in which the core executes and the counter ticks at one rate, messages take no time, and
//! nobody is interrupted. So this is what the ranges alone cost.

use tlease_clock::enclave::{
    Beat, CpuModel, Handshake, Hertz, HzRange, MachineProfile, Mark, Pace, Smt, Stretch,
    Timekeeper, choose,
};
use tlease_core::granter::{self, Granter, Limits, Past, Start, TokenKey};
use tlease_core::holder::{self, Handle, Holder, Renewal, View};
use tlease_core::identity::{Peer, Rights, Secret, SessionId};
use tlease_core::message::{Acquire, FromGranter, Op, Reply, Request, ToGranter, Wait};
use tlease_core::time::{FastInstant, Now, Readings, Segment, SlowInstant, Span, Ticks};
use tlease_core::{Key, Mode};

fn main() {
    println!(
        "| admitted beside what is so | skew of two counters | term | usable by its holder | freed \
         after | usable of that |\n|---|---|---|---|---|---|"
    );
    let ranges = RANGES.iter().map(|(name, up, down)| (*name, around(*up, *down)));
    let committed = COMMITTED.parse().expect("a profile");
    for (name, profile) in ranges.chain([("as committed for the enclave", committed)]) {
        for millis in TERMS_MS {
            let Seen { usable, freed } = World::new(&profile, Span::from_millis(*millis)).run();
            let term = (millis * 1_000_000) as f64;
            let skew = profile.tsc_hz().max().get() as f64 / profile.tsc_hz().min().get() as f64;
            println!(
                "| {name} | {skew:.3} | {millis} ms | {:.1} % | {:.3} terms | {:.1} % |",
                usable as f64 / term * 100.0,
                freed as f64 / term,
                usable as f64 / freed as f64 * 100.0,
            );
        }
    }
}

/// By how much the fastest that is admitted is faster than what is so, and the slowest slower.
const RANGES: &[(&str, u64, u64)] = &[
    ("exactly", 1, 1),
    ("0.1 %", 1_001, 1_000),
    ("1 %", 101, 100),
    ("5 %", 105, 100),
    ("10 %", 110, 100),
    ("a quarter", 5, 4),
    ("twice", 2, 1),
    ("four times", 4, 1),
];
/// What the image of this repository assumes: any processor that is known.
const COMMITTED: &str = include_str!("../../enclave/measured/machine.toml");
/// The longest that the enclave of this repository gives, a usual one, and a long one.
const TERMS_MS: &[u64] = &[200, 1_000, 5_000];

/// A core that executes 3 GHz and a counter of 2.5 GHz, so that a beat takes 256 ns and 640 ticks.
const CORE_HZ: u64 = 3_000_000_000;
const TSC_HZ: u64 = 2_500_000_000;
const BEAT_NS: u64 = 256;
const BEAT_TICKS: u64 = 640;
/// How far a thread extends the fast hand beyond a handshake, as in the enclave.
const REACH: Span = Span::from_millis(4);
/// Beats between two looks: some 16 us.
const LOOK_BEATS: u64 = 64;

/// The profile with the frequencies from `denominator / numerator` of what is so to its inverse.
fn around(numerator: u64, denominator: u64) -> MachineProfile {
    let hertz = |hertz| Hertz::new(hertz).expect("some");
    let range = |hz: u64| {
        let slowest = hertz(hz * denominator / numerator);
        HzRange::assume(slowest, hertz(hz * numerator / denominator)).expect("a range")
    };
    let cpu = CpuModel { vendor: "AuthenticAMD".into(), family: 25, model: 17, stepping: 1 };
    MachineProfile::assume(cpu, range(CORE_HZ), range(TSC_HZ), Smt::Off).expect("a known model")
}

/// When what happened, in nanoseconds since the first holder asked.
struct Seen {
    /// The holder could use its lease until then.
    usable: u64,
    /// The next one was offered the name.
    freed: u64,
}

/// One machine of a granter and two holders, with a timekeeper.
struct World {
    beats: u64,
    keeper: Timekeeper,
    profile: MachineProfile,
    granter: Granter,
    holders: [Holder; 2],
    /// Whether the name was offered to the second holder.
    is_freed: bool,
    term: Span,
}

impl World {
    fn new(profile: &MachineProfile, term: Span) -> Self {
        let mut keeper = Timekeeper::new(Pace::of(profile));
        keeper.restart(Ticks(0), None, || Segment(1));
        let mut world = Self {
            beats: 0,
            profile: profile.clone(),
            granter: granter(profile, slow_now(&keeper)),
            holders: [1, 2].map(|number| holder(profile, number)),
            is_freed: false,
            keeper,
            term,
        };
        // Until the counter's rate has been checked.
        world.pass(LOOK_BEATS);
        let outputs: Vec<_> = world.granter.outputs().collect();
        outputs.into_iter().for_each(|output| world.carry_out(output));
        for index in 0..2 {
            world.hand(granter::Input::Connected { peer: peer(index), rights: Rights::Holder });
            world.tell(index, holder::Input::Connected);
        }
        world
    }

    fn run(mut self) -> Seen {
        for index in 0..2 {
            let acquire = Acquire {
                name: "a".parse().expect("a name"),
                mode: Mode::Exclusive,
                term: self.term,
                wait: Wait::Unbounded,
                value: None,
            };
            let renewal = Renewal::ByHand;
            self.tell(index, holder::Input::Acquire { handle: HANDLE, acquire, renewal });
        }
        let (begun, mut seen) = (self.beats, Seen { usable: 0, freed: 0 });
        while !self.is_freed {
            let now = self.fast_now();
            if matches!(self.holders[0].view(HANDLE, now), Some(View::Valid { .. })) {
                seen.usable = (self.beats - begun) * BEAT_NS;
            }
            self.pass(LOOK_BEATS);
            self.hand(granter::Input::Wake);
        }
        seen.freed = (self.beats - begun) * BEAT_NS;
        assert!(seen.usable < seen.freed, "two held it at once");
        seen
    }

    fn pass(&mut self, beats: u64) {
        for _ in 0..beats {
            self.beats += 1;
            self.keeper.beat(&Beat { own: self.counter(0), mark: Mark::Kept });
        }
    }

    /// The counter so many beats ago.
    fn counter(&self, ago: u64) -> Ticks {
        Ticks((self.beats - ago) * BEAT_TICKS)
    }

    /// After a handshake that has just been answered.
    fn fast_now(&self) -> Now<FastInstant> {
        let newest = self.keeper.published();
        let not_before = choose(&[newest]).expect("it serves");
        let handshake = Handshake::begin(self.counter(ANSWERED_BEATS), 0);
        let skew = self.profile.skew();
        let line = handshake.answer(2, &newest, self.counter(0), skew).expect("an answer");
        let reach = u128::from(self.profile.tsc_hz().max().get()) * u128::from(REACH.as_nanos());
        let reach = Ticks(u64::try_from(reach.div_ceil(1_000_000_000)).expect("a short reach"));
        let stretch = Stretch::begin(&line, reach).expect("far from the end of 64 bits");
        let upper = stretch.upper(self.counter(0)).expect("it has just begun");
        let not_after = FastInstant::new(stretch.segment(), Readings::one(upper));
        Now { not_before, not_after }
    }

    fn tell(&mut self, index: usize, input: holder::Input) {
        let now = self.fast_now();
        let outputs: Vec<_> = self.holders[index].handle(now, input).collect();
        for output in outputs {
            if let holder::Output::Send(message) = output
                && !is_renewal(&message)
            {
                self.hand(granter::Input::Received { peer: peer(index), message });
            }
        }
    }

    fn hand(&mut self, input: granter::Input) {
        let outputs: Vec<_> = self.granter.handle(slow_now(&self.keeper), input).collect();
        outputs.into_iter().for_each(|output| self.carry_out(output));
    }

    fn carry_out(&mut self, output: granter::Output) {
        match output {
            granter::Output::Persist { id, record: _ } => self.hand(granter::Input::Persisted(id)),
            granter::Output::Send { peer: to, message } => {
                let index = usize::from(to == peer(1));
                if let FromGranter::Reply { reply: Reply::Offered { .. }, .. } = &message {
                    self.is_freed = index == 1;
                    return;
                }
                self.tell(index, holder::Input::Received(message));
            }
            granter::Output::WakeAt { .. }
            | granter::Output::Close { .. }
            | granter::Output::Reported { .. }
            | granter::Output::Stopped { .. } => {}
        }
    }
}

fn granter(profile: &MachineProfile, now: Now<SlowInstant>) -> Granter {
    let past = Past::FirstStart { token_key: TokenKey([7; 16]) };
    let (hand, limits) = (profile.slow_hand(), Limits::default());
    Granter::new(Start { hand, limits, past, table_key: Key([5; 16]) }, now)
}

fn holder(profile: &MachineProfile, number: u8) -> Holder {
    let stray = FastInstant::new(Segment(0), Readings::one(Ticks(0)));
    let now = Now { not_before: stray, not_after: stray };
    Holder::new(profile.fast_hand(), SessionId([number; 16]), Secret([number; 16]), now)
}

fn peer(index: usize) -> Peer {
    Peer(index as u64 + 1)
}

/// Renewals do not arrive. A lease that is over before it arrives would be renewed at once, for ever.
const fn is_renewal(message: &ToGranter) -> bool {
    matches!(message, ToGranter::Request(Request { op: Op::Renew { .. }, .. }))
}

/// As `Keepers::slow_now` has it.
fn slow_now(keeper: &Timekeeper) -> Now<SlowInstant> {
    let executed = keeper.pace().executed(keeper.published().slow);
    let at = |links: u64| SlowInstant::new(Readings::one(Ticks(links)));
    Now { not_before: at(*executed.start()), not_after: at(*executed.end()) }
}

const HANDLE: Handle = Handle(1);
/// A handshake is answered by the second publication after it was begun.
const ANSWERED_BEATS: u64 = 2;
