//! The command `tlease`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use tlease_cli::{Granter, run};

fn main() -> ExitCode {
    run::hidden_role::<Granter>().or_else(tlease_cli::hidden_role).unwrap_or_else(tlease_cli::main)
}
