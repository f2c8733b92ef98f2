//! Restartable sequences: a store that begins again if the thread is preempted after the check.

use core::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{MembarrierCommand, membarrier};
use tlease_core::fence::Fence;
use tlease_core::time::{Span, Ticks};

use super::outcome::{Obstacle, Published, Refusal, Strength};
use crate::arch::clocks::{KernelClock, KernelClocks};
use crate::arch::{Cpu, Rseq, Rtm, Sequence, SequenceWords, Stored, Tsc};
use crate::lease::record::state_word;
use crate::lease::{Check, LeaseCell};
use crate::machine::facts;
use crate::memory::Word;
use crate::profile::Profile;

/// Restartable sequences, on a machine whose counter is the kernel's clock.
///
/// The sequence cannot call the kernel's clock (it would leave the sequence), so each publish arms the
/// mark, reads the clock, and translates what is left into ticks of the counter, for at most
/// [`ARMED_MAX`].
#[derive(Debug)]
pub(crate) struct Restartable {
    rseq: Rseq,
    tsc: Tsc,
    rate: TickRate,
    margin: Span,
    /// Whether anyone has ever published so: then revocation must restart running sequences.
    used: AtomicBool,
}

impl Restartable {
    /// What a publish without transactions needs, if it is all there; not looked for with them.
    pub(crate) fn find(profile: &Profile, clocks: &KernelClocks) -> Option<Self> {
        if Rtm::detect().is_some() && profile.transactions {
            return None;
        }
        let rseq = Rseq::find()?;
        let trusted = Cpu::has_invariant_tsc() && facts::clocksource().as_deref() == Some("tsc");
        if !trusted || clocks.vdso().is_none() {
            return None;
        }
        membarrier(MembarrierCommand::RegisterPrivateExpeditedRseq).ok()?;
        let tsc = Tsc::new();
        let rate = TickRate::measure(clocks, tsc)?;
        Some(Self { rseq, tsc, rate, margin: profile.publish_margin, used: AtomicBool::new(false) })
    }

    /// Restarts every sequence of this process that is running, so that none stores any more after a
    /// revocation.
    ///
    /// # Panics
    /// If the kernel refuses a barrier for which this process is registered.
    pub(crate) fn restart_all(&self) {
        if self.used.load(Ordering::SeqCst) {
            membarrier(MembarrierCommand::PrivateExpeditedRseq)
                .expect("registered when the clock was opened");
        }
    }

    pub(crate) fn publish(
        &self,
        cell: &LeaseCell,
        fence: Fence,
        target: &Word<'_>,
        value: u64,
    ) -> Result<Published, Refusal> {
        // Before the state word is read: either the revoker sees this, or we see the revocation.
        self.used.swap(true, Ordering::SeqCst);
        let clock = cell.clock();
        let [disruption, generation] = clock.mark_words();
        let words = SequenceWords {
            record: cell.record().words(),
            live: clock.live(),
            word: state_word(fence.get()),
            disruption,
            generation,
            target: target.atomic(),
            value,
        };
        for _ in 0..RESTARTS_MAX {
            let mut sequence = Sequence::arm(self.rseq, &words);
            sequence.armed_at = self.tsc.read();
            let left = self.left(cell, fence)?;
            sequence.ticks_left = self.rate.ticks_floor(armed_for(left, self.margin));
            let armed_at = sequence.armed_at;
            match sequence.store() {
                Stored::Yes => {
                    let late = self.lateness(armed_at, left).inspect(|by| clock.late().note(*by));
                    return Ok(Published { strength: Strength::Restartable, late });
                }
                Stored::Broken | Stored::Revoked | Stored::TimeUp | Stored::Restarted => {}
            }
        }
        Err(Refusal::CannotCommit(Obstacle::Preempted))
    }

    /// The raw clock's time to the deadline: more than the margin.
    fn left(&self, cell: &LeaseCell, fence: Fence) -> Result<Span, Refusal> {
        match cell.check(fence) {
            Check::Valid { remaining } if remaining > self.margin => Ok(remaining),
            Check::Valid { .. } | Check::Expired => Err(Refusal::Expired),
            Check::Suspect => Err(Refusal::Suspect),
            Check::NotHeld => Err(Refusal::Revoked),
        }
    }

    /// How long after the deadline the store may have become visible, if it was.
    fn lateness(&self, armed_at: u64, left: Span) -> Option<Span> {
        let ticks = self.tsc.read().saturating_sub(armed_at);
        self.rate.nanos_ceil(ticks).checked_sub(left.as_nanos()).map(Span::from_nanos)
    }
}

/// How many ticks of the counter a nanosecond of the raw clock has, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TickRate {
    ticks: u64,
    nanos: u64,
}

impl TickRate {
    /// Measures it over [`RATE_SPAN`], by two readings of the clock between readings of the counter.
    ///
    /// `None` if the counter does not advance with the clock.
    fn measure(clocks: &KernelClocks, tsc: Tsc) -> Option<Self> {
        let raw = || clocks.read(KernelClock::Raw);
        let Ticks(begin) = raw();
        let first = tsc.read(); // at or after `begin`
        loop {
            let last = tsc.read(); // at or before `end`
            let Ticks(end) = raw();
            let nanos = end.checked_sub(begin)?;
            if nanos >= RATE_SPAN.as_nanos() {
                return Self::at_least(last.checked_sub(first)?, nanos);
            }
        }
    }

    /// At least `ticks` in at most `nanos`.
    fn at_least(ticks: u64, nanos: u64) -> Option<Self> {
        // The clock's own steps.
        let nanos = nanos.checked_add(2)?;
        (ticks > 0).then_some(Self { ticks, nanos })
    }

    /// The ticks that certainly fit into a span: rounded down.
    fn ticks_floor(self, span: Span) -> u64 {
        let product = u128::from(span.as_nanos()).saturating_mul(self.ticks.into());
        let ticks = product.checked_div(self.nanos.into()).unwrap_or(0);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// The nanoseconds that so many ticks can have lasted: rounded up.
    fn nanos_ceil(self, ticks: u64) -> u64 {
        let product = u128::from(ticks).saturating_mul(self.nanos.into());
        u64::try_from(product.div_ceil(self.ticks.into())).unwrap_or(u64::MAX)
    }
}

/// How long ticks may stand in for the clock, if so much is left to the deadline.
fn armed_for(left: Span, margin: Span) -> Span {
    left.saturating_sub(margin).min(ARMED_MAX)
}

/// How often a sequence begins again: preempted more often in a row, a thread has no time to act.
const RESTARTS_MAX: u32 = 16;
/// The longest that ticks stand in for the clock.
const ARMED_MAX: Span = Span::from_millis(10);
/// Long enough that a reading's 50 ns are 10 ppm of it; spent once, when a clock is opened.
const RATE_SPAN: Span = Span::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_armed_until_the_margin_and_never_for_long() {
        let (ms, margin) = (Span::from_millis, Span::from_millis(2));
        assert_eq!(armed_for(ms(5), margin), ms(3));
        assert_eq!(armed_for(ms(2), margin), Span::ZERO);
        assert_eq!(armed_for(ms(1), margin), Span::ZERO);
        assert_eq!(armed_for(ms(5_000), margin), ARMED_MAX);
    }

    #[test]
    fn ticks_round_down_and_nanoseconds_up() {
        let rate = TickRate::at_least(23, 8).unwrap(); // 23 ticks in at most 10 ns
        assert_eq!(rate.ticks_floor(Span::from_nanos(10)), 23);
        assert_eq!(rate.ticks_floor(Span::from_nanos(9)), 20);
        assert_eq!(rate.nanos_ceil(23), 10);
        assert_eq!(rate.nanos_ceil(24), 11);
        assert_eq!(rate.ticks_floor(Span::MAX), u64::MAX);
        assert_eq!(TickRate::at_least(0, 8), None);
    }
}
