//! I4: whoever can act is known to the granter: it did not free the name before the lease must have
//! been over.

use super::Claim;
use super::witness::Witness;
use crate::world::{Effect, Usable};

pub(crate) const CLAIM: Claim =
    Claim::new("I4", "the granter frees a name only on release or when its lease must be over");

/// To be asked while the granter serves and can have told what it did.
pub(crate) fn check(usable: &[Usable], witness: &Witness) -> Result<(), String> {
    let freed = usable.iter().find(|lease| !witness.knows(lease.name, lease.fence));
    freed.map_or(Ok(()), |lease| Err(format!("the granter freed {lease:?}, which acts")))
}

/// At the instant of an effect, asked as above.
pub(crate) fn knows(effect: &Effect, witness: &Witness) -> Result<(), String> {
    if witness.knows(effect.name, effect.fence) {
        Ok(())
    } else {
        Err(format!("the granter freed the lease of {effect:?}"))
    }
}

/// A granter that says it leaves nothing behind.
pub(crate) fn settled(usable: &[Usable]) -> Result<(), String> {
    usable.first().map_or(Ok(()), |lease| Err(format!("settled while {lease:?} acts")))
}
