//! A clock of the profile `enclave-sim`, and leases that it times.

use std::sync::{Arc, Mutex, PoisonError};

use tlease_clock::LeaseCell;
use tlease_clock::enclave::{
    EnclaveSim, Hertz, HzRange, KeeperClock, KeeperCount, MachineProfile, SimOpenFault, Smt,
};
use tlease_clock::machine::Survey;
use tlease_core::time::Span;

use super::fence;

/// A machine profile wide enough for whatever runs these tests, however slow a moment ago; `None`, with
/// a word, if the model is not known or the counter is not steady.
pub(crate) fn machine() -> Option<MachineProfile> {
    let survey = Survey::take(Span::from_millis(20)).inspect_err(|why| println!("skipped: {why}"));
    let survey = survey.ok()?;
    let fastest = Hertz::new(8_000_000_000).expect("not zero");
    let cores = HzRange::assume(survey.core_hz_min(), fastest).expect("a range");
    let machine =
        MachineProfile::assume(survey.cpu.clone(), cores, survey.tsc_hz_admitted(), Smt::On);
    Some(machine.expect("a profile"))
}

pub(crate) fn open(profile: &EnclaveSim) -> Option<Arc<KeeperClock>> {
    match KeeperClock::open(profile) {
        Ok(clock) => Some(Arc::new(clock)),
        Err(SimOpenFault::NoMarks(why)) => {
            println!("skipped: {why}");
            None
        }
        Err(other) => panic!("{other}"),
    }
}

pub(crate) fn clock(count: KeeperCount) -> Option<Arc<KeeperClock>> {
    open(&EnclaveSim::new(machine()?).keepers(count))
}

/// One test at a time: timekeepers of several would take the two cores from each other.
pub(crate) fn alone() -> impl Drop {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing behind for the next.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds as a granter that answers at once would let it; whether a timekeeper served just then.
#[must_use]
pub(crate) fn hold(cell: &LeaseCell<KeeperClock>, term: Span) -> bool {
    cell.clock().keepers().anchor().is_some_and(|anchor| cell.hold(fence(1), &anchor, term).is_ok())
}
