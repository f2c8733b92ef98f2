//! The scenarios of machines that are copied and rolled back. As the others: two holders, 0 and 1, one name,
//! a term of a second; a copy of holder 0 is holder 2.

use super::Make;
use super::runs::{MS, NAME, Outcome, SECOND, ends_well, expect, held, linux, want};
use crate::act::{Act, Told};
use crate::options::Options;
use crate::world::World;

const COPY: usize = 2;

pub(super) fn cloned(make: &Make<'_>) -> Outcome {
    copy_is_told(make)?;
    both_are_told(make)?;
    nobody_is_told(make)?;
    rolled_back(make, true)?;
    rolled_back(make, false)
}

/// Holder 0 has the name and renews it.
fn renewing(make: &Make<'_>) -> Result<World, String> {
    let mut world = make(Options::quiet(2));
    world.run_for(100 * MS);
    want(&mut world, 0, SECOND, false);
    expect(world.fence(0, NAME).is_some(), "it is free")?;
    Ok(world)
}

/// A copy that VMClock tells gives its leases up, and the original keeps them.
fn copy_is_told(make: &Make<'_>) -> Outcome {
    let mut world = renewing(make)?;
    world.act(&Act::Clone { node: 0, told: Told::Copy });
    for _ in 0..40 {
        expect(world.fence(COPY, NAME).is_none(), "the copy has nothing")?;
        expect(world.fence(0, NAME).is_some(), "the original has what it had")?;
        world.act(&Act::Commit { node: COPY, lease: NAME });
        world.run_for(50 * MS);
    }
    expect(world.effects().is_empty(), "and acts on nothing")?;
    ends_well(world)
}

/// Of two that are told neither goes on, and the name is free within a term.
fn both_are_told(make: &Make<'_>) -> Outcome {
    let mut world = renewing(make)?;
    want(&mut world, 1, SECOND, false);
    world.act(&Act::Clone { node: 0, told: Told::Both });
    let none = [0, COPY].iter().all(|node| world.fence(*node, NAME).is_none());
    expect(none, "neither has anything")?;
    world.run_for(SECOND + 100 * MS);
    expect(world.fence(1, NAME).is_some(), "the next in the queue")?;
    ends_well(world)
}

/// Where nobody is told, A7 and A10 are broken: both act under one lease. When one of them gives it back
/// the other acts on, beside a successor, for a term at most; and its fence is old.
fn nobody_is_told(make: &Make<'_>) -> Outcome {
    let mut world = renewing(make)?;
    world.act(&Act::Clone { node: 0, told: Told::Nobody });
    world.run_for(100 * MS);
    let fence = world.fence(0, NAME);
    expect(fence.is_some() && fence == world.fence(COPY, NAME), "both under one fence")?;
    expect(world.times("copies act together") > 0, "at one instant")?;
    world.act(&Act::Release { node: 0, lease: NAME });
    want(&mut world, 1, 10 * SECOND, false);
    // Each takes the session's one connection from the other, again and again: until the release is heard.
    world.run_for(100 * MS);
    expect(world.fence(1, NAME) > fence, "the granter knows of one lease")?;
    expect(world.fence(COPY, NAME).is_some(), "the other copy acts on")?;
    world.act(&Act::Write { node: 1, lease: NAME, delay: MS });
    world.act(&Act::Write { node: COPY, lease: NAME, delay: 2 * MS });
    world.run_for(SECOND);
    expect(world.times("write refused as stale") == 1, "but not on what compares fences")?;
    expect(world.fence(COPY, NAME).is_none(), "and for no more than a term")?;
    ends_well(world)
}

/// A machine that goes on from before its lease was over takes it to be valid, unless it is told.
fn rolled_back(make: &Make<'_>, told: bool) -> Outcome {
    let mut world = held(make, if told { linux(true) } else { Options::quiet(2) })?;
    world.run_for(600 * MS);
    world.act(&Act::Snapshot { node: 0 });
    want(&mut world, 1, 20 * SECOND, false);
    world.run_for(2 * SECOND);
    expect(world.fence(0, NAME).is_none() && world.fence(1, NAME).is_some(), "over")?;
    world.act(&Act::RollBackHolder { node: 0, told });
    expect(world.fence(0, NAME).is_some() != told, "its clock knows nothing of it")?;
    world.act(&Act::Write { node: 1, lease: NAME, delay: MS });
    world.act(&Act::Write { node: 0, lease: NAME, delay: 2 * MS });
    world.run_for(400 * MS);
    expect(world.fence(0, NAME).is_none(), "for what was left of its term, and no longer")?;
    let stale = u64::from(!told);
    expect(world.times("write refused as stale") == stale, "its fence is old")?;
    ends_well(world)
}
