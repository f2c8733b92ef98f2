//! Holes in the guard of the enclave's own image, each found by an attack that the guard withstands.
//!
//! Nothing is left to chance: in the call that is attacked the counter stands still and no exit comes but
//! the chosen one (`--still`), so that what the deadline or an interruption would have stopped is not.
//!
//! Each takes up to a minute, so the gate runs the first alone, and `cargo xtask sgx test --full` all.

mod common;

use common::contests::{Mutant, contest_of, seen_in};
use tlease_sgx_emu::contest::{Contest, Seen};

/// Attacks the first holder at these places, so often; it acts in this way.
fn attack(way: Option<&str>, follow: &str, rounds: u64) -> Option<Seen> {
    let bug = way.map(str::to_owned);
    let contest = contest_of("tlease-enclave-mutants", follow);
    seen_in(&Contest { bug, rounds, is_still: true, ..contest })
}

/// Each round shows the hole.
fn shows(bug: Mutant, follow: &str) {
    let rounds = if is_full() { 8 } else { 1 };
    let Some(seen) = attack(Some(&format!("{bug:?}")), follow, rounds) else { return };
    assert_eq!(seen.stale, rounds, "the planted fault must show: {seen:?}");
    assert!(seen.stale_by_entry >= rounds, "{seen:?}");
}

fn withstands(way: Option<&str>, follow: &str) {
    let Some(seen) = attack(way, follow, ALL_WITHIN) else { return };
    assert!(seen.is_safe(), "{seen:?}");
}

/// Says so if it is left to the long tests.
fn is_left_out() -> bool {
    if !is_full() {
        println!("skipped: it takes a minute; cargo xtask sgx test --full runs it");
    }
    !is_full()
}

fn is_full() -> bool {
    std::env::var("TLEASE_FULL").is_ok_and(|full| full == "1")
}

#[test]
fn a_mark_that_is_not_tested_lets_a_lost_lease_act() {
    shows(Mutant::MarkIgnored, BEFORE);
}

#[test]
fn a_mark_that_is_tested_outside_of_the_transaction_lets_a_lost_lease_act() {
    if is_left_out() {
        return;
    }
    shows(Mutant::MarkTestedOutside, WITHIN);
}

#[test]
fn an_anchor_that_is_kept_across_a_call_to_the_host_lets_a_lost_lease_act() {
    if is_left_out() {
        return;
    }
    shows(Mutant::CallOutlived, AT_CALL);
}

#[test]
fn the_guard_withstands_an_exit_before_each_instruction_of_its_transaction() {
    if is_left_out() {
        return;
    }
    withstands(None, WITHIN);
}

#[test]
fn a_thread_that_calls_the_host_in_a_stay_does_not_act_with_what_it_knew() {
    if is_left_out() {
        return;
    }
    withstands(Some("Calls"), AT_CALL);
}

/// Between check and act.
const BEFORE: &str = "act_alone=0";
const WITHIN: &str = "act_alone=within";
const AT_CALL: &str = "act_alone=call";
/// More than the instructions of a transaction of the act.
const ALL_WITHIN: u64 = 120;
