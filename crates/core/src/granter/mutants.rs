//! Bodies of planted bugs that take more than a line.

use crate::fence::{Fence, Mode};
use crate::identity::{Peer, RequestId};
use crate::message::{EventReason, Grant, Renewed, Reply};
use crate::name::Name;
use crate::slab::Id;
use crate::time::Span;

use super::Granter;
use super::ledger::{Lease, LeaseId, Standing};
use super::sessions::Session;

impl Granter {
    /// `Mutant::FreesOnDisconnect`.
    pub(super) fn free_all_of(&mut self, session: Id<Session>) {
        while let Some(lease) = self.sessions.all[session].leases {
            self.free(lease, EventReason::Expired);
        }
    }

    /// `Mutant::StaleReleaseFrees`.
    pub(super) fn release_by_name(&mut self, peer: Peer, id: RequestId, name: &Name) {
        if let Some(session) = self.sessions.peer(peer).and_then(|known| known.session) {
            self.withdraw(session, id, name);
        }
    }

    /// `Mutant::SecondAcquireKeepsFence`.
    pub(super) fn grant_again(&mut self, own: LeaseId, id: RequestId) {
        self.ledger[own].stamp = self.timeline.stamp();
        self.ledger[own].standing = Standing::Held;
        let Lease { entry, session, mode, fence, term, .. } = self.ledger[own];
        let tag = self.tag(session, entry, mode, fence, term);
        self.reply(session, id, Reply::Granted(Grant { fence, term, tag }));
    }

    /// `Mutant::RenewalRevives`: exclusive, and for as long as is durable.
    pub(super) fn revive(
        &mut self,
        session: Id<Session>,
        id: RequestId,
        name: &Name,
        fence: Fence,
    ) {
        let entry = self.ledger.entry(name);
        self.maybe_idle.push(entry);
        let term = self.durability.covered().map_or(Span::ZERO, |record| record.longest_promise);
        if self.ledger.names[entry].newest.is_none() {
            let (stamp, mode, held) = (self.timeline.stamp(), Mode::Exclusive, Standing::Held);
            let lease = Lease::unlinked(entry, session, fence, mode, term, stamp, held, None);
            self.install(lease);
            self.record(entry, fence, EventReason::Reclaimed);
            let renewed = Renewed { term, tag: None, recall: None };
            self.reply(session, id, Reply::Renewed(renewed));
        } else {
            self.refuse_session(session, id, crate::Refusal::NotHeldHere);
        }
    }
}
