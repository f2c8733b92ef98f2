//! What a granter is set to.

use crate::mac::Key;
use crate::time::{SlowHand, Span};

use super::io::{Record, TokenKey};

/// The bounds and policies of a granter (invariant I17). Each bound has a default with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The shortest term: below 10 ms scheduling noise eats the lease.
    pub term_min: Span,
    /// The longest term: a day; it is also the longest wait after a crash.
    pub term_max: Span,
    /// Live leases and requests in queues together: ten million take about 2 GB. A reclaim counts
    /// leases alone, so that nobody crowds it out by waiting.
    pub leases_max: u32,
    /// Sessions: one for each process that holds or waits.
    pub sessions_max: u32,
    /// Requests in the queue of one name: a queue is searched when its waiters withdraw.
    pub waiters_per_name_max: u32,
    /// Requests that wait for the store: a store that hangs must not fill the memory.
    pub parked_max: u32,
    /// Watches: each event is sent to each of them.
    pub watches_max: u32,
    /// Events kept for watches that resume.
    pub events_kept: u32,
    /// A session without connection and lease is forgotten after this.
    pub session_idle: Span,
    /// Recalls a name from its holders, with this grace, as soon as somebody waits for it. `None`
    /// leaves holders alone until an operator says otherwise.
    pub recall_on_wait: Option<Span>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            term_min: Span::from_millis(10),
            term_max: Span::from_secs(24 * 60 * 60),
            leases_max: 10_000_000,
            sessions_max: 1_000_000,
            waiters_per_name_max: 1024,
            parked_max: 65_536,
            watches_max: 1024,
            events_kept: 16_384,
            session_idle: Span::from_secs(60),
            recall_on_wait: None,
        }
    }
}

/// How a granter is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// What is known of its clock.
    pub hand: SlowHand,
    /// Bounds and policies.
    pub limits: Limits,
    /// What an earlier life left.
    pub past: Past,
    /// Random: keys the tables, so that nobody can choose names that collide.
    pub table_key: Key,
}

/// What is known of earlier lives.
#[derive(Debug, Clone, Copy)]
pub enum Past {
    /// There was none: the data directory is new.
    FirstStart {
        /// Random: will sign tags from now on.
        token_key: TokenKey,
    },
    /// An earlier life wrote this.
    Record(Record),
    /// An earlier life wrote this, and every holder it had is certainly gone: the machine has
    /// booted since, and only processes of this machine can reach this granter (assumption A8).
    AssumeHoldersGone(Record),
}
