//! Fences: numbers that only go up, and the check a resource makes with them.

use core::fmt;
use core::num::NonZeroU64;

/// The number of one grant. Strictly increasing over all grants of a granter, also across its
/// restarts (invariant I7); gaps are normal.
///
/// A resource that remembers the highest fence it has seen can refuse a holder whose lease is over:
/// see [`FenceGate`]. The idea is Chubby's *sequencer* (Burrows, OSDI 2006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(NonZeroU64);

impl Fence {
    /// The first fence a granter ever gives.
    pub const FIRST: Self = Self(NonZeroU64::MIN);
    /// The last fence that fits beside the state bit in a guard's word: 2^63 - 1.
    pub const LAST: Self = match NonZeroU64::new(u64::MAX >> 1) {
        Some(last) => Self(last),
        None => unreachable!(),
    };

    /// The fence with this number, if it is one: not zero, not above [`Fence::LAST`].
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() <= Self::LAST.0.get() => Some(Self(number)),
            Some(_) | None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The fence after this one, or `None` after [`Fence::LAST`].
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Self::new(number.get()),
            None => None,
        }
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many may hold a name at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One holder, and nobody beside it.
    Exclusive,
    /// Any number of holders, all of them shared.
    Shared,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        })
    }
}

/// The check at a resource: refuses the fence of a holder that has been succeeded.
///
/// Acts that leave the holder's memory are safe where the resource does this (assumption A13). Keep one
/// beside each resource, as durable as the resource itself, and update both in one atomic step. The rule with shared leases is from a model check (see `docs/design.md`): a shared fence
/// passes iff it is at least the highest *exclusive* one seen, so that shared holders do not refuse
/// each other; an exclusive one iff it is at least the highest of any mode.
///
/// # Examples
/// ```
/// use tlease_core::fence::{Fence, FenceGate, Mode};
/// let mut gate = FenceGate::default();
/// let (old, new) = (Fence::new(5).unwrap(), Fence::new(6).unwrap());
/// assert!(gate.admit(new, Mode::Exclusive).is_ok());
/// assert!(gate.admit(old, Mode::Exclusive).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FenceGate {
    highest_exclusive: Option<Fence>,
    highest: Option<Fence>,
}

impl FenceGate {
    /// A gate that has seen these fences: restored from wherever the resource keeps them.
    #[must_use]
    pub fn restore(highest_exclusive: Option<Fence>, highest_shared: Option<Fence>) -> Self {
        Self { highest_exclusive, highest: highest_exclusive.max(highest_shared) }
    }

    /// The highest exclusive fence seen, and the highest of any mode: what must be kept.
    #[must_use]
    pub const fn seen(&self) -> (Option<Fence>, Option<Fence>) {
        (self.highest_exclusive, self.highest)
    }

    /// Admits an act under `fence`, or refuses it because a successor has acted already.
    ///
    /// # Errors
    /// [`StaleFence`] if a newer holder was seen; nothing changes.
    pub fn admit(&mut self, fence: Fence, mode: Mode) -> Result<(), StaleFence> {
        let bar = match mode {
            Mode::Exclusive => self.highest,
            Mode::Shared => self.highest_exclusive,
        };
        if let Some(newest) = bar.filter(|newest| fence < *newest) {
            return Err(StaleFence { fence, newest });
        }
        if mode == Mode::Exclusive {
            self.highest_exclusive = Some(fence);
        }
        self.highest = self.highest.max(Some(fence));
        Ok(())
    }
}

/// An act arrived under a fence whose lease has been succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleFence {
    /// The fence that came.
    pub fence: Fence,
    /// The newer fence that the resource has seen.
    pub newest: Fence,
}

impl fmt::Display for StaleFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fence {} is stale: the resource has seen {}", self.fence, self.newest)
    }
}

impl core::error::Error for StaleFence {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(number: u64) -> Fence {
        Fence::new(number).unwrap()
    }

    #[test]
    fn shared_holders_do_not_refuse_each_other() {
        let mut gate = FenceGate::default();
        gate.admit(fence(4), Mode::Exclusive).unwrap();
        gate.admit(fence(7), Mode::Shared).unwrap();
        gate.admit(fence(6), Mode::Shared).unwrap();
        assert_eq!(gate.seen(), (Some(fence(4)), Some(fence(7))));
    }

    #[test]
    fn an_exclusive_act_is_refused_after_any_newer_fence() {
        let mut gate = FenceGate::default();
        gate.admit(fence(7), Mode::Shared).unwrap();
        let refused = gate.admit(fence(6), Mode::Exclusive).unwrap_err();
        assert_eq!(refused, StaleFence { fence: fence(6), newest: fence(7) });
        assert_eq!(gate.seen(), (None, Some(fence(7))), "a refusal changes nothing");
    }

    #[test]
    fn a_shared_act_is_refused_after_a_newer_exclusive_one() {
        let mut gate = FenceGate::restore(Some(fence(9)), None);
        assert!(gate.admit(fence(8), Mode::Shared).is_err());
        assert!(gate.admit(fence(9), Mode::Shared).is_ok());
    }

    #[test]
    fn numbers_outside_the_range_are_no_fences() {
        assert_eq!(Fence::new(0), None);
        assert_eq!(Fence::new(u64::MAX), None);
        assert_eq!(Fence::LAST.next(), None);
        assert_eq!(Fence::FIRST.next(), Fence::new(2));
    }
}
