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
#[cfg(feature = "mutants")]
#[path = "replay/record.rs"]
mod record;
#[cfg(feature = "mutants")]
#[path = "support/rng.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod rng;
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

/// Traces of the code as it is, and of the code with bugs that TLC must notice. A directory gets them all
/// as one module, and a list of how many there are of what.
#[cfg(feature = "mutants")]
#[test]
#[ignore = "cargo xtask tlc runs it, and has TLC look for what it wrote down in the specification"]
fn traces_of_the_code_are_written_down() {
    let directory = std::env::var_os("TLEASE_TRACES").expect("TLEASE_TRACES, a directory");
    let directory = std::path::Path::new(&directory);
    let mut traces = mutants::traces(cell::Hands::exact(), mutants::TRACES);
    assert_eq!(traces.len() as u64, mutants::TRACES, "the code does what the cell expects");
    let kinds: Vec<&String> = traces.iter().flat_map(|trace| &trace.kinds).collect();
    let is_missing = |step: &&&str| !kinds.iter().any(|kind| kind == *step);
    let inputs = STEPS.iter().filter(|step| !mutants::FOLLOWING.contains(step));
    let missing: Vec<_> = inputs.filter(is_missing).collect();
    assert!(missing.is_empty(), "never recorded: {missing:?}");
    let mut index = format!("as-it-is {}\n", mutants::lengths(&traces));
    for mutant in mutants::noticed() {
        let more = mutants::traces(mutants::planted(mutant), mutants::TRACES_OF_BUG);
        index.push_str(&format!("{} {}\n", mutant.name(), mutants::lengths(&more)));
        traces.extend(more);
    }
    fs::write(directory.join("index.txt"), index).expect("a place for the list");
    fs::write(directory.join("Recorded.tla"), record::module(&traces)).expect("for the traces");
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

    use super::cell::Hands;
    use super::record::{Recorder, Trace};

    pub(super) const TRACES: u64 = 24;
    pub(super) const TRACES_OF_BUG: u64 = 3;

    /// Steps that are no input, but follow from one.
    pub(super) const FOLLOWING: [&str; 5] = ["Unpark", "Serve", "EndWait", "Lower", "StoreWrites"];

    /// As many traces, but for those in which the code does what no cell can go on with.
    pub(super) fn traces(hands: Hands, count: u64) -> Vec<Trace> {
        let trace = |seed| std::panic::catch_unwind(|| Recorder::new(hands, seed).run()).ok();
        (0..count).filter_map(trace).collect()
    }

    /// How many steps each has.
    pub(super) fn lengths(traces: &[Trace]) -> String {
        traces.iter().map(|trace| trace.steps.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// Exact hands, with a bug.
    pub(super) fn planted(mutant: Mutant) -> Hands {
        let Hands { slow, fast } = Hands::exact();
        Hands { slow: slow.mutate(mutant), fast: fast.mutate(mutant) }
    }

    /// The bugs whose traces TLC must not find; others for whoever names them.
    pub(super) fn noticed() -> Vec<Mutant> {
        let Ok(names) = std::env::var("TLEASE_MUTANTS") else { return NOTICED.to_vec() };
        let is_named = |mutant: &&Mutant| names.split(' ').any(|name| name == mutant.name());
        Mutant::ALL.iter().filter(is_named).copied().collect()
    }

    const NOTICED: [Mutant; 8] = [
        Mutant::AnchorAtReceipt,
        Mutant::ResendKeepsId,
        Mutant::RestartWaitSkipped,
        Mutant::PromiseBeforeDurable,
        Mutant::FencesRepeat,
        Mutant::UsedIdAccepted,
        Mutant::RenewalRevives,
        Mutant::SharedBesideExclusive,
    ];

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
