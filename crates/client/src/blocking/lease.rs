//! Leases for threads.

use std::time::Duration;

use super::{Events, wait};
use crate::error::{Loss, NotValid, ReleaseError, RenewError};
use crate::guard::{Act, Committed, Published, Refusal, Store};
use crate::memory::{Registered, Word};
use crate::{Deadline, Fence, Renewed, Valid};

/// As [`tlease::Lease`](crate::Lease), for threads.
#[derive(Debug, Clone)]
pub struct Lease(pub(super) crate::Lease);

impl Lease {
    /// As [`tlease::Lease::fence`](crate::Lease::fence).
    #[must_use]
    #[inline]
    pub const fn fence(&self) -> Fence {
        self.0.fence()
    }

    /// As [`tlease::Lease::check`](crate::Lease::check).
    ///
    /// # Errors
    /// [`NotValid`].
    #[inline]
    pub fn check(&self) -> Result<Valid, NotValid> {
        self.0.check()
    }

    /// As [`tlease::Lease::ensure`](crate::Lease::ensure).
    ///
    /// # Errors
    /// [`RenewError`].
    pub fn ensure(&self, left: Duration) -> Result<Valid, RenewError> {
        match self.check() {
            // Usually there is nothing to wait for.
            Ok(valid) if valid.remaining >= left => Ok(valid),
            Ok(_) | Err(_) => wait(self.0.ensure(left)),
        }
    }

    /// As [`tlease::Lease::renew`](crate::Lease::renew).
    ///
    /// # Errors
    /// [`RenewError`].
    pub fn renew(&self, term: Option<Duration>) -> Result<Renewed, RenewError> {
        wait(self.0.renew(term))
    }

    /// As [`tlease::Lease::commit`](crate::Lease::commit).
    ///
    /// # Errors
    /// [`Refusal`].
    #[inline]
    pub fn commit<M, R>(
        &self,
        memory: &M,
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        self.0.commit(memory, body)
    }

    /// As [`tlease::Lease::commit_ops`](crate::Lease::commit_ops).
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn commit_ops(&self, stores: &[Store<'_>]) -> Result<Committed<()>, Refusal> {
        self.0.commit_ops(stores)
    }

    /// As [`tlease::Lease::publish`](crate::Lease::publish).
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn publish(&self, word: &Word<'_>, value: u64) -> Result<Published, Refusal> {
        self.0.publish(word, value)
    }

    /// As [`tlease::Lease::lost`](crate::Lease::lost): waits until it is over.
    #[must_use]
    pub fn wait_lost(&self) -> Loss {
        wait(self.0.lost())
    }

    /// As [`tlease::Lease::events`](crate::Lease::events).
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.0.events())
    }

    /// As [`tlease::Lease::deadline`](crate::Lease::deadline).
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.0.deadline()
    }

    /// As [`tlease::Lease::release`](crate::Lease::release).
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(self) -> Result<bool, ReleaseError> {
        wait(self.0.release())
    }

    /// As [`tlease::Lease::leak`](crate::Lease::leak).
    pub fn leak(self) {
        self.0.leak();
    }

    /// As [`tlease::Lease::downgrade`](crate::Lease::downgrade).
    ///
    /// # Errors
    /// [`RenewError`].
    pub fn downgrade(&self) -> Result<(), RenewError> {
        wait(self.0.downgrade())
    }
}
