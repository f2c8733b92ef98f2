//! Faults planted in the guard: each must be caught by what catches real ones.
#![cfg(feature = "mutants")]

mod common;

use common::{LONG, clear_accessed_bits, effect_after_revoke, fence, held, outlive, transactions};
use tlease_clock::memory::Region;
use tlease_clock::{Mutant, Profile};
use tlease_core::time::Span;

#[test]
fn a_commit_beyond_the_deadline_shows() {
    if !transactions() {
        return;
    }
    let profile = Profile::host().mutate(Mutant::CommitBeyondDeadline);
    // The fault shows for 20 ms after each deadline; a busy machine may sleep through some of them.
    let shown = (0..100).any(|_| {
        let cell = held(&profile, Span::from_millis(5));
        outlive(&cell);
        let committed = cell.commit(fence(1), &(), |_| ());
        if let Ok(committed) = committed {
            assert!(committed.late.is_some(), "and the guard itself notices that it was late");
            assert_eq!(cell.clock().late_commits().count, 1);
        }
        committed.is_ok()
    });
    assert!(shown, "the planted fault must show");
}

#[test]
fn memory_that_is_not_touched_never_commits() {
    if !transactions() || !clear_accessed_bits() {
        println!("skipped: no transactions, or no /proc/self/clear_refs");
        return;
    }
    let cell = held(&Profile::host().mutate(Mutant::TouchNothing), LONG);
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    for _ in 0..100 {
        assert!(cell.commit(fence(1), &word, |act| act.store(&word, 1)).is_err());
    }
}

#[test]
fn a_revocation_without_a_barrier_lets_a_store_through() {
    let profile = Profile::host().without_transactions();
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    if let Err(refusal) = held(&profile, LONG).publish(fence(1), &word, 1) {
        println!("skipped: {refusal}");
        return;
    }
    // It takes both threads running at once, at the right nanosecond: seconds on two idle processors,
    // minutes on busy ones.
    let is_long = std::env::var_os("TLEASE_FULL").is_some();
    let rounds = if is_long { 100_000 } else { 500 };
    let caught = effect_after_revoke(&profile.mutate(Mutant::RevokeWithoutBarrier), rounds);
    match caught {
        Some(round) => println!("caught in round {round}"),
        None if is_long => panic!("the planted fault must show"),
        None => {
            println!("skipped: the fault did not show in {rounds} rounds (TLEASE_FULL=1: more)")
        }
    }
}
