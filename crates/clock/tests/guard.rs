//! What commits do and refuse, in one process.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use common::{LONG, effect_after_revoke, fence, held, outlive, transactions};
use tlease_clock::guard::{Missing, Obstacle, Refusal, Store, Strength};
use tlease_clock::memory::{Region, RingFull, WhenFull};
use tlease_clock::{Check, HoldRefusal, LeaseCell, Profile};
use tlease_core::time::Span;

fn profiles() -> [Profile; 4] {
    let host = Profile::host();
    [
        host.clone(),
        host.clone().assume_no_suspend(),
        host.clone().strict(),
        host.strict().assume_no_suspend(),
    ]
}

#[test]
fn a_valid_lease_commits_in_every_profile() {
    if !transactions() {
        return;
    }
    let region = Region::new(512).unwrap();
    let (word, other) = (region.word(0).unwrap(), region.word(64).unwrap());
    for (number, profile) in (1..).zip(profiles()) {
        let cell = held(&profile, LONG);
        let committed = cell.commit(fence(1), &(word, other), |act| {
            act.store(&word, number);
            act.store(&other, act.load(&word) * 2);
            number * 10
        });
        let committed = committed.unwrap();
        assert_eq!((committed.value, committed.late), (number * 10, None));
        assert_eq!((word.load(), other.load()), (number, number * 2));
    }
}

#[test]
fn the_success_rate_is_what_the_budget_says() {
    if !transactions() {
        return;
    }
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let cell = held(&Profile::host(), LONG);
    let calls = 200_000_u32;
    let (mut committed, mut most_tries) = (0_u32, 0);
    for call in 0..calls {
        if let Ok(done) = cell.commit(fence(1), &word, |act| act.store(&word, call.into())) {
            committed += 1;
            most_tries = most_tries.max(done.tries);
        }
    }
    println!("{committed} of {calls} calls committed, at most {most_tries} tries each");
    assert!(committed >= calls / 1000 * 999, "{committed} of {calls}");
    assert_eq!(cell.clock().late_commits().count, 0);
}

#[test]
fn nothing_happens_once_the_lease_is_over_or_revoked() {
    if !transactions() {
        return;
    }
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    for profile in profiles() {
        let cell = held(&profile, Span::from_millis(20));
        let act = |cell: &LeaseCell, number| {
            cell.commit(fence(number), &word, |act| act.store(&word, 7)).map(|_| ()).unwrap_err()
        };
        assert_eq!(act(&cell, 2), Refusal::Revoked, "a fence that is not held");
        outlive(&cell);
        assert_eq!(cell.check(fence(1)), Check::Expired);
        assert_eq!(act(&cell, 1), Refusal::Expired);
        assert_eq!(cell.revoke(), Some(fence(1)));
        assert_eq!(act(&cell, 1), Refusal::Revoked, "before expired");
        assert_eq!(word.load(), 0);
    }
}

#[test]
fn commits_are_refused_within_the_margin_and_checks_are_not() {
    if !transactions() {
        return;
    }
    let profile = Profile::host().commit_margin(Span::from_secs(1800));
    let cell = held(&profile, Span::from_secs(1700));
    assert!(matches!(cell.check(fence(1)), Check::Valid { .. }));
    let refused = cell.commit(fence(1), &(), |_| ()).unwrap_err();
    assert_eq!(refused, Refusal::Expired);
}

#[test]
fn a_renewal_is_seen_by_the_next_commit() {
    if !transactions() {
        return;
    }
    let cell = held(&Profile::host(), Span::from_millis(5));
    outlive(&cell);
    let anchor = cell.clock().fast_now().send_anchor();
    cell.hold(fence(1), &anchor, LONG).unwrap();
    assert!(cell.commit(fence(1), &(), |_| ()).is_ok());
}

#[test]
fn a_body_that_panics_leaves_nothing_behind() {
    if !transactions() {
        return;
    }
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let cell = held(&Profile::host(), LONG);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        cell.commit(fence(1), &word, |act| {
            act.store(&word, 7);
            assert!(act.load(&word) == 8, "the body's own bug");
        })
    }));
    let refusal = outcome.expect("the panic does not come out").unwrap_err();
    assert!(matches!(refusal, Refusal::CannotCommit(_)), "{refusal}");
    assert_eq!(word.load(), 0);
}

#[test]
fn a_body_that_unwinds_without_a_word_leaves_nothing_behind() {
    if !transactions() {
        return;
    }
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let cell = held(&Profile::host(), LONG);
    // No hook runs, so nothing is printed, and no system call aborts the transaction before.
    let refusal = cell.commit(fence(1), &word, |act| {
        act.store(&word, 7);
        std::panic::resume_unwind(Box::new(act.load(&word)));
    });
    let refusal = refusal.map(|committed| committed.value).unwrap_err();
    println!("{refusal}");
    assert!(matches!(refusal, Refusal::CannotCommit(_)), "{refusal}");
    assert_eq!(word.load(), 0);
}

#[test]
fn a_margin_of_any_length_is_kept() {
    if !transactions() {
        return;
    }
    let cell = held(&Profile::host().commit_margin(Span::MAX), LONG);
    assert_eq!(cell.commit(fence(1), &(), |_| ()).unwrap_err(), Refusal::Expired);
}

#[test]
fn a_curtailed_lease_ends_early_however_often_it_is_renewed() {
    let cell = held(&Profile::host(), LONG);
    let clock = cell.clock();
    let anchor = clock.fast_now().send_anchor();
    cell.curtail(fence(1), &anchor, Span::from_millis(20)).unwrap();
    let Check::Valid { remaining } = cell.check(fence(1)) else { panic!("20 ms are left") };
    assert!(remaining < Span::from_millis(20));
    cell.curtail(fence(1), &anchor, LONG).unwrap();
    cell.hold(fence(1), &clock.fast_now().send_anchor(), LONG).unwrap();
    outlive(&cell);
    assert_eq!(cell.check(fence(1)), Check::Expired);
    if transactions() {
        assert_eq!(cell.commit(fence(1), &(), |_| ()).unwrap_err(), Refusal::Expired);
    }
    assert_eq!(cell.curtail(fence(2), &anchor, LONG), Err(HoldRefusal::Closed));
    cell.hold(fence(2), &clock.fast_now().send_anchor(), LONG).unwrap();
    assert!(matches!(cell.check(fence(2)), Check::Valid { .. }), "a new grant starts afresh");
}

#[test]
fn a_body_that_calls_the_kernel_is_refused_with_the_cause() {
    if !transactions() {
        return;
    }
    let cell = held(&Profile::host(), LONG);
    let refusal = cell.commit(fence(1), &(), |_| rustix::process::getppid()).unwrap_err();
    let Refusal::CannotCommit(Obstacle::Aborted(status)) = refusal else { panic!("{refusal}") };
    assert_eq!(status.bits() & 1, 0, "not an explicit abort");
}

#[test]
fn a_body_beyond_the_cpus_capacity_is_refused() {
    if !transactions() {
        return;
    }
    let region = Region::new(1 << 20).unwrap();
    region.words().iter().step_by(8).for_each(|word| word.store(1, Ordering::Relaxed));
    let cell = held(&Profile::host(), LONG);
    let mut runs = 0;
    let refusal = cell.commit(fence(1), &(), |_| {
        for word in region.words().iter().step_by(8) {
            word.store(2, Ordering::Relaxed);
        }
        runs += 1;
    });
    assert!(matches!(refusal, Err(Refusal::CannotCommit(Obstacle::Aborted(_)))), "{refusal:?}");
    assert_eq!(runs, 0, "the aborted runs never happened");
    assert!(region.words().iter().step_by(8).all(|word| word.load(Ordering::Relaxed) == 1));
}

#[test]
fn a_commit_inside_a_commit_is_refused() {
    if !transactions() {
        return;
    }
    let cell = held(&Profile::host(), LONG);
    let inner = cell.commit(fence(1), &(), |_| match cell.commit(fence(1), &(), |_| ()) {
        Err(Refusal::Nested) => true,
        Ok(_) | Err(_) => false,
    });
    assert!(inner.unwrap().value);
}

#[test]
fn a_list_of_stores_is_one_commit() {
    if !transactions() {
        return;
    }
    let region = Region::new(4096).unwrap();
    let cell = held(&Profile::host(), LONG);
    let stores: Vec<_> = (0..8_usize)
        .map(|n| Store { word: region.word(n * 512).unwrap(), value: 100 + n as u64 })
        .collect();
    cell.commit_ops(fence(1), &stores).unwrap();
    for store in &stores {
        assert_eq!(store.word.load(), store.value);
    }
    cell.revoke();
    assert_eq!(cell.commit_ops(fence(1), &stores).unwrap_err(), Refusal::Revoked);
}

#[test]
fn entries_of_a_ring_carry_the_fence_and_a_full_ring_refuses() {
    if !transactions() {
        return;
    }
    let region = Region::new(4096).unwrap();
    let ring = region.create_ring(0, 4, WhenFull::Refuse).unwrap();
    let cell = held(&Profile::host(), LONG);
    for n in 0..4 {
        let committed = cell.commit(fence(1), &ring, |act| act.append(&ring, [n; 6])).unwrap();
        assert_eq!(committed.value, Ok(n));
    }
    let full = cell.commit(fence(1), &ring, |act| act.append(&ring, [9; 6])).unwrap();
    assert_eq!(full.value, Err(RingFull));
    let entry = ring.take().unwrap();
    assert_eq!((entry.fence, entry.payload), (fence(1), [0; 6]));
}

#[test]
fn raw_memory_is_committed_with_its_touch_list() {
    if !transactions() {
        return;
    }
    let mine: Box<[AtomicU64]> = (0..2048).map(|_| AtomicU64::new(0)).collect();
    let cell = held(&Profile::host(), LONG);
    let touch: Vec<&AtomicU64> = mine.iter().step_by(512).collect();
    let committed = cell.commit_touching(fence(1), &touch, |_| {
        mine[0].store(1, Ordering::Relaxed);
        mine[2047].store(2, Ordering::Relaxed);
    });
    committed.unwrap();
    assert_eq!((mine[0].load(Ordering::SeqCst), mine[2047].load(Ordering::SeqCst)), (1, 2));
}

#[test]
fn publish_uses_a_transaction_where_there_is_one() {
    if !transactions() {
        return;
    }
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let cell = held(&Profile::host(), LONG);
    assert_eq!(cell.publish(fence(1), &word, 5).unwrap().strength, Strength::Transaction);
    assert_eq!(word.load(), 5);
}

#[test]
fn without_transactions_commits_are_unsupported_and_publish_is_weaker() {
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let cell = held(&Profile::host().without_transactions(), LONG);
    let refusal = cell.commit(fence(1), &word, |act| act.store(&word, 1)).unwrap_err();
    assert_eq!(refusal, Refusal::Unsupported(Missing::Transactions));
    match cell.publish(fence(1), &word, 5) {
        Ok(published) => {
            assert_eq!(published.strength, Strength::Restartable);
            assert_eq!(word.load(), 5);
        }
        Err(Refusal::Unsupported(missing)) => println!("skipped: {missing}"),
        Err(refusal) => panic!("{refusal}"),
    }
    cell.revoke();
    assert!(cell.publish(fence(1), &word, 6).is_err());
    assert_ne!(word.load(), 6);
}

#[test]
fn a_restartable_publish_is_refused_within_its_margin() {
    let cell = held(&Profile::host().without_transactions(), Span::from_millis(50));
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let mut stored = 0;
    loop {
        let remaining = match cell.check(fence(1)) {
            Check::Valid { remaining } => remaining,
            Check::Expired => break,
            other @ (Check::Suspect | Check::NotHeld) => panic!("{other}"),
        };
        match cell.publish(fence(1), &word, 1) {
            Ok(_) => {
                assert!(remaining > Span::from_nanos(500_000), "stored with {remaining} left");
                stored += 1;
            }
            Err(Refusal::Expired | Refusal::CannotCommit(Obstacle::Preempted)) => {}
            Err(Refusal::Unsupported(missing)) => {
                println!("skipped: {missing}");
                return;
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
    assert!(stored > 0);
}

#[test]
fn no_commit_becomes_visible_after_revoke_has_returned() {
    if transactions() {
        assert_eq!(effect_after_revoke(&Profile::host(), 1_000), None);
    }
}

#[test]
fn no_restartable_publish_becomes_visible_after_revoke_has_returned() {
    assert_eq!(effect_after_revoke(&Profile::host().without_transactions(), 1_000), None);
}
