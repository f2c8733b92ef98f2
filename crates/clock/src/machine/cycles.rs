//! The counter's ticks per executed core cycle.

use crate::arch::{Rtm, imul_chain_ticks};

/// Ticks of the time-stamp counter per core cycle, measured by chains of dependent multiplications of
/// three cycles each, every chain inside one transaction.
///
/// The three cycles hold for the Intel and AMD cores since 2008; profile `enclave` will look the model
/// up. Under load the ratio moves with the core's frequency, and doubles when a sibling thread works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CycleRatio {
    /// Chains that were not interrupted.
    pub samples: usize,
    /// The lowest percentile.
    pub p1: f64,
    /// The median.
    pub median: f64,
    /// The highest percentile.
    pub p99: f64,
}

impl CycleRatio {
    /// `None` without transactions, or if too many chains were interrupted.
    pub(super) fn measure() -> Option<Self> {
        let rtm = Rtm::detect()?;
        let ratios = (0..CHAINS).filter_map(|_| imul_chain_ticks(rtm, LINKS)).filter_map(|ticks| {
            let ticks = u32::try_from(ticks).ok()?;
            Some(f64::from(ticks) / f64::from(CHAIN_CYCLES))
        });
        Self::of(ratios.collect())
    }

    fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_by(f64::total_cmp);
        let percentile = |percent: usize| {
            let index = ratios.len().saturating_sub(1).saturating_mul(percent).div_euclid(100);
            ratios.get(index).copied()
        };
        (ratios.len() >= SAMPLES_MIN).then_some(Self {
            samples: ratios.len(),
            p1: percentile(1)?,
            median: percentile(50)?,
            p99: percentile(99)?,
        })
    }

    /// From the lowest to the highest percentile, relative to the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.p99 - self.p1) / self.median
    }
}

/// Chains measured: some 20 ms.
const CHAINS: u32 = 1_000;
const SAMPLES_MIN: usize = 100;
/// Rounds of 16 links: 16 us a chain, long beside the two counter reads, short beside a timer tick.
const LINKS: u32 = 1_000;
/// Three cycles a link.
const CHAIN_CYCLES: u32 = LINKS * 16 * 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_samples() {
        let ratio = CycleRatio::of((0..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!((ratio.p1, ratio.median, ratio.p99), (1.0, 50.0, 99.0));
        assert!((ratio.spread() - 1.96).abs() < 1e-9);
        assert_eq!(CycleRatio::of(vec![1.0; 99]), None);
    }
}
