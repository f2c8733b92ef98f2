//! What a check, a handshake and a publish cost in profile `enclave-sim`, beside reading the kernel's
//! clock, and beside the counter behind its fence, below which no check can be.
//!
//! Prints nanoseconds a call, and the ratio of the budget with "met" or "not met". Each round runs a
//! slice of each case in turn, and a ratio is the median over the rounds of the ratio within one round.
//! A slice counts only if nothing interrupted it or its timekeeper: what an interruption costs is a
//! handshake, and has its own row.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tlease_attack::floor::fenced_counter;
use tlease_clock::enclave::{
    CpuModel, EnclaveSim, Hertz, HzRange, KeeperClock, MachineProfile, Smt,
};
use tlease_clock::memory::Region;
use tlease_clock::stay::Thread;
use tlease_clock::{Check, LeaseCell};
use tlease_core::fence::Fence;
use tlease_core::time::Span;

fn main() {
    let clock = match open() {
        Ok(clock) => clock,
        Err(why) => return println!("skipped: no clock of profile enclave-sim: {why}"),
    };
    println!("{clock}");
    let lease = Lease(LeaseCell::new(Arc::clone(&clock)).expect("a page"));
    let read = || {
        Case::new(READ, CALLS, || {
            black_box(now());
            true
        })
    };

    let begin = || lease.begin();
    let region = Region::new(512).expect("shared memory");
    let word = region.word(0).expect("within the region");
    let publish = || lease.0.publish(Fence::FIRST, &word, 1).is_ok();
    let mut cases = [
        read(),
        Case::new(COUNTER, CALLS, || black_box(fenced_counter()).is_some()),
        Case::new(CHECK, CALLS, || lease.check()),
        Case::new(PUBLISH, CALLS_SLOW, publish),
    ];
    run(&mut cases, begin);
    let [read_first, counter, check, publish] = &cases;
    match check.ratio(read_first) {
        Some(ratio) => {
            let verdict = if ratio <= CHECK_BUDGET { "met" } else { "not met" };
            println!("{CHECK} / {READ}: {ratio:.3}, budget {CHECK_BUDGET}: {verdict}");
        }
        None => println!("{CHECK} / {READ}: budget {CHECK_BUDGET}: not measured: too busy here"),
    }
    counter.print_ratio(read_first);
    check.print_ratio(counter);
    publish.print_ratio(read_first);

    // On a thread of its own: the first one's marks belong to its checks.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut thread = Thread::claim().expect("the marks of a new thread");
            let shake = || clock.time(thread.stay()).is_ok();
            let mut cases = [read(), Case::new(SHAKE, CALLS_SLOW, shake)];
            run(&mut cases, || ());
            let [read, shake] = &cases;
            shake.print_ratio(read);
        });
    });
}

/// Runs slices of the cases in turn, each after `begin`, and prints what they took.
fn run(cases: &mut [Case<'_>], begin: impl Fn()) {
    let begun = now();
    for _ in 0..ROUNDS {
        for case in &mut *cases {
            begin();
            case.run_slice();
        }
        if begun.elapsed().as_secs() >= SECONDS_MAX {
            break;
        }
    }
    println!("{:40} {:>9} {:>9} {:>10}", "", "median", "fastest", "slices");
    for case in cases {
        let nanos: Vec<f64> = case.nanos.iter().flatten().copied().collect();
        let fastest = nanos.iter().copied().fold(f64::MAX, f64::min);
        let (name, slices) = (case.name, nanos.len());
        match median(nanos) {
            Some(median) => println!("{name:40} {median:6.1} ns {fastest:6.1} ns {slices:10}"),
            None => println!("{name:40} interrupted in nearly each slice ({slices} whole ones)"),
        }
    }
}

/// By `Instant::now`, which asks for it through libc: the shortest way there.
const READ: &str = "clock_gettime(CLOCK_MONOTONIC)";
const COUNTER: &str = "the counter behind a fence";
const CHECK: &str = "enclave-sim: check";
const SHAKE: &str = "enclave-sim: handshake";
const PUBLISH: &str = "enclave-sim: publish, with its handshake";
const CHECK_BUDGET: f64 = 0.75;
const ROUNDS: usize = 2_000;
const SECONDS_MAX: u64 = 20;
/// Calls in a slice: some 30 us, far less than from one timer tick to the next.
const CALLS: u64 = 1_000;
const CALLS_SLOW: u64 = 50;
/// Fewer slices say nothing.
const SLICES_MIN: usize = 30;

/// A lease that nobody outlives, as long as its segment lasts.
struct Lease(LeaseCell<KeeperClock>);

impl Lease {
    /// Holds in the live segment, and shakes hands, unless the machine is too busy for that.
    fn begin(&self) {
        for _ in 0..100 {
            let anchor = self.0.clock().keepers().anchor();
            let held = anchor.is_some_and(|anchor| {
                self.0.hold(Fence::FIRST, &anchor, Span::from_secs(3_600)).is_ok()
            });
            if held && self.check() {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn check(&self) -> bool {
        matches!(black_box(&self.0).check(Fence::FIRST), Check::Valid { .. })
    }
}

/// Something to measure.
struct Case<'a> {
    name: &'static str,
    calls: u64,
    /// Runs a slice, and returns how many of its calls failed.
    slice: Box<dyn FnMut() -> u64 + 'a>,
    /// Nanoseconds a call, of each slice, if all of its calls succeeded.
    nanos: Vec<Option<f64>>,
}

impl<'a> Case<'a> {
    fn new(name: &'static str, calls: u64, mut call: impl FnMut() -> bool + 'a) -> Self {
        let slice = Box::new(move || (0..calls).map(|_| u64::from(!call())).sum());
        Self { name, calls, slice, nanos: Vec::with_capacity(ROUNDS) }
    }

    fn run_slice(&mut self) {
        let begin = now();
        let failures = (self.slice)();
        let nanos = begin.elapsed().as_nanos() as f64 / self.calls as f64;
        self.nanos.push((failures == 0).then_some(nanos));
    }

    /// The median over the rounds in which both count.
    fn ratio(&self, base: &Self) -> Option<f64> {
        let both = self.nanos.iter().zip(&base.nanos);
        median(both.filter_map(|(a, b)| Some(a.as_ref()? / b.as_ref()?)).collect())
    }

    fn print_ratio(&self, base: &Self) {
        match self.ratio(base) {
            Some(ratio) => println!("{} / {}: {ratio:.2}", self.name, base.name),
            None => println!("{} / {}: too busy here", self.name, base.name),
        }
    }
}

/// `None` if there are too few to say anything.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (values.len() >= SLICES_MIN).then(|| values[values.len() / 2])
}

/// A clock of this machine, whatever its frequencies are within wide bounds: they change no cost.
fn open() -> Result<Arc<KeeperClock>, String> {
    let hz = |min, max| HzRange::assume(Hertz::new(min)?, Hertz::new(max)?);
    let core = hz(200_000_000, 8_000_000_000).ok_or("no range")?;
    let tsc = tsc_hz().and_then(|tsc| hz(tsc - tsc / 2_000, tsc + tsc / 2_000));
    let tsc = tsc.ok_or("the kernel does not say how fast the counter runs")?;
    let machine = MachineProfile::assume(CpuModel::here(), core, tsc, Smt::On);
    let machine = machine.map_err(|why| why.to_string())?;
    let profile = EnclaveSim::new(machine).without_transactions();
    KeeperClock::open(&profile).map(Arc::new).map_err(|why| {
        std::error::Error::source(&why).map_or_else(|| why.to_string(), ToString::to_string)
    })
}

/// Ticks in a second, as the kernel calibrated them: it delays by two of its loops a tick.
fn tsc_hz() -> Option<u64> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpus.lines().find(|line| line.starts_with("bogomips"))?;
    let millions: f64 = line.split_once(':')?.1.trim().parse().ok()?;
    Some((millions * 500_000.0) as u64)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark takes its time from the host")]
fn now() -> Instant {
    Instant::now()
}
