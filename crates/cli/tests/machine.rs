//! `doctor`, `demo`, and the pages made from the command line's definition.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{Ended, Home, text};
use serde_json::Value;

fn without_rtm(home: &Home, arguments: &[&str]) -> Value {
    let mut command = home.command(arguments);
    command.env("TLEASE_NO_RTM", "1");
    let ended = Ended::of(command);
    assert_eq!(ended.code, 0, "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

#[test]
fn doctor_says_what_it_found_with_units() {
    let home = Home::new();
    let said = home.json(&["doctor", "--watch", "50ms"]);
    for field in ["check_ns", "clock_read_ns", "gaps_per_second"] {
        assert!(said[field].as_f64().unwrap() > 0.0, "{field}: {said}");
    }
    assert!(said["watched_ns"].as_u64().unwrap() >= 50_000_000, "{said}");
    assert!(said["can_commit"].is_boolean() && said["continuity"].is_boolean(), "{said}");
    assert!(said["publish_margin_ns"].as_u64().unwrap() >= 500_000, "{said}");
    let words = home.ok(&["doctor", "--watch", "50ms"]);
    for heading in ["This machine", "What a lease costs here", "What follows", "lease.commit"] {
        assert!(words.contains(heading), "{heading}: {words}");
    }
    assert!(words.lines().all(|line| line.chars().count() <= 100), "{words}");
}

#[test]
fn doctor_follows_what_is_vouched_for_and_turned_off() {
    let home = Home::new();
    let said = home.json(&["doctor", "--watch", "20ms", "--assume-bare-metal"]);
    assert_eq!(said["continuity"], true);
    let said = without_rtm(&home, &["doctor", "--watch", "20ms", "--json"]);
    assert_eq!(said["can_commit"], false, "{said}");
    assert_ne!(said["can_publish"], "transaction", "{said}");
}

fn shown(said: &Value, rounds: u64) {
    let (usual, trusted) = (&said["check_then_act"], &said["tlease"]);
    assert!(usual["stale"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(trusted["stale"], 0, "{said}");
    assert!(trusted["acts"].as_u64().unwrap() > 0, "it could act: {said}");
    let played = trusted["pauses"].as_u64().unwrap() + trusted["missed"].as_u64().unwrap();
    assert_eq!(played, rounds, "{said}");
}

#[test]
fn the_demonstration_shows_stale_effects_of_check_then_act_alone() {
    let home = Home::new();
    let rounds = if std::env::var_os("TLEASE_FULL").is_some() { 200 } else { 6 };
    let said = home.json(&["demo", "--rounds", &rounds.to_string()]);
    shown(&said, rounds);
    if said["act"] != "commit" {
        println!("skipped: no hardware transactions here, so the demonstration used publish");
    }
}

#[test]
fn without_transactions_it_shows_publish_and_says_that_it_is_weaker() {
    let home = Home::new();
    let said = without_rtm(&home, &["demo", "--rounds", "3", "--json"]);
    assert_eq!(said["act"], "publish");
    shown(&said, 3);
    let mut command = home.command(&["demo", "--rounds", "1"]);
    command.env("TLEASE_NO_RTM", "1");
    let words = Ended::of(command).out;
    assert!(words.contains("the weaker claim"), "{words}");
    assert!(words.contains("X acts all the same") && !words.contains('\x1b'), "{words}");
}

#[test]
fn completions_and_manual_pages_are_made() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.ok(&["completions", shell]);
        assert!(script.contains("acquire") && !script.contains("__granter"), "{shell}");
    }
    let page = home.ok(&["man"]);
    assert!(page.contains(".TH tlease") && page.contains("Exit codes"), "{page}");
    let pages = home.path().join("man");
    home.ok(&["man", text(&pages)]);
    for name in ["tlease", "tlease-run", "tlease-serve", "tlease-demo"] {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.starts_with(".ie") || page.contains(".TH"), "{name}: {page}");
    }
}

#[test]
fn help_teaches_the_exit_codes() {
    let home = Home::new();
    let help = home.ok(&["--help"]);
    assert!(help.contains("tlease run jobs/nightly") && help.contains("75  busy"), "{help}");
}
