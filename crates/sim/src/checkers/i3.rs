//! I3: a guard counts from the sending of a request that was answered, or, for a recall, from its
//! receipt. A stale reply moves no anchor.

use std::collections::BTreeMap;

use tlease_core::holder::{Hold, Input};
use tlease_core::identity::RequestId;
use tlease_core::message::{FromGranter, Reply};
use tlease_core::time::FastInstant;

use super::Claim;
use crate::world::node::Seen;

pub(crate) const CLAIM: Claim =
    Claim::new("I3", "an anchor is the sending of the request that was answered");

/// Which request an input answers, and whether it carries a recall, whose grace counts from now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) id: Option<RequestId>,
    recall: bool,
}

/// What the holder stamped.
pub(crate) struct Stamps<'a> {
    /// Each request of this connection.
    pub(crate) sent: &'a BTreeMap<RequestId, FastInstant>,
    /// Each input, with its true time.
    pub(crate) all: &'a [(FastInstant, u64)],
    /// The present input.
    pub(crate) now: FastInstant,
}

/// Notes the true time of the anchor from which `hold` counts, if it may count from it.
pub(crate) fn check(
    seen: &mut Seen,
    hold: &Hold,
    answered: Answered,
    stamps: &Stamps<'_>,
) -> Result<(), String> {
    let of_request = answered.id.and_then(|id| stamps.sent.get(&id)).copied();
    let of_recall = answered.recall.then_some(stamps.now);
    seen.anchors.extend(of_request.into_iter().chain(of_recall));
    let legitimate = seen.anchors.contains(&hold.anchor);
    // The first time that it was shown: by then its hand had come so far.
    let taken = stamps.all.iter().find(|(stamp, _)| *stamp == hold.anchor);
    match taken {
        Some((_, at)) if legitimate => {
            seen.anchored_at = *at;
            Ok(())
        }
        Some(_) | None => Err(format!("an anchor moved by a stale reply: {hold:?}")),
    }
}

pub(crate) fn answered(input: &Input) -> Answered {
    match input {
        Input::Received(FromGranter::Reply { id, reply, .. }) => {
            let recall = matches!(reply, Reply::Renewed(renewed) if renewed.recall.is_some());
            Answered { id: Some(*id), recall }
        }
        Input::Received(FromGranter::Recalled { .. }) => Answered { id: None, recall: true },
        Input::Received(_)
        | Input::Connected
        | Input::Disconnected
        | Input::Acquire { .. }
        | Input::Renew { .. }
        | Input::Release { .. }
        | Input::Downgrade { .. }
        | Input::Forget { .. }
        | Input::Copied { .. }
        | Input::Wake => Answered { id: None, recall: false },
    }
}
