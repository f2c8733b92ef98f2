//! `Promises`: how long the live leases were promised for.

use crate::time::Span;

/// Counts live leases by their term, in classes a quarter of an octave wide, so that the longest
/// promise still open is known at any time without looking at the leases.
#[derive(Debug)]
pub(super) struct Promises {
    counts: [u32; CLASSES],
    /// One bit for each class, in its order: whether it counts any.
    open: [u64; CLASSES / 64],
}

/// Four classes for each of 64 powers of two.
const CLASSES: usize = 256;

impl Promises {
    pub(super) const fn new() -> Self {
        Self { counts: [0; CLASSES], open: [0; CLASSES / 64] }
    }

    pub(super) fn add(&mut self, term: Span) {
        let count = self.count(term);
        *count = count.checked_add(1).expect("leases are bounded below 2^32");
        self.mark(term, true);
    }

    pub(super) fn remove(&mut self, term: Span) {
        let count = self.count(term);
        *count = count.checked_sub(1).expect("every live lease was counted");
        if *count == 0 {
            self.mark(term, false);
        }
    }

    /// The longest live term, rounded up to its class, at most 25 % more. Zero without leases.
    pub(super) fn longest_ceil(&self) -> Span {
        let highest = |(word, bits): (usize, &u64)| {
            let bit = usize::try_from(bits.checked_ilog2()?).ok()?;
            Some(word.saturating_mul(64).saturating_add(bit))
        };
        self.open.iter().enumerate().rev().find_map(highest).map_or(Span::ZERO, longest_of)
    }

    fn count(&mut self, term: Span) -> &mut u32 {
        self.counts.get_mut(class(term)).expect("classes cover all spans")
    }

    fn mark(&mut self, term: Span, is_open: bool) {
        let class = class(term);
        let word = self.open.get_mut(class >> 6).expect("classes cover all spans");
        let bit = 1_u64.wrapping_shl(u32::try_from(class & 63).unwrap_or(0));
        *word = if is_open { *word | bit } else { *word & !bit };
    }
}

/// `term` rounded up to the longest of its class.
pub(super) fn rounded_up(term: Span) -> Span {
    if term.is_zero() { term } else { longest_of(class(term)) }
}

fn class(term: Span) -> usize {
    let nanos = term.as_nanos().max(4);
    let exponent = nanos.ilog2();
    let quarter = nanos.wrapping_shr(exponent.saturating_sub(2)) & 3;
    let class = u64::from(exponent).saturating_mul(4).saturating_add(quarter);
    usize::try_from(class).unwrap_or(CLASSES)
}

fn longest_of(class: usize) -> Span {
    let class = u64::try_from(class).unwrap_or(0);
    let exponent = u32::try_from(class >> 2).unwrap_or(0);
    let next_quarter = u128::from(class & 3).saturating_add(5);
    let end = next_quarter.wrapping_shl(exponent.saturating_sub(2));
    Span::from_nanos(u64::try_from(end.saturating_sub(1)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_class_is_never_shorter_than_its_terms_nor_a_quarter_longer(shift in 0..61_u32, raw: u64) {
            let term = Span::from_nanos((raw >> shift).max(8));
            let rounded = rounded_up(term);
            prop_assert!(rounded >= term);
            prop_assert!(rounded.as_nanos() - term.as_nanos() <= term.as_nanos() / 4);
        }
    }

    #[test]
    fn the_longest_live_term_is_forgotten_with_its_lease() {
        let mut promises = Promises::new();
        promises.add(Span::from_secs(5));
        promises.add(Span::from_secs(3600));
        assert!(promises.longest_ceil() >= Span::from_secs(3600));
        promises.remove(Span::from_secs(3600));
        let longest = promises.longest_ceil();
        assert!(longest >= Span::from_secs(5) && longest <= Span::from_millis(6_250));
        promises.remove(Span::from_secs(5));
        assert_eq!(promises.longest_ceil(), Span::ZERO);
    }
}
