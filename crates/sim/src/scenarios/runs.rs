//! The scenarios. Two holders, 0 and 1, and one name; a term is a second.

use super::Status::{self, NotOurs, Runs, Shown};
use super::{Make, enclaves, machines, rates};
use crate::act::{Act, ClockAct, Lease, Link, Rule, WaitFor, Want};
use crate::options::{ClockPlan, Delays, HostPlan, Options, SourcePlan, Transactions};
use crate::world::World;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const MS: u64 = 1_000_000;
pub(super) const NAME: Lease = Lease::Of(0);

pub(super) const TABLE: [(&str, Status); 40] = [
    ("s01_tsc_jumps_back_on_the_holder", Runs(jumps_back, Some("FastBackIsZero"))),
    ("s02_jump_back_hidden_behind_an_exit", Runs(hidden_jump, Some("SegmentIgnored"))),
    ("s03_jump_forward_on_the_holder", Runs(holder_forward, Some("FastTakesLeast"))),
    ("s04_jump_forward_on_the_granter", Runs(granter_forward, Some("SlowTakesMost"))),
    ("s05_jump_back_on_the_granter", Runs(granter_back, Some("DeadSourceStopsHand"))),
    ("s06_holder_rate_miscalibrated", Runs(rates::holder_slow, Some("FastDriftForgotten"))),
    ("s07_granter_rate_miscalibrated", Runs(rates::granter_fast, Some("SlowDriftForgotten"))),
    (
        "s08_slow_creep_under_a_rate_rule",
        Runs(enclaves::slow_creep, Some("BridgedAfterContradiction")),
    ),
    (
        "s09_rate_change_only_in_windows_with_exits",
        Runs(enclaves::rate_beside_exits, Some("RateCheckedWhenQuiet")),
    ),
    (
        "s10_many_pauses_below_a_threshold",
        Runs(enclaves::many_short_pauses, Some("MarkPassedOver")),
    ),
    ("s11_long_pause_between_check_and_act", Runs(pause_in_act, Some("ActOutsideGuard"))),
    ("s12_pause_after_the_act_before_the_packet", Runs(late_write, Some("ResourceIgnoresFences"))),
    ("s13_single_stepping_through_the_guard", Runs(single_step, Some("ActOutsideGuard"))),
    ("s14_transactions_disabled", Runs(no_transactions, Some("AbortFallsBack"))),
    (
        "s15_counter_trapped_and_emulated",
        Shown("`crates/clock/src/host/mod.rs`: a clock source without a vDSO path refuses"),
    ),
    ("s16_thread_moved_to_another_core", Runs(enclaves::another_core, Some("StretchOutlivesExit"))),
    ("s17_core_slowed_without_an_exit", Runs(enclaves::slow_core, Some("SlowestCoreCounts"))),
    ("s18_turbo_makes_the_count_run_ahead", Runs(enclaves::turbo, Some("LinksBeforeExecuted"))),
    ("s19_sibling_saturates_the_core", Runs(enclaves::busy_sibling, Some("SlowCoreAlarms"))),
    ("s20_crystal_slowed", Runs(slow_crystal, Some("AuditKeepsLatest"))),
    ("s21_grant_delayed_beyond_its_term", Runs(late_grant, Some("AnchorAtReceipt"))),
    ("s22_grant_replayed", Runs(replayed_grant, Some("ReplayedGrantHeld"))),
    ("s23_renewal_after_the_release", Runs(late_renewal, Some("RenewalUndoesRelease"))),
    ("s24_asymmetric_delay_to_a_time_authority", NotOurs("no time authority is asked")),
    ("s25_unsolicited_peer_time", NotOurs("no time is taken from peers")),
    ("s26_byzantine_time_nodes", NotOurs("no time is taken from peers")),
    ("s27_one_sided_consistency_check", NotOurs("no time is taken from peers")),
    ("s28_time_sources_partitioned", NotOurs("no external source of time is used")),
    ("s29_cloned_instance", Runs(machines::cloned, Some("CopiedIgnored"))),
    ("s30_granter_restarted", Runs(restart, Some("RestartWaitSkipped"))),
    ("s31_holder_restored_from_a_snapshot", Runs(snapshot, Some("DisruptionIgnored"))),
    ("s32_live_migration_of_a_trust_domain", NotOurs("profile `cvm` is not built")),
    ("s33_suspend_and_resume", Runs(suspend, Some("SegmentRevived"))),
    ("s34_arithmetic_at_the_edges", Shown("`crates/core/tests/arithmetic.rs`")),
    (
        "s35_torn_clock_reading",
        Shown("`crates/clock/tests/record_interleavings.rs`, `crates/clock/src/vmclock.rs`"),
    ),
    (
        "s36_release_use_and_expiry_race",
        Shown("`crates/clock/tests/record_interleavings.rs`, `spec/`, random worlds"),
    ),
    ("s37_leap_second", NotOurs("nothing reads the wall clock")),
    (
        "s38_acquiring_again_beyond_a_cap",
        NotOurs("there is no cap on leases one after the other; each term has one"),
    ),
    ("s39_renewal_starved", Runs(starved, Some("CheckAtLastInput"))),
    ("s40_time_authority_rolls_its_key", NotOurs("no time authority is asked")),
];

pub(super) type Outcome = Result<(), String>;

pub(super) fn expect(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

pub(super) fn want(world: &mut World, node: usize, term: u64, by_hand: bool) {
    let wait = WaitFor::Ever;
    world.act(&Act::Want(Want { node, name: 0, shared: false, term, wait, by_hand }));
    world.run_for(20 * MS);
}

/// Holder 0 has the name for a second, and does not renew.
pub(super) fn held(make: &Make<'_>, options: Options) -> Result<World, String> {
    holding(make(options))
}

/// The same in a world that was made already.
pub(super) fn holding(mut world: World) -> Result<World, String> {
    world.run_for(100 * MS);
    want(&mut world, 0, SECOND, true);
    expect(world.fence(0, NAME).is_some(), "it is free")?;
    Ok(world)
}

pub(super) fn ends_well(world: World) -> Outcome {
    world.finish().verdict.map_err(|violation| violation.to_string())
}

fn two_sources() -> ClockPlan {
    let source = SourcePlan { shown: SECOND, rate_ppb: SECOND, granularity: 1 };
    ClockPlan { sources: vec![source; 2], ..ClockPlan::exact() }
}

pub(super) fn linux(has_vmclock: bool) -> Options {
    let (shown, slept) = (1_000 * SECOND, 0);
    let host = HostPlan { shown, slept, raw_ppb: SECOND, steered_ppb: SECOND, has_vmclock };
    let mut options = Options::quiet(2);
    options.holder_clocks[0].host = Some(host);
    options
}

pub(super) fn clock(world: &mut World, clock: ClockAct) {
    world.act(&Act::Clock { node: 0, clock });
}

fn jumps_back(make: &Make<'_>) -> Outcome {
    let mut world = held(make, Options::quiet(2))?;
    clock(&mut world, ClockAct::Jump { source: 0, by: -3_600_000_000_000 });
    expect(world.fence(0, NAME).is_none(), "unknown is not usable")?;
    ends_well(world)
}

fn hidden_jump(make: &Make<'_>) -> Outcome {
    let mut world = held(make, Options::quiet(2))?;
    world.run_for(500 * MS);
    clock(&mut world, ClockAct::Break { jumps: vec![-300_000_000] });
    expect(world.fence(0, NAME).is_none(), "void until it is renewed")?;
    ends_well(world)
}

fn holder_forward(make: &Make<'_>) -> Outcome {
    let mut options = Options::quiet(2);
    options.holder_clocks[0] = two_sources();
    let mut world = held(make, options)?;
    clock(&mut world, ClockAct::Jump { source: 1, by: 10_000_000_000 });
    expect(world.fence(0, NAME).is_none(), "over early, never late")?;
    ends_well(world)
}

fn granter_forward(make: &Make<'_>) -> Outcome {
    let mut options = Options::quiet(2);
    options.granter_clock = two_sources();
    let mut world = held(make, options)?;
    world.act(&Act::ClockGranter { clock: ClockAct::Jump { source: 1, by: 10_000_000_000 } });
    want(&mut world, 1, SECOND, false);
    world.run_for(300 * MS);
    expect(world.fence(1, NAME).is_none(), "no second grant")?;
    ends_well(world)
}

fn granter_back(make: &Make<'_>) -> Outcome {
    let mut options = Options::quiet(2);
    options.granter_clock.sources[0].shown = 1_000 * SECOND;
    let mut world = held(make, options)?;
    world.run_for(500 * MS);
    // So that it gives nothing back.
    world.act(&Act::Pause { node: 0, lasts: 6 * SECOND });
    world.act(&Act::ClockGranter { clock: ClockAct::Jump { source: 0, by: -900_000_000_000 } });
    want(&mut world, 1, SECOND, false);
    world.run_for(3 * SECOND);
    expect(world.fence(1, NAME).is_some(), "granted again, late")?;
    ends_well(world)
}

fn pause_in_act(make: &Make<'_>) -> Outcome {
    // Wherever in the guarded section the pause begins.
    for after in (200..4_000).step_by(200) {
        let mut world = held(make, Options::quiet(2))?;
        world.act(&Act::Commit { node: 0, lease: NAME });
        world.run_for(after);
        world.act(&Act::Pause { node: 0, lasts: 3 * SECOND });
        want(&mut world, 1, SECOND, false);
        world.run_for(4 * SECOND);
        let late = world.effects().iter().any(|effect| effect.node == 0 && effect.at > 2 * SECOND);
        expect(!late, "no stale effect")?;
        ends_well(world)?;
    }
    Ok(())
}

fn late_write(make: &Make<'_>) -> Outcome {
    let mut world = held(make, Options::quiet(2))?;
    world.act(&Act::Write { node: 0, lease: NAME, delay: 3 * SECOND });
    want(&mut world, 1, SECOND, false);
    world.run_for(2 * SECOND);
    world.act(&Act::Write { node: 1, lease: NAME, delay: MS });
    world.run_for(2 * SECOND);
    expect(world.times("write refused as stale") == 1, "the resource refuses it")?;
    ends_well(world)
}

fn single_step(make: &Make<'_>) -> Outcome {
    let mut world = make(Options { exits: 900, ..Options::quiet(2) });
    world.run_for(100 * MS);
    want(&mut world, 0, 60 * SECOND, true);
    world.act(&Act::Commit { node: 0, lease: NAME });
    world.run_for(50 * SECOND);
    expect(world.effects().is_empty(), "no progress, and no effect")?;
    ends_well(world)
}

fn no_transactions(make: &Make<'_>) -> Outcome {
    let transactions = Transactions::Abort;
    let mut world = held(make, Options { transactions, ..Options::quiet(2) })?;
    world.act(&Act::Commit { node: 0, lease: NAME });
    world.run_for(SECOND);
    expect(world.effects().is_empty(), "fails closed")?;
    ends_well(world)
}

fn slow_crystal(make: &Make<'_>) -> Outcome {
    // Slower than the profile allows by a share that no two stamps in a row show: a round trip is a
    // hundredth of the time between them.
    let mut options = Options { delays: Delays::Fixed(2 * MS), ..Options::quiet(2) };
    options.holder_clocks[0].sources[0].rate_ppb = SECOND - 4_000_000;
    let mut world = make(options);
    world.run_for(100 * MS);
    want(&mut world, 0, SECOND, false);
    world.run_for(500 * MS);
    expect(
        world.times("clocks disagree") == 0,
        "not before a round trip's share of it has passed",
    )?;
    // 4 ms of round trip / (4 - 2 * 0.3) in a thousand, and a renewal: promise P12.
    world.run_for(2 * SECOND);
    let [found, reported] = ["clocks disagree", "disagreement reported"].map(|w| world.times(w));
    ends_well(world)?;
    expect(found > 0, "found within its bound")?;
    expect(reported > 0, "and reported")
}

fn late_grant(make: &Make<'_>) -> Outcome {
    let mut world = make(Options::quiet(2));
    world.run_for(100 * MS);
    let (link, kind) = (Link::ToHolder(0), Some("Granted".to_owned()));
    world.act(&Act::Rule(Rule { link, kind, times: 1, delays: vec![2 * SECOND] }));
    want(&mut world, 0, SECOND, true);
    world.run_for(2 * SECOND);
    ends_well(world)
}

fn replayed_grant(make: &Make<'_>) -> Outcome {
    let mut world = make(Options::quiet(2));
    world.run_for(100 * MS);
    let (link, kind) = (Link::ToHolder(0), Some("Granted".to_owned()));
    world.act(&Act::Rule(Rule { link, kind, times: 1, delays: vec![MS, 2 * SECOND] }));
    want(&mut world, 0, SECOND, true);
    world.act(&Act::Release { node: 0, lease: NAME });
    want(&mut world, 1, 5 * SECOND, false);
    world.run_for(3 * SECOND);
    expect(world.fence(0, NAME).is_none(), "no lease comes of it")?;
    ends_well(world)
}

fn late_renewal(make: &Make<'_>) -> Outcome {
    let mut world = held(make, Options::quiet(2))?;
    let (link, kind) = (Link::ToHolder(0), Some("Renewed".to_owned()));
    world.act(&Act::Rule(Rule { link, kind, times: 1, delays: vec![SECOND / 2] }));
    // Nor does its holder hear that the release arrived.
    let kind = Some("Released".to_owned());
    world.act(&Act::Rule(Rule { link, kind, times: 1, delays: vec![] }));
    world.act(&Act::Renew { node: 0, lease: NAME, term: None });
    world.run_for(20 * MS);
    world.act(&Act::Release { node: 0, lease: NAME });
    want(&mut world, 1, SECOND, false);
    world.run_for(SECOND);
    expect(world.fence(0, NAME).is_none(), "no extension from a stale reply")?;
    ends_well(world)
}

fn restart(make: &Make<'_>) -> Outcome {
    let mut world = held(make, Options::quiet(2))?;
    world.act(&Act::Crash);
    want(&mut world, 1, SECOND, false);
    world.run_for(200 * MS);
    expect(world.fence(1, NAME).is_none(), "no grant within the wait")?;
    ends_well(world)
}

fn snapshot(make: &Make<'_>) -> Outcome {
    let mut world = held(make, linux(true))?;
    want(&mut world, 1, SECOND, false);
    clock(&mut world, ClockAct::Migrate { lasts: 5 * SECOND });
    world.run_for(6 * SECOND);
    expect(world.fence(0, NAME).is_none(), "over, or suspect")?;
    ends_well(world)
}

fn suspend(make: &Make<'_>) -> Outcome {
    let mut world = held(make, linux(false))?;
    want(&mut world, 1, SECOND, false);
    clock(&mut world, ClockAct::Suspend { lasts: 5 * SECOND });
    world.run_for(6 * SECOND);
    expect(world.fence(0, NAME).is_none(), "all leases are void")?;
    ends_well(world)
}

fn starved(make: &Make<'_>) -> Outcome {
    let mut world = held(make, Options::quiet(2))?;
    world.act(&Act::Pause { node: 0, lasts: 5 * SECOND });
    world.run_for(2 * SECOND);
    expect(world.fence(0, NAME).is_none(), "known without a timer")?;
    ends_well(world)
}
