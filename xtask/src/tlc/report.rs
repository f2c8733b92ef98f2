//! What TLC said of one run.

use super::runs::{Checked, Expected, Run};
use std::time::Duration;

/// One run, as TLC reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    code: Option<i32>,
    /// Distinct states found.
    states: u64,
    /// Whether every one of them was looked at.
    is_complete: bool,
    /// How far the farthest state is from the start.
    depth: Option<u64>,
    /// What was violated first.
    violated: Option<String>,
    /// How many states the counterexample has, the first included.
    trace: usize,
    time: Duration,
}

/// The invariants hold.
const OK: i32 = 0;
/// A counterexample to an invariant.
const UNSAFE: i32 = 12;
/// A counterexample to a property of whole executions.
const NOT_LIVE: i32 = 13;

/// TLC does not say which property of whole executions was violated; no run checks two of them.
const SOME_PROPERTY: &str = "Temporal properties";

impl Report {
    pub(super) const HEADING: &str =
        "run                                      states  depth   time  outcome";

    pub(super) fn read(output: &str, code: Option<i32>, time: Duration) -> Self {
        let counts = output.lines().rfind(|line| line.contains("distinct states found"));
        let depth = output.lines().rfind(|line| line.starts_with("The depth of the complete"));
        let violated = output.lines().find_map(|line| {
            let line = line.strip_prefix("Error: ")?;
            let line = line.strip_prefix("Invariant ").or(line.strip_prefix("Action property "));
            line.and_then(|line| line.strip_suffix(" is violated.")).map(str::to_owned)
        });
        let live = output.contains("Error: Temporal properties were violated.");
        Self {
            code,
            states: counts.and_then(|line| number_before(line, " distinct")).unwrap_or(0),
            is_complete: counts.is_some_and(|line| line.contains(", 0 states left")),
            depth: depth.and_then(|line| number_before(line, ".")),
            violated: violated.or_else(|| live.then(|| SOME_PROPERTY.to_owned())),
            trace: output.lines().filter(|line| line.starts_with("State ")).count(),
            time,
        }
    }

    /// Whether TLC found what it must, and nothing else.
    ///
    /// # Errors
    /// What it found instead.
    pub(super) fn meets(&self, run: &Run) -> Result<(), String> {
        let found = match (&run.expected, &run.checked) {
            (Expected::Holds, _) => {
                self.code == Some(OK) && self.is_complete && self.violated.is_none()
            }
            (Expected::Violated(_), Checked::Loss | Checked::Healing) => {
                self.code == Some(NOT_LIVE) && self.violated.as_deref() == Some(SOME_PROPERTY)
            }
            (
                Expected::Violated(name),
                Checked::Safety | Checked::Witness(_) | Checked::Replay | Checked::Trace,
            ) => {
                matches!(self.code, Some(UNSAFE | NOT_LIVE))
                    && self.violated.as_deref() == Some(name)
            }
        };
        if found {
            return Ok(());
        }
        let expected = match &run.expected {
            Expected::Holds => "that all holds",
            Expected::Violated(name) => name,
        };
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        let found = self.violated.as_deref().unwrap_or("no violation");
        Err(format!("{}: expected {expected}, found {found} ({code})", run.name))
    }

    /// The run in a line of a table.
    pub(super) fn row(&self, run: &Run) -> String {
        let depth = self.depth.map_or_else(|| "-".to_owned(), |depth| depth.to_string());
        let outcome = match &self.violated {
            None if self.code == Some(OK) => "holds".to_owned(),
            None => "no result".to_owned(),
            Some(name) => format!("{name}, trace of {}", self.trace),
        };
        let seconds = self.time.as_secs();
        format!("{:36} {:>10} {depth:>6} {seconds:>4} s  {outcome}", run.name, self.states)
    }
}

/// The number that ends where `end` begins.
fn number_before(line: &str, end: &str) -> Option<u64> {
    let (before, _) = line.split_once(end)?;
    before.rsplit(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::runs;
    use super::*;

    const HOLDS: &str = "\
Model checking completed. No error has been found.
4257 states generated, 952 distinct states found, 0 states left on queue.
The depth of the complete state graph search is 16.
";
    const VIOLATED: &str = "\
Error: Invariant I3_X is violated.
Error: The behavior up to this point is:
State 1: <Initial predicate>
State 2: <Tick line 1>
227 states generated, 99 distinct states found, 55 states left on queue.
";

    fn run(expected: &str) -> Run {
        runs::read(&format!("gate | r | safety | {expected} |")).unwrap().remove(0)
    }

    fn report(output: &str, code: i32) -> Report {
        Report::read(output, Some(code), Duration::ZERO)
    }

    #[test]
    fn a_model_that_holds_was_searched_to_its_end() {
        let complete = report(HOLDS, OK);
        assert_eq!((complete.states, complete.depth), (952, Some(16)));
        assert!(complete.meets(&run("holds")).is_ok());
        let cut = HOLDS.replace(", 0 states left", ", 7 states left");
        assert!(report(&cut, OK).meets(&run("holds")).is_err());
        assert!(report(VIOLATED, UNSAFE).meets(&run("holds")).is_err());
    }

    #[test]
    fn a_mutation_must_violate_what_the_table_says() {
        let found = report(VIOLATED, UNSAFE);
        assert_eq!((found.violated.as_deref(), found.trace), (Some("I3_X"), 2));
        assert!(found.meets(&run("I3_X")).is_ok());
        assert!(found.meets(&run("I4_X")).is_err());
    }

    #[test]
    fn a_mutation_that_is_not_found_fails() {
        assert!(report(HOLDS, OK).meets(&run("I3_X")).is_err());
    }
}
