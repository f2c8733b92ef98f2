//! One world.

use super::planted::Planted;
use super::{SimArgs, files, quietly};
use crate::exit::{Exit, Failure};
use crate::show::object;
use serde_json::{Value, json};
use tlease_sim::trace::Trace;
use tlease_sim::{Plan, Report, shrink};

/// Runs that making a plan small may take: a few seconds.
const SHRINKS_MAX: u32 = 5_000;

impl SimArgs {
    /// Runs one plan, says what was drawn and what came of it, and writes what was asked for.
    pub(super) fn one(&self, plan: Plan, again: &str, planted: Planted) -> Result<Exit, Failure> {
        let (plan, shrunk) = match self.shrink {
            true => quietly(|| small(plan, planted)),
            false => (plan, None),
        };
        let again = format!("{again}{}", planted.again());
        let report = quietly(|| planted.traced(plan.clone()).run());
        if let Some(trace) = &report.trace {
            self.write(trace)?;
        }
        let mut text = String::new();
        text.push_str(&format!("seed             {}\n{}\n", plan.seed, plan.options));
        text.push_str(&format!("acts             {}\n", plan.acts.len()));
        if let Some(shrunk) = &shrunk {
            text.push_str(&format!("made small       {shrunk}\n"));
        }
        text.push_str(&happened(&report));
        text.push_str(&format!("again            {again}\n\n"));
        text.push_str(&match &report.verdict {
            Ok(()) => format!("Every claim held, through {} events.", report.steps),
            Err(violation) => format!("VIOLATED at {} ns: {}", violation.at, {
                format!("{}\n{}", violation.claim, violation.what)
            }),
        });
        let fields = object([
            ("seed", plan.seed.into()),
            ("plan", json!(plan)),
            ("steps", report.steps.into()),
            ("tally", json!(report.tally)),
            ("violation", json!(report.verdict.as_ref().err())),
            ("again", again.into()),
        ]);
        self.form.print(&text, &fields)?;
        Ok(if report.verdict.is_ok() { Exit::Done } else { Exit::Disproved })
    }

    /// Whether a trace or a drawing is asked for.
    pub(super) const fn keeps(&self) -> bool {
        self.trace.is_some() || self.svg.is_some()
    }

    /// Writes them.
    pub(super) fn write(&self, trace: &Trace) -> Result<(), Failure> {
        if let Some(file) = &self.trace {
            files::write(file, &trace.to_json_lines())?;
        }
        if let Some(file) = &self.svg {
            files::write(file, &tlease_sim::svg::draw(trace))?;
        }
        Ok(())
    }
}

/// A failing plan made small, and what that took in words.
pub(super) fn small(plan: Plan, planted: Planted) -> (Plan, Option<String>) {
    let before = plan.acts.len();
    match shrink(&plan, SHRINKS_MAX, |plan| planted.world(plan.clone()).run()) {
        Some(shrunk) => {
            let after = shrunk.plan.acts.len();
            let words = format!("from {before} acts to {after}, in {} runs", shrunk.runs);
            (shrunk.plan, Some(words))
        }
        None => (plan, None),
    }
}

/// What happened how often, most first.
fn happened(report: &Report) -> String {
    let mut all: Vec<(&str, u64)> = report.tally.iter().map(|(what, n)| (*what, *n)).collect();
    all.sort_by_key(|(what, times)| (u64::MAX - times, *what));
    let words: Vec<String> = all
        .iter()
        .filter(|(what, _)| *what != "steps")
        .map(|(what, n)| format!("{n} {what}"))
        .collect();
    let mut lines = vec![String::new()];
    for word in words {
        let line = lines.last().map_or(0, String::len);
        if line + word.len() > 78 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { ", " });
            line.push_str(&word);
        }
    }
    format!("happened         {}\n", lines.join(",\n                 "))
}

/// A violation for `--json`.
pub(super) fn as_json(violation: &tlease_sim::Violation) -> Value {
    let mut value = json!(violation);
    value["again"] = super::again(violation.seed).into();
    value
}
