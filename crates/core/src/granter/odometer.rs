//! `Odometer`: how far the slow hand moved, as one session is told (invariant I50).

use crate::time::Span;

use super::timeline::{Stamp, Timeline};

/// The sum of what the slow hand moved from stamp to stamp of one session.
///
/// Each part is certain, rounded down by itself, from the upper bound of one stamp to the lower bound
/// of the next. So the difference of any two sums is certain too. The difference of two movements from
/// one start would not be: of several sources the least counts, and which one that is can change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Odometer {
    last: Stamp,
    pub(super) moved: Span,
}

impl Odometer {
    /// The first stamp of a session.
    pub(super) const fn begun(timeline: &Timeline) -> Self {
        Self { last: timeline.stamp(), moved: Span::ZERO }
    }

    /// The next stamp, if one is due.
    pub(super) fn next(&self, timeline: &Timeline) -> Option<Self> {
        if !timeline.must_be_over(&self.last, STAMP_EVERY) {
            return None;
        }
        let passed = timeline.elapsed_floor(&self.last);
        planted!(timeline.hand, OdometerFromStart => {
            return Some(Self { last: self.last, moved: passed });
        });
        Some(Self { last: timeline.stamp(), moved: self.moved.saturating_add(passed) })
    }
}

/// A session gets a stamp at most so often: each costs a nanosecond or two by its rounding, and three
/// divisions. The shortest term is no shorter.
const STAMP_EVERY: Span = Span::from_millis(10);
