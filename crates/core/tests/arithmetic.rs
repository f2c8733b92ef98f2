//! The arithmetic of the hands, over whole small domains and at the edges of 64 bits, against exact
//! fractions: the slow hand is never over, the fast hand never under, and whatever can be exact is.

use std::time::Duration;

use tlease_core::time::{
    FastHand, FastInstant, Readings, Remaining, SOURCES_MAX, Segment, SlowHand, SlowInstant,
    Source, Span, Ticks,
};

/// A source of a small domain: `ticks` ticks last `nanos` nanoseconds at its bound.
#[derive(Debug, Clone, Copy)]
struct Small {
    nanos: u64,
    ticks: u64,
    granularity: u64,
}

/// Parts of a nanosecond in which true time is counted here.
const PARTS: u64 = 3;

impl Small {
    fn source(self) -> Source {
        Source::assume(self.nanos, self.ticks, Ticks(self.granularity))
    }

    /// What a source at exactly its bound shows after `parts` of true time, if it was `phase`
    /// fractions of a tick along at the beginning: whole ticks, in steps of its granularity.
    fn shows(self, parts: u64, phase: u64) -> u64 {
        let ticks = (parts * self.ticks + phase) / (self.nanos * PARTS);
        ticks / self.granularity * self.granularity
    }

    fn phases(self) -> u64 {
        self.nanos * PARTS * self.granularity
    }
}

fn small_sources(least_granularity: u64) -> impl Iterator<Item = Small> {
    (1..=4).flat_map(move |nanos| {
        (1..=4).flat_map(move |ticks| {
            (least_granularity..=3).map(move |granularity| Small { nanos, ticks, granularity })
        })
    })
}

fn slow(ticks: u64) -> SlowInstant {
    SlowInstant::new(Readings::one(Ticks(ticks)))
}

fn fast(ticks: u64) -> FastInstant {
    FastInstant::new(Segment(0), Readings::one(Ticks(ticks)))
}

#[test]
fn the_slow_hand_never_passes_true_time_whatever_the_phase_of_its_source() {
    for small in small_sources(1) {
        let hand = SlowHand::new(&[small.source()]);
        for phase in 0..small.phases() {
            for (start, now) in moments() {
                let (a, b) = (slow(small.shows(start, phase)), slow(small.shows(now, phase)));
                let elapsed = hand.elapsed_floor(&a, &b).expect("no break");
                assert!(elapsed.as_nanos() * PARTS <= now - start, "{small:?} {start}..{now}");
                for term in 0..8 {
                    let over = hand.must_be_over(&a, Span::from_nanos(term), &b);
                    assert!(over != Some(true) || now - start >= term * PARTS, "{small:?} {term}");
                }
            }
        }
    }
}

#[test]
fn the_fast_hand_never_falls_behind_true_time_whatever_the_phase_of_its_source() {
    for small in small_sources(1) {
        let hand = FastHand::new(&[small.source()]);
        for phase in 0..small.phases() {
            for (anchor, now) in moments() {
                let (a, b) = (fast(small.shows(anchor, phase)), fast(small.shows(now, phase)));
                let elapsed = hand.elapsed_ceil(&a, &b).expect("no break");
                assert!(elapsed.as_nanos() * PARTS >= now - anchor, "{small:?} {anchor}..{now}");
                for term in 0..8 {
                    let left = hand.remaining(&a, Span::from_nanos(term), &b);
                    if let Remaining::AtLeast(left) = left {
                        let end = now - anchor + left.as_nanos() * PARTS;
                        assert!(now - anchor < term * PARTS && end <= term * PARTS, "{small:?}");
                    }
                }
            }
        }
    }
}

/// Pairs of moments, in parts of a nanosecond.
fn moments() -> impl Iterator<Item = (u64, u64)> {
    (0..4).flat_map(|start| (start..start + 28).map(move |now| (start, now)))
}

#[test]
fn spans_and_comparisons_are_the_exact_fractions_rounded_once() {
    for small in small_sources(0) {
        for advance in 0..24 {
            for term in 0..20 {
                agrees_with_exact_fractions(small, 5, advance, term);
            }
        }
    }
}

#[test]
fn spans_and_comparisons_are_exact_at_the_edges_of_64_bits() {
    let edges = [0, 1, 2, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];
    for (nanos, ticks) in edges.iter().flat_map(|n| edges.map(|t| (*n, t))) {
        for granularity in edges {
            let small = Small { nanos, ticks, granularity };
            if nanos == 0 || ticks == 0 {
                continue;
            }
            for (advance, term) in edges.iter().flat_map(|a| edges.map(|t| (*a, t))) {
                agrees_with_exact_fractions(small, 0, advance, term);
            }
        }
    }
}

/// Every question that a hand answers of one source, against 128-bit fractions.
fn agrees_with_exact_fractions(small: Small, anchor: u64, advance: u64, term: u64) {
    let Small { nanos, ticks, granularity } = small;
    let wide = u128::from;
    let now = anchor + advance;
    let case = format!("{small:?} advance {advance} term {term}");

    let slow_hand = SlowHand::new(&[small.source()]);
    let certain = wide(advance.saturating_sub(granularity)) * wide(nanos);
    let floor = u64::try_from(certain / wide(ticks)).unwrap_or(u64::MAX);
    let elapsed = slow_hand.elapsed_floor(&slow(anchor), &slow(now));
    assert_eq!(elapsed, Some(Span::from_nanos(floor)), "{case}");
    let over = slow_hand.must_be_over(&slow(anchor), Span::from_nanos(term), &slow(now));
    assert_eq!(over, Some(certain >= wide(term) * wide(ticks)), "{case}");

    let fast_hand = FastHand::new(&[small.source()]);
    // A product that 128 bits cannot hold is more than a span, whatever it is divided by.
    let possible = (wide(advance) + wide(granularity)).checked_mul(wide(nanos));
    let ceil = possible.and_then(|p| u64::try_from(p.div_ceil(wide(ticks))).ok());
    let elapsed = fast_hand.elapsed_ceil(&fast(anchor), &fast(now));
    assert_eq!(elapsed, ceil.map(Span::from_nanos), "{case}");
    let usable = possible.is_some_and(|possible| possible < wide(term) * wide(ticks));
    let left = match (usable, ceil) {
        (true, Some(ceil)) => Remaining::AtLeast(Span::from_nanos(term - ceil)),
        (true, None) | (false, _) => Remaining::Over,
    };
    let remaining = fast_hand.remaining(&fast(anchor), Span::from_nanos(term), &fast(now));
    // A number of ticks that 64 bits cannot count is never waited for.
    let limit = (wide(term) * wide(ticks)).div_ceil(wide(nanos)).saturating_sub(wide(granularity));
    if limit <= wide(u64::MAX) {
        assert_eq!(remaining, left, "{case}");
    } else {
        assert!(remaining == left || remaining == Remaining::Over, "{case}");
    }
    let deadline = fast_hand.deadline(&fast(anchor), Span::from_nanos(term), 0);
    let before = deadline.is_some_and(|deadline| Ticks(now) < deadline);
    assert_eq!(before, matches!(remaining, Remaining::AtLeast(_)), "{case} {deadline:?}");
}

#[test]
fn a_deadline_beyond_64_bits_is_their_end() {
    let hand = FastHand::new(&[Source::assume(1, 1, Ticks(1))]);
    let anchor = fast(u64::MAX - 10);
    let term = Span::from_nanos(100);
    assert_eq!(hand.deadline(&anchor, term, 0), Some(Ticks(u64::MAX)));
    assert!(matches!(hand.remaining(&anchor, term, &fast(u64::MAX - 1)), Remaining::AtLeast(_)));
    assert_eq!(hand.remaining(&anchor, term, &fast(3)), Remaining::Unknown, "it wrapped");
}

#[test]
fn of_several_sources_the_slow_hand_takes_the_least_advance_and_the_fast_hand_the_most() {
    let source = Source::assume(1, 1, Ticks(0));
    let (slow_hand, fast_hand) = (SlowHand::new(&[source; 3]), FastHand::new(&[source; 3]));
    let anchor = [7, 1_000, 40];
    for (a, b, c) in triples() {
        let now = [anchor[0] + a, anchor[1] + b, anchor[2] + c];
        let (then, now) = (three(anchor), three(now));
        let least = slow_hand.elapsed_floor(&SlowInstant::new(then), &SlowInstant::new(now));
        assert_eq!(least, Some(Span::from_nanos(a.min(b).min(c))));
        let (then, now) = (FastInstant::new(Segment(1), then), FastInstant::new(Segment(1), now));
        let most = a.max(b).max(c);
        assert_eq!(fast_hand.elapsed_ceil(&then, &now), Some(Span::from_nanos(most)));
        let term = Span::from_nanos(3);
        let left = fast_hand.remaining(&then, term, &now);
        let expected = match 3_u64.checked_sub(most).filter(|left| *left > 0) {
            Some(left) => Remaining::AtLeast(Span::from_nanos(left)),
            None => Remaining::Over,
        };
        assert_eq!(left, expected);
        let deadlines = (0..SOURCES_MAX).map(|i| fast_hand.deadline(&then, term, i));
        let before = deadlines.enumerate().all(|(i, deadline)| now.readings().get(i) < deadline);
        assert_eq!(before, matches!(left, Remaining::AtLeast(_)));
    }
}

fn triples() -> impl Iterator<Item = (u64, u64, u64)> {
    (0..6).flat_map(|a| (0..6).flat_map(move |b| (0..6).map(move |c| (a, b, c))))
}

fn three(ticks: [u64; 3]) -> Readings {
    Readings::three(ticks.map(Ticks))
}

#[test]
fn a_source_that_falls_back_vanishes_or_appears_is_a_break_on_both_hands() {
    let source = Source::assume(1, 1, Ticks(1));
    let (slow_hand, fast_hand) = (SlowHand::new(&[source; 2]), FastHand::new(&[source; 2]));
    let shown = |a: Option<u64>, b: Option<u64>| Readings::new(&[a.map(Ticks), b.map(Ticks)]);
    let whole = shown(Some(10), Some(20));
    let breaks = [
        (whole, shown(Some(9), Some(30))),
        (whole, shown(Some(30), Some(19))),
        (whole, shown(Some(30), None)),
        (whole, shown(None, None)),
        (shown(Some(10), None), whole),
        (shown(None, None), shown(None, None)),
    ];
    let term = Span::from_secs(1);
    for (then, now) in breaks {
        let (a, b) = (SlowInstant::new(then), SlowInstant::new(now));
        assert_eq!(slow_hand.elapsed_floor(&a, &b), None);
        assert_eq!(slow_hand.must_be_over(&a, Span::ZERO, &b), None);
        assert!(!slow_hand.continues(&a, &b));
        let (a, b) = (FastInstant::new(Segment(1), then), FastInstant::new(Segment(1), now));
        assert_eq!(fast_hand.elapsed_ceil(&a, &b), None);
        assert_eq!(fast_hand.remaining(&a, term, &b), Remaining::Unknown);
    }
}

#[test]
fn nothing_is_known_across_segments() {
    let hand = FastHand::new(&[Source::assume(1, 1, Ticks(1))]);
    let (old, new) = (fast(10), FastInstant::new(Segment(1), Readings::one(Ticks(11))));
    assert_eq!(hand.remaining(&old, Span::MAX, &new), Remaining::Unknown);
    assert_eq!(hand.elapsed_ceil(&old, &new), None);
}

#[test]
fn a_reading_that_the_hand_does_not_know_of_is_a_break_and_not_passed_over() {
    let one = Source::assume(1, 1, Ticks(1));
    let then = Readings::new(&[Some(Ticks(1)), Some(Ticks(1))]);
    let now = Readings::new(&[Some(Ticks(2)), Some(Ticks(900))]);
    let hand = FastHand::new(&[one]);
    let (a, b) = (FastInstant::new(Segment(0), then), FastInstant::new(Segment(0), now));
    assert_eq!(hand.remaining(&a, Span::from_secs(1), &b), Remaining::Unknown);
    let hand = SlowHand::new(&[one]);
    assert_eq!(hand.elapsed_floor(&SlowInstant::new(then), &SlowInstant::new(now)), None);
}

#[test]
fn drift_allowances_lie_on_their_safe_sides() {
    for ppb in [0, 1, 300_000, 500_000_000, 999_999_999] {
        let (slow_hand, fast_hand) = (
            SlowHand::new(&[Source::assume_slow_nanos(ppb)]),
            FastHand::new(&[Source::assume_fast_nanos(ppb)]),
        );
        let second = 1_000_000_000;
        let least = slow_hand.elapsed_floor(&slow(0), &slow(second)).expect("no break");
        let most = fast_hand.elapsed_ceil(&fast(0), &fast(second)).expect("no break");
        let (billion, ppb) = (1_000_000_000_u128, u128::from(ppb));
        // The source ran fast: that many of its ticks took less.
        let shown = u128::from(least.as_nanos()) * billion;
        assert!(shown <= u128::from(second) * (billion - ppb));
        // The source ran slow: that many of its ticks took more.
        assert!(u128::from(most.as_nanos()) * (billion - ppb) >= u128::from(second) * billion);
    }
}

#[test]
fn parts_of_a_span_are_rounded_down_and_never_overflow() {
    for nanos in (0..40).chain([1 << 32, u64::MAX - 1, u64::MAX]) {
        for (numerator, denominator) in [(0, 1), (1, 4), (2, 3), (3, 4), (1, u32::MAX), (7, 2)] {
            let part = Span::from_nanos(nanos).scaled_floor(numerator, denominator);
            let exact = u128::from(nanos) * u128::from(numerator) / u128::from(denominator);
            let expected = u64::try_from(exact).unwrap_or(u64::MAX);
            assert_eq!(part, Span::from_nanos(expected));
        }
    }
}

#[test]
fn a_span_and_a_duration_agree_to_the_nanosecond() {
    for nanos in [0, 1, 999_999_999, 1_000_000_000, u64::MAX] {
        let span = Span::from_nanos(nanos);
        assert_eq!(Span::try_from(Duration::from(span)), Ok(span));
    }
    assert!(Span::try_from(Duration::from_nanos(u64::MAX) + Duration::from_nanos(1)).is_err());
}
