//! A peer that lies within its protocol: whatever it says is well formed, and nothing of it need be true.
//!
//! It has a session and a connection of its own, whose messages arrive at once. It knows every name and
//! fence that the granter gave away, keeps the signatures under its own leases, and guesses secrets. What
//! it believes to hold counts for nobody; every claim is checked for the others.

use std::collections::BTreeMap;

use tlease_core::audit::Disagreement;
use tlease_core::granter::Input;
use tlease_core::identity::{Epoch, Incarnation, Peer, RequestId, Rights, Secret, SessionId};
use tlease_core::message::{
    Acquire, Fingerprint, FromGranter, Grant, Op, Opened, Reclaim, Reply, Request, Tag, ToGranter,
    Wait,
};
use tlease_core::time::Span;
use tlease_core::{Fence, Mode, Name};

use super::World;
use super::node::{Guard, name_of};
use crate::act::{Lie, Says};

/// The liar, and what it remembers.
#[derive(Debug, Default)]
pub(crate) struct Liar {
    /// Its connection, if it has one.
    peer: Option<Peer>,
    /// How many it had.
    peers: u64,
    /// Whether its session was not opened there.
    refused: bool,
    epoch: Option<Epoch>,
    /// Of its session before.
    epoch_before: Option<Epoch>,
    last_id: u64,
    asked: BTreeMap<RequestId, Acquire>,
    /// What it was given itself, the newest last.
    loot: Vec<Loot>,
    /// The names and fences of everybody's leases, the newest last.
    heard: Vec<(Name, Fence)>,
}

/// A lease that it was given.
#[derive(Debug, Clone)]
struct Loot {
    asked: Acquire,
    grant: Grant,
    issued: Incarnation,
}

/// Its connections are numbered from here, beyond those of holders.
const PEERS: u64 = 1 << 32;
const SESSION: SessionId = SessionId([0xee; 16]);
const SECRET: Secret = Secret([0xee; 16]);
/// As many leases as it remembers.
const HEARD_MAX: usize = 64;

impl World {
    /// It says something now, if there is a granter to say it to.
    pub(super) fn lie(&mut self, lie: &Lie) {
        if self.granter.is_none() || self.now < self.granter_paused {
            return;
        }
        self.count("lie", 1);
        if let Says::OpenAs { node } = lie.says {
            // A session is opened by the first message of a connection.
            let victim = &self.nodes[node % self.nodes.len()];
            // One that the granter knows. Who knows the id of a session that it has forgotten can have it, and
            // keep its holder from coming back: no harm but that.
            let known = victim.leases.values().any(|seen| match seen.guard {
                Guard::Open(hold) => self.checkers.witness.knows(seen.name, hold.fence),
                Guard::NotYet | Guard::Suspended | Guard::Closed => false,
            });
            let session = victim.holder.session();
            if known {
                self.liar_opens(session);
            }
            return;
        }
        if self.liar.peer.is_none() || self.liar.refused {
            self.liar_opens(SESSION);
        }
        if let Some(message) = self.made_up(lie) {
            self.says(message);
        }
    }

    /// It opens a session over a new connection, with the only secret that it has.
    fn liar_opens(&mut self, session: SessionId) {
        self.liar_leaves();
        self.liar.peers += 1;
        let peer = Peer(PEERS + self.liar.peers);
        (self.liar.peer, self.liar.refused) = (Some(peer), false);
        self.feed_granter(Input::Connected { peer, rights: Rights::Holder });
        self.says(ToGranter::Open { session, secret: SECRET });
    }

    fn says(&mut self, message: ToGranter) {
        // Its own connection may be closed by what it said last.
        if let Some(peer) = self.liar.peer {
            self.feed_granter(Input::Received { peer, message });
        }
    }

    fn made_up(&mut self, lie: &Lie) -> Option<ToGranter> {
        let Lie { says, of, stale } = *lie;
        if says == Says::Open {
            return Some(ToGranter::Open { session: SESSION, secret: SECRET });
        }
        let liar = &mut self.liar;
        let epoch = if stale { liar.epoch_before.or(liar.epoch) } else { liar.epoch }?;
        let op = liar.op(says, of, epoch)?;
        liar.last_id += u64::from(!stale);
        let id = RequestId(liar.last_id.max(1));
        if let Op::Acquire(acquire) = &op {
            liar.asked.insert(id, acquire.clone());
        }
        Some(ToGranter::Request(Request { epoch, id, op }))
    }

    /// Whether a message went to it.
    pub(super) fn liar_hears(&mut self, peer: Peer, message: &FromGranter) -> bool {
        if self.liar.peer != Some(peer) {
            return peer.0 > PEERS;
        }
        self.liar.hears(message);
        true
    }

    /// What the granter gives away is no secret.
    pub(super) fn liar_hears_of(&mut self, name: &Name, fence: Fence) {
        let heard = &mut self.liar.heard;
        heard.push((name.clone(), fence));
        if heard.len() > HEARD_MAX {
            heard.remove(0);
        }
    }

    /// Its connection is gone: closed by the granter, or with it.
    pub(super) fn liar_is_cut_off(&mut self, peer: Option<Peer>) {
        if peer.is_none() || peer == self.liar.peer {
            self.liar.peer = None;
            self.liar.epoch_before = self.liar.epoch.take().or(self.liar.epoch_before);
        }
    }

    /// It goes away.
    pub(super) fn liar_leaves(&mut self) {
        let peer = self.liar.peer;
        self.liar_is_cut_off(peer);
        if let Some(peer) = peer.filter(|_| self.granter.is_some()) {
            self.feed_granter(Input::Disconnected { peer });
        }
    }
}

impl Liar {
    fn hears(&mut self, message: &FromGranter) {
        match message {
            FromGranter::Opened(Opened { epoch, .. }) => {
                self.epoch_before = self.epoch.replace(*epoch).or(self.epoch_before);
            }
            FromGranter::Reply {
                id,
                reply: Reply::Granted(grant) | Reply::Offered { grant, .. },
                ..
            } => {
                if let (Some(asked), Some(epoch)) = (self.asked.get(id).cloned(), self.epoch) {
                    self.loot.push(Loot { asked, grant: *grant, issued: epoch.incarnation });
                }
            }
            FromGranter::NotOpened(_) => self.refused = true,
            FromGranter::Reply { .. }
            | FromGranter::Answer { .. }
            | FromGranter::Recalled { .. }
            | FromGranter::Happened { .. } => {}
        }
    }

    fn op(&self, says: Says, of: u64, epoch: Epoch) -> Option<Op> {
        let heard = self.heard.iter().rev().nth(nth(of, self.heard.len())?).cloned();
        Some(match says {
            Says::Open | Says::OpenAs { .. } => return None,
            Says::Acquire { name, shared, term } => Op::Acquire(Acquire {
                name: name_of(name),
                mode: if shared { Mode::Shared } else { Mode::Exclusive },
                term: Span::from_nanos(term),
                wait: if of.is_multiple_of(2) { Wait::Try } else { Wait::Unbounded },
                value: None,
            }),
            Says::Renew { term } => {
                let (name, fence) = heard?;
                Op::Renew { name, fence, term: term.map(Span::from_nanos) }
            }
            Says::RenewAll => {
                Op::RenewAll { fingerprint: Fingerprint { count: of, sum: u128::from(of) } }
            }
            Says::Release => heard.map(|(name, fence)| Op::Release { name, fence })?,
            Says::Downgrade => heard.map(|(name, fence)| Op::Downgrade { name, fence })?,
            Says::Withdraw { name } => Op::Withdraw { name: name_of(name) },
            Says::Report => {
                let (granter, holder) = (Span::from_nanos(of), Span::ZERO);
                Op::Report(Disagreement { granter, holder })
            }
            Says::ReclaimForged { term } => {
                let (name, fence) = heard?;
                self.claim(name, fence, Span::from_nanos(term), Tag([0xee; 16]), epoch)
            }
            Says::ReclaimOld { as_of } => {
                let Loot { asked, grant, issued } =
                    self.loot.iter().rev().nth(nth(of, self.loot.len())?)?;
                let to = if as_of { *issued } else { epoch.incarnation };
                Op::Reclaim(Box::new(Reclaim {
                    name: asked.name.clone(),
                    mode: asked.mode,
                    fence: grant.fence,
                    term: grant.term,
                    issued: *issued,
                    tag: grant.tag,
                    to,
                    value: None,
                }))
            }
        })
    }

    fn claim(&self, name: Name, fence: Fence, term: Span, tag: Tag, epoch: Epoch) -> Op {
        let before = epoch.incarnation.get().saturating_sub(1);
        let issued = Incarnation::new(before).unwrap_or(epoch.incarnation);
        let mode = Mode::Exclusive;
        let to = epoch.incarnation;
        // Above every fence of others, as far as it knows: of two that claim a name the higher one wins.
        let highest = self.heard.iter().map(|(_, fence)| *fence).max().unwrap_or(fence);
        Op::Reclaim(Box::new(Reclaim {
            name,
            mode,
            fence: highest,
            term,
            issued,
            tag,
            to,
            value: None,
        }))
    }
}

/// One of so many.
fn nth(of: u64, count: usize) -> Option<usize> {
    usize::try_from(of.checked_rem(count as u64)?).ok()
}
