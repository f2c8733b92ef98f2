//! The arithmetic of [`Fingerprint`]: the same on both sides, so that "all" means the same leases
//! (invariant I14).

use crate::fence::{Fence, Mode};
use crate::identity::Secret;
use crate::mac::{Key, Signature};
use crate::message::Fingerprint;
use crate::name::Name;

impl Fingerprint {
    /// Of no lease.
    pub const EMPTY: Self = Self { count: 0, sum: 0 };

    /// Of a set of leases of the session with this secret.
    pub fn of<'a>(secret: &Secret, leases: impl Iterator<Item = (&'a Name, Fence, Mode)>) -> Self {
        let mut all = Self::EMPTY;
        for (name, fence, mode) in leases {
            all.add(secret, name, fence, mode);
        }
        all
    }

    pub(crate) fn add(&mut self, secret: &Secret, name: &Name, fence: Fence, mode: Mode) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(term_of_sum(secret, name, fence, mode));
    }

    pub(crate) fn remove(&mut self, secret: &Secret, name: &Name, fence: Fence, mode: Mode) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(term_of_sum(secret, name, fence, mode));
    }
}

fn term_of_sum(secret: &Secret, name: &Name, fence: Fence, mode: Mode) -> u128 {
    let hash = Signature::new(&Key(secret.0)).u64(fence.get()).u64(mode_number(mode));
    u128::from_le_bytes(hash.bytes(name.as_bytes()).finish())
}

/// A mode as a number, for hashes and signatures.
pub(crate) const fn mode_number(mode: Mode) -> u64 {
    match mode {
        Mode::Exclusive => 1,
        Mode::Shared => 2,
    }
}
