//! I14: a bulk renewal extends only leases that the granter had when it said so. (One that it granted
//! later, and whose grant overtook the answer, may count from the sending of the bulk renewal: the
//! granter counts from later still.)

use std::collections::{BTreeMap, BTreeSet};

use tlease_core::Fence;
use tlease_core::holder::{Hold, Input};
use tlease_core::identity::{RequestId, SessionId};
use tlease_core::message::{FromGranter, Reply};

use super::Claim;
use super::witness::Witness;

pub(crate) const CLAIM: Claim =
    Claim::new("I14", "\"renew all\" moves only what both sides agree on");

/// Whose request, of which session, and which: copies of one machine share a session.
pub(crate) type Request = (usize, SessionId, RequestId);

/// What the granter had when it answered each bulk renewal.
#[derive(Debug, Default)]
pub(crate) struct Bulk(BTreeMap<Request, Had>);

#[derive(Debug)]
struct Had {
    leases: BTreeSet<(u64, Fence)>,
    highest: Option<Fence>,
}

impl Bulk {
    /// The granter sends `reply`.
    pub(crate) fn answers(
        &mut self,
        request: Request,
        reply: &Reply,
        witness: &Witness,
        highest: Option<Fence>,
    ) {
        if is_bulk(reply) && witness.watching {
            self.0.insert(request, Had { leases: witness.live().clone(), highest });
        }
    }

    /// A lease moves because of an answer to `request`.
    pub(crate) fn moves(&self, request: Request, name: u64, hold: &Hold) -> Result<(), String> {
        match self.0.get(&request) {
            Some(had)
                if !had.leases.contains(&(name, hold.fence)) && Some(hold.fence) <= had.highest =>
            {
                Err(format!("moves {hold:?} of name {name}, which the granter did not have"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Which bulk renewal an input answers.
pub(crate) fn answered(node: usize, session: SessionId, input: &Input) -> Option<Request> {
    match input {
        Input::Received(FromGranter::Reply { id, reply, .. }) if is_bulk(reply) => {
            Some((node, session, *id))
        }
        Input::Received(_)
        | Input::Connected
        | Input::Disconnected
        | Input::Acquire { .. }
        | Input::Renew { .. }
        | Input::Release { .. }
        | Input::Downgrade { .. }
        | Input::Forget { .. }
        | Input::Copied { .. }
        | Input::Wake => None,
    }
}

const fn is_bulk(reply: &Reply) -> bool {
    match reply {
        Reply::RenewedAll | Reply::RenewedSome(_) => true,
        Reply::Granted(_)
        | Reply::Queued { .. }
        | Reply::Offered { .. }
        | Reply::Renewed(_)
        | Reply::Released { .. }
        | Reply::Withdrawn
        | Reply::Noted
        | Reply::Downgraded { .. }
        | Reply::Reclaimed { .. }
        | Reply::Refused(_) => false,
    }
}
