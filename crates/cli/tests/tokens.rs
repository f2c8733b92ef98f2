//! The life of a token: acquire, renew, release, and a helper that holds for a process.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{Home, Idler, Serve, text};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_token_renews_and_releases_its_lease() {
    let home = Home::new();
    let token = home.ok(&["acquire", "jobs/a", "--term", "1m", "--value", "host-7:8080"]);
    assert_eq!(token.lines().count(), 1, "one line, for $(..)");

    let held = home.json(&["get", "jobs/a"]);
    assert_eq!(held["leases"][0]["value"], "host-7:8080");
    home.fails(&["acquire", "jobs/a", "--try"], 75, "held");
    home.fails(&["acquire", "jobs/a", "--wait", "50ms"], 72, "not free within");

    let renewed = home.json(&["renew", &token]);
    assert_eq!(renewed["fence"], held["leases"][0]["fence"], "a renewal keeps the fence");
    assert!(renewed["left_ms"].as_u64().unwrap() > 50_000, "{renewed}");
    // The first token goes on to work.
    home.ok(&["release", &token]);
    home.fails(&["release", &token], 74, "over already");
    home.fails(&["renew", renewed["token"].as_str().unwrap()], 74, "acquire it again");
    home.fails(&["get", "jobs/a"], 66, "nobody holds");

    let next = home.json(&["acquire", "jobs/a"]);
    assert!(next["fence"].as_u64() > renewed["fence"].as_u64(), "fences only go up");
}

#[test]
fn what_a_token_says_as_json() {
    let home = Home::new();
    let said = home.json(&["acquire", "x", "--term", "30s", "--shared"]);
    for (field, value) in
        [("event", "granted"), ("name", "x"), ("mode", "shared"), ("term_ms", "30000")]
    {
        let found = &said[field];
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(found, value, "{field} of {said}");
    }
    for field in ["fence", "incarnation", "left_ms", "deadline_monotonic_raw_ns"] {
        assert!(said[field].is_u64(), "{field} of {said}");
    }
    assert_eq!(said["session"].as_str().unwrap().len(), 32);
    assert!(said["granter"].as_str().unwrap().starts_with("unix:/"));
    home.json(&["acquire", "x", "--shared", "--try"]);
    assert_eq!(home.json(&["get", "x"])["leases"].as_array().unwrap().len(), 2);
}

#[test]
fn a_token_file_is_private_and_follows_the_lease() {
    let home = Home::new();
    let file = home.path().join("token");
    let in_file = ["--token-file", text(&file)];
    assert_eq!(home.ok(&[&["acquire", "x", "--term", "1m"], &in_file[..]].concat()), "");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(&file).unwrap();
    home.ok(&[&["renew"], &in_file[..]].concat());
    assert_ne!(fs::read_to_string(&file).unwrap(), first, "with a new deadline");
    home.ok(&[&["release"], &in_file[..]].concat());
    assert!(!file.exists(), "it proves nothing any more");
}

#[test]
fn a_token_finds_its_granter_by_itself() {
    let home = Home::new();
    let serve = Serve::start(&home, &[]);
    let token = home.ok(&["acquire", "x", "--server", &serve.address()]);
    home.ok(&["renew", &token]);
    home.ok(&["release", &token]);
    assert!(home.granter().is_none(), "no local granter was needed");
}

#[test]
fn garbage_is_no_token() {
    let home = Home::new();
    let token = home.ok(&["acquire", "x"]);
    home.fails(&["renew", "garbage"], 65, "no token");
    home.fails(&["release", ""], 65, "no token");
    home.fails(&["release", &token[..token.len() - 3]], 65, "damaged");
    home.fails(&["renew", "--token-file", "/nowhere/at/all"], 65, "cannot read");
    home.fails(&["renew"], 64, "required");
}

#[test]
fn another_secret_does_not_release_a_lease() {
    let home = Home::new();
    let (one, other) = (home.ok(&["acquire", "x"]), home.ok(&["acquire", "y"]));
    let forged = with_secret_of(&one, &other);
    assert_ne!(forged, one);
    home.fails(&["release", &forged], 74, "its secret is another");
    home.fails(&["renew", &forged], 74, "its secret is another");
    assert_eq!(home.run(&["get", "x"]).code, 0, "still held");
    home.ok(&["release", &one]);
}

/// The first token with the secret of the second, and a checksum that fits.
fn with_secret_of(token: &str, other: &str) -> String {
    let bytes = |token: &str| {
        let text = token.strip_prefix("tlease1_").unwrap();
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    let mut forged = bytes(token);
    forged[16..32].copy_from_slice(&bytes(other)[16..32]);
    let body = forged.len() - 4;
    let checksum = crc32fast::hash(&forged[..body]);
    forged[body..].copy_from_slice(&checksum.to_le_bytes());
    format!("tlease1_{}", BASE64_URL_SAFE_NO_PAD.encode(forged))
}

#[test]
fn a_lease_is_held_for_as_long_as_a_process_lives() {
    let home = Home::new();
    let process = Idler::start();
    let held = ["acquire", "x", "--term", "300ms", "--hold-pid", &process.id()];
    let token = home.ok(&held);
    // Five terms later it is still held.
    home.fails(&["acquire", "x", "--wait", "1500ms"], 72, "not free within");
    drop(process);
    let next = home.json(&["acquire", "x", "--wait", "30s"]);
    home.fails(&["renew", &token], 74, "acquire it again");
    assert!(next["fence"].is_u64());
}

#[test]
fn a_held_lease_can_be_released_by_its_token() {
    let home = Home::new();
    let process = Idler::start();
    let token = home.ok(&["acquire", "x", "--term", "1m", "--hold-pid", &process.id()]);
    home.ok(&["release", &token]);
    home.ok(&["acquire", "x", "--try"]);
}

#[test]
fn a_process_that_is_gone_holds_nothing() {
    let home = Home::new();
    home.fails(&["acquire", "x", "--hold-pid", "0"], 64, "no process id");
    home.fails(&["acquire", "x", "--hold-pid", "999999999"], 64, "cannot watch process");
    assert!(home.granter().is_none(), "nothing was asked for");
}
