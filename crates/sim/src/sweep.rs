//! Many seeds, on several threads. What is found does not depend on how many.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Plan;
use crate::report::{Tally, Violation};
use crate::world::World;

/// What many runs showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many runs there were.
    pub runs: u64,
    /// How many events they handled.
    pub steps: u64,
    /// How often what happened in them.
    pub tally: Tally,
    /// The first violations, by seed.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub failed: u64,
}

/// How many violations are kept.
const KEPT: usize = 100;
/// Seeds that a thread takes at once.
const BATCH: u64 = 16;

/// Runs the seeds from `from` on, `count` of them, on `jobs` threads. `done` is told now and then how
/// many are done and how many of them failed, by whichever thread it is; false ends the sweep early.
pub fn sweep(
    from: u64,
    count: u64,
    jobs: usize,
    done: impl Fn(u64, u64) -> bool + Sync,
) -> Summary {
    let next = AtomicU64::new(0);
    let all = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= count {
                        return;
                    }
                    let batch = run(from + first, BATCH.min(count - first));
                    let mut all = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    all.add(batch);
                    if !done(all.runs, all.failed) {
                        next.store(count, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
    all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run(from: u64, count: u64) -> Summary {
    let mut some = Summary::default();
    for seed in from..from + count {
        let report = World::new(Plan::draw(seed)).run();
        let violations: Vec<Violation> = report.verdict.err().into_iter().collect();
        some.add(Summary {
            runs: 1,
            steps: report.steps,
            tally: report.tally,
            failed: violations.len() as u64,
            violations,
        });
    }
    some
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.steps += other.steps;
        self.failed += other.failed;
        for (what, times) in other.tally {
            *self.tally.entry(what).or_default() += times;
        }
        self.violations.extend(other.violations);
        self.violations.sort_by_key(|violation| violation.seed);
        self.violations.truncate(KEPT);
    }
}
