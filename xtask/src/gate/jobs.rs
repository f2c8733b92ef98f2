//! The list of jobs.

use super::Extent;
use crate::job::Cargo;
use crate::setup::Target;
use std::fmt;

/// One row of the summary.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: &'static str,
    /// What it compiles for; the job is skipped where this cannot be had.
    pub(super) target: Option<Target>,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    /// Within this program.
    Tidy,
    Tlc(Extent),
    Sgx(Extent),
    Cargo(Cargo),
}

/// The command that does it alone.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tidy => f.write_str("cargo xtask tidy"),
            Self::Tlc(Extent::Gate) => f.write_str("cargo xtask tlc"),
            Self::Tlc(Extent::Full) => f.write_str("cargo xtask tlc --full"),
            Self::Sgx(Extent::Gate) => f.write_str("cargo xtask sgx test"),
            Self::Sgx(Extent::Full) => f.write_str("cargo xtask sgx test --full"),
            Self::Cargo(cargo) => cargo.fmt(f),
        }
    }
}

/// All jobs, in their order.
pub(super) fn all(extent: Extent) -> Vec<Job> {
    let mut jobs = vec![
        job("format", Cargo::new("fmt --all -- --check")),
        Job { name: "tidy", target: None, work: Work::Tidy },
        job("clippy", Cargo::new(CLIPPY)),
        job(
            "documentation",
            Cargo::new("doc --workspace --no-deps --locked").with("RUSTDOCFLAGS", "-D warnings"),
        ),
        compiles(
            "core and pure clock, bare",
            "-p tlease-core -p tlease-clock --no-default-features",
            Target::Bare,
        ),
        compiles("clock on aarch64", "-p tlease-clock", Target::Aarch64),
        Job { name: "specification", target: None, work: Work::Tlc(extent) },
        job("tests", tests(&format!("--workspace --features {TEST_ONLY}"))),
        Job { name: "enclave", target: None, work: Work::Sgx(extent) },
        job("tests of quotes", tests("-p tlease-attest --features test-quotes --test quotes")),
        job("tests without transactions", tests(TOUCH_HARDWARE).with("TLEASE_NO_RTM", "1")),
        job("tests without debug assertions", tests("--release -p tlease-core -p tlease-clock")),
    ];
    if extent == Extent::Full {
        let long = tests(&format!("--release --workspace --features {TEST_ONLY}"));
        let quotes = "clippy -p tlease-attest --all-features --all-targets --locked -- -D warnings";
        jobs.push(job("clippy on quotes", Cargo::new(quotes)));
        jobs.push(job("fuzzing", Cargo::new("xtask fuzz --seconds 300")));
        jobs.push(job("long runs", long.with("TLEASE_FULL", "1")));
    }
    jobs
}

/// The tests that run enclaves need images, and are only built with this feature.
const CLIPPY: &str = "clippy --workspace --all-targets --features tlease-sgx-emu/images --locked \
                      -- -D warnings";

/// Faults to plant and transactions in software: what tests alone switch on.
const TEST_ONLY: &str = "tlease-attack/mutants,tlease-cli/mutants,tlease-clock/mutants,\
                         tlease-clock/emulated-transactions";

/// The packages that do something else where there are no hardware transactions. They get the
/// features that ship, so this compiles once more.
const TOUCH_HARDWARE: &str = "-p tlease-clock -p tlease-attack -p tlease -p tlease-cli";

fn job(name: &'static str, cargo: Cargo) -> Job {
    Job { name, target: None, work: Work::Cargo(cargo) }
}

/// Compiled for another target: with no default features it is what `no_std` users get.
fn compiles(name: &'static str, packages: &str, target: Target) -> Job {
    let triple = target.triple();
    let check = format!("check {packages} --locked --target {triple}");
    Job { name, target: Some(target), work: Work::Cargo(Cargo::new(&check)) }
}

/// Every test runs even when one failed, and says what it could not show.
fn tests(packages: &str) -> Cargo {
    Cargo::new(&format!("test {packages} --locked --no-fail-fast -- --show-output"))
}
