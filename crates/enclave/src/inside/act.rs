//! The act: one entry in a log outside, under a lease.

use super::page::Slot;
use tlease_clock::enclave::Timed;
use tlease_clock::guard::Refusal;
#[cfg(not(feature = "unguarded"))]
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
    timed: &Timed<'_>,
    fence: Fence,
    slot: &Slot,
) -> Tried {
    match cell.check_in(timed, fence) {
        Check::Valid { .. } => act_alone(cell, timed, fence, slot),
        unsure @ (Check::Expired | Check::Suspect | Check::NotHeld) => Tried::Unsure(unsure),
    }
}

/// The act, by the guard: its stores become visible at one instant at which the lease is valid.
#[cfg(not(feature = "unguarded"))]
#[inline(never)]
fn act_alone(cell: &LeaseCell, timed: &Timed<'_>, fence: Fence, slot: &Slot) -> Tried {
    let entry = slot.entry.map(Word::new);
    let given_last = Word::new(slot.given);
    let [under, given, count] = &entry;
    let committed = cell.commit_in(timed, fence, &entry, |act| {
        act.store(under, fence.get());
        act.store(given, act.load(&given_last));
        act.store(count, slot.number);
    });
    committed.map_or_else(Tried::Refused, |_| Tried::Acted)
}

/// The planted bug: the same stores after the check, without the guard.
#[cfg(feature = "unguarded")]
#[inline(never)]
fn act_alone(_: &LeaseCell, _: &Timed<'_>, fence: Fence, slot: &Slot) -> Tried {
    use std::sync::atomic::Ordering::SeqCst;
    let [under, given, count] = slot.entry;
    under.store(fence.get(), SeqCst);
    given.store(slot.given.load(SeqCst), SeqCst);
    count.store(slot.number, SeqCst);
    Tried::Acted
}
