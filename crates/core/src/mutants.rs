//! Bugs that tests plant, one to a machine, to show that they would be found.
//!
//! Nothing of this is in what ships: without the feature `mutants` there is no [`Mutant`], and
//! `planted!` is `false`. A machine carries its bug with its clock's hand ([`SlowHand::mutate`],
//! [`FastHand::mutate`]); there is no global state. Which bug is caught by what is in
//! `docs/mutants.md`.
//!
//! [`SlowHand::mutate`]: crate::time::SlowHand::mutate
//! [`FastHand::mutate`]: crate::time::FastHand::mutate

/// Whether a bug is planted in what knows its `mutant`; a value that it makes wrong; or code that is
/// there only then.
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
    ($knows:expr, $bug:ident => $wrong:expr, else $right:expr) => {
        if planted!($knows, $bug) { $wrong } else { $right }
    };
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
    // The two hands.

    /// The granter rounds two instants and subtracts them: their granularity cancels out.
    SlowInstantsRounded,
    /// The holder rounds two instants and subtracts them: their granularity cancels out.
    FastInstantsRounded,
    /// The granter takes a tick of its clock at its nominal length, without the drift allowed for.
    SlowDriftForgotten,
    /// The holder takes a tick of its clock at its nominal length, without the drift allowed for.
    FastDriftForgotten,
    /// The granter measures from the least reading to the least reading, not each source by itself.
    SlowLeastReading,
    /// The holder measures from the greatest reading to the greatest, not each source by itself.
    FastGreatestReading,
    /// The granter believes the source that advanced most.
    SlowTakesMost,
    /// The holder believes the source that advanced least.
    FastTakesLeast,
    /// The holder measures across the end of a segment.
    SegmentIgnored,
    /// A source of the holder that fell back is taken to stand still.
    FastBackIsZero,
    /// The granter counts a lease from the lower bound of the moment that it was granted.
    PublishedAsStart,
    /// The granter frees by the upper bound of the present moment.
    FreesByUpperBound,
    /// A source that fell back stops the granter's hand until it is where it was.
    DeadSourceStopsHand,

    // The holder.

    /// A lease counts from the receipt of the reply.
    AnchorAtReceipt,
    /// An offer is held at once, and counts from its receipt.
    OfferHeldAtOnce,
    /// A lease counts from the upper bound of the moment that its request was sent.
    AnchorAtUpperBound,
    /// A renewal that is sent again keeps its id, and its anchor moves to the later sending.
    ResendKeepsId,
    /// Requests in flight count from after a break of continuity, not from their sending.
    AnchorsCrossBreaks,
    /// A release is sent before the guard is closed.
    ReleaseBeforeClose,
    /// A reply extends a lease that is over.
    ReplyRevives,
    /// What was over before a break of continuity is only suspect after it.
    BreakHidesExpiry,
    /// A grant that crosses a release or a withdrawal is kept.
    CrossedGrantKept,
    /// The answer to a bulk renewal moves every lease, listed or not.
    PartialBulkMovesAll,
    /// A recall changes nothing.
    RecallIgnored,
    /// Whoever looks at a recalled lease decides anew what ends it, and not by what its guard was told.
    LimitAtEachLook,
    /// A lease that is being downgraded stays exclusive until the granter answers.
    DowngradeAtReply,
    /// A lease is judged by the moment of the last input, not by the moment at which it is asked for.
    CheckAtLastInput,
    /// A lease is reclaimed from a restarted granter though it is suspect.
    SuspectReclaimed,
    /// A withdrawal is sent again though a later wish for the name was granted.
    WithdrawalResent,
    /// A grant that is heard again is taken for a new one, and counts from its receipt.
    ReplayedGrantHeld,
    /// The answer to a renewal that crosses the release takes the lease back.
    RenewalUndoesRelease,
    /// A holder whose machine may be a copy goes on with its session.
    CopiedIgnored,

    // The peer audit.

    /// The audit counts the holder's time from the receipt of a stamp, not from its request's sending.
    AuditFromReceipt,
    /// The audit keeps the latest stamp, not the tightest one.
    AuditKeepsLatest,
    /// The audit forgets what a segment of the holder's clock can hide.
    HiddenForgotten,
    /// A stamp says how far the granter's hand moved from one start: which source counts can change.
    OdometerFromStart,
    /// Leases go on when clocks are found to disagree.
    DoubtKeepsLeases,
    /// Requests that are under way when clocks disagree still make leases usable.
    DoubtSparesRequests,
    /// Who reports that clocks disagree loses its leases.
    ReportFrees,

    // The granter.

    /// The wait after a restart is skipped.
    RestartWaitSkipped,
    /// The longest promise is forgotten on disk when the wait after a restart begins.
    BoundLoweredInWait,
    /// The longest promise on disk is lowered below that of a live lease.
    BoundLoweredBelowLive,
    /// A promise that is made while a record is under way is left out of the next one.
    PromiseNotKept,
    /// A record counts as durable as soon as it is handed to the store.
    PromiseBeforeDurable,
    /// A record counts as durable though the store says that it failed.
    FailedWriteBelieved,
    /// While a record is being written only the old one counts.
    OldRecordCounts,
    /// A fence is given that is not covered by the mark on disk.
    FenceNotPersisted,
    /// A term is promised that is not covered by the bound on disk.
    TermNotPersisted,
    /// The fences of an earlier life are given again.
    FencesRepeat,
    /// Connections are served before the record of this life is durable.
    SpeaksBeforeBorn,
    /// An exit counts as settled though leases are live.
    SettlesWithLeases,
    /// A release frees whatever its session holds on the name, whichever epoch, id and fence it names.
    StaleReleaseFrees,
    /// A request is handled as often as it arrives.
    UsedIdAccepted,
    /// Every opening of a session has the same number.
    EpochRepeats,
    /// A session is opened with any secret.
    SecretUnchecked,
    /// A lease is moved by whoever knows its name and fence.
    AnyoneMovesLease,
    /// A lease is freed when the connection of its holder ends.
    FreesOnDisconnect,
    /// A bulk renewal is confirmed whatever its fingerprint.
    FingerprintIgnored,
    /// A recalled lease does not stand in the way of the next in the queue.
    QueueBeforeFree,
    /// A forced recall frees the lease at once.
    ForcedRecallFrees,
    /// A recalled lease is renewed for its whole term.
    RecalledRenewedFully,
    /// The promise to a recalled holder counts from the lease's old stamp.
    RecalledKeepsOldStamp,
    /// A renewal of a lease that is gone makes it anew, under the fence that it names.
    RenewalRevives,
    /// A renewal is confirmed, and the lease counts from its old stamp.
    RenewalNotStamped,
    /// A confirmed offer still lapses after the life of an offer.
    ConfirmationForgotten,
    /// A second acquire by the session that holds the name gets the fence that it has.
    SecondAcquireKeepsFence,
    /// A shared lease is given beside an exclusive one.
    SharedBesideExclusive,
    /// A name that becomes free is not offered to those who wait for it.
    WaitersForgotten,
    /// A reclaim needs no proof.
    ReclaimUnproved,
    /// Grants from before the last settled life are reclaimed.
    ReclaimOfSettledLife,
    /// A reclaim for another life of the granter is accepted.
    ReclaimForAnyLife,
    /// Two reclaims that exclude each other are both accepted.
    ReclaimsNotCompared,
}
