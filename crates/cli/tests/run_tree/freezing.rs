//! What is not promised, measured: everything frozen together, and what the last resort lets go.
//! And two figures on which the promise rests.

use super::judge::Act;
use super::running::{Running, TERM, World, assert_code, available, send, until};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use rustix::event::{Timespec, poll};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tlease_cli::run::RawInstant;

type Test = fn() -> Result<(), Failed>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("killing_comes_first_after_a_thaw_cgroup_v2", thawed_v2),
        ("killing_comes_first_after_a_thaw_freezer", thawed_v1),
        ("daemons_escape_the_last_resort_only_if_both_their_watchers_are_killed", escapes),
        ("killing_a_small_tree_takes_a_measured_time", kill_latency),
        ("the_watchdog_takes_no_page_fault_once_the_command_runs", page_faults),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

fn thawed_v2() -> Result<(), Failed> {
    frozen_with("/sys/fs/cgroup/unified", "cgroup.freeze", ["1", "0"], "cgroup")
}

fn thawed_v1() -> Result<(), Failed> {
    frozen_with("/sys/fs/cgroup/freezer", "freezer.state", ["FROZEN", "THAWED"], "freezer")
}

/// Freezes a whole run past its deadline and thaws it: front process, watchdog, supervisor, tree.
fn frozen_with(
    hierarchy: &str,
    control: &str,
    [freeze, thaw]: [&str; 2],
    kind: &str,
) -> Result<(), Failed> {
    let Some(cgroup) = Cgroup::below(hierarchy) else {
        println!("skipped: no cgroup can be made in {hierarchy}");
        return Ok(());
    };
    if !available(kind)? {
        return Ok(());
    }
    let world = World::new();
    let exe = std::env::current_exe()?;
    let mut command = world.command(&["--containment", kind]);
    command.arg(&exe).args(["work", "family"]).arg(world.stamps());
    // A shell enters the cgroup, then becomes the run.
    let mut entering = Command::new("sh");
    entering.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(cgroup.0.join("cgroup.procs"));
    entering.arg(command.get_program()).args(command.get_args());
    entering.env(super::leases::GRANTER, world.granter.socket());
    let mut running = Running::start_when_calm(&mut entering);
    until("command and daemon act", || world.has_acted(1, "main") && world.has_acted(1, "daemon"))
        .map_err(|error| format!("{error}\n{}", running.story()))?;

    fs::write(cgroup.0.join(control), freeze)?;
    let until_granter = || world.grant(1).until;
    until("its term is over", || RawInstant::read() > until_granter().later_by(TERM / 4))?;
    let over = until_granter();
    let thawed_at = RawInstant::read();
    fs::write(cgroup.0.join(control), thaw)?;

    assert_code(&mut running, 76)?;
    let late: Vec<Act> = world.acts().into_iter().filter(|act| act.at >= over).collect();
    let exposure = late.last().map(|act| act.at.since(thawed_at));
    println!(
        "exposure, everything frozen past the deadline and thawed ({kind}): {} acts after the \
         deadline, the last {exposure:?} after the thaw",
        late.len()
    );
    // The thaw itself, and killing, take milliseconds; a busy machine makes that a fraction of
    // a second, but nothing waits for a term here.
    if exposure.is_some_and(|exposure| exposure > TERM / 2) {
        return Err(format!("the command acted until {exposure:?} after the thaw").into());
    }
    Ok(())
}

/// The test's own cgroup around a run, removed when the test ends.
struct Cgroup(PathBuf);

impl Cgroup {
    fn below(hierarchy: &str) -> Option<Self> {
        let moment = RawInstant::read().as_nanos();
        let path = Path::new(hierarchy).join(format!("tlease-test-{moment:x}"));
        fs::create_dir(&path).ok().map(|()| Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Of a test that failed; a run that succeeded leaves nothing frozen.
        let _ = fs::write(self.0.join("cgroup.freeze"), "0");
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let _ = until("the cgroup is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

/// With a watchdog or a front process alive no daemon escapes; with both killed all do.
fn escapes() -> Result<(), Failed> {
    if !available("group")? {
        return Ok(());
    }
    let mut escaped = [0, 0];
    for (both, count) in escaped.iter_mut().enumerate() {
        for _ in 0..ESCAPE_ROUNDS {
            let world = World::new();
            let mut running = world.run(&["--containment", "group"], "family");
            until("the daemon acts", || world.has_acted(1, "daemon"))?;
            let watchdog = running.watchdog()?;
            // Stopped first, so that it cannot take over between the two.
            send(running.front(), Signal::SIGSTOP);
            send(watchdog, Signal::SIGKILL);
            let last_of_both = if both == 1 { Signal::SIGKILL } else { Signal::SIGCONT };
            send(running.front(), last_of_both);
            running.exit_code()?;
            *count += u32::from(acts_on(&world));
            if let Some(act) = world.acts_of(1, "daemon").last() {
                let _ = kill(act.pid, Signal::SIGKILL);
            }
        }
    }
    let [watchdog_only, both] = escaped;
    println!(
        "exposure, containment group: daemons that detach twice escaped in {watchdog_only} of \
         {ESCAPE_ROUNDS} runs with the watchdog killed -9, in {both} of {ESCAPE_ROUNDS} with the \
         front process killed -9 too"
    );
    if watchdog_only == 0 { Ok(()) } else { Err("a daemon escaped the front process".into()) }
}

/// Whether anything still acts: it would do so every millisecond.
fn acts_on(world: &World) -> bool {
    let before = world.acts().len();
    let start = RawInstant::read();
    while RawInstant::read().since(start) < TERM / 8 {
        let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }));
    }
    world.acts().len() > before
}

fn kill_latency() -> Result<(), Failed> {
    for kind in ["cgroup", "pidns", "freezer", "group"] {
        if !available(kind)? {
            continue;
        }
        let world = World::new();
        let mut running = world.run(&["--containment", kind], "leave-daemon");
        assert_code(&mut running, 3)?;
        let probe_us = running.event("contained")?["kill_latency_us"].as_u64();
        let margin_ms = running.event("margin")?["margin_ms"].as_u64();
        let took_us = running.event("empty")?["took_us"].as_u64();
        println!(
            "kill latency, {kind}: {probe_us:?} us for three generations, median of three, hence a \
             margin of {margin_ms:?} ms; {took_us:?} us for what the command left behind"
        );
        let probe_us = probe_us.filter(|probe_us| *probe_us > 0).ok_or("it was not measured")?;
        if margin_ms.is_none_or(|margin_ms| margin_ms * 1_000 < probe_us * 10 - 1_000) {
            return Err(format!("a margin of {margin_ms:?} ms for {probe_us} us").into());
        }
    }
    Ok(())
}

/// With its memory locked, a page fault would mean memory that was not there when it started.
fn page_faults() -> Result<(), Failed> {
    let world = World::new();
    let mut running = world.run(&[], "main");
    running.event("started")?;
    if running.event("watchdog")?["memory_locked"] != true {
        println!("skipped: this user may not lock so much memory");
        return Ok(());
    }
    let watchdog = running.watchdog()?;
    let first_until = world.grant(1).until;
    let before = faults_of(watchdog)?;
    // Three renewals: each moves the end of the grant by a third of the term.
    until("it was renewed", || world.grant(1).until > first_until.later_by(TERM))?;
    let after = faults_of(watchdog)?;
    send(running.front(), Signal::SIGTERM);
    assert_code(&mut running, 143)?;
    if before == after { Ok(()) } else { Err(format!("{before:?}, then {after:?}").into()) }
}

/// Minor and major page faults of a process so far.
fn faults_of(pid: nix::unistd::Pid) -> Result<(u64, u64), Failed> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Ok((fields[7].parse()?, fields[9].parse()?))
}

const ESCAPE_ROUNDS: u32 = 5;
