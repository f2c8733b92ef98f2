//! I25: once a holder has heard of a recall its guard lets nothing pass beyond the grace, and no renewal
//! at the granter reaches beyond it.

use std::collections::BTreeSet;

use tlease_core::Fence;
use tlease_core::granter::{Input, Output};
use tlease_core::holder::Hold;
use tlease_core::identity::RequestId;
use tlease_core::message::{
    Event, EventReason, FromGranter, Op, Recall, Reply, Request, ToGranter,
};

use super::Claim;
use crate::world::node::{Guard, Seen};

pub(crate) const CLAIM: Claim =
    Claim::new("I25", "acts under a recalled lease end with its grace, and renewals with it");

/// When a holder heard of a recall: until when its guard may let acts pass, in truth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    until: u64,
    /// The segment of its clock: after a break the grace is granted anew, with a renewal.
    segment: u64,
}

/// Notes that the holder of a lease hears of a recall of `fence` at true time `now`.
pub(crate) fn heard(seen: &mut Seen, fence: Fence, recall: &Recall, now: u64, segment: u64) {
    if !matches!(seen.guard, Guard::Open(hold) if hold.fence == fence) {
        return;
    }
    let until = now.saturating_add(recall.until.as_nanos());
    let earlier = seen.recalled.filter(|earlier| earlier.segment == segment);
    let until = earlier.map_or(until, |earlier| earlier.until.min(until));
    seen.recalled = Some(Heard { until, segment });
}

/// `open` is what the guard lets pass at true time `now`.
pub(crate) fn check(now: u64, segment: u64, seen: &Seen, open: Option<Hold>) -> Result<(), String> {
    let heard = seen.recalled.filter(|heard| heard.segment == segment && now >= heard.until);
    match (heard, open) {
        // Heard of in another segment than the one it acts in: in an enclave one thread may still know
        // the older one, for as long as it reaches beyond a handshake.
        (Some(heard), Some(hold)) if hold.anchor.segment().0 != heard.segment => Ok(()),
        (Some(heard), Some(hold)) => Err(format!("acts after its grace: {hold:?}, {heard:?}")),
        (Some(_) | None, _) => Ok(()),
    }
}

/// The leases that this life of the granter has recalled.
#[derive(Debug, Default)]
pub(crate) struct Recalled(BTreeSet<Fence>);

impl Recalled {
    pub(crate) fn new_life(&mut self) {
        self.0.clear();
    }

    pub(crate) fn happened(&mut self, event: &Event) {
        match event.reason {
            EventReason::Recalled | EventReason::Forced => {
                self.0.insert(event.fence);
            }
            // A recall is of what is held now: who gave it back and then reclaims it, within the wait after
            // a restart, has not heard of any.
            EventReason::Released
            | EventReason::Expired
            | EventReason::Lapsed
            | EventReason::Reclaimed => {
                self.0.remove(&event.fence);
            }
            EventReason::Granted
            | EventReason::Offered
            | EventReason::RenewedLate
            | EventReason::Downgraded => {}
        }
    }

    /// The request by which a recalled lease is to be renewed.
    pub(crate) fn renewal(&self, input: &Input) -> Option<RequestId> {
        let Input::Received { message: ToGranter::Request(Request { id, op, .. }), .. } = input
        else {
            return None;
        };
        matches!(op, Op::Renew { fence, .. } if self.0.contains(fence)).then_some(*id)
    }
}

/// The answer to such a renewal says that the lease is recalled.
pub(crate) fn renewed(of: RequestId, outputs: &[Output]) -> Result<(), String> {
    let forgets = |output: &&Output| {
        let Output::Send { message: FromGranter::Reply { id, reply, .. }, .. } = output else {
            return false;
        };
        *id == of && matches!(reply, Reply::Renewed(renewed) if renewed.recall.is_none())
    };
    match outputs.iter().find(forgets) {
        Some(output) => Err(format!("a recalled lease is renewed as if it were not: {output:?}")),
        None => Ok(()),
    }
}
