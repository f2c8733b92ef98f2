//! The program under test, as a user runs it: real processes, each test with a home of its own.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A user's home, in which a local granter can live. The granter ends with it.
pub(crate) struct Home(TempDir);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with these arguments, to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tlease"));
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.path())
            .env_remove("TLEASE_SERVER")
            .env_remove("TLEASE_LOCAL_IDLE")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end. Its output ends too, even if it leaves a process behind.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments))
    }

    /// Runs it; it must succeed. What it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        ended.out.trim_end().to_owned()
    }

    /// Runs it with --json; it must succeed and print one object.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|why| panic!("{out}: {why}"))
    }

    /// Runs it; it must fail with this code and say this.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, says: &str) {
        let ended = self.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(says), "{arguments:?} does not say '{says}': {}", ended.err);
        assert_eq!(ended.out, "", "{arguments:?}");
    }

    pub(crate) fn local(&self) -> PathBuf {
        self.path().join("tlease")
    }

    /// The process of the local granter, if one runs or is stopped.
    pub(crate) fn granter(&self) -> Option<Pid> {
        let lock = fs::read_to_string(self.local().join("granter/lock")).ok()?;
        let pid: i32 = lock.trim().parse().ok()?;
        // The number may be another process's by now.
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let local = self.local().into_os_string().into_encoded_bytes();
        arguments.windows(local.len()).any(|part| part == local).then_some(Pid::from_raw(pid))
    }

    pub(crate) fn kill_granter(&self) {
        let granter = self.granter().expect("it runs");
        kill(granter, Signal::SIGKILL).unwrap();
        until("the granter is gone", || self.granter() != Some(granter));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(granter) = self.granter() {
            let _ = kill(granter, Signal::SIGKILL);
        }
    }
}

impl Ended {
    /// Runs a command to the end of itself and of its output.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = read_aside(child.stdout.take().unwrap());
        let err = read_aside(child.stderr.take().unwrap());
        let text = |from: mpsc::Receiver<String>, what| {
            from.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("somebody keeps the {what} of {command:?} open");
            })
        };
        let ended = Self { code: 0, out: text(out, "output"), err: text(err, "errors") };
        Self { code: child.wait().unwrap().code().unwrap_or(-1), ..ended }
    }
}

/// Reads to the end in a thread, so that an end that never comes fails the test instead of hanging it.
fn read_aside(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (said, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        let _ = said.send(text);
    });
    hear
}

/// A `tlease serve` with its record in a directory of its own. Killed when dropped.
pub(crate) struct Serve {
    child: Child,
    said: BufReader<ChildStdout>,
    pub(crate) ready: Value,
}

impl Serve {
    /// Starts one with `data` and a Unix socket beside it.
    pub(crate) fn start(home: &Home, more: &[&str]) -> Self {
        let data = home.path().join("data");
        let socket = format!("unix:{}", home.path().join("serve").display());
        let init: &[&str] = if data.join("state").exists() { &[] } else { &["--init"] };
        let fixed = ["serve", "--json", "--data", data.to_str().unwrap(), "--listen", &socket];
        let mut child = home
            .command(&[&fixed, init, more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let ready = line(&mut said).expect("a ready granter says so");
        assert_eq!(ready["event"], "ready");
        Self { child, said, ready }
    }

    pub(crate) fn address(&self) -> String {
        self.ready["addresses"][0].as_str().unwrap().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Kills it and starts it again.
    pub(crate) fn kill_and_restart(&mut self, home: &Home) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Self::start(home, &[]);
    }

    /// What it says next, and its exit code.
    pub(crate) fn end(mut self) -> (Option<Value>, Option<i32>) {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        (line(&mut self.said), self.child.wait().unwrap().code())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).ok()
}

/// A process that does nothing, for as long as it is wanted.
pub(crate) struct Idler(Child);

impl Idler {
    pub(crate) fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks `condition` again and again until it holds; fails after a long while.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = now() + PATIENCE;
    while !condition() {
        assert!(now() < give_up, "not in {PATIENCE:?}: {what}");
        moment();
    }
}

/// Leaves the core to those who are waited for. Between two looks, never instead of one.
pub(crate) fn moment() {
    let moment = rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let _ = rustix::event::poll(&mut [], Some(&moment));
}

#[expect(clippy::disallowed_methods, reason = "a test's patience, on which nothing depends")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Paths as arguments.
pub(crate) fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> &str {
    path.as_ref().to_str().unwrap()
}

/// Far beyond what a loaded machine takes: only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
