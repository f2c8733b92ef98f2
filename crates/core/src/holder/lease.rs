//! One lease as its holder knows it.

use core::cell::Cell;

use crate::fence::{Fence, Mode};
use crate::identity::{Incarnation, RequestId};
use crate::message::{Acquire, Tag};
use crate::time::{FastHand, FastInstant, Now, Remaining, Span};
use crate::wheel::TimerId;

use super::io::{Ending, Handle, Hold, Renewal, View};

/// A lease, or the wish for one.
#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct Lease {
    /// What was asked for; resent under a new id after a reconnect.
    pub(super) acquire: Acquire,
    pub(super) renewal: Renewal,
    pub(super) state: State,
    pub(super) timer: Option<TimerId<Handle>>,
    /// Whether the user will ask for it again.
    pub(super) interest: Interest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    Kept,
    Forgotten,
}

#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) enum State {
    /// Asked for, or to be asked for once there is a connection.
    Wanted,
    /// Offered: valid once the confirmation is answered, from its sending.
    Confirming { fence: Fence, term: Span, tag: Tag, home: Incarnation },
    /// Granted.
    Held(Held),
    /// Over for its user; the granter was told, or will be, and has not answered yet. Without a
    /// fence it is the wish that is withdrawn.
    Releasing { fence: Option<Fence>, home: Option<Incarnation>, ending: Ending },
    /// Over.
    Ended(Ending),
}

/// What is true of a lease that is held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) fence: Fence,
    pub(super) mode: Mode,
    /// The latest promise: this term from this anchor.
    pub(super) promise: Promise,
    /// The term that the granter extends it by.
    pub(super) term: Span,
    pub(super) tag: Tag,
    /// The mode that the tag covers: exclusive still, while a downgrade was not answered.
    pub(super) tagged: Mode,
    /// The life of the granter that knows it.
    pub(super) home: Incarnation,
    /// The request that made it: older replies do not concern it.
    pub(super) since: RequestId,
    /// The last request that was sent when it came to be held here, by this life of the granter: bulk
    /// renewals from before that did not count it, whenever they are answered (invariant I14).
    pub(super) counted_from: RequestId,
    /// A renewal of this lease alone that was not answered yet.
    pub(super) renewing: Option<RequestId>,
    /// A longer term that the user asked for and has not been given yet.
    pub(super) longer: Option<Span>,
    /// Until when acts are allowed if it was recalled: counts from the receipt of the recall. A
    /// matter of politeness, not of safety.
    pub(super) recall: Option<Promise>,
    /// Which of the two the guard goes by, and so whoever asks.
    pub(super) limit: Limit,
    pub(super) told: Told,
    /// Whether somebody was told that it is over who asked between two inputs. It stays over, whatever
    /// the clock shows at the next one (invariant I12).
    pub(super) seen_over: Cell<bool>,
}

/// What ends acts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Promise,
    /// What a recall leaves of it.
    Grace,
}

/// A term that counts from an anchor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    pub(super) anchor: Anchor,
    pub(super) term: Span,
}

/// A moment before a request was handed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    pub(super) instant: FastInstant,
    pub(super) trust: Trust,
}

/// Whether a lease may be used that counts from an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Full,
    /// Since it was taken, the granter's clock and this one were found to disagree.
    Lost,
}

/// The last warning that the user was given since the lease was well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Jeopardy,
    Suspect,
}

impl Anchor {
    pub(super) const fn at(instant: FastInstant) -> Self {
        Self { instant, trust: Trust::Full }
    }
}

impl Promise {
    pub(super) fn remaining(&self, hand: &FastHand, now: &Now<FastInstant>) -> Remaining {
        match (hand.remaining(&self.anchor.instant, self.term, &now.reading()), self.anchor.trust) {
            (Remaining::AtLeast(_), Trust::Lost) => Remaining::Unknown,
            (remaining, Trust::Full | Trust::Lost) => remaining,
        }
    }

    /// Whether this ends certainly before another. One that cannot be measured any more says nothing:
    /// it never ends first, and whatever can be measured ends before it.
    pub(super) fn ends_before(
        &self,
        other: &Self,
        hand: &FastHand,
        now: &Now<FastInstant>,
    ) -> bool {
        match (self.remaining(hand, now), other.remaining(hand, now)) {
            (Remaining::AtLeast(mine), Remaining::AtLeast(others)) => mine < others,
            (Remaining::Over, Remaining::AtLeast(_) | Remaining::Unknown)
            | (Remaining::AtLeast(_), Remaining::Unknown) => true,
            (Remaining::AtLeast(_) | Remaining::Over | Remaining::Unknown, _) => false,
        }
    }

    /// Whichever of two promises reaches further; one from this segment before one that is not.
    fn later(self, other: Self, hand: &FastHand, now: &Now<FastInstant>) -> Self {
        match (self.remaining(hand, now), other.remaining(hand, now)) {
            (Remaining::AtLeast(mine), Remaining::AtLeast(others)) if others > mine => other,
            (Remaining::Over | Remaining::Unknown, Remaining::AtLeast(_)) => other,
            (Remaining::Unknown, Remaining::Unknown | Remaining::Over) => other,
            (Remaining::AtLeast(_), _) | (Remaining::Over, _) => self,
        }
    }
}

impl Held {
    /// Takes in a renewal. A promise that reaches less far than the last one changes nothing.
    pub(super) fn extend(&mut self, promise: Promise, hand: &FastHand, now: &Now<FastInstant>) {
        self.promise = self.promise.later(promise, hand, now);
        self.settle(hand, now);
    }

    /// Decides anew what ends acts first, and says whether that changed: then the guard must be told.
    ///
    /// A grace that cannot be measured any more stays the limit: it has not become longer. One that can
    /// be says nothing of a promise that cannot.
    pub(super) fn settle(&mut self, hand: &FastHand, now: &Now<FastInstant>) -> bool {
        let grace = self.recall.map(|grace| grace.remaining(hand, now));
        let limit = match (self.promise.remaining(hand, now), grace) {
            (Remaining::AtLeast(promised), Some(Remaining::AtLeast(grace))) if grace < promised => {
                Limit::Grace
            }
            (Remaining::AtLeast(_), Some(Remaining::Over)) => Limit::Grace,
            (Remaining::AtLeast(_), Some(Remaining::Unknown))
            | (Remaining::Unknown, Some(Remaining::Over | Remaining::Unknown)) => self.limit,
            (Remaining::AtLeast(_) | Remaining::Unknown, Some(Remaining::AtLeast(_)) | None)
            | (Remaining::Over, _) => Limit::Promise,
        };
        let limit = match self.promise.anchor.trust {
            Trust::Full => limit,
            Trust::Lost => Limit::Promise,
        };
        core::mem::replace(&mut self.limit, limit) != limit
    }

    /// Gives up a grace that cannot be measured any more: the granter grants it anew.
    pub(super) fn forget_unmeasurable_grace(&mut self, hand: &FastHand, now: &Now<FastInstant>) {
        self.recall = self.recall.filter(|g| g.remaining(hand, now) != Remaining::Unknown);
        self.settle(hand, now);
    }

    /// What is left of it for acts: of the promise, or of the grace if that ends first. Of the very one
    /// that the guard goes by, so that no clock makes the two disagree.
    pub(super) fn remaining(&self, hand: &FastHand, now: &Now<FastInstant>) -> Remaining {
        if self.seen_over.get() {
            return Remaining::Over;
        }
        planted!(hand, LimitAtEachLook => {
            let mut looked_at = self.clone();
            looked_at.limit = Limit::Promise;
            looked_at.settle(hand, now);
            return looked_at.allowed().remaining(hand, now);
        });
        self.allowed().remaining(hand, now)
    }

    /// What the guard needs; `None` if it must not pass.
    pub(super) fn hold(&self) -> Option<Hold> {
        let Promise { anchor: Anchor { instant: anchor, trust }, term } = self.allowed();
        match trust {
            Trust::Full => Some(Hold { fence: self.fence, mode: self.mode, anchor, term }),
            Trust::Lost => None,
        }
    }

    /// Acts are allowed while this lasts.
    fn allowed(&self) -> Promise {
        match (self.limit, self.recall) {
            (Limit::Grace, Some(grace)) => grace,
            (Limit::Grace | Limit::Promise, _) => self.promise,
        }
    }

    /// Whether bulk renewals extend it: the granter in this life knows it, and nobody wants it back.
    pub(super) fn is_counted(&self, incarnation: Incarnation) -> bool {
        self.home == incarnation && self.recall.is_none()
    }

    pub(super) fn view(&self, hand: &FastHand, now: &Now<FastInstant>) -> View {
        match (self.remaining(hand, now), &self.recall) {
            (Remaining::AtLeast(at_least), None) => View::Valid { at_least },
            (Remaining::AtLeast(at_least), Some(_)) => View::Recalled { at_least },
            (Remaining::Unknown, _) => View::Suspect,
            (Remaining::Over, recall) => {
                self.seen_over.set(true);
                let recalled = recall.is_some();
                View::Ended(if recalled { Ending::Recalled } else { Ending::Expired })
            }
        }
    }
}

impl Lease {
    /// Whether its user has no use for it any more.
    pub(super) const fn is_over(&self) -> bool {
        match self.state {
            State::Releasing { .. } | State::Ended(_) => true,
            State::Wanted | State::Confirming { .. } | State::Held(_) => false,
        }
    }

    /// Whether the granter gave or offered it, as far as is known here.
    pub(super) const fn is_granted(&self) -> bool {
        match self.state {
            State::Confirming { .. } | State::Held(_) => true,
            State::Wanted | State::Releasing { .. } | State::Ended(_) => false,
        }
    }

    pub(super) fn view(&self, hand: &FastHand, now: &Now<FastInstant>) -> View {
        match &self.state {
            State::Wanted | State::Confirming { .. } => View::Pending,
            State::Held(held) => held.view(hand, now),
            State::Releasing { ending, .. } | State::Ended(ending) => View::Ended(*ending),
        }
    }

    /// The lease, if it is held.
    pub(super) const fn held_mut(&mut self) -> Option<&mut Held> {
        match &mut self.state {
            State::Held(held) => Some(held),
            State::Wanted
            | State::Confirming { .. }
            | State::Releasing { .. }
            | State::Ended(_) => None,
        }
    }

    /// The lease, if it is held.
    pub(super) const fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Held(held) => Some(held),
            State::Wanted
            | State::Confirming { .. }
            | State::Releasing { .. }
            | State::Ended(_) => None,
        }
    }
}
