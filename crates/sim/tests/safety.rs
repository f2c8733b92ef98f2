//! The safety chain in hostile worlds: hands at the edge of their contracts, pauses, crashes between
//! any two steps, failing disks, and networks within and beyond what a transport promises.
//!
//! `tlease sim --seed 7` runs one world and shows it; `TLEASE_FULL=1` runs a hundred times as many.

use tlease_sim::{Plan, World, sweep};

/// Worlds in an ordinary run.
const WORLDS: u64 = 1_000;

#[test]
fn a_thousand_hostile_worlds_keep_every_claim() {
    let worlds = if std::env::var_os("TLEASE_FULL").is_some() { WORLDS * 100 } else { WORLDS };
    let summary = sweep(0, worlds, 2, |_, _| true);
    println!("{} events: {:?}", summary.steps, summary.tally);
    if let Some(violation) = summary.violations.first() {
        let seed = violation.seed;
        panic!("{} failed\n{violation}\nagain: tlease sim --seed {seed}", summary.failed);
    }
    for what in FREQUENT {
        let times = summary.tally.get(what).copied().unwrap_or(0);
        assert!(times * 50 > worlds, "{what}: only {times} times in {worlds} worlds");
    }
}

#[test]
fn a_seed_is_one_world() {
    for seed in 0..40 {
        assert_eq!(World::new(Plan::draw(seed)).run(), World::new(Plan::draw(seed)).run());
    }
}

/// What must happen at least once in fifty worlds, or they show nothing.
const FREQUENT: &[&str] = &[
    "acquired",
    "copies act together",
    "commit given up",
    "commit refused: not held",
    "commit refused: over or suspect",
    "commit unsupported",
    "committed",
    "ended",
    "jeopardy",
    "queued",
    "recalled",
    "renewed",
    "suspect",
    "transaction aborted",
    "write admitted",
    "write that failed",
    "downgraded by the granter",
    "expired by the granter",
    "forced by the granter",
    "lapsed by the granter",
    "offered by the granter",
    "reclaimed by the granter",
    "released by the granter",
    "stamped reply",
    "lie",
    "told of a copy",
    "damage refused",
    "damage not noticed",
];
