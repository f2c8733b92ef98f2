//! What check, commit and publish cost, beside the bare floor of the same clock reads.
//!
//! Prints nanoseconds a call, and the ratios of the budgets with "met" or "not met". All cases run in
//! turns, a slice of each in each round, and a ratio is the median over the rounds of the ratio within
//! one round, so that what else the machine does falls on both sides.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tlease_attack::floor::{Clocks, Floor};
use tlease_clock::memory::{Region, Word};
use tlease_clock::{Check, HostClock, LeaseCell, Profile};
use tlease_core::fence::Fence;
use tlease_core::time::Span;

fn main() {
    let floor = Floor::find();
    let cells = [
        Held::new(&Profile::host()),
        Held::new(&Profile::host().assume_no_suspend()),
        Held::new(&Profile::host().strict()),
        Held::new(&Profile::host().assume_no_suspend().strict()),
        Held::new(&Profile::host().without_transactions()),
    ];
    let region = Region::new(512).expect("shared memory");
    let word = region.word(0).expect("within the region");
    println!("{}", cells[0].0.clock());

    let mut cases = cases(floor, &cells, &word);
    for round in 0..WARM_UP + ROUNDS {
        for case in &mut cases {
            case.run_slice(round >= WARM_UP);
        }
    }
    println!("{:40} {:>9} {:>9} {:>12}", "", "median", "fastest", "success");
    for case in &cases {
        let fastest = case.nanos.iter().copied().fold(f64::MAX, f64::min);
        let success = case.success_percent();
        println!(
            "{:40} {:6.1} ns {fastest:6.1} ns {success:10.4} %",
            case.name,
            median(&case.nanos)
        );
    }
    println!();
    for (case, base, budget) in BUDGETS {
        print_ratio(&cases, case, base, *budget);
    }
}

/// A case, the base it is compared with, and the budget for their ratio.
const BUDGETS: &[(&str, &str, f64)] = &[
    (COMMIT_EMPTY_1, FLOOR_1, 1.15),
    (COMMIT_STORE_1, FLOOR_1, 1.15),
    (COMMIT_EMPTY_3, FLOOR_3, 1.15),
    (COMMIT_STORE_3, FLOOR_3, 1.15),
    (CHECK_1, READ_1, 1.1),
    (CHECK_3, READ_3, 1.1),
];

const FLOOR_1: &str = "floor: transaction, 1 clock";
const FLOOR_3: &str = "floor: transaction, 3 clocks";
const READ_1: &str = "1 clock read";
const READ_3: &str = "3 clock reads";
const CHECK_1: &str = "check, 1 clock";
const CHECK_3: &str = "check, 3 clocks";
const COMMIT_EMPTY_1: &str = "commit, empty, 1 clock";
const COMMIT_STORE_1: &str = "commit, one store, 1 clock";
const COMMIT_EMPTY_3: &str = "commit, empty, 3 clocks";
const COMMIT_STORE_3: &str = "commit, one store, 3 clocks";

/// Slices of each case that count, after those that warm caches and predictors.
const ROUNDS: usize = 400;
const WARM_UP: usize = 20;
/// Calls in a slice: 0.1 ms or so, short beside a timer tick.
const CALLS: u64 = 2_000;

/// A cell that holds a lease nobody outlives.
struct Held(LeaseCell);

impl Held {
    fn new(profile: &Profile) -> Self {
        let clock = Arc::new(HostClock::open(profile).expect("a clock"));
        let cell = LeaseCell::new(Arc::clone(&clock)).expect("a page");
        let anchor = clock.fast_now().send_anchor();
        cell.hold(Fence::FIRST, &anchor, Span::from_secs(36_000)).expect("a long term");
        Self(cell)
    }

    fn check(&self) -> bool {
        matches!(black_box(&self.0).check(Fence::FIRST), Check::Valid { .. })
    }

    fn commit_empty(&self) -> bool {
        self.0.commit(Fence::FIRST, &(), |_| ()).is_ok()
    }

    fn commit_store(&self, word: &Word<'_>, value: u64) -> bool {
        self.0.commit(Fence::FIRST, word, |act| act.store(word, value)).is_ok()
    }

    fn publish(&self, word: &Word<'_>, value: u64) -> bool {
        self.0.publish(Fence::FIRST, word, value).is_ok()
    }
}

fn cases<'a>(
    floor: Option<Floor>,
    [three, one, strict, strict_one, restartable]: &'a [Held; 5],
    word: &'a Word<'a>,
) -> Vec<Case<'a>> {
    static FLAG: AtomicU64 = AtomicU64::new(1);
    static TARGET: AtomicU64 = AtomicU64::new(0);
    let mut cases = vec![
        Case::new("plain flag", |_| black_box(FLAG.load(Ordering::Acquire)) == 1),
        Case::new(CHECK_1, |_| one.check()),
        Case::new(CHECK_3, |_| three.check()),
        Case::new(COMMIT_EMPTY_1, |_| one.commit_empty()),
        Case::new(COMMIT_STORE_1, |value| one.commit_store(word, value)),
        Case::new("commit, one store, strict, 1 clock", |value| {
            strict_one.commit_store(word, value)
        }),
        Case::new(COMMIT_EMPTY_3, |_| three.commit_empty()),
        Case::new(COMMIT_STORE_3, |value| three.commit_store(word, value)),
        Case::new("commit, one store, strict, 3 clocks", |value| strict.commit_store(word, value)),
        Case::new("publish, restartable, 3 clocks", |value| restartable.publish(word, value)),
    ];
    if let Some(floor) = floor {
        let store = move |clocks, value| floor.store(clocks, u64::MAX, &TARGET, value);
        let read = move |clock| black_box(floor.read(clock)) > 0;
        cases.extend([
            Case::new(READ_1, move |_| read(RAW)),
            Case::new(READ_3, move |_| read(MONOTONIC) && read(RAW) && read(BOOT)),
            Case::new(FLOOR_1, move |value| store(Clocks::Raw, value)),
            Case::new(FLOOR_3, move |value| store(Clocks::Three, value)),
        ]);
    } else {
        println!("skipped: no transactions here, so there is no floor to compare with");
    }
    cases
}

const MONOTONIC: i32 = 1;
const RAW: i32 = 4;
const BOOT: i32 = 7;

/// Something to measure.
struct Case<'a> {
    name: &'static str,
    /// Runs one slice and returns how many of its calls failed.
    slice: Box<dyn FnMut() -> u64 + 'a>,
    /// Nanoseconds a call, of each slice.
    nanos: Vec<f64>,
    failures: u64,
}

impl<'a> Case<'a> {
    /// `call` gets a number and says whether it succeeded.
    fn new(name: &'static str, mut call: impl FnMut(u64) -> bool + 'a) -> Self {
        let slice = Box::new(move || (0..CALLS).map(|number| u64::from(!call(number))).sum());
        Self { name, slice, nanos: Vec::with_capacity(ROUNDS), failures: 0 }
    }

    fn run_slice(&mut self, counts: bool) {
        let begin = now();
        let failures = (self.slice)();
        let nanos = begin.elapsed().as_nanos() as f64 / CALLS as f64;
        if counts {
            self.nanos.push(nanos);
            self.failures += failures;
        }
    }

    fn success_percent(&self) -> f64 {
        let calls = CALLS * ROUNDS as u64;
        100.0 * (calls - self.failures) as f64 / calls as f64
    }
}

fn print_ratio(cases: &[Case<'_>], name: &str, base: &str, budget: f64) {
    let find = |name| cases.iter().find(|case| case.name == name);
    let (Some(case), Some(base)) = (find(name), find(base)) else { return };
    let ratios: Vec<_> = case.nanos.iter().zip(&base.nanos).map(|(a, b)| a / b).collect();
    let ratio = median(&ratios);
    let verdict = if case.success_percent() < 99.9 {
        "not measured: too many refusals"
    } else if ratio <= budget {
        "met"
    } else {
        "not met"
    };
    println!("{name} / {}: {ratio:.3}, budget {budget}: {verdict}", base.name);
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "a benchmark takes its time from the host")]
fn now() -> Instant {
    Instant::now()
}
