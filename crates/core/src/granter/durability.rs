//! `Durability`: what the disk certainly says, and what is asked of it.
//!
//! Before a grant leaves, its fence and its term must lie within what is durable. While a record is
//! being written, or after a write that failed, the disk may hold the old record or the new one:
//! then only what *both* allow is relied on (invariant I6).

use alloc::collections::VecDeque;

use crate::fence::Fence;
use crate::identity::Incarnation;
use crate::message::StoreHealth;
use crate::time::Span;

use super::io::{Leftovers, Output, PersistId, Record};
use super::promises::rounded_up;

/// Fences made usable by one write. At half use the next block is asked for, so that nobody waits
/// for a disk in steady state; a restart skips what is left of a block.
pub(super) const FENCE_BLOCK: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Durability {
    /// What every record that the disk may hold agrees on. `None` before this life is durable.
    covered: Option<Record>,
    under_way: Option<(PersistId, Record)>,
    /// The record to be written next, if it differs from the last one.
    wanted: Record,
    written: Option<Record>,
    last_id: u64,
    next_fence: Option<Fence>,
    health: StoreHealth,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Durable,
    Failed,
    /// An answer to no question.
    Unasked,
}

impl Durability {
    /// `last_fence` is the highest that an earlier life can have given.
    pub(super) const fn new(first: Record, last_fence: u64) -> Self {
        let next_fence = match last_fence.checked_add(1) {
            Some(number) => Fence::new(number),
            None => None,
        };
        Self {
            covered: None,
            under_way: None,
            wanted: first,
            written: None,
            last_id: 0,
            next_fence,
            health: StoreHealth::Working,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Whether a new lease for `term` may be granted with what is durable.
    pub(super) fn covers_grant(&self, term: Span) -> bool {
        let (Some(record), Some(fence)) = (&self.covered, self.next_fence) else { return false };
        record.settled == Some(record.incarnation)
            && record.leftovers == Leftovers::Possible
            && (fence.get() <= record.fence_mark || planted!(self, FenceNotPersisted))
            && self.covers_term(term)
    }

    /// Whether a lease may be promised for `term` with what is durable.
    pub(super) fn covers_term(&self, term: Span) -> bool {
        planted!(self, TermNotPersisted => return true);
        self.covered.as_ref().is_some_and(|record| {
            record.leftovers == Leftovers::Possible && term <= record.longest_promise
        })
    }

    /// Whether fences are left at all.
    pub(super) const fn has_fences(&self) -> bool {
        self.next_fence.is_some()
    }

    /// The next fence. Only after `covers_grant`.
    pub(super) fn take_fence(&mut self) -> Fence {
        let fence = self.next_fence.expect("a grant was covered, so a fence is left");
        self.next_fence = fence.next();
        self.want_fences();
        fence
    }

    /// Asks that leases for `term` may be granted.
    pub(super) fn want_grant(&mut self, term: Span) {
        self.wanted.longest_promise = self.wanted.longest_promise.max(rounded_up(term));
        self.wanted.leftovers = Leftovers::Possible;
        self.want_fences();
    }

    /// Asks that earlier lives count as settled, and that only `longest` is promised.
    pub(super) const fn want_settled(&mut self, this: Incarnation, longest: Span) {
        self.wanted.settled = Some(this);
        self.wanted.longest_promise = longest;
    }

    /// Asks that a next life waits no longer than `longest`, the longest promise still open.
    pub(super) fn want_longest(&mut self, longest: Span) {
        self.wanted.longest_promise = longest;
    }

    /// Notes a promise that is being made. A shorter bound may be wanted that was not written yet,
    /// because another record is under way: it was reckoned without this promise.
    pub(super) fn keep(&mut self, term: Span) {
        planted!(self, PromiseNotKept => return);
        self.wanted.longest_promise = self.wanted.longest_promise.max(rounded_up(term));
    }

    /// Asks that a next life need not wait at all. Only when nothing is granted or waiting.
    pub(super) const fn want_no_leftovers(&mut self) {
        self.wanted.leftovers = Leftovers::None;
        self.wanted.longest_promise = Span::ZERO;
    }

    /// Puts out what is wanted, unless it is written or something else is under way.
    pub(super) fn write(&mut self, outputs: &mut VecDeque<Output>) {
        if self.under_way.is_some() || self.written == Some(self.wanted) {
            return;
        }
        self.last_id = self.last_id.saturating_add(1);
        let (id, record) = (PersistId(self.last_id), self.wanted);
        self.under_way = Some((id, record));
        self.written = Some(record);
        if !planted!(self, OldRecordCounts) {
            self.covered = self.covered.map(|covered| both(covered, record));
        }
        planted!(self, PromiseBeforeDurable => self.covered = Some(record));
        outputs.push_back(Output::Persist { id, record });
    }

    pub(super) fn persisted(&mut self, id: PersistId) -> Settled {
        let Some((_, record)) = self.under_way.take_if(|(asked, _)| *asked == id) else {
            return Settled::Unasked;
        };
        self.covered = Some(record);
        self.health = StoreHealth::Working;
        Settled::Durable
    }

    pub(super) fn failed(&mut self, id: PersistId) -> Settled {
        if self.under_way.take_if(|(asked, _)| *asked == id).is_none() {
            return Settled::Unasked;
        }
        // The disk holds this record or the one before; `covered` already is what both allow.
        self.written = None;
        self.health = StoreHealth::Failing;
        Settled::Failed
    }

    pub(super) const fn covered(&self) -> Option<&Record> {
        self.covered.as_ref()
    }

    pub(super) const fn wanted(&self) -> &Record {
        &self.wanted
    }

    pub(super) const fn health(&self) -> StoreHealth {
        self.health
    }

    #[cfg(feature = "mutants")]
    pub(super) fn mutate(&mut self, mutant: Option<crate::Mutant>) {
        self.mutant = mutant;
        planted!(self, FencesRepeat => self.next_fence = Some(Fence::FIRST));
    }

    fn want_fences(&mut self) {
        let used = self.next_fence.map_or(Fence::LAST.get(), Fence::get);
        let left = self.wanted.fence_mark.saturating_sub(used);
        if left < FENCE_BLOCK / 2 {
            let mark = used.saturating_add(FENCE_BLOCK).min(Fence::LAST.get());
            self.wanted.fence_mark = self.wanted.fence_mark.max(mark);
        }
    }
}

/// What two records both allow.
fn both(a: Record, b: Record) -> Record {
    let settled = if a.settled == b.settled { a.settled } else { None };
    let leftovers = match (a.leftovers, b.leftovers) {
        (Leftovers::Possible, Leftovers::Possible) => Leftovers::Possible,
        (Leftovers::None, _) | (_, Leftovers::None) => Leftovers::None,
    };
    Record {
        fence_mark: a.fence_mark.min(b.fence_mark),
        longest_promise: a.longest_promise.min(b.longest_promise),
        settled,
        leftovers,
        ..b
    }
}
