//! Measurements in slices that alternate: a ratio is the median, over the rounds, of the ratio within one
//! round, so that whatever else the machine does falls on both sides.

/// What one case took in each round, in ticks a call; `None` where the slice does not count.
#[derive(Debug, Default)]
pub(crate) struct Slices(Vec<Option<f64>>);

impl Slices {
    /// Adds a slice of so many calls.
    pub(crate) fn add(&mut self, ticks: u64, calls: u64, counts: bool) {
        self.0.push((counts && calls > 0).then(|| ticks as f64 / calls as f64));
    }

    /// How many count.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// The median of what a call took.
    pub(crate) fn median(&self) -> Option<f64> {
        median(self.0.iter().flatten().copied().collect())
    }

    /// The median ratio to another case, over the rounds in which both count, and the quartiles of
    /// it.
    pub(crate) fn ratio(&self, base: &Self) -> Option<[f64; 3]> {
        let both = self.0.iter().zip(&base.0);
        let ratios: Vec<f64> = both.filter_map(|(a, b)| Some(a.as_ref()? / b.as_ref()?)).collect();
        quartiles(ratios)
    }
}

fn median(values: Vec<f64>) -> Option<f64> {
    quartiles(values).map(|[_, median, _]| median)
}

/// `None` if there are too few to say anything.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    (values.len() >= SLICES_MIN).then(|| [at(1), at(2), at(3)])
}

/// Fewer say nothing.
const SLICES_MIN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_slices_of_one_round_that_both_count() {
        let (mut one, mut other) = (Slices::default(), Slices::default());
        for round in 1..=40 {
            // The machine gets slower all the time; one case takes twice as long as the other.
            one.add(round * 200, 10, true);
            other.add(round * 100, 10, round % 4 != 0);
        }
        assert_eq!(one.ratio(&other), Some([2.0, 2.0, 2.0]));
        assert_eq!((one.count(), other.count()), (40, 30));
    }

    #[test]
    fn too_few_slices_say_nothing() {
        let mut few = Slices::default();
        (0..SLICES_MIN - 1).for_each(|_| few.add(1, 1, true));
        assert_eq!(few.median(), None);
        few.add(1, 1, true);
        assert_eq!(few.median(), Some(1.0));
    }
}
