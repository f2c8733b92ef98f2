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
