//! I19: between a moment at which a timekeeper showed how far the fast hand had come at least, and any
//! later one at which a thread says how far it can have come at most, in the same segment, there are at
//! least the ticks that the slowest admitted counter shows in that time.

use std::collections::BTreeMap;

use tlease_core::time::{FastInstant, Ticks};

use super::{Claim, i20};
use crate::options::BILLION;
use crate::world::enclave::{Reading, is_stray};

pub(crate) const CLAIM: Claim = Claim::new(
    "I19",
    "in an enclave two readings of one segment are apart by the ticks of the slowest counter",
);

/// Some anchors of the latest segments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Anchors {
    slowest: u64,
    /// By segment.
    kept: BTreeMap<u64, Kept>,
}

/// Of one segment: the first, and the last few in turn.
#[derive(Debug, Clone, Default)]
struct Kept {
    some: [Option<(u64, u64)>; 4],
    seen: usize,
}

/// A timekeeper showed `anchor` at true time `now`.
pub(crate) fn anchored(anchors: &mut Anchors, anchor: FastInstant, now: u64, slowest: u64) {
    let segment = anchor.segment();
    if is_stray(segment) {
        return;
    }
    let Some(Ticks(reached)) = anchor.readings().get(0) else { return };
    anchors.slowest = slowest;
    let kept = anchors.kept.entry(segment.0).or_default();
    let slot = if kept.seen == 0 { 0 } else { 1 + kept.seen % 3 };
    kept.some[slot] = Some((now, reached));
    kept.seen += 1;
    if anchors.kept.len() > SEGMENTS_MAX {
        anchors.kept.pop_first();
    }
}

/// What every thread knows at true time `now`; `kept` is whether every counter ran at an admitted rate so
/// far.
pub(crate) fn look(
    anchors: &Anchors,
    threads: &[Option<Reading>],
    now: u64,
    kept: bool,
) -> Result<(), (Claim, String)> {
    for reading in threads.iter().flatten() {
        i20::check(reading).map_err(|what| (i20::CLAIM, what))?;
        if kept {
            check(anchors, reading, now).map_err(|what| (CLAIM, what))?;
        }
    }
    Ok(())
}

fn check(anchors: &Anchors, reading: &Reading, now: u64) -> Result<(), String> {
    let Some(kept) = anchors.kept.get(&reading.at.segment().0) else { return Ok(()) };
    let Some(Ticks(upper)) = reading.at.readings().get(0) else { return Ok(()) };
    for (then, reached) in kept.some.iter().flatten() {
        let passed = u128::from(now - then) * u128::from(anchors.slowest) / u128::from(BILLION);
        // A hand charges the step of its counter.
        let shown = u128::from(upper) + STEP;
        if shown < u128::from(*reached) + passed {
            return Err(format!(
                "at most {upper} at {now}, and it was {reached} at {then}: short of {passed} ticks"
            ));
        }
    }
    Ok(())
}

/// The coarsest step of a counter that a hand charges, in ticks.
const STEP: u128 = 64;
/// Older ones live no more.
const SEGMENTS_MAX: usize = 8;
