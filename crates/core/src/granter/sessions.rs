//! `Sessions`: who is known, over which connection, and what each session holds in sum.

use alloc::vec::Vec;

use crate::fence::{Fence, Mode};
use crate::identity::{AskId, Epoch, Incarnation, Peer, RequestId, Rights, Secret, SessionId};
use crate::mac::Key;
use crate::message::Fingerprint;
use crate::name::Name;
use crate::slab::{Id, Slab};
use crate::wheel::TimerId;

use super::index::{Hash, Index};
use super::ledger::{LeaseId, Waiter};
use super::odometer::Odometer;
use super::timeline::Stamp;

/// Sessions and connections.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) all: Slab<Session>,
    by_id: Index<Id<Session>>,
    connections: Slab<Connection>,
    by_peer: Index<Id<Connection>>,
    /// Openings of all sessions in this life. One number for all, so that a session that was
    /// forgotten and comes back does not repeat an epoch.
    openings: u64,
}

/// A holder, independent of its connections.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) secret: Secret,
    /// The number of its last opening.
    pub(super) opening: u64,
    pub(super) peer: Option<Peer>,
    /// The highest request id seen.
    pub(super) last_id: Option<RequestId>,
    /// The head of the list of its leases.
    pub(super) leases: Option<LeaseId>,
    pub(super) lease_count: u32,
    /// Of its held leases that are not recalled.
    pub(super) fingerprint: Fingerprint,
    /// When all of those were last renewed together.
    pub(super) renewed_all: Option<Stamp>,
    /// What its last stamped reply said.
    pub(super) odometer: Option<Odometer>,
    pub(super) waiters: Vec<Id<Waiter>>,
    pub(super) idle: Option<TimerId<super::Due>>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    peer: Peer,
    pub(super) rights: Rights,
    pub(super) session: Option<Id<Session>>,
    pub(super) watches: Vec<AskId>,
}

impl Sessions {
    pub(super) fn new(key: Key) -> Self {
        Self {
            all: Slab::new(),
            by_id: Index::new(key),
            connections: Slab::new(),
            by_peer: Index::new(key),
            openings: 0,
        }
    }

    pub(super) fn connect(&mut self, peer: Peer, rights: Rights) {
        assert!(self.peer(peer).is_none(), "a peer's number is used once");
        let fresh = Connection { peer, rights, session: None, watches: Vec::new() };
        let connection = self.connections.insert(fresh);
        self.by_peer.insert(hash_of(peer), connection);
    }

    pub(super) fn peer(&self, peer: Peer) -> Option<&Connection> {
        Some(&self.connections[self.connection(peer)?])
    }

    pub(super) fn peer_mut(&mut self, peer: Peer) -> Option<&mut Connection> {
        let connection = self.connection(peer)?;
        Some(&mut self.connections[connection])
    }

    pub(super) fn peer_count(&self) -> u64 {
        self.connections.len().into()
    }

    /// Forgets a connection; the session that it carried has none now.
    pub(super) fn disconnect(&mut self, peer: Peer) -> Option<Connection> {
        let id = self.connection(peer)?;
        self.by_peer.remove(hash_of(peer), id);
        let connection = self.connections.remove(id)?;
        if let Some(session) = connection.session.and_then(|id| self.all.get_mut(id)) {
            session.peer = None;
        }
        Some(connection)
    }

    pub(super) fn find(&self, id: SessionId) -> Option<Id<Session>> {
        self.by_id.find(self.by_id.hash(&id.0), |session| self.all[session].id == id)
    }

    pub(super) fn add(&mut self, id: SessionId, secret: Secret) -> Id<Session> {
        let session = self.all.insert(Session {
            id,
            secret,
            opening: 0,
            peer: None,
            last_id: None,
            leases: None,
            lease_count: 0,
            fingerprint: Fingerprint { count: 0, sum: 0 },
            renewed_all: None,
            odometer: None,
            waiters: Vec::new(),
            idle: None,
        });
        self.by_id.insert(self.by_id.hash(&id.0), session);
        session
    }

    pub(super) fn remove(&mut self, session: Id<Session>) {
        let id = self.all[session].id;
        self.by_id.remove(self.by_id.hash(&id.0), session);
        self.all.remove(session);
    }

    /// Makes `peer` the connection of a session, and takes the one it had.
    pub(super) fn bind(&mut self, session: Id<Session>, peer: Peer) -> Option<Peer> {
        let connection = self.peer_mut(peer).expect("the peer just spoke");
        connection.session = Some(session);
        self.openings = self.openings.checked_add(1).expect("fewer than 2^64 openings");
        let session = &mut self.all[session];
        session.opening = self.openings;
        session.peer.replace(peer)
    }

    fn connection(&self, peer: Peer) -> Option<Id<Connection>> {
        self.by_peer.find(hash_of(peer), |id| self.connections[id].peer == peer)
    }
}

impl Session {
    pub(super) const fn epoch(&self, incarnation: Incarnation) -> Epoch {
        Epoch { incarnation, opening: self.opening }
    }

    /// Nothing that would be lost if it were forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.peer.is_none() && self.leases.is_none()
    }

    pub(super) fn fingerprint_add(&mut self, name: &Name, fence: Fence, mode: Mode) {
        self.fingerprint.add(&self.secret, name, fence, mode);
    }

    pub(super) fn fingerprint_remove(&mut self, name: &Name, fence: Fence, mode: Mode) {
        self.fingerprint.remove(&self.secret, name, fence, mode);
    }
}

/// Of a connection's number, which the driver chooses and no stranger.
fn hash_of(peer: Peer) -> Hash {
    Hash::of_number(peer.0)
}
