//! What the tests share: a held lease, and the word that it guards.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod enclave_sim;
#[cfg(all(feature = "emulated-transactions", target_arch = "x86_64"))]
pub(crate) mod stepping;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tlease_clock::guard::{Missing, Refusal};
use tlease_clock::memory::Region;
use tlease_clock::{HostClock, LeaseCell, Profile};
use tlease_core::fence::Fence;
use tlease_core::time::Span;

/// A term that no test outlives.
pub(crate) const LONG: Span = Span::from_secs(3600);

pub(crate) fn fence(number: u64) -> Fence {
    Fence::new(number).expect("a fence's number")
}

pub(crate) fn open(profile: &Profile) -> Arc<HostClock> {
    Arc::new(HostClock::open(profile).expect("the clock of this machine"))
}

/// A cell of its own clock that holds `fence(1)` for `term`.
pub(crate) fn held(profile: &Profile, term: Span) -> LeaseCell {
    held_by(&open(profile), term)
}

/// A cell of this clock that holds `fence(1)` for `term`.
pub(crate) fn held_by(clock: &Arc<HostClock>, term: Span) -> LeaseCell {
    let cell = LeaseCell::new(Arc::clone(clock)).expect("a page");
    let anchor = clock.fast_now().send_anchor();
    cell.hold(fence(1), &anchor, term).expect("a term that the clock can show");
    cell
}

/// Whether commits work here; says so if not.
pub(crate) fn transactions() -> bool {
    let cell = held(&Profile::host(), LONG);
    match cell.commit(fence(1), &(), |_| ()) {
        Err(Refusal::Unsupported(missing @ (Missing::Transactions | Missing::Vdso))) => {
            println!("skipped: {missing}");
            false
        }
        Ok(_) => true,
        Err(other) => panic!("an empty commit under a valid lease: {other}"),
    }
}

/// Waits until the lease is no longer valid, by polling.
pub(crate) fn outlive(cell: &LeaseCell) {
    while matches!(cell.check(fence(1)), tlease_clock::Check::Valid { .. }) {
        std::thread::yield_now();
    }
}

/// Clears the Accessed bits of all our pages, as reclaim and DAMON do, and makes the CPU forget them.
///
/// `false` if the kernel does not let us.
pub(crate) fn clear_accessed_bits() -> bool {
    if std::fs::write("/proc/self/clear_refs", "1").is_err() {
        return false;
    }
    // Unmapping this many pages flushes the whole TLB of the process.
    let region = Region::new(64 * 512).expect("memory");
    for word in region.words().iter().step_by(512) {
        word.store(1, Ordering::SeqCst);
    }
    true
}

/// Lets another thread publish in a tight loop, revokes, and looks whether anything changes afterwards.
///
/// Returns the number of rounds, of at most `rounds`, before something did.
pub(crate) fn effect_after_revoke(profile: &Profile, rounds: u64) -> Option<u64> {
    let clock = open(profile);
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    (1..=rounds).find(|_| {
        let cell = held_by(&clock, LONG);
        let (started, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1.. {
                    match cell.publish(fence(1), &word, value) {
                        Ok(_) | Err(Refusal::CannotCommit(_)) => {}
                        Err(_) => break,
                    }
                    started.store(true, Ordering::Release);
                }
                ended.store(true, Ordering::Release);
            });
            while !started.load(Ordering::Acquire) && !ended.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            cell.revoke();
            let after = word.load();
            while !ended.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            word.load() != after
        })
    })
}
