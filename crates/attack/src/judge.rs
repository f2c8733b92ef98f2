//! The granter, who is also the judge.
//!
//! At the hand-over it appends its own record by a locked addition and swaps its own value into the
//! word. From then on the ring must grow by exactly the successor's records, and the word must never
//! again show a value of the victim. No time is compared.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use tlease_clock::{HostClock, Profile};
use tlease_core::time::Span;

use crate::lane::{Actor, Lane, Signal};
use crate::stress::{Random, pause_us};
use crate::successor::ACTS;

/// What a judge has seen.
#[derive(Debug, Default)]
pub struct Tally {
    /// Leases granted, ended and handed over.
    pub rounds: AtomicU64,
    /// Rounds with an effect of the victim after the hand-over.
    pub stale_rounds: AtomicU64,
    /// Records of the victim after the hand-over.
    pub stale_records: AtomicU64,
}

/// Grants, waits out the term with the slow hand, hands over, and judges, until the lane stops.
///
/// # Panics
/// If this machine has no clock.
pub fn judge(lane: &Lane, tally: &Tally, seed: u64) {
    let clock = HostClock::open(&Profile::host()).expect("a clock");
    let mut random = Random::new(seed);
    for round in 1.. {
        let term = Span::from_nanos(random.log_between(5_000_000, 50_000_000));
        lane.signal(Signal::Term).store(term.as_nanos(), SeqCst);
        lane.signal(Signal::Round).store(round, SeqCst);
        if !reaches(lane, Signal::Request, round) {
            return;
        }
        // After the request was read, as a granter must.
        let granted = clock.slow_now().start_stamp();
        lane.signal(Signal::Grant).store(round, SeqCst);
        let hand = clock.slow_hand();
        while hand.must_be_over(&granted, term, &clock.slow_now().reading()) == Some(false) {
            pause_us(50);
        }
        let granted_at = lane.append_bare(Actor::Granter, round);
        lane.bare_word().swap(Actor::Granter.value(round, 0), SeqCst);
        lane.signal(Signal::Succession).store(round, SeqCst);
        let over =
            reaches(lane, Signal::VictimDone, round) && reaches(lane, Signal::SuccessorDone, round);
        if !over {
            return;
        }
        let stale_records = lane.records() - (granted_at + 1) - ACTS;
        let overwritten = lane.signal(Signal::Overwritten).swap(0, SeqCst) > 0
            || lane.bare_word().load(SeqCst) != Actor::Successor.value(round, ACTS - 1);
        tally.stale_records.fetch_add(stale_records, Relaxed);
        tally.stale_rounds.fetch_add(u64::from(stale_records > 0 || overwritten), Relaxed);
        tally.rounds.fetch_add(1, Relaxed);
    }
}

/// Waits until a signal shows this round; `false` if the lane stops before.
fn reaches(lane: &Lane, signal: Signal, round: u64) -> bool {
    while lane.signal(signal).load(SeqCst) != round {
        if lane.stopped() {
            return false;
        }
        pause_us(20);
    }
    true
}
