//! What readers are told, and what operators may order. Nothing here changes who holds what.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::identity::{AskId, Peer, Rights};
use crate::message::{
    Answer, Ask, Entry as Shown, EntryLease, EntryState, EventMark, Force, FromGranter, PageMark,
    Prefix, Recall, Status,
};
use crate::name::Name;
use crate::refusal::{Bound, Refusal};
use crate::slab::Id;
use crate::time::Span;

use super::Granter;
use super::ledger::{Entry, LeaseId, Standing};

/// Names looked at for one page, so that a prefix that selects little does not walk millions.
const LOOKED_AT_MAX: usize = 8192;

/// Names shown on one page at most.
const PAGE_MAX: usize = 1024;

/// Bytes of names and values on one page at most, but for its last name: a page fits into a frame of
/// the wire with room to spare.
const PAGE_BYTES: usize = 256 * 1024;

/// What a lease takes on a page beside its value.
const LEASE_BYTES: usize = 64;

/// Leases shown of one name at most: a shared name may have a great many.
const LEASES_SHOWN_MAX: usize = 256;

impl Granter {
    pub(super) fn asked(&mut self, peer: Peer, id: AskId, ask: Ask) {
        let answer = match ask {
            Ask::Get { name } => Answer::Entry(self.ledger.find(&name).map(|e| self.shown(e))),
            Ask::List { prefix, after, limit } => self.page(&prefix, after, limit),
            Ask::Watch { prefix, after } => return self.watch(peer, id, prefix, after),
            Ask::Unwatch { watch } => {
                self.events.unwatch(peer, watch);
                if let Some(connection) = self.sessions.peer_mut(peer) {
                    connection.watches.retain(|known| *known != watch);
                }
                Answer::Unwatched
            }
            Ask::Status => Answer::Status(self.status()),
            Ask::Recall { name, grace, force } => self.recall_asked(peer, &name, grace, force),
        };
        self.answer(peer, id, answer);
    }

    fn answer(&mut self, peer: Peer, id: AskId, answer: Answer) {
        self.send(peer, FromGranter::Answer { id, answer: Box::new(answer) });
    }

    fn shown(&self, entry: Id<Entry>) -> Shown {
        let leases = self.ledger.leases_on(entry).take(LEASES_SHOWN_MAX);
        Shown {
            name: self.ledger.names[entry].name.clone(),
            leases: leases.map(|lease| self.shown_lease(lease)).collect(),
            waiters: self.ledger.waiting(entry),
        }
    }

    fn shown_lease(&self, id: LeaseId) -> EntryLease {
        let lease = &self.ledger[id];
        let state = match (lease.standing, lease.recalled()) {
            (Standing::Offered, _) => EntryState::Offered,
            (Standing::Held, None) => EntryState::Held,
            (Standing::Held, Some(_)) => EntryState::Recalled,
        };
        EntryLease {
            session: self.sessions.all[lease.session].id,
            fence: lease.fence,
            mode: lease.mode,
            term: lease.term,
            remaining: self.remaining_ceil(id),
            state,
            value: lease.value().cloned(),
        }
    }

    fn page(&self, prefix: &Prefix, after: Option<PageMark>, limit: u32) -> Answer {
        let limit = usize::try_from(limit).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let from = after.map_or(0, |mark| mark.0);
        let mut entries = Vec::new();
        let mut bytes = 0_usize;
        let mut next = None;
        for (looked_at, (number, entry)) in self.ledger.names.walk_from(from).enumerate() {
            if looked_at == LOOKED_AT_MAX || entries.len() == limit || bytes >= PAGE_BYTES {
                next = Some(PageMark(number.saturating_sub(1)));
                break;
            }
            let Some(entry) = entry.filter(|entry| prefix.selects(&entry.name)) else { continue };
            if let Some(id) = self.ledger.find(&entry.name) {
                let shown = self.shown(id);
                bytes = bytes.saturating_add(bytes_of(&shown));
                entries.push(shown);
            }
        }
        Answer::Page { entries, next }
    }

    fn watch(&mut self, peer: Peer, id: AskId, prefix: Prefix, after: Option<EventMark>) {
        let limit = self.limits.watches_max;
        if self.events.watch_count() >= limit {
            let full = Refusal::Full(Bound::Watches { limit });
            return self.answer(peer, id, Answer::Refused(full));
        }
        if let Some(connection) = self.sessions.peer_mut(peer) {
            connection.watches.push(id);
        }
        let (from, gap, missed) = self.events.watch(peer, id, prefix, after);
        self.answer(peer, id, Answer::Watching { from, gap });
        self.outputs.extend(missed);
    }

    /// How it is, as of the last input.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            incarnation: self.incarnation,
            wait_left: self.wait_left(),
            sessions: u64::from(self.sessions.all.len()),
            leases: u64::from(self.ledger.lease_count()),
            waiters: u64::from(self.ledger.waiters.len()),
            peers: self.sessions.peer_count(),
            store: self.durability.health(),
            longest_promise: self.durability.wanted().longest_promise,
            clock_breaks: u64::from(self.timeline.breaks()),
            disagreements: self.disagreements,
        }
    }

    fn recall_asked(&mut self, peer: Peer, name: &Name, grace: Span, force: Force) -> Answer {
        let rights = self.sessions.peer(peer).map_or(Rights::Holder, |known| known.rights);
        if force == Force::Now && rights != Rights::Operator {
            return Answer::Refused(Refusal::NotOperator);
        }
        let entry = self.ledger.find(name);
        let recall = Recall { until: grace, force };
        let holders = entry.map_or(0, |entry| self.recall_all(entry, recall));
        Answer::Recalling { holders }
    }
}

/// What a name takes on a page, about.
fn bytes_of(shown: &Shown) -> usize {
    let values = shown.leases.iter().map(|lease| lease.value.as_ref());
    values.fold(shown.name.as_bytes().len(), |bytes, value| {
        let value = value.map_or(0, |value| value.as_bytes().len());
        bytes.saturating_add(value).saturating_add(LEASE_BYTES)
    })
}
