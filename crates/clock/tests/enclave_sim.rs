//! Profile `enclave-sim` on this machine: timekeepers, handshakes, leases, and acts under them.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::enclave_sim::{alone, clock, hold, machine, open};
use common::{LONG, fence};
use tlease_clock::enclave::{EnclaveSim, KeeperClock, KeeperCount};
use tlease_clock::guard::{Missing, Refusal};
use tlease_clock::memory::Region;
use tlease_clock::stay::Thread;
use tlease_clock::{Check, HoldRefusal, LeaseCell};
use tlease_core::time::{FastInstant, Readings, Segment, Span, Ticks};

fn cell(clock: &Arc<KeeperClock>) -> LeaseCell<KeeperClock> {
    LeaseCell::new(Arc::clone(clock)).expect("a page")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the judge's clock is another one than the profile's"
)]
fn now() -> Instant {
    Instant::now()
}

/// Long enough for a timekeeper to be scheduled on a busy machine, and no limit on a quiet one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries until it succeeds: on a busy machine timekeeper and holder rarely run together. `None`, with a
/// word, if they never did: that this clock serves when nobody interrupts it is shown in
/// `tests/timekeepers.rs`, without a scheduler.
#[must_use]
fn until<R>(what: &str, clock: &KeeperClock, mut attempt: impl FnMut() -> Option<R>) -> Option<R> {
    let begin = now();
    while begin.elapsed() < PATIENCE {
        if let Some(made) = attempt() {
            return Some(made);
        }
        std::thread::yield_now();
    }
    let exits = [clock.keepers().exits(0), clock.keepers().exits(1)];
    println!("skipped: interrupted all the time, so that there never was {what}: {exits:?}");
    None
}

/// Holds anew for `term` and checks, until the check says valid.
#[must_use]
fn hold_validly(cell: &LeaseCell<KeeperClock>, term: Span) -> Option<Span> {
    until("a valid lease", cell.clock(), || {
        if !hold(cell, term) {
            return None;
        }
        match cell.check(fence(1)) {
            Check::Valid { remaining } => Some(remaining),
            Check::Suspect | Check::Expired | Check::NotHeld => None,
        }
    })
}

#[test]
fn a_lease_is_valid_in_its_segment_and_no_check_after_its_end_says_so() {
    let _alone = alone();
    let Some(clock) = clock(KeeperCount::One) else { return };
    let first = cell(&clock);
    assert_eq!(first.check(fence(1)), Check::NotHeld);
    let Some(remaining) = hold_validly(&first, LONG) else { return };
    assert!(remaining <= LONG);
    // A renewal never shortens a term, so this is another lease.
    let cell = cell(&clock);
    let valid = until("a lease that was valid until its end", &clock, || {
        let checks = valid_checks_of_a_short_lease(&cell)?;
        (checks > 0).then_some(checks)
    });
    println!("{valid:?} times valid; {:?}", clock.keepers().exits(0));
    cell.revoke();
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
}

/// How often a check said valid from before the beginning of a term until after its end; `None` if it
/// could not begin.
fn valid_checks_of_a_short_lease(cell: &LeaseCell<KeeperClock>) -> Option<u64> {
    let term = Span::from_millis(1);
    let held = now();
    if !hold(cell, term) {
        return None;
    }
    // Whatever anchor that was, it was published before; the term counts from no later than now.
    let anchored_by = now();
    let mut valid = 0;
    while held.elapsed() < Duration::from_millis(2) {
        let begun = now();
        match cell.check(fence(1)) {
            Check::Valid { remaining } => {
                valid += 1;
                assert!(remaining <= term);
                assert!(begun - anchored_by < Duration::from(term), "valid after its end");
            }
            Check::Suspect | Check::Expired => {}
            Check::NotHeld => panic!("it was held"),
        }
    }
    assert!(!matches!(cell.check(fence(1)), Check::Valid { .. }));
    Some(valid)
}

#[test]
fn the_slow_hand_is_never_ahead_and_the_fast_hand_never_behind() {
    let _alone = alone();
    for count in [KeeperCount::One, KeeperCount::Two] {
        let Some(clock) = clock(count) else { return };
        let mut counted = Span::ZERO;
        let mut measured = 0;
        let seen = until("a reading of each hand", &clock, || {
            let (slow, fast) = advances(&clock);
            counted = counted.saturating_add(slow);
            measured += u64::from(fast.is_some());
            (counted > Span::ZERO && measured >= 20).then_some(())
        });
        println!("{count:?}: slow hand {counted}, fast hand {measured} times, {seen:?}");
    }
}

/// By how much the hands advance while this thread waits for 300 us, compared with its own clock.
fn advances(clock: &KeeperClock) -> (Span, Option<Span>) {
    let begun = now();
    let first_slow = clock.slow_now().start_stamp();
    let anchor = clock.fast_now().send_anchor();
    let anchored = now();
    while anchored.elapsed() < Duration::from_micros(300) {
        std::hint::spin_loop();
    }
    let waited = anchored.elapsed();
    let fast = clock.fast_hand().elapsed_ceil(&anchor, &clock.fast_now().reading());
    if let Some(elapsed) = fast {
        assert!(Duration::from(elapsed) >= waited, "{elapsed} for {waited:?}");
    }
    let now_slow = clock.slow_now().reading();
    let passed = begun.elapsed();
    let slow = clock.slow_hand().elapsed_floor(&first_slow, &now_slow).unwrap_or(Span::ZERO);
    assert!(Duration::from(slow) <= passed, "{slow} in {passed:?}");
    (slow, fast)
}

#[test]
fn an_anchor_of_another_segment_is_void() {
    let _alone = alone();
    let Some(clock) = clock(KeeperCount::One) else { return };
    let cell = cell(&clock);
    let Some(anchor) = until("a segment", &clock, || clock.keepers().anchor()) else { return };
    let Segment(segment) = anchor.segment();
    let later = FastInstant::new(Segment(segment + 1_000_000), Readings::one(Ticks(1 << 50)));
    assert_eq!(cell.hold(fence(1), &later, LONG), Err(HoldRefusal::SegmentOver));
    let stray = clock.keepers().stray();
    assert_eq!(cell.hold(fence(1), &stray, LONG), Err(HoldRefusal::SegmentOver));
}

#[test]
fn a_stay_ends_with_an_interruption_and_knows_nothing_of_the_one_before() {
    let _alone = alone();
    let Some(clock) = clock(KeeperCount::One) else { return };
    let cell = cell(&clock);
    std::thread::scope(|scope| {
        let judge = || {
            let mut thread = match Thread::claim() {
                Ok(thread) => thread,
                Err(none) => return println!("skipped: {none}"),
            };
            let held = until("a valid lease in a stay", &clock, || {
                hold(&cell, LONG).then_some(())?;
                let timed = clock.time(thread.stay()).ok()?;
                matches!(cell.check_in(&timed, fence(1)), Check::Valid { .. }).then_some(())
            });
            if held.is_none() {
                return;
            }
            let stay = thread.stay();
            let Ok(timed) = clock.time(stay) else {
                return println!("interrupted: nothing to see");
            };
            // Blocks, and is woken by another thread: the kernel clears the mark, up to 6.18.
            let moment = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            // Interrupted early, it has blocked all the same.
            let _ = rustix::thread::nanosleep(&moment);
            if timed.is_unbroken() {
                return println!(
                    "skipped: this kernel leaves the mark alone in a call that blocks"
                );
            }
            assert_eq!(timed.fast_now(), None);
            assert_eq!(cell.check_in(&timed, fence(1)), Check::Suspect);
            let region = Region::new(512).expect("memory");
            let word = region.word(0).expect("within the region");
            let acted = cell.commit_in(&timed, fence(1), &word, |act| act.store(&word, 1));
            let acted = acted.map(|_| ());
            let missing = Refusal::Unsupported(Missing::Transactions);
            assert!(acted == Err(Refusal::Suspect) || acted == Err(missing), "{acted:?}");
            assert_eq!(word.load(), 0);
        };
        scope.spawn(judge).join().expect("no panic");
    });
}

#[test]
fn a_stopped_clock_says_nothing_and_a_new_one_knows_nothing_of_it() {
    let _alone = alone();
    let Some(first) = clock(KeeperCount::One) else { return };
    let old = cell(&first);
    if hold_validly(&old, LONG).is_none() {
        return;
    }
    first.keepers().stop();
    let stopped = || first.keepers().anchor().is_none().then_some(());
    assert!(until("a clock that stands", &first, stopped).is_some(), "it was told to stop");
    let links = first.keepers().links();
    let Some(second) = clock(KeeperCount::One) else { return };
    let new = cell(&second);
    if hold_validly(&new, LONG).is_none() {
        return;
    }
    // This thread's stretch is the second clock's now, and the first answers no handshake.
    assert_eq!(old.check(fence(1)), Check::Suspect);
    assert_eq!(first.keepers().links(), links);
    assert_eq!(first.fast_now().reading().readings(), &Readings::one(Ticks(0)));
}

#[test]
fn published_words_appear_only_under_a_valid_lease() {
    let _alone = alone();
    let Some(machine) = machine() else { return };
    let Some(clock) = open(&EnclaveSim::new(machine).without_transactions()) else { return };
    let cell = cell(&clock);
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    let published = until("a publish", &clock, || {
        hold(&cell, LONG).then_some(())?;
        match cell.publish(fence(1), &word, 7) {
            Ok(_) => Some(()),
            Err(Refusal::Suspect | Refusal::CannotCommit(_)) => None,
            Err(other) => panic!("{other}"),
        }
    });
    if published.is_none() {
        return;
    }
    assert_eq!(word.load(), 7);
    cell.revoke();
    assert_eq!(cell.publish(fence(1), &word, 8).map(|_| ()), Err(Refusal::Revoked));
    // Within the publish margin of its end.
    let cell = self::cell(&clock);
    let _expired = until("an expired lease", &clock, || {
        hold(&cell, Span::from_nanos(400_000)).then_some(())?;
        let published = cell.publish(fence(1), &word, 9);
        assert!(published.is_err(), "within the margin of the end");
        (published.map(|_| ()) == Err(Refusal::Expired)).then_some(())
    });
    assert_eq!(word.load(), 7);
}

#[test]
fn two_timekeepers_carry_a_segment_over_an_interruption_of_one() {
    let _alone = alone();
    let Some(clock) = clock(KeeperCount::Two) else { return };
    let bridged = until("a bridge", &clock, || {
        let exits = [clock.keepers().exits(0), clock.keepers().exits(1)];
        exits.iter().any(|exits| exits.bridged > 1).then_some(exits)
    });
    let Some([first, second]) = bridged else { return };
    println!("{first:?} {second:?}");
    assert!(first.segments + second.segments <= first.total() + second.total() + 2);
}
