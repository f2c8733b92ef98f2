//! The specification and the code take the same steps, and show the same states.
//!
//! TLC draws behaviours of `spec/Replay.tla`; each of their inputs is given to the very `Granter` and
//! `Holder`, and after each the two sides are compared (`replay/seen.rs`: what of a state is compared).
//! Messages that the specification forgets, because their receiver would ignore them, are delivered
//! as well, and must change nothing. `spec/README.md` says what the mapping is.

#[path = "replay/behaviour.rs"]
mod behaviour;
#[path = "replay/cell.rs"]
mod cell;
#[path = "replay/node.rs"]
mod node;
#[path = "replay/seen.rs"]
mod seen;
#[path = "replay/value.rs"]
mod value;
#[path = "replay/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use behaviour::{Behaviour, State};
use cell::Cell;
use seen::Seen;

/// Every step of the specification, for messages of every kind. All must have been replayed.
const STEPS: [&str; 28] = [
    "GranterReceives Acquire",
    "GranterReceives Renew",
    "GranterReceives Release",
    "GranterReceives Withdraw",
    "GranterReceives Reclaim",
    "HolderReceives Granted",
    "HolderReceives Offered",
    "HolderReceives Renewed",
    "HolderReceives Reclaimed",
    "HolderReceives NotHeldHere",
    "HolderReceives Refused",
    "Wish",
    "AskToRenew",
    "GiveUp",
    "Expire",
    "Reopen",
    "Break",
    "Tick",
    "Unpark",
    "Serve",
    "Recall",
    "EndWait",
    "Lower",
    "Stored",
    "StoreFails",
    "StoreWrites",
    "Exit",
    "Crash",
];

/// What was replayed.
#[derive(Debug, Default)]
struct Replayed {
    behaviours: usize,
    steps: BTreeMap<String, usize>,
}

#[test]
fn the_code_does_what_the_specification_does() {
    let mut replayed = Replayed::default();
    replayed.file(CHECKED_IN);
    replayed.is_complete();
}

#[test]
#[ignore = "cargo xtask tlc runs it, on behaviours that TLC has just drawn"]
fn the_code_does_what_tlc_has_drawn() {
    let directory = std::env::var_os("TLEASE_BEHAVIOURS").expect("TLEASE_BEHAVIOURS, a directory");
    let mut replayed = Replayed::default();
    for file in fs::read_dir(directory).expect("a directory of behaviours") {
        let path = file.expect("an entry").path();
        replayed.file(path.to_str().expect("a path in UTF-8"));
    }
    replayed.is_complete();
}

/// The bugs in the code that the behaviours which are checked in show.
#[cfg(feature = "mutants")]
#[test]
fn planted_bugs_make_the_code_leave_the_specification() {
    let behaviours = behaviour::read(&text_of(CHECKED_IN));
    let exact = cell::Hands::exact();
    for mutant in mutants::SEEN {
        let hands =
            cell::Hands { slow: exact.slow.mutate(mutant), fast: exact.fast.mutate(mutant) };
        let mut replayed = Replayed::default();
        let agrees =
            behaviours.iter().all(|behaviour| replayed.behaviour(hands, behaviour).is_ok());
        assert!(!agrees, "{mutant:?} changes nothing");
    }
}

#[cfg(feature = "mutants")]
mod mutants {
    use tlease_core::Mutant;

    pub(super) const SEEN: [Mutant; 24] = [
        Mutant::AnchorAtReceipt,
        Mutant::OfferHeldAtOnce,
        Mutant::ResendKeepsId,
        Mutant::AnchorsCrossBreaks,
        Mutant::ReleaseBeforeClose,
        Mutant::CrossedGrantKept,
        Mutant::RecallIgnored,
        Mutant::WithdrawalResent,
        Mutant::RestartWaitSkipped,
        Mutant::BoundLoweredInWait,
        Mutant::PromiseBeforeDurable,
        Mutant::FailedWriteBelieved,
        Mutant::OldRecordCounts,
        Mutant::TermNotPersisted,
        Mutant::FencesRepeat,
        Mutant::StaleReleaseFrees,
        Mutant::UsedIdAccepted,
        Mutant::EpochRepeats,
        Mutant::QueueBeforeFree,
        Mutant::RenewalRevives,
        Mutant::RenewalNotStamped,
        Mutant::ConfirmationForgotten,
        Mutant::SharedBesideExclusive,
        Mutant::WaitersForgotten,
    ];
}

const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/behaviours.txt");

fn text_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Replayed {
    fn file(&mut self, path: &str) {
        for behaviour in behaviour::read(&text_of(path)) {
            if let Err(where_to) = self.behaviour(cell::Hands::exact(), &behaviour) {
                panic!("{where_to}");
            }
        }
    }

    /// Replays one behaviour, but for what follows from its last input: it may have been cut off.
    ///
    /// # Errors
    /// Where the two sides disagree.
    fn behaviour(&mut self, hands: cell::Hands, behaviour: &Behaviour) -> Result<(), String> {
        let states = &behaviour.states;
        let first = states.first().expect("a behaviour has a first state");
        let mut cell = Cell::new(hands, &first.holder.domain());
        let inputs: Vec<usize> = (1..states.len()).filter(|at| states[*at].is_input()).collect();
        for (input, next) in inputs.iter().zip(inputs.iter().skip(1)) {
            let (before, state) = (&states[input - 1], &states[*input]);
            let settled = &states[next - 1];
            let compared = catch_unwind(AssertUnwindSafe(|| {
                cell.take(before, state);
                compare(&mut cell, &Seen::of(settled));
            }));
            if compared.is_err() {
                let followed: Vec<_> = states[input + 1..*next].iter().map(State::kind).collect();
                let steps = states[1..=*input].iter().map(|state| state.step.to_string());
                return Err(format!(
                    "they disagree in {}, at step {input}:\n  {}\nand then {followed:?}",
                    behaviour.name,
                    steps.collect::<Vec<_>>().join("\n  ")
                ));
            }
            for state in &states[*input..*next] {
                *self.steps.entry(state.kind()).or_default() += 1;
            }
        }
        self.behaviours += 1;
        Ok(())
    }

    /// # Panics
    /// If a step of the specification was never replayed.
    fn is_complete(&self) {
        let count: usize = self.steps.values().sum();
        println!("replayed {count} steps of {} behaviours: {:?}", self.behaviours, self.steps);
        let missing: Vec<_> =
            STEPS.iter().filter(|step| !self.steps.contains_key(**step)).collect();
        assert!(missing.is_empty(), "never replayed: {missing:?}");
    }
}

/// Compares the two sides; then delivers what the specification has forgotten, and compares again.
fn compare(cell: &mut Cell, expected: &Seen) {
    let seen = cell.seen(expected);
    assert_eq!(seen, *expected, "the code is left, the specification right");
    cell.deliver_forgotten(expected);
    let seen = cell.seen(expected);
    assert_eq!(seen, *expected, "after what should have been ignored");
}
