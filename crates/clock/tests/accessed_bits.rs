//! Pages that the kernel has aged: a transaction cannot set an Accessed or Dirty bit, so without a
//! touch from outside it would abort for ever.
//!
//! A file of its own: it ages every page of the process, other tests' included. One test at a time, for
//! the same reason.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{LONG, clear_accessed_bits, fence, held, transactions};
use tlease_clock::Profile;
use tlease_clock::memory::{Region, WhenFull};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn commits_survive_cleared_accessed_bits() {
    let _alone = alone();
    if !transactions() {
        return;
    }
    if !clear_accessed_bits() {
        println!("skipped: this kernel has no /proc/self/clear_refs");
        return;
    }
    let region = Region::new(1 << 16).unwrap();
    let ring = region.create_ring(0, 4096, WhenFull::Overwrite).unwrap();
    let word = region.word((1 << 16) - 8).unwrap();
    let cell = held(&Profile::host(), LONG);
    let (mut committed, mut touched) = (0, 0);
    for round in 0..200 {
        clear_accessed_bits();
        let done = cell.commit(fence(1), &(ring, word), |act| {
            act.store(&word, round);
            act.append(&ring, [round; 6])
        });
        if let Ok(done) = done {
            committed += 1;
            touched += u32::from(done.tries > 1);
        }
    }
    println!("{committed} of 200 committed, {touched} of them after touching");
    assert!(touched > 100, "the attack works: most first tries abort ({touched} of 200)");
    assert!(committed >= 199, "{committed} of 200");
}

#[test]
fn a_body_with_an_unregistered_page_is_refused_and_not_livelocked() {
    let _alone = alone();
    if !transactions() || !clear_accessed_bits() {
        println!("skipped: no transactions, or no /proc/self/clear_refs");
        return;
    }
    let region = Region::new(1 << 16).unwrap();
    let word = region.word(1 << 15).unwrap();
    let cell = held(&Profile::host(), LONG);
    // The control: a page that is never touched from outside, since it is not on the list.
    let refused = cell.commit(fence(1), &(), |act| act.store(&word, 1));
    assert!(refused.is_err(), "a page that nobody ever wrote cannot be written in a transaction");
    assert_eq!(word.load(), 0);
    cell.commit(fence(1), &word, |act| act.store(&word, 1)).expect("registered, it commits");
}

#[test]
fn a_body_whose_code_and_constants_lie_elsewhere_commits() {
    let _alone = alone();
    if !transactions() || !clear_accessed_bits() {
        println!("skipped: no transactions, or no /proc/self/clear_refs");
        return;
    }
    let region = Region::new(512).unwrap();
    let word = region.word(0).unwrap();
    let cell = held(&Profile::host(), LONG);
    let (mut done, mut most_tries) = (0, 0);
    for _ in 0..20 {
        clear_accessed_bits();
        let committed = cell.commit(fence(1), &word, |act| {
            // Tables and code of the standard library that nothing else in this program uses.
            let number: f64 = std::hint::black_box("12345.678e-20").parse().unwrap_or(0.0);
            act.store(&word, number.to_bits());
        });
        if let Ok(committed) = committed {
            done += 1;
            most_tries = most_tries.max(committed.tries);
        }
    }
    assert!(done >= 18, "{done} of 20: an interrupt may take the last try now and then");
    assert_eq!(f64::from_bits(word.load()), 12345.678e-20);
    assert_eq!(most_tries, 3, "the last try comes after every page of the program was read");
}
