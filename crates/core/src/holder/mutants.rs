//! Bodies of planted bugs that take more than a line.

use crate::identity::RequestId;
use crate::message::{Grant, Op, Reply, Request, Tag, ToGranter};
use crate::time::{FastInstant, Now};

use super::io::{Handle, Output};
use super::lease::{Anchor, Promise, State};
use super::{About, Holder, Link};

impl Holder {
    /// `Mutant::OfferHeldAtOnce`.
    pub(super) fn hold_from_now(&mut self, handle: Handle, grant: Grant) {
        let Some(home) = self.incarnation() else { return };
        let anchor = Anchor::at(self.now.send_anchor());
        let promise = Promise { anchor, term: grant.term };
        self.hold_new(handle, RequestId(self.last_id), promise, grant, home);
    }

    /// `Mutant::ReplayedGrantHeld`: under the newest handle there is.
    pub(super) fn hold_replayed(&mut self, reply: &Reply) {
        let newest = self.leases.last_key_value().map(|(handle, _)| *handle);
        if let (Reply::Granted(grant), Some(handle)) = (reply, newest) {
            self.hold_from_now(handle, *grant);
        }
    }

    /// `Mutant::RenewalUndoesRelease`.
    pub(super) fn take_back(&mut self, handle: Handle, id: RequestId, promise: Promise) {
        let released = self.leases.get(&handle).map(|lease| &lease.state);
        if let Some(State::Releasing { fence: Some(fence), home: Some(home), .. }) = released {
            let (fence, home) = (*fence, *home);
            let grant = Grant { fence, term: promise.term, tag: Tag([0; 16]) };
            self.hold_new(handle, id, promise, grant, home);
        }
    }

    /// `Mutant::ResendKeepsId`: a renewal that is under way goes out once more.
    pub(super) fn resend(&mut self, about: About, op: &Op) -> Option<RequestId> {
        let Link::Open(epoch) = self.link else { return None };
        let is_renewal = matches!(about, About::Renew(_) | About::RenewAll);
        let (id, pending) =
            self.pending.iter_mut().rfind(|(_, p)| is_renewal && p.about == about)?;
        pending.anchor = Anchor::at(self.now.send_anchor());
        let again = Request { epoch, id: *id, op: op.clone() };
        self.outputs.push_back(Output::Send(ToGranter::Request(again)));
        Some(*id)
    }

    /// `Mutant::AnchorsCrossBreaks`.
    pub(super) fn move_anchors(&mut self, now: Now<FastInstant>) {
        for pending in self.pending.values_mut() {
            pending.anchor = Anchor::at(now.send_anchor());
        }
    }
}
