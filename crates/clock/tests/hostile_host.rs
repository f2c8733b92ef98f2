//! A hostile host around profile `enclave-sim` on this machine: it lies about the counter, starves the
//! timekeeper, moves threads about and storms them with signals. A judge with the kernel's own clock
//! looks on: no hand may ever be on its wrong side, and nothing be valid or published after its end.
//! Whether anything is valid at all under attack is luck, and only counted.
#![cfg(target_arch = "x86_64")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::enclave_sim::{alone, hold, machine, open};
use common::fence;
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};
use tlease_attack::stress::{Migration, signal_storm_on};
use tlease_clock::enclave::{EnclaveSim, KeeperClock, KeeperCount, Links};
use tlease_clock::memory::{Region, Word};
use tlease_clock::{Check, LeaseCell};
use tlease_core::time::Span;
use tlease_rtm_emu::liar;

/// The judge's clock: asked of the kernel by a system call, which nobody lies about.
fn now() -> Duration {
    Duration::from_nanos(liar::true_nanos())
}

/// What the judge has seen, beside nothing that must not be.
#[derive(Debug, Default)]
struct Seen {
    rounds: u64,
    held: u64,
    slow: Span,
    fast: u64,
    valid: u64,
    published: u64,
}

const TERM: Span = Span::from_millis(2);
const WATCHED: Duration = Duration::from_millis(3);
const ROUNDS: u64 = 100;
/// Of one attack, on a machine that is too busy for all rounds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Watches hands and leases while they are attacked; `disturb` does something before each round.
fn watch(clock: &Arc<KeeperClock>, mut disturb: impl FnMut(u64)) -> Seen {
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    let mut seen = Seen::default();
    let begun = now();
    while seen.rounds < ROUNDS && now() - begun < PATIENCE {
        disturb(seen.rounds);
        watch_one(clock, &word, &mut seen);
        seen.rounds += 1;
    }
    println!("{seen:?} {:?}", clock.keepers().exits(0));
    seen
}

/// Watches one lease until after its end.
fn watch_one(clock: &Arc<KeeperClock>, word: &Word<'_>, seen: &mut Seen) {
    let begun = now();
    let stamp = clock.slow_now().start_stamp();
    let cell = LeaseCell::new(Arc::clone(clock)).expect("a page");
    seen.held += u64::from(hold(&cell, TERM));
    let anchor = clock.keepers().anchor();
    // Whatever anchors those were, they were published before.
    let anchored = now();
    while now() - anchored < WATCHED {
        let asked = now() - anchored;
        if matches!(cell.check(fence(1)), Check::Valid { .. }) {
            assert!(asked < Duration::from(TERM), "valid {asked:?} after its anchor");
            seen.valid += 1;
        }
        let (asked, value) = (now() - anchored, word.load() + 1);
        let published = cell.publish(fence(1), word, value);
        assert_eq!(word.load() == value, published.is_ok(), "a refusal leaves no effect");
        if published.is_ok() {
            assert!(asked < Duration::from(TERM), "published {asked:?} after its anchor");
            seen.published += 1;
        }
        let waited = now() - anchored;
        let reading = clock.fast_now().reading();
        let elapsed = anchor.and_then(|anchor| clock.fast_hand().elapsed_ceil(&anchor, &reading));
        if let Some(elapsed) = elapsed {
            assert!(Duration::from(elapsed) >= waited, "the fast hand: {elapsed} in {waited:?}");
            seen.fast += 1;
        }
    }
    let reading = clock.slow_now().reading();
    let passed = now() - begun;
    let slow = clock.slow_hand().elapsed_floor(&stamp, &reading).unwrap_or(Span::ZERO);
    assert!(Duration::from(slow) <= passed, "the slow hand: {slow} in {passed:?}");
    seen.slow = seen.slow.saturating_add(slow);
}

fn profile() -> Option<EnclaveSim> {
    Some(EnclaveSim::new(machine()?).without_transactions())
}

/// The kernel's number of the first timekeeper's thread.
fn keeper_thread() -> Option<i32> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    threads.filter_map(Result::ok).find_map(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        (name.trim() == "tlease-keeper-0").then_some(())?;
        thread.file_name().to_str()?.parse().ok()
    })
}

/// Says why an attack showed less than it might.
fn say_if_vain(seen: &Seen) {
    if seen.valid == 0 {
        println!("skipped: no lease was ever valid under this attack, so none could be too long");
    }
}

/// Runs `attack` on a thread of its own, again and again, while `watched` runs.
fn beside<R>(mut attack: impl FnMut() + Send, watched: impl FnOnce() -> R) -> R {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                attack();
            }
        });
        // Also when the judge panics.
        let _stop = Stop(&stop);
        watched()
    })
}

#[test]
fn a_starved_timekeeper_frees_and_keeps_nothing_wrongly() {
    let _alone = alone();
    let Some(profile) = profile() else { return };
    let allowed = sched_getaffinity(None).expect("our own processors");
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).expect("at least one");
    let mut one = CpuSet::new();
    one.set(first);
    // Threads begin where those are that start them.
    sched_setaffinity(None, &one).expect("one of ours");
    let clock = open(&profile);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        sched_setaffinity(None, &allowed).expect("as before");
        let seen = clock.map(|clock| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&clock, |_| ())))
        });
        stop.store(true, Ordering::Relaxed);
        match seen {
            Some(Ok(seen)) => say_if_vain(&seen),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => {}
        }
    });
}

#[test]
fn threads_that_are_moved_about_free_and_keep_nothing_wrongly() {
    let _alone = alone();
    for count in [KeeperCount::One, KeeperCount::Two] {
        let Some(clock) = profile().and_then(|profile| open(&profile.keepers(count))) else {
            return;
        };
        let keeper = keeper_thread().expect("a timekeeper has a name");
        let (Some(mut keeper), Some(mut holder)) =
            (Migration::of_thread(keeper), Migration::of_thread(gettid().as_raw_nonzero().get()))
        else {
            return println!("skipped: one processor, and nowhere to move to");
        };
        let allowed = sched_getaffinity(None).expect("our own processors");
        let move_about = || {
            keeper.step();
            holder.step();
            std::thread::yield_now();
        };
        let seen = beside(move_about, || watch(&clock, |_| ()));
        sched_setaffinity(None, &allowed).expect("as before");
        say_if_vain(&seen);
    }
}

#[test]
fn storms_of_signals_free_and_keep_nothing_wrongly() {
    let _alone = alone();
    let Some(clock) = profile().and_then(|profile| open(&profile)) else { return };
    let keeper = keeper_thread().expect("a timekeeper has a name");
    let storms =
        [signal_storm_on(keeper, 2_000), signal_storm_on(gettid().as_raw_nonzero().get(), 3_000)];
    if let Some(Err(why)) = storms.iter().find(|storm| storm.is_err()) {
        return println!("skipped: no timers: {why}");
    }
    let seen = watch(&clock, |_| ());
    drop(storms);
    say_if_vain(&seen);
}

/// Another lie before each round.
fn lie(round: u64) {
    match round % 6 {
        0 => liar::step(-3_000_000_000),
        1 => liar::set_rate(65_536 / 4),
        2 => liar::step(3_000_000_000),
        3 => liar::set_rate(65_536 * 4),
        4 => liar::set_rate(0),
        _ => liar::tell_the_truth(),
    }
}

/// Each trapped reading is a signal, and a signal wipes the mark: no lie is ever believed.
#[test]
fn a_timekeeper_that_is_lied_to_serves_nobody_and_its_slow_hand_is_never_ahead() {
    let _alone = alone();
    let Some(profile) = profile() else { return };
    if let Err(why) = liar::install() {
        return println!("skipped: {why}");
    }
    liar::lie_to_this_thread(true);
    let clock = open(&profile);
    liar::lie_to_this_thread(false);
    let Some(clock) = clock else { return };
    let answered = liar::answers();
    let seen = watch(&clock, |round| {
        lie(round);
        assert_eq!(clock.keepers().anchor(), None, "served in spite of a trapped counter");
    });
    liar::tell_the_truth();
    assert_eq!((seen.valid, seen.published, seen.fast), (0, 0, 0));
    if clock.keepers().links() == Links(0) || liar::answers() == answered {
        println!("skipped: the timekeeper never ran while it was lied to");
    }
}

#[test]
fn a_holder_that_is_lied_to_believes_no_lease() {
    let _alone = alone();
    let Some(profile) = profile() else { return };
    // The timekeeper is not what is attacked: a busy machine shows this as well.
    #[cfg(feature = "emulated-transactions")]
    let profile = profile.assume_steady();
    let Some(clock) = open(&profile) else { return };
    if let Err(why) = liar::install() {
        return println!("skipped: {why}");
    }
    // With the truth there are valid leases, or this machine shows nothing.
    say_if_vain(&watch(&clock, |_| ()));
    let answered = liar::answers();
    liar::lie_to_this_thread(true);
    // Nothing in here may panic before the truth is told: a judge that is lied to can still do that.
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&clock, lie)));
    liar::lie_to_this_thread(false);
    liar::tell_the_truth();
    let seen = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert_eq!((seen.valid, seen.published, seen.fast), (0, 0, 0));
    assert!(liar::answers() > answered, "nobody was lied to");
}

/// With marks that no signal wipes only the gap and the rate check are left, which see lies that are
/// coarse enough. (On real marks lies do not come that far: see above.)
#[cfg(feature = "emulated-transactions")]
mod unmarked {
    use tlease_clock::EmulatedMark;
    use tlease_clock::enclave::{
        CpuModel, EXTEND_MAX, Exits, Hertz, HzRange, Keepers, MachineProfile, Smt,
    };
    use tlease_clock::stay::Thread;
    use tlease_core::time::Segment;

    use super::*;

    /// Waits until `keepers` serves; its segment.
    fn serves(keepers: &Keepers) -> Option<Segment> {
        let begun = now();
        while now() - begun < PATIENCE {
            if let Some(anchor) = keepers.anchor() {
                return Some(anchor.segment());
            }
            std::thread::yield_now();
        }
        println!("skipped: served nobody: {:?}", keepers.exits(0));
        None
    }

    /// Lies, and waits until `counts` has grown; then tells the truth. Whoever is served after that is served in
    /// another segment.
    fn is_found(keepers: &Keepers, lie: impl Fn(), counts: impl Fn(Exits) -> u64) -> Option<()> {
        let Segment(before) = serves(keepers)?;
        let counted = counts(keepers.exits(0));
        let begun = now();
        while counts(keepers.exits(0)) == counted {
            if now() - begun > PATIENCE {
                println!("skipped: not found in time: {:?}", keepers.exits(0));
                return None;
            }
            lie();
            std::thread::yield_now();
        }
        liar::tell_the_truth();
        let Segment(after) = serves(keepers)?;
        assert!(after > before, "the segment went on");
        Some(())
    }

    fn find_lies(keepers: &Keepers) -> Option<()> {
        is_found(keepers, || liar::set_rate(65_536 / 1_024), |exits| exits.alarms)?;
        is_found(keepers, || liar::step(-1_000_000), |exits| exits.went_back)?;
        is_found(keepers, || liar::step(1_000_000), |exits| exits.gaps)?;
        println!("{:?}", keepers.exits(0));
        Some(())
    }

    #[test]
    fn coarse_lies_are_found_without_a_mark_and_end_the_segment() {
        let _alone = alone();
        let Some(machine) = machine() else { return };
        if let Err(why) = liar::install() {
            return println!("skipped: {why}");
        }
        let hertz = |number| Hertz::new(number).expect("not zero");
        // So slow that a trapped reading is no gap.
        let core = HzRange::assume(hertz(20_000_000), hertz(8_000_000_000)).expect("a range");
        let slow = MachineProfile::assume(CpuModel::here(), core, machine.tsc_hz(), Smt::On);
        let slow = slow.expect("the model is known");
        let keepers = Keepers::new(&slow, KeeperCount::One, EXTEND_MAX);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _mark = EmulatedMark::assume_here();
                let Ok(mut thread) = Thread::claim() else {
                    return println!("skipped: no marks");
                };
                liar::lie_to_this_thread(true);
                keepers.keep(0, &mut thread);
            });
            let found = std::panic::catch_unwind(|| find_lies(&keepers));
            keepers.stop();
            liar::tell_the_truth();
            if let Err(panic) = found {
                std::panic::resume_unwind(panic);
            }
        });
    }
}
