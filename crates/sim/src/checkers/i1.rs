//! I1: when the granter frees a lease as over, all that it promised its holder has passed, in truth:
//! the slow hand never ran ahead; and between two of its stamps no more passed on that hand than in
//! truth.

use std::collections::BTreeMap;

use tlease_core::Fence;
use tlease_core::granter::{Input, Output};
use tlease_core::identity::RequestId;
use tlease_core::message::{Event, EventReason, FromGranter, Op, Reply, ToGranter};
use tlease_core::time::{Now, SlowHand, SlowInstant, Span};

use super::Claim;

pub(crate) const CLAIM: Claim =
    Claim::new("I1", "the slow hand never advances further than true time");

/// Until when each lease was promised at least, in true nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Promised(BTreeMap<Fence, u64>);

impl Promised {
    pub(crate) fn new_life(&mut self) {
        self.0.clear();
    }

    /// Notes what the granter promises in answer to `input`, at true time `now`. (Not what it promises
    /// to all leases of a session at once: for those it is held to less.)
    pub(crate) fn note(&mut self, input: &Input, outputs: &[Output], now: u64) {
        let asked = request(input);
        for output in outputs {
            let Output::Send { message: FromGranter::Reply { id, reply, .. }, .. } = output else {
                continue;
            };
            let op = asked.and_then(|(of, op)| (of == *id).then_some(op));
            if let Some((fence, term)) = promise(op, reply) {
                let until = self.0.entry(fence).or_default();
                *until = now.saturating_add(term.as_nanos()).max(*until);
            }
        }
    }

    /// To be told while the granter serves: before that a reclaim gives way to another.
    pub(crate) fn happened(&mut self, event: &Event, now: u64) -> Result<(), String> {
        match event.reason {
            EventReason::Expired | EventReason::Lapsed => match self.0.remove(&event.fence) {
                Some(until) if now < until => {
                    Err(format!("{} ends {} ns before its promise", event.fence, until - now))
                }
                Some(_) | None => Ok(()),
            },
            EventReason::Released => {
                self.0.remove(&event.fence);
                Ok(())
            }
            EventReason::Granted
            | EventReason::Offered
            | EventReason::RenewedLate
            | EventReason::Reclaimed
            | EventReason::Downgraded
            | EventReason::Recalled
            | EventReason::Forced => Ok(()),
        }
    }
}

fn request(input: &Input) -> Option<(RequestId, &Op)> {
    match input {
        Input::Received { message: ToGranter::Request(request), .. } => {
            Some((request.id, &request.op))
        }
        Input::Received { .. }
        | Input::Connected { .. }
        | Input::Disconnected { .. }
        | Input::Wake
        | Input::Persisted(_)
        | Input::PersistFailed(_)
        | Input::Stop => None,
    }
}

/// The lease that a reply promises something, and for how long.
fn promise(op: Option<&Op>, reply: &Reply) -> Option<(Fence, Span)> {
    match (reply, op) {
        (Reply::Granted(grant), _) => Some((grant.fence, grant.term)),
        (Reply::Offered { grant, life }, _) => Some((grant.fence, *life)),
        (Reply::Renewed(renewed), Some(Op::Renew { fence, .. })) => Some((*fence, renewed.term)),
        (Reply::Reclaimed { .. }, Some(Op::Reclaim(claim))) => Some((claim.fence, claim.term)),
        _ => None,
    }
}

/// Some stamps of the granter's clock, each with its true time.
#[derive(Debug, Default)]
pub(crate) struct SlowStamps {
    kept: [Option<(SlowInstant, u64)>; 4],
    seen: usize,
}

impl SlowStamps {
    /// Compares a moment with those that are kept, and keeps it in place of one of them: the first for
    /// ever, the others in turn.
    pub(crate) fn read(
        &mut self,
        hand: &SlowHand,
        now: Now<SlowInstant>,
        true_time: u64,
    ) -> Result<(), String> {
        for (start, at) in self.kept.iter().flatten() {
            let passed = hand.elapsed_floor(start, &now.reading()).map(|span| span.as_nanos());
            if passed.is_some_and(|passed| passed > true_time - at) {
                return Err(format!("{passed:?} ns on the hand from {at} to {true_time}"));
            }
        }
        let slot = if self.seen == 0 { 0 } else { 1 + self.seen % 3 };
        self.kept[slot] = Some((now.start_stamp(), true_time));
        self.seen += 1;
        Ok(())
    }
}
