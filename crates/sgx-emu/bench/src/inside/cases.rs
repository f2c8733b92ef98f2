//! What single steps cost: a handshake, a check, a test of the marks, and where the processor has
//! transactions, a commit.

use super::clock::{FENCE, Keeper, Kept};
use super::{counter, micros};
use crate::slices::Slices;
use core::hint::black_box;
use std::sync::atomic::AtomicU64;
use tlease_clock::Check;
use tlease_clock::enclave::{MachineProfile, Timed};
use tlease_clock::guard::Act;
use tlease_clock::memory::Word;
use tlease_clock::stay::Thread;

/// Runs slices of each case in turn, and prints what a call took, and its ratio to the counter behind a
/// fence.
pub(super) fn run(machine: &MachineProfile, rounds: u64, with_commit: bool) {
    let mut thread = Thread::claim().unwrap_or_else(|none| panic!("{none}"));
    let keeper = Keeper::start();
    let mut kept = keeper.keep(machine, &mut thread);
    let effect = Box::new(AtomicU64::new(0));
    let word = Word::new(&effect);
    let mut found = Found::default();
    while found.rounds < rounds {
        let shake = || kept.clock.time(thread.stay()).is_ok();
        let shaken = slice(CALLS_SLOW, shake);
        kept.hold_anew();
        // If the timekeeper is away, this round begins again.
        if let Ok(timed) = kept.clock.time(thread.stay()) {
            found.note(HANDSHAKE, shaken, true);
            let mut note = |name, slice| found.note(name, slice, timed.is_unbroken());
            note(COUNTER, slice(CALLS, || black_box(counter()) > 0));
            note("test of the marks", slice(CALLS, || black_box(&timed).is_unbroken()));
            note("check in a stay", slice(CALLS, || is_valid(&kept, &timed)));
            note("both bounds of now", slice(CALLS, || black_box(&timed).fast_now().is_some()));
            note(
                "slow hand",
                slice(CALLS, || {
                    black_box(black_box(&kept.clock).slow_now());
                    true
                }),
            );
            if with_commit {
                let commit = || {
                    let body = |act: &Act<'_>| act.store(&word, 1);
                    kept.cell.commit_in(&timed, FENCE, &word, body).is_ok()
                };
                note("commit of one store in a stay", slice(CALLS, commit));
            }
            found.rounds += 1;
        } else {
            thread.leave(std::thread::yield_now);
        }
    }
    found.print(machine);
}

fn is_valid(kept: &Kept<'_>, timed: &Timed<'_>) -> bool {
    matches!(black_box(&kept.cell).check_in(timed, FENCE), Check::Valid { .. })
}

/// A slice of calls: ticks, how many, and whether it counts, which it does if all succeeded.
fn slice(calls: u64, mut call: impl FnMut() -> bool) -> (u64, u64, bool) {
    let begin = counter();
    let failed: u64 = (0..calls).map(|_| u64::from(!call())).sum();
    (counter().saturating_sub(begin), calls, failed == 0)
}

/// The slices of each case, by its name.
#[derive(Debug, Default)]
struct Found {
    cases: Vec<(&'static str, Slices)>,
    rounds: u64,
}

impl Found {
    /// Adds a slice of this round: ticks, calls, and whether all of them succeeded. It counts if nothing
    /// interrupted it either.
    fn note(&mut self, name: &'static str, slice: (u64, u64, bool), is_unbroken: bool) {
        let (ticks, calls, succeeded) = slice;
        let known = self.cases.iter().position(|(known, _)| *known == name);
        let at = known.unwrap_or_else(|| {
            self.cases.push((name, Slices::default()));
            self.cases.len() - 1
        });
        let slices = &mut self.cases[at].1;
        slices.add(ticks, calls, succeeded && is_unbroken);
    }

    fn print(&self, machine: &MachineProfile) {
        let floor = self.cases.iter().find(|(name, _)| *name == COUNTER);
        for (name, slices) in &self.cases {
            let ratio = floor.and_then(|(_, floor)| slices.ratio(floor));
            let (Some(ticks), Some([_, ratio, _])) = (slices.median(), ratio) else {
                println!("case {name}: too busy here, {} slices", slices.count());
                continue;
            };
            let (nanos, count) = (micros(machine, ticks) * 1e3, slices.count());
            println!("case {name}: {nanos:.2} ns, {ratio:.4} of the floor, {count} slices");
        }
    }
}

const COUNTER: &str = "counter behind a fence";
const HANDSHAKE: &str = "handshake";
/// Some 20 us, far less than from one exit to the next.
const CALLS: u64 = 500;
const CALLS_SLOW: u64 = 20;
