//! `tlease run` from outside: real processes, real signals, and a judge that knows nothing but what
//! the commands wrote, each line stamped before it was written.
//!
//! This program is the tests, the `tlease run` under test (with leases from a granter inside the
//! tests instead of a real one), and the commands that it runs.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "all of this is test code, but not in `#[test]` functions")]

mod ending;
mod freezing;
mod granter;
mod judge;
mod killing;
mod leases;
mod running;
mod users;
mod work;

use clap::Parser;
use leases::TestLeases;
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::Signal;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use tlease_cli::run::{self, RunArgs};

fn main() -> ExitCode {
    if let Some(code) = run::hidden_role::<TestLeases>() {
        return code;
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("run") => run::run(&UnderTest::parse_from(arguments).run, None).into(),
        Some("work") => work::work(&arguments[1..]),
        _ => tests(),
    }
}

/// The command line under test.
#[derive(Debug, Parser)]
struct UnderTest {
    #[command(flatten)]
    run: RunArgs,
}

fn tests() -> ExitCode {
    heed_signals();
    let mut arguments = Arguments::from_args();
    // They mostly wait: more than there are cores keeps the whole within its time.
    arguments.test_threads = arguments.test_threads.or(Some(8));
    let trials = [killing::trials(), ending::trials(), freezing::trials(), users::trials()];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A shell that starts a job in the background has it ignore SIGINT and SIGQUIT, and every process
/// below inherits that. The tests send SIGINT, so they begin again with both as they are by default.
fn heed_signals() {
    const BEGUN_AGAIN: &str = "TLEASE_TEST_BEGUN_AGAIN";
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    let needed = [Signal::SIGINT, Signal::SIGQUIT].map(|signal| 1_u64 << (signal as u32 - 1));
    if needed.into_iter().all(|bit| ignored & bit == 0) {
        return;
    }
    assert!(std::env::var_os(BEGUN_AGAIN).is_none(), "`env --default-signal` does not work here");
    let mut again = Command::new("env");
    again.arg("--default-signal=INT,QUIT").arg(std::env::current_exe().unwrap());
    let failed = again.args(std::env::args_os().skip(1)).env(BEGUN_AGAIN, "1").exec();
    panic!("env cannot be executed: {failed}");
}
