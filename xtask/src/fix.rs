//! `cargo xtask fix`: the one command that writes.

use crate::job::Cargo;
use crate::tidy;
use std::process::ExitCode;

/// Formats, applies what clippy can, and writes the counts into the README.
pub(crate) fn run() -> ExitCode {
    let clippy = "clippy --fix --allow-dirty --allow-staged --workspace --all-targets";
    for cargo in [Cargo::new("fmt --all"), Cargo::new(clippy)] {
        println!("{cargo}");
        if !cargo.run(|line| println!("{line}")).1 {
            eprintln!("failed: {cargo}");
            return ExitCode::FAILURE;
        }
    }
    counts()
}

/// Writes the counts of the trusted base into the README.
pub(crate) fn counts() -> ExitCode {
    match tidy::write_counts() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the counts: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Has TLC draw the behaviours of the specification that are checked in.
pub(crate) fn behaviours() -> ExitCode {
    match crate::tlc::write_behaviours() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot draw the behaviours: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the corpora of the fuzz targets anew, from what was found so far.
pub(crate) fn corpora() -> ExitCode {
    match crate::fuzz::write_corpora() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot make the corpora: {error}");
            ExitCode::FAILURE
        }
    }
}
