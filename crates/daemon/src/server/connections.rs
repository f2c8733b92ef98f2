//! `Connections`: all clients' sockets, what comes in on them and what goes out.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::time::Instant;

use tlease_core::granter::{CloseReason, Input};
use tlease_core::identity::{Peer, Rights};
use tlease_core::message::{FromGranter, ToGranter};
use tlease_wire::{Goodbye, GoodbyeReason};

use super::connection::{Came, Connection, Stage};
use super::monotonic_now;
use super::poll::{Due, Interest, Poll};
use super::stream::{Origin, Stream};
use crate::config::ConnectionLimits;
use crate::metrics::Metrics;

/// All clients' sockets.
#[derive(Debug)]
pub(super) struct Connections {
    all: BTreeMap<u64, Connection>,
    /// The number of the next connection: never used twice.
    next: u64,
    limits: ConnectionLimits,
    metrics: Metrics,
    /// Where bytes are read to; empty between two reads.
    buffer: Box<[u8]>,
    messages: Vec<ToGranter>,
    /// Connections with something to send.
    dirty: Vec<u64>,
    /// Whose hello is awaited, and who was said goodbye, in the order of their deadlines.
    greeting: VecDeque<(Instant, u64)>,
    leaving: VecDeque<(Instant, u64)>,
    /// Connections that were dropped because their clients do not read.
    lost: Vec<Peer>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits, metrics: Metrics) -> Self {
        Self {
            all: BTreeMap::new(),
            next: 1,
            limits,
            metrics,
            buffer: vec![0; READ_MAX].into(),
            messages: Vec::new(),
            dirty: Vec::new(),
            greeting: VecDeque::new(),
            leaving: VecDeque::new(),
            lost: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// A number that no connection has had or will have.
    pub(super) const fn new_peer(&mut self) -> Peer {
        let number = self.next;
        self.next += 1;
        Peer(number)
    }

    /// Takes in a new connection, or turns it away.
    pub(super) fn accept(&mut self, poll: &Poll, stream: Stream, origin: Origin, rights: Rights) {
        if self.all.len() >= self.limits.count_max.saturating_add(TURNED_AWAY_MAX) {
            return self.turn_away(origin, "far too many connections");
        }
        self.metrics.counters().accepted.add(1);
        let Peer(number) = self.new_peer();
        let until = monotonic_now() + self.limits.hello_within;
        if let Err(error) = poll.add(&stream, number, Interest::READ) {
            tracing::warn!(%origin, %error, "cannot wait for a connection");
            return;
        }
        let full = self.all.len() >= self.limits.count_max;
        self.all.insert(number, Connection::new(stream, origin, rights, until));
        self.metrics.counters().connections.set(self.all.len());
        if full {
            self.metrics.counters().turned_away.add(1);
            tracing::warn!(%origin, limit = self.limits.count_max, "too many connections");
            let detail = format!("the granter has its {} connections", self.limits.count_max);
            self.leave(number, GoodbyeReason::Full, detail);
        } else {
            self.greeting.push_back((until, number));
        }
    }

    /// Does what a socket has to do, and appends what comes of it.
    pub(super) fn serve(&mut self, due: Due, inbox: &mut Vec<Input>) {
        let Some(connection) = self.all.get_mut(&due.token) else { return };
        if due.write {
            mark_dirty(&mut self.dirty, connection, due.token);
        }
        if due.read || due.broken && connection.interest.read {
            self.read(due.token, inbox);
        } else if due.broken {
            // It is not read because it does not read, and now it never will.
            self.remove(due.token, inbox);
        }
    }

    fn read(&mut self, number: u64, inbox: &mut Vec<Input>) {
        let Some(connection) = self.all.get_mut(&number) else { return };
        let came = connection.read(&mut self.buffer, &mut self.messages);
        let peer = Peer(number);
        if connection.greeted() && matches!(connection.stage, Stage::Greeting { .. }) {
            connection.stage = Stage::Open;
            mark_dirty(&mut self.dirty, connection, number);
            inbox.push(Input::Connected { peer, rights: connection.rights });
        }
        let counters = self.metrics.counters();
        counters.messages_in.add(self.messages.len());
        inbox.extend(self.messages.drain(..).map(|message| Input::Received { peer, message }));
        match came {
            Came::Bytes(count) => counters.bytes_in.add(count),
            Came::Nothing => {}
            Came::End => self.remove(number, inbox),
            Came::Nonsense(count, nonsense) => {
                counters.bytes_in.add(count);
                counters.not_understood.add(1);
                let detail = with_causes(&nonsense);
                let origin = connection.origin;
                tracing::warn!(%origin, connection = number, "closing, not understood: {detail}");
                if connection.stage == Stage::Open {
                    inbox.push(Input::Disconnected { peer });
                }
                self.leave(number, GoodbyeReason::NotUnderstood, detail);
            }
        }
    }

    /// Counts a connection that is closed without a word.
    pub(super) fn turn_away(&self, origin: Origin, why: &str) {
        self.metrics.counters().accepted.add(1);
        self.metrics.counters().turned_away.add(1);
        tracing::warn!(%origin, "turned away: {why}");
    }

    /// Queues a message of the granter.
    pub(super) fn send(&mut self, peer: Peer, message: &FromGranter) {
        let Some(connection) = self.all.get_mut(&peer.0) else { return };
        match connection.stage {
            Stage::Open => {}
            Stage::Greeting { .. } | Stage::Leaving { .. } => return,
        }
        if let Err(error) = connection.push(message) {
            self.metrics.counters().unsendable.add(1);
            tracing::error!(connection = peer.0, %error, "closing, since it cannot be answered");
            self.leave(peer.0, GoodbyeReason::NotServing, error.to_string());
            self.lost.push(peer);
            return;
        }
        self.metrics.counters().messages_out.add(1);
        mark_dirty(&mut self.dirty, connection, peer.0);
        if connection.unread() > self.limits.unread_max {
            self.metrics.counters().bytes_out.add(connection.flush());
            if connection.unread() > self.limits.unread_max {
                self.metrics.counters().too_slow.add(1);
                let origin = connection.origin;
                tracing::warn!(%origin, connection = peer.0, "closing, since it does not read");
                self.forget(peer.0);
                self.lost.push(peer);
            }
        }
    }

    /// Says goodbye for the granter.
    pub(super) fn close(&mut self, peer: Peer, why: CloseReason) {
        let (reason, detail) = match why {
            CloseReason::Superseded => {
                (GoodbyeReason::Superseded, "the session was opened on another connection")
            }
            CloseReason::Unwelcome => {
                (GoodbyeReason::Unwelcome, "a wrong secret, or a second opening of a session")
            }
            CloseReason::NotServing => {
                (GoodbyeReason::NotServing, "the granter is starting or stopping")
            }
        };
        tracing::debug!(connection = peer.0, "closing: {detail}");
        self.leave(peer.0, reason, detail.into());
    }

    /// Connections that are gone because their clients do not read; the granter is to hear of it.
    pub(super) fn take_lost(&mut self) -> Option<Peer> {
        self.lost.pop()
    }

    /// Says goodbye to those who are too late, and drops those who were said it.
    pub(super) fn expire(&mut self, now: Instant, inbox: &mut Vec<Input>) {
        while let Some((_, number)) = self.greeting.pop_front_if(|(until, _)| *until <= now) {
            let greeting = self.all.get(&number).map(|connection| connection.stage);
            if matches!(greeting, Some(Stage::Greeting { .. })) {
                self.metrics.counters().too_slow.add(1);
                tracing::warn!(connection = number, "closing, since no hello came");
                self.leave(number, GoodbyeReason::TooSlow, "no hello came in time".into());
            }
        }
        while let Some((_, number)) = self.leaving.pop_front_if(|(until, _)| *until <= now) {
            self.remove(number, inbox);
        }
    }

    /// When `expire` has something to do next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.greeting.front(), self.leaving.front()];
        deadlines.into_iter().flatten().map(|(until, _)| *until).min()
    }

    /// Sends what was queued.
    pub(super) fn flush(&mut self, poll: &Poll) {
        while let Some(number) = self.dirty.pop() {
            let Some(connection) = self.all.get_mut(&number) else { continue };
            connection.dirty = false;
            self.metrics.counters().bytes_out.add(connection.flush());
            if connection.unread() == 0 && matches!(connection.stage, Stage::Leaving { .. }) {
                // An error says that the client is gone, which its reading will show too.
                let _ = connection.stream.finish();
            }
            let wants = connection.wants(self.limits.unread_pause);
            if wants != connection.interest {
                let pauses = connection.interest.read && !wants.read;
                self.metrics.counters().paused.add(usize::from(pauses));
                connection.interest = wants;
                if let Err(error) = poll.change(&connection.stream, number, wants) {
                    tracing::error!(connection = number, %error, "cannot wait for a connection");
                }
            }
        }
    }

    /// Says goodbye to everyone.
    pub(super) fn close_all(&mut self, detail: &str) {
        let open: Vec<u64> = self.all.keys().copied().collect();
        for number in open {
            self.leave(number, GoodbyeReason::NotServing, detail.into());
        }
    }

    /// Whether everything that was queued was sent.
    pub(super) fn all_sent(&self) -> bool {
        self.all.values().all(|connection| connection.unread() == 0)
    }

    fn leave(&mut self, number: u64, reason: GoodbyeReason, detail: String) {
        let Some(connection) = self.all.get_mut(&number) else { return };
        if matches!(connection.stage, Stage::Leaving { .. }) {
            return;
        }
        let until = monotonic_now() + self.limits.goodbye_within;
        connection.leave(&Goodbye { reason, detail }, until);
        mark_dirty(&mut self.dirty, connection, number);
        self.leaving.push_back((until, number));
    }

    fn remove(&mut self, number: u64, inbox: &mut Vec<Input>) {
        if let Some(Stage::Open) = self.forget(number) {
            inbox.push(Input::Disconnected { peer: Peer(number) });
        }
    }

    /// Drops a connection, which closes it; its stage until now.
    fn forget(&mut self, number: u64) -> Option<Stage> {
        let connection = self.all.remove(&number)?;
        self.metrics.counters().connections.set(self.all.len());
        Some(connection.stage)
    }
}

fn mark_dirty(dirty: &mut Vec<u64>, connection: &mut Connection, number: u64) {
    if !connection.dirty {
        connection.dirty = true;
        dirty.push(number);
    }
}

/// An error and its causes, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Read of one connection in one turn: several hundred requests, and then the others have theirs.
const READ_MAX: usize = 64 << 10;

/// Connections beyond the bound that are open just long enough to hear why they are turned away.
const TURNED_AWAY_MAX: usize = 64;
