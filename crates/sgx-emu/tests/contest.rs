//! T-Lease's own granter and holders, as enclaves, under the attack that they are made for: a holder
//! is kept outside in the midst of an act until somebody else has acted under a later lease.
//!
//! One contest at a time: each keeps a core busy for each of its three timekeepers.

mod common;

use common::contests::{Mutant, contest_of, one, seen_in};
use common::{Page, Running, enclave};
use std::collections::BTreeSet;
use tlease_sgx_emu::contest::{Contest, Seen};

/// Keeps the first holder outside so often, at the places that `follow` names.
fn contest(name: &str, rounds: u64, follow: &str, actions: &[&str]) -> Option<Seen> {
    seen_in(&Contest {
        rounds,
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        ..contest_of(name, follow)
    })
}

fn is_full() -> bool {
    std::env::var("TLEASE_FULL").is_ok_and(|full| full == "1")
}

#[test]
fn a_holder_that_is_kept_outside_between_check_and_act_does_not_act() {
    let Some(seen) = contest("tlease-enclave", 1, "act_alone=0", &[]) else { return };
    assert!(seen.is_safe(), "{seen:?}");
    assert_eq!(seen.places, BTreeSet::from([0]));
}

#[test]
fn nor_does_one_that_is_kept_outside_anywhere_else_in_them() {
    let rounds = if is_full() { ALL_PLACES } else { 4 };
    let seen = contest("tlease-enclave", rounds, "check_then_act=sweep:53", &[]);
    let Some(seen) = seen else { return };
    assert!(seen.is_safe(), "{seen:?}");
    assert!(seen.places.len() > 1, "{seen:?}");
}

#[test]
fn nor_if_the_counter_is_moved_back_meanwhile() {
    let (rounds, follow) = if is_full() { (20, "act_alone=sweep:37") } else { (1, "act_alone=0") };
    let seen = contest("tlease-enclave", rounds, follow, &["tsc:-3000000000"]);
    let Some(seen) = seen else { return };
    assert!(seen.is_safe(), "{seen:?}");
}

#[test]
fn the_judge_finds_a_holder_that_checks_and_then_acts_without_the_guard() {
    let planted = contest_of("tlease-enclave-mutants", "act_alone=0");
    let Some(seen) = seen_in(&Contest { bug: Some(format!("{:?}", Mutant::Unguarded)), ..planted })
    else {
        return;
    };
    assert_eq!(seen.stale, 1, "{seen:?}");
    assert!(seen.stale_by_entry > 0, "{seen:?}");
}

#[test]
fn an_enclave_with_another_measurement_gets_no_lease() {
    let _one = one();
    let page = Page::new();
    let options = page.option();
    let mut granter =
        Running::start(enclave("tlease-enclave", &options, "granter 127.0.0.1:0 @share"));
    assert!(granter.waits_until(|| page.share.load(PORT) != 0), "it listens");
    let holder = format!("holder 127.0.0.1:{} @share 0 name 1", page.share.load(PORT));
    let output = enclave("tlease-enclave-mutants", &options, &holder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("does not name this side's measurement"), "{said}");
    assert_eq!(page.share.load(GIVEN), 0, "nothing was given");
}

#[test]
fn a_holder_without_transactions_says_what_it_lacks_before_it_ends() {
    let page = Page::new();
    let options = format!("{} --no-transactions", page.option());
    let output = enclave("tlease-enclave", &options, "holder 127.0.0.1:1 @share 0 name 1").output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("Connection refused") {
        return println!("skipped: this processor has transactions");
    }
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("no transactions (TSX), without which a holder"), "{said}");
}

/// The word with the fence that the granter gave last.
const GIVEN: usize = 2;
/// The word with the granter's port.
const PORT: usize = 3;
/// More than the instructions of a check and an act that goes through.
const ALL_PLACES: u64 = 400;
