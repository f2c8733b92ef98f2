//! A forked child has no lease, whatever its memory looked like a moment before.

use std::sync::Arc;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use tlease_clock::guard::{Missing, Refusal};
use tlease_clock::memory::Region;
use tlease_clock::{Check, HoldRefusal, HostClock, LeaseCell, Profile};
use tlease_core::fence::Fence;
use tlease_core::time::Span;

#[test]
fn a_forked_child_holds_nothing_and_its_parent_still_does() {
    for profile in [Profile::host(), Profile::host().without_transactions()] {
        let clock = Arc::new(HostClock::open(&profile).expect("a clock"));
        let cell = LeaseCell::new(Arc::clone(&clock)).expect("a page");
        let region = Region::new(512).expect("memory");
        let anchor = clock.fast_now().send_anchor();
        cell.hold(Fence::FIRST, &anchor, Span::from_secs(3600)).expect("a long term");

        // WHY: there is no safe fork.
        // SAFETY: the child only uses this crate's words and system calls, then leaves by `_exit`;
        // it takes no lock that another thread of the test harness may have held.
        match unsafe { fork() }.expect("a process") {
            ForkResult::Child => {
                let code = child(&clock, &cell, &region);
                // WHY: `exit` would run what belongs to the parent.
                // SAFETY: no precondition.
                unsafe { nix::libc::_exit(code) };
            }
            ForkResult::Parent { child } => {
                let ended = waitpid(child, None).expect("our child");
                assert_eq!(ended, WaitStatus::Exited(child, 0), "the number of the failed check");
            }
        }
        assert!(matches!(cell.check(Fence::FIRST), Check::Valid { .. }));
        assert_eq!(region.words()[0].load(std::sync::atomic::Ordering::SeqCst), 0);
        assert_eq!(cell.revoke(), Some(Fence::FIRST));
    }
}

/// What the child finds; the number of the first check that fails.
fn child(clock: &HostClock, cell: &LeaseCell, region: &Region) -> i32 {
    let Some(word) = region.word(0) else { return 1 };
    if cell.check(Fence::FIRST) != Check::NotHeld {
        return 2;
    }
    match cell.commit(Fence::FIRST, &word, |act| act.store(&word, 1)).map(|_| ()) {
        Err(Refusal::Revoked | Refusal::Unsupported(Missing::Transactions)) => {}
        Ok(()) | Err(_) => return 3,
    }
    match cell.publish(Fence::FIRST, &word, 1) {
        Err(Refusal::Revoked | Refusal::Unsupported(_)) => {}
        Ok(_) | Err(_) => return 4,
    }
    let anchor = clock.fast_now().send_anchor();
    let second = Fence::FIRST.next().unwrap_or(Fence::LAST);
    if cell.hold(second, &anchor, Span::from_secs(1)) != Err(HoldRefusal::Forked) {
        return 5;
    }
    if cell.curtail(Fence::FIRST, &anchor, Span::from_secs(1)) != Err(HoldRefusal::Forked) {
        return 6;
    }
    if cell.check(Fence::FIRST) != Check::NotHeld || cell.revoke().is_some() {
        return 7;
    }
    0
}
