//! One `tlease run` under test, and the world around it.

use super::granter::Granter;
use super::leases::GRANTER;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{Timespec, poll};
use serde_json::Value;
use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use tempfile::TempDir;
use tlease_cli::run::RawInstant;

/// A granter, and a directory for what the commands write.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) granter: Granter,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let granter = Granter::start(directory.path());
        Self { directory, granter }
    }

    /// The file in which the commands stamp their acts.
    pub(crate) fn stamps(&self) -> PathBuf {
        self.directory.path().join("stamps")
    }

    /// Starts `tlease run --json FLAGS x -- work KIND`, with the usual term.
    pub(crate) fn run(&self, flags: &[&str], kind: &str) -> Running {
        let exe = std::env::current_exe().unwrap();
        let stamps = self.stamps();
        let mut command = self.command(flags);
        command.arg(exe).args(["work", kind]).arg(stamps);
        Running::start_when_calm(&mut command)
    }

    /// `tlease run --json FLAGS x --`, to be completed and started.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let exe = std::env::current_exe().unwrap();
        let mut command = Command::new(exe);
        command.args(["run", "--json", "--term", &format!("{}ms", TERM.as_millis())]);
        command.args(flags).args(["x", "--"]).env(GRANTER, self.granter.socket());
        command
    }
}

/// A run that was started.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: RefCell<Vec<Value>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: RefCell::default() }
    }

    /// Starts it again while the machine is too busy for the usual term, which is then refused.
    pub(crate) fn start_when_calm(command: &mut Command) -> Self {
        loop {
            let mut running = Self::start(command);
            if running.event("asking").is_ok() {
                return running;
            }
            let code = running.exit_code().unwrap();
            let story = running.story();
            if code != Some(64) || !story.contains("is too short") {
                return running;
            }
            println!("the machine is busy, trying again:\n{story}");
        }
    }

    /// The event of that name, once it has come.
    pub(crate) fn event(&self, name: &str) -> Result<Value, String> {
        let start = RawInstant::read();
        loop {
            if let Some(event) = self.seen.borrow().iter().find(|event| event["event"] == name) {
                return Ok(event.clone());
            }
            let left = PATIENCE.saturating_sub(RawInstant::read().since(start));
            match self.lines.recv_timeout(left) {
                // What the command itself says is no event.
                Ok(line) => self.seen.borrow_mut().extend(serde_json::from_str::<Value>(&line)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(format!("no event {name}, only {:#?}", self.seen.borrow()));
                }
            }
        }
    }

    pub(crate) fn front(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn watchdog(&self) -> Result<Pid, String> {
        self.event("contained").map(|event| pid(&event["watchdog"]))
    }

    pub(crate) fn supervisor(&self) -> Result<Pid, String> {
        self.event("asking").map(|event| pid(&event["supervisor"]))
    }

    /// The exit code, once it has ended; a front process that was killed has none.
    pub(crate) fn exit_code(&mut self) -> Result<Option<i32>, String> {
        let mut code = None;
        until("the run ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        })?;
        Ok(code.and_then(|status| status.code()))
    }

    /// What it printed that was not there yet when last asked, for messages of failures.
    pub(crate) fn story(&self) -> String {
        self.seen
            .borrow_mut()
            .extend(self.lines.try_iter().flat_map(|line| serde_json::from_str::<Value>(&line)));
        let seen = self.seen.borrow();
        seen.iter().map(|event| format!("  {}\n", event["text"])).collect()
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing behind: with its front process dead, a run ends.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a run with this containment can be had here; says why not if this system or this user
/// has none. A containment that is there and does not work is a failure.
pub(crate) fn available(kind: &str) -> Result<bool, String> {
    let world = World::new();
    let mut command = world.command(&["--containment", kind]);
    let mut running = Running::start_when_calm(command.arg("true"));
    let code = running.exit_code()?;
    if code == Some(0) {
        return Ok(true);
    }
    let story = running.story();
    if code == Some(77) && LACKING.iter().any(|lack| story.contains(lack)) {
        println!("skipped: containment {kind} cannot be had here:\n{story}");
        return Ok(false);
    }
    Err(format!("containment {kind} ends with {code:?}\n{story}"))
}

/// Fails with what the run said if it does not end with this code.
pub(crate) fn assert_code(running: &mut Running, expected: i32) -> Result<(), String> {
    let code = running.exit_code()?;
    if code == Some(expected) {
        return Ok(());
    }
    Err(format!("exit code {code:?} instead of {expected}\n{}", running.story()))
}

pub(crate) fn send(pid: Pid, signal: Signal) {
    kill(pid, signal).unwrap();
}

/// Looks at `condition` until it holds, or for too long.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let start = RawInstant::read();
    while !condition() {
        if RawInstant::read().since(start) > PATIENCE {
            return Err(format!("waited in vain until {what}"));
        }
        let _ = poll(&mut [], Some(&BETWEEN_LOOKS));
    }
    Ok(())
}

fn pid(value: &Value) -> Pid {
    Pid::from_raw(i32::try_from(value.as_i64().unwrap()).unwrap())
}

/// What a containment says where a system or a user cannot have it.
const LACKING: [&str; 7] = [
    "not mounted here",
    "this kernel has no",
    "Operation not permitted",
    "Permission denied",
    "Read-only file system",
    "No space left",
    "Invalid argument",
];
/// Its margin is a second: a busy machine delays a watchdog by less.
pub(crate) const TERM: Duration = Duration::from_secs(4);
/// Longer than any test needs on a machine that is not dead.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
