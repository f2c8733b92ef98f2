//! I20: what a thread of an enclave says of this moment rests on a handshake that it began after it was
//! interrupted last.

use super::Claim;
use crate::world::enclave::Reading;

pub(crate) const CLAIM: Claim =
    Claim::new("I20", "what a thread knows of the fast hand ends with its stay");

pub(crate) fn check(reading: &Reading) -> Result<(), String> {
    match reading.broken_at {
        Some(broken) if reading.since < broken => Err(format!(
            "relies on a handshake that began at {}, though interrupted at {broken}",
            reading.since
        )),
        Some(_) | None => Ok(()),
    }
}
