//! A clock of the profile `enclave-sim`, and leases that it times.

use std::sync::Arc;

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

/// A machine profile wide enough for whatever runs these tests; `None`, with a word, if the model is
/// not known.
pub(crate) fn machine() -> Option<MachineProfile> {
    let machine = MachineProfile::assume(
        CpuModel::here(),
        hz(200_000_000, 8_000_000_000),
        hz(2_595_000_000, 2_597_000_000),
        Smt::On,
    );
    machine.inspect_err(|why| println!("skipped: {why}")).ok()
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

/// Holds as a granter that answers at once would let it: until an anchor is not void.
pub(crate) fn hold(cell: &LeaseCell<KeeperClock>, term: Span) {
    loop {
        if let Some(anchor) = cell.clock().keepers().anchor()
            && cell.hold(fence(1), &anchor, term).is_ok()
        {
            return;
        }
        std::hint::spin_loop();
    }
}
