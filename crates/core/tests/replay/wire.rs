//! Messages of the code, each beside what the specification says of it.

use tlease_core::fence::Mode;
use tlease_core::identity::RequestId;
use tlease_core::message::{FromGranter, Op, Reply, Request};
use tlease_core::refusal::Refusal;

use crate::seen::{Message, whole_ticks};

/// A message in flight.
#[derive(Debug, Clone)]
pub(crate) struct Flying {
    pub(crate) message: Message,
    pub(crate) request: Option<Request>,
    pub(crate) reply: Option<FromGranter>,
}

/// A request of a holder that is named later.
pub(crate) fn request(request: Request) -> Flying {
    let bare = |op| Message::bare(true, "", request.id.0, op);
    let message = match &request.op {
        Op::Acquire(acquire) => Message {
            shared: acquire.mode == Mode::Shared,
            term: whole_ticks(acquire.term),
            ..bare("Acquire")
        },
        Op::Renew { fence, term, .. } => {
            Message { fence: fence.get(), term: term.map_or(0, whole_ticks), ..bare("Renew") }
        }
        Op::Release { fence, .. } => Message { fence: fence.get(), ..bare("Release") },
        Op::Withdraw { .. } => bare("Withdraw"),
        Op::Reclaim(claim) => Message {
            shared: claim.mode == Mode::Shared,
            home: claim.issued.get(),
            ..bare("Reclaim").with(claim.fence, claim.term)
        },
        Op::RenewAll { .. } | Op::Downgrade { .. } | Op::Report(_) => {
            panic!("not in the model: {request:?}")
        }
    };
    Flying { message, request: Some(request), reply: None }
}

/// A reply, if the specification knows of such: the others count as lost.
pub(crate) fn reply(holder: &str, id: RequestId, reply: Reply) -> Option<Flying> {
    let bare = |op| Message::bare(false, holder, id.0, op);
    let message = match &reply {
        Reply::Granted(grant) => bare("Granted").with(grant.fence, grant.term),
        Reply::Offered { grant, .. } => bare("Offered").with(grant.fence, grant.term),
        Reply::Renewed(renewed) => Message { term: whole_ticks(renewed.term), ..bare("Renewed") },
        Reply::Reclaimed { .. } => bare("Reclaimed"),
        Reply::Refused(Refusal::NotHeldHere) => bare("NotHeldHere"),
        Reply::Refused(Refusal::NoUpgrade | Refusal::StoreUnavailable) => bare("Refused"),
        // A holder may give up at any time instead; or a message that must change nothing.
        Reply::Refused(
            Refusal::NotReclaimable
            | Refusal::Superseded
            | Refusal::StaleEpoch
            | Refusal::UsedId
            | Refusal::NoSession,
        )
        | Reply::Queued { .. }
        | Reply::Released { .. }
        | Reply::Withdrawn => return None,
        Reply::RenewedAll
        | Reply::Noted
        | Reply::RenewedSome(_)
        | Reply::Downgraded { .. }
        | Reply::Refused(_) => panic!("not in the model: {reply:?}"),
    };
    Some(Flying {
        message,
        request: None,
        reply: Some(FromGranter::Reply { id, reply, moved: None }),
    })
}
