//! A clock of whichever profile, for what does not care which: clients and granters.

use alloc::sync::Arc;
use core::fmt;
use std::io;

use tlease_core::fence::Fence;
use tlease_core::time::{FastHand, FastInstant, Now, SlowHand, SlowInstant, Span};

use crate::deadline::Deadline;
use crate::enclave::{EnclaveSim, KeeperClock, SimOpenFault};
use crate::guard::{Act, Committed, LateCommits, Published, Refusal, Store};
use crate::host::{HostClock, OpenFault};
use crate::lease::{Check, HoldRefusal, LeaseCell};
use crate::memory::{Registered, Word};
use crate::profile::Profile;
use crate::vmclock::Generation;

/// A trust profile: what is believed about time on this machine.
///
/// Both [`Profile`] and [`EnclaveSim`] turn into one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Trust {
    /// The kernel and the hypervisor keep time.
    Host(Profile),
    /// The processor alone keeps time, and a timekeeper's thread counts it. A test vehicle (A17).
    EnclaveSim(EnclaveSim),
}

/// The clock of a trust profile. A clone is the same clock.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The kernel's.
    Host(Arc<HostClock>),
    /// Of timekeepers, which run as long as some clone of it lives.
    Keepers(Arc<KeeperClock>),
}

/// A clock cannot be opened as its profile asks.
#[derive(Debug)]
pub enum ClockFault {
    /// One of the profile `host`.
    Host(OpenFault),
    /// One of the profile `enclave-sim`.
    EnclaveSim(SimOpenFault),
}

/// A [`LeaseCell`] timed by a clock of whichever profile.
#[derive(Debug)]
pub enum Cell {
    /// By the kernel's clock.
    Host(LeaseCell<HostClock>),
    /// By timekeepers.
    Keepers(LeaseCell<KeeperClock>),
}

impl Clock {
    /// Opens the clock of this profile.
    ///
    /// # Errors
    /// [`ClockFault`].
    pub fn open(trust: &Trust) -> Result<Self, ClockFault> {
        match trust {
            Trust::Host(profile) => {
                let clock = HostClock::open(profile).map_err(ClockFault::Host)?;
                Ok(Self::Host(Arc::new(clock)))
            }
            Trust::EnclaveSim(profile) => {
                let clock = KeeperClock::open(profile).map_err(ClockFault::EnclaveSim)?;
                Ok(Self::Keepers(Arc::new(clock)))
            }
        }
    }

    /// Reads the slow hand: for a granter, after the last byte of the input was read.
    #[must_use]
    pub fn slow_now(&self) -> Now<SlowInstant> {
        match self {
            Self::Host(clock) => clock.slow_now(),
            Self::Keepers(clock) => clock.slow_now(),
        }
    }

    /// The arithmetic of the slow hand.
    #[must_use]
    pub fn slow_hand(&self) -> SlowHand {
        match self {
            Self::Host(clock) => clock.slow_hand(),
            Self::Keepers(clock) => clock.slow_hand(),
        }
    }

    /// Reads the fast hand: for a holder, before the bytes of its request are handed to the transport.
    #[must_use]
    pub fn fast_now(&self) -> Now<FastInstant> {
        match self {
            Self::Host(clock) => clock.fast_now(),
            Self::Keepers(clock) => clock.fast_now(),
        }
    }

    /// Which copy of itself this machine is, never older than the last reading of the fast hand
    /// ([`HostClock::generation`]). Timekeepers cannot tell.
    #[must_use]
    pub fn generation(&self) -> Generation {
        match self {
            Self::Host(clock) => clock.generation(),
            Self::Keepers(_) => Generation::Untold,
        }
    }

    /// The arithmetic of the fast hand.
    #[must_use]
    pub fn fast_hand(&self) -> FastHand {
        match self {
            Self::Host(clock) => clock.fast_hand(),
            Self::Keepers(clock) => clock.fast_hand(),
        }
    }

    /// The acts so far that could not be shown to have been on time (assumption A6).
    #[must_use]
    pub fn late_commits(&self) -> LateCommits {
        match self {
            Self::Host(clock) => clock.late_commits(),
            Self::Keepers(clock) => clock.late_commits(),
        }
    }

    /// Opens a cell that it times, not held.
    ///
    /// # Errors
    /// As [`LeaseCell::new`].
    pub fn cell(&self) -> io::Result<Cell> {
        match self {
            Self::Host(clock) => LeaseCell::new(Arc::clone(clock)).map(Cell::Host),
            Self::Keepers(clock) => LeaseCell::new(Arc::clone(clock)).map(Cell::Keepers),
        }
    }
}

impl Cell {
    /// As [`LeaseCell::hold`].
    ///
    /// # Errors
    /// [`HoldRefusal`].
    pub fn hold(&self, fence: Fence, anchor: &FastInstant, term: Span) -> Result<(), HoldRefusal> {
        match self {
            Self::Host(cell) => cell.hold(fence, anchor, term),
            Self::Keepers(cell) => cell.hold(fence, anchor, term),
        }
    }

    /// As [`LeaseCell::suspend`].
    pub fn suspend(&self, fence: Fence) {
        match self {
            Self::Host(cell) => cell.suspend(fence),
            Self::Keepers(cell) => cell.suspend(fence),
        }
    }

    /// As [`LeaseCell::curtail`].
    ///
    /// # Errors
    /// [`HoldRefusal`].
    pub fn curtail(
        &self,
        fence: Fence,
        anchor: &FastInstant,
        term: Span,
    ) -> Result<(), HoldRefusal> {
        match self {
            Self::Host(cell) => cell.curtail(fence, anchor, term),
            Self::Keepers(cell) => cell.curtail(fence, anchor, term),
        }
    }

    /// As [`LeaseCell::revoke`].
    pub fn revoke(&self) -> Option<Fence> {
        match self {
            Self::Host(cell) => cell.revoke(),
            Self::Keepers(cell) => cell.revoke(),
        }
    }

    /// As [`LeaseCell::check`] of the clock's profile.
    #[inline]
    pub fn check(&self, fence: Fence) -> Check {
        match self {
            Self::Host(cell) => cell.check(fence),
            Self::Keepers(cell) => cell.check(fence),
        }
    }

    /// As [`LeaseCell::commit`] of the clock's profile.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    #[inline]
    pub fn commit<M, R>(
        &self,
        fence: Fence,
        memory: &M,
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        match self {
            Self::Host(cell) => cell.commit(fence, memory, body),
            Self::Keepers(cell) => cell.commit(fence, memory, body),
        }
    }

    /// As [`LeaseCell::commit_ops`] of the clock's profile.
    ///
    /// # Errors
    /// As [`Cell::commit`].
    pub fn commit_ops(&self, fence: Fence, stores: &[Store<'_>]) -> Result<Committed<()>, Refusal> {
        match self {
            Self::Host(cell) => cell.commit_ops(fence, stores),
            Self::Keepers(cell) => cell.commit_ops(fence, stores),
        }
    }

    /// As [`LeaseCell::publish`] of the clock's profile.
    ///
    /// # Errors
    /// As [`Cell::commit`].
    pub fn publish(&self, fence: Fence, word: &Word<'_>, value: u64) -> Result<Published, Refusal> {
        match self {
            Self::Host(cell) => cell.publish(fence, word, value),
            Self::Keepers(cell) => cell.publish(fence, word, value),
        }
    }

    /// The deadline as plain data for another process, as [`LeaseCell::deadline`]; `None` also where
    /// timekeepers time it, whose readings mean nothing to another process.
    #[must_use]
    pub fn deadline(&self, fence: Fence) -> Option<Deadline> {
        match self {
            Self::Host(cell) => cell.deadline(fence),
            Self::Keepers(_) => None,
        }
    }
}

impl From<Profile> for Trust {
    fn from(profile: Profile) -> Self {
        Self::Host(profile)
    }
}

impl From<EnclaveSim> for Trust {
    fn from(profile: EnclaveSim) -> Self {
        Self::EnclaveSim(profile)
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::Host(Profile::host())
    }
}

impl fmt::Display for Clock {
    /// One line: what it trusts and what it found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(clock) => clock.fmt(f),
            Self::Keepers(clock) => clock.fmt(f),
        }
    }
}

impl fmt::Display for ClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(fault) => fault.fmt(f),
            Self::EnclaveSim(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for ClockFault {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Host(fault) => fault.source(),
            Self::EnclaveSim(fault) => fault.source(),
        }
    }
}
