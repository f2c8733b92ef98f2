//! What goes into a granter and what comes out.

use crate::audit::Disagreement;
use crate::identity::{Incarnation, Peer, Rights, SessionId};
use crate::mac::Key;
use crate::message::{FromGranter, ToGranter};
use crate::time::Span;

/// One thing that happened to a granter.
#[derive(Debug, Clone)]
pub enum Input {
    /// A connection was accepted.
    Connected {
        /// Its number, never used before in this life.
        peer: Peer,
        /// What it may do.
        rights: Rights,
    },
    /// A message came over a connection.
    Received {
        /// The connection.
        peer: Peer,
        /// The message.
        message: ToGranter,
    },
    /// A connection is gone; nothing more comes from it.
    Disconnected {
        /// The connection.
        peer: Peer,
    },
    /// A wake-up that was asked for is due, or may be: early and late ones are harmless.
    Wake,
    /// The record of this [`Output::Persist`] is durable.
    Persisted(PersistId),
    /// It could not be made durable, or nobody knows whether it was.
    PersistFailed(PersistId),
    /// The driver wants to stop.
    Stop,
}

/// One thing to be done for a granter, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make this record durable in place of the last one, then say so. At most one is under way.
    Persist {
        /// To be repeated in the answer.
        id: PersistId,
        /// The whole of what must survive.
        record: Record,
    },
    /// Send this to a connection.
    Send {
        /// The connection.
        peer: Peer,
        /// The message.
        message: FromGranter,
    },
    /// Close this connection and drop what was not read of it yet, before anything else is fed in.
    Close {
        /// The connection.
        peer: Peer,
        /// Why, for the log.
        why: CloseReason,
    },
    /// Feed in [`Input::Wake`] once this much has passed. Replaces the wake-up asked for before.
    WakeAt {
        /// From the moment of this input, on the slow hand.
        after: Span,
        /// Why, for logs and debuggers.
        reason: WakeReason,
    },
    /// A holder says that its clock and this one disagree: for the log.
    Reported {
        /// Whose session.
        session: SessionId,
        /// What it says.
        disagreement: Disagreement,
    },
    /// The granter has stopped; feed in nothing more.
    Stopped {
        /// Whether the next start needs no wait.
        exit: Exit,
    },
}

/// Numbers the records that a granter wants durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersistId(pub u64);

/// All that a granter must not forget. Small and of fixed size: it is replaced as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The life that wrote it.
    pub incarnation: Incarnation,
    /// No fence above this was ever given.
    pub fence_mark: u64,
    /// No lease was ever promised for longer, since `settled`.
    pub longest_promise: Span,
    /// The last life that made new grants: reclaims of earlier ones are refused.
    pub settled: Option<Incarnation>,
    /// Whether anything can be held that a next life would not know of.
    pub leftovers: Leftovers,
    /// The key under the tags of grants.
    pub token_key: TokenKey,
}

/// The key under a granter's tags: what makes a reclaim believable. Keep it private.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKey(pub [u8; 16]);

impl TokenKey {
    pub(crate) const fn key(&self) -> Key {
        Key(self.0)
    }
}

impl core::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// Whether leases can have outlived a granter's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// Grants may be in use: the next life waits the longest promise out.
    Possible,
    /// Nothing was granted, offered or waiting when this was written: the next life need not wait.
    None,
}

/// Why a granter closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Its session was opened on another connection.
    Superseded,
    /// It tried a session with a wrong secret, or opened two.
    Unwelcome,
    /// The granter is not ready, or is stopping.
    NotServing,
}

/// Why a granter wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// A lease, an offer, a waiter or an idle session may be over.
    Timer,
    /// The restart wait may be over.
    RestartWait,
    /// More was due than one input does: go on at once, after serving others.
    Backlog,
    /// The store failed; try again.
    StoreRetry,
}

/// How a granter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing was held: the next start grants at once.
    Settled,
    /// The next start waits out at most this, since leases may be in use.
    LeasesLive {
        /// The longest promise.
        wait: Span,
    },
}
