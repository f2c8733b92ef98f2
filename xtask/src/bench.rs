//! `cargo xtask bench`: the benchmarks, and every budget with met or not met.
//!
//! The contract with a benchmark: it prints whatever helps a reader, and for each budget one line
//! with the word `budget` that ends in `met`, `not met`, or `not measured: <why>`; the line may begin
//! with `ratio: `. `skipped: <why>` says what this machine lacks.

use crate::job::Cargo;
use std::process::ExitCode;

/// Runs the benchmarks of core, clock, daemon and client and repeats their verdicts at the end.
///
/// A budget that is not met is no failure of this command: numbers of a noisy machine inform.
pub(crate) fn run() -> ExitCode {
    let cargo =
        Cargo::new("bench -p tlease-core -p tlease-clock -p tlease-daemon -p tlease --bench *");
    let mut verdicts = Verdicts::default();
    let (_, succeeded) = cargo.run(|line| {
        println!("{line}");
        verdicts.read(line);
    });
    println!("\n{verdicts}");
    if !succeeded {
        eprintln!("failed; repeat it: {cargo}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The lines of all benchmarks that a summary repeats.
#[derive(Debug, Default)]
struct Verdicts {
    budgets: Vec<String>,
    skipped: Vec<String>,
}

impl Verdicts {
    fn read(&mut self, line: &str) {
        if line.starts_with("skipped: ") {
            self.skipped.push(line.to_owned());
        } else if line.contains("budget") && verdict_of(line).is_some() {
            self.budgets.push(line.trim_start_matches("ratio: ").to_owned());
        }
    }

    fn count(&self, verdict: &str) -> usize {
        self.budgets.iter().filter(|line| verdict_of(line) == Some(verdict)).count()
    }
}

impl std::fmt::Display for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "budgets")?;
        for line in self.budgets.iter().chain(&self.skipped) {
            writeln!(f, "  {line}")?;
        }
        let [met, not_met, unknown] = ["met", "not met", "not measured"].map(|v| self.count(v));
        write!(f, "{met} met, {not_met} not met, {unknown} not measured")
    }
}

/// How a line judges its budget. `met` also ends `not met`, so the longer one is asked first.
fn verdict_of(line: &str) -> Option<&'static str> {
    if line.contains("not measured") {
        Some("not measured")
    } else if line.ends_with("not met") {
        Some("not met")
    } else {
        line.ends_with(" met").then_some("met")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_verdict_once() {
        let mut verdicts = Verdicts::default();
        for line in [
            "commit, empty   40 ns",
            "commit, empty / floor: 1.10, budget 1.15: met",
            "ratio: 1 commit-store 1.20 budget 1.15 not met",
            "check / read: 0.9, budget 1.1: not measured: too many refusals",
            "test a_slice_ends_when_its_budget_does ... ok",
            "skipped: no transactions here",
        ] {
            verdicts.read(line);
        }
        assert!(verdicts.to_string().ends_with("1 met, 1 not met, 1 not measured"));
        assert_eq!(verdicts.skipped, ["skipped: no transactions here"]);
    }
}
