//! `tlease sim`: worlds are run, kept, shown, compared and run again, and nonsense is refused.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]
#![allow(dead_code, reason = "a part of the common helpers is used here")]

mod common;

use common::{Home, text};
use std::fs;

#[test]
fn many_seeds_are_run_and_counted() {
    let home = Home::new();
    let told = home.json(&["sim", "--seeds", "40", "--from", "7", "--jobs", "2"]);
    assert_eq!((&told["runs"], &told["failed"]), (&40.into(), &0.into()));
    assert!(told["steps"].as_u64().unwrap() > 1_000);
    let words = home.ok(&["sim", "--seeds", "3"]);
    assert!(words.contains("seeds 0 to 2") && words.contains("Every claim held"), "{words}");
}

#[test]
fn one_run_is_kept_drawn_shown_and_run_again() {
    let home = Home::new();
    let file = |name: &str| home.path().join(name);
    let (one, again, other, svg) = (file("one"), file("again"), file("other"), file("svg"));
    let keep = ["sim", "--seed", "7", "--trace", text(&one), "--svg", text(&svg)];
    let said = home.ok(&keep);
    assert!(said.contains("again            tlease sim --seed 7"), "{said}");
    home.ok(&["sim", "--replay", text(&one), "--trace", text(&again)]);
    assert_eq!(fs::read(&one).unwrap(), fs::read(&again).unwrap());
    assert!(home.ok(&["sim", "diff", text(&one), text(&again)]).starts_with("the same"));
    home.ok(&["sim", "--seed", "8", "--trace", text(&other)]);
    let differ = home.run(&["sim", "diff", text(&one), text(&other)]);
    assert_eq!(differ.code, 79, "{differ:?}");
    assert!(home.ok(&["sim", "show", text(&one), "--name", "0"]).contains("granted name 0"));
    let step = home.ok(&["sim", "step", text(&one), "--from", "2", "--count", "5"]);
    assert_eq!(step.lines().count(), 10, "{step}");
    assert!(fs::read_to_string(&svg).unwrap().starts_with("<svg"));
}

#[test]
fn attacks_are_listed_and_run_by_name() {
    let home = Home::new();
    let listed = home.json(&["sim", "--list-scenarios"]);
    let all = listed["scenarios"].as_array().unwrap();
    assert_eq!(all.len(), 40);
    let named = |name: &str| all.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(named("s20_crystal_slowed")["status"], "runs");
    let words = home.ok(&["sim", "--list-scenarios"]);
    assert_eq!(words.lines().count(), 40, "{words}");
    let said = home.ok(&["sim", "--scenario", "s20_crystal_slowed"]);
    assert_eq!(said.trim_end(), "s20_crystal_slowed ended safely.");
    let told = home.json(&["sim", "--scenario", "s30"]);
    assert_eq!((&told["name"], told["failed"].is_null()), (&"s30_granter_restarted".into(), true));
    let file = |name: &str| home.path().join(name);
    let (one, again, svg) = (file("one"), file("again"), file("svg"));
    home.ok(&["sim", "--scenario", "s29", "--trace", text(&one), "--svg", text(&svg)]);
    assert!(fs::read_to_string(&svg).unwrap().contains("s29_cloned_instance"));
    assert!(home.ok(&["sim", "show", text(&one)]).contains("s29_cloned_instance"));
    home.ok(&["sim", "--replay", text(&one), "--trace", text(&again)]);
    assert_eq!(fs::read(&one).unwrap(), fs::read(&again).unwrap());
    home.fails(&["sim", "--scenario", "s99"], 64, "--list-scenarios names them");
    home.fails(&["sim", "--scenario", "s37"], 64, "nothing reads the wall clock");
    home.fails(&["sim", "--scenario", "s20", "--seed", "1"], 64, "cannot be used with");
}

#[cfg(not(feature = "mutants"))]
#[test]
fn what_ships_has_no_bugs_to_plant_and_says_how_to_get_some() {
    let home = Home::new();
    let how = "cargo build -p tlease-cli --features mutants";
    home.fails(&["sim", "--mutant", "AnchorAtReceipt"], 64, how);
    home.fails(&["sim", "--seed", "1", "--mutant", "AnchorAtReceipt"], 64, how);
    home.fails(&["sim", "--list-mutants"], 64, how);
}

#[cfg(feature = "mutants")]
#[test]
fn bugs_are_listed_planted_and_caught() {
    let home = Home::new();
    let listed = home.json(&["sim", "--list-mutants"]);
    assert!(
        listed["mutants"].as_array().unwrap().iter().any(|row| row["name"] == "AnchorAtReceipt")
    );
    let told = home.json(&["sim", "--mutant", "AnchorAtReceipt"]);
    assert_eq!(told["violation"]["claim"], "I3", "{told}");
    // The world that catches it, kept and run again; without the bug every claim holds there.
    let seed = told["violation"]["seed"].to_string();
    let file = home.path().join("trace");
    let kept = ["sim", "--seed", &seed, "--mutant", "AnchorAtReceipt", "--trace", text(&file)];
    let caught = home.run(&kept);
    assert_eq!(caught.code, 79, "{caught:?}");
    assert!(caught.out.contains(" --mutant AnchorAtReceipt"), "{caught:?}");
    let again = home.run(&["sim", "--replay", text(&file), "--mutant", "AnchorAtReceipt"]);
    assert_eq!(again.code, 79, "{again:?}");
    home.ok(&["sim", "--replay", text(&file)]);
    let attacked = home.run(&["sim", "--scenario", "s21", "--mutant", "AnchorAtReceipt"]);
    assert_eq!(attacked.code, 79, "{attacked:?}");
    assert!(attacked.out.contains("did NOT end safely"), "{attacked:?}");
    home.fails(&["sim", "--mutant", "Nonsense"], 64, "--list-mutants names them");
    home.fails(&["sim", "--mutant", "TouchNothing"], 64, "caught by crates/clock/tests/mutants.rs");
    home.fails(&["sim", "--mutant", "AnchorAtReceipt", "--seeds", "2"], 64, "cannot be used with");
}

#[test]
fn nonsense_is_refused() {
    let home = Home::new();
    let bad = home.path().join("bad");
    fs::write(&bad, "nonsense\n").unwrap();
    home.fails(&["sim", "--seeds", "0"], 64, "at least one");
    home.fails(&["sim", "--seeds", "many"], 64, "invalid digit");
    home.fails(&["sim", "--jobs", "0"], 64, "not in 1..");
    home.fails(&["sim", "--from", "18446744073709551615", "--seeds", "9"], 64, "beyond the last");
    home.fails(&["sim", "--seed", "1", "--seeds", "2"], 64, "cannot be used with");
    home.fails(&["sim", "show", text(&bad)], 65, "line 1");
    home.fails(&["sim", "--replay", text(&bad)], 65, "is no trace");
    home.fails(&["sim", "diff", "/nowhere", "/nowhere"], 70, "cannot read /nowhere");
}
