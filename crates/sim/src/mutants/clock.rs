//! The bugs of `tlease-clock`: of its pure parts, which worlds run, and of the guard on this machine.

use tlease_clock::Mutant as M;

use super::{Bug, Caught, Mutant};

macro_rules! segments {
    ($name:literal) => {
        Caught::Test(concat!("crates/clock/src/segment.rs::", $name))
    };
}

macro_rules! machine {
    ($name:literal) => {
        Caught::Test(concat!("crates/clock/tests/mutants.rs::", $name))
    };
}

pub(super) fn all() -> Vec<Mutant> {
    let row = |(mutant, place, caught): &Row| Mutant {
        name: mutant.name(),
        says: mutant.says(),
        place,
        bug: matches!(caught, Caught::Worlds { .. }).then_some(Bug::Clock(*mutant)),
        caught: *caught,
    };
    ROWS.iter().map(row).collect()
}

/// A bug, where it is planted, and what catches it.
type Row = (M, &'static str, Caught);

const ROWS: &[Row] = &[
    (M::SuspendByLowerBound, SEGMENT, worlds(&["I2", "I5", "I8"], 200)),
    (M::OffsetFollows, SEGMENT, worlds(&["I2", "I5", "I8"], 200)),
    (M::BlurContinues, SEGMENT, segments!("reads_that_were_interrupted_decide_nothing")),
    (M::DisruptionIgnored, SEGMENT, worlds(&["I2", "I5", "I8"], 200)),
    (M::RawMayGoBack, SEGMENT, segments!("a_disruption_and_a_raw_clock_that_goes_back_are_breaks")),
    (M::SegmentRevived, SEGMENT, worlds(&["I2", "I5", "I8"], 200)),
    (
        M::BreakKeepsReading,
        SEGMENT,
        segments!("the_reading_that_shows_a_break_belongs_to_no_segment"),
    ),
    (M::CommitBeyondDeadline, PROFILE, machine!("a_commit_beyond_the_deadline_shows")),
    (M::TouchNothing, PROFILE, machine!("memory_that_is_not_touched_never_commits")),
    (
        M::RevokeWithoutBarrier,
        PROFILE,
        machine!("a_revocation_without_a_barrier_lets_a_store_through"),
    ),
];

const fn worlds(by: &'static [&'static str], within: u64) -> Caught {
    Caught::Worlds { by, within }
}

const SEGMENT: &str = "crates/clock/src/segment.rs";
const PROFILE: &str = "crates/clock/src/profile.rs";
