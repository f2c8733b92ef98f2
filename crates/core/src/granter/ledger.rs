//! `Ledger`: which names are held and waited for, and by whom. Links only; no rule of the protocol
//! is decided here.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::num::NonZeroU32;

use crate::fence::{Fence, Mode};
use crate::identity::RequestId;
use crate::mac::Key;
use crate::message::{Acquire, Force};
use crate::name::{Name, Value};
use crate::slab::{Id, Slab};
use crate::time::Span;
use crate::wheel::TimerId;

use super::index::{Hash, Index};
use super::sessions::Session;
use super::timeline::Stamp;

/// Every name with a lease or a waiter, every lease, every waiter.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) names: Slab<Entry>,
    /// Leases that do not stand in the entry of their name.
    more: Slab<Lease>,
    pub(super) waiters: Slab<Waiter>,
    by_name: Index<Id<Entry>>,
    /// Shared leases by name and session: a shared name may have many.
    shared: Index<LeaseId>,
    leases: u32,
}

/// Names a lease. Most names have one lease, which stands in the name's entry: finding it takes one
/// access to memory, not two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeaseId(NonZeroU32);

/// Where a lease stands.
enum Place {
    InEntry(Id<Entry>),
    More(Id<Lease>),
}

/// A name that is held or waited for.
///
/// With its lease it fills two cache lines beside each other, which processors fetch together.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Entry {
    pub(super) name: Name,
    hash: Hash,
    /// The newest lease on it; the others follow by `Lease::older`.
    pub(super) newest: Option<LeaseId>,
    /// One of the leases on it.
    lease: Option<Lease>,
    pub(super) contention: Option<Box<Contention>>,
}

/// What a name has that most names have not.
#[derive(Debug, Default)]
pub(super) struct Contention {
    pub(super) queue: VecDeque<Id<Waiter>>,
    /// Whether the name stands in the list of names to be served.
    pub(super) to_serve: bool,
}

/// A lease, as the granter sees it.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) stamp: Stamp,
    pub(super) term: Span,
    pub(super) fence: Fence,
    pub(super) session: Id<Session>,
    pub(super) entry: Id<Entry>,
    pub(super) timer: Option<TimerId<super::Due>>,
    aside: Option<Box<Aside>>,
    older: Option<LeaseId>,
    newer: Option<LeaseId>,
    pub(super) next_of_session: Option<LeaseId>,
    previous_of_session: Option<LeaseId>,
    pub(super) mode: Mode,
    pub(super) standing: Standing,
}

/// How far along a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its waiter has not confirmed yet: it lapses after the offer's life.
    Offered,
    /// It lasts for its term.
    Held,
}

/// What a lease has that most leases have not.
#[derive(Debug)]
struct Aside {
    value: Option<Value>,
    recall: Option<Recalled>,
}

/// A recall that was sent.
#[derive(Debug)]
pub(super) struct Recalled {
    pub(super) stamp: Stamp,
    pub(super) grace: Span,
    pub(super) force: Force,
}

/// A request in a queue.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) session: Id<Session>,
    pub(super) entry: Id<Entry>,
    pub(super) id: RequestId,
    pub(super) acquire: Acquire,
    pub(super) timer: Option<TimerId<super::Due>>,
}

impl Ledger {
    pub(super) fn new(key: Key) -> Self {
        Self {
            names: Slab::new(),
            more: Slab::new(),
            waiters: Slab::new(),
            by_name: Index::new(key),
            shared: Index::new(key),
            leases: 0,
        }
    }

    pub(super) fn find(&self, name: &Name) -> Option<Id<Entry>> {
        self.find_hashed(self.by_name.hash(name.as_bytes()), name)
    }

    /// The entry of a name, made if there is none.
    pub(super) fn entry(&mut self, name: &Name) -> Id<Entry> {
        let hash = self.by_name.hash(name.as_bytes());
        if let Some(id) = self.find_hashed(hash, name) {
            return id;
        }
        let entry = Entry { name: name.clone(), hash, newest: None, lease: None, contention: None };
        let id = self.names.insert(entry);
        self.by_name.insert(hash, id);
        id
    }

    /// Forgets a name with neither lease nor waiter, if that has not happened yet.
    pub(super) fn forget_if_idle(&mut self, id: Id<Entry>) {
        let Some(entry) = self.names.get(id) else { return };
        let contended = entry.contention.as_ref();
        if entry.newest.is_some() || contended.is_some_and(|c| !c.queue.is_empty() || c.to_serve) {
            return;
        }
        self.by_name.remove(entry.hash, id);
        self.names.remove(id);
    }

    pub(super) fn contention(&mut self, id: Id<Entry>) -> &mut Contention {
        self.names[id].contention.get_or_insert_default()
    }

    pub(super) fn waiting(&self, id: Id<Entry>) -> u32 {
        let queue = self.names[id].contention.as_ref().map(|contention| contention.queue.len());
        u32::try_from(queue.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// The session's lease on a name.
    pub(super) fn lease_of(&self, entry: Id<Entry>, session: Id<Session>) -> Option<LeaseId> {
        let newest = self.names[entry].newest?;
        if self[newest].session == session {
            return Some(newest);
        }
        if self[newest].mode == Mode::Exclusive {
            return None;
        }
        self.shared.find(self.shared_hash(entry, session), |id| {
            self[id].entry == entry && self[id].session == session
        })
    }

    /// The leases on a name, newest first.
    pub(super) fn leases_on(&self, entry: Id<Entry>) -> impl Iterator<Item = LeaseId> {
        core::iter::successors(self.names[entry].newest, |id| self[*id].older)
    }

    /// Puts a lease on its name and at the head of its session's, whose head it was given; returns
    /// its id, the session's new head.
    pub(super) fn link(&mut self, lease: Lease, session_head: Option<LeaseId>) -> LeaseId {
        let (entry, session, mode) = (lease.entry, lease.session, lease.mode);
        let id = self.put(lease);
        let older = self.names[entry].newest.replace(id);
        if let Some(older) = older {
            self[older].newer = Some(id);
        }
        if let Some(next) = session_head {
            self[next].previous_of_session = Some(id);
        }
        let lease = &mut self[id];
        lease.older = older;
        lease.next_of_session = session_head;
        if mode == Mode::Shared {
            self.shared.insert(self.shared_hash(entry, session), id);
        }
        id
    }

    /// Takes a lease off its name and its session's list. The second value is the session's new
    /// head, if the lease was it.
    pub(super) fn unlink(&mut self, id: LeaseId) -> (Lease, Option<Option<LeaseId>>) {
        if self[id].mode == Mode::Shared {
            let (entry, session) = (self[id].entry, self[id].session);
            self.shared.remove(self.shared_hash(entry, session), id);
        }
        let lease = self.take(id);
        if let Some(older) = lease.older {
            self[older].newer = lease.newer;
        }
        match lease.newer {
            Some(newer) => self[newer].older = lease.older,
            None => self.names[lease.entry].newest = lease.older,
        }
        if let Some(next) = lease.next_of_session {
            self[next].previous_of_session = lease.previous_of_session;
        }
        let head = match lease.previous_of_session {
            Some(previous) => {
                self[previous].next_of_session = lease.next_of_session;
                None
            }
            None => Some(lease.next_of_session),
        };
        (lease, head)
    }

    /// Makes an exclusive lease a shared one.
    pub(super) fn share(&mut self, id: LeaseId) {
        let lease = &mut self[id];
        lease.mode = Mode::Shared;
        let (entry, session) = (lease.entry, lease.session);
        self.shared.insert(self.shared_hash(entry, session), id);
    }

    pub(super) const fn lease_count(&self) -> u32 {
        self.leases
    }

    fn put(&mut self, lease: Lease) -> LeaseId {
        self.leases = self.leases.checked_add(1).expect("leases are bounded below 2^31");
        let entry = lease.entry;
        let in_entry = &mut self.names[entry].lease;
        if in_entry.is_none() {
            *in_entry = Some(lease);
            return LeaseId::of(Place::InEntry(entry));
        }
        LeaseId::of(Place::More(self.more.insert(lease)))
    }

    fn take(&mut self, id: LeaseId) -> Lease {
        self.leases = self.leases.saturating_sub(1);
        let lease = match id.place() {
            Place::InEntry(entry) => self.names[entry].lease.take(),
            Place::More(lease) => self.more.remove(lease),
        };
        lease.expect("an id in use names a lease")
    }

    fn find_hashed(&self, hash: Hash, name: &Name) -> Option<Id<Entry>> {
        self.by_name.find(hash, |id| self.names[id].name == *name)
    }

    fn shared_hash(&self, entry: Id<Entry>, session: Id<Session>) -> Hash {
        let (entry, session) = (entry.number().get(), session.number().get());
        let pair = (u64::from(entry) << 32) | u64::from(session);
        self.shared.hash(&pair.to_le_bytes())
    }
}

/// # Panics
/// If there is no such lease: an id outlived what it names, which is a bug of the caller.
impl core::ops::Index<LeaseId> for Ledger {
    type Output = Lease;

    #[inline]
    fn index(&self, id: LeaseId) -> &Lease {
        let lease = match id.place() {
            Place::InEntry(entry) => self.names.get(entry).and_then(|entry| entry.lease.as_ref()),
            Place::More(lease) => self.more.get(lease),
        };
        lease.expect("an id in use names a lease")
    }
}

/// # Panics
/// As [`core::ops::Index`].
impl core::ops::IndexMut<LeaseId> for Ledger {
    #[inline]
    fn index_mut(&mut self, id: LeaseId) -> &mut Lease {
        let lease = match id.place() {
            Place::InEntry(entry) => {
                self.names.get_mut(entry).and_then(|entry| entry.lease.as_mut())
            }
            Place::More(lease) => self.more.get_mut(lease),
        };
        lease.expect("an id in use names a lease")
    }
}

impl LeaseId {
    /// The highest bit tells the two kinds apart.
    const MORE: u32 = 1 << 31;

    /// # Panics
    /// Beyond 2^31 names or leases; the granter's limits are below that.
    fn of(place: Place) -> Self {
        let (number, kind) = match place {
            Place::InEntry(entry) => (entry.number(), 0),
            Place::More(lease) => (lease.number(), Self::MORE),
        };
        assert!(number.get() < Self::MORE, "names and leases are bounded below 2^31");
        Self(number | kind)
    }

    fn place(self) -> Place {
        let number = NonZeroU32::new(self.0.get() & !Self::MORE).expect("numbers start at 1");
        if self.0.get() < Self::MORE {
            Place::InEntry(Id::of_number(number))
        } else {
            Place::More(Id::of_number(number))
        }
    }
}

impl Lease {
    /// A lease that is on no name yet.
    #[expect(clippy::too_many_arguments, reason = "the fields that a lease cannot be without")]
    pub(super) fn unlinked(
        entry: Id<Entry>,
        session: Id<Session>,
        fence: Fence,
        mode: Mode,
        term: Span,
        stamp: Stamp,
        standing: Standing,
        value: Option<Value>,
    ) -> Self {
        Self {
            stamp,
            term,
            fence,
            session,
            entry,
            timer: None,
            aside: value.map(|value| Box::new(Aside { value: Some(value), recall: None })),
            older: None,
            newer: None,
            next_of_session: None,
            previous_of_session: None,
            mode,
            standing,
        }
    }

    pub(super) fn value(&self) -> Option<&Value> {
        self.aside.as_ref()?.value.as_ref()
    }

    pub(super) fn recalled(&self) -> Option<&Recalled> {
        self.aside.as_ref()?.recall.as_ref()
    }

    pub(super) fn recall(&mut self, recalled: Recalled) {
        let nothing = || Box::new(Aside { value: None, recall: None });
        self.aside.get_or_insert_with(nothing).recall = Some(recalled);
    }

    /// How long it lasts from its stamp: its term, or an offer's life.
    pub(super) fn period(&self) -> Span {
        match self.standing {
            Standing::Offered => self.term.min(OFFER_LIFE),
            Standing::Held => self.term,
        }
    }
}

/// An unconfirmed offer goes to the next waiter after this, or after its term if that is shorter: a
/// confirmation takes one round trip, and a dead waiter must not block the others for longer.
pub(super) const OFFER_LIFE: Span = Span::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_lease_fills_two_cache_lines() {
        assert_eq!(size_of::<Entry>(), 128);
        assert_eq!(size_of::<Option<Entry>>(), 128, "a slot in a slab takes no more");
    }
}
