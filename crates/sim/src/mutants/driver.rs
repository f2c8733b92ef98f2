//! The bugs of what surrounds the machines: drivers, disk, guard and resource, as the world models
//! them. The shipped ones are in crates that no world runs; where they can be shown, named tests do.

use super::{Bug, Caught, Mutant};

macro_rules! drivers {
    ($($(#[doc = $says:literal])+ $bug:ident => $place:literal, $by:expr, $within:literal;)+) => {
        /// A bug of what surrounds the machines. Each says what is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Driver {
            $($(#[doc = $says])+ $bug,)+
        }

        pub(super) fn all() -> Vec<Mutant> {
            vec![$(Mutant {
                name: stringify!($bug),
                says: concat!($($says),+).trim_ascii(),
                place: concat!("crates/sim/src/world/", $place),
                bug: Some(Bug::Driver(Driver::$bug)),
                caught: Caught::Worlds { by: &$by, within: $within },
            },)+]
        }
    };
}

drivers! {
    /// The granter's driver reads the clock before the input arrives.
    ClockReadBeforeInput => "machines.rs", ["I1", "I4"], 200;
    /// A frame that cannot be read is passed over, and its connection goes on.
    BadFrameForgiven => "damage.rs", ["I17"], 200;
    /// The store reports a write as done that failed.
    FailureReportedAsDone => "disk.rs", ["I6"], 100;
    /// A holder checks, and then acts, whatever comes in between.
    ActOutsideGuard => "cpu.rs", ["I4", "I8"], 2_500;
    /// The guard does not see that its lease is revoked meanwhile.
    RevocationUnseen => "cpu.rs", ["I9"], 800;
    /// A commit leaves no time between its clock reading and its effect.
    NoCommitMargin => "cpu.rs", ["I8"], 2_500;
    /// A commit that no transaction lets through is done without one.
    AbortFallsBack => "cpu.rs", ["I4", "I8", "I9"], 800;
    /// A restartable sequence that was preempted goes on where it was.
    SequenceGoesOn => "cpu.rs", ["I4", "I10"], 2_500;
    /// What is published without transactions leaves no more time than a commit does.
    CommitMarginForPublish => "cpu.rs", ["I10"], 2_500;
    /// A resource admits whatever fence a write names.
    ResourceIgnoresFences => "resource.rs", ["I7"], 800;
    /// Links are taken to be those of the slowest core that is admitted.
    SlowestCoreCounts => "enclave/mod.rs", ["I1", "I4"], 100;
    /// The publication of the timekeeper that is most advanced counts, whatever its segment.
    MostAdvancedKeeper => "enclave/mod.rs", ["I2", "I19"], 400;
    /// What a timekeeper published is taken for the present.
    PublishedAsNow => "enclave/mod.rs", ["I2", "I19"], 100;
    /// A lease is looked at whatever segment the thread is in.
    AnySegment => "enclave/mod.rs", ["I2", "I5", "I8"], 400;
    /// What a thread knows outlives an interruption: its mark is armed again and not looked at.
    StretchOutlivesExit => "enclave/mod.rs", ["I20"], 100;
}
