//! The clock of every role: timekeepers that never leave, and what others read of them.

use super::end;
use crate::config::Config;
use crate::role::Way;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tlease_clock::CommitOrder;
use tlease_clock::enclave::{KeeperClock, KeeperCount, Keepers, Margin};
use tlease_clock::stay::Thread;
use tlease_core::time::{FastInstant, Now, Span};

/// Starts the timekeepers of the configuration, each on a thread that does nothing else.
pub(super) fn keepers(config: &Config) -> Arc<Keepers> {
    let threads = config.limits.timekeepers;
    let count = if threads == 1 { KeeperCount::One } else { KeeperCount::Two };
    let keepers = Arc::new(Keepers::new(&config.machine, count, REACH));
    for index in 0..threads {
        let keepers = Arc::clone(&keepers);
        let keep = move || match Thread::claim() {
            Ok(mut thread) => keepers.keep(index, &mut thread),
            Err(none) => end(none),
        };
        if let Err(error) = thread::Builder::new().spawn(keep) {
            end(format_args!("no thread for a timekeeper: {error}"));
        }
    }
    keepers
}

/// A clock with the guard; ends the enclave where there can be none.
///
/// Nothing inside says whether the processor has transactions, so one is tried. A processor that does not
/// know the instruction ends the enclave by an exception, which nobody inside could handle, so what that
/// means is said before.
pub(super) fn guarded(config: &Config, way: Way) -> Arc<KeeperClock> {
    println!("holder: tries transactions; if an illegal instruction ends it here, {WITHOUT}");
    let margin = Margin { commit: COMMIT_MARGIN, order: CommitOrder::Fenced };
    let clock = planted(KeeperClock::in_enclave(keepers(config), margin), way);
    if !clock.can_commit() {
        end(format_args!("holder: every transaction aborts here: {WITHOUT}"));
    }
    Arc::new(clock)
}

/// What an operator has to know then.
const WITHOUT: &str = "this processor has no transactions (TSX), without which a holder in an enclave \
                       cannot act; a granter needs none";

#[cfg(not(feature = "mutants"))]
fn planted(clock: KeeperClock, _: Way) -> KeeperClock {
    clock
}

#[cfg(feature = "mutants")]
fn planted(clock: KeeperClock, way: Way) -> KeeperClock {
    use tlease_clock::Mutant;
    match way {
        Way::MarkIgnored => clock.mutate(Mutant::MarkIgnored),
        Way::MarkTestedOutside => clock.mutate(Mutant::MarkTestedOutside),
        Way::Guarded | Way::Unguarded | Way::Calls | Way::CallOutlived => clock,
    }
}

/// Reads the fast hand, for a holder: before it sends, and after it received.
///
/// Where nothing can be shown of this moment it is one to which nothing belongs, so that every lease is
/// suspect. On a busy machine timekeeper and holder rarely run at once, hence the patience.
pub(super) fn fast_now(clock: &KeeperClock, thread: &mut Thread) -> Now<FastInstant> {
    for _ in 0..HANDSHAKES_MAX {
        let shown = clock.time(thread.stay()).ok().and_then(|timed| timed.fast_now());
        if let Some(now) = shown
            && now.not_before.segment() == now.not_after.segment()
        {
            return now;
        }
        // Lets the timekeeper have the core, if that is what it lacks.
        thread.leave(thread::yield_now);
    }
    let stray = clock.keepers().stray();
    Now { not_before: clock.keepers().anchor().unwrap_or(stray), not_after: stray }
}

/// Shows the slow hand and what interrupted it, about once a second: for whoever sets a machine up.
pub(super) fn show(config: &Config, times: u64) {
    let keepers = keepers(config);
    let begun = keepers.slow_now();
    for _ in 0..times {
        pause(Duration::from_secs(1));
        let now = keepers.slow_now();
        let hand = keepers.slow_hand();
        let moved = hand.elapsed_floor(&begun.not_after, &now.not_before);
        println!("slow hand {:?}, {:?}", moved, keepers.exits(0));
    }
}

/// Asks the host to be left alone for a while. It may come back at any time: what depends on time asks
/// a hand.
#[expect(clippy::disallowed_methods, reason = "nothing relies on its length")]
pub(super) fn pause(span: Duration) {
    thread::sleep(span);
}

/// How far a thread extends the fast hand beyond a handshake, all of which is charged at once with the
/// widest difference of two admitted counters.
const REACH: Span = Span::from_millis(4);
/// Sixty times the longest clock-reading-to-visibility ever seen (A6).
const COMMIT_MARGIN: Span = Span::from_nanos(50_000);
/// Some milliseconds of tries.
const HANDSHAKES_MAX: u32 = 64;
