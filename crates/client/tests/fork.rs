//! A forked child holds nothing, and says so.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::time::Duration;

use common::{Home, PATIENCE, TERM};
use fork::{Fork, fork};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};
use tlease::blocking::Client;
use tlease::memory::Region;
use tlease::{AcquireError, AskError, Loss, NotValid, ReleaseError, RenewError, guard};

/// Waits for a child; one that hangs is killed, and fails the test.
fn wait_for(child: Pid) {
    let process = pidfd_open(child, PidfdFlags::empty()).unwrap();
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    let patience = Timespec::try_from(PATIENCE).unwrap();
    if poll(&mut ended, Some(&patience)).unwrap() == 0 {
        kill_process(child, Signal::KILL).unwrap();
        panic!("the child hangs");
    }
    waitpid(Some(child), WaitOptions::empty()).unwrap();
}

#[test]
fn a_forked_child_holds_nothing_and_takes_nothing_from_its_parent() {
    let home = Home::new();
    let client = Client::connect(home.embedded()).unwrap();
    let lease = client.acquire("jobs").term(TERM).wait().unwrap();
    // Shared memory, since the child can say nothing else: the test's harness is not its own.
    let region = Region::new(64).unwrap();
    let (said, effect) = (region.word(0).unwrap(), region.word(8).unwrap());
    match fork().unwrap() {
        Fork::Child => {
            let forked = Err(NotValid::Over(Loss::Forked));
            let seen = [
                lease.check() == forked,
                lease.ensure(Duration::ZERO) == Err(RenewError::Over(Loss::Forked)),
                lease.renew(None) == Err(RenewError::Over(Loss::Forked)),
                matches!(
                    lease.publish(&effect, 1),
                    Err(guard::Refusal::Revoked | guard::Refusal::Unsupported(_))
                ),
                lease.clone().release() == Err(ReleaseError::Forked),
                matches!(client.acquire("x").wait(), Err(AcquireError::Forked)),
                client.get("jobs") == Err(AskError::Forked),
                client.session().is_err(),
            ];
            drop((lease, client));
            let all = seen.iter().fold(1, |all, seen| all << 1 | u64::from(*seen));
            region.words()[0].store(all, std::sync::atomic::Ordering::SeqCst);
            std::process::abort();
        }
        Fork::Parent(child) => wait_for(Pid::from_raw(child).unwrap()),
    }
    assert_eq!(format!("{:b}", said.load()), "111111111", "a zero is an expectation that failed");
    assert_eq!(effect.load(), 0);
    assert!(lease.check().is_ok(), "the parent goes on");
    lease.renew(None).unwrap();
    assert_eq!(lease.release(), Ok(true));
    client.close();
}
