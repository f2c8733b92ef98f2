//! Victims paused, stepped, moved and interrupted across the hand-over of their lease.
//!
//! One test at a time: they share two cores. `TLEASE_FULL=1` runs 2,000 lethal hand-overs of each
//! guarded mechanism instead of some dozens.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tlease_attack::{Attack, Mechanism, Scenario, Tier, Verdict};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(mechanism: Mechanism, attacks: &[Attack], lanes: usize, tier: Tier) -> Option<Verdict> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let scenario = Scenario { mechanism, attacks: attacks.to_vec(), lanes, tier };
    let program = Path::new(env!("CARGO_BIN_EXE_tlease-lane"));
    let verdict = scenario.run(program).expect("processes can be started");
    if verdict.unsupported {
        println!("skipped: this machine does not support {mechanism:?}");
        return None;
    }
    println!("{mechanism:?} under {attacks:?}: {verdict}");
    Some(verdict)
}

/// Nothing stale, in as many lethal hand-overs as the tier asks for, and the holder could work.
fn holds(mechanism: Mechanism, attacks: &[Attack], lanes: usize, success_percent: f64) {
    let tier = Tier::from_env();
    let Some(verdict) = run(mechanism, attacks, lanes, tier) else { return };
    assert_eq!(verdict.stale_rounds, 0, "{verdict}");
    assert!(verdict.acts > 0, "{verdict}");
    let hand_overs =
        if attacks.iter().any(|attack| attack.pauses()) { verdict.lethal } else { verdict.rounds };
    assert!(hand_overs >= tier.hand_overs(), "too few: {verdict}");
    assert!(verdict.success_percent() >= success_percent, "{verdict}");
}

#[test]
fn a_stopped_holder_commits_nothing_after_the_hand_over() {
    holds(Mechanism::Commit, &[Attack::Stop], 3, 99.9);
}

#[test]
fn nor_with_one_clock() {
    holds(Mechanism::CommitOneClock, &[Attack::Stop], 3, 99.9);
}

#[test]
fn nor_in_strict_order_without_a_margin() {
    holds(Mechanism::CommitStrict, &[Attack::Stop], 3, 99.9);
}

#[test]
fn nor_while_moved_interrupted_and_crowded_out() {
    let attacks = [Attack::Stop, Attack::Migrate, Attack::SignalStorm, Attack::Busy];
    holds(Mechanism::Commit, &attacks, 2, 99.9);
}

#[test]
fn nor_while_its_pages_are_aged() {
    holds(Mechanism::Commit, &[Attack::Stop, Attack::AgedPages], 2, 99.9);
}

#[test]
fn nor_when_traced_step_by_step() {
    // A stepped transaction always aborts: what counts is that the holder works in between.
    holds(Mechanism::Commit, &[Attack::SingleStep], 2, 0.0);
}

#[test]
fn a_stopped_holder_publishes_nothing_after_the_hand_over() {
    holds(Mechanism::PublishRestartable, &[Attack::Stop], 3, 99.0);
}

#[test]
fn a_stepped_publish_always_restarts() {
    holds(Mechanism::PublishRestartable, &[Attack::SingleStep], 2, 0.0);
}

#[test]
fn the_judge_catches_check_then_act() {
    let verdict = run(Mechanism::Plain, &[Attack::Stop], 3, Tier::UntilCaught);
    let verdict = verdict.expect("needs nothing");
    assert!(verdict.stale_rounds > 0, "the control must fail: {verdict}");
}

#[test]
fn the_judge_catches_every_stop_between_check_and_act() {
    let attacks = [Attack::LeaveStopped];
    let verdict = run(Mechanism::PlainStopping, &attacks, 2, Tier::Default);
    let verdict = verdict.expect("needs nothing");
    assert!(verdict.lethal >= Tier::Default.hand_overs(), "too few: {verdict}");
    // The rounds under way at the end are paused but not yet judged.
    assert!(verdict.stale_rounds + 2 >= verdict.lethal, "{verdict}");
}

#[cfg(feature = "mutants")]
#[test]
fn the_judge_catches_a_guard_that_ignores_the_deadline() {
    let mutant = Mechanism::CommitIgnoringDeadline;
    let Some(verdict) = run(mutant, &[Attack::Stop], 3, Tier::UntilCaught) else { return };
    assert!(verdict.stale_rounds > 0, "the planted fault must be caught: {verdict}");
}
