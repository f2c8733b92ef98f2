//! The act: one entry in a log outside, under a lease.

use super::page::Slot;
use crate::role::Way;
#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tlease_clock::enclave::Timed;
use tlease_clock::guard::Refusal;
use tlease_clock::memory::Word;
use tlease_clock::{Check, LeaseCell};
use tlease_core::fence::Fence;

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// The entry is there.
    Acted,
    /// The check did not say that the lease is valid.
    Unsure(Check),
    /// The guard refused: nothing happened.
    Refused(Refusal),
}

/// Checks, then acts. Attacks follow this function instruction by instruction.
#[inline(never)]
pub(super) fn check_then_act(
    cell: &LeaseCell,
    timed: Timed<'_>,
    fence: Fence,
    slot: &Slot,
    way: Way,
) -> Tried {
    match cell.check_in(&timed, fence) {
        Check::Valid { .. } => act_alone(cell, timed, fence, slot, way),
        unsure @ (Check::Expired | Check::Suspect | Check::NotHeld) => Tried::Unsure(unsure),
    }
}

/// The act, by the guard: its stores become visible at one instant at which the lease is valid.
#[inline(never)]
fn act_alone(cell: &LeaseCell, timed: Timed<'_>, fence: Fence, slot: &Slot, way: Way) -> Tried {
    let timed = match way {
        #[cfg(feature = "mutants")]
        Way::Unguarded => return act_unguarded(fence, slot),
        #[cfg(feature = "mutants")]
        Way::Calls | Way::CallOutlived => call_the_host(timed, way),
        // These two are in the clock.
        #[cfg(feature = "mutants")]
        Way::MarkIgnored | Way::MarkTestedOutside => timed,
        Way::Guarded => timed,
    };
    let entry = slot.entry.map(Word::new);
    let given_last = Word::new(slot.given);
    let [under, given, count] = &entry;
    let committed = cell.commit_in(&timed, fence, &entry, |act| {
        act.store(under, fence.get());
        act.store(given, act.load(&given_last));
        act.store(count, slot.number);
    });
    committed.map_or_else(Tried::Refused, |_| Tried::Acted)
}

/// The planted bug: the same stores after the check, without the guard.
#[cfg(feature = "mutants")]
fn act_unguarded(fence: Fence, slot: &Slot) -> Tried {
    let [under, given, count] = slot.entry;
    under.store(fence.get(), SeqCst);
    given.store(slot.given.load(SeqCst), SeqCst);
    count.store(slot.number, SeqCst);
    Tried::Acted
}

/// Leaves in the midst of a stay, past the shape that forbids it; and with the planted bug, goes on as if
/// nothing had been.
#[cfg(feature = "mutants")]
fn call_the_host(mut timed: Timed<'_>, way: Way) -> Timed<'_> {
    static TRIES: AtomicU64 = AtomicU64::new(0);
    // The guard refuses each act that comes after a call; the others show that it can act.
    if way == Way::Calls && TRIES.fetch_add(1, SeqCst).is_multiple_of(2) {
        return timed;
    }
    std::thread::yield_now();
    if way == Way::CallOutlived {
        timed.outlive_call();
    }
    timed
}
