//! The hands of this machine, segments that end, and deadlines that travel.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use common::{LONG, fence, held, open, outlive, transactions};
use tlease_clock::guard::Refusal;
use tlease_clock::{
    Check, Continuity, Deadline, HoldRefusal, HostClock, LeaseCell, OpenFault, Profile,
};
use tlease_core::time::{Remaining, Span, Ticks};

/// A file that looks like VMClock's page.
struct FakeVmClock {
    file: tempfile::NamedTempFile,
}

impl FakeVmClock {
    fn new() -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut page = [0_u8; 4096];
        page[..4].copy_from_slice(b"VCLK");
        page[4..8].copy_from_slice(&4096_u32.to_le_bytes());
        page[8..10].copy_from_slice(&1_u16.to_le_bytes());
        page[24..32].copy_from_slice(&(1_u64 << 8).to_le_bytes());
        file.write_all(&page).unwrap();
        let fake = Self { file };
        fake.set(16, 77);
        fake.set(104, 3);
        fake
    }

    fn set(&self, offset: u64, value: u64) {
        File::options()
            .write(true)
            .open(self.file.path())
            .unwrap()
            .write_all_at(&value.to_le_bytes(), offset)
            .unwrap();
    }

    fn profile(&self) -> Profile {
        Profile::host().vmclock_at(self.file.path()).require_continuity()
    }
}

#[test]
fn the_fast_hand_outruns_the_slow_hand() {
    let clock = open(&Profile::host());
    let (slow, fast) = (clock.slow_hand(), clock.fast_hand());
    let (fast_start, slow_start) = (clock.fast_now().send_anchor(), clock.slow_now().start_stamp());
    let mut last = Span::ZERO;
    for _ in 0..10_000 {
        let slow_elapsed = slow.elapsed_floor(&slow_start, &clock.slow_now().reading()).unwrap();
        let fast_elapsed = fast.elapsed_ceil(&fast_start, &clock.fast_now().reading());
        let fast_elapsed = fast_elapsed.expect("no suspend in this test");
        assert!(slow_elapsed >= last && slow_elapsed < fast_elapsed);
        last = slow_elapsed;
    }
}

#[test]
fn a_check_agrees_with_the_hand() {
    let clock = open(&Profile::host());
    let cell = LeaseCell::new(clock.clone()).unwrap();
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
    let anchor = clock.fast_now().send_anchor();
    let term = Span::from_secs(10);
    cell.hold(fence(1), &anchor, term).unwrap();
    let Check::Valid { remaining } = cell.check(fence(1)) else { panic!("just held") };
    let now = clock.fast_now().reading();
    let Remaining::AtLeast(by_hand) = clock.fast_hand().remaining(&anchor, term, &now) else {
        panic!("the same segment")
    };
    // Drift and hidden suspends are charged to the cell's deadline in advance.
    assert!(remaining.as_nanos() < term.as_nanos() - 3_000_000 + 1_000);
    assert!(by_hand > remaining.saturating_sub(Span::from_secs(1)));
}

#[test]
fn no_check_that_begins_after_the_deadline_says_valid() {
    let raw_now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicRaw);
        now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
    };
    for profile in [Profile::host(), Profile::host().assume_no_suspend()] {
        let cell = held(&profile, Span::from_millis(20));
        let Ticks(deadline) = cell.deadline(fence(1)).unwrap().raw();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let before = raw_now();
                        let seen = cell.check(fence(1));
                        let after = raw_now();
                        if before >= deadline {
                            assert_eq!(seen, Check::Expired);
                            break;
                        }
                        if let Check::Valid { remaining } = seen {
                            let least = deadline.saturating_sub(after);
                            let most = deadline - before;
                            assert!((least..=most).contains(&remaining.as_nanos()));
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn a_renewal_keeps_the_later_deadline() {
    let cell = held(&Profile::host(), LONG);
    let anchor = cell.clock().fast_now().send_anchor();
    cell.hold(fence(1), &anchor, Span::from_millis(1)).unwrap();
    let Check::Valid { remaining } = cell.check(fence(1)) else { panic!("an hour is left") };
    assert!(remaining > Span::from_secs(3000));
}

#[test]
fn fences_never_go_back_and_revoked_ones_stay_revoked() {
    let cell = held(&Profile::host(), LONG);
    let anchor = cell.clock().fast_now().send_anchor();
    cell.hold(fence(3), &anchor, LONG).unwrap();
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
    let newest = fence(3);
    assert_eq!(cell.hold(fence(2), &anchor, LONG), Err(HoldRefusal::Succeeded { newest }));
    assert_eq!(cell.revoke(), Some(fence(3)));
    assert_eq!(cell.revoke(), None);
    assert_eq!(cell.hold(fence(3), &anchor, LONG), Err(HoldRefusal::Closed));
    cell.hold(fence(4), &anchor, LONG).unwrap();
    assert!(matches!(cell.check(fence(4)), Check::Valid { .. }));
}

#[test]
fn terms_that_the_clock_cannot_show_are_refused() {
    let clock = open(&Profile::host());
    let cell = LeaseCell::new(clock.clone()).unwrap();
    let anchor = clock.fast_now().send_anchor();
    for term in [Span::ZERO, Span::from_nanos(1), Span::from_nanos(20_000)] {
        assert_eq!(cell.hold(fence(1), &anchor, term), Err(HoldRefusal::TermTooShort));
    }
    assert_eq!(cell.check(fence(1)), Check::NotHeld);
    cell.hold(fence(1), &anchor, Span::MAX).unwrap();
    assert!(matches!(cell.check(fence(1)), Check::Valid { .. }));
}

#[test]
fn a_disruption_makes_leases_suspect_until_they_are_renewed() {
    for (offset, what) in [(16, "disruption marker"), (104, "generation counter")] {
        let fake = FakeVmClock::new();
        let cell = held(&fake.profile(), LONG);
        let clock = cell.clock();
        assert!(matches!(clock.continuity(), Continuity::VmClock { generation: true }));
        assert_eq!(clock.name(), "host");
        assert!(matches!(cell.check(fence(1)), Check::Valid { .. }));
        let old_anchor = clock.fast_now().send_anchor();
        let deadline = cell.deadline(fence(1)).unwrap();

        fake.set(offset, 1_000);
        if transactions() {
            let refusal = cell.commit(fence(1), &(), |_| ()).unwrap_err();
            assert_eq!(refusal, Refusal::Suspect, "{what}");
        }
        assert_eq!(cell.check(fence(1)), Check::Suspect, "{what}");
        assert_eq!(clock.check(&deadline), Check::Suspect, "{what}");
        assert_eq!(cell.deadline(fence(1)), None);

        // Not even the old value brings the old segment back.
        fake.set(offset, if offset == 16 { 77 } else { 3 });
        assert_eq!(cell.check(fence(1)), Check::Suspect, "{what}");
        let voided = cell.hold(fence(1), &old_anchor, LONG);
        assert_eq!(voided, Err(HoldRefusal::SegmentOver), "an anchor in flight is void");
        assert_eq!(clock.deadline(&old_anchor, LONG), None);

        let anchor = clock.fast_now().send_anchor();
        cell.hold(fence(1), &anchor, LONG).unwrap();
        assert!(matches!(cell.check(fence(1)), Check::Valid { .. }), "one renewal is enough");
        if transactions() {
            cell.commit(fence(1), &(), |_| ()).unwrap();
        }
    }
}

#[test]
fn a_hypervisor_in_the_middle_of_an_update_shows_nothing() {
    let fake = FakeVmClock::new();
    let clock = open(&fake.profile());
    let before = clock.fast_now().send_anchor();
    fake.set(8, 1 | 1 << 32); // an odd sequence count
    let during = clock.fast_now().send_anchor();
    assert_ne!(before.segment(), during.segment());
    let cell = LeaseCell::new(clock.clone()).unwrap();
    assert_eq!(cell.hold(fence(1), &during, LONG), Err(HoldRefusal::SegmentOver));
    fake.set(8, 1 | 2 << 32);
    let after = clock.fast_now().send_anchor();
    cell.hold(fence(1), &after, LONG).unwrap();
    assert!(matches!(cell.check(fence(1)), Check::Valid { .. }));
}

#[test]
fn continuity_that_nothing_shows_is_said_or_refused() {
    let nowhere = Profile::host().vmclock_at("/nonexistent/vmclock");
    let clock = open(&nowhere);
    assert_eq!(clock.name(), "host-unattested");
    assert!(clock.to_string().contains("/nonexistent/vmclock (not there)"), "{clock}");
    let refused = HostClock::open(&nowhere.clone().require_continuity()).unwrap_err();
    assert!(matches!(refused, OpenFault::NoContinuity { .. }), "{refused}");
    let bare_metal = nowhere.assume_bare_metal().require_continuity();
    assert_eq!(open(&bare_metal).name(), "host");

    let garbage = tempfile::NamedTempFile::new().unwrap();
    let profile = Profile::host().vmclock_at(garbage.path());
    let empty = open(&profile);
    assert!(matches!(empty.continuity(), Continuity::Unattested(_)), "{empty}");
    std::fs::write(garbage.path(), [7; 4096]).unwrap();
    let garbled = open(&profile);
    assert!(garbled.to_string().contains("it is no VMClock"), "{garbled}");
}

#[test]
fn margins_that_cover_nothing_are_refused() {
    let none = Profile::host().commit_margin(Span::ZERO);
    assert!(matches!(HostClock::open(&none), Err(OpenFault::CommitMargin { .. })));
    assert!(HostClock::open(&none.strict()).is_ok(), "strict order needs none");
    let short = Profile::host().publish_margin(Span::from_nanos(499_999));
    assert!(matches!(HostClock::open(&short), Err(OpenFault::PublishMargin { .. })));
}

#[test]
fn another_clock_of_this_machine_reads_a_deadline() {
    // Long beside what a busy machine takes between two lines.
    let cell = held(&Profile::host(), Span::from_millis(500));
    let bytes = cell.deadline(fence(1)).unwrap().to_bytes();
    let watchdog = open(&Profile::host());
    let deadline = Deadline::from_bytes(&bytes).unwrap();
    assert!(matches!(watchdog.check(&deadline), Check::Valid { .. }));
    outlive(&cell);
    assert_eq!(watchdog.check(&deadline), Check::Expired);
    assert_eq!(cell.deadline(fence(2)), None);
}

#[test]
fn a_deadline_of_another_boot_is_suspect() {
    let cell = held(&Profile::host(), LONG);
    let mut bytes = cell.deadline(fence(1)).unwrap().to_bytes();
    bytes[8] ^= 1; // the boot id
    let foreign = Deadline::from_bytes(&bytes).unwrap();
    assert_eq!(cell.clock().check(&foreign), Check::Suspect);
}

#[test]
fn records_of_many_cells_do_not_mix() {
    let clock = open(&Profile::host());
    let anchor = clock.fast_now().send_anchor();
    let cells: Vec<_> = (1..=100)
        .map(|number| {
            let cell = LeaseCell::new(clock.clone()).unwrap();
            cell.hold(fence(number), &anchor, LONG).unwrap();
            cell
        })
        .collect();
    for (number, cell) in (1..).zip(&cells) {
        assert!(matches!(cell.check(fence(number)), Check::Valid { .. }));
        assert_eq!(cell.check(fence(number + 1)), Check::NotHeld);
    }
    drop(cells);
    let reused = LeaseCell::new(clock).unwrap();
    for number in 1..=100 {
        assert_eq!(reused.check(fence(number)), Check::NotHeld);
    }
}
