//! Behaviours of the specification, as `cargo xtask tlc` writes them down.
//!
//! A file is a sequence of lines. `behaviour NAME` begins one; each other line is a variable and its
//! value. A state begins with its `step`; of the other variables only those are given that differ
//! from the state before.

use std::collections::BTreeMap;

use crate::value::Value;

/// One run of the specification: its states in their order.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pub(crate) name: String,
    pub(crate) states: Vec<State>,
}

/// A state, with the step that led to it.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) step: Value,
    pub(crate) granter: Value,
    pub(crate) disk: Value,
    pub(crate) holder: Value,
    pub(crate) net: Value,
}

impl State {
    pub(crate) fn op(&self) -> &str {
        self.step.field("op").text()
    }

    /// Whether the step is an input, or follows from the one before it.
    pub(crate) fn is_input(&self) -> bool {
        self.step.field("input").is_true()
    }

    /// What kind of step it is: for messages, also of which.
    pub(crate) fn kind(&self) -> String {
        match self.op() {
            op @ ("GranterReceives" | "HolderReceives") => {
                format!("{op} {}", self.step.field("m").field("op").text())
            }
            op => op.to_owned(),
        }
    }
}

/// Reads all behaviours of a file.
///
/// # Panics
/// If it is not one of them.
pub(crate) fn read(text: &str) -> Vec<Behaviour> {
    let mut behaviours: Vec<Behaviour> = Vec::new();
    let mut known: BTreeMap<&str, Value> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').expect("a word, and what it is about");
        if word == "behaviour" {
            finish(&mut behaviours, &mut known);
            known.clear();
            behaviours.push(Behaviour { name: rest.to_owned(), states: Vec::new() });
            continue;
        }
        if word == "step" {
            finish(&mut behaviours, &mut known);
        }
        known.insert(word, Value::read(rest));
    }
    finish(&mut behaviours, &mut known);
    behaviours
}

/// Adds the state that was read to the behaviour that is being read.
fn finish(behaviours: &mut [Behaviour], known: &mut BTreeMap<&str, Value>) {
    let (Some(behaviour), Some(step)) = (behaviours.last_mut(), known.remove("step")) else {
        return;
    };
    let value = |name: &str| known.get(name).expect("the first state gives all").clone();
    behaviour.states.push(State {
        step,
        granter: value("granter"),
        disk: value("disk"),
        holder: value("holder"),
        net: value("net"),
    });
}
