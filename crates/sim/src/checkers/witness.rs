//! What the granter says of itself to somebody who watches every name. Not a checker: several use it.

use std::collections::BTreeSet;

use tlease_core::Fence;
use tlease_core::message::{Event, EventReason, Status};

/// The granter's leases by its own word.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// Name and fence of each.
    live: BTreeSet<(u64, Fence)>,
    pub(crate) status: Option<Status>,
    /// Whether this life is known to make new grants already.
    pub(crate) serving: bool,
    pub(crate) watching: bool,
}

/// What an event did to the granter's leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Began,
    Ended,
    EndedUnknown,
    Went,
}

impl Witness {
    pub(crate) fn new_life(&mut self) {
        self.live.clear();
        (self.serving, self.watching) = (false, false);
    }

    pub(crate) const fn live(&self) -> &BTreeSet<(u64, Fence)> {
        &self.live
    }

    pub(crate) fn knows(&self, name: u64, fence: Fence) -> bool {
        self.live.contains(&(name, fence))
    }

    pub(crate) fn happened(&mut self, name: u64, event: &Event) -> Step {
        let lease = (name, event.fence);
        self.serving |= matches!(event.reason, EventReason::Granted | EventReason::Offered);
        match event.reason {
            EventReason::Granted | EventReason::Offered if self.live.insert(lease) => Step::Began,
            EventReason::Granted | EventReason::Offered => Step::Went,
            EventReason::Reclaimed => {
                self.live.insert(lease);
                Step::Went
            }
            EventReason::Lapsed | EventReason::Released | EventReason::Expired => {
                if self.live.remove(&lease) { Step::Ended } else { Step::EndedUnknown }
            }
            EventReason::RenewedLate
            | EventReason::Downgraded
            | EventReason::Recalled
            | EventReason::Forced => Step::Went,
        }
    }
}
