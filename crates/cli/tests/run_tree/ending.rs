//! How a run ends, and what it tells its command and its caller.

use super::running::{Running, TERM, World, assert_code, available, send, until};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

type Test = fn() -> Result<(), Failed>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("name_and_fence_win_over_inherited_ones", environment),
        ("the_commands_own_end_is_returned", own_codes),
        ("a_code_that_could_be_ours_is_announced", ambiguous_code),
        ("signals_are_passed_on", signals),
        ("standard_input_and_output_are_the_commands", streams),
        ("who_does_not_get_the_lease_says_why", denied),
        ("what_makes_no_sense_is_refused_before_asking_for_a_lease", refused),
        ("giving_up_while_waiting_withdraws", given_up),
        ("a_recalled_command_is_asked_first", recalled),
        ("a_recalled_command_that_stays_is_killed_in_time", recalled_in_vain),
        ("a_supervisor_without_a_watchdog_does_not_release", no_proof_no_release),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

fn shell(world: &World, flags: &[&str], script: &str) -> Running {
    let mut command = world.command(flags);
    Running::start_when_calm(command.args(["sh", "-c", script]))
}

fn environment() -> Result<(), Failed> {
    let world = World::new();
    let mut command = world.command(&[]);
    command.env("TLEASE_FENCE", "999").env("TLEASE_NAME", "another");
    command.args(["sh", "-c", r#"test "$TLEASE_NAME/$TLEASE_FENCE" = x/1 && exit 5"#]);
    Ok(assert_code(&mut Running::start_when_calm(&mut command), 5)?)
}

fn own_codes() -> Result<(), Failed> {
    let world = World::new();
    let cases = [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)];
    for (script, code) in cases {
        assert_code(&mut shell(&world, &[], script), code)?;
    }
    let mut missing = world.command(&[]);
    assert_code(&mut Running::start_when_calm(missing.arg("/no/such/command")), 127)?;
    let mut directory = world.command(&[]);
    assert_code(&mut Running::start_when_calm(directory.arg("/")), 126)?;
    if world.granter.grants().iter().any(|grant| !matches!(grant.freed, Some((_, true)))) {
        return Err(format!("not all were released: {:?}", world.granter.grants()).into());
    }
    Ok(())
}

fn ambiguous_code() -> Result<(), Failed> {
    let world = World::new();
    let mut running = shell(&world, &[], "exit 75");
    assert_code(&mut running, 75)?;
    running.event("ambiguous")?;
    Ok(())
}

fn signals() -> Result<(), Failed> {
    let world = World::new();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGUSR1, 138), (Signal::SIGINT, 130)] {
        let mut running = world.run(&[], "main");
        running.event("started")?;
        send(running.front(), signal);
        assert_code(&mut running, code)?;
    }
    let mut polite = world.run(&[], "polite");
    until("the polite command acts", || world.has_acted(4, "polite"))
        .map_err(|error| format!("{error}\n{}", polite.story()))?;
    send(polite.front(), Signal::SIGTERM);
    assert_code(&mut polite, 0)?;
    if !world.has_acted(4, "goodbye") {
        return Err("it was not asked, but killed".into());
    }
    Ok(world.judge()?)
}

fn streams() -> Result<(), Failed> {
    let world = World::new();
    let mut command = world.command(&[]);
    command.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no input")?.write_all(b"through and back")?;
    let mut text = String::new();
    child.stdout.take().ok_or("no output")?.read_to_string(&mut text)?;
    child.wait()?;
    if text == "through and back" { Ok(()) } else { Err(format!("got {text:?}").into()) }
}

fn denied() -> Result<(), Failed> {
    let world = World::new();
    let mut holder = world.run(&[], "main");
    until("the first command acts", || world.has_acted(1, "main"))?;
    assert_code(&mut world.run(&["--try"], "main"), 75)?;
    assert_code(&mut world.run(&["--wait", "50ms"], "main"), 72)?;
    let mut lost = world.command(&[]);
    lost.env(super::leases::GRANTER, "/no/such/socket").arg("true");
    let mut lost = Running::start_when_calm(&mut lost);
    assert_code(&mut lost, 69)?;
    lost.event("denied")?;
    send(holder.front(), Signal::SIGTERM);
    assert_code(&mut holder, 143)?;
    if world.granter.grants().len() != 1 {
        return Err("a denied command got a lease".into());
    }
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let world = World::new();
    let group = ["--containment", "group", "--require-containment"];
    assert_code(&mut world.run(&group, "main"), 77)?;
    let mut short = Command::new(std::env::current_exe()?);
    short.args(["run", "--json", "--term", "399ms", "x", "--", "true"]);
    assert_code(&mut Running::start(&mut short), 64)?;
    if world.granter.grants().is_empty() { Ok(()) } else { Err("it asked for a lease".into()) }
}

fn given_up() -> Result<(), Failed> {
    let world = World::new();
    let mut holder = world.run(&[], "main");
    until("the first command acts", || world.has_acted(1, "main"))?;
    let mut waiting = world.run(&[], "main");
    waiting.event("asking")?;
    send(waiting.front(), Signal::SIGTERM);
    assert_code(&mut waiting, 143)?;
    send(holder.front(), Signal::SIGTERM);
    assert_code(&mut holder, 143)?;
    if world.acts().iter().any(|act| act.fence != 1) {
        return Err("a command that was given up has run".into());
    }
    Ok(())
}

fn recalled() -> Result<(), Failed> {
    let world = World::new();
    let mut running = world.run(&[], "polite");
    until("the command acts", || world.has_acted(1, "polite"))?;
    world.granter.recall(TERM);
    assert_code(&mut running, 74)?;
    if !world.has_acted(1, "goodbye") {
        return Err("it was not asked, but killed".into());
    }
    Ok(world.judge()?)
}

fn recalled_in_vain() -> Result<(), Failed> {
    let world = World::new();
    let mut running = world.run(&[], "family");
    until("the command acts", || world.has_acted(1, "main"))?;
    world.granter.recall(Duration::from_secs(1));
    running.event("asked")?;
    running.event("killing")?;
    assert_code(&mut running, 74)?;
    match world.grant(1).freed {
        Some((_, true)) => Ok(world.judge()?),
        freed => Err(format!("not released: {freed:?}").into()),
    }
}

/// In a PID namespace the front process relies on the process that reaps the init. With that one
/// dead too, nobody can say that the tree is gone, so the lease has to run out.
fn no_proof_no_release() -> Result<(), Failed> {
    if !available("pidns")? {
        return Ok(());
    }
    let world = World::new();
    let mut running = world.run(&["--containment", "pidns"], "family");
    until("the command acts", || world.has_acted(1, "daemon"))?;
    let watchdog = running.watchdog()?;
    let status = std::fs::read_to_string(format!("/proc/{watchdog}/status"))?;
    let reaper = status.lines().find_map(|line| line.strip_prefix("PPid:")).ok_or("no parent")?;
    send(nix::unistd::Pid::from_raw(reaper.trim().parse()?), Signal::SIGKILL);
    assert_code(&mut running, 70)?;
    let last = world.acts().last().map(|act| act.at).ok_or("it never acted")?;
    let mut second = world.run(&["--containment", "pidns"], "leave-daemon");
    assert_code(&mut second, 3)?;
    match world.grant(1).freed {
        Some((freed, false)) if freed > last => Ok(world.judge()?),
        freed => Err(format!("released without proof: {freed:?}").into()),
    }
}
