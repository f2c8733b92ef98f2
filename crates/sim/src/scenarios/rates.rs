//! Clocks whose rate is not within what their profile states: an assumption is broken (A1, A2). What
//! comes of it is stated: two act for the part by which the rate is wrong, and a resource that compares
//! fences tells them apart. As the others: two holders, 0 and 1, one name, a term of a second.

use super::Make;
use super::runs::{MS, NAME, Outcome, SECOND, ends_well, expect, held, holding, want};
use crate::act::Act;
use crate::options::{Options, PPB};
use crate::world::World;

/// At the edge of what is admitted nothing is wrong. A tenth slower, and a term is longer by a ninth.
pub(super) fn holder_slow(make: &Make<'_>) -> Outcome {
    let run = |rate_ppb| {
        let mut options = Options::quiet(2);
        options.holder_clocks[0].sources[0].rate_ppb = rate_ppb;
        held(make, options)
    };
    ends_well(succeeded(run(SECOND - PPB)?))?;
    let world = succeeded(run(SECOND / 10 * 9)?);
    expect(world.violation().is_some(), "a slow clock breaks A2, and it shows")?;
    let mut world = run(SECOND / 10 * 9)?;
    world.excuse(0);
    let mut world = succeeded(world);
    both_act(&mut world)?;
    world.run_for(70 * MS);
    expect(world.fence(0, NAME).is_none(), "for no longer than its clock is wrong by")?;
    ends_well(world)
}

/// At the edge of what is admitted nothing is wrong. A tenth faster, and a name is free too early.
pub(super) fn granter_fast(make: &Make<'_>) -> Outcome {
    let run = |rate_ppb| {
        let mut options = Options::quiet(2);
        options.granter_clock.sources[0].rate_ppb = rate_ppb;
        make(options)
    };
    ends_well(succeeded(holding(run(SECOND + PPB))?))?;
    let broken = holding(run(SECOND / 10 * 11)).map(succeeded);
    let hidden = broken.is_ok_and(|world| world.violation().is_none());
    expect(!hidden, "a fast clock breaks A1, and it shows")?;
    let mut world = run(SECOND / 10 * 11);
    world.excuse(0);
    world.excuse_granter();
    let mut world = begin(holding(world)?);
    world.run_for(940 * MS);
    both_act(&mut world)?;
    world.run_for(90 * MS);
    expect(world.fence(0, NAME).is_none(), "for no longer than its clock is wrong by")?;
    ends_well(world)
}

/// Holder 1 waits for the name, and holder 0 does not give it back.
fn begin(mut world: World) -> World {
    want(&mut world, 1, 10 * SECOND, true);
    world
}

/// Until the moment at which the lease is over, and a little more.
fn succeeded(world: World) -> World {
    let mut world = begin(world);
    world.run_for(1_010 * MS);
    world
}

fn both_act(world: &mut World) -> Outcome {
    expect(world.fence(1, NAME) > world.fence(0, NAME), "granted to another")?;
    expect(world.fence(0, NAME).is_some(), "and not over for its holder")?;
    world.act(&Act::Write { node: 1, lease: NAME, delay: MS });
    world.act(&Act::Write { node: 0, lease: NAME, delay: 2 * MS });
    world.run_for(5 * MS);
    expect(world.times("write refused as stale") == 1, "a resource tells them apart")
}
