//! T-Lease's own granter and holders, as enclaves, under the attack that they are made for: a holder
//! is kept outside in the midst of an act until somebody else has acted under a later lease.
//!
//! One contest at a time: each keeps a core busy for each of its three timekeepers.

mod common;

use common::{Page, Running, enclave, image};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tlease_sgx_emu::contest::{Contest, Seen, Stop};

/// Keeps the first holder outside so often, at the places that `follow` names. `None`, with a word, if
/// the enclaves did not get so far in time: three that spin, on a machine that is busy with much else.
fn contest(name: &str, rounds: u64, follow: &str, actions: &[&str]) -> Option<Seen> {
    let _one = one();
    let contest = Contest {
        runner: Path::new(env!("CARGO_BIN_EXE_tlease-sgx-run")).to_owned(),
        image: image(name),
        rounds,
        follow: follow.to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
    };
    let seen = match contest.run(|line| println!("{line}")) {
        Ok(seen) => seen,
        Err(late @ Stop::Missing(_)) => {
            println!("skipped: {late}");
            return None;
        }
        Err(stop) => panic!("{stop}"),
    };
    println!("{seen:?}");
    assert_eq!(seen.rounds, rounds);
    Some(seen)
}

fn one() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
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
    let Some(seen) = contest("tlease-enclave-unguarded", 1, "act_alone=0", &[]) else { return };
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
    let output = enclave("tlease-enclave-unguarded", &options, &holder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("does not name this side's measurement"), "{said}");
    assert_eq!(page.share.load(GIVEN), 0, "nothing was given");
}

/// The word with the fence that the granter gave last.
const GIVEN: usize = 2;
/// The word with the granter's port.
const PORT: usize = 3;
/// More than the instructions of a check and an act that goes through.
const ALL_PLACES: u64 = 400;
