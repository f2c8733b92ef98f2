//! Many worlds.

use super::planted::Planted;
use super::progress::Bar;
use super::{SimArgs, again, one, quietly};
use crate::exit::{Exit, Failure};
use crate::show::object;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::time::Duration;
use tlease_sim::{Plan, Summary, sweep};

/// Violations that are printed; all are counted.
const PRINTED: usize = 10;

impl SimArgs {
    /// Runs many seeds, and says what they showed.
    pub(super) fn many(&self, none: Planted) -> Result<Exit, Failure> {
        if self.seeds == 0 {
            return Err(Failure::new(Exit::Usage, "--seeds 0 shows nothing: ask for at least one"));
        }
        if self.from.checked_add(self.seeds).is_none() {
            return Err(Failure::new(Exit::Usage, "--from and --seeds reach beyond the last seed"));
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = self.jobs.map_or(cores, usize::from);
        let bar = Bar::new(self.seeds);
        let summary =
            quietly(|| sweep(self.from, self.seeds, jobs, |done, failed| bar.show(done, failed)));
        let took = bar.finish();
        self.form.print(&text(self.from, &summary, took), &fields(self.from, &summary, took))?;
        let Some(first) = summary.violations.first() else { return Ok(Exit::Done) };
        self.keep(first.seed, none)?;
        Ok(Exit::Disproved)
    }

    /// Writes the first world that failed where that is asked for, made small if that is.
    fn keep(&self, seed: u64, none: Planted) -> Result<(), Failure> {
        if !self.keeps() {
            return Ok(());
        }
        let plan = Plan::draw(seed);
        let plan = if self.shrink { quietly(|| one::small(plan, none)).0 } else { plan };
        match &quietly(|| none.traced(plan).run()).trace {
            Some(trace) => self.write(trace),
            None => Ok(()),
        }
    }
}

fn text(from: u64, summary: &Summary, took: Duration) -> String {
    let rate = rate(summary.runs, took);
    let events = summary.steps / summary.runs.max(1);
    let last = from + summary.runs.saturating_sub(1);
    let mut text = format!(
        "{} worlds, seeds {from} to {last}, of {events} events each, in {:.1} s: {rate} a second.\n",
        summary.runs,
        took.as_secs_f64(),
    );
    if summary.failed == 0 {
        text.push_str("Every claim held in each of them.");
        return text;
    }
    text.push_str(&format!("In {} of them a claim did not hold:\n", summary.failed));
    for violation in summary.violations.iter().take(PRINTED) {
        let what: String = violation.what.chars().take(200).collect();
        text.push_str(&format!("\n{}\n  {what}\n  {}\n", violation.claim, again(violation.seed)));
    }
    text.push_str("\nAdd --shrink --trace FILE --svg FILE to see one as short as it gets.");
    text
}

fn fields(from: u64, summary: &Summary, took: Duration) -> serde_json::Map<String, Value> {
    let violations: Vec<Value> = summary.violations.iter().map(one::as_json).collect();
    object([
        ("from", from.into()),
        ("runs", summary.runs.into()),
        ("steps", summary.steps.into()),
        ("seconds", took.as_secs_f64().into()),
        ("failed", summary.failed.into()),
        ("violations", violations.into()),
        ("tally", json!(summary.tally)),
    ])
}

fn rate(runs: u64, took: Duration) -> u64 {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
    let rate = u128::from(runs) * 1_000_000_000 / u128::from(nanos);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
