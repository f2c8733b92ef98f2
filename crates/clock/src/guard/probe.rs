//! Whether a transaction can read the clock here: tried, on the clock source of the moment.

use core::sync::atomic::AtomicU64;

use super::status::{Next, Tries, Verdict};
use crate::arch::{Gate, GateClocks, Rtm, Tail};
use crate::lease::record::{NOT_HELD, RECORD_WORDS};

/// Whether one of a bounded number of transactions reads the clock.
///
/// A clock source that the vDSO cannot read becomes a system call, which aborts. The gate of a lease
/// that is not held refuses only after it has read the clock: its refusal is the proof.
pub(crate) fn reads_clock_in_transaction(rtm: Rtm, clocks: &GateClocks<'_>) -> bool {
    let record = [const { AtomicU64::new(NOT_HELD) }; RECORD_WORDS];
    let mut gate = Gate::new(clocks, &record, !NOT_HELD);
    (0..PROBES).any(|_| {
        gate.touch();
        match rtm.transact(&mut gate, || ()) {
            Ok(_) => true,
            Err(status) => Tries::default().after(status) == Next::Refuse(Verdict::Revoked),
        }
    })
}

/// Interrupts abort some transactions; so many in a row they do not.
const PROBES: u32 = 64;
