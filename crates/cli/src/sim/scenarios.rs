//! Attacks by name.

use super::planted::Planted;
use super::{SimArgs, quietly};
use crate::exit::{Exit, Failure};
use crate::show::{Form, object};
use std::fmt::Write as _;
use tlease_sim::scenarios::{Scenario, Status, all};
use tlease_sim::trace::Lines;
use tlease_sim::{Options, Plan};

/// The seed of what a scenario leaves to chance: nothing that matters to it.
const SEED: u64 = 1;

/// Prints what there is.
pub(super) fn list(form: Form) -> Result<Exit, Failure> {
    let (mut text, mut rows) = (String::new(), Vec::new());
    for Scenario { name, status, .. } in all() {
        let (what, more) = words(status);
        let _ = writeln!(text, "{name:45} {what:16} {more}");
        rows.push(object([("name", name.into()), ("status", what.into()), ("more", more.into())]));
    }
    form.print(text.trim_end(), &object([("scenarios", rows.into())]))?;
    Ok(Exit::Done)
}

/// Runs one, by its name or its number, and says whether it ended safely.
pub(super) fn run(args: &SimArgs, name: &str, planted: Planted) -> Result<Exit, Failure> {
    let is_meant = |scenario: &Scenario| {
        let number = scenario.name.split('_').next();
        scenario.name == name || number == Some(name)
    };
    let Some(Scenario { name, status, .. }) = all().into_iter().find(is_meant) else {
        let sentence = format!("no scenario is called {name}; --list-scenarios names them");
        return Err(Failure::new(Exit::Usage, sentence));
    };
    let Status::Runs(run, _) = status else {
        let (what, more) = words(status);
        return Err(Failure::new(Exit::Usage, format!("{name} does not run: {what}: {more}")));
    };
    let lines = Lines::default();
    let make = |options: Options| match args.keeps() {
        true => planted.traced(Plan::of(SEED, options)).of_scenario(name, &lines),
        false => planted.world(Plan::of(SEED, options)),
    };
    let outcome = quietly(|| run(&make));
    if args.keeps() {
        args.write(&lines.into_trace())?;
    }
    let text = match &outcome {
        Ok(()) => format!("{name} ended safely."),
        Err(why) => format!("{name} did NOT end safely: {why}"),
    };
    let fields = object([("name", name.into()), ("failed", outcome.clone().err().into())]);
    args.form.print(&text, &fields)?;
    Ok(if outcome.is_ok() { Exit::Done } else { Exit::Disproved })
}

/// What becomes of a scenario, in words.
fn words(status: Status) -> (&'static str, String) {
    match status {
        Status::Runs(_, Some(bug)) => ("runs", format!("fails with the bug {bug}")),
        Status::Runs(_, None) => ("runs", String::new()),
        Status::Shown(place) => ("shown elsewhere", place.to_owned()),
        Status::NotOurs(why) => ("not ours", why.to_owned()),
    }
}
