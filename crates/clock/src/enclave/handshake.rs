//! The handshake: a thread puts its own counter on a timekeeper's line.

use tlease_core::time::Ticks;

use super::line::{Bounds, Line, Skew};
use super::record::Published;

/// A handshake that was begun.
///
/// It only reads: the thread waits until the timekeeper has published twice. The timekeeper fences after
/// each beat, so the counter reading in the second publication was taken after the first was visible,
/// hence after the thread's own first reading, and before its last one. No request is written, so nobody
/// can slow a timekeeper down by asking.
///
/// The thread arms its mark before its first reading and tests it after its last; [`Handshake`] knows
/// nothing of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Handshake {
    before: Ticks,
    version: u64,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl Handshake {
    /// Begins: `before` is the own counter, `version` the timekeeper's, read after it.
    pub const fn begin(before: Ticks, version: u64) -> Self {
        Self {
            before,
            version,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The line, if `published` (of this `version`) is an answer; `after` is the own counter, read after
    /// it.
    ///
    /// `None`: wait on. Or never, if the timekeeper serves nobody or a counter went back.
    #[must_use]
    pub fn answer(
        &self,
        version: u64,
        published: &Published,
        after: Ticks,
        skew: Skew,
    ) -> Option<Line> {
        let since = version.checked_sub(self.version)?;
        let enough = if planted!(self, FirstPublicationAnswers) { 1 } else { PUBLICATIONS };
        if since < enough || after < self.before {
            return None;
        }
        let Published { segment, fast, blur, slow: _ } = *published;
        let seen = Bounds { lower: fast, upper: Ticks(fast.0.checked_add(blur.0)?) };
        let skew = if planted!(self, SkewForgotten) { Skew::NONE } else { skew };
        Some(Line::learn(segment?, seen, self.before, after, skew))
    }

    /// The own counter when it was begun.
    #[must_use]
    pub const fn before(&self) -> Ticks {
        self.before
    }
}

#[cfg(feature = "mutants")]
impl Handshake {
    /// Plants a bug.
    pub const fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}

/// How many publications must have happened: the first may have been under way already.
const PUBLICATIONS: u64 = 2;

#[cfg(test)]
mod tests {
    use tlease_core::time::Segment;

    use super::super::record::Links;
    use super::*;

    const SHOWN: Published =
        Published { segment: Some(Segment(3)), slow: Links(0), fast: Ticks(5_000), blur: Ticks(7) };

    #[test]
    fn the_second_publication_answers() {
        let handshake = Handshake::begin(Ticks(100), 40);
        assert_eq!(handshake.answer(40, &SHOWN, Ticks(110), Skew::NONE), None);
        assert_eq!(handshake.answer(41, &SHOWN, Ticks(120), Skew::NONE), None, "read before");
        let line = handshake.answer(42, &SHOWN, Ticks(130), Skew::NONE).unwrap();
        let bounds = Bounds { lower: Ticks(5_000 - 64), upper: Ticks(5_037 + 64) };
        assert_eq!(line.at(Ticks(130)), Some(bounds));
    }

    #[test]
    fn a_timekeeper_that_serves_nobody_and_a_counter_that_went_back_are_no_answer() {
        let handshake = Handshake::begin(Ticks(100), 40);
        let nobody = Published { segment: None, ..SHOWN };
        assert_eq!(handshake.answer(42, &nobody, Ticks(130), Skew::NONE), None);
        assert_eq!(handshake.answer(42, &SHOWN, Ticks(99), Skew::NONE), None);
        assert_eq!(handshake.answer(39, &SHOWN, Ticks(130), Skew::NONE), None);
    }
}
