//! Connections: ordered, delayed and breakable; or a network without any order at all.

use std::collections::VecDeque;

use tlease_core::granter;
use tlease_core::holder;
use tlease_core::identity::{Peer, Rights, SessionId};
use tlease_core::message::{FromGranter, Op, Reply, ToGranter};

use super::damage::Bytes;
use super::{Event, World};
use crate::act::Link;
use crate::options::{Delays, Network};

/// How long a driver waits before it connects again.
const RECONNECT_AFTER: u64 = 20_000_000;

#[derive(Debug)]
pub(crate) struct Conn {
    node: usize,
    peer: Peer,
    session: SessionId,
    open_at_granter: bool,
    open_at_holder: bool,
    to_granter: VecDeque<(u64, ToGranter)>,
    to_holder: VecDeque<(u64, FromGranter)>,
    /// What comes to each side as bytes, since some were damaged.
    pub(super) to_granter_bytes: Option<Bytes>,
    pub(super) to_holder_bytes: Option<Bytes>,
}

impl Conn {
    pub(super) const fn node(&self) -> usize {
        self.node
    }

    pub(super) const fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) const fn is_open_at_granter(&self) -> bool {
        self.open_at_granter
    }
}

impl World {
    pub(crate) fn connect(&mut self, node: usize) {
        if self.nodes[node].conn.is_some() {
            return;
        }
        let busy = self.now < self.nodes[node].paused || self.now < self.granter_paused;
        if self.granter.is_none() || busy {
            let later = self.now + self.draws.net.between(1, self.options.scale / 40);
            return self.at(later, Event::Connect(node));
        }
        self.feed_copied(node);
        let peer = Peer(self.conns.len() as u64 + 1);
        let (to_granter, to_holder) = (VecDeque::new(), VecDeque::new());
        let index = self.conns.len();
        self.conns.push(Conn {
            node,
            peer,
            session: self.nodes[node].holder.session(),
            open_at_granter: true,
            open_at_holder: true,
            to_granter,
            to_holder,
            to_granter_bytes: None,
            to_holder_bytes: None,
        });
        self.nodes[node].conn = Some(index);
        self.nodes[node].sent.clear();
        self.feed_granter(granter::Input::Connected { peer, rights: Rights::Holder });
        self.feed(node, holder::Input::Connected);
    }

    pub(crate) fn send_to_granter(&mut self, node: usize, message: ToGranter) {
        let Some(index) = self.nodes[node].conn else { return };
        let session = self.nodes[node].holder.session();
        if let Some(delays) = self.ruled(Link::ToGranter(node), kind_to_granter(&message)) {
            for delay in delays {
                let stray = Event::StrayToGranter(node, session, message.clone());
                self.at(self.now + delay, stray);
            }
            return;
        }
        let opens = self.parted_until(Link::ToGranter(node));
        if opens > self.now && self.loses_order() {
            return self.count("lost in a partition", 1);
        }
        if self.loses_order() {
            for _ in 0..self.copies() {
                let when = self.now + self.delay();
                self.at(when, Event::StrayToGranter(node, session, message.clone()));
            }
            return;
        }
        let after = self.conns[index].to_granter.back().map_or(0, |(when, _)| *when);
        let when = after.max(self.now + self.delay()).max(opens);
        self.conns[index].to_granter.push_back((when, message));
        self.at(when, Event::ToGranter(index));
    }

    pub(crate) fn send_to_holder(&mut self, peer: Peer, message: FromGranter) {
        if self.liar_hears(peer, &message) {
            return;
        }
        let Some(index) = self.conn_of(peer) else { return };
        let (node, session) = (self.conns[index].node, self.conns[index].session);
        if let Some(delays) = self.ruled(Link::ToHolder(node), kind_from_granter(&message)) {
            for delay in delays {
                let stray = Event::StrayToHolder(node, session, message.clone());
                self.at(self.now + delay, stray);
            }
            return;
        }
        let opens = self.parted_until(Link::ToHolder(node));
        if opens > self.now && self.loses_order() {
            return self.count("lost in a partition", 1);
        }
        if self.loses_order() {
            for _ in 0..self.copies() {
                let when = self.now + self.delay();
                self.at(when, Event::StrayToHolder(node, session, message.clone()));
            }
            return;
        }
        let after = self.conns[index].to_holder.back().map_or(0, |(when, _)| *when);
        let when = after.max(self.now + self.delay()).max(opens);
        self.conns[index].to_holder.push_back((when, message));
        self.at(when, Event::ToHolder(index));
    }

    pub(crate) fn deliver_to_granter(&mut self, index: usize) {
        if !self.conns[index].open_at_granter || self.granter.is_none() {
            return self.conns[index].to_granter.clear();
        }
        if self.now < self.granter_paused {
            return self.at(self.granter_paused, Event::ToGranter(index));
        }
        if let Some((_, message)) = self.conns[index].to_granter.pop_front() {
            self.arrives_at_granter(index, message);
        }
    }

    pub(crate) fn deliver_to_holder(&mut self, index: usize) {
        let node = self.conns[index].node;
        if !self.conns[index].open_at_holder || self.nodes[node].conn != Some(index) {
            return self.conns[index].to_holder.clear();
        }
        if self.now < self.nodes[node].paused {
            return self.at(self.nodes[node].paused, Event::ToHolder(index));
        }
        if let Some((_, message)) = self.conns[index].to_holder.pop_front() {
            self.arrives_at_holder(index, message);
        }
    }

    /// A message without a connection of its own comes out of whichever there is now.
    /// A session's messages stay its own: not even this network crosses them.
    pub(crate) fn stray_to_granter(&mut self, node: usize, of: SessionId, message: ToGranter) {
        if self.nodes[node].holder.session() != of {
            return;
        }
        if self.now < self.granter_paused {
            return self.at(self.granter_paused, Event::StrayToGranter(node, of, message));
        }
        if let Some(index) =
            self.nodes[node].conn.filter(|index| self.conns[*index].open_at_granter)
        {
            self.arrives_at_granter(index, message);
        }
    }

    pub(crate) fn stray_to_holder(&mut self, node: usize, of: SessionId, message: FromGranter) {
        if self.nodes[node].holder.session() != of {
            return;
        }
        if self.now < self.nodes[node].paused {
            return self.at(self.nodes[node].paused, Event::StrayToHolder(node, of, message));
        }
        if let Some(index) = self.nodes[node].conn {
            self.arrives_at_holder(index, message);
        }
    }

    /// A connection breaks; each side learns of it in its own time.
    pub(crate) fn break_conn(&mut self, index: usize) {
        let (mine, theirs) = (self.delay(), self.delay() * self.draws.net.between(0, 3));
        self.at(self.now + mine, Event::HolderSees(index));
        self.at(self.now + theirs, Event::GranterSees(index));
    }

    pub(crate) fn granter_sees_the_end(&mut self, index: usize) {
        if !self.conns[index].open_at_granter || self.granter.is_none() {
            return;
        }
        if self.now < self.granter_paused {
            return self.at(self.granter_paused, Event::GranterSees(index));
        }
        self.conns[index].open_at_granter = false;
        let peer = self.conns[index].peer;
        self.feed_granter(granter::Input::Disconnected { peer });
    }

    /// The granter's driver ends a connection that it cannot read.
    pub(super) fn granter_hangs_up(&mut self, index: usize) {
        self.granter_sees_the_end(index);
        let later = self.now + self.delay();
        self.at(later, Event::HolderSees(index));
    }

    pub(crate) fn holder_sees_the_end(&mut self, index: usize) {
        if !self.conns[index].open_at_holder {
            return;
        }
        let node = self.conns[index].node;
        if self.now < self.nodes[node].paused {
            return self.at(self.nodes[node].paused, Event::HolderSees(index));
        }
        self.conns[index].open_at_holder = false;
        if self.nodes[node].conn == Some(index) {
            self.nodes[node].conn = None;
            self.feed(node, holder::Input::Disconnected);
            let later = self.now + RECONNECT_AFTER + self.delay();
            self.at(later, Event::Connect(node));
        }
    }

    pub(crate) fn granter_closes(&mut self, peer: Peer) {
        self.liar_is_cut_off(Some(peer));
        let Some(index) = self.conn_of(peer) else { return };
        self.conns[index].open_at_granter = false;
        let later = self.now + self.delay();
        self.at(later, Event::HolderSees(index));
    }

    /// Whose connection it is.
    pub(crate) fn node_of(&self, peer: Peer) -> Option<usize> {
        self.conn_of(peer).map(|index| self.conns[index].node)
    }

    /// Of which session it is.
    pub(crate) fn session_of(&self, peer: Peer) -> Option<SessionId> {
        self.conn_of(peer).map(|index| self.conns[index].session)
    }

    /// Of which session the connection with this index is.
    pub(crate) fn session_over(&self, index: usize) -> SessionId {
        self.conns[index].session
    }

    fn conn_of(&self, peer: Peer) -> Option<usize> {
        // Connections are numbered from 1 in their order.
        let index = usize::try_from(peer.0).ok()?.checked_sub(1)?;
        (index < self.conns.len()).then_some(index)
    }

    /// The granter is gone, and all its connections with it.
    pub(crate) fn break_all(&mut self) {
        self.liar_is_cut_off(None);
        for index in 0..self.conns.len() {
            self.conns[index].open_at_granter = false;
            if self.conns[index].open_at_holder {
                let later = self.now + self.delay();
                self.at(later, Event::HolderSees(index));
            }
        }
    }

    /// Both sides learn at once that a connection is gone.
    pub(crate) fn conn_is_gone(&mut self, index: usize) {
        if self.conns[index].open_at_granter {
            self.at(self.now, Event::GranterSees(index));
        }
        if self.conns[index].open_at_holder {
            self.at(self.now + 1, Event::HolderSees(index));
        }
    }

    /// The holder's end of a connection is gone, and the granter learns of it in its own time.
    pub(crate) fn is_cut_off(&mut self, index: usize) {
        self.conns[index].open_at_holder = false;
        let later = self.now + self.delay();
        self.at(later, Event::GranterSees(index));
    }

    /// When copies of a message arrive, if a rule says so.
    fn ruled(&mut self, link: Link, kind: &str) -> Option<Vec<u64>> {
        let matches = |rule: &&mut crate::act::Rule| {
            let of_kind = rule.kind.as_deref().is_none_or(|wanted| wanted == kind);
            rule.times > 0 && rule.link == link && of_kind
        };
        let rule = self.rules.iter_mut().find(matches)?;
        rule.times -= 1;
        Some(rule.delays.clone())
    }

    /// When something gets through again on this way.
    fn parted_until(&mut self, link: Link) -> u64 {
        let (now, healed) = (self.now, self.healed);
        self.parted.retain(|(_, until)| *until > now && !healed);
        let of_link = self.parted.iter().filter(|(parted, _)| *parted == link);
        of_link.map(|(_, until)| *until).max().unwrap_or(0)
    }

    fn loses_order(&self) -> bool {
        !self.healed && self.options.network == Network::Chaotic
    }

    /// How often a message arrives.
    fn copies(&mut self) -> u64 {
        self.draws.net.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 3])
    }

    /// Mostly short, sometimes longer than a term.
    pub(crate) fn delay(&mut self) -> u64 {
        let scale = self.options.scale;
        if let Delays::Fixed(delay) = self.options.delays {
            return delay;
        }
        if self.healed {
            return self.draws.net.between(1_000, scale / 500);
        }
        match self.draws.net.below(10) {
            0..=6 => self.draws.net.between(1_000, scale / 400),
            7 | 8 => self.draws.net.between(1_000, scale / 30),
            _ => self.draws.net.between(1_000, scale / 3),
        }
    }
}

/// The name of a message's variant.
const fn kind_to_granter(message: &ToGranter) -> &'static str {
    match message {
        ToGranter::Open { .. } => "Open",
        ToGranter::Ask { .. } => "Ask",
        ToGranter::Request(request) => match request.op {
            Op::Acquire(_) => "Acquire",
            Op::Renew { .. } => "Renew",
            Op::RenewAll { .. } => "RenewAll",
            Op::Release { .. } => "Release",
            Op::Withdraw { .. } => "Withdraw",
            Op::Downgrade { .. } => "Downgrade",
            Op::Reclaim(_) => "Reclaim",
            Op::Report(_) => "Report",
        },
    }
}

/// The name of a message's variant.
const fn kind_from_granter(message: &FromGranter) -> &'static str {
    match message {
        FromGranter::Opened(_) => "Opened",
        FromGranter::NotOpened(_) => "NotOpened",
        FromGranter::Answer { .. } => "Answer",
        FromGranter::Recalled { .. } => "Recalled",
        FromGranter::Happened { .. } => "Happened",
        FromGranter::Reply { reply, .. } => match reply {
            Reply::Granted(_) => "Granted",
            Reply::Queued { .. } => "Queued",
            Reply::Offered { .. } => "Offered",
            Reply::Renewed(_) => "Renewed",
            Reply::RenewedAll => "RenewedAll",
            Reply::RenewedSome(_) => "RenewedSome",
            Reply::Released { .. } => "Released",
            Reply::Withdrawn => "Withdrawn",
            Reply::Downgraded { .. } => "Downgraded",
            Reply::Reclaimed { .. } => "Reclaimed",
            Reply::Noted => "Noted",
            Reply::Refused(_) => "Refused",
        },
    }
}
