//! What one operation of a granter costs, and what a lease takes, beside a bare table look-up of the
//! same size in the same run.
//!
//! Rounds of all candidates are interleaved and the median counts, since the machines this runs on
//! are noisy. `TLEASE_BENCH_MAX=10000000` adds the largest size.

use std::hint::black_box;

use tlease_core::granter::{Granter, Input, Limits, Output, Past, Start, TokenKey};
use tlease_core::identity::{Epoch, Peer, RequestId, Rights, Secret, SessionId};
use tlease_core::message::{
    Acquire, Fingerprint, FromGranter, Op, Reply, Request, ToGranter, Wait,
};
use tlease_core::time::{Now, Readings, SlowHand, SlowInstant, Source, Span, Ticks};
use tlease_core::{Fence, Key, Mode, Name};

const SESSIONS: usize = 100;
const ROUNDS: usize = 9;
const TERM: Span = Span::from_secs(3600);

fn main() {
    let largest = std::env::var("TLEASE_BENCH_MAX").ok().and_then(|max| max.parse().ok());
    let sizes = [1_000, 100_000, 1_000_000, 10_000_000];
    for size in sizes.into_iter().filter(|size| *size <= largest.unwrap_or(1_000_000)) {
        measure(size);
    }
}

fn measure(size: usize) {
    let before = resident();
    let mut bench = Bench::with_leases((0..size).map(name).collect());
    let own = size * size_of::<(Name, Fence)>();
    let per_lease = resident().saturating_sub(before + own) / size;
    let table = Table::of(&bench.leases);

    let ops = size.clamp(100_000, 400_000);
    let mut took: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        took[0].push(per_op(ops, || bench.look_up(&table, ops)));
        took[1].push(per_op(ops, || bench.renew(ops)));
        took[2].push(per_op(2 * ops, || bench.release_and_acquire(ops)));
        took[3].push(per_op(size * 20, || bench.renew_all(20)));
    }
    let [look_up, renew, turn, bulk] = took.map(median);
    println!("{size} live leases in {SESSIONS} sessions");
    println!("  bare look-up          {look_up:8.1} ns");
    println!("  renew                 {renew:8.1} ns  {:6.2} M/s", 1e3 / renew);
    println!("  release, acquire      {turn:8.1} ns  {:6.2} M/s", 1e3 / turn);
    println!("  renew all, per lease  {bulk:8.4} ns  {:6.0} M/s", 1e3 / bulk);
    println!("  memory                {per_lease} B a lease with its name");
    let millions = 1e3 / renew.max(turn);
    ratio(&format!("core_ops_{size}"), millions, "M/s at least", 3.0, millions >= 3.0);
    let times = renew / look_up;
    ratio(&format!("renew_over_look_up_{size}"), times, "at most", 1.5, times <= 1.5);
    if size >= 100_000 {
        let bytes = per_lease as f64;
        ratio(&format!("bytes_per_lease_{size}"), bytes, "at most", 200.0, bytes <= 200.0);
    }
    let millions = 1e3 / bulk;
    ratio(&format!("bulk_renewal_{size}"), millions, "M/s at least", 5.0, millions >= 5.0);
    let Freed { all, longest } = bench.expire();
    println!(
        "  all over at once      {all:8.1} ms, others kept waiting for {longest:.1} ms at most"
    );
    let (each, wait) = (all * 1e6 / size as f64, longest);
    ratio(&format!("freed_together_ns_each_{size}"), each, "at most", 1_000.0, each <= 1_000.0);
    ratio(&format!("wait_meanwhile_ms_{size}"), wait, "at most", 10.0, wait <= 10.0);
}

/// The line that `cargo xtask bench` collects.
fn ratio(name: &str, value: f64, sense: &str, budget: f64, met: bool) {
    let verdict = if met { "met" } else { "not met" };
    println!("ratio: core {name} {value:.2} budget {sense} {budget} {verdict}");
}

/// What it takes to free all leases, in milliseconds.
struct Freed {
    all: f64,
    /// By one input, while others wait.
    longest: f64,
}

struct Bench {
    granter: Granter,
    leases: Vec<(Name, Fence)>,
    epochs: Vec<Epoch>,
    last_id: u64,
    true_time: u64,
    random: u64,
}

impl Bench {
    fn with_leases(names: Vec<Name>) -> Self {
        let mut bench = Self {
            granter: started(),
            leases: names.into_iter().map(|name| (name, Fence::FIRST)).collect(),
            epochs: Vec::new(),
            last_id: 0,
            true_time: 1,
            random: 0x1234_5678_9abc_def1,
        };
        for session in 0..SESSIONS {
            bench.open(session);
        }
        for index in 0..bench.leases.len() {
            bench.acquire(index);
        }
        bench
    }

    fn open(&mut self, session: usize) {
        let peer = Peer(session as u64 + 1);
        self.feed(Input::Connected { peer, rights: Rights::Holder });
        let id = SessionId((session as u128 + 1).to_le_bytes());
        let message = ToGranter::Open { session: id, secret: Secret([5; 16]) };
        let opened = self.feed(Input::Received { peer, message });
        let Some(FromGranter::Opened(opened)) = opened else { panic!("not opened: {opened:?}") };
        self.epochs.push(opened.epoch);
    }

    fn acquire(&mut self, index: usize) {
        let acquire = Acquire {
            name: self.leases[index].0.clone(),
            mode: Mode::Exclusive,
            term: TERM,
            wait: Wait::Try,
            value: None,
        };
        match self.request(index, Op::Acquire(acquire)) {
            Some(Reply::Granted(grant)) => self.leases[index].1 = grant.fence,
            other => panic!("not granted: {other:?}"),
        }
    }

    fn renew(&mut self, ops: usize) {
        for _ in 0..ops {
            let index = self.next_index();
            let (name, fence) = self.leases[index].clone();
            let op = Op::Renew { name, fence, term: None };
            let reply = self.request(index, op);
            assert!(matches!(reply, Some(Reply::Renewed(_))), "{reply:?}");
        }
    }

    fn release_and_acquire(&mut self, ops: usize) {
        for _ in 0..ops {
            let index = self.next_index();
            let (name, fence) = self.leases[index].clone();
            let op = Op::Release { name, fence };
            let reply = self.request(index, op);
            assert!(matches!(reply, Some(Reply::Released { was_held: true })), "{reply:?}");
            self.acquire(index);
        }
    }

    /// Renews all leases of all sessions, so many times. The fingerprints are asked for once: the
    /// first answer to a wrong one lists what is held, which is not what is measured here.
    fn renew_all(&mut self, times: usize) {
        let fingerprints: Vec<Fingerprint> =
            (0..SESSIONS).map(|session| self.fingerprint(session)).collect();
        for _ in 0..times {
            for (session, fingerprint) in fingerprints.iter().enumerate() {
                let reply = self.request(session, Op::RenewAll { fingerprint: *fingerprint });
                assert_eq!(reply, Some(Reply::RenewedAll));
            }
        }
    }

    fn fingerprint(&self, session: usize) -> Fingerprint {
        let leases = self.leases.iter().skip(session).step_by(SESSIONS);
        let set = leases.map(|(name, fence)| (name, *fence, Mode::Exclusive));
        Fingerprint::of(&Secret([5; 16]), set)
    }

    fn look_up(&mut self, table: &Table, ops: usize) {
        for _ in 0..ops {
            let index = self.next_index();
            let (name, _) = self.leases[index].clone();
            assert_eq!(black_box(table.find(&name)), Some(index as u64));
        }
    }

    /// Lets the terms of all leases pass, and wakes the granter until it has freed them.
    fn expire(&mut self) -> Freed {
        self.true_time += 2 * TERM.as_nanos();
        let (mut all, mut longest) = (0.0, 0.0_f64);
        while self.granter.status().leases > 0 {
            let took = per_op(1, || assert_eq!(self.feed(Input::Wake), None)) / 1e6;
            all += took;
            longest = longest.max(took);
        }
        Freed { all, longest }
    }

    fn next_index(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % self.leases.len() as u64) as usize
    }

    fn request(&mut self, index: usize, op: Op) -> Option<Reply> {
        let session = index % SESSIONS;
        self.last_id += 1;
        let request = Request { epoch: self.epochs[session], id: RequestId(self.last_id), op };
        let message = ToGranter::Request(request);
        let peer = Peer(session as u64 + 1);
        match self.feed(Input::Received { peer, message }) {
            Some(FromGranter::Reply { reply, .. }) => Some(reply),
            other => panic!("no reply: {other:?}"),
        }
    }

    /// Feeds one input at a moment of its own; a store that is instantly durable answers at once.
    fn feed(&mut self, input: Input) -> Option<FromGranter> {
        let mut next = Some(input);
        let mut sent = None;
        while let Some(input) = next.take() {
            self.true_time += 150;
            for output in self.granter.handle(at(self.true_time), input) {
                match output {
                    Output::Send { message, .. } => sent = Some(message),
                    Output::Persist { id, .. } => next = Some(Input::Persisted(id)),
                    Output::WakeAt { .. }
                    | Output::Close { .. }
                    | Output::Reported { .. }
                    | Output::Stopped { .. } => {}
                }
            }
        }
        sent
    }
}

/// The floor: the same names in a plain table under a keyed hash, each with eight bytes.
struct Table(hashbrown::HashMap<Name, u64, std::hash::RandomState>);

impl Table {
    fn of(leases: &[(Name, Fence)]) -> Self {
        Self(leases.iter().map(|(name, _)| name.clone()).zip(0..).collect())
    }

    fn find(&self, name: &Name) -> Option<u64> {
        self.0.get(name).copied()
    }
}

fn started() -> Granter {
    let rate = Source::assume_slow_nanos(300_000);
    let start = Start {
        hand: SlowHand::new(&[rate, rate, rate]),
        limits: Limits { leases_max: 20_000_000, ..Limits::default() },
        past: Past::FirstStart { token_key: TokenKey([1; 16]) },
        table_key: Key([2; 16]),
    };
    let mut granter = Granter::new(start, at(0));
    let ids: Vec<_> = granter
        .outputs()
        .filter_map(|output| match output {
            Output::Persist { id, .. } => Some(id),
            Output::Send { .. }
            | Output::Close { .. }
            | Output::WakeAt { .. }
            | Output::Reported { .. }
            | Output::Stopped { .. } => None,
        })
        .collect();
    for id in ids {
        granter.handle(at(1), Input::Persisted(id)).for_each(drop);
    }
    granter
}

/// The three clocks of profile `host`.
fn at(nanos: u64) -> Now<SlowInstant> {
    let readings = [Ticks(nanos), Ticks(nanos + 17), Ticks(nanos + 40)];
    Now::at(SlowInstant::new(Readings::three(readings)))
}

fn name(index: usize) -> Name {
    format!("jobs/{:09}", index.wrapping_mul(7_919)).parse().expect("a name")
}

fn per_op(ops: usize, mut work: impl FnMut()) -> f64 {
    let start = cpu_nanos();
    work();
    (cpu_nanos() - start) / ops as f64
}

/// The processor time of this thread: what others use of a busy machine does not count.
fn cpu_nanos() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}
