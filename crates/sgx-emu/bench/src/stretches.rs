//! For how long at a time timekeepers have shown one segment: what is made of their notes.

use tlease_core::time::{Segment, Ticks};

/// A timekeeper began to show a segment, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The counter then: the last reading in the old segment, or the first in the new one.
    pub(crate) at: Ticks,
    /// The segment from then on.
    pub(crate) segment: Option<Segment>,
}

/// What one or two timekeepers went through together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stretches {
    /// How long they were watched, in ticks.
    pub(crate) watched: u64,
    /// How often a timekeeper ceased to serve, both taken together.
    pub(crate) breaks: u64,
    /// Stretches of time in which one segment was served.
    pub(crate) stretches: u64,
    /// The longest of them, in ticks.
    pub(crate) longest: u64,
    /// Times at which nobody served.
    pub(crate) gaps: u64,
    /// All of them together, in ticks.
    pub(crate) away: u64,
    /// What is left of the stretches without a round trip at the beginning of each, in ticks.
    pub(crate) free: u64,
}

impl Stretches {
    /// Lays the notes of timekeepers, each in its order, side by side. The time that is watched is
    /// that in which all of them had begun and none had ended.
    ///
    /// Holders go by the segment that was begun last, as `choose` has it.
    pub(crate) fn of(notes: &[&[Note]], Ticks(round_trip): Ticks) -> Self {
        let begin = notes.iter().filter_map(|notes| notes.first()).map(|note| note.at.0).max();
        let end = notes.iter().filter_map(|notes| notes.last()).map(|note| note.at.0).min();
        let (Some(begin), Some(end)) = (begin, end) else { return Self::default() };
        let mut left: Vec<&[Note]> = notes.to_vec();
        let mut found = Self { watched: end.saturating_sub(begin), ..Self::default() };
        let mut shown = vec![None; notes.len()];
        let (mut since, mut served) = (begin, None);
        while let Some((keeper, note)) = next(&mut left) {
            if note.at.0 > end {
                break;
            }
            let within = note.at.0 > begin;
            found.breaks += u64::from(within && note.segment.is_none());
            shown[keeper] = note.segment;
            let now = shown.iter().flatten().copied().max_by_key(|Segment(number)| *number);
            if now != served {
                if within {
                    found.add(served, note.at.0 - since, round_trip);
                }
                (since, served) = (note.at.0.max(begin), now);
            }
        }
        found.add(served, end.saturating_sub(since), round_trip);
        found
    }

    fn add(&mut self, served: Option<Segment>, length: u64, round_trip: u64) {
        if length == 0 {
            return;
        }
        if served.is_none() {
            self.gaps += 1;
            self.away += length;
            return;
        }
        self.stretches += 1;
        self.longest = self.longest.max(length);
        self.free += length.saturating_sub(round_trip);
    }
}

/// The earliest note that is left, and whose it is.
fn next(left: &mut [&[Note]]) -> Option<(usize, Note)> {
    let firsts =
        left.iter().enumerate().filter_map(|(keeper, notes)| Some((keeper, notes.first()?)));
    let (keeper, note) =
        firsts.min_by_key(|(_, note)| note.at).map(|(keeper, note)| (keeper, *note))?;
    left[keeper] = &left[keeper][1..];
    Some((keeper, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(at: u64, segment: u64) -> Note {
        Note { at: Ticks(at), segment: (segment > 0).then_some(Segment(segment)) }
    }

    #[test]
    fn each_break_of_one_timekeeper_ends_a_stretch() {
        let notes =
            [note(100, 1), note(400, 0), note(450, 2), note(470, 0), note(500, 3), note(1_100, 0)];
        let expected = Stretches {
            watched: 1_000,
            breaks: 3,
            stretches: 3,
            longest: 600,
            gaps: 2,
            away: 80,
            // Of 300, 20 and 600 a round trip of 50 is lost, or all.
            free: 250 + 550,
        };
        assert_eq!(Stretches::of(&[&notes], Ticks(50)), expected);
        assert_eq!(Stretches::of(&[&[]], Ticks(50)), Stretches::default());
    }

    #[test]
    fn two_go_on_while_one_of_them_serves() {
        // What happened before both had begun does not count.
        let first =
            [note(0, 1), note(50, 0), note(60, 1), note(300, 0), note(350, 1), note(900, 0)];
        let second = [note(100, 1), note(600, 0), note(700, 1), note(1_000, 0)];
        let found = Stretches::of(&[&first, &second], Ticks(10));
        assert_eq!((found.watched, found.stretches, found.longest), (800, 1, 800), "{found:?}");
        assert_eq!((found.gaps, found.breaks), (0, 3), "each break was the other's time to serve");
    }

    #[test]
    fn a_joint_gap_ends_the_stretch_of_both() {
        let first = [note(0, 1), note(300, 0), note(350, 2), note(1_000, 0)];
        let second = [note(0, 1), note(280, 0), note(360, 2), note(1_000, 0)];
        let found = Stretches::of(&[&first, &second], Ticks(0));
        assert_eq!((found.gaps, found.away), (1, 50), "{found:?}");
        assert_eq!((found.stretches, found.longest, found.free), (2, 650, 950), "{found:?}");
    }

    #[test]
    fn a_segment_that_was_begun_later_ends_the_stretch_of_an_earlier_one() {
        let first = [note(0, 1), note(300, 0), note(350, 2), note(1_000, 0)];
        let second = [note(0, 1), note(500, 2), note(1_000, 0)];
        let found = Stretches::of(&[&first, &second], Ticks(0));
        assert_eq!((found.gaps, found.stretches, found.longest), (0, 2, 650), "{found:?}");
    }
}
