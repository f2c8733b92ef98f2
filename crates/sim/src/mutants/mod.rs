//! Planted bugs, and what must catch each: the checkers are tested as well.
//!
//! A bug of the pure machines dies in hostile worlds, within a stated number of them, or in a single
//! execution that is run again with the bug. Bugs of assembly, event loops and shells, which no world
//! runs, die in named tests. `docs/mutants.md` is the table; `tests/mutants.rs` holds it to its word.

mod clock;
mod core;
mod driver;
mod enclave;

pub use driver::Driver;

use crate::plan::Plan;
use crate::report::Violation;
use crate::world::World;

/// A bug that can be planted in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// In the core: in a hand, a holder, or the granter.
    Core(tlease_core::Mutant),
    /// In what finds the segments of a Linux machine.
    Clock(tlease_clock::Mutant),
    /// In what surrounds the machines, as the world models it.
    Driver(Driver),
}

/// A planted bug, and what catches it.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name: the variant that plants it.
    pub name: &'static str,
    /// What is wrong, in a sentence.
    pub says: &'static str,
    /// The file in which it is planted.
    pub place: &'static str,
    /// How a world gets it; `None` if no world runs that code.
    pub bug: Option<Bug>,
    /// What catches it.
    pub caught: Caught,
}

/// What catches a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// One of these checkers, in one of so many hostile worlds.
    Worlds {
        /// Ids of claims.
        by: &'static [&'static str],
        /// Seeds from 0 on.
        within: u64,
    },
    /// The scenario of this name, in `docs/scenarios.md`.
    Scenario(&'static str),
    /// A named test, as `file::function`.
    Test(&'static str),
    /// Nothing yet, and why.
    Waiting(&'static str),
}

/// Every planted bug.
#[must_use]
pub fn all() -> Vec<Mutant> {
    [core::all(), clock::all(), driver::all(), enclave::all()].concat()
}

/// The bug with this name.
#[must_use]
pub fn named(name: &str) -> Option<Mutant> {
    all().into_iter().find(|mutant| mutant.name == name)
}

impl Mutant {
    /// The first world that catches it, and how; the same world without the bug must pass.
    ///
    /// A claim that is not among those stated catches nothing: the search goes on.
    ///
    /// # Errors
    /// If no world within those stated catches it, or one fails without it.
    pub fn hunt(&self) -> Result<Violation, String> {
        let (Some(bug), Caught::Worlds { by, within }) = (self.bug, self.caught) else {
            return Err(format!("{} is not for worlds", self.name));
        };
        let caught = (0..within).find_map(|seed| {
            let violation = World::mutated(Plan::draw(seed), bug).run().verdict.err()?;
            by.contains(&violation.claim.id()).then_some(violation)
        });
        let caught = caught
            .ok_or_else(|| format!("{} survives {within} worlds: {}", self.name, self.says))?;
        match World::new(Plan::draw(caught.seed)).run().verdict {
            Ok(()) => Ok(caught),
            Err(violation) => Err(format!("without any bug: {violation}")),
        }
    }
}
