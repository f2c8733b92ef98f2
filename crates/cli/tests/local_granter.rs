//! The local granter: at most one, started on demand, gone when idle, and back when killed.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{Ended, Home, until};
use nix::sys::signal::{Signal, kill};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;

#[test]
fn commands_that_come_at_once_get_one_granter() {
    let home = Home::new();
    let statuses: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| home.json(&["status"]))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    for status in &statuses {
        assert_eq!(status["incarnation"], 1, "a second granter was started: {statuses:?}");
    }
    let mode = fs::metadata(home.local()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else can reach into its directory");
}

#[test]
fn the_granter_keeps_nothing_open_of_the_command_that_started_it() {
    let home = Home::new();
    // Output ends only when the last process that has the pipe is gone, or has closed it.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec 7>&1; exec 1>/dev/null; \"$0\" status", env!("CARGO_BIN_EXE_tlease")])
        .env("XDG_STATE_HOME", home.path())
        .env_remove("TLEASE_SERVER");
    let ended = Ended::of(shell);
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    assert!(home.granter().is_some(), "and it goes on");
}

#[test]
fn only_one_of_those_that_try_for_a_name_at_once_gets_it() {
    let home = Home::new();
    let codes: Vec<_> = thread::scope(|scope| {
        let trying: Vec<_> =
            (0..8).map(|_| scope.spawn(|| home.run(&["acquire", "x", "--try"]).code)).collect();
        trying.into_iter().map(|tried| tried.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 75).count(), 7, "{codes:?}");
}

#[test]
fn an_idle_granter_ends_and_the_next_one_grants_at_once() {
    let home = Home::new();
    let mut first = home.command(&["acquire", "x", "--term", "1h"]);
    let token = Ended::of({
        first.env("TLEASE_LOCAL_IDLE", "100ms");
        first
    });
    assert_eq!(token.code, 0, "{token:?}");
    assert_eq!(home.json(&["status"])["leases"], 1, "it stays while something is held");
    home.ok(&["release", token.out.trim()]);
    until("the idle granter is gone", || home.granter().is_none());
    assert!(!home.local().join("socket").exists());

    let status = home.json(&["status"]);
    assert_eq!(status["incarnation"], 2);
    assert!(status["wait_left_ms"].is_null(), "it had settled: {status}");
    home.ok(&["acquire", "x", "--try"]);
}

#[test]
fn a_killed_granter_is_started_again_and_waits_out_what_it_granted() {
    let home = Home::new();
    let token = home.ok(&["acquire", "kept", "--term", "2m"]);
    home.kill_granter();

    let status = home.json(&["status"]);
    assert_eq!(status["incarnation"], 2);
    assert!(status["wait_left_ms"].as_u64().unwrap() > 60_000, "{status}");
    home.fails(&["acquire", "other", "--try"], 75, "restarted");

    let renewed = home.json(&["renew", &token]);
    assert_eq!(renewed["incarnation"], 2, "reclaimed: {renewed}");
    let held = home.json(&["get", "kept"]);
    assert_eq!(held["leases"][0]["fence"], renewed["fence"], "under its old fence");
    home.ok(&["release", renewed["token"].as_str().unwrap()]);
}

#[test]
fn a_run_keeps_its_lease_when_the_granter_is_killed() {
    let home = Home::new();
    let go_on = home.path().join("go-on");
    let script = format!("until test -e '{}'; do sleep 0.02; done", go_on.display());
    let arguments = ["run", "x", "--term", "8s", "--json", "--", "sh", "-c", &script];
    let run = home.command(&arguments).spawn().unwrap();
    until("the lease is held", || home.run(&["get", "x"]).code == 0);
    let fence = home.json(&["get", "x"])["leases"][0]["fence"].clone();
    home.kill_granter();
    // Nobody else starts it: the run itself does, since it looks after its lease.
    until("the granter is back", || home.granter().is_some());
    until("the lease is reclaimed", || home.run(&["get", "x"]).code == 0);
    assert_eq!(home.json(&["get", "x"])["leases"][0]["fence"], fence);
    fs::write(&go_on, "").unwrap();
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_granter_that_is_stopped_is_named_as_such() {
    let home = Home::new();
    home.ok(&["status"]);
    let granter = home.granter().unwrap();
    kill(granter, Signal::SIGSTOP).unwrap();
    home.fails(&["status"], 69, "does not answer");
    kill(granter, Signal::SIGCONT).unwrap();
    assert_eq!(home.json(&["status"])["incarnation"], 1);
}

#[test]
fn a_directory_that_others_can_reach_into_is_refused() {
    let home = Home::new();
    fs::create_dir(home.local()).unwrap();
    fs::set_permissions(home.local(), fs::Permissions::from_mode(0o755)).unwrap();
    home.fails(&["status"], 69, "chmod 700");
}

#[test]
fn a_socket_path_that_is_too_long_is_refused_with_what_to_do() {
    let home = Home::new();
    let mut command = home.command(&["status"]);
    command.env("XDG_STATE_HOME", home.path().join("x".repeat(120)));
    let ended = Ended::of(command);
    assert_eq!(ended.code, 69, "{ended:?}");
    assert!(ended.err.contains("shorter path"), "{}", ended.err);
}
