//! What happened in a run, line by line: `docs/traces.md` is the contract of its JSON.

use std::cell::RefCell;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tlease_core::Mode;
use tlease_core::time::{Readings, SOURCES_MAX};

use crate::options::PPB;
use crate::plan::Plan;

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in true nanoseconds.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// What every clock showed at that instant, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hands: Option<Hands>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are described in docs/traces.md")]
pub enum What {
    /// The first line: all that makes the run.
    Plan {
        version: u32,
        drift_ppb: u64,
        plan: Box<Plan>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scenario: Option<String>,
    },
    /// A user did something, or something went wrong.
    Act(crate::act::Act),
    /// A life of the granter began.
    Start { wait: bool },
    /// It ended.
    Down,
    /// From now on nothing goes wrong.
    Healed,
    /// Something was fed to a machine.
    In { who: Who, input: String },
    /// A machine put something out.
    Out { who: Who, output: String },
    /// The granter gave a lease: `how` is `granted`, `offered` or `reclaimed`.
    Grant { name: u64, fence: u64, how: String },
    /// The granter promised a lease for so long from now: a grant, an offer or a renewal.
    Promise { node: usize, fence: Option<u64>, term: u64 },
    /// The granter has a lease no more: `how` is `released`, `expired` or `lapsed`.
    Free { name: u64, fence: u64, how: String },
    /// A holder's guard lets acts pass for `term` from `sent`.
    Hold { node: usize, name: u64, fence: u64, shared: bool, sent: u64, term: u64 },
    /// A holder's guard is closed.
    Close { node: usize, name: u64 },
    /// The effect of a commit became visible.
    Effect { node: usize, name: u64, fence: u64, shared: bool },
    /// A write arrived at the resource of a name.
    Write { name: u64, fence: u64, shared: bool, admitted: bool },
    /// A claim did not hold.
    Violated { claim: String, what: String },
    /// The last line.
    End { steps: u64 },
}

/// A machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The granter.
    Granter,
    /// A holder.
    Holder(usize),
}

/// What every clock shows at one instant, in raw ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hands {
    /// The granter's slow hand.
    pub slow: Vec<Option<u64>>,
    /// Each holder's fast hand.
    pub fast: Vec<Fast>,
}

/// A fast hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fast {
    /// In which segment.
    pub segment: u64,
    /// What its sources show.
    pub ticks: Vec<Option<u64>>,
}

/// A trace: its lines, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(pub Vec<Line>);

/// A trace that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTrace {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// The version of the format.
pub const VERSION: u32 = 1;

impl Trace {
    pub(crate) fn first_line(plan: &Plan) -> Line {
        let plan = Box::new(plan.clone());
        let what = What::Plan { version: VERSION, drift_ppb: PPB, plan, scenario: None };
        Line { at: 0, what, hands: None }
    }

    /// As JSON lines.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            // Integers, strings and lists of them: there is nothing that JSON cannot show.
            text.push_str(&serde_json::to_string(line).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// Reads JSON lines.
    ///
    /// # Errors
    /// The first line that is none of ours.
    pub fn read(text: &str) -> Result<Self, BadTrace> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let bad = |why: String| BadTrace { line: index + 1, why };
            lines.push(serde_json::from_str(line).map_err(|why| bad(why.to_string()))?);
        }
        let trace = Self(lines);
        match trace.0.first().map(|line| &line.what) {
            Some(What::Plan { version: VERSION, .. }) => Ok(trace),
            Some(What::Plan { version, .. }) => Err(BadTrace {
                line: 1,
                why: format!("format {version}; this program reads format {VERSION}"),
            }),
            Some(_) | None => {
                Err(BadTrace { line: 1, why: "it does not begin with a plan".into() })
            }
        }
    }

    /// The plan that makes the run again; none if it is of a scenario.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        let What::Plan { plan, scenario: None, .. } = &self.0.first()?.what else { return None };
        Some(plan)
    }

    /// The scenario that makes it again, if it is of one.
    #[must_use]
    pub fn scenario(&self) -> Option<&str> {
        let What::Plan { scenario, .. } = &self.0.first()?.what else { return None };
        scenario.as_deref()
    }
}

/// The lines of a run as they come. Whoever shares them has them still when the world is gone, as at the
/// end of a scenario.
#[derive(Debug, Clone, Default)]
pub struct Lines(Rc<RefCell<Vec<Line>>>);

impl Lines {
    pub(crate) fn of(first: Line) -> Self {
        Self(Rc::new(RefCell::new(vec![first])))
    }

    pub(crate) fn push(&self, line: Line) {
        self.0.borrow_mut().push(line);
    }

    /// From now on these are the lines of the last world of a scenario that was made.
    pub(crate) fn take_over(&self, name: &str, before: Self) {
        let mut lines = before.into_trace().0;
        if let Some(Line { what: What::Plan { scenario, .. }, .. }) = lines.first_mut() {
            *scenario = Some(name.to_owned());
        }
        self.0.replace(lines);
    }

    /// What happened so far.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        Trace(
            Rc::try_unwrap(self.0)
                .map_or_else(|shared| shared.borrow().clone(), RefCell::into_inner),
        )
    }
}

impl std::fmt::Display for BadTrace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for BadTrace {}

pub(crate) fn ticks(readings: &Readings, sources: usize) -> Vec<Option<u64>> {
    (0..sources.min(SOURCES_MAX)).map(|index| readings.get(index).map(|ticks| ticks.0)).collect()
}

pub(crate) fn is_shared(mode: Mode) -> bool {
    mode == Mode::Shared
}
