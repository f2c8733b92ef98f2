//! Several timekeepers as one clock: whose publication counts.

use tlease_core::time::{FastInstant, Readings, Segment};

use super::record::Published;

/// What the timekeepers of a clock publish, one or two.
pub type Anchors<'a> = &'a [Published];

/// The publication that holders anchor by: of the segment that was begun last the most advanced.
///
/// `None` while all of them serve nobody: then nothing can be anchored.
#[must_use]
pub fn choose(published: Anchors<'_>) -> Option<FastInstant> {
    let serving = published.iter().filter_map(|shown| Some((shown.segment?, shown.fast)));
    let (segment, fast) = serving.max_by_key(|(Segment(number), fast)| (*number, *fast))?;
    Some(FastInstant::new(segment, Readings::one(fast)))
}

#[cfg(test)]
mod tests {
    use tlease_core::time::Ticks;

    use super::super::record::Links;
    use super::*;

    #[test]
    fn the_latest_segment_counts_then_the_most_advanced() {
        let shown = |segment, fast| Published {
            segment,
            slow: Links(0),
            fast: Ticks(fast),
            blur: Ticks(0),
        };
        let [one, two] = [Some(Segment(1)), Some(Segment(2))];
        let at = |segment, fast| Some(FastInstant::new(segment, Readings::one(Ticks(fast))));
        assert_eq!(choose(&[shown(None, 9), shown(None, 8)]), None);
        assert_eq!(choose(&[shown(one, 9), shown(None, 0)]), at(Segment(1), 9));
        assert_eq!(choose(&[shown(one, 9), shown(one, 11)]), at(Segment(1), 11));
        assert_eq!(choose(&[shown(one, 9), shown(two, 3)]), at(Segment(2), 3));
    }
}
