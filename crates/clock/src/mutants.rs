//! Bugs that tests plant, to show that they would be found. Nothing of this is in what ships, as in
//! `tlease-core`; which bug is caught by what is in `docs/mutants.md`.

/// Whether a bug is planted in what knows its `mutant`, or code that is there only then.
macro_rules! planted {
    ($knows:expr, $bug:ident) => {{
        #[cfg(feature = "mutants")]
        {
            matches!($knows.mutant, Some($crate::mutants::Mutant::$bug))
        }
        #[cfg(not(feature = "mutants"))]
        {
            false
        }
    }};
    ($knows:expr, $bug:ident => $code:expr) => {
        #[cfg(feature = "mutants")]
        if planted!($knows, $bug) {
            $code;
        }
    };
}

#[cfg(feature = "mutants")]
macro_rules! mutants {
    ($($(#[doc = $says:literal])+ $bug:ident,)+) => {
        /// A bug that can be planted. Each says what is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Mutant {
            $($(#[doc = $says])+ $bug,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => stringify!($bug),)+
                }
            }

            /// What is wrong, in a sentence.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self {
                    $(Self::$bug => concat!($($says),+).trim_ascii(),)+
                }
            }
        }
    };
}

#[cfg(feature = "mutants")]
mutants! {
    // The guard of profile `host`.

    /// Commits until 20 ms after the deadline.
    CommitBeyondDeadline,
    /// Does not touch the registered memory after an abort without a cause.
    TouchNothing,
    /// Revokes without restarting the sequences that are running.
    RevokeWithoutBarrier,

    // The guard of profiles `enclave*`.

    /// A commit in a stay does not test the mark.
    MarkIgnored,
    /// A commit in a stay tests the mark before its transaction, not in it.
    MarkTestedOutside,
    /// A commit in a stay reads the counter without a fence before it.
    CounterUnfenced,
    /// A thread that was interrupted arms its mark again and goes on with what it knew.
    StretchKept,
    /// A thread shakes hands without arming its mark.
    MarkNotArmed,
    /// A stay does not borrow the thread that it is of.
    StayUnbound,
    /// A stay can go to another thread.
    StaySent,

    // What follows from an abort.

    /// Conflicts are retried without end.
    RetriesUnbounded,
    /// What the transaction itself refused is tried again.
    RefusalRetried,

    // VMClock.

    /// The generation counter is read one word too early.
    GenerationMisplaced,
    /// What was read in the middle of an update is believed.
    TornMarksBelieved,

    // Segments of profile `host`.

    /// A suspend is looked for by the lower bound of the clock offset.
    SuspendByLowerBound,
    /// The offset that a segment begins with follows each reading: short suspends add up unseen.
    OffsetFollows,
    /// Clocks that could not be read close together show that nothing happened.
    BlurContinues,
    /// A change of VMClock's markers is passed over.
    DisruptionIgnored,
    /// A raw clock that goes back is passed over.
    RawMayGoBack,
    /// A break does not begin a segment of its own.
    SegmentRevived,
    /// The reading that shows a break is given the segment that begins with it.
    BreakKeepsReading,

    // Timekeepers and handshakes of the profiles `enclave*`.

    /// A timekeeper goes on though its mark was lost.
    MarkPassedOver,
    /// A chain serves at once: the counter's rate is checked only where there is time for it.
    RateCheckedWhenQuiet,
    /// A core that is much slower than the fastest raises an alarm.
    SlowCoreAlarms,
    /// A chain that ended with a contradiction goes on with the line of the other timekeeper.
    BridgedAfterContradiction,
    /// Every chain of a timekeeper belongs to one and the same segment.
    OneSegmentForAll,
    /// The links of a beat count as soon as it begins.
    LinksBeforeExecuted,
    /// A granter's start stamp is only one beat above what is published.
    StampedOneBeatAbove,
    /// The upper bound of the hand is published as what it has certainly reached.
    UpperPublished,
    /// What a timekeeper publishes is taken for exact.
    BlurNotPublished,
    /// The first publication after it was begun answers a handshake.
    FirstPublicationAnswers,
    /// All counters are taken to run alike.
    SkewForgotten,
}
