//! Profile `enclave-sim` from the command line: a machine profile, and a granter timed by timekeepers.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{Home, PATIENCE, Serve, moment, now, text};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// One timekeeper at a time: each takes a core for itself.
static ALONE: Mutex<()> = Mutex::new(());

/// This machine's profile, in a file; `None`, with a word, on a processor that has none.
fn machine_profile(home: &Home) -> Option<PathBuf> {
    let path = home.path().join("machine.toml");
    let ended = home.run(&["doctor", "--watch", "50ms", "--emit-profile", text(&path)]);
    if ended.code == 78 {
        println!("skipped: {}", ended.err);
        return None;
    }
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("core_hz_max"), "what is to be compared: {}", ended.out);
    // As an operator is told to: it may have been slow while it was measured.
    let measured = fs::read_to_string(&path).unwrap();
    let max = measured.lines().find(|line| line.starts_with("core_hz_max")).unwrap();
    fs::write(&path, measured.replace(max, "core_hz_max = 8000000000")).unwrap();
    Some(path)
}

/// Whether threads have marks here, without which there are no timekeepers.
fn has_marks(home: &Home) -> bool {
    !home.json(&["doctor", "--watch", "1ms"])["restartable"].is_null()
}

#[test]
fn a_granter_of_timekeepers_grants_keeps_and_frees_no_earlier_than_the_term() {
    let _alone = ALONE.lock();
    let home = Home::new();
    let Some(profile) = machine_profile(&home) else { return };
    if !has_marks(&home) {
        return println!("skipped: there are no restartable sequences");
    }
    let flags = ["--profile", "enclave-sim", "--machine-profile", text(&profile)];
    let serve = Serve::start(&home, &flags);
    let said = serve.ready["profile"].as_str().unwrap();
    assert!(said.starts_with("enclave-sim") && said.contains("one timekeeper"), "{said}");
    let address = serve.address();
    let asked = now();
    home.ok(&["acquire", "jobs", "--term", "500ms", "--server", &address]);
    let (mut tries, patience) = (0_u32, PATIENCE / 2);
    loop {
        let ended = home.run(&["acquire", "jobs", "--term", "1m", "--try", "--server", &address]);
        let passed = asked.elapsed();
        tries += 1;
        match ended.code {
            0 => {
                assert!(passed >= Duration::from_millis(500), "freed after {passed:?}");
                println!("freed after {passed:?}, asked {tries} times");
                break;
            }
            75 if passed < patience => moment(),
            75 => {
                println!(
                    "skipped: a timekeeper that counts 500 ms in {patience:?} was not to be had"
                );
                break;
            }
            _ => panic!("{ended:?}"),
        }
    }
    serve.signal(Signal::SIGTERM);
    let (stopped, code) = serve.end();
    assert_eq!((stopped.unwrap()["event"].as_str(), code), (Some("stopped"), Some(0)));
}

#[test]
fn two_timekeepers_are_named_and_a_signal_ends_them() {
    let _alone = ALONE.lock();
    let home = Home::new();
    let Some(profile) = machine_profile(&home) else { return };
    if !has_marks(&home) {
        return println!("skipped: there are no restartable sequences");
    }
    let flags =
        ["--profile", "enclave-sim", "--machine-profile", text(&profile), "--timekeepers", "2"];
    let serve = Serve::start(&home, &flags);
    assert!(serve.ready["profile"].as_str().unwrap().contains("two timekeepers"));
    // A signal reaches whoever does not block it: no thread may be killed by it.
    serve.signal(Signal::SIGINT);
    let (stopped, code) = serve.end();
    assert_eq!((stopped.unwrap()["event"].as_str(), code), (Some("stopped"), Some(0)));
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let home = Home::new();
    let data = home.path().join("data");
    let serve = |more: &[&str], code, says| {
        let serve = ["serve", "--init", "--data", text(&data), "--profile", "enclave-sim"];
        home.fails(&[&serve, more].concat(), code, says);
    };
    serve(&[], 64, "needs --machine-profile FILE");
    serve(&["--machine-profile", "/nowhere"], 78, "cannot read the machine profile /nowhere");
    serve(&["--assume-bare-metal"], 64, "--assume-bare-metal vouches for the kernel's clocks");
    let Some(profile) = machine_profile(&home) else { return };
    // Of this file nothing is guessed: it is written once, by somebody who is trusted.
    let path = text(&profile);
    let again = ["doctor", "--watch", "1ms", "--emit-profile", path];
    home.fails(&again, 70, "is there already; a profile is not overwritten");
    let good = fs::read_to_string(&profile).unwrap();
    let line = good.lines().find(|line| line.starts_with("stepping")).unwrap().to_owned();
    fs::write(&profile, good.replace(&line, "stepping = 250")).unwrap();
    serve(&["--machine-profile", path], 78, "the profile is of");
    fs::write(&profile, good.replace(&line, "stepping = many")).unwrap();
    serve(&["--machine-profile", path], 78, "`stepping` needs a number");
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn doctor_prints_a_profile_and_how_timekeepers_would_fare() {
    let _alone = ALONE.lock();
    let home = Home::new();
    let said = &home.json(&["doctor", "--watch", "50ms"])["timekeepers"];
    let one = &said["one"];
    // None of it has to be good: a busy machine may not run a thread at all for so long.
    assert!(one["longest_stretch_ns"].is_u64() && one["breaks_per_second"].is_f64(), "{said}");
    let share = one["share_without_round_trips"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&share), "{said}");
    let ended = home.run(&["doctor", "--watch", "50ms", "--emit-profile"]);
    if ended.code == 78 {
        return println!("skipped: {}", ended.err);
    }
    let profile: tlease::enclave::MachineProfile = ended.out.parse().unwrap();
    assert_eq!(profile.admits(&tlease::enclave::CpuModel::here()), Ok(()));
    let held = said["usable"]["emitted_profile"]["held_share"].as_f64().unwrap();
    assert!((0.99..1.0).contains(&held), "{said}");
    let shares = said["usable"]["widened"].as_array().unwrap().iter();
    let shares: Vec<f64> =
        shares.map(|row| row["usable_share_of_the_time"].as_f64().unwrap()).collect();
    assert!(shares.len() > 3 && shares.is_sorted_by(|wider, narrower| wider > narrower), "{said}");
    let words = home.ok(&["doctor", "--watch", "50ms"]);
    for part in ["How timekeepers would fare here", "longest stretch", "usable share"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}
