//! What a timeline shows of a trace.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a drawing shows some kinds of lines and passes over the others"
)]

use std::collections::BTreeMap;

use crate::act::{Act, ClockAct};
use crate::trace::{Line, Trace, What};
use crate::words::Nanos;

/// A trace as lanes of bars.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) lanes: Vec<Lane>,
    pub(super) healed: Option<u64>,
    pub(super) violation: Option<(u64, String, String)>,
    /// The end of what is drawn.
    pub(super) until: u64,
}

/// Rows under one heading.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// Bars side by side.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) bars: Vec<Bar>,
    /// Effects and writes: when, and whether they took effect.
    pub(super) acts: Vec<(u64, bool)>,
}

/// A stretch of time.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) label: String,
    pub(super) look: Look,
}

/// How a bar looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Fence(u64),
    Paused,
    Down,
    Waiting,
    Up,
}

impl Story {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut story = Self { until: end(&trace.0), ..Self::default() };
        let mut machines = Machines::default();
        let mut names = Names::default();
        for line in &trace.0 {
            match &line.what {
                What::Plan { plan, scenario, .. } => {
                    let holders = plan.options.holder_clocks.len();
                    machines.begin(holders);
                    story.title = match scenario {
                        Some(name) => format!("tlease sim --scenario {name}"),
                        None => format!("tlease sim --seed {}", plan.seed),
                    };
                    let (acts, scale) = (plan.acts.len(), Nanos(plan.options.scale));
                    let network = format!("{:?}", plan.options.network).to_lowercase();
                    story.subtitle = format!(
                        "{holders} holders, {acts} acts, {network} network, unit {scale}; \
                         true time from left to right"
                    );
                }
                What::Healed => story.healed = Some(line.at),
                What::Violated { claim, what } => {
                    story.violation = Some((line.at, claim.clone(), what.clone()));
                }
                _ => {
                    machines.take(line);
                    names.take(line);
                }
            }
        }
        story.lanes.push(machines.lane(story.until));
        story.lanes.extend(names.lanes(story.until));
        story
    }
}

/// The end of what is worth drawing: a little after the violation, or after healing.
fn end(lines: &[Line]) -> u64 {
    let last = lines.last().map_or(1, |line| line.at);
    let find = |is: fn(&What) -> bool| lines.iter().find(|line| is(&line.what)).map(|line| line.at);
    let violated = find(|what| matches!(what, What::Violated { .. }));
    let healed = find(|what| matches!(what, What::Healed));
    let shown = violated.map_or_else(|| healed.map(|at| at + at / 4), |at| Some(at + at / 16));
    shown.map_or(last, |shown| shown.min(last.max(1)))
}

/// What runs and what does not.
#[derive(Debug, Default)]
struct Machines {
    granter: Row,
    /// Since when the granter is down, or waits.
    down: Option<u64>,
    waits: Option<u64>,
    holders: Vec<Row>,
}

impl Machines {
    fn begin(&mut self, holders: usize) {
        let row = |node| Row { label: format!("holder {node}"), ..Row::default() };
        self.holders = (0..holders).map(row).collect();
        self.granter.label = "granter".to_owned();
    }

    fn take(&mut self, line: &Line) {
        match &line.what {
            What::Down => {
                self.waited(line.at);
                self.down = Some(line.at);
            }
            What::Start { wait } => {
                if let Some(from) = self.down.take() {
                    self.granter.bars.push(bar(from, line.at, "down", Look::Down));
                }
                self.waits = wait.then_some(line.at);
            }
            // The first new grant of a life ends its wait.
            What::Grant { how, .. } if how != "reclaimed" => self.waited(line.at),
            What::Act(Act::PauseGranter { lasts }) => {
                self.granter.bars.push(bar(line.at, line.at + lasts, "paused", Look::Paused));
            }
            What::Act(Act::Clone { node, .. }) => {
                let copy = Row {
                    label: format!("holder {}, a copy of {node}", self.holders.len()),
                    ..Row::default()
                };
                self.holders.push(copy);
            }
            What::Act(Act::Pause { node, lasts }) => self.pauses(*node, line.at, *lasts, "paused"),
            What::Act(Act::Clock { node, clock: ClockAct::Suspend { lasts } }) => {
                self.pauses(*node, line.at, *lasts, "suspended");
            }
            What::Act(Act::Clock { node, clock: ClockAct::Migrate { lasts } }) => {
                self.pauses(*node, line.at, *lasts, "migrated");
            }
            _ => {}
        }
    }

    fn waited(&mut self, until: u64) {
        if let Some(from) = self.waits.take() {
            self.granter.bars.push(bar(from, until, "waits", Look::Waiting));
        }
    }

    fn pauses(&mut self, node: usize, from: u64, lasts: u64, why: &str) {
        if let Some(row) = self.holders.get_mut(node) {
            row.bars.push(bar(from, from + lasts, why, Look::Paused));
        }
    }

    fn lane(mut self, until: u64) -> Lane {
        self.waited(until);
        if let Some(from) = self.down {
            self.granter.bars.push(bar(from, until, "down", Look::Down));
        }
        let mut rows = vec![self.granter];
        rows.extend(self.holders);
        for row in &mut rows {
            row.bars.insert(0, bar(0, until, "", Look::Up));
        }
        Lane { title: "what runs".to_owned(), rows }
    }
}

/// Who has what, by name.
#[derive(Debug, Default)]
struct Names(BTreeMap<u64, Name>);

#[derive(Debug, Default)]
struct Name {
    granter: Row,
    /// Fences that the granter has given, since when.
    given: BTreeMap<u64, u64>,
    holders: BTreeMap<usize, Holder>,
    resource: Row,
}

#[derive(Debug, Default)]
struct Holder {
    row: Row,
    /// The fence that is held, since when, until when at most.
    held: Option<(u64, u64, u64)>,
}

impl Names {
    fn take(&mut self, line: &Line) {
        let at = line.at;
        match &line.what {
            What::Grant { name, fence, .. } => {
                self.0.entry(*name).or_default().given.entry(*fence).or_insert(at);
            }
            What::Free { name, fence, .. } => self.0.entry(*name).or_default().freed(*fence, at),
            What::Down => {
                for name in self.0.values_mut() {
                    for fence in name.given.keys().copied().collect::<Vec<_>>() {
                        name.freed(fence, at);
                    }
                }
            }
            What::Hold { node, name, fence, sent, term, .. } => {
                self.holder(*name, *node).holds(*fence, at, sent.saturating_add(*term));
            }
            What::Close { node, name } => self.holder(*name, *node).closes(at),
            What::Effect { node, name, .. } => {
                self.holder(*name, *node).row.acts.push((at, true));
            }
            What::Write { name, admitted, .. } => {
                self.0.entry(*name).or_default().resource.acts.push((at, *admitted));
            }
            _ => {}
        }
    }

    fn holder(&mut self, name: u64, node: usize) -> &mut Holder {
        self.0.entry(name).or_default().holders.entry(node).or_default()
    }

    fn lanes(self, until: u64) -> impl Iterator<Item = Lane> {
        self.0.into_iter().map(move |(number, mut name)| {
            for fence in name.given.keys().copied().collect::<Vec<_>>() {
                name.freed(fence, until);
            }
            name.granter.label = "granted".to_owned();
            let mut rows = vec![name.granter];
            for (node, mut holder) in name.holders {
                holder.closes(until);
                holder.row.label = format!("holder {node}");
                rows.push(holder.row);
            }
            if !name.resource.acts.is_empty() {
                name.resource.label = "resource".to_owned();
                rows.push(name.resource);
            }
            Lane { title: format!("name {number}"), rows }
        })
    }
}

impl Name {
    fn freed(&mut self, fence: u64, at: u64) {
        if let Some(from) = self.given.remove(&fence) {
            self.granter.bars.push(bar(from, at, &fence.to_string(), Look::Fence(fence)));
        }
    }
}

impl Holder {
    fn holds(&mut self, fence: u64, at: u64, until: u64) {
        match &mut self.held {
            Some((same, _, end)) if *same == fence && *end >= at => *end = until,
            Some(_) | None => {
                self.closes(at);
                self.held = Some((fence, at, until));
            }
        }
    }

    fn closes(&mut self, at: u64) {
        if let Some((fence, from, until)) = self.held.take() {
            let label = fence.to_string();
            self.row.bars.push(bar(from, until.min(at), &label, Look::Fence(fence)));
        }
    }
}

fn bar(from: u64, until: u64, label: &str, look: Look) -> Bar {
    Bar { from, until: until.max(from), label: label.to_owned(), look }
}
