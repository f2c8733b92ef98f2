//! The granter: gives names to holders for a term, and frees them only when they must be over.
//!
//! [`Granter::handle`] is the only way in and a drained [`Outputs`] the
//! only way out. The rules are in the files beside this one:
//!
//! - `acquire`: who gets a name, who waits, who is offered it next;
//! - `leases`: renewal, release, recall, expiry;
//! - `restart`: the wait after a restart, reclaims, the orderly exit;
//! - `connections`: sessions and their epochs;
//! - `ask`: what readers are told.
//!
//! Below them, without rules of the protocol: `ledger` and `sessions` (links), `timeline` (the slow
//! hand), `odometer` (its stamps on replies), `durability` (what the disk says), `events` (the log).

mod acquire;
mod ask;
mod config;
mod connections;
mod durability;
mod events;
mod index;
mod io;
mod leases;
mod ledger;
#[cfg(feature = "mutants")]
mod mutants;
mod odometer;
mod promises;
mod restart;
mod sessions;
mod tags;
mod timeline;

pub use config::{Limits, Past, Start};
pub use io::{
    CloseReason, Exit, Input, Leftovers, Output, PersistId, Record, TokenKey, WakeReason,
};

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::identity::{Incarnation, Peer};
use crate::message::FromGranter;
use crate::outputs::{Outputs, assert_drained};
use crate::slab::Id;
use crate::time::{Now, SlowInstant, Span};
use crate::wheel::{TimerId, Wheel};

use acquire::Parked;
use durability::Durability;
use events::Events;
use ledger::{Entry, LeaseId, Ledger, Waiter};
use promises::Promises;
use restart::Phase;
use sessions::{Session, Sessions};
use timeline::Timeline;

/// The state machine of a granter. See the [module](self).
#[derive(Debug)]
pub struct Granter {
    limits: Limits,
    incarnation: Incarnation,
    /// The highest fence that an earlier life can have given.
    past_fence: u64,
    token_key: TokenKey,
    phase: Phase,
    timeline: Timeline,
    durability: Durability,
    promises: Promises,
    ledger: Ledger,
    sessions: Sessions,
    events: Events,
    /// Reports of holders whose clocks disagree with this one.
    disagreements: u64,
    timers: Wheel<Due>,
    /// Names whose waiters may be served now.
    to_serve: VecDeque<Id<Entry>>,
    /// Names whose next waiter is offered them once the store has caught up.
    starved: VecDeque<Id<Entry>>,
    /// Names that may have neither lease nor waiter any more: forgotten once the input is handled,
    /// so that no id dies while it is being handled.
    maybe_idle: Vec<Id<Entry>>,
    /// Acquires that wait for the store.
    parked: VecDeque<Parked>,
    /// Whether a timer will lower the longest promise that is durable.
    lowering: bool,
    /// The tick of the wake-up that was asked for last.
    announced: Option<u64>,
    outputs: VecDeque<Output>,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy)]
enum Due {
    Lease(LeaseId),
    Waiter(Id<Waiter>),
    Session(Id<Session>),
    Wait,
    Lower,
    StoreRetry,
}

/// A tick of the granter's timers is 2^18 ns, a quarter of a millisecond: fine beside the shortest
/// term, coarse beside the cost of a wake-up.
const TICK_SHIFT: u32 = 18;

/// Timers and names handled at one input before others get their turn: some 5 ms of work with a million
/// leases, whose memory is cold.
const SLICE: u32 = 4096;

/// How soon a failed write is tried again while somebody needs it.
const STORE_RETRY: Span = Span::from_secs(1);

impl Granter {
    /// A granter that begins its next life at `now`.
    ///
    /// Its first outputs, the record of this life among them, come from [`Granter::outputs`]; until
    /// that record is durable it closes every connection.
    ///
    /// # Panics
    /// If the shortest term of the limits is zero or above the longest.
    #[must_use]
    pub fn new(start: Start, now: Now<SlowInstant>) -> Self {
        let Start { hand, limits, past, table_key } = start;
        assert!(
            !limits.term_min.is_zero() && limits.term_min <= limits.term_max,
            "the shortest term is above zero and not above the longest"
        );
        let timeline = Timeline::new(hand, now);
        let beginning = restart::Beginning::after(past, timeline.stamp());
        let incarnation = beginning.record.incarnation;
        let mut granter = Self {
            limits,
            incarnation,
            past_fence: beginning.past_fence,
            token_key: beginning.record.token_key,
            phase: beginning.phase,
            timeline,
            durability: Durability::new(beginning.record, beginning.past_fence),
            promises: Promises::new(),
            ledger: Ledger::new(table_key),
            sessions: Sessions::new(table_key),
            events: Events::new(incarnation, limits.events_kept),
            disagreements: 0,
            timers: Wheel::new(),
            to_serve: VecDeque::new(),
            starved: VecDeque::new(),
            maybe_idle: Vec::new(),
            parked: VecDeque::new(),
            lowering: false,
            announced: None,
            outputs: VecDeque::new(),
        };
        #[cfg(feature = "mutants")]
        granter.durability.mutate(hand.mutant);
        granter.durability.write(&mut granter.outputs);
        granter
    }

    /// What the start put out. Empty after that.
    pub fn outputs(&mut self) -> Outputs<'_, Output> {
        Outputs::of(&mut self.outputs)
    }

    /// Takes in one thing that happened, and says what is to be done about it.
    ///
    /// # Timing
    /// `now` must have been read after the last byte of `input` was read. Several inputs that were
    /// read together may share a `now` read after all of them.
    ///
    /// # Panics
    /// If outputs of the last input were left undone, if anything is fed in after
    /// [`Output::Stopped`], or if a peer's number is used twice.
    pub fn handle(&mut self, now: Now<SlowInstant>, input: Input) -> Outputs<'_, Output> {
        assert_drained(&self.outputs);
        assert!(!matches!(self.phase, Phase::Stopped), "a stopped granter takes no inputs");
        self.timeline.observe(now);
        match input {
            Input::Connected { peer, rights } => self.connected(peer, rights),
            Input::Received { peer, message } => self.received(peer, message),
            Input::Disconnected { peer } => self.disconnected(peer),
            Input::Wake => self.woken(),
            Input::Persisted(id) => self.persisted(id),
            Input::PersistFailed(id) => self.persist_failed(id),
            Input::Stop => self.stop(),
        }
        self.serve_names();
        for entry in self.maybe_idle.drain(..) {
            self.ledger.forget_if_idle(entry);
        }
        self.announce_wake();
        Outputs::of(&mut self.outputs)
    }

    /// This life's number.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Fires what is due, up to a slice.
    fn woken(&mut self) {
        self.announced = None;
        let (until, mut budget) = (self.tick(), SLICE);
        while let Some(due) = self.timers.fire(until, &mut budget) {
            match due {
                Due::Lease(lease) => self.lease_due(lease),
                Due::Waiter(waiter) => self.waiter_due(waiter),
                Due::Session(session) => self.session_due(session),
                Due::Wait => self.wait_due(),
                Due::Lower => self.lower_promise(),
                Due::StoreRetry => self.durability.write(&mut self.outputs),
            }
        }
    }

    /// Asks for a wake-up if something is due earlier than the last one asked for.
    fn announce_wake(&mut self) {
        let (tick, reason) = if self.to_serve.is_empty() || !self.can_serve() {
            let Some(due) = self.timers.next_due() else { return };
            let reason = match self.phase {
                Phase::Waiting { .. } => WakeReason::RestartWait,
                Phase::Starting { .. } => WakeReason::StoreRetry,
                Phase::Settling | Phase::Serving | Phase::Stopping | Phase::Stopped => {
                    WakeReason::Timer
                }
            };
            (due, reason)
        } else {
            (self.tick(), WakeReason::Backlog)
        };
        if self.announced.is_some_and(|announced| announced <= tick) {
            return;
        }
        self.announced = Some(tick);
        let at = Span::from_nanos(tick.checked_shl(TICK_SHIFT).unwrap_or(u64::MAX));
        let after = at.saturating_sub(self.timeline.advance());
        let reason = if after.is_zero() { WakeReason::Backlog } else { reason };
        self.outputs.push_back(Output::WakeAt { after, reason });
    }

    /// Sets a timer that fires once `after` has passed, at the latest a tick later.
    fn set_timer(&mut self, after: Span, due: Due) -> TimerId<Due> {
        let at = self.timeline.advance().saturating_add(after).as_nanos();
        self.timers.set((at >> TICK_SHIFT).saturating_add(1), due)
    }

    /// The tick that the slow hand has reached.
    fn tick(&self) -> u64 {
        self.timeline.advance().as_nanos() >> TICK_SHIFT
    }

    fn send(&mut self, peer: Peer, message: FromGranter) {
        self.outputs.push_back(Output::Send { peer, message });
    }

    /// Sends to a session, if it has a connection: what it misses it learns from its next renewal.
    fn send_to(&mut self, session: Id<Session>, message: FromGranter) {
        if let Some(peer) = self.sessions.all[session].peer {
            self.send(peer, message);
        }
    }
}
