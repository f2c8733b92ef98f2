//! Runs an enclave: on the device where there is SGX, else under emulation.
//!
//! - Promises: the same file runs unchanged on both.
//! - Assumes: a measured image with its signature beside it, as `tlease-sgx-pack` writes them.
//! - Never: isolates anything under emulation, and says so.
//! - Start reading at [`main`].
#![forbid(unsafe_code)]

use std::process::ExitCode;
use tlease_sgx_emu::run;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match run::Options::of(arguments) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("tlease-sgx-run: {why}\n\n{}", run::USAGE);
            return ExitCode::from(2);
        }
    };
    match run::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tlease-sgx-run: {error:#}");
            ExitCode::FAILURE
        }
    }
}
