//! I26: a holder that was told that its machine may be a copy has no open guard from then on that was open
//! before, and says nothing more under the session that it had.

use tlease_core::identity::SessionId;
use tlease_core::message::ToGranter;

use super::Claim;
use crate::world::node::{Guard, Seen};

pub(crate) const CLAIM: Claim =
    Claim::new("I26", "in a copy of a machine every lease ends, and with them their session");

/// Once it has been told, under which session it goes on.
pub(crate) fn gave_up<'a>(
    before: SessionId,
    after: SessionId,
    mut leases: impl Iterator<Item = &'a Seen>,
) -> Result<(), String> {
    if before == after {
        return Err("told of a copy, and goes on with its session".to_owned());
    }
    match leases.find(|seen| matches!(seen.guard, Guard::Open(_) | Guard::Suspended)) {
        Some(seen) => Err(format!("told of a copy, and did not close {:?}", seen.guard)),
        None => Ok(()),
    }
}

/// A message leaves over a connection of session `over`.
pub(crate) fn leaves(
    given_up: &[SessionId],
    over: Option<SessionId>,
    message: &ToGranter,
) -> Result<(), String> {
    let under = match message {
        ToGranter::Open { session, .. } => Some(*session),
        ToGranter::Request(_) => over,
        ToGranter::Ask { .. } => None,
    };
    match under.filter(|session| given_up.contains(session)) {
        Some(session) => Err(format!("says {message:?} under {session:?}, which it gave up")),
        None => Ok(()),
    }
}
