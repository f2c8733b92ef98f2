//! Contests, one at a time: each keeps a core busy for each of its three timekeepers.

use super::image;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tlease_sgx_emu::contest::{Contest, Seen, Stop};

/// What is wrong with the acts of a holder of an image with planted bugs, by the names that it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mutant {
    Unguarded,
    MarkIgnored,
    MarkTestedOutside,
    CallOutlived,
}

/// A contest of one round, at the place that `follow` names.
pub(crate) fn contest_of(name: &str, follow: &str) -> Contest {
    Contest {
        runner: Path::new(env!("CARGO_BIN_EXE_tlease-sgx-run")).to_owned(),
        image: image(name),
        rounds: 1,
        follow: follow.to_owned(),
        actions: Vec::new(),
        is_still: false,
        bug: None,
    }
}

/// What comes of it. `None`, with a word, if the enclaves did not get so far in time: three that spin, on a
/// machine that is busy with much else.
pub(crate) fn seen_in(contest: &Contest) -> Option<Seen> {
    let _one = one();
    let seen = match contest.run(|line| println!("{line}")) {
        Ok(seen) => seen,
        Err(late @ Stop::Missing(_)) => {
            println!("skipped: {late}");
            return None;
        }
        Err(stop) => panic!("{stop}"),
    };
    println!("{seen:?}");
    assert_eq!(seen.rounds, contest.rounds);
    Some(seen)
}

pub(crate) fn one() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
