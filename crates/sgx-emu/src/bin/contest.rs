//! Three enclaves contend for a name, one is kept outside in the midst of an act, and a judge says
//! whether an effect came too late.
//!
//! - Promises: ends with 0 only if the holder was kept outside as often as was asked, both holders
//!   acted, and no effect came too late; with 1 if one did; with 2 if nothing was shown.
//! - Assumes: an image of `crates/enclave`, and `tlease-sgx-run` beside this program.
//! - Never: isolates anything.
//! - Start reading at [`main`].
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use tlease_sgx_emu::contest::Contest;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(contest) = contest(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(NOT_SHOWN);
    };
    println!("NOTHING IS ISOLATED: three enclaves run under emulation, for tests only");
    let seen = match contest.run(|line| println!("{line}")) {
        Ok(seen) => seen,
        Err(stop) => {
            eprintln!("nothing was shown: {stop}");
            return ExitCode::from(NOT_SHOWN);
        }
    };
    let [first, second] = seen.acts;
    println!(
        "{} leases, {first} acts of the first holder and {second} of the second; kept outside {} \
         times, stale effects {}, by the entries themselves {}, confused fences {}",
        seen.leases, seen.rounds, seen.stale, seen.stale_by_entry, seen.confused
    );
    if !seen.is_safe() {
        println!("UNSAFE");
        return ExitCode::FAILURE;
    }
    println!("safe: no effect came too late");
    ExitCode::SUCCESS
}

fn contest(arguments: &[&str]) -> Option<Contest> {
    let (image, rounds, follow, actions) = match arguments {
        [image, rounds] => (image, rounds, BEFORE_THE_ACT, &[][..]),
        [image, rounds, follow, actions @ ..] => (image, rounds, *follow, actions),
        _ => return None,
    };
    let runner = std::env::current_exe().ok()?.with_file_name("tlease-sgx-run");
    Some(Contest {
        runner,
        image: PathBuf::from(image),
        rounds: rounds.parse().ok()?,
        follow: follow.to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        is_still: false,
        bug: None,
    })
}

/// Between the check, which said that the lease is valid, and the act.
const BEFORE_THE_ACT: &str = "act_alone=0";
const NOT_SHOWN: u8 = 2;
const USAGE: &str = "\
usage: tlease-sgx-contest IMAGE.sgxs ROUNDS [FUNCTION=STEPS [ACTION...]]

Keeps the first holder outside at that place, by default between check and act (act_alone=0), after the
actions, which are those of `tlease-sgx-run --do`.
";
