//! Behaviours of the specification that the code must follow: TLC draws them at random from
//! `spec/Replay.tla`, and `crates/core/tests/replay.rs` does the same with the code.
//!
//! What TLC draws depends on nothing but the specification, the run and [`SEED`]. A small part of it
//! is checked in (`spec/behaviours.txt`), so that tests replay something where there is no Java.

use super::runs::Run;
use crate::tree;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

/// Behaviours of each run that must agree, and of one with a mutation.
const DRAWN: u32 = 150;
const DRAWN_OF_MUTATION: u32 = 60;

/// Steps of each. A test moves its clocks a little between steps, and has no room for more.
const STEPS: u32 = 80;

const SEED: u32 = 20_201_019;

/// How often the part that is checked in has each step.
const CHECKED_IN: usize = 2;

/// Where that is.
pub(super) const BEHAVIOURS: &str = "spec/behaviours.txt";

/// The variables that the test compares, `step` first.
const VARIABLES: [&str; 5] = ["step", "granter", "disk", "holder", "net"];

/// One behaviour: its lines in the format of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Behaviour {
    lines: Vec<String>,
}

/// What came of replaying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Agrees,
    Differs,
    /// The test did not come to an end, or missed a step.
    Fails,
}

/// Has TLC draw the behaviours of a run.
pub(super) fn draw(
    run: &Run,
    base: &str,
    jar: &Path,
    directory: &Path,
) -> io::Result<Vec<Behaviour>> {
    let traces = directory.join("traces");
    if traces.is_dir() {
        fs::remove_dir_all(&traces)?;
    }
    fs::create_dir_all(&traces)?;
    for module in ["Lease.tla", "Replay.tla"] {
        fs::copy(tree::root().join("spec").join(module), directory.join(module))?;
    }
    fs::write(directory.join("Replay.cfg"), run.config(base).map_err(io::Error::other)?)?;
    let count = if run.is_mutation() { DRAWN_OF_MUTATION } else { DRAWN };
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1", "-Xmx1g"]);
    java.arg("-cp").arg(jar).arg("tlc2.TLC");
    java.args(["-workers", "1", "-deadlock", "-cleanup", "-nowarning"]);
    java.args(["-simulate", &format!("file=traces/t,num={count}"), "-depth", &STEPS.to_string()]);
    java.args(["-seed", &SEED.to_string(), "-aril", "0", "Replay"]);
    let output = java.current_dir(directory).stdin(Stdio::null()).output()?;
    fs::write(directory.join(super::OUTPUT), &output.stdout)?;
    let drawn = (0..count).map(|number| {
        let text = fs::read_to_string(traces.join(format!("t_0_{number}")))?;
        Behaviour::read(&format!("{} {number}", run.name), &text)
            .ok_or_else(|| io::Error::other("not a trace of TLC"))
    });
    drawn.collect::<io::Result<Vec<_>>>().map_err(|error| {
        io::Error::other(format!("{error}; see {}", directory.join(super::OUTPUT).display()))
    })
}

/// Replays what lies in a directory. Says what it replayed, or where the two sides disagree.
pub(super) fn replay(directory: &Path) -> io::Result<(Outcome, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut test = Command::new(cargo);
    test.args(["test", "--quiet", "--locked", "-p", "tlease-core", "--test", "replay", "--"]);
    test.args(["--ignored", "--exact", "--nocapture", "the_code_does_what_tlc_has_drawn"]);
    test.env("TLEASE_BEHAVIOURS", directory).env("RUST_BACKTRACE", "0");
    let output = test.current_dir(tree::root()).stdin(Stdio::null()).output()?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    let outcome = if output.status.success() {
        Outcome::Agrees
    } else if said.contains("they disagree in ") {
        Outcome::Differs
    } else {
        Outcome::Fails
    };
    Ok((outcome, said))
}

/// The part that is checked in: a few behaviours that have every step a few times.
pub(super) fn selection(drawn: &[Behaviour]) -> String {
    let mut lacks: BTreeMap<String, usize> = BTreeMap::new();
    for kind in drawn.iter().flat_map(Behaviour::kinds) {
        lacks.insert(kind, CHECKED_IN);
    }
    let mut left: Vec<&Behaviour> = drawn.iter().collect();
    let mut text = HEADER.to_owned();
    while lacks.values().any(|lack| *lack > 0) {
        let useful = |behaviour: &&Behaviour| {
            let mut lacks = lacks.clone();
            let kinds = behaviour.kinds();
            kinds.into_iter().filter(|kind| take(&mut lacks, kind)).count()
        };
        // The first of the most useful.
        let Some(best) = (0..left.len()).rev().max_by_key(|at| useful(&left[*at])) else { break };
        let behaviour = left.remove(best);
        if useful(&behaviour) == 0 {
            break;
        }
        for kind in behaviour.kinds() {
            take(&mut lacks, &kind);
        }
        text.push_str(&behaviour.text());
    }
    text
}

const HEADER: &str = "\
# Behaviours of spec/Replay.tla, drawn by TLC: written by `cargo xtask fix --behaviours`, checked by
# `cargo xtask tlc`. See spec/README.md.
";

/// Counts one off, if any is lacking.
fn take(lacks: &mut BTreeMap<String, usize>, kind: &str) -> bool {
    let lack = lacks.get_mut(kind).filter(|lack| **lack > 0);
    lack.map(|lack| *lack = lack.saturating_sub(1)).is_some()
}

impl Behaviour {
    /// Reads what TLC writes: modules whose definitions are states.
    fn read(name: &str, trace: &str) -> Option<Self> {
        let mut lines = vec![format!("behaviour {name}")];
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        for state in trace.split("\nSTATE_").skip(1) {
            let state = state.split("\n====").next()?;
            let mut values: BTreeMap<&str, String> = BTreeMap::new();
            for conjunct in state.split("\n/\\ ").skip(1) {
                let (variable, value) = conjunct.split_once(" = ")?;
                values.insert(variable, value.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            for variable in VARIABLES {
                let value = values.remove(variable)?;
                if variable == "step" || known.get(variable) != Some(&value) {
                    lines.push(format!("{variable} {value}"));
                    known.insert(variable, value);
                }
            }
        }
        (lines.len() > 1).then_some(Self { lines })
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }

    /// What its steps are, the last input and what follows left out: the test leaves them out too.
    fn kinds(&self) -> Vec<String> {
        let mut steps: Vec<&String> =
            self.lines.iter().filter(|line| line.starts_with("step ")).collect();
        let last = steps.iter().rposition(|step| step.contains("input |-> TRUE"));
        steps.truncate(last.unwrap_or(0));
        let kind = |step: &&String| {
            let ops = step.split("op |-> \"").skip(1).filter_map(|rest| rest.split('"').next());
            ops.collect::<Vec<_>>().join(" ")
        };
        steps.iter().map(kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
---------------- MODULE t_0_0 -----------------
STATE_1 == 
/\\ granter = [ next |-> 1,
  inc |-> 1 ]
/\\ disk = 1
/\\ net = {}
/\\ holder = 2
/\\ step = [op |-> \"Init\", input |-> TRUE]
/\\ code = 7


STATE_2 == 
/\\ granter = [ next |-> 1,
  inc |-> 1 ]
/\\ disk = 2
/\\ net = {}
/\\ holder = 2
/\\ step = [op |-> \"HolderReceives\", m |-> [op |-> \"Granted\"], input |-> TRUE]
/\\ code = 8


STATE_3 == 
/\\ granter = 1
/\\ disk = 2
/\\ net = {}
/\\ holder = 2
/\\ step = [op |-> \"Tick\", input |-> TRUE]
/\\ code = 8

=================================================
";

    #[test]
    fn a_trace_becomes_its_steps_and_what_changed() {
        let behaviour = Behaviour::read("n 1", TRACE).unwrap();
        assert_eq!(
            behaviour.lines,
            [
                "behaviour n 1",
                "step [op |-> \"Init\", input |-> TRUE]",
                "granter [ next |-> 1, inc |-> 1 ]",
                "disk 1",
                "holder 2",
                "net {}",
                "step [op |-> \"HolderReceives\", m |-> [op |-> \"Granted\"], input |-> TRUE]",
                "disk 2",
                "step [op |-> \"Tick\", input |-> TRUE]",
                "granter 1",
            ]
        );
        assert_eq!(behaviour.kinds(), ["Init", "HolderReceives Granted"]);
        assert_eq!(Behaviour::read("n 1", "no trace"), None);
    }

    #[test]
    fn the_selection_has_every_step_and_no_behaviour_for_nothing() {
        let one = Behaviour::read("n 1", TRACE).unwrap();
        let drawn = vec![one.clone(), one.clone(), one.clone()];
        let selected = selection(&drawn);
        assert_eq!(selected, format!("{HEADER}{}{}", one.text(), one.text()));
    }
}
