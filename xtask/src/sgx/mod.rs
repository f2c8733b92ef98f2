//! `cargo xtask sgx`: the enclave, from source to a measured image that runs.

mod build;
mod elsewhere;
mod toolchain;

use crate::gate::Extent;
use crate::job::Cargo;
use std::fmt;
use std::process::{Command, ExitCode};

/// Builds, and prints where the image is and what it measures.
pub(crate) fn build(features: &str) -> ExitCode {
    end(build::image(&build::Source::here(), features).map(|image| {
        println!("{}\nMRENCLAVE {}", image.sgxs.display(), image.measurement);
    }))
}

/// Builds, and prints what the image measures alone.
pub(crate) fn measure(features: &str) -> ExitCode {
    end(build::image(&build::Source::here(), features).map(|image| {
        println!("{}", image.measurement);
    }))
}

/// Builds, measures, and runs three enclaves that contend for a name, one of which is kept outside
/// between check and act, so often. Whether an effect came too late is its exit code: 0 if none did, 1
/// if one did, 2 if nothing was shown.
pub(crate) fn run(rounds: &str) -> ExitCode {
    let image = match build::image(&build::Source::here(), "") {
        Ok(image) => image,
        Err(stop) => {
            eprintln!("{stop}");
            return ExitCode::from(NOT_SHOWN);
        }
    };
    println!("MRENCLAVE {}", image.measurement);
    let status = build::emulator("dev").and_then(|programs| {
        let contest = programs.join("tlease-sgx-contest");
        let status = Command::new(contest).arg(&image.sgxs).arg(rounds).status();
        status.map_err(|error| Stop::Failed(error.to_string()))
    });
    match status {
        Ok(status) => ExitCode::from(status.code().map_or(NOT_SHOWN, |code| code.to_le_bytes()[0])),
        Err(stop) => {
            eprintln!("{stop}");
            ExitCode::from(NOT_SHOWN)
        }
    }
}

const NOT_SHOWN: u8 = 2;

/// Lints the code that only an enclave compiles.
pub(crate) fn lint() -> ExitCode {
    end(build::lint(&build::Source::here()))
}

/// Builds the enclave that is measured, with and without the fences of the target, and measures it.
pub(crate) fn bench(extent: Bench) -> ExitCode {
    end(measurements(extent))
}

/// How long measurements take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Some minutes.
    Whole,
    /// Some seconds, to see that it runs: its figures say little.
    Quick,
}

fn measurements(extent: Bench) -> Result<(), Stop> {
    let fenced = build::Source::here();
    build::image(&fenced, "")?;
    let image = |source: &build::Source| source.target.join(build::SUBJECT).with_extension("sgxs");
    let plain = build::Source::here().without_fences();
    build::image(&plain, "")?;
    let programs = build::emulator("release")?;
    let mut command = Command::new(programs.join("tlease-sgx-bench"));
    command.args([image(&fenced), image(&plain)]);
    if extent == Bench::Quick {
        command.arg("--quick");
    }
    let status = command.status().map_err(|error| Stop::Failed(error.to_string()))?;
    if !status.success() {
        return Err(Stop::Failed(format!("measuring the enclave failed: {status}")));
    }
    let (_, passed) = Cargo::new(RANGES).run(|line| println!("{line}"));
    if passed { Ok(()) } else { Err(Stop::Failed(format!("failed; repeat it: cargo {RANGES}"))) }
}

const RANGES: &str = "bench -q -p tlease-clock --bench admitted_range --locked";

/// Builds, and runs what attacks the enclave and its emulator.
pub(crate) fn test(extent: Extent) -> ExitCode {
    end(check(extent, |line| println!("{line}")))
}

/// As [`test()`], for the gate: hands on what the tests print.
pub(crate) fn check(extent: Extent, line: impl FnMut(&str)) -> Result<(), Stop> {
    let source = build::Source::here();
    // With planted bugs, which the same attacks must find.
    build::image(&source, "mutants")?;
    let image = build::image(&source, "")?;
    println!("MRENCLAVE {}", image.measurement);
    let (_, passed) = Cargo::new(TESTS)
        .with("TLEASE_SGX_IMAGES", &source.target.to_string_lossy())
        .with("TLEASE_FULL", if extent == Extent::Full { "1" } else { "" })
        .run(line);
    if !passed {
        return Err(Stop::Failed("tests of the enclave failed".into()));
    }
    if extent == Extent::Full {
        build::lint(&source)?;
        elsewhere::measures_the_same(&source, &image)?;
    }
    Ok(())
}

const TESTS: &str =
    "test -p tlease-sgx-emu --features images --locked --no-fail-fast -- --show-output";

fn end(result: Result<(), Stop>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("{stop}");
            ExitCode::FAILURE
        }
    }
}

/// Why there is no image, or no good one.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This machine cannot have what building takes.
    Unavailable(String),
    /// It can, and something failed.
    Failed(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "skipped: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}
