//! What users do and what goes wrong, as values: drawn, or written by a scenario.

use serde::{Deserialize, Serialize};

use crate::options::ClockPlan;

/// One thing that a user does or that goes wrong. Times are nanoseconds; a `node` is the index of a
/// holder. Acts of a paused machine are passed over.
#[expect(missing_docs, reason = "named by what they are; a node is the index of a holder")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A user wants a lease.
    Want(Want),
    /// A user gives one back, or withdraws the wish for it.
    Release { node: usize, lease: Lease },
    /// A user renews one, perhaps for longer.
    Renew { node: usize, lease: Lease, term: Option<u64> },
    /// A user shares one from now on.
    Downgrade { node: usize, lease: Lease },
    /// A user will not ask for one again.
    Forget { node: usize, lease: Lease },
    /// A holder is woken for no reason.
    Wake { node: usize },
    /// A user acts under a lease: one effect in memory, guarded.
    Commit { node: usize, lease: Lease },
    /// A user writes to a resource under a lease; the write arrives after `delay`, and the resource
    /// refuses fences older than the newest that it has seen.
    Write { node: usize, lease: Lease, delay: u64 },
    /// An operator wants a name back.
    Recall { name: u64, grace: u64, at_once: bool },
    /// Nothing of a holder runs for so long.
    Pause { node: usize, lasts: u64 },
    /// Something happens to a holder's clock.
    Clock { node: usize, clock: ClockAct },
    /// A holder's connection breaks; each side learns of it in its own time.
    Cut { node: usize },
    /// A holder dies with all it has, and another begins in its place.
    Replace { node: usize, clock: ClockPlan },
    /// Nothing of the granter runs for so long.
    PauseGranter { lasts: u64 },
    /// Something happens to the granter's clock.
    ClockGranter { clock: ClockAct },
    /// The granter dies.
    Crash,
    /// The granter is asked to stop, and starts again later.
    Stop,
    /// The granter dies, and its disk shows what it held so many successful writes before: beyond what is
    /// assumed of it (A4).
    RollBack { writes: usize },
    /// A snapshot of a holder's machine is kept.
    Snapshot { node: usize },
    /// A holder's machine goes on from its last snapshot as if no time had passed since; VMClock tells it,
    /// or that is beyond what is assumed (A7).
    RollBackHolder { node: usize, told: bool },
    /// A copy of a holder's machine goes on beside it, as the last of the holders.
    Clone { node: usize, told: Told },
    /// A peer says to the granter what is well formed and need not be true.
    Lie(Lie),
    /// Nothing gets through on one way for so long. A network that keeps order delivers it then; the other
    /// kind has lost it.
    Part { link: Link, lasts: u64 },
    /// From now on messages that match fare so.
    Rule(Rule),
}

impl Act {
    /// The holder that it concerns.
    pub(crate) fn node(&self) -> Option<usize> {
        self.clone().node_mut().copied()
    }

    /// The same, to be changed.
    pub(crate) const fn node_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Want(Want { node, .. })
            | Self::Release { node, .. }
            | Self::Renew { node, .. }
            | Self::Downgrade { node, .. }
            | Self::Forget { node, .. }
            | Self::Wake { node }
            | Self::Commit { node, .. }
            | Self::Write { node, .. }
            | Self::Pause { node, .. }
            | Self::Clock { node, .. }
            | Self::Cut { node }
            | Self::Replace { node, .. }
            | Self::Snapshot { node }
            | Self::RollBackHolder { node, .. }
            | Self::Clone { node, .. }
            | Self::Part { link: Link::ToGranter(node) | Link::ToHolder(node), .. }
            | Self::Rule(Rule { link: Link::ToGranter(node) | Link::ToHolder(node), .. }) => {
                Some(node)
            }
            Self::Recall { .. }
            | Self::Lie(_)
            | Self::PauseGranter { .. }
            | Self::ClockGranter { .. }
            | Self::Crash
            | Self::RollBack { .. }
            | Self::Stop => None,
        }
    }
}

/// What a peer says that lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lie {
    /// What.
    pub says: Says,
    /// Of which lease, of those that it has heard of: the `n`-th from the newest, modulo their number.
    pub of: u64,
    /// Whether under an id that was used and an epoch that is over.
    pub stale: bool,
}

/// What a peer can say that lies. Terms are nanoseconds.
#[expect(missing_docs, reason = "named by what they are")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Says {
    /// That it opens its session again.
    Open,
    /// That it is this holder, whose secret it guesses.
    OpenAs { node: usize },
    /// That it wants a name, without a thought of confirming an offer.
    Acquire { name: u64, shared: bool, term: u64 },
    /// That it renews somebody's lease.
    Renew { term: Option<u64> },
    /// That it renews all of its own, and these are not its own.
    RenewAll,
    /// That it gives somebody's lease back.
    Release,
    /// That it shares somebody's lease.
    Downgrade,
    /// That it does not wait for a name any more.
    Withdraw { name: u64 },
    /// That clocks disagree.
    Report,
    /// That it had somebody's lease in an earlier life of the granter, with the highest fence there was.
    ReclaimForged { term: u64 },
    /// That it still has a lease that it had once, with the signature that it got; `as_of` for the life of
    /// the granter that gave it.
    ReclaimOld { as_of: bool },
}

/// Which of two machines that are copies of each other hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Both.
    Both,
    /// The one that is new.
    Copy,
    /// Neither: beyond what is assumed (A7, A10).
    Nobody,
}

/// A wish for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Whose.
    pub node: usize,
    /// The number of the name.
    pub name: u64,
    /// Whether it may be held by several who share it.
    pub shared: bool,
    /// The term.
    pub term: u64,
    /// How long it waits in the queue.
    pub wait: WaitFor,
    /// Whether it is renewed only when its user says so.
    pub by_hand: bool,
}

/// How long a wish waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitFor {
    /// Not at all.
    Try,
    /// So long.
    AtMost(u64),
    /// For ever.
    Ever,
}

/// Which of a holder's leases is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lease {
    /// The newest for this name that is not over.
    Of(u64),
    /// The `n`-th of those that are held, modulo their number; of all that are not over if none is.
    Held(u64),
    /// The `n`-th of all that are not over, modulo their number.
    Live(u64),
    /// The `n`-th of all, modulo their number.
    Any(u64),
}

/// What can happen to a clock. Taken literally: whoever draws or writes it keeps the contract of the
/// hand, or breaks it on purpose.
#[expect(missing_docs, reason = "named by what they are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockAct {
    /// A source jumps by so many nanoseconds; not below zero.
    Jump { source: usize, by: i64 },
    /// A source runs at this rate from now on, in billionths.
    Rate { source: usize, ppb: u64 },
    /// A source gives no readings any more.
    Vanish { source: usize },
    /// It gives readings again.
    Appear { source: usize },
    /// Continuity is lost, and the hand knows it (a suspend, a snapshot, a migration): each source
    /// jumps, and another segment begins.
    Break { jumps: Vec<i64> },
    /// The machine is suspended for so long; its holder does not run meanwhile.
    Suspend { lasts: u64 },
    /// The virtual machine is stopped for so long and goes on as if no time had passed; VMClock tells,
    /// if there is one.
    Migrate { lasts: u64 },
    /// The host takes a thread of an enclave out of it for so long (0 and 1 are its timekeepers, 2 feeds the
    /// holder, 3 acts), sets its counter by so many ticks, and lets it run at `hz` from then on.
    Exit { thread: usize, lasts: u64, by: i64, hz: u64 },
    /// The core of a timekeeper runs at another frequency from now on, without any exit.
    Core { keeper: usize, hz: u64 },
    /// The counter of a thread runs at another rate from now on, without any exit.
    Counter { thread: usize, hz: u64 },
}

/// Messages that fare other than the network's own way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// On which way.
    pub link: Link,
    /// Of which kind: the name of its variant (`Acquire`, `Renew`, `Granted`, `Opened` and so on).
    /// `None` is every kind.
    pub kind: Option<String>,
    /// How many messages are meant, from the next one on.
    pub times: u64,
    /// When each arrives, in nanoseconds after it is sent: never if empty, several times if several.
    /// Order is not kept.
    pub delays: Vec<u64>,
}

/// One way between a holder and the granter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// From this holder.
    ToGranter(usize),
    /// To this holder.
    ToHolder(usize),
}
