//! What the users of a session ask of its driver.

use std::sync::Arc;

use tlease_core::Refusal;
use tlease_core::holder::{Handle, Renewal};
use tlease_core::message::{Acquire, Answer, Ask, Event, EventMark, Prefix};
use tlease_core::time::Span;
use tokio::sync::{mpsc, oneshot};

use crate::error::Loss;
use crate::session::Looked;
use crate::tenure::Tenure;

/// One thing that a user asks of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    /// A lease is wanted; its tenure says what becomes of it.
    Acquire { handle: Handle, acquire: Acquire, renewal: Renewal, tenure: Arc<Tenure> },
    /// Nobody will ask about a lease, or the wish for one, again: it is given back.
    Forget(Handle),
    /// Renew a lease now.
    Renew { handle: Handle, term: Option<Span>, answer: oneshot::Sender<Renewing> },
    /// Give a lease back.
    Release { handle: Handle, answer: oneshot::Sender<bool> },
    /// Share a lease.
    Downgrade { handle: Handle, answer: oneshot::Sender<Renewing> },
    /// Ask the granter something.
    Ask { ask: Ask, answer: oneshot::Sender<Answer> },
    /// Watch names.
    Watch(Watch),
    /// A watcher went.
    Unwatch,
    /// Look at the clock: a lease was seen to be suspect or over.
    Look(Looked),
    /// Give everything back and end.
    Close { done: oneshot::Sender<()> },
}

/// How a request about one lease was answered.
pub(crate) type Renewing = Result<Answered, NotAnswered>;

/// The granter did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    Done,
    /// Renewed for this long.
    RenewedFor(Span),
}

/// The granter did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAnswered {
    Refused(Refusal),
    Over(Loss),
}

/// A wish to watch names.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) prefix: Prefix,
    pub(crate) after: Option<EventMark>,
    /// Where its beginning and then its events go. Closed when the connection breaks, or when nobody
    /// takes the events: the watcher then resumes.
    pub(crate) seen: mpsc::Sender<Seen>,
}

/// What a watcher is told.
#[derive(Debug)]
pub(crate) enum Seen {
    Began { from: EventMark, gap: bool },
    Event(Box<Event>),
    Refused(Refusal),
}
