//! What holders, readers and operators say to a granter, and what it says back.
//!
//! These are values, not bytes: `tlease-wire` gives them a format, and a protocol with messages of
//! its own may carry them as it likes. No instant is among them, only spans.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::audit::Disagreement;
use crate::fence::{Fence, Mode};
use crate::identity::{AskId, Epoch, Incarnation, RequestId, Secret, SessionId};
use crate::name::{Name, Value};
use crate::refusal::Refusal;
use crate::time::Span;

/// Everything that travels to a granter.
#[derive(Debug, Clone)]
pub enum ToGranter {
    /// Opens a session on this connection, or resumes it: the first message of a holder.
    Open {
        /// The session.
        session: SessionId,
        /// What proves it.
        secret: Secret,
    },
    /// A request of the session that this connection opened.
    Request(Request),
    /// A question, for which no session is needed.
    Ask {
        /// Repeated in the answer.
        id: AskId,
        /// The question.
        ask: Ask,
    },
}

/// One transmission of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The life of the session it belongs to.
    pub epoch: Epoch,
    /// Its number within the session.
    pub id: RequestId,
    /// What is asked for.
    pub op: Op,
}

/// What a session can ask for. Each is answered by one [`Reply`] with its id; a queued acquire by
/// several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Takes the name, or a place in its queue.
    Acquire(Acquire),
    /// Extends one lease from this request on, or confirms an offer.
    Renew {
        /// The lease's name.
        name: Name,
        /// Its fence.
        fence: Fence,
        /// A new term; the old one if absent, and if it is shorter. Whoever names the term that the
        /// lease then has gets a new signature with the answer.
        term: Option<Span>,
    },
    /// Extends every lease of the session, if both sides agree which these are.
    RenewAll {
        /// What the holder believes to hold.
        fingerprint: Fingerprint,
    },
    /// Gives a lease back. Also the acknowledgement of a recall.
    Release {
        /// The lease's name.
        name: Name,
        /// Its fence.
        fence: Fence,
    },
    /// Leaves the queue of a name.
    Withdraw {
        /// The name.
        name: Name,
    },
    /// Turns an exclusive lease into a shared one; its fence stays.
    Downgrade {
        /// The lease's name.
        name: Name,
        /// Its fence.
        fence: Fence,
    },
    /// Asks a granter that has restarted to go on with a lease of its earlier life.
    Reclaim(Box<Reclaim>),
    /// Says that the two clocks disagree by more than they promise. The granter counts it and shows
    /// the count; nothing else comes of it (invariant I51).
    Report(Disagreement),
}

/// What is wanted of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquire {
    /// The name.
    pub name: Name,
    /// Alone, or beside other readers.
    pub mode: Mode,
    /// How long each grant and renewal shall last.
    pub term: Span,
    /// What to do if others hold it.
    pub wait: Wait,
    /// What readers of the name are shown.
    pub value: Option<Value>,
}

/// How long a request may stand in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Try,
    /// At most so long, on the granter's slow hand: never shorter, perhaps a little longer.
    AtMost(Span),
    /// Until withdrawn.
    Unbounded,
}

/// A claim to a lease that an earlier incarnation granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reclaim {
    /// The name.
    pub name: Name,
    /// Its mode.
    pub mode: Mode,
    /// Its fence.
    pub fence: Fence,
    /// Its term.
    pub term: Span,
    /// The incarnation that gave the tag.
    pub issued: Incarnation,
    /// The granter's signature under all of the above and the session.
    pub tag: Tag,
    /// The incarnation that this claim is for: no other accepts it.
    pub to: Incarnation,
    /// What readers shall be shown again.
    pub value: Option<Value>,
}

/// A granter's signature under a grant: what makes a [`Reclaim`] believable after a restart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub [u8; 16]);

impl core::fmt::Debug for Tag {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Tag(..)")
    }
}

/// A summary of a set of leases: equal on both sides iff the sets are, but for a chance of 2^-128.
///
/// The sum of a keyed hash of each (name, fence, mode), under the session's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many leases.
    pub count: u64,
    /// Their hashes, added modulo 2^128.
    pub sum: u128,
}

/// Everything that travels from a granter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromGranter {
    /// The session is open on this connection.
    Opened(Opened),
    /// The session was not opened.
    NotOpened(Refusal),
    /// Belongs to the request with this id.
    Reply {
        /// The request.
        id: RequestId,
        /// What became of it.
        reply: Reply,
        /// The granter's stamp, on some replies: how far its slow hand has moved since the first
        /// stamp of the session in this life, summed up from stamp to stamp, each part rounded down.
        /// What the [audit](crate::audit) goes by.
        moved: Option<Span>,
    },
    /// Belongs to the question with this id.
    Answer {
        /// The question.
        id: AskId,
        /// The answer.
        answer: Box<Answer>,
    },
    /// Somebody wants a lease of this session back.
    Recalled {
        /// The lease's name.
        name: Name,
        /// Its fence.
        fence: Fence,
        /// How soon.
        recall: Recall,
    },
    /// Something happened to a watched name.
    Happened {
        /// The watch.
        watch: AskId,
        /// What happened.
        event: Box<Event>,
    },
}

/// The granter's side of an opened session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// To be named in every request on this connection.
    pub epoch: Epoch,
    /// How long no new grants are made yet, because the granter restarted: a lower bound.
    pub wait_left: Option<Span>,
    /// The shortest term.
    pub term_min: Span,
    /// The longest term.
    pub term_max: Span,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The lease is the session's. Counts from the sending of the acquire.
    Granted(Grant),
    /// The name is taken; the request stands in its queue.
    Queued {
        /// How many stand before it.
        ahead: u32,
        /// If no grants are made because the granter restarted: for how long still, at least.
        wait_left: Option<Span>,
    },
    /// The name is free for this waiter, if it confirms by a renewal within `life`.
    Offered {
        /// The lease, once confirmed. Counts from the sending of the confirmation.
        grant: Grant,
        /// How long the offer stands, on the granter's slow hand.
        life: Span,
    },
    /// The lease was extended. Counts from the sending of the renewal.
    Renewed(Renewed),
    /// All leases of the session were extended. Counts from the sending of the renewal.
    RenewedAll,
    /// The two sides hold different sets: these, and only these, were extended.
    RenewedSome(RenewedSome),
    /// The lease is free, or was not this session's any more.
    Released {
        /// Whether it still was.
        was_held: bool,
    },
    /// The request is out of the queue, or was not in it any more.
    Withdrawn,
    /// The lease is shared now.
    Downgraded {
        /// For its shared life.
        tag: Tag,
    },
    /// The granter goes on with the lease. Counts from the sending of the reclaim.
    Reclaimed {
        /// Of the new incarnation.
        tag: Tag,
    },
    /// The report was counted.
    Noted,
    /// Nothing was done.
    Refused(Refusal),
}

/// A lease as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Its fence.
    pub fence: Fence,
    /// Its term.
    pub term: Span,
    /// The granter's signature.
    pub tag: Tag,
}

/// A lease as it was extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// For how long; shorter than asked if the lease is recalled.
    pub term: Span,
    /// A new signature, if the request named this term: the last one may cover another, or be of an
    /// earlier incarnation.
    pub tag: Option<Tag>,
    /// Repeats a recall, in case it was lost.
    pub recall: Option<Recall>,
}

/// Part of the answer to a bulk renewal of sets that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewedSome {
    /// The leases extended.
    pub fences: Vec<Fence>,
    /// Whether another part follows, with the same id.
    pub more: bool,
}

/// Somebody wants a lease back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recall {
    /// Until when acts are still allowed and renewals reach: counted from the receipt.
    pub until: Span,
    /// Whether the holder shall stop at once.
    pub force: Force,
}

/// Whether a recall leaves time to finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Acts are allowed until the recall's `until`.
    Grace,
    /// Acts are refused from the receipt on.
    Now,
}

/// A question or an operator's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Who holds this name?
    Get {
        /// The name.
        name: Name,
    },
    /// Which names are held or waited for?
    List {
        /// Only names that begin with these bytes.
        prefix: Prefix,
        /// Where the last page ended.
        after: Option<PageMark>,
        /// At most so many names.
        limit: u32,
    },
    /// Tell what happens to names, from now on or from where an earlier watch ended.
    Watch {
        /// Only names that begin with these bytes.
        prefix: Prefix,
        /// The last event seen.
        after: Option<EventMark>,
    },
    /// Ends a watch of this connection.
    Unwatch {
        /// The question that began it.
        watch: AskId,
    },
    /// How is the granter?
    Status,
    /// Wants a name back from whoever holds it.
    Recall {
        /// The name.
        name: Name,
        /// How long holders may go on, at most until the end of their terms.
        grace: Span,
        /// Whether they shall stop at once: for operators only.
        force: Force,
    },
}

/// Bytes that names begin with; none select all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix(pub Box<[u8]>);

impl Prefix {
    /// Whether `name` begins with it.
    #[must_use]
    pub fn selects(&self, name: &Name) -> bool {
        name.as_bytes().starts_with(&self.0)
    }
}

/// Where a page of a list ended. Opaque; valid in the incarnation that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMark(pub u32);

/// What a granter answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `Get`: the name, or that nobody holds or wants it.
    Entry(Option<Entry>),
    /// To `List`: names in no particular order, and where to go on.
    Page {
        /// The names.
        entries: Vec<Entry>,
        /// Present if there may be more.
        next: Option<PageMark>,
    },
    /// To `Watch`: events follow.
    Watching {
        /// The last event before the watch.
        from: EventMark,
        /// Whether events after the mark that was named are gone from the log.
        gap: bool,
    },
    /// To `Unwatch`.
    Unwatched,
    /// To `Status`.
    Status(Status),
    /// To `Recall`: how many holders were told.
    Recalling {
        /// The number of live leases on the name.
        holders: u32,
    },
    /// Nothing was done.
    Refused(Refusal),
}

/// A name that is held or waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// Its leases: one exclusive, or any number of shared ones.
    pub leases: Vec<EntryLease>,
    /// How many requests stand in its queue.
    pub waiters: u32,
}

/// A lease as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLease {
    /// Whose.
    pub session: SessionId,
    /// Its fence.
    pub fence: Fence,
    /// Its mode.
    pub mode: Mode,
    /// Its term.
    pub term: Span,
    /// How long until the granter may free it, rounded up; the holder's own view ends earlier.
    pub remaining: Span,
    /// Whether it was only offered so far.
    pub state: EntryState,
    /// What its holder shows.
    pub value: Option<Value>,
}

/// How far along a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// Offered to a waiter that has not confirmed yet.
    Offered,
    /// Held.
    Held,
    /// Held, and wanted back.
    Recalled,
}

/// The position of an event in a granter's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventMark {
    /// The granter's life.
    pub incarnation: Incarnation,
    /// The event's number in it, from 1; 0 is before the first.
    pub sequence: u64,
}

/// Something that happened to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its position.
    pub mark: EventMark,
    /// The name.
    pub name: Name,
    /// The lease it happened to.
    pub fence: Fence,
    /// What.
    pub reason: EventReason,
}

/// What happened to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// A lease was granted, or an offer confirmed.
    Granted,
    /// A lease was offered to a waiter.
    Offered,
    /// An offer was not confirmed in time.
    Lapsed,
    /// A renewal came with less than a quarter of the term left.
    RenewedLate,
    /// A lease of an earlier incarnation was taken up again.
    Reclaimed,
    /// An exclusive lease became a shared one.
    Downgraded,
    /// The holder gave it back.
    Released,
    /// Its term ended.
    Expired,
    /// It was wanted back.
    Recalled,
    /// It was wanted back at once.
    Forced,
}

/// How a granter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its life.
    pub incarnation: Incarnation,
    /// How long it makes no new grants yet, rounded up, if it restarted.
    pub wait_left: Option<Span>,
    /// Sessions known.
    pub sessions: u64,
    /// Leases held or offered.
    pub leases: u64,
    /// Requests in queues.
    pub waiters: u64,
    /// Connections.
    pub peers: u64,
    /// Whether the last change that had to be made durable was.
    pub store: StoreHealth,
    /// The longest term that a restart would have to wait out.
    pub longest_promise: Span,
    /// Breaks of continuity seen on the slow hand.
    pub clock_breaks: u64,
    /// Reports of holders that their clock and the granter's disagree. Anybody can send one.
    pub disagreements: u64,
}

/// Whether what must be durable can be made so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreHealth {
    /// The last attempt succeeded.
    Working,
    /// The last attempt failed: no grants beyond what is durable already.
    Failing,
}
