//! The commands that run under a lease: they do nothing but write down when they were about to act.

use nix::sys::signal::{SigSet, Signal};
use rustix::event::{Timespec, poll};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::process::{Command, ExitCode};
use tlease_cli::run::RawInstant;

/// `work KIND FILE`, see the arms.
pub(crate) fn work(arguments: &[OsString]) -> ExitCode {
    let [kind, file] = arguments else { return ExitCode::FAILURE };
    match kind.to_str() {
        // Acts until it is killed.
        Some("main" | "daemon" | "grandchild") => act(kind, file),
        // Acts until it is asked to end, and then takes a moment.
        Some("polite") => act_politely(file),
        // Acts, deaf to SIGTERM, beside a daemon that has detached twice.
        Some("family") => {
            ignore_term();
            start("detach", file);
            act(&"main".into(), file)
        }
        // Leaves such a daemon behind, and ends.
        Some("leave-daemon") => {
            start("detach", file);
            await_stamp_of("daemon", file);
            ExitCode::from(3)
        }
        // Leaves a child behind that takes long to die and has a child that acts, and ends.
        Some("leave-heavy") => {
            start("heavy", file);
            await_stamp_of("grandchild", file);
            ExitCode::from(3)
        }
        Some("heavy") => {
            let memory = vec![1_u8; 256 << 20];
            start("grandchild", file);
            let _ = poll(&mut [], None);
            ExitCode::from(memory[0])
        }
        // Leaves its terminal and its parent behind, and then once more.
        Some("detach") => {
            nix::unistd::setsid().unwrap();
            start("detach-again", file);
            ExitCode::SUCCESS
        }
        Some("detach-again") => {
            nix::unistd::setsid().unwrap();
            start("daemon", file);
            ExitCode::SUCCESS
        }
        // Starts processes as fast as it can, each of which acts once.
        Some("storm") => {
            ignore_term();
            loop {
                start("blink", file);
                await_fewer_children();
            }
        }
        Some("blink") => {
            Stamps::open(file).act(kind.to_str().unwrap());
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

struct Stamps {
    file: File,
    fence: String,
}

impl Stamps {
    fn open(path: &OsString) -> Self {
        let file = File::options().append(true).create(true).open(path).unwrap();
        Self { file, fence: std::env::var("TLEASE_FENCE").unwrap() }
    }

    /// One act: the stamp is taken *before* the write, so it is never later than the act.
    fn act(&mut self, kind: &str) {
        let stamp = RawInstant::read().as_nanos();
        let line = format!("{} {stamp} {kind} {}\n", self.fence, std::process::id());
        self.file.write_all(line.as_bytes()).unwrap();
    }
}

fn act(kind: &OsString, file: &OsString) -> ExitCode {
    let mut stamps = Stamps::open(file);
    loop {
        stamps.act(kind.to_str().unwrap());
        let _ = poll(&mut [], Some(&BETWEEN_ACTS));
    }
}

fn act_politely(file: &OsString) -> ExitCode {
    let term = SigSet::from(Signal::SIGTERM);
    term.thread_block().unwrap();
    let asked =
        nix::sys::signalfd::SignalFd::with_flags(&term, nix::sys::signalfd::SfdFlags::SFD_NONBLOCK)
            .unwrap();
    let mut stamps = Stamps::open(file);
    while asked.read_signal().unwrap().is_none() {
        stamps.act("polite");
        let _ = poll(&mut [], Some(&BETWEEN_ACTS));
    }
    stamps.act("goodbye");
    ExitCode::SUCCESS
}

fn ignore_term() {
    SigSet::from(Signal::SIGTERM).thread_block().unwrap();
}

#[expect(clippy::zombie_processes, reason = "leaving children behind is what these are for")]
fn start(kind: &str, file: &OsString) {
    Command::new("/proc/self/exe").arg("work").arg(kind).arg(file).spawn().unwrap();
}

/// A storm, not a fork bomb: a few at a time.
fn await_fewer_children() {
    let children = || std::fs::read_to_string("/proc/thread-self/children").unwrap();
    while children().split_whitespace().count() >= STORM {
        nix::sys::wait::wait().unwrap();
    }
}

fn await_stamp_of(kind: &str, file: &OsString) {
    while !std::fs::read_to_string(file).is_ok_and(|text| text.contains(kind)) {
        let _ = poll(&mut [], Some(&BETWEEN_ACTS));
    }
}

const STORM: usize = 8;
const BETWEEN_ACTS: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
