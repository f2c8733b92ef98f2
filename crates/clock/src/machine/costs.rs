//! What the hands and the guard cost here.

use std::io;
use std::sync::Arc;

use tlease_core::fence::Fence;
use tlease_core::time::{Span, Ticks};

use crate::host::HostClock;
use crate::lease::LeaseCell;
use crate::memory::Region;

/// Nanoseconds a call, the best of some slices, and how many commits went through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Reading `CLOCK_MONOTONIC_RAW`, in ns.
    pub clock_read_ns: f64,
    /// [`LeaseCell::check`], in ns.
    pub check_ns: f64,
    /// [`LeaseCell::commit`] of one store, in ns; `None` without transactions.
    pub commit_ns: Option<f64>,
    /// [`LeaseCell::publish`] of one word, in ns; `None` where it is unsupported.
    pub publish_ns: Option<f64>,
    /// The share of commits that went through, in percent; `None` without transactions.
    pub commit_success_percent: Option<f64>,
}

impl Costs {
    pub(super) fn measure(clock: &Arc<HostClock>) -> io::Result<Self> {
        let cell = LeaseCell::new(Arc::clone(clock))?;
        let anchor = clock.fast_now().send_anchor();
        let fence = Fence::FIRST;
        cell.hold(fence, &anchor, LONG_TERM).map_err(io::Error::other)?;
        let region = Region::new(REGION_WORDS)?;
        let word = region.word(0).ok_or(io::ErrorKind::OutOfMemory)?;
        let read = timed(clock, |_| clock.raw_now() > Ticks(0));
        let check =
            timed(clock, |_| core::hint::black_box(cell.check(fence)) != crate::Check::NotHeld);
        let commit =
            timed(clock, |value| cell.commit(fence, &word, |act| act.store(&word, value)).is_ok());
        let publish = timed(clock, |value| cell.publish(fence, &word, value).is_ok());
        let transactions = clock.rtm().is_some();
        Ok(Self {
            clock_read_ns: read.nanos,
            check_ns: check.nanos,
            commit_ns: transactions.then_some(commit.nanos),
            commit_success_percent: transactions.then_some(commit.success_percent),
            publish_ns: (publish.success_percent > 0.0).then_some(publish.nanos),
        })
    }
}

struct Timed {
    nanos: f64,
    success_percent: f64,
}

/// The fastest slice of calls, in ns a call, and the share that succeeded.
fn timed(clock: &HostClock, mut call: impl FnMut(u64) -> bool) -> Timed {
    let (mut best, mut succeeded) = (u64::MAX, 0_u32);
    for _ in 0..SLICES {
        let Ticks(begin) = clock.raw_now();
        for value in 0..CALLS {
            succeeded = succeeded.saturating_add(u32::from(call(value.into())));
        }
        let Ticks(end) = clock.raw_now();
        best = best.min(end.saturating_sub(begin));
    }
    let best = u32::try_from(best).map_or(f64::MAX, f64::from);
    let calls = f64::from(CALLS) * f64::from(SLICES);
    Timed { nanos: best / f64::from(CALLS), success_percent: 100.0 * f64::from(succeeded) / calls }
}

/// Some milliseconds in all for each figure.
const SLICES: u32 = 50;
const CALLS: u32 = 1_000;
const LONG_TERM: Span = Span::from_secs(3_600);
const REGION_WORDS: usize = 64;
