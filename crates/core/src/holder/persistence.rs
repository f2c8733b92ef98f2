//! What is done when renewals do not help: suspect leases are renewed again, at once, then after pauses.
//!
//! A clock that is interrupted all the time, or stands, would otherwise have its holder and its granter
//! write to each other as fast as they can, and so take from a timekeeper the core that it lacks.

use alloc::vec::Vec;

use crate::time::Span;

use super::io::{Handle, WakeReason};
use super::lease::State;
use super::timers::tick_after;
use super::{About, Holder};

/// How often renewals have come back in vain since one helped.
#[derive(Debug, Default)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Persistence {
    /// Answers whose anchor's segment was over when they came.
    in_vain: u32,
    /// Whether the answer that is being taken in is such a one.
    found: bool,
    /// Until when suspect leases are not renewed, in ticks of the timers.
    paused_until: Option<u64>,
}

impl Persistence {
    /// A renewal extended a lease.
    pub(super) const fn helped(&mut self) {
        self.in_vain = 0;
    }

    /// A renewal came too late for its anchor's segment.
    pub(super) const fn found_vain(&mut self) {
        self.found = true;
    }

    /// Whether suspect leases wait for their next attempt.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    /// The next attempt.
    pub(super) fn due(&self) -> Option<(u64, WakeReason)> {
        self.paused_until.map(|tick| (tick, WakeReason::Suspect))
    }
}

impl Holder {
    /// After an answer: if it was in vain, what is suspect is renewed again now or later.
    pub(super) fn persist(&mut self) {
        if !core::mem::take(&mut self.persistence.found) {
            return;
        }
        let pause = pause_after(self.persistence.in_vain);
        self.persistence.in_vain = self.persistence.in_vain.saturating_add(1);
        match pause {
            None => self.try_again(),
            Some(pause) => {
                self.persistence.paused_until = Some(tick_after(self.advance, pause));
            }
        }
    }

    /// The shell woke this machine: a pause is over, whatever the hand says of it.
    pub(super) fn end_pause(&mut self) {
        if self.persistence.paused_until.take().is_some() {
            self.try_again();
        }
    }

    fn try_again(&mut self) {
        self.renewal_due = true;
        let unconfirmed = self.leases.iter().filter(|(handle, lease)| {
            let asked = self.pending.values().any(|p| p.about == About::Renew(**handle));
            matches!(lease.state, State::Confirming { .. }) && !asked
        });
        let unconfirmed: Vec<Handle> = unconfirmed.map(|(handle, _)| *handle).collect();
        for handle in unconfirmed {
            self.send_renew(handle);
        }
    }
}

/// How long suspect leases wait after so many renewals in vain before this one; `None`: not at all, since
/// one break in a round trip is what chance makes.
fn pause_after(in_vain: u32) -> Option<Span> {
    let doublings = in_vain.checked_sub(1)?.min(PAUSE_DOUBLINGS);
    Some(Span::from_millis(1_u64 << doublings))
}

/// Up to 64 ms: a third of the shortest term that one would use with such a clock.
const PAUSE_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_renewal_in_vain_is_repeated_at_once_and_the_rest_after_longer_and_longer() {
        let pauses = [0, 1, 2, 3, 7, 8, u32::MAX].map(pause_after);
        let ms = |ms| Some(Span::from_millis(ms));
        assert_eq!(pauses, [None, ms(1), ms(2), ms(4), ms(64), ms(64), ms(64)]);
    }
}
