//! The head claim: at no instant do two holders act under leases that exclude each other.

use super::Claim;
use crate::world::Usable;
use tlease_core::Mode;

pub(crate) const CLAIM: Claim = Claim::new(
    "exclusion",
    "no two holders act at one instant under leases that exclude each other",
);

pub(crate) fn check(usable: &[Usable]) -> Result<(), String> {
    for (index, one) in usable.iter().enumerate() {
        for other in usable.iter().skip(index + 1) {
            let both_share = one.mode == Mode::Shared && other.mode == Mode::Shared;
            if one.name == other.name && !both_share {
                return Err(format!("two act: {one:?} and {other:?}"));
            }
        }
    }
    Ok(())
}
