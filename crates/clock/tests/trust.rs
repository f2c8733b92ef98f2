//! A clock of whichever profile: the cells that it times do what those of its profile do.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{LONG, fence};
use tlease_clock::enclave::{CpuModel, EnclaveSim, NotAdmitted, SimOpenFault};
use tlease_clock::guard::{Missing, Refusal};
use tlease_clock::machine::Survey;
use tlease_clock::memory::Region;
use tlease_clock::{Cell, Check, Clock, ClockFault, HoldRefusal, Profile, Trust};
use tlease_core::time::Span;

#[test]
fn a_cell_of_the_kernels_clock_is_held_checked_acted_under_and_closed() {
    let clock = Clock::open(&Trust::default()).unwrap();
    assert!(clock.to_string().starts_with("host"), "{clock}");
    let cell = clock.cell().unwrap();
    assert!(matches!(cell, Cell::Host(_)));
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
    cell.hold(fence(1), &clock.fast_now().send_anchor(), LONG).unwrap();
    assert!(matches!(cell.check(fence(1)), Check::Valid { .. }));
    assert!(cell.deadline(fence(1)).is_some());
    let region = Region::new(8).unwrap();
    let word = region.word(0).unwrap();
    let committed = cell.commit(fence(1), &word, |act| act.store(&word, 7)).map(|_| ());
    let missing = Err(Refusal::Unsupported(Missing::Transactions));
    assert!(committed == Ok(()) && word.load() == 7 || committed == missing && word.load() == 0);
    cell.suspend(fence(1));
    assert_eq!(cell.check(fence(1)), Check::Suspect);
    cell.hold(fence(1), &clock.fast_now().send_anchor(), LONG).unwrap();
    cell.curtail(fence(1), &clock.fast_now().send_anchor(), Span::ZERO).unwrap();
    assert_eq!(cell.check(fence(1)), Check::Expired);
    assert_eq!(cell.revoke(), Some(fence(1)));
    assert_eq!(
        cell.hold(fence(1), &clock.fast_now().send_anchor(), LONG),
        Err(HoldRefusal::Closed)
    );
    let refused = cell.publish(fence(1), &word, 9).map(|_| ());
    assert!(matches!(refused, Err(Refusal::Revoked | Refusal::Unsupported(_))), "{refused:?}");
    assert_ne!(word.load(), 9);
}

#[test]
fn a_cell_of_timekeepers_is_closed_before_anything_else_and_gives_no_deadline_away() {
    let machine = match Survey::take(Span::from_millis(5)) {
        Ok(survey) => survey.profile().unwrap(),
        Err(why) => return println!("skipped: {why}"),
    };
    let clock = match Clock::open(&EnclaveSim::new(machine).into()) {
        Ok(clock) => clock,
        Err(why) => return println!("skipped: {why}"),
    };
    assert!(clock.to_string().starts_with("enclave-sim"), "{clock}");
    let cell = clock.cell().unwrap();
    assert!(matches!(cell, Cell::Keepers(_)));
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
    // Whether or not a timekeeper serves at this moment.
    let held = cell.hold(fence(1), &clock.fast_now().send_anchor(), LONG);
    assert!(matches!(held, Ok(()) | Err(HoldRefusal::SegmentOver)), "{held:?}");
    assert!(!matches!(cell.check(fence(1)), Check::Expired));
    assert_eq!(cell.deadline(fence(1)), None, "its readings mean nothing to another process");
    assert_eq!(cell.revoke(), held.is_ok().then_some(fence(1)));
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
}

#[test]
fn a_clock_says_why_it_cannot_be_opened() {
    let cpu = CpuModel { vendor: "AuthenticAMD".into(), family: 25, model: 17, stepping: 9 };
    let text = "format = 1\nvendor = \"AuthenticAMD\"\nfamily = 25\nmodel = 17\nstepping = 9\n\
                core_hz_min = 1\ncore_hz_max = 2\ntsc_hz_min = 1\ntsc_hz_max = 2\nsmt = \"on\"";
    let machine = text.parse().unwrap();
    let fault = Clock::open(&EnclaveSim::new(machine).into()).unwrap_err();
    let ClockFault::EnclaveSim(SimOpenFault::NotAdmitted(why)) = &fault else {
        panic!("{fault:?}")
    };
    assert_eq!(*why, NotAdmitted::OtherMachine { profile: cpu, here: CpuModel::here() });
    let source = std::error::Error::source(&fault).unwrap().to_string();
    assert!(source.contains("AuthenticAMD family 25"), "{source}");
    let fault = Clock::open(&Profile::host().commit_margin(Span::ZERO).into()).unwrap_err();
    assert!(matches!(fault, ClockFault::Host(_)), "{fault:?}");
}
