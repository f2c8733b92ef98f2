//! Two runs of one name at once, a real granter between them, and a judge that knows no clock: both
//! commands append their fence to one file, and the file's order is the order of their acts.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{Home, text, until};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// Enough acts of the second to believe that the first would have shown itself among them.
const ENOUGH: usize = 40;

#[test]
fn the_second_acts_only_after_the_first_has_ended() {
    let contest = Contest::begin();
    contest.end_of_first();
    contest.second_acts();
    contest.judge();
}

#[test]
fn a_stopped_supervisor_costs_its_run_the_lease_before_the_second_acts() {
    let mut contest = Contest::begin();
    kill(contest.first.supervisor, Signal::SIGSTOP).unwrap();
    contest.second_acts();
    contest.first.thaw_supervisor();
    assert_ne!(contest.first.code(), Some(0), "its command was killed");
    contest.judge();
}

#[test]
fn a_killed_supervisor_costs_its_run_the_lease_before_the_second_acts() {
    let mut contest = Contest::begin();
    kill(contest.first.supervisor, Signal::SIGKILL).unwrap();
    assert_ne!(contest.first.code(), Some(0), "its command was killed");
    contest.second_acts();
    contest.judge();
}

#[test]
fn a_granter_killed_in_between_changes_nothing() {
    let mut contest = Contest::begin();
    contest.home.kill_granter();
    until("the granter is back", || contest.home.granter().is_some());
    contest.first_acts_on();
    contest.end_of_first();
    assert_eq!(contest.first.code(), Some(0), "it kept its lease");
    contest.second_acts();
    contest.judge();
}

#[test]
fn a_granter_killed_beside_a_stopped_supervisor_still_waits_the_lease_out() {
    let contest = Contest::begin();
    kill(contest.first.supervisor, Signal::SIGSTOP).unwrap();
    contest.home.kill_granter();
    contest.second_acts();
    contest.first.thaw_supervisor();
    contest.judge();
}

/// Two runs of one name: the first acts, the second waits for it.
struct Contest {
    first: Run,
    _second: Run,
    home: Home,
}

impl Contest {
    fn begin() -> Self {
        let home = Home::new();
        let first = Run::start(&home, "first-is-done");
        until("the first acts", || !acts(&home).is_empty());
        let second = Run::start(&home, "second-is-done");
        until("the second waits", || home.json(&["get", "x"])["waiters"] == 1);
        Self { first, _second: second, home }
    }

    /// Has the first command end by itself.
    fn end_of_first(&self) {
        fs::write(self.home.path().join("first-is-done"), "").unwrap();
    }

    fn first_acts_on(&self) {
        let so_far = acts(&self.home).len();
        until("the first goes on", || acts(&self.home).len() > so_far + ENOUGH);
    }

    fn second_acts(&self) {
        let first = acts(&self.home)[0];
        until("the second acts", || {
            acts(&self.home).iter().filter(|fence| **fence != first).count() >= ENOUGH
        });
    }

    /// Once the second has acted, the first never does.
    fn judge(&self) {
        let acts = acts(&self.home);
        let first = acts[0];
        let rest: Vec<u64> = acts.into_iter().skip_while(|fence| *fence == first).collect();
        assert!(rest.len() >= ENOUGH, "the second acted");
        let second = rest[0];
        assert!(second > first, "fences go up: {first}, {second}");
        let stale = rest.iter().filter(|fence| **fence == first).count();
        assert_eq!(stale, 0, "acts of the first after the second's first");
    }
}

impl Drop for Contest {
    fn drop(&mut self) {
        for done in ["first-is-done", "second-is-done"] {
            let _ = fs::write(self.home.path().join(done), "");
        }
    }
}

/// A `tlease run` whose command appends its fence to the file until a second file appears.
struct Run {
    child: Child,
    supervisor: Pid,
}

impl Run {
    fn start(home: &Home, done: &str) -> Self {
        let (file, done) = (file(home), home.path().join(done));
        let script = format!(
            "until test -e '{}'; do echo $TLEASE_FENCE >> '{}'; sleep 0.005; done",
            text(&done),
            text(&file)
        );
        let arguments = ["run", "x", "--term", "4s", "--json", "--", "sh", "-c", &script];
        let mut child = home.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let supervisor = said
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .find_map(|event| event["supervisor"].as_i64())
            .expect("it names its supervisor");
        // What it says later is read away, so that it never waits for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, supervisor: Pid::from_raw(i32::try_from(supervisor).unwrap()) }
    }

    /// Lets a stopped supervisor go on, unless its run has ended and killed it before.
    fn thaw_supervisor(&self) {
        match kill(self.supervisor, Signal::SIGCONT) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("no signal to the supervisor: {error}"),
        }
    }

    /// Its exit code, once it has ended.
    fn code(&mut self) -> Option<i32> {
        let mut ended = None;
        until("the run ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(home: &Home) -> PathBuf {
    home.path().join("acts")
}

/// The fences in the order in which they were written; a line that is half written does not count.
fn acts(home: &Home) -> Vec<u64> {
    let text = fs::read_to_string(file(home)).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}
