//! What a run showed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::checkers::Claim;
use crate::trace::Trace;

/// What a run showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether every claim held.
    pub verdict: Result<(), Violation>,
    /// How often what happened: a world in which nothing does shows nothing.
    pub tally: Tally,
    /// Of everything that happened, in order: two runs of one plan agree in it.
    pub digest: u64,
    /// How many events were handled.
    pub steps: u64,
    /// What happened, if it was kept.
    pub trace: Option<Trace>,
}

/// A claim that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub claim: Claim,
    /// When, in true nanoseconds.
    pub at: u64,
    /// The seed of the plan.
    pub seed: u64,
    /// What happened instead.
    pub what: String,
}

/// How often each thing happened.
pub type Tally = BTreeMap<&'static str, u64>;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {} ns: {}: {}", self.seed, self.at, self.claim, self.what)
    }
}

impl std::error::Error for Violation {}
