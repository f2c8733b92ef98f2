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

macro_rules! stay {
    ($name:literal) => {
        Caught::Test(concat!("crates/clock/tests/emulated_stay.rs::", $name))
    };
}

pub(super) fn all() -> Vec<Mutant> {
    let row = |(mutant, place, caught): &Row| Mutant {
        name: mutant.name(),
        says: mutant.says(),
        place,
        bug: matches!(caught, Caught::Worlds { .. } | Caught::Scenario(_))
            .then_some(Bug::Clock(*mutant)),
        caught: *caught,
    };
    ROWS.iter().chain(IN_ENCLAVES).map(row).collect()
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
    (M::MarkIgnored, ACT, stay!("a_mark_that_is_not_tested_lets_a_lease_act_that_is_over")),
    (
        M::MarkTestedOutside,
        ACT,
        stay!("a_mark_that_is_tested_outside_lets_a_lease_act_that_is_over"),
    ),
    (M::CounterUnfenced, ACT, stay!("a_counter_that_is_read_without_a_fence_is_seen")),
    (
        M::StretchKept,
        OUTSIDE,
        stay!("a_thread_that_goes_on_with_what_it_knew_acts_when_its_lease_is_over"),
    ),
    (M::MarkNotArmed, OUTSIDE, stay!("a_mark_that_is_never_armed_makes_every_lease_suspect")),
    (
        M::StayUnbound,
        SHAPE,
        Caught::Test(concat!(
            "crates/clock/tests/stay_shape.rs::",
            "a_stay_that_borrows_no_thread_outlives_a_call_to_the_host"
        )),
    ),
    (
        M::StaySent,
        SHAPE,
        Caught::Test(
            "crates/clock/tests/stay_shape.rs::a_stay_that_is_of_no_thread_goes_to_another",
        ),
    ),
    (
        M::RetriesUnbounded,
        STATUS,
        Caught::Test(
            "crates/clock/src/guard/status.rs::conflicts_are_retried_a_bounded_number_of_times",
        ),
    ),
    (
        M::RefusalRetried,
        STATUS,
        Caught::Test("crates/clock/src/guard/status.rs::every_verdict_comes_back_from_its_code"),
    ),
    (
        M::GenerationMisplaced,
        VMCLOCK,
        Caught::Test("crates/clock/src/vmclock.rs::the_markers_are_where_the_header_file_says"),
    ),
    (
        M::TornMarksBelieved,
        VMCLOCK,
        Caught::Test("crates/clock/src/vmclock.rs::an_update_that_never_ends_gives_no_markers"),
    ),
];

/// In what runs inside an enclave.
const IN_ENCLAVES: &[Row] = &[
    (M::MarkPassedOver, KEEPER, worlds(&["I2", "I19"], 100)),
    (
        M::RateCheckedWhenQuiet,
        KEEPER,
        Caught::Scenario("s09_rate_change_only_in_windows_with_exits"),
    ),
    (M::SlowCoreAlarms, RATE, Caught::Scenario("s19_sibling_saturates_the_core")),
    (M::BridgedAfterContradiction, KEEPER, worlds(&["I19"], 1_000)),
    (M::OneSegmentForAll, KEEPER, worlds(&["I2", "I5", "I8", "I19"], 100)),
    (M::LinksBeforeExecuted, KEEPER, worlds(&["I18"], 100)),
    (M::StampedOneBeatAbove, KEEPER, worlds(&["I18"], 100)),
    (M::UpperPublished, KEEPER, worlds(&["I2", "I19"], 400)),
    (M::BlurNotPublished, KEEPER, worlds(&["I2", "I19"], 400)),
    (M::FirstPublicationAnswers, HANDSHAKE, worlds(&["I2", "I19"], 400)),
    (M::SkewForgotten, HANDSHAKE, worlds(&["I2", "I19"], 400)),
];

const fn worlds(by: &'static [&'static str], within: u64) -> Caught {
    Caught::Worlds { by, within }
}

const SEGMENT: &str = "crates/clock/src/segment.rs";
const KEEPER: &str = "crates/clock/src/enclave/timekeeper.rs";
const RATE: &str = "crates/clock/src/enclave/rate.rs";
const HANDSHAKE: &str = "crates/clock/src/enclave/handshake.rs";
const PROFILE: &str = "crates/clock/src/profile.rs";
const ACT: &str = "crates/clock/src/enclave/lease.rs";
const OUTSIDE: &str = "crates/clock/src/enclave/outside.rs";
/// A shape of types has no switch: the test changes the source and compiles it.
const SHAPE: &str = "crates/clock/tests/stay_shape.rs";
const STATUS: &str = "crates/clock/src/guard/status.rs";
const VMCLOCK: &str = "crates/clock/src/vmclock.rs";
