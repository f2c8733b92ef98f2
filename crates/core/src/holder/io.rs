//! What goes into a holder and what comes out.

use crate::audit::Disagreement;
use crate::fence::{Fence, Mode};
use crate::identity::{Secret, SessionId};
use crate::message::{Acquire, Force, FromGranter, Opened, ToGranter};
use crate::refusal::Refusal;
use crate::time::{FastInstant, Span};

/// Names a lease, or the wish for one, within a holder. The driver numbers them; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// One thing that happened to a holder.
#[derive(Debug, Clone)]
pub enum Input {
    /// A connection to the granter stands; nothing was sent over it yet.
    Connected,
    /// A message came over it. Answers to questions and events of watches are the shell's own
    /// affair and are passed over.
    Received(FromGranter),
    /// The connection is gone; nothing more comes from it.
    Disconnected,
    /// The user wants a lease.
    Acquire {
        /// Its handle from now on.
        handle: Handle,
        /// What is wanted.
        acquire: Acquire,
        /// Whether it is renewed without being asked for.
        renewal: Renewal,
    },
    /// The user wants a lease renewed now.
    Renew {
        /// The lease.
        handle: Handle,
        /// A longer term from now on; a shorter one changes nothing.
        term: Option<Span>,
    },
    /// The user gives a lease back, or does not want it any more.
    Release {
        /// The lease.
        handle: Handle,
    },
    /// The user will share an exclusive lease.
    Downgrade {
        /// The lease.
        handle: Handle,
    },
    /// The user will not ask about this handle again. One that is not over is released.
    Forget {
        /// The lease.
        handle: Handle,
    },
    /// This machine may be a copy of another that goes on as well, with the same session and the same
    /// secret: its generation changed. What both believe to hold only one may go on with, and nobody
    /// can tell which: so neither does. Every lease ends, its guard first; what is wanted is asked for
    /// by a new session, over a new connection.
    ///
    /// Before any other input that was read after the change.
    Copied {
        /// The new session: random, and nobody else's. Drawn after the change.
        session: SessionId,
        /// Its secret: random.
        secret: Secret,
    },
    /// A wake-up that was asked for is due, or somebody saw a suspect lease: early and late ones
    /// are harmless.
    Wake,
}

/// Whether a lease is renewed without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// From a third of its term on, until it is released.
    Automatic,
    /// Only by [`Input::Renew`].
    ByHand,
}

/// One thing to be done for a holder, in this order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Hand this to the transport. Not before the outputs ahead of it are done.
    Send(ToGranter),
    /// Give up the connection and make a new one: the granter does not answer.
    Reconnect,
    /// Let the guard of this lease pass from now on, until the deadline that this gives.
    Hold {
        /// The lease.
        handle: Handle,
        /// What the guard needs to know.
        hold: Hold,
    },
    /// Let the guard of this lease refuse until the next [`Output::Hold`] of it.
    Suspend {
        /// The lease.
        handle: Handle,
    },
    /// Close the guard of this lease, for good, before anything after this is done.
    Close {
        /// The lease.
        handle: Handle,
    },
    /// Tell the user.
    Changed {
        /// The lease.
        handle: Handle,
        /// What changed.
        change: Change,
    },
    /// The granter accepted the session.
    Opened(Opened),
    /// The granter did not accept the session; nothing will come of this connection.
    NotOpened(Refusal),
    /// Feed in [`Input::Wake`] once this much has passed. Replaces the wake-up asked for before.
    WakeAt {
        /// From the moment of this input, on the fast hand.
        after: Span,
        /// Why, for logs and debuggers.
        reason: WakeReason,
    },
}

/// What a guard needs to know of a lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Its fence.
    pub fence: Fence,
    /// Its mode.
    pub mode: Mode,
    /// What the term counts from.
    pub anchor: FastInstant,
    /// How long acts are allowed from the anchor: the term, or what a recall leaves of it.
    pub term: Span,
}

/// What the user of a lease is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It waits in the name's queue.
    Queued {
        /// How many stand before it.
        ahead: u32,
        /// If no grants are made because the granter restarted: for how long still, at least.
        wait_left: Option<Span>,
    },
    /// It is held.
    Acquired,
    /// A renewal arrived.
    Renewed,
    /// The granter would not renew it as asked; it goes on as it was.
    NotRenewed(Refusal),
    /// It is shared now.
    Downgraded,
    /// Continuity of time was lost: it cannot be used until a renewal arrives.
    Suspect,
    /// The granter's clock and this one cannot both be what they promise: it cannot be used until a
    /// renewal arrives that was sent after this was found out. See [`audit`](crate::audit).
    ClocksDisagree(Disagreement),
    /// A quarter of its term is left and no renewal has arrived.
    Jeopardy,
    /// Somebody wants it back.
    Recalled {
        /// How long acts are still allowed.
        until: Span,
        /// Whether it was closed at once.
        force: Force,
    },
    /// It is over, for good.
    Ended(Ending),
}

/// How a lease ended. Final: no late message revives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It never began.
    Refused(Refusal),
    /// Its holder gave it back, or withdrew the wish for it.
    Released,
    /// It was wanted back, and was given back.
    Recalled,
    /// Its term ended before a renewal arrived.
    Expired,
    /// The granter does not know it any more.
    Lost(Refusal),
    /// This machine may be a copy of one that goes on with it ([`Input::Copied`]).
    Copied,
}

/// A lease as its holder sees it at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// It is wanted, and not granted yet.
    Pending,
    /// It can be used.
    Valid {
        /// For at least this long, rounded down.
        at_least: Span,
    },
    /// It can be used, and is wanted back.
    Recalled {
        /// It can be used for at least this long, rounded down.
        at_least: Span,
    },
    /// Nothing is known until a renewal arrives: it cannot be used.
    Suspect,
    /// It is over.
    Ended(Ending),
}

/// Why a holder wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// A lease is to be renewed, is in jeopardy, or is over.
    Lease,
    /// An answer is overdue.
    Answer,
    /// Renewals of suspect leases were in vain, and are to be tried again. No use before: the shell need
    /// not wake the machine for users who look at such a lease meanwhile. A wake-up that is due earlier,
    /// for whatever reason, stands for this one too, which is then not asked for.
    Suspect,
}
