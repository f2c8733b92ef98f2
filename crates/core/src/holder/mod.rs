//! The holder: knows which leases it has, and stops believing in each as soon as it might be over.
//!
//! [`Holder::handle`] is the only way in and a drained [`Outputs`] the
//! only way out. One holder is one session. The rules are in the files beside this one:
//!
//! - `requests`: what the user wants, and what is asked of the granter for it;
//! - `replies`: what the granter says, and which anchor each reply moves;
//! - `session`: connections, and what is done after a reconnect or a restart of the granter;
//! - `timers`: renewal, jeopardy, expiry, breaks of continuity;
//! - `persistence`: renewals of suspect leases that do not help;
//! - `doubt`: what is done when the granter's clock and this one disagree;
//! - `lease`: one lease and its promise.

mod doubt;
mod io;
mod lease;
#[cfg(feature = "mutants")]
mod mutants;
mod persistence;
mod proof;
mod replies;
mod requests;
mod session;
mod timers;

pub use io::{Change, Ending, Handle, Hold, Input, Output, Renewal, View, WakeReason};
pub use proof::Held;

use alloc::collections::{BTreeMap, VecDeque};

use crate::audit::PeerAudit;
use crate::identity::{Epoch, Incarnation, RequestId, Secret, SessionId};
use crate::message::FromGranter;
use crate::name::Name;
use crate::outputs::{Outputs, assert_drained};
use crate::time::{FastHand, FastInstant, Now, Span};
use crate::wheel::Wheel;

use lease::{Anchor, Lease};
use persistence::Persistence;
use replies::RenewedSoFar;

/// The state machine of a holder. See the [module](self).
#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub struct Holder {
    hand: FastHand,
    session: SessionId,
    secret: Secret,
    link: Link,
    /// The life of the granter that was last heard of.
    life: Option<Incarnation>,
    /// The number of the last request.
    last_id: u64,
    leases: BTreeMap<Handle, Lease>,
    /// The handle of each name that is wanted or held.
    by_name: BTreeMap<Name, Handle>,
    /// Requests on this connection that no final reply came for.
    pending: BTreeMap<RequestId, Pending>,
    /// What a bulk renewal has renewed so far, while its answer comes in parts.
    renewed_so_far: Option<RenewedSoFar>,
    audit: PeerAudit,
    timers: Wheel<Handle>,
    now: Now<FastInstant>,
    /// How far the hand moved, breaks counting nothing. For timers, not for safety.
    advance: Span,
    /// Whether some lease wants to be renewed before this input's outputs are done.
    renewal_due: bool,
    persistence: Persistence,
    announced: Option<u64>,
    outputs: VecDeque<Output>,
}

/// How the granter is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    /// Asked for when the timers stood here.
    Opening {
        asked: Span,
    },
    Open(Epoch),
}

/// A request that was handed to the transport.
#[derive(Debug, Clone, Copy)]
struct Pending {
    /// Before its bytes were handed over: what a lease that it makes or extends counts from
    /// (invariant I3).
    anchor: Anchor,
    /// Where the timers stood then, breaks counting nothing: by when an answer is overdue.
    asked: Span,
    about: About,
    /// Whether the granter has said that it knows of it.
    acknowledged: Acknowledged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acknowledged {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Acquire(Handle),
    Renew(Handle),
    RenewAll,
    /// The release of a lease, or the withdrawal of the wish for one.
    Leave(Handle),
    Downgrade(Handle),
    Reclaim(Handle),
    /// The release of a grant that nobody wants any more.
    Return,
    /// That the clocks disagree.
    Report,
}

impl Holder {
    /// A holder without leases and without a connection.
    ///
    /// `session` and `secret` are random, and nobody else's.
    #[must_use]
    pub fn new(hand: FastHand, session: SessionId, secret: Secret, now: Now<FastInstant>) -> Self {
        Self {
            hand,
            session,
            secret,
            link: Link::Down,
            life: None,
            last_id: 0,
            leases: BTreeMap::new(),
            by_name: BTreeMap::new(),
            pending: BTreeMap::new(),
            renewed_so_far: None,
            audit: PeerAudit::default(),
            timers: Wheel::new(),
            now,
            advance: Span::ZERO,
            renewal_due: false,
            persistence: Persistence::default(),
            announced: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in one thing that happened, and says what is to be done about it.
    ///
    /// # Timing
    /// `now` must have been read before any byte that this call puts out is handed to the
    /// transport, and after the input happened. A stale `not_before` only ends leases earlier.
    ///
    /// # Panics
    /// If outputs of the last input were left undone, or a handle is used twice.
    pub fn handle(&mut self, now: Now<FastInstant>, input: Input) -> Outputs<'_, Output> {
        assert_drained(&self.outputs);
        // Before anything is said in the name of a session that another may go on with.
        let copied = matches!(input, Input::Copied { .. }) && !planted!(self.hand, CopiedIgnored);
        let cut = copied && self.cut_off();
        self.observe(now);
        match input {
            Input::Connected => self.connected(),
            Input::Received(message) => self.received(message),
            Input::Disconnected => self.disconnected(),
            Input::Acquire { handle, acquire, renewal } => self.acquire(handle, acquire, renewal),
            Input::Renew { handle, term } => self.renew(handle, term),
            Input::Release { handle } => {
                self.end_if_over(handle);
                self.release(handle, Ending::Released);
            }
            Input::Downgrade { handle } => self.downgrade(handle),
            Input::Forget { handle } => self.forget(handle),
            Input::Copied { .. } if !copied => {}
            Input::Copied { session, secret } => {
                self.copied(session, secret);
                if cut {
                    self.outputs.push_back(Output::Reconnect);
                }
            }
            Input::Wake => {
                self.announced = None;
                self.end_pause();
                self.give_up_late_link(timers::ANSWER_MAX);
            }
        }
        self.fire_timers();
        self.renew_what_is_due();
        self.announce_wake();
        Outputs::of(&mut self.outputs)
    }

    /// A lease as it is at `now`: computed at this moment, so that no call that starts after its
    /// deadline says that it is valid. `None` if the handle is unknown or forgotten.
    #[must_use]
    pub fn view(&self, handle: Handle, now: Now<FastInstant>) -> Option<View> {
        self.leases.get(&handle).map(|lease| lease.view(&self.hand, &now))
    }

    /// The proof that a lease is valid at `now`.
    ///
    /// # Errors
    /// What it is instead; `None` if the handle is unknown or forgotten.
    pub fn held(&self, handle: Handle, now: Now<FastInstant>) -> Result<Held<'_>, Option<View>> {
        let lease = self.leases.get(&handle).ok_or(None)?;
        let now = planted!(self.hand, CheckAtLastInput => self.now, else now);
        match (lease.view(&self.hand, &now), lease.held()) {
            (View::Valid { at_least } | View::Recalled { at_least }, Some(held)) => {
                Ok(Held::prove(held.fence, held.mode, at_least))
            }
            (view, _) => Err(Some(view)),
        }
    }

    /// The session's identity.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    fn received(&mut self, message: FromGranter) {
        match message {
            FromGranter::Opened(opened) => self.opened(opened),
            FromGranter::NotOpened(refusal) => self.outputs.push_back(Output::NotOpened(refusal)),
            FromGranter::Reply { id, reply, moved } => self.replied(id, reply, moved),
            FromGranter::Recalled { name, fence, recall } => self.recalled(&name, fence, recall),
            FromGranter::Answer { .. } | FromGranter::Happened { .. } => {}
        }
    }

    fn tell(&mut self, handle: Handle, change: Change) {
        self.outputs.push_back(Output::Changed { handle, change });
    }
}
