//! Attacks on a guard in an enclave, and their judge, which has no clock.
//!
//! A thread leaves at a chosen instruction of the guard and waits. Meanwhile the judge takes the lease
//! away and counts: whatever the thread does once it goes on is stale. The controls are guards with a
//! hole, in which the same attacks must find it.

mod common;

use common::{Page, Running, probe};
use std::sync::atomic::Ordering::SeqCst;
use tlease_sgx_emu::plan::{GO_ON, WAITING};

/// What came of an attack.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// How often the lease was taken away from a thread that had left.
    rounds: u64,
    /// Effects of such a thread afterwards.
    stale: u64,
    /// Effects in all.
    effects: u64,
}

/// Attacks each instruction of the function in turn, this often.
fn attack(way: &str, options: &str, rounds: u64) -> Seen {
    let page = Page::new();
    let word = |index| page.share.word(index);
    word(VALID).store(1, SeqCst);
    let options =
        format!("{} --exits 100 --follow {way}_act=sweep {options} --do await", page.option());
    let mut enclave = Running::start(probe(&options, &format!("acts {way} @share {}", u64::MAX)));
    let mut seen = Seen { rounds: 0, stale: 0, effects: 0 };
    for round in 0..rounds {
        if !enclave.waits_until(|| word(WAITING).load(SeqCst) > round) {
            break;
        }
        word(VALID).store(0, SeqCst);
        let (effects, finished) = (word(EFFECTS).load(SeqCst), word(FINISHED).load(SeqCst));
        word(GO_ON).fetch_add(1, SeqCst);
        if !enclave.waits_until(|| word(FINISHED).load(SeqCst) > finished) {
            break;
        }
        seen.stale += word(EFFECTS).load(SeqCst) - effects;
        seen.rounds += 1;
        word(VALID).store(1, SeqCst);
    }
    seen.effects = word(EFFECTS).load(SeqCst);
    seen
}

#[test]
fn an_exit_anywhere_in_the_guard_lets_no_stale_effect_through() {
    let seen = attack("guarded", "", ROUNDS);
    assert_eq!((seen.rounds, seen.stale), (ROUNDS, 0), "{seen:?}");
    assert!(seen.effects > 0, "a guard that never acts is safe and useless: {seen:?}");
}

#[test]
fn a_thread_that_comes_back_on_another_processor_is_refused_as_well() {
    let seen = attack("guarded", "--do move", ROUNDS);
    assert_eq!((seen.rounds, seen.stale), (ROUNDS, 0), "{seen:?}");
}

#[test]
fn the_attack_finds_a_check_that_is_not_one_step_with_the_act() {
    let seen = attack("unguarded", "", ROUNDS);
    assert_eq!(seen.rounds, ROUNDS, "{seen:?}");
    assert!(seen.stale > 0, "{seen:?}");
}

#[test]
fn the_attack_finds_a_check_outside_of_the_transaction() {
    let seen = attack("unmarked", "", ROUNDS);
    assert_eq!(seen.rounds, ROUNDS, "{seen:?}");
    assert!(seen.stale > 0, "{seen:?}");
}

/// More than twice the instructions of the longest of the functions.
const ROUNDS: u64 = 80;
/// Words of the page, as the probe knows them.
const VALID: usize = 16;
const EFFECTS: usize = 17;
const FINISHED: usize = 18;
