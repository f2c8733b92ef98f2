//! `Held`: the proof, for code, that a lease was checked.

use core::marker::PhantomData;

use crate::fence::{Fence, Mode};
use crate::time::Span;

/// Proves that its lease was valid when it was looked at.
///
/// Cannot be made outside this module, cloned, sent to another thread, or kept beyond the borrow of
/// the holder that gave it: a function that takes `&Held<'_>` cannot be called by code that forgot to
/// check.
///
/// It is a proof of a moment that has passed. Where check and act must be one step, the act goes
/// through a guard.
#[derive(Debug)]
pub struct Held<'h> {
    fence: Fence,
    mode: Mode,
    at_least: Span,
    not_send: PhantomData<(&'h (), *const ())>,
}

impl Held<'_> {
    pub(super) const fn prove(fence: Fence, mode: Mode, at_least: Span) -> Self {
        Self { fence, mode, at_least, not_send: PhantomData }
    }

    /// The fence to act under.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether others may hold the name too.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How long the lease was still valid when it was looked at, at least, rounded down.
    #[must_use]
    pub const fn at_least(&self) -> Span {
        self.at_least
    }
}
