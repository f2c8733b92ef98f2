//! The bugs of `tlease-core`.

use tlease_core::Mutant as M;

use super::{Bug, Caught, Mutant};

macro_rules! execution {
    ($name:literal) => {
        Caught::Test(concat!("crates/core/tests/review_executions.rs::", $name))
    };
}

macro_rules! lifecycle {
    ($name:literal) => {
        Caught::Test(concat!("crates/core/tests/lifecycle.rs::", $name))
    };
}

macro_rules! repaired {
    ($name:literal) => {
        Caught::Test(concat!("crates/core/tests/repaired.rs::", $name))
    };
}

macro_rules! disagreement {
    ($name:literal) => {
        Caught::Test(concat!("crates/core/tests/disagreement.rs::", $name))
    };
}

pub(super) fn all() -> Vec<Mutant> {
    let row = |(mutant, place, caught): &Row| Mutant {
        name: mutant.name(),
        says: mutant.says(),
        place,
        bug: Some(Bug::Core(*mutant)),
        caught: *caught,
    };
    [IN_HANDS, IN_HOLDER, IN_AUDIT, IN_GRANTER].into_iter().flatten().map(row).collect()
}

/// A bug, where it is planted, and what catches it.
type Row = (M, &'static str, Caught);

/// In the two hands, and in the granter's use of its own.
const IN_HANDS: &[Row] = &[
    (M::SlowInstantsRounded, SLOW, worlds(&["I1", "I4"], 400)),
    (M::FastInstantsRounded, FAST, worlds(&["I2"], 40)),
    (M::SlowDriftForgotten, SLOW, worlds(&["I1", "I4"], 200)),
    (M::FastDriftForgotten, FAST, worlds(&["I2"], 200)),
    (M::SlowLeastReading, SLOW, worlds(&["I1", "I4"], 100)),
    (M::FastGreatestReading, FAST, worlds(&["I2"], 100)),
    (M::SlowTakesMost, SLOW, worlds(&["I1", "I4"], 100)),
    (M::FastTakesLeast, FAST, worlds(&["I2", "I25"], 40)),
    (M::SegmentIgnored, FAST, worlds(&["I2", "I5"], 400)),
    (M::FastBackIsZero, FAST, Caught::Scenario("s01_tsc_jumps_back_on_the_holder")),
    (M::PublishedAsStart, TIMELINE, worlds(&["I1", "I4"], 200)),
    (
        M::FreesByUpperBound,
        TIMELINE,
        execution!(
            "a2_a_lease_is_freed_by_the_upper_bound_of_its_start_and_the_lower_bound_of_now"
        ),
    ),
    (M::DeadSourceStopsHand, TIMELINE, worlds(&["liveness"], 100)),
];

const IN_HOLDER: &[Row] = &[
    (M::AnchorAtReceipt, REPLIES, worlds(&["I3"], 40)),
    (M::OfferHeldAtOnce, REPLIES, worlds(&["I3"], 40)),
    (M::AnchorAtUpperBound, REQUESTS, worlds(&["I3"], 100)),
    (M::ResendKeepsId, REQUESTS, worlds(&["I1", "I3", "I4"], 500)),
    (M::AnchorsCrossBreaks, TIMERS, worlds(&["I3"], 200)),
    (M::ReleaseBeforeClose, REQUESTS, worlds(&["I9"], 40)),
    (M::ReplyRevives, REPLIES, lifecycle!("a_late_renewal_does_not_revive_a_lease_that_is_over")),
    (
        M::BreakHidesExpiry,
        TIMERS,
        repaired!("what_was_over_before_a_break_is_not_suspect_after_it"),
    ),
    (M::CrossedGrantKept, REPLIES, worlds(&["I9", "I12", "I13"], 40)),
    (M::PartialBulkMovesAll, REPLIES, worlds(&["I4", "I14"], 400)),
    (M::RecallIgnored, REPLIES, worlds(&["I25"], 40)),
    (
        M::LimitAtEachLook,
        LEASE,
        repaired!("a_grace_that_a_clock_fell_back_behind_is_usable_for_neither_guard_nor_user"),
    ),
    (
        M::DowngradeAtReply,
        REQUESTS,
        repaired!("a_downgrade_whose_answer_was_lost_is_asked_for_again"),
    ),
    (M::CheckAtLastInput, HOLDER, worlds(&["I9", "I13"], 40)),
    (M::SuspectReclaimed, SESSION, worlds(&["I4", "I7", "exclusion"], 500)),
    (M::WithdrawalResent, SESSION, worlds(&["I4"], 600)),
    (M::ReplayedGrantHeld, REPLIES, worlds(&["I3", "I9"], 100)),
    (M::RenewalUndoesRelease, REPLIES, worlds(&["I9"], 400)),
    (M::CopiedIgnored, HOLDER, worlds(&["I26"], 200)),
];

const IN_AUDIT: &[Row] = &[
    (M::AuditFromReceipt, AUDIT, worlds(&["I50"], 100)),
    (
        M::AuditKeepsLatest,
        AUDIT,
        Caught::Test(
            "crates/core/tests/peer_audit.rs::a_lie_that_no_two_stamps_in_a_row_show_is_found",
        ),
    ),
    (
        M::HiddenForgotten,
        AUDIT,
        Caught::Test("crates/core/tests/peer_audit.rs::what_a_segment_can_hide_accuses_nobody"),
    ),
    (M::OdometerFromStart, ODOMETER, worlds(&["I50"], 400)),
    (
        M::DoubtKeepsLeases,
        DOUBT,
        disagreement!("a_lease_is_suspect_until_a_renewal_sent_after_the_clocks_disagreed"),
    ),
    (
        M::DoubtSparesRequests,
        DOUBT,
        disagreement!("requests_that_were_under_way_when_the_clocks_disagreed_revive_nothing"),
    ),
    (M::ReportFrees, CONNECTIONS, disagreement!("a_report_is_counted_and_changes_nothing_else")),
];

const IN_GRANTER: &[Row] = &[
    (M::RestartWaitSkipped, RESTART, worlds(&["I4", "I11", "exclusion"], 100)),
    (M::BoundLoweredInWait, RESTART, worlds(&["I4", "I11", "exclusion"], 200)),
    (M::BoundLoweredBelowLive, LEASES, worlds(&["I6"], 100)),
    (
        M::PromiseNotKept,
        DURABILITY,
        repaired!("a_record_that_is_written_together_with_a_grant_covers_it"),
    ),
    (M::PromiseBeforeDurable, DURABILITY, worlds(&["I6"], 40)),
    (M::FailedWriteBelieved, RESTART, worlds(&["I6"], 100)),
    (M::OldRecordCounts, DURABILITY, worlds(&["I6"], 200)),
    (M::FenceNotPersisted, DURABILITY, worlds(&["I6"], 200)),
    (M::TermNotPersisted, DURABILITY, worlds(&["I6"], 40)),
    (M::FencesRepeat, DURABILITY, worlds(&["I7"], 40)),
    (M::SpeaksBeforeBorn, CONNECTIONS, worlds(&["I6"], 40)),
    (M::SettlesWithLeases, RESTART, worlds(&["I4", "I6"], 200)),
    (M::StaleReleaseFrees, CONNECTIONS, worlds(&["I4"], 200)),
    (M::UsedIdAccepted, CONNECTIONS, worlds(&["I4"], 100)),
    (M::EpochRepeats, CONNECTIONS, worlds(&["I12"], 40)),
    (M::SecretUnchecked, CONNECTIONS, worlds(&["I4", "I9"], 1_000)),
    (M::AnyoneMovesLease, LEASES, worlds(&["I4"], 400)),
    (M::FreesOnDisconnect, CONNECTIONS, worlds(&["I1", "I4"], 40)),
    (M::FingerprintIgnored, LEASES, worlds(&["I4", "I14"], 400)),
    (M::QueueBeforeFree, ACQUIRE, worlds(&["exclusion"], 40)),
    (M::ForcedRecallFrees, LEASES, worlds(&["I4"], 200)),
    (M::RecalledRenewedFully, LEASES, worlds(&["I25"], 40)),
    (
        M::RecalledKeepsOldStamp,
        LEASES,
        repaired!("a_promise_to_a_recalled_holder_is_kept_though_the_lower_bound_of_now_was_old"),
    ),
    (M::RenewalRevives, LEASES, worlds(&["I4", "I7", "I25"], 200)),
    (M::RenewalNotStamped, LEASES, worlds(&["I1", "I4"], 40)),
    (M::ConfirmationForgotten, LEASES, worlds(&["I1", "I4"], 40)),
    (M::SecondAcquireKeepsFence, ACQUIRE, worlds(&["I4"], 600)),
    (M::SharedBesideExclusive, ACQUIRE, worlds(&["exclusion"], 40)),
    (M::WaitersForgotten, LEASES, worlds(&["liveness"], 100)),
    (
        M::ReclaimUnproved,
        RESTART,
        execution!("a8c_the_key_under_the_tags_survives_and_a_tag_proves_every_part_of_a_claim"),
    ),
    (
        M::ReclaimOfSettledLife,
        RESTART,
        execution!("a8a_a_tag_of_a_life_before_the_last_settled_one_proves_nothing"),
    ),
    (
        M::ReclaimForAnyLife,
        RESTART,
        execution!("a8d_a_claim_for_another_life_or_after_the_wait_is_refused"),
    ),
    (
        M::ReclaimsNotCompared,
        RESTART,
        execution!("a8a_of_two_claims_the_higher_fence_wins_whichever_comes_first"),
    ),
];

const fn worlds(by: &'static [&'static str], within: u64) -> Caught {
    Caught::Worlds { by, within }
}

const SLOW: &str = "crates/core/src/time/slow.rs";
const FAST: &str = "crates/core/src/time/fast.rs";
const AUDIT: &str = "crates/core/src/audit.rs";
const ODOMETER: &str = "crates/core/src/granter/odometer.rs";
const DOUBT: &str = "crates/core/src/holder/doubt.rs";
const TIMELINE: &str = "crates/core/src/granter/timeline.rs";
const RESTART: &str = "crates/core/src/granter/restart.rs";
const LEASES: &str = "crates/core/src/granter/leases.rs";
const DURABILITY: &str = "crates/core/src/granter/durability.rs";
const CONNECTIONS: &str = "crates/core/src/granter/connections.rs";
const ACQUIRE: &str = "crates/core/src/granter/acquire.rs";
const HOLDER: &str = "crates/core/src/holder/mod.rs";
const LEASE: &str = "crates/core/src/holder/lease.rs";
const REPLIES: &str = "crates/core/src/holder/replies.rs";
const REQUESTS: &str = "crates/core/src/holder/requests.rs";
const TIMERS: &str = "crates/core/src/holder/timers.rs";
const SESSION: &str = "crates/core/src/holder/session.rs";
