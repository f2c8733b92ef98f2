//! Attacks by name, each with its safe outcome, run against the very machines that ship; and those that
//! are not run, each with the reason. `docs/scenarios.md` is the table.

mod enclaves;
mod machines;
mod rates;
mod runs;

use crate::options::Options;
use crate::world::World;

/// Makes the world of a scenario, with a bug in it or without.
pub type Make<'a> = dyn Fn(Options) -> World + 'a;

/// An attack, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its number, from 1.
    pub number: usize,
    /// Its name.
    pub name: &'static str,
    /// What becomes of it.
    pub status: Status,
}

/// What becomes of a scenario.
#[derive(Debug, Clone, Copy)]
pub enum Status {
    /// It runs in a world; with the named bug planted it fails, if one is named.
    Runs(fn(&Make<'_>) -> Result<(), String>, Option<&'static str>),
    /// It is shown elsewhere: where.
    Shown(&'static str),
    /// It belongs to a system that is not built here: why.
    NotOurs(&'static str),
}

/// All of them, in their order.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let row = |(index, (name, status)): (usize, &(&'static str, Status))| Scenario {
        number: index + 1,
        name,
        status: *status,
    };
    runs::TABLE.iter().enumerate().map(row).collect()
}
