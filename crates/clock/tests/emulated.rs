//! The guard's own assembly, stepped through: something happens before each of its instructions, on
//! transactions in software. For processors without transactions; on others real attacks do this.
#![cfg(all(feature = "emulated-transactions", target_arch = "x86_64"))]

mod common;

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, OnceLock};

use common::stepping::{MARGIN, Steps, alone, commit_with};
use common::{LONG, fence, held, outlive};
use tlease_clock::guard::{Missing, Refusal};
use tlease_clock::memory::Region;
use tlease_clock::{Check, LeaseCell, Profile};
use tlease_core::time::Span;
use tlease_rtm_emu::Action;

/// `None`, with the reason printed, where nothing is emulated.
fn emulated() -> Option<MutexGuard<'static, ()>> {
    let alone = alone()?;
    match held(&profile(), LONG).commit(fence(1), &(), |_| ()) {
        Ok(_) => Some(alone),
        Err(Refusal::Unsupported(missing)) => {
            let is_expected = match missing {
                Missing::Transactions => std::env::var_os("TLEASE_NO_RTM").is_some(),
                Missing::Vdso => !clock_is_read_in_user_mode(),
                Missing::RestartableSequences => false,
            };
            assert!(is_expected, "transactions are emulated, and yet: {missing}");
            println!("skipped: {missing}");
            None
        }
        Err(other) => panic!("an empty commit under a valid lease: {other}"),
    }
}

fn clock_is_read_in_user_mode() -> bool {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = std::fs::read_to_string(source).unwrap_or_default();
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page"].contains(&source.trim())
}

fn profile() -> Profile {
    Profile::host().commit_margin(MARGIN)
}

fn profiles() -> [Profile; 3] {
    let strict = profile().strict().commit_margin(MARGIN);
    [profile(), profile().assume_no_suspend(), strict]
}

/// Has one thing happen before each instruction in turn (or each `stride`th) of commits under leases of this
/// profile; `judge` gets what became of such a commit and of its store. Returns how many instructions
/// that were.
fn before_each_instruction(
    profile: &Profile,
    term: Span,
    stride: u64,
    happens: impl Fn(&'static LeaseCell) -> Action + Copy + Send + Sync + 'static,
    judge: impl Fn(&LeaseCell, u64, Result<(), Refusal>, bool),
) -> u64 {
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    let mut steps = Steps::each(stride);
    loop {
        let cell: &'static LeaseCell = Box::leak(Box::new(held(profile, term)));
        let round = |at| {
            let commit = || cell.commit(fence(1), &word, |act| act.store(&word, at)).map(|_| ());
            let (outcome, has_happened) = commit_with(at, Box::new(move |_| happens(cell)), commit);
            assert_eq!(word.load() == at, outcome.is_ok(), "{outcome:?} before {at}");
            (outcome, has_happened)
        };
        let end = steps.round(round, |at, outcome| judge(cell, at, outcome, word.load() == at));
        if let Some(end) = end {
            return end;
        }
    }
}

#[test]
fn a_valid_lease_commits_in_every_profile() {
    let Some(_alone) = emulated() else { return };
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    for profile in profiles() {
        let cell = held(&profile, LONG);
        let before = word.load();
        cell.commit(fence(1), &word, |act| act.store(&word, act.load(&word) + 1)).expect("valid");
        assert_eq!(word.load(), before + 1);
        cell.revoke();
        let refused = cell.commit(fence(1), &word, |act| act.store(&word, 0));
        assert_eq!(refused.map(|_| ()), Err(Refusal::Revoked));
        assert_eq!(word.load(), before + 1);
    }
}

#[test]
fn an_interrupt_before_any_instruction_costs_one_try() {
    let Some(_alone) = emulated() else { return };
    for profile in profiles() {
        let steps = before_each_instruction(
            &profile,
            LONG,
            1,
            |_| Action::Interrupt,
            |_, at, outcome, acted| assert_eq!((outcome, acted), (Ok(()), true), "before {at}"),
        );
        println!("{steps} instructions");
        assert!(steps > 30, "the tests at the end alone take more");
    }
}

#[test]
fn a_revocation_before_any_instruction_leaves_no_effect() {
    let Some(_alone) = emulated() else { return };
    for profile in profiles() {
        let revoke = |cell: &LeaseCell| {
            cell.revoke();
            Action::Continue
        };
        before_each_instruction(&profile, LONG, 1, revoke, |_, at, outcome, acted| {
            assert_eq!((outcome, acted), (Err(Refusal::Revoked), false), "before {at}");
        });
    }
}

#[test]
fn a_pause_beyond_the_deadline_before_any_instruction_leaves_no_effect() {
    let Some(_alone) = emulated() else { return };
    let paused = |cell: &LeaseCell| {
        outlive(cell);
        Action::Continue
    };
    // Long enough that a busy machine still commits in most of the rounds without a pause.
    let term = Span::from_millis(80);
    for profile in profiles() {
        before_each_instruction(&profile, term, 4, paused, |cell, at, outcome, acted| {
            assert_eq!((outcome, acted), (Err(Refusal::Expired), false), "before {at}");
            assert_eq!(cell.clock().late_commits().count, 0);
        });
    }
}

#[test]
fn a_disruption_before_any_instruction_leaves_no_effect() {
    static DEVICE: OnceLock<std::fs::File> = OnceLock::new();
    let Some(_alone) = emulated() else { return };
    let file = tempfile::NamedTempFile::new().expect("a scratch file");
    let mut page = [0_u8; 4096];
    // `VCLK`, 112 bytes, version 1, a generation counter.
    page[..4].copy_from_slice(b"VCLK");
    page[4..8].copy_from_slice(&112_u32.to_le_bytes());
    page[8] = 1;
    page[24..32].copy_from_slice(&(1_u64 << 8).to_le_bytes());
    std::fs::write(file.path(), page).expect("written");
    DEVICE.get_or_init(|| std::fs::File::options().write(true).open(file.path()).expect("open"));
    let profile = profile().vmclock_at(file.path()).require_continuity();
    let disrupt = |_: &LeaseCell| {
        static MARKER: AtomicU64 = AtomicU64::new(0);
        let marker = MARKER.fetch_add(1, Ordering::SeqCst) + 1;
        let device = DEVICE.get().expect("opened above");
        device.write_all_at(&marker.to_le_bytes(), 16).expect("written");
        Action::Continue
    };
    before_each_instruction(&profile, LONG, 1, disrupt, |cell, at, outcome, acted| {
        assert_eq!((outcome, acted), (Err(Refusal::Suspect), false), "before {at}");
        assert_eq!(cell.check(fence(1)), Check::Suspect);
    });
}
