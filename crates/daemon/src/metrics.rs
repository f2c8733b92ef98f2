//! What a server counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a running server; clones read the same ones.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: Counter,
    pub(crate) turned_away: Counter,
    pub(crate) connections: Counter,
    pub(crate) turns: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) messages_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) not_understood: Counter,
    pub(crate) too_slow: Counter,
    pub(crate) paused: Counter,
    pub(crate) unsendable: Counter,
    pub(crate) persisted: Counter,
    pub(crate) persist_failed: Counter,
}

/// A number that one thread changes and any may read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        // Only the server's thread writes, so this need not be a locked addition.
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.store(self.read().wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: usize) {
        self.0.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    pub(crate) fn counters(&self) -> &Counters {
        &self.0
    }

    /// The counts now. Not of one moment: each is read by itself.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let counters = self.counters();
        MetricsSnapshot {
            accepted: counters.accepted.read(),
            turned_away: counters.turned_away.read(),
            connections: counters.connections.read(),
            turns: counters.turns.read(),
            messages_in: counters.messages_in.read(),
            messages_out: counters.messages_out.read(),
            bytes_in: counters.bytes_in.read(),
            bytes_out: counters.bytes_out.read(),
            not_understood: counters.not_understood.read(),
            too_slow: counters.too_slow.read(),
            paused: counters.paused.read(),
            unsendable: counters.unsendable.read(),
            persisted: counters.persisted.read(),
            persist_failed: counters.persist_failed.read(),
        }
    }
}

/// Counts of a server since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Connections accepted.
    pub accepted: u64,
    /// Of these, turned away at once: too many, or of another user.
    pub turned_away: u64,
    /// Connections open now.
    pub connections: u64,
    /// Turns of the loop: messages per turn say how well it batches.
    pub turns: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections closed because what they sent is not of the protocol.
    pub not_understood: u64,
    /// Connections closed because they did not say hello, or did not read.
    pub too_slow: u64,
    /// Times that a connection's requests were left unread, since it did not read its replies.
    pub paused: u64,
    /// Messages too large for a frame, whose connection was closed instead.
    pub unsendable: u64,
    /// Records made durable.
    pub persisted: u64,
    /// Records that could not be made durable.
    pub persist_failed: u64,
}
