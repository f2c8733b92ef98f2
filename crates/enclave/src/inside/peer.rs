//! Who an enclave is to others: a key of this instance alone, for which the processor speaks.

use super::end;
use crate::config::Config;
use tlease_attest::{Appraiser, Identity, Sgx};

/// This instance, and by what it judges others.
#[derive(Debug)]
pub(super) struct Attested {
    pub(super) identity: Identity,
    pub(super) appraiser: Appraiser,
}

impl Attested {
    /// Draws a key.
    pub(super) fn here(config: &Config) -> Self {
        let identity = Identity::new(Sgx::here()).unwrap_or_else(|why| end(why));
        Self { identity, appraiser: Appraiser::new(config.peers.clone()) }
    }
}

/// Random bits of the processor: sessions, their secrets, keys.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bits = [0; N];
    if let Err(error) = getrandom::fill(&mut bits) {
        end(error);
    }
    bits
}
