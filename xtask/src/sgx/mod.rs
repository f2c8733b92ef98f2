//! `cargo xtask sgx`: the enclave, from source to a measured image that runs.

mod build;
mod elsewhere;
mod toolchain;

use crate::gate::Extent;
use crate::job::Cargo;
use std::fmt;
use std::process::ExitCode;

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

/// Builds, and runs what attacks the enclave and its emulator.
pub(crate) fn test(extent: Extent) -> ExitCode {
    end(check(extent, |line| println!("{line}")))
}

/// As [`test()`], for the gate: hands on what the tests print.
pub(crate) fn check(extent: Extent, line: impl FnMut(&str)) -> Result<(), Stop> {
    let source = build::Source::here();
    let image = build::image(&source, "")?;
    println!("MRENCLAVE {}", image.measurement);
    let (_, passed) = Cargo::new(TESTS)
        .with("TLEASE_SGX_IMAGES", &source.target.to_string_lossy())
        .with("TLEASE_FULL", if extent == Extent::Full { "1" } else { "" })
        .run(line);
    if !passed {
        return Err(Stop::Failed("tests of the enclave failed".into()));
    }
    if extent == Extent::Full { elsewhere::measures_the_same(&source, &image) } else { Ok(()) }
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
