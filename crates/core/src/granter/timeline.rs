//! `Timeline`: the granter's slow hand over one life, with its breaks.

use core::cmp::Ordering;

use crate::time::{Now, Readings, SOURCES_MAX, SlowHand, SlowInstant, Span};

/// The slow hand as the granter uses it: stamps to count from, and whether a term is over.
///
/// When a source goes backwards, vanishes or appears, nothing is known of how far the hand moved.
/// That counts as no advance at all up to now, and every stamp taken before counts from now on
/// (invariant I5): a lease is kept too long rather than freed too early, and one dead source does
/// not keep it for ever.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) hand: SlowHand,
    /// The latest input's moment.
    now: Now<SlowInstant>,
    /// Breaks seen.
    breaks: u32,
    /// Where the hand counts from since the last break, or since the start.
    since: SlowInstant,
    /// What the hand had advanced when it last broke.
    before: Span,
}

/// A moment to count a term from: an upper bound of when it was taken.
///
/// The parts of its readings, in the room that they and the breaks fill together: every lease has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    ticks: [u64; SOURCES_MAX],
    present: u8,
    breaks: u32,
}

impl Timeline {
    pub(super) fn new(hand: SlowHand, now: Now<SlowInstant>) -> Self {
        let now = believed(&hand, now);
        Self { hand, now, breaks: 0, since: now.start_stamp(), before: Span::ZERO }
    }

    /// Moves on to the moment of an input.
    pub(super) fn observe(&mut self, now: Now<SlowInstant>) {
        let read = now;
        let now = believed(&self.hand, read);
        let continues = now == read
            && self.hand.continues(&self.now.reading(), &now.reading())
            && self.hand.continues(&self.now.start_stamp(), &now.start_stamp());
        if !continues && !planted!(self.hand, DeadSourceStopsHand) {
            self.before = self.advance();
            self.breaks = self.breaks.saturating_add(1);
            self.since = now.start_stamp();
        }
        self.now = now;
    }

    /// The stamp for what is promised at this input.
    pub(super) const fn stamp(&self) -> Stamp {
        let instant = planted!(self.hand, PublishedAsStart
            => self.now.reading(), else self.now.start_stamp());
        let (ticks, present) = instant.readings().parts();
        Stamp { ticks, present, breaks: self.breaks }
    }

    /// Whether `term` has certainly passed since `stamp`.
    pub(super) fn must_be_over(&self, stamp: &Stamp, term: Span) -> bool {
        // A lower bound of now can lie before an upper bound of a moment just before: not over.
        let now = planted!(self.hand, FreesByUpperBound
            => self.now.start_stamp(), else self.now.reading());
        self.hand.must_be_over(&self.start_of(stamp), term, &now).unwrap_or(false)
    }

    /// What is left of `term` since `stamp`, rounded up.
    pub(super) fn remaining_ceil(&self, stamp: &Stamp, term: Span) -> Span {
        term.saturating_sub(self.elapsed_floor(stamp))
    }

    /// What certainly passed since `stamp`, rounded down; breaks count nothing.
    pub(super) fn elapsed_floor(&self, stamp: &Stamp) -> Span {
        let start = self.start_of(stamp);
        self.hand.elapsed_floor(&start, &self.now.reading()).unwrap_or(Span::ZERO)
    }

    /// Whether `stamp` was taken at the same input as `other` or at a later one.
    pub(super) fn is_no_earlier(&self, stamp: &Stamp, other: &Stamp) -> bool {
        match stamp.breaks.cmp(&other.breaks) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.hand.continues(&other.instant(), &stamp.instant()),
        }
    }

    /// How far the hand moved in this life, breaks counting nothing. For timers, not for safety.
    pub(super) fn advance(&self) -> Span {
        let since = self.hand.elapsed_floor(&self.since, &self.now.reading());
        self.before.saturating_add(since.unwrap_or(Span::ZERO))
    }

    pub(super) const fn breaks(&self) -> u32 {
        self.breaks
    }

    fn start_of(&self, stamp: &Stamp) -> SlowInstant {
        if stamp.breaks == self.breaks { stamp.instant() } else { self.since }
    }
}

impl Stamp {
    const fn instant(&self) -> SlowInstant {
        SlowInstant::new(Readings::of_parts(self.ticks, self.present))
    }
}

/// What is believed of a moment. If its bounds were read around a break, so that the upper one is not
/// ahead of the lower one, the lower one is of before: measuring up to it would count what never
/// passed. Then only the upper one is believed.
fn believed(hand: &SlowHand, now: Now<SlowInstant>) -> Now<SlowInstant> {
    let whole = hand.continues(&now.reading(), &now.start_stamp());
    if whole { now } else { Now::at(now.start_stamp()) }
}
