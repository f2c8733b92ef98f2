//! One word, published in profile `enclave-sim`: by a transaction, or by a restartable sequence whose
//! mark is armed before the handshake.

use tlease_core::fence::Fence;
use tlease_core::time::{Segment, Span, Ticks};

use super::clock::KeeperClock;
use super::stretch::Stretch;
use crate::arch::{Rseq, Sequence, SequenceWords, Stored, counter};
use crate::guard::{Missing, Obstacle, Published, Refusal, Strength};
use crate::host::live::LiveSegment;
use crate::lease::LeaseCell;
use crate::lease::record::{View, state_word};
use crate::memory::Word;
use crate::segment::{Evidence, Markers, Offset};

impl LeaseCell<KeeperClock> {
    /// Stores `value` to a word, if the lease `fence` is valid. As
    /// [`LeaseCell::publish`] of the profile `host`, with a handshake in each restartable sequence.
    ///
    /// # Timing
    /// A restartable publish is refused from `deadline - publish margin` on.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    pub fn publish(&self, fence: Fence, word: &Word<'_>, value: u64) -> Result<Published, Refusal> {
        if self.clock().rtm().is_some() {
            let committed = self.commit(fence, word, |act| act.store(word, value))?;
            return Ok(Published { strength: Strength::Transaction, late: committed.late });
        }
        let rseq = Rseq::find().filter(|_| self.clock().has_sequences());
        let rseq = rseq.ok_or(Refusal::Unsupported(Missing::RestartableSequences))?;
        // Before the state word is read: either the revoker sees this, or we see the revocation.
        self.clock().note_publishing();
        let mut refusal = Refusal::CannotCommit(Obstacle::Preempted);
        for _ in 0..RESTARTS_MAX {
            match self.try_publish(rseq, fence, word, value) {
                Ok(published) => return Ok(published),
                Err(Tried::Refused(refusal)) => return Err(refusal),
                Err(Tried::Suspect) => refusal = Refusal::Suspect,
                Err(Tried::Restarted) => refusal = Refusal::CannotCommit(Obstacle::Preempted),
            }
        }
        Err(refusal)
    }

    fn try_publish(
        &self,
        rseq: Rseq,
        fence: Fence,
        word: &Word<'_>,
        value: u64,
    ) -> Result<Published, Tried> {
        let (_, segment) = self.record().held_by_writer();
        let live = live(segment);
        let words = SequenceWords {
            record: self.record().words(),
            live: &live,
            word: state_word(fence.get()),
            disruption: live.disruption(),
            generation: live.generation(),
            target: word.atomic(),
            value,
        };
        let mut sequence = Sequence::arm(rseq, &words);
        let shaken = self.clock().keepers().shake(|| sequence.is_armed());
        // What is to be said first of a lease that is over is that it is over.
        let deadline = match self.record().view(words.word, || segment) {
            View::NotHeld => return Err(Tried::Refused(Refusal::Revoked)),
            View::Stale => return Err(Tried::Suspect),
            View::Held { deadline, segment: _ } => deadline,
        };
        let stretch = shaken.map_err(|_| Tried::Suspect)?;
        if stretch.segment() != Segment(segment) {
            return Err(Tried::Suspect);
        }
        let margin = self.clock().keepers().ticks_ceil(self.clock().publish_margin());
        let left = own_left(&stretch, deadline, margin);
        let Ticks(left) = left.ok_or(Tried::Refused(Refusal::Expired))?;
        (sequence.armed_at, sequence.ticks_left) = (stretch.begins().0, left);
        match sequence.store() {
            Stored::Yes => {
                let late = self.publish_lateness(&stretch, deadline);
                Ok(Published { strength: Strength::Restartable, late })
            }
            Stored::Broken | Stored::Revoked | Stored::TimeUp | Stored::Restarted => {
                Err(Tried::Restarted)
            }
        }
    }

    /// How long after the deadline the store may have become visible, if it was.
    fn publish_lateness(&self, stretch: &Stretch, deadline: u64) -> Option<Span> {
        let Ticks(own) = counter();
        let ahead = stretch.ahead();
        let after = own.saturating_sub(ahead.own.0).saturating_add(ahead.hand.0);
        let late = self.clock().keepers().span_floor(Ticks(after.checked_sub(deadline)?));
        self.clock().late().note(late);
        Some(late)
    }
}

/// How one sequence ended without a store.
enum Tried {
    Refused(Refusal),
    /// No handshake, or one of another segment than the lease's.
    Suspect,
    Restarted,
}

/// The ticks of the own counter from the stretch's beginning to its end, or to where the hand's upper
/// bound comes within the margin of the deadline, if that is earlier. `None` if that is past.
fn own_left(stretch: &Stretch, deadline: u64, Ticks(margin): Ticks) -> Option<Ticks> {
    let ahead = stretch.ahead();
    let hand_left = deadline.checked_sub(margin)?.checked_sub(ahead.hand.0)?;
    let end = ahead.own.0.checked_add(hand_left)?.min(stretch.ends().0);
    end.checked_sub(stretch.begins().0).filter(|left| *left > 0).map(Ticks)
}

/// What the sequence compares the record's segment with.
fn live(segment: u64) -> LiveSegment {
    LiveSegment::new(&Evidence {
        segment: Segment(segment),
        offset_floor: Offset(0),
        marks: Markers::NoDevice,
    })
}

/// How often a sequence begins again: preempted more often in a row, a thread has no time to act.
const RESTARTS_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::super::line::{Bounds, Line, Skew};
    use super::*;

    #[test]
    fn a_sequence_ends_before_the_deadline_by_the_margin_and_with_its_stretch() {
        let seen = Bounds { lower: Ticks(5_064), upper: Ticks(5_064) };
        let line = Line::learn(Segment(1), seen, Ticks(90), Ticks(100), Skew::NONE);
        // The hand is at most 5,128 when the own counter shows 90.
        let stretch = Stretch::begin(&line, Ticks(1_000)).unwrap();
        assert_eq!(stretch.upper(Ticks(100)), Ok(Ticks(5_138)));
        assert_eq!(own_left(&stretch, 5_638, Ticks(100)), Some(Ticks(400)));
        assert_eq!(own_left(&stretch, 5_238, Ticks(100)), None);
        assert_eq!(own_left(&stretch, 50, Ticks(100)), None);
        assert_eq!(own_left(&stretch, 50_000, Ticks(100)), Some(Ticks(1_000)));
    }
}
