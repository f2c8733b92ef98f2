//! Traces that were written: shown, stepped through and compared.

use crate::exit::{Exit, Failure};
use crate::show;
use clap::Args;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use tlease_sim::trace::{Line, Trace, What};

/// Shows a trace, line by line.
#[derive(Debug, Clone, Args)]
pub(super) struct ShowArgs {
    /// The trace
    file: PathBuf,

    /// Only what concerns this name, by its number
    #[arg(long, value_name = "NUMBER")]
    name: Option<u64>,

    /// Also what went into each machine and came out of it
    #[arg(long)]
    all: bool,
}

/// Goes through a trace step by step, and shows who holds what after each.
///
/// Enter goes on, q ends. Where standard input is no terminal it does not wait.
#[derive(Debug, Clone, Args)]
pub(super) struct StepArgs {
    /// The trace
    file: PathBuf,

    /// The line to begin with
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from: usize,

    /// How many lines to go through [default: all]
    #[arg(long, value_name = "COUNT")]
    count: Option<usize>,
}

/// Says where two traces begin to differ; ends with 79 if they do.
#[derive(Debug, Clone, Args)]
pub(super) struct DiffArgs {
    /// One trace
    one: PathBuf,

    /// The other
    other: PathBuf,
}

impl ShowArgs {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let trace = read(&self.file)?;
        let mut text = String::new();
        if let Some(name) = trace.scenario() {
            let _ = writeln!(text, "scenario         {name}\n");
        }
        if let Some(plan) = trace.plan() {
            let _ = writeln!(text, "seed             {}\n{}\n", plan.seed, plan.options);
        }
        for line in trace.0.iter().skip(1).filter(|line| self.wants(line)) {
            let _ = writeln!(text, "{line}");
        }
        show::print(text.trim_end())?;
        Ok(Exit::Done)
    }

    fn wants(&self, line: &Line) -> bool {
        let inside = matches!(line.what, What::In { .. } | What::Out { .. });
        let named = name_of(&line.what);
        let of_name = self.name.is_none() || named.is_none() || named == self.name;
        (self.all || !inside) && of_name
    }
}

impl StepArgs {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let trace = read(&self.file)?;
        if self.from == 0 || self.from > trace.0.len() {
            let lines = trace.0.len();
            let sentence = format!("--from {}: the trace has lines 1 to {lines}", self.from);
            return Err(Failure::new(Exit::Usage, sentence));
        }
        let waits = io::stdin().is_terminal();
        let until = self.count.map_or(trace.0.len(), |count| self.from.saturating_add(count) - 1);
        let mut state = State::default();
        for (number, line) in (1..).zip(&trace.0).take(until) {
            state.take(line);
            if number < self.from {
                continue;
            }
            show::print(&format!("{number:>6} {line}\n{state}"))?;
            if waits && asked_to_end().map_err(|why| Failure::broken("cannot read", &why))? {
                break;
            }
        }
        Ok(Exit::Done)
    }
}

fn asked_to_end() -> io::Result<bool> {
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer)?;
    Ok(read == 0 || answer.trim() == "q")
}

impl DiffArgs {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let (one, other) = (read(&self.one)?, read(&self.other)?);
        let same = one.0.iter().zip(&other.0).take_while(|(one, other)| one == other).count();
        if same == one.0.len() && same == other.0.len() {
            show::print(&format!("the same {same} lines"))?;
            return Ok(Exit::Done);
        }
        let mut text = format!("the first {same} lines are the same\n");
        let context = same.saturating_sub(CONTEXT)..same;
        for line in one.0.get(context).unwrap_or_default() {
            let _ = writeln!(text, "  {line}");
        }
        for (mark, trace) in [("-", &one), ("+", &other)] {
            let lines = trace.0.get(same..).unwrap_or_default();
            if lines.is_empty() {
                let _ = writeln!(text, "{mark} (ends here)");
            }
            for line in lines.iter().take(CONTEXT) {
                let _ = writeln!(text, "{mark} {line}");
            }
        }
        let _ = write!(text, "then {} and {} more lines", one.0.len() - same, other.0.len() - same);
        show::print(&text)?;
        Ok(Exit::Disproved)
    }
}

/// Lines that are shown before and after a difference.
const CONTEXT: usize = 3;

/// Who holds what, by the lines so far.
#[derive(Debug, Default)]
struct State {
    granter: BTreeMap<(u64, u64), ()>,
    holders: BTreeMap<(usize, u64), (u64, u64)>,
    at: u64,
}

impl State {
    fn take(&mut self, line: &Line) {
        self.at = line.at;
        match &line.what {
            What::Grant { name, fence, .. } => {
                self.granter.insert((*name, *fence), ());
            }
            What::Free { name, fence, .. } => {
                self.granter.remove(&(*name, *fence));
            }
            What::Start { .. } | What::Down => self.granter.clear(),
            What::Hold { node, name, fence, sent, term, .. } => {
                self.holders.insert((*node, *name), (*fence, sent.saturating_add(*term)));
            }
            What::Close { node, name } => {
                self.holders.remove(&(*node, *name));
            }
            What::Plan { .. }
            | What::Act(_)
            | What::Healed
            | What::In { .. }
            | What::Out { .. }
            | What::Promise { .. }
            | What::Effect { .. }
            | What::Write { .. }
            | What::Violated { .. }
            | What::End { .. } => {}
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let granter: Vec<String> =
            self.granter.keys().map(|(name, fence)| format!("name {name} fence {fence}")).collect();
        let holders: Vec<String> = self
            .holders
            .iter()
            .filter(|(_, (_, until))| *until > self.at)
            .map(|((node, name), (fence, _))| format!("holder {node} name {name} fence {fence}"))
            .collect();
        write!(f, "         granter: {}; held: {}", granter.join(", "), holders.join(", "))
    }
}

fn name_of(what: &What) -> Option<u64> {
    match what {
        What::Grant { name, .. }
        | What::Free { name, .. }
        | What::Hold { name, .. }
        | What::Close { name, .. }
        | What::Effect { name, .. }
        | What::Write { name, .. } => Some(*name),
        What::Plan { .. }
        | What::Act(_)
        | What::Start { .. }
        | What::Down
        | What::Healed
        | What::In { .. }
        | What::Out { .. }
        | What::Promise { .. }
        | What::Violated { .. }
        | What::End { .. } => None,
    }
}

pub(super) fn read(file: &Path) -> Result<Trace, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|why| Failure::broken(&format!("cannot read {}", file.display()), &why))?;
    let text = String::from_utf8(bytes).map_err(|_| malformed(file, "it is not text"))?;
    Trace::read(&text).map_err(|why| malformed(file, &why.to_string()))
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text)
        .map_err(|why| Failure::broken(&format!("cannot write {}", file.display()), &why))
}

pub(super) fn no_plan(file: &Path) -> Failure {
    malformed(file, "it does not begin with a plan")
}

fn malformed(file: &Path, why: &str) -> Failure {
    let sentence = format!("{} is no trace of 'tlease sim --trace': {why}", file.display());
    Failure::new(Exit::Malformed, sentence)
}
