//! I7: fences go up in the order in which they are given, also across restarts; and in the order of
//! effects: a resource that remembers the newest fence refuses nobody who can act, and admits no write
//! after one of a later lease that excludes it.

use std::collections::BTreeMap;

use tlease_core::{Fence, FenceGate};

use super::Claim;
use crate::world::Usable;

pub(crate) const CLAIM: Claim =
    Claim::new("I7", "fences strictly increase from grant to grant, across restarts");

/// The highest fence so far.
#[derive(Debug, Default)]
pub(crate) struct Fences(Option<Fence>);

impl Fences {
    pub(crate) const fn highest(&self) -> Option<Fence> {
        self.0
    }

    pub(crate) fn given(&mut self, fence: Fence) -> Result<(), String> {
        let before = self.0.replace(fence);
        if before < Some(fence) { Ok(()) } else { Err(format!("{fence} after {before:?}")) }
    }
}

/// A resource behind each name, on which everybody acts who can.
#[derive(Debug, Default)]
pub(crate) struct Resources(BTreeMap<u64, FenceGate>);

impl Resources {
    pub(crate) fn check(&mut self, usable: &[Usable]) -> Result<(), String> {
        for lease in usable {
            let gate = self.0.entry(lease.name).or_default();
            gate.admit(lease.fence, lease.mode).map_err(|why| format!("{lease:?}: {why}"))?;
        }
        Ok(())
    }
}
