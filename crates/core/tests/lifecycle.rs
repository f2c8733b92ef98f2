//! A granter and its holders over a network that loses nothing: what each step looks like to users.

mod support;

use support::{Cell, acquire, exclusive, shared};
use tlease_core::holder::{Change, Ending, View};
use tlease_core::message::{Force, Wait};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;

#[test]
fn a_free_name_is_granted_and_renews_itself() {
    let mut cell = Cell::new();
    let ada = cell.holder();
    let lease = cell.acquire(ada, exclusive("jobs"));
    assert_eq!(cell.last_change(ada, lease), Some(Change::Acquired));
    cell.pass(Span::from_secs(60));
    assert!(matches!(cell.view(ada, lease), View::Valid { .. }), "{:?}", cell.view(ada, lease));
}

#[test]
fn the_next_in_the_queue_is_offered_the_name_and_confirms() {
    let mut cell = Cell::new();
    let (ada, bob) = (cell.holder(), cell.holder());
    let first = cell.acquire(ada, exclusive("jobs"));
    let second = cell.acquire(bob, exclusive("jobs"));
    assert_eq!(cell.view(bob, second), View::Pending);
    cell.release(ada, first);
    assert_eq!(cell.view(ada, first), View::Ended(Ending::Released));
    assert!(matches!(cell.view(bob, second), View::Valid { .. }));
    assert!(cell.fence(bob, second) > cell.fence(ada, first));
}

#[test]
fn a_silent_holder_is_succeeded_only_after_its_own_deadline() {
    let mut cell = Cell::new();
    let (ada, bob) = (cell.holder(), cell.holder());
    let first = cell.acquire(ada, exclusive("jobs"));
    cell.cut(ada);
    let second = cell.acquire(bob, exclusive("jobs"));
    while !matches!(cell.view(bob, second), View::Valid { .. }) {
        cell.pass(Span::from_millis(1));
    }
    assert_eq!(cell.view(ada, first), View::Ended(Ending::Expired));
}

#[test]
fn a_try_on_a_held_name_is_refused() {
    let mut cell = Cell::new();
    let (ada, bob) = (cell.holder(), cell.holder());
    cell.acquire(ada, exclusive("jobs"));
    let second = cell.acquire(bob, acquire("jobs", Wait::Try));
    let refused = Ending::Refused(Refusal::Held { waiters: 0 });
    assert_eq!(cell.view(bob, second), View::Ended(refused));
}

#[test]
fn readers_share_and_a_waiting_writer_keeps_new_readers_behind_it() {
    let mut cell = Cell::new();
    let (ada, bob, eve, dan) = (cell.holder(), cell.holder(), cell.holder(), cell.holder());
    let a = cell.acquire(ada, shared("page"));
    let b = cell.acquire(bob, shared("page"));
    let writer = cell.acquire(eve, exclusive("page"));
    let late = cell.acquire(dan, shared("page"));
    assert_eq!((cell.view(eve, writer), cell.view(dan, late)), (View::Pending, View::Pending));
    cell.release(ada, a);
    cell.release(bob, b);
    assert!(matches!(cell.view(eve, writer), View::Valid { .. }));
    assert_eq!(cell.view(dan, late), View::Pending);
    cell.release(eve, writer);
    assert!(matches!(cell.view(dan, late), View::Valid { .. }));
}

#[test]
fn a_waiter_gives_up_when_its_time_is_over_and_not_before() {
    let mut cell = Cell::new();
    let (ada, bob) = (cell.holder(), cell.holder());
    cell.acquire(ada, exclusive("jobs"));
    let second = cell.acquire(bob, acquire("jobs", Wait::AtMost(Span::from_secs(2))));
    cell.pass(Span::from_millis(1_990));
    assert_eq!(cell.view(bob, second), View::Pending);
    cell.pass(Span::from_millis(20));
    assert_eq!(cell.view(bob, second), View::Ended(Ending::Refused(Refusal::WaitedOut)));
}

#[test]
fn a_recalled_lease_ends_with_its_grace_and_the_waiter_gets_the_name() {
    let mut cell = Cell::new();
    let (ada, bob) = (cell.holder(), cell.holder());
    let first = cell.acquire(ada, exclusive("jobs"));
    let second = cell.acquire(bob, exclusive("jobs"));
    cell.recall("jobs", Span::from_secs(2), Force::Grace);
    assert!(matches!(cell.view(ada, first), View::Recalled { .. }));
    cell.pass(Span::from_millis(1_900));
    assert!(matches!(cell.view(ada, first), View::Recalled { .. }));
    cell.pass(Span::from_millis(200));
    assert_eq!(cell.view(ada, first), View::Ended(Ending::Recalled));
    assert!(matches!(cell.view(bob, second), View::Valid { .. }));
}

#[test]
fn a_holder_reclaims_after_a_restart_and_others_wait() {
    let mut cell = Cell::new();
    let (ada, bob) = (cell.holder(), cell.holder());
    let first = cell.acquire(ada, exclusive("jobs"));
    let fence = cell.fence(ada, first);
    cell.restart();
    assert!(matches!(cell.view(ada, first), View::Valid { .. }));
    let other = cell.acquire(bob, exclusive("else"));
    assert_eq!(cell.view(bob, other), View::Pending, "no new grants during the wait");
    cell.pass(Span::from_secs(30));
    assert!(matches!(cell.view(ada, first), View::Valid { .. }), "it went on");
    assert_eq!(cell.fence(ada, first), fence, "a reclaim keeps the fence");
    assert!(matches!(cell.view(bob, other), View::Valid { .. }));
    assert!(cell.fence(bob, other) > fence);
}

#[test]
fn a_late_renewal_does_not_revive_a_lease_that_is_over() {
    let mut cell = Cell::new();
    let ada = cell.holder();
    let lease = cell.acquire(ada, exclusive("jobs"));
    cell.pass(Span::from_secs(2));
    cell.hold_back_replies(ada);
    cell.renew(ada, lease);
    // Renewed by itself at a third of its term, it is over by now; what the late reply promises is not.
    // Nobody has looked at it: what somebody saw to be over stays so anyhow.
    cell.pass_asleep(Span::from_millis(4_800));
    cell.deliver_replies(ada);
    assert_eq!(cell.view(ada, lease), View::Ended(Ending::Expired));
    assert_eq!(cell.last_change(ada, lease), Some(Change::Ended(Ending::Expired)));
}

#[cfg(feature = "mutants")]
#[test]
fn a_bug_is_noticed_when_it_is_planted() {
    use tlease_core::Mutant;

    support::planted::dies(
        Mutant::ReplyRevives,
        a_late_renewal_does_not_revive_a_lease_that_is_over,
    );
}
