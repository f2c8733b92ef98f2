//! The scenarios of clocks that timekeepers keep in an enclave. As the others: two holders, 0 and 1, one
//! name, a term of a second.

use super::Make;
use super::runs::{MS, NAME, Outcome, SECOND, clock, ends_well, expect, held, want};
use crate::act::{Act, ClockAct};
use crate::options::{ClockPlan, EnclavePlan, Options};
use crate::world::World;

/// The slowest and fastest core, and the one rate of the counters, of [`EnclavePlan::quiet`].
const CORES: (u64, u64) = (SECOND, 4 * SECOND);
const COUNTER: u64 = 2_500_000_000;
/// The threads that keep time, and the one that acts.
const KEEPERS: [usize; 2] = [0, 1];
const ACTOR: usize = 3;

fn enclave() -> ClockPlan {
    ClockPlan { enclave: Some(EnclavePlan::quiet(SECOND)), ..ClockPlan::exact() }
}

/// Holder 0 runs in an enclave.
fn holder() -> Options {
    let mut options = Options::quiet(2);
    options.holder_clocks[0] = enclave();
    options
}

/// The granter does.
fn granter() -> Options {
    Options { granter_clock: enclave(), ..Options::quiet(2) }
}

/// Both threads of holder 0 look at the clock, and some beats later they know it.
fn shakes_hands(world: &mut World) {
    world.act(&Act::Wake { node: 0 });
    world.act(&Act::Commit { node: 0, lease: NAME });
    world.run_for(5 * MS);
}

fn counters(world: &mut World, hz: u64) {
    for thread in 0..=ACTOR {
        clock(world, ClockAct::Counter { thread, hz });
    }
}

fn granters_core(world: &mut World, hz: u64) {
    for keeper in KEEPERS {
        world.act(&Act::ClockGranter { clock: ClockAct::Core { keeper, hz } });
    }
}

/// Each step is small beside the last one, and each is too much beside the profile.
pub(super) fn slow_creep(make: &Make<'_>) -> Outcome {
    let mut world = held(make, holder())?;
    let mut hz = COUNTER;
    for _ in 0..8 {
        hz -= hz / 25;
        counters(&mut world, hz);
        world.run_for(50 * MS);
        expect(world.fence(0, NAME).is_none(), "nobody is served beyond one window")?;
    }
    world.run_for(2 * SECOND);
    ends_well(world)
}

/// The counter runs at half its rate, and no chain lasts as long as a window.
pub(super) fn rate_beside_exits(make: &Make<'_>) -> Outcome {
    let mut world = make(holder());
    world.run_for(100 * MS);
    // It is renewed whenever it is suspect.
    want(&mut world, 0, SECOND, false);
    expect(world.fence(0, NAME).is_some(), "it is free")?;
    want(&mut world, 1, SECOND, false);
    for _ in 0..200 {
        for thread in 0..=ACTOR {
            clock(&mut world, ClockAct::Exit { thread, lasts: 0, by: 0, hz: COUNTER / 2 });
        }
        // Fourteen beats: a window has sixteen.
        world.run_for(7 * MS);
        expect(world.fence(0, NAME).is_none(), "unchecked time serves nobody")?;
    }
    world.run_for(2 * SECOND);
    ends_well(world)
}

/// Each hides a tenth of a beat, and the counter stands still meanwhile.
pub(super) fn many_short_pauses(make: &Make<'_>) -> Outcome {
    let mut world = held(make, holder())?;
    let lasts = MS / 20;
    let by = -i64::try_from(lasts * COUNTER / SECOND).expect("a moment");
    for _ in 0..3_000 {
        for thread in KEEPERS {
            clock(&mut world, ClockAct::Exit { thread, lasts, by, hz: COUNTER });
        }
        world.run_for(MS / 2);
        if world.violation().is_some() {
            break;
        }
    }
    expect(world.fence(0, NAME).is_none(), "over, or suspect")?;
    ends_well(world)
}

/// The one that acts, and a timekeeper, go on where the counter is 2 ms behind, or ahead.
pub(super) fn another_core(make: &Make<'_>) -> Outcome {
    for by in [-5_000_000, 5_000_000] {
        let mut world = held(make, holder())?;
        world.run_for(300 * MS);
        shakes_hands(&mut world);
        for thread in [0, ACTOR] {
            clock(&mut world, ClockAct::Exit { thread, lasts: MS / 10, by, hz: COUNTER });
        }
        world.run_for(MS / 10);
        world.act(&Act::Commit { node: 0, lease: NAME });
        world.run_for(100 * MS);
        shakes_hands(&mut world);
        expect(world.fence(0, NAME).is_some(), "the other timekeeper has the segment")?;
        world.run_for(700 * MS);
        expect(world.fence(0, NAME).is_none(), "and it ends in time")?;
        ends_well(world)?;
    }
    Ok(())
}

/// At a quarter of its frequency a granter frees late, and not early.
pub(super) fn slow_core(make: &Make<'_>) -> Outcome {
    let mut world = held(make, granter())?;
    // So that it gives nothing back.
    world.act(&Act::Pause { node: 0, lasts: 6 * SECOND });
    granters_core(&mut world, CORES.0);
    want(&mut world, 1, SECOND, false);
    world.run_for(2 * SECOND);
    expect(world.fence(1, NAME).is_none(), "late")?;
    world.run_for(3 * SECOND);
    expect(world.fence(1, NAME).is_some(), "and granted")?;
    ends_well(world)
}

/// A core that goes as fast as the profile admits frees in time; one that is faster frees early, and
/// nothing but the profile says that there is none (A15).
pub(super) fn turbo(make: &Make<'_>) -> Outcome {
    let run = |fast| {
        let mut world = held(make, granter())?;
        world.act(&Act::Pause { node: 0, lasts: 6 * SECOND });
        granters_core(&mut world, CORES.0);
        want(&mut world, 1, SECOND, false);
        world.run_for(10 * MS);
        granters_core(&mut world, fast);
        world.run_for(2 * SECOND);
        Ok::<_, String>(world)
    };
    ends_well(run(CORES.1)?)?;
    let broken = run(2 * CORES.1)?;
    expect(broken.violation().is_some(), "an overclocked core breaks A15, and it shows")
}

/// At half its frequency a timekeeper is no reason for an alarm, and leases go on.
pub(super) fn busy_sibling(make: &Make<'_>) -> Outcome {
    let mut world = held(make, holder())?;
    for keeper in KEEPERS {
        clock(&mut world, ClockAct::Core { keeper, hz: CORES.1 / 2 });
    }
    for _ in 0..8 {
        world.run_for(50 * MS);
        shakes_hands(&mut world);
        expect(world.fence(0, NAME).is_some(), "no false alarm")?;
    }
    world.run_for(SECOND);
    expect(world.fence(0, NAME).is_none(), "over in time")?;
    ends_well(world)
}
