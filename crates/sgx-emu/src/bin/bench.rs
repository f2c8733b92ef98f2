//! Measures an enclave: for how long timekeepers go on, what steps of the guard cost, with and without the
//! target's fences, and what a lease costs an application.
//!
//! - Promises: every figure is of this run; ratios are of slices or runs that alternate.
//! - Assumes: images of `crates/sgx-emu/bench`, and `tlease-sgx-run` beside this program.
//! - Never: isolates anything; says what real exits or encrypted memory cost.
//! - Start reading at [`main`].
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;
use tlease_sgx_emu::bench::{Bench, Extent};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (fenced, plain, extent) = match arguments[..] {
        [fenced, plain] => (fenced, plain, Extent::Whole),
        [fenced, plain, "--quick"] => (fenced, plain, Extent::Quick),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let run = Bench::new(Path::new(fenced), Path::new(plain), extent);
    match run.and_then(|bench| bench.run(|line| println!("{line}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("tlease-sgx-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
usage: tlease-sgx-bench FENCED.sgxs PLAIN.sgxs [--quick]

Both are images of tlease-sgx-subject, the second without the fences that the target inserts.
";
