//! Set-up, test, bench and tidy for the workspace: `cargo xtask test`; the others: `cargo xtask`.
//!
//! - Promises: `test` is the whole gate, and it writes nothing but build output; every failure ends
//!   with the command that repeats it.
//! - Assumes: a Rust toolchain by rustup; a network for what is not there yet.
//! - Never: changes a tracked file, except `fix`.
//! - Start reading at [`gate`], then [`tidy`].
#![forbid(unsafe_code)]

mod bench;
mod fix;
mod fuzz;
mod gate;
mod job;
mod setup;
mod sgx;
mod tidy;
mod tlc;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["test"] => gate::run(gate::Extent::Gate),
        ["test", "--full"] => gate::run(gate::Extent::Full),
        ["tidy"] => tidy::run(),
        ["tlc"] => tlc::run(gate::Extent::Gate),
        ["tlc", "--full"] => tlc::run(gate::Extent::Full),
        ["fuzz"] => fuzz::run(fuzz::SECONDS),
        ["fuzz", "--seconds", seconds] => seconds.parse().map_or_else(|_| usage(), fuzz::run),
        ["sgx", "build"] => sgx::build(""),
        ["sgx", "build", "--features", features] => sgx::build(features),
        ["sgx", "measure"] => sgx::measure(""),
        ["sgx", "lint"] => sgx::lint(),
        ["sgx", "measure", "--features", features] => sgx::measure(features),
        ["sgx", "run"] => sgx::run("2"),
        ["sgx", "run", "--rounds", rounds] => sgx::run(rounds),
        ["sgx", "bench"] => sgx::bench(sgx::Bench::Whole),
        ["sgx", "bench", "--quick"] => sgx::bench(sgx::Bench::Quick),
        ["sgx", "test"] => sgx::test(gate::Extent::Gate),
        ["sgx", "test", "--full"] => sgx::test(gate::Extent::Full),
        ["bench"] => bench::run(),
        ["fix"] => fix::run(),
        ["fix", "--counts"] => fix::counts(),
        ["fix", "--behaviours"] => fix::behaviours(),
        ["fix", "--corpora"] => fix::corpora(),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--full]  install what the tests need and is missing, then run the whole gate;
                 --full adds the long runs (TLEASE_FULL=1), which take hours rather than minutes
  tidy           check what the compiler does not: unsafe code, sizes, dependencies, claims, links
  tlc [--full]   check the TLA+ specification in spec/ with TLC, that TLC finds each planted mutation,
                 and that the code does what the specification does; --full adds the long runs
  fuzz [--seconds N]
                 look for inputs that break a claim, guided by coverage: each target for N seconds,
                 60 unless said otherwise; needs a C++ compiler
  sgx build [--features F] | measure [--features F] | run [--rounds N] | test [--full] |
      bench [--quick] | lint
                 build the enclave for SGX, lay it out, measure and sign it; print its measurement
                 alone; run a granter and two holders that contend for a name, one of which is kept
                 outside between check and act N times, and judge (exit code 0: no effect came too
                 late, 1: one did, 2: nothing was shown); attack it under emulation (--full: also
                 lint it, and build it again in another folder, where it must measure the same);
                 measure what timekeepers, checks and acts cost in it (--quick: only see that it
                 runs); lint what no other target compiles
  bench          run the benchmarks and print every budget with met or not met
  fix            format, apply what clippy can, and write the counts into the README
                 (--counts: only the last; --behaviours: only spec/behaviours.txt, with TLC;
                 --corpora: only the corpora of crates/fuzz, from what was found so far)
";
