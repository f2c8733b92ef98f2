//! What an assumption is worth: worlds that break one on purpose, and what comes of it.

use tlease_sim::{Act, Lease, Options, Plan, WaitFor, Want, World};

const SECOND: u64 = 1_000_000_000;

fn want(world: &mut World, node: usize) {
    let (name, shared, by_hand, wait) = (0, false, false, WaitFor::Ever);
    world.act(&Act::Want(Want { node, name, shared, term: SECOND, wait, by_hand }));
    world.run_for(SECOND / 10);
}

/// Holder 0 has the name, under which fence, after so many records were written.
fn held() -> (World, u64) {
    let mut world = World::new(Plan::of(1, Options::quiet(2)));
    world.run_for(SECOND / 10);
    want(&mut world, 0);
    let fence = world.fence(0, Lease::Of(0)).expect("it is free");
    (world, fence.get())
}

/// A4: the store is rolled back to before the first grant, so that the granter knows of nothing to wait
/// for. It serves at once, and what it would grant is in use.
#[test]
fn a_disk_that_is_rolled_back_to_before_a_grant_does_not_wait_for_it() {
    let (mut world, first) = held();
    let writes = (0..).find(|writes| {
        let (mut again, _) = held();
        again.act(&Act::RollBack { writes: *writes });
        again.run_for(SECOND / 10);
        want(&mut again, 1);
        again.violation().is_some()
    });
    let writes =
        writes.filter(|writes| *writes < 10).expect("some record is from before the grant");
    assert!(writes > 0, "the newest record is safe to begin from");
    world.act(&Act::RollBack { writes });
    world.run_for(SECOND / 10);
    want(&mut world, 1);
    let violation = world.violation().expect("as above");
    let claim = violation.claim.id();
    assert_eq!(claim, "I4", "{violation}");
    println!("fence {first}; {writes} writes back: {violation}");
}

/// Its newest record is what a crash leaves: the granter waits, and the fences go on.
#[test]
fn a_disk_that_is_not_rolled_back_keeps_every_claim() {
    let (mut world, first) = held();
    world.act(&Act::RollBack { writes: 0 });
    world.act(&Act::Pause { node: 0, lasts: 3 * SECOND });
    world.run_for(SECOND / 10);
    want(&mut world, 1);
    assert_eq!(world.fence(1, Lease::Of(0)), None, "no grant within the wait");
    world.run_for(2 * SECOND);
    let second = world.fence(1, Lease::Of(0)).expect("granted after it").get();
    assert!(second > first);
    assert_eq!(world.finish().verdict, Ok(()));
}
