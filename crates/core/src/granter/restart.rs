//! One life of a granter: what it begins with, the wait after a restart, reclaims, the exit.

use crate::fence::Mode;
use crate::identity::{Incarnation, RequestId};
use crate::message::{EventReason, Reclaim, Reply};
use crate::refusal::{Bound, Refusal};
use crate::slab::Id;
use crate::time::Span;

use super::config::Past;
use super::durability::Settled;
use super::io::{Exit, Leftovers, Output, PersistId, Record};
use super::ledger::{Lease, LeaseId, Standing};
use super::sessions::Session;
use super::tags::Signed;
use super::timeline::Stamp;
use super::{Due, Granter, STORE_RETRY};

/// How far along a life is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its record is not durable yet: nothing is said to anybody.
    Starting {
        /// The wait that follows.
        wait: Option<Wait>,
    },
    /// Leases of an earlier life may be in use: they can be reclaimed, and nothing new is granted
    /// (invariant I11).
    Waiting(Wait),
    /// They must be over now; it is being made durable that none can be reclaimed any more.
    Settling,
    /// Names are given.
    Serving,
    /// Nothing is held, and that is being made durable.
    Stopping,
    /// Over.
    Stopped,
}

/// The wait after a restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    since: Stamp,
    longest_promise: Span,
}

/// What a life begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) record: Record,
    pub(super) past_fence: u64,
    pub(super) phase: Phase,
}

impl Beginning {
    /// `now` is the upper bound of the start: all that earlier lives promised, they promised before.
    pub(super) fn after(past: Past, now: Stamp) -> Self {
        let (record, holders_gone) = match past {
            Past::FirstStart { token_key } => {
                let record = Record {
                    incarnation: Incarnation::FIRST,
                    fence_mark: 0,
                    longest_promise: Span::ZERO,
                    settled: Some(Incarnation::FIRST),
                    leftovers: Leftovers::None,
                    token_key,
                };
                return Self { record, past_fence: 0, phase: Phase::Starting { wait: None } };
            }
            Past::Record(record) => (record, record.leftovers == Leftovers::None),
            Past::AssumeHoldersGone(record) => (record, true),
        };
        let incarnation = record.incarnation.next();
        let past_fence = record.fence_mark;
        if holders_gone || record.longest_promise.is_zero() {
            let record = Record {
                incarnation,
                longest_promise: Span::ZERO,
                settled: Some(incarnation),
                leftovers: Leftovers::None,
                ..record
            };
            return Self { record, past_fence, phase: Phase::Starting { wait: None } };
        }
        let wait = Wait { since: now, longest_promise: record.longest_promise };
        let record = Record { incarnation, ..record };
        Self { record, past_fence, phase: Phase::Starting { wait: Some(wait) } }
    }
}

impl Granter {
    /// How long no new grants are made yet because of a restart, rounded up.
    pub(super) fn wait_left(&self) -> Option<Span> {
        match &self.phase {
            Phase::Starting { wait: Some(wait) } | Phase::Waiting(wait) => {
                Some(self.timeline.remaining_ceil(&wait.since, wait.longest_promise))
            }
            Phase::Settling => Some(Span::ZERO),
            Phase::Starting { wait: None } | Phase::Serving | Phase::Stopping | Phase::Stopped => {
                None
            }
        }
    }

    /// The wait's timer fired.
    pub(super) fn wait_due(&mut self) {
        let Phase::Waiting(wait) = self.phase else { return };
        let is_over = self.timeline.must_be_over(&wait.since, wait.longest_promise);
        if !is_over && !planted!(self.timeline.hand, RestartWaitSkipped) {
            let left = self.timeline.remaining_ceil(&wait.since, wait.longest_promise);
            self.set_timer(left, Due::Wait);
            return;
        }
        self.phase = Phase::Settling;
        self.durability.want_settled(self.incarnation, self.promises.longest_ceil());
        self.durability.write(&mut self.outputs);
    }

    pub(super) fn persisted(&mut self, id: PersistId) {
        if self.durability.persisted(id) != Settled::Durable {
            return;
        }
        let settled = self.durability.covered().and_then(|record| record.settled);
        match self.phase {
            Phase::Starting { wait: Some(wait) } => {
                self.phase = Phase::Waiting(wait);
                planted!(self.timeline.hand, BoundLoweredInWait => {
                    self.durability.want_longest(Span::ZERO);
                });
                self.wait_due();
            }
            Phase::Starting { wait: None } => self.phase = Phase::Serving,
            Phase::Settling if settled == Some(self.incarnation) => self.phase = Phase::Serving,
            Phase::Stopping => return self.stopping(),
            Phase::Settling | Phase::Waiting(_) | Phase::Serving | Phase::Stopped => {}
        }
        self.unpark();
        self.serve_starved();
        self.durability.write(&mut self.outputs);
    }

    pub(super) fn persist_failed(&mut self, id: PersistId) {
        planted!(self.timeline.hand, FailedWriteBelieved => return self.persisted(id));
        if self.durability.failed(id) != Settled::Failed {
            return;
        }
        self.refuse_parked();
        match self.phase {
            Phase::Stopping => self.stopped(self.exit_with_leases()),
            Phase::Starting { .. }
            | Phase::Waiting(_)
            | Phase::Settling
            | Phase::Serving
            | Phase::Stopped => {
                self.set_timer(STORE_RETRY, Due::StoreRetry);
            }
        }
    }

    /// Stops at once; if nothing is held, granted or waited for, only after that is durable, so that
    /// the next life need not wait.
    pub(super) fn stop(&mut self) {
        let nothing_held = self.ledger.lease_count() == 0
            && self.ledger.waiters.len() == 0
            && self.parked.is_empty();
        match self.phase {
            Phase::Serving if nothing_held || planted!(self.timeline.hand, SettlesWithLeases) => {
                self.phase = Phase::Stopping;
                self.stopping();
            }
            Phase::Stopping => {}
            Phase::Starting { .. }
            | Phase::Waiting(_)
            | Phase::Settling
            | Phase::Serving
            | Phase::Stopped => self.stopped(self.exit_with_leases()),
        }
    }

    /// Takes up a lease of an earlier life whose holder proves that it was granted it.
    pub(super) fn reclaim(&mut self, session: Id<Session>, id: RequestId, claim: Reclaim) {
        if let Err(refusal) = self.admit_reclaim(session, &claim) {
            return self.refuse_session(session, id, refusal);
        }
        let Reclaim { name, mode, fence, term, value, .. } = claim;
        let entry = self.ledger.entry(&name);
        self.maybe_idle.push(entry);
        if let Some(known) = self.ledger.lease_of(entry, session) {
            // It was reclaimed already, and the answer was lost: this is a renewal.
            self.ledger[known].stamp = self.timeline.stamp();
        } else {
            let stamp = self.timeline.stamp();
            let held = Standing::Held;
            let lease = Lease::unlinked(entry, session, fence, mode, term, stamp, held, value);
            self.install(lease);
            self.record(entry, fence, EventReason::Reclaimed);
        }
        let tag = self.tag(session, entry, mode, fence, term);
        self.reply(session, id, Reply::Reclaimed { tag });
    }

    fn admit_reclaim(&mut self, session: Id<Session>, claim: &Reclaim) -> Result<(), Refusal> {
        if claim.to != self.incarnation && !planted!(self.timeline.hand, ReclaimForAnyLife) {
            return Err(Refusal::WrongIncarnation { this: self.incarnation });
        }
        if !matches!(self.phase, Phase::Waiting(_)) {
            return Err(Refusal::NotReclaimable);
        }
        let record = self.durability.covered().ok_or(Refusal::NotReclaimable)?;
        let from_settled = record.settled.is_none_or(|settled| claim.issued >= settled)
            || planted!(self.timeline.hand, ReclaimOfSettledLife);
        if claim.issued >= self.incarnation || !from_settled {
            return Err(Refusal::NotReclaimable);
        }
        let holder = &self.sessions.all[session];
        let signed = |mode| Signed {
            issued: claim.issued,
            session: holder.id,
            secret: &holder.secret,
            name: &claim.name,
            mode,
            fence: claim.fence,
            term: claim.term,
        };
        // Whoever may act alone may act beside others: the answer to a downgrade can get lost.
        let proven = [claim.mode, Mode::Exclusive]
            .into_iter()
            .any(|mode| signed(mode).verifies(&self.token_key.key(), &claim.tag))
            || planted!(self.timeline.hand, ReclaimUnproved);
        if !proven || claim.fence.get() > self.past_fence {
            return Err(Refusal::BadTag);
        }
        if claim.term > record.longest_promise {
            // Nothing so long was still open when the bound was lowered: its lease was over.
            return Err(Refusal::NotReclaimable);
        }
        if self.ledger.lease_count() >= self.limits.leases_max {
            return Err(Refusal::Full(Bound::Leases { limit: self.limits.leases_max }));
        }
        self.settle_conflict(session, claim)
    }

    /// Two claims that cannot both be valid: the higher fence wins.
    fn settle_conflict(&mut self, session: Id<Session>, claim: &Reclaim) -> Result<(), Refusal> {
        let Some(entry) = self.ledger.find(&claim.name) else { return Ok(()) };
        if let Some(own) = self.ledger.lease_of(entry, session) {
            let same = self.ledger[own].fence == claim.fence
                && self.ledger[own].mode == claim.mode
                && self.ledger[own].recalled().is_none();
            return if same { Ok(()) } else { Err(Refusal::Superseded) };
        }
        planted!(self.timeline.hand, ReclaimsNotCompared => return Ok(()));
        let clashing: alloc::vec::Vec<LeaseId> = self
            .ledger
            .leases_on(entry)
            .filter(|lease| {
                claim.mode == Mode::Exclusive || self.ledger[*lease].mode == Mode::Exclusive
            })
            .collect();
        if clashing.iter().any(|lease| self.ledger[*lease].fence > claim.fence) {
            return Err(Refusal::Superseded);
        }
        for lease in clashing {
            self.free(lease, EventReason::Expired);
        }
        Ok(())
    }

    fn stopping(&mut self) {
        self.durability.want_no_leftovers();
        let before = self.outputs.len();
        self.durability.write(&mut self.outputs);
        let durable = self.durability.covered() == Some(self.durability.wanted());
        if self.outputs.len() == before && durable {
            self.stopped(Exit::Settled);
        }
    }

    fn stopped(&mut self, exit: Exit) {
        self.phase = Phase::Stopped;
        self.outputs.push_back(Output::Stopped { exit });
    }

    fn exit_with_leases(&self) -> Exit {
        let wait = self.durability.wanted().longest_promise;
        Exit::LeasesLive { wait }
    }
}
