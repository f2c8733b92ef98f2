//! A clock of the profile `enclave-sim`, and leases that it times.

use std::sync::{Arc, Mutex, PoisonError};

use tlease_clock::LeaseCell;
use tlease_clock::enclave::{
    CpuModel, EnclaveSim, Hertz, HzRange, KeeperClock, KeeperCount, MachineProfile, SimOpenFault,
    Smt,
};
use tlease_core::time::Span;

use super::fence;

fn hz(min: u64, max: u64) -> HzRange {
    let hertz = |number| Hertz::new(number).expect("not zero");
    HzRange::assume(hertz(min), hertz(max)).expect("a range")
}

/// A machine profile wide enough for whatever runs these tests; `None`, with a word, if the model or the
/// rate of its counter is not known.
pub(crate) fn machine() -> Option<MachineProfile> {
    let Some(counter) = counter_rate() else {
        println!("skipped: the kernel does not say how fast the counter runs");
        return None;
    };
    let machine = MachineProfile::assume(
        CpuModel::here(),
        hz(200_000_000, 8_000_000_000),
        hz(counter - counter / 2_000, counter + counter / 2_000),
        Smt::On,
    );
    machine.inspect_err(|why| println!("skipped: {why}")).ok()
}

/// Ticks in a second, as the kernel calibrated them: it delays by two of its loops a tick.
fn counter_rate() -> Option<u64> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpus.lines().find(|line| line.starts_with("bogomips"))?;
    let (_, millions) = line.split_once(':')?;
    let (whole, hundredths) = millions.trim().split_once('.')?;
    let hundredths = whole.parse::<u64>().ok()? * 100 + hundredths.parse::<u64>().ok()?;
    Some(hundredths * 10_000 / 2)
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
