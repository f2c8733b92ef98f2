//! Forty attacks by name: each that runs ends safely, and fails with the bug that its row names.

use std::path::Path;

use tlease_sim::mutants::named;
use tlease_sim::scenarios::{Scenario, Status, all};
use tlease_sim::trace::{Lines, Trace, What};
use tlease_sim::{Options, Plan, World};

#[test]
fn each_scenario_ends_safely_and_fails_with_its_bug() {
    for Scenario { name, status, .. } in all() {
        let Status::Runs(run, bug) = status else { continue };
        let outcome = run(&|options: Options| World::new(Plan::of(1, options)));
        assert_eq!(outcome, Ok(()), "{name}");
        if let Some(bug) = bug {
            let planted = named(bug).and_then(|mutant| mutant.bug).expect("a bug for worlds");
            let outcome = run(&|options| World::mutated(Plan::of(1, options), planted));
            assert!(outcome.is_err(), "{name} passes with {bug}");
        }
    }
}

#[test]
fn every_scenario_that_runs_is_traced_and_the_trace_changes_nothing() {
    for Scenario { name, status, .. } in all() {
        let Status::Runs(run, _) = status else { continue };
        let traced = || {
            let lines = Lines::default();
            let make = |options| World::traced(Plan::of(1, options)).of_scenario(name, &lines);
            assert_eq!(run(&make), Ok(()), "{name}");
            lines.into_trace()
        };
        let trace = traced();
        assert_eq!(Trace::read(&trace.to_json_lines()), Ok(traced()), "{name}");
        assert_eq!((trace.scenario(), trace.plan()), (Some(name), None));
        assert!(trace.0.iter().any(|line| matches!(line.what, What::Hold { .. })), "{name}");
    }
}

/// Drawn clocks keep their promises, so these two checkers have nothing to see in drawn worlds.
#[test]
fn what_clocks_that_disagree_lead_to_is_checked() {
    let slowed = all().into_iter().find(|scenario| scenario.name == "s20_crystal_slowed");
    let Some(Scenario { status: Status::Runs(run, _), .. }) = slowed else { panic!("it runs") };
    for (bug, claim) in [("ReportFrees", "I51"), ("DoubtKeepsLeases", "I52")] {
        let planted = named(bug).and_then(|mutant| mutant.bug).expect("a bug for worlds");
        let outcome = run(&|options| World::mutated(Plan::of(1, options), planted));
        let why = outcome.expect_err("it is caught");
        assert!(why.contains(claim), "{bug} is caught by {why}");
    }
}

#[test]
fn the_table_lists_forty_as_they_are() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md");
    let written = std::fs::read_to_string(&document).expect("docs/scenarios.md");
    let scenarios = all();
    assert_eq!(scenarios.len(), 40);
    let rows: String = scenarios.iter().map(row).collect();
    let (text, _) = written.split_once(TABLE).expect("the table's head");
    let right = format!("{text}{TABLE}\n{rows}");
    if std::env::var_os("TLEASE_WRITE_DOCS").is_some() {
        std::fs::write(&document, right).expect("a writable file");
    } else {
        assert_eq!(written, right, "TLEASE_WRITE_DOCS=1 cargo test -p tlease-sim writes it");
    }
}

/// The head of the table, which ends the document.
const TABLE: &str = "| scenario | status | more |
|---|---|---|";

fn row(scenario: &Scenario) -> String {
    let Scenario { name, status, .. } = scenario;
    let (what, more) = match status {
        Status::Runs(_, Some(bug)) => ("runs", format!("fails with `{bug}`")),
        Status::Runs(_, None) => ("runs", "no bug planted shows here".to_owned()),
        Status::Shown(place) => ("shown elsewhere", (*place).to_owned()),
        Status::NotOurs(why) => ("not ours", (*why).to_owned()),
    };
    format!("| `{name}` | {what} | {more} |\n")
}
