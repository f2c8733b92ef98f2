//! Whatever is stopped or killed, no act of the first command comes after the second's first.

use super::running::{Running, TERM, World, assert_code, available, send, until};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::{Child, Command};
use tlease_cli::run::RawInstant;

type Test = fn(&str) -> Result<(), Failed>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("a_stopped_supervisor_costs_the_lease_and_not_its_exclusion", supervisor_stopped),
        ("a_killed_supervisor_costs_the_lease_and_not_its_exclusion", supervisor_killed),
        ("a_killed_front_process_stops_the_run", front_killed),
        ("a_killed_watchdog_takes_the_tree_along", watchdog_killed),
        ("a_tree_that_forks_while_it_is_killed_dies", storm),
        ("what_a_command_leaves_behind_is_gone_before_the_release", leftovers),
        ("a_generation_that_dies_slowly_is_waited_for", slow_generation),
        ("what_was_moved_inside_dies_with_it", moved_inside),
    ];
    let mut trials = Vec::new();
    for kind in ["cgroup", "pidns", "freezer", "group"] {
        for &(name, test) in tests {
            trials.push(Trial::test(format!("{kind}::{name}"), move || {
                if available(kind)? { test(kind) } else { Ok(()) }
            }));
        }
    }
    trials
}

/// Stopped for three terms, then continued: the second command has long begun.
fn supervisor_stopped(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = first_of_two(&world, kind)?;
    let second = world.run(&["--containment", kind], "family");
    let supervisor = first.supervisor()?;
    let stopped_at = RawInstant::read();
    send(supervisor, Signal::SIGSTOP);
    until("the second command acts", || world.has_acted(2, "main"))?;
    until("three terms have passed", || RawInstant::read().since(stopped_at) > TERM * 3)?;
    // It may have been killed by the front process, which waits for it only so long.
    let _ = nix::sys::signal::kill(supervisor, Signal::SIGCONT);
    assert_code(&mut first, 74)?;
    drop(second);
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

fn supervisor_killed(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = first_of_two(&world, kind)?;
    let _second = world.run(&["--containment", kind], "family");
    send(first.supervisor()?, Signal::SIGKILL);
    until("the second command acts", || world.has_acted(2, "main"))?;
    assert_code(&mut first, 74)?;
    // Seen at once, and not only when the lease was not renewed.
    let asked = first.event("asked")?;
    if asked["why"] != "the process that renews the lease is gone" {
        return Err(format!("asked to end, but {asked}").into());
    }
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

fn front_killed(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = first_of_two(&world, kind)?;
    let _second = world.run(&["--containment", kind], "family");
    send(first.front(), Signal::SIGKILL);
    until("the second command acts", || world.has_acted(2, "main"))?;
    if first.exit_code()?.is_some() {
        return Err("the front process lived on".into());
    }
    // The supervisor outlives it, and releases once the tree is gone.
    let (_, by_release) = world.grant(1).freed.ok_or("the lease is still held")?;
    if !by_release {
        return Err("the lease was not released although the tree was gone".into());
    }
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

fn watchdog_killed(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = first_of_two(&world, kind)?;
    let _second = world.run(&["--containment", kind], "family");
    send(first.watchdog()?, Signal::SIGKILL);
    until("the second command acts", || world.has_acted(2, "main"))?;
    assert_code(&mut first, 70)?;
    // The front process made sure that the tree was gone, and passed the word.
    let (_, by_release) = world.grant(1).freed.ok_or("the lease is still held")?;
    if !by_release {
        return Err("the lease was not released although the tree was gone".into());
    }
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

fn storm(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = world.run(&["--containment", kind, "--grace", "1ms"], "storm");
    until("the storm rages", || world.acts_of(1, "blink").len() > 20)?;
    send(first.supervisor()?, Signal::SIGKILL);
    assert_code(&mut first, 74)?;
    let acts = world.acts().len();
    let mut second = world.run(&["--containment", kind], "leave-daemon");
    assert_code(&mut second, 3)?;
    if world.acts().iter().filter(|act| act.fence == 1).count() > acts {
        return Err("the storm went on after the run had ended".into());
    }
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

fn leftovers(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = world.run(&["--containment", kind], "leave-daemon");
    assert_code(&mut first, 3)?;
    let (_, by_release) = world.grant(1).freed.ok_or("the lease is still held")?;
    if !by_release {
        return Err("the lease was not released".into());
    }
    if !world.has_acted(1, "daemon") {
        return Err("there was no daemon to leave behind".into());
    }
    let mut second = world.run(&["--containment", kind], "leave-daemon");
    assert_code(&mut second, 3)?;
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

/// The generation in between has much memory to give back while the next one still acts.
fn slow_generation(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = world.run(&["--containment", kind], "leave-heavy");
    assert_code(&mut first, 3)?;
    if !world.has_acted(1, "grandchild") {
        return Err("there was no third generation".into());
    }
    let mut second = world.run(&["--containment", kind], "leave-daemon");
    assert_code(&mut second, 3)?;
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

/// Only what has a place in the file system can be entered from outside.
fn moved_inside(kind: &str) -> Result<(), Failed> {
    let world = World::new();
    let mut first = world.run(&["--containment", kind], "main");
    until("the command acts", || world.has_acted(1, "main"))?;
    let Some(directory) = first.event("contained")?["directory"].as_str().map(PathBuf::from) else {
        println!("skipped: nothing can be moved into containment {kind}");
        return Ok(());
    };
    let mut stranger = Command::new(std::env::current_exe()?);
    stranger.args(["work", "daemon"]).arg(world.stamps()).env("TLEASE_FENCE", "1");
    let mut stranger = Stranger(stranger.spawn()?);
    std::fs::write(directory.join("cgroup.procs"), stranger.0.id().to_string())?;
    until("the stranger acts", || world.has_acted(1, "daemon"))?;
    send(first.front(), Signal::SIGTERM);
    assert_code(&mut first, 143)?;
    if stranger.0.try_wait()?.is_none() {
        return Err("the stranger survived".into());
    }
    world.judge().map_err(|error| format!("{error}\n{}", first.story()).into())
}

/// A process that no run has started.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run whose command acts, deaf to SIGTERM, beside a daemon that detached twice.
///
/// Its grace is short, so that where somebody is asked first, the test does not wait for long.
fn first_of_two(world: &World, kind: &str) -> Result<Running, Failed> {
    let first = world.run(&["--containment", kind, "--grace", "300ms"], "family");
    let both = || world.has_acted(1, "main") && world.has_acted(1, "daemon");
    until("command and daemon act", both).map_err(|error| format!("{error}\n{}", first.story()))?;
    first.event("started")?;
    Ok(first)
}
