//! The guard of the profiles `enclave*`, stepped through: something happens before each instruction of a
//! commit in a stay, on transactions in software. The mark is a test's ([`EmulatedMark`]), since the
//! emulator's own signals wipe the kernel's, and the timekeeper is a steady one: nothing moves this machine's
//! counter, however busy it is, but what the tests do to it.
#![cfg(all(feature = "emulated-transactions", target_arch = "x86_64"))]

mod common;

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use common::enclave_sim::{hold, machine, open};
use common::stepping::{Fences, MARGIN, Steps, alone, commit_with, fences, forget_fences};
use common::{LONG, fence};
use tlease_clock::enclave::{EnclaveSim, KeeperClock, Timed};
use tlease_clock::guard::Refusal;
use tlease_clock::memory::{Region, Word};
use tlease_clock::stay::Thread;
use tlease_clock::{Check, EmulatedMark, LeaseCell};
use tlease_core::time::Span;
use tlease_rtm_emu::{Action, Step, freeze_counter};

/// `None`, with the reason printed, where nothing is emulated or no timekeeper runs.
fn emulated() -> Option<(MutexGuard<'static, ()>, EnclaveSim)> {
    let alone = alone()?;
    if std::env::var_os("TLEASE_NO_RTM").is_some() {
        println!("skipped: TLEASE_NO_RTM");
        return None;
    }
    Some((alone, EnclaveSim::new(machine()?).commit_margin(MARGIN).reach(REACH).assume_steady()))
}

/// Far beyond what the emulation needs for a commit, also on a busy machine.
const REACH: Span = Span::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "the judge's clock is another than the profile's")]
fn now() -> Instant {
    Instant::now()
}

/// A lease in a stay, and what a round does to it.
#[derive(Clone, Copy)]
struct Scene {
    cell: &'static LeaseCell<KeeperClock>,
    mark: EmulatedMark,
    /// From then on nothing of this lease may become visible.
    over: Instant,
}

impl Scene {
    /// A host that interrupts the thread, holds its counter back, and returns when the lease is over.
    fn exit_until_over(&self) {
        freeze_counter();
        self.mark.exit();
        self.outlive();
    }

    fn outlive(&self) {
        while now() <= self.over {
            std::thread::yield_now();
        }
    }
}

/// One thread of a holder, with leases of one clock.
struct Holder {
    clock: Arc<KeeperClock>,
    mark: EmulatedMark,
    thread: Thread,
    region: Region,
}

impl Holder {
    fn new(profile: &EnclaveSim) -> Option<Self> {
        let clock = open(profile)?;
        let mark = EmulatedMark::assume_here();
        let thread = Thread::claim().expect("this thread's marks");
        Some(Self { clock, mark, thread, region: Region::new(512).expect("memory") })
    }

    /// Has something happen before each instruction in turn (or each `stride`th) of commits in stays, under
    /// a lease of its own each; `judge` gets what became of such a commit.
    ///
    /// As handshakes are slow on a busy machine, so many `leases` are held in one stay, and the mark is
    /// put back after each: what happened here did not move the counter.
    fn before_each_instruction(
        &mut self,
        Terms { term, leases }: Terms,
        stride: u64,
        happens: impl Fn(&Scene, Step) -> Action + Copy + Send + Sync + 'static,
        judge: impl Fn(&Scene, u64, Result<(), Refusal>),
    ) {
        let Self { clock, mark, thread, region } = self;
        let word = region.word(0).expect("within the region");
        let (begun, mut steps) = (now(), Steps::each(stride));
        loop {
            let cells: &'static [_] = (0..leases).map(|_| cell(clock)).collect::<Vec<_>>().leak();
            let end = timed(clock, thread, begun, |timed| {
                if !cells.iter().all(|cell| hold(cell, term)) {
                    return None;
                }
                let over = now() + Duration::from(term);
                let is_valid = |cell: &LeaseCell<_>| {
                    matches!(cell.check_in(timed, fence(1)), Check::Valid { .. })
                };
                if !cells.iter().all(is_valid) {
                    return None;
                }
                let ends = cells.iter().find_map(|cell| {
                    let scene = Scene { cell, mark: *mark, over };
                    let round = |at| {
                        let happens = Box::new(move |step| happens(&scene, step));
                        let commit = || act(cell, timed, &word, at);
                        let (outcome, has_happened) = commit_with(at, happens, commit);
                        assert_eq!(word.load() == at, outcome.is_ok(), "{outcome:?} before {at}");
                        (outcome, has_happened)
                    };
                    let end = steps.round(round, |at, outcome| judge(&scene, at, outcome));
                    mark.put_back();
                    end
                });
                Some(ends)
            });
            let Some(end) = end else {
                println!("skipped: the instructions that come after {steps:?}");
                return;
            };
            if let Some(end) = end {
                println!("{end} instructions");
                return assert!(end > TAIL, "the tests at the end alone are more");
            }
        }
    }
}

/// The leases of a stay.
#[derive(Clone, Copy)]
struct Terms {
    term: Span,
    leases: usize,
}

/// No test outlives them.
const MANY: Terms = Terms { term: LONG, leases: 64 };
/// Long enough that a busy machine still commits in most of the rounds without a pause.
const ONE: Terms = Terms { term: Span::from_millis(100), leases: 1 };

fn cell(clock: &Arc<KeeperClock>) -> LeaseCell<KeeperClock> {
    LeaseCell::new(Arc::clone(clock)).expect("a page")
}

/// Commits one store, in a stay.
fn act(
    cell: &LeaseCell<KeeperClock>,
    timed: &Timed<'_>,
    word: &Word<'_>,
    value: u64,
) -> Result<(), Refusal> {
    cell.commit_in(timed, fence(1), word, |act| act.store(word, value)).map(|_| ())
}

/// Calls `attempt` in one timed stay after the other, until it has succeeded. `None`, with a word, if it never
/// did since `begun`: on a busy machine timekeeper and holder rarely run together.
fn timed<R>(
    clock: &KeeperClock,
    thread: &mut Thread,
    begun: Instant,
    mut attempt: impl FnMut(&Timed<'_>) -> Option<R>,
) -> Option<R> {
    while begun.elapsed() < PATIENCE {
        if let Ok(timed) = clock.time(thread.stay())
            && let Some(made) = attempt(&timed)
        {
            return Some(made);
        }
        std::thread::yield_now();
    }
    println!("skipped: no stay in the segment of a lease: {:?}", clock.keepers().exits(0));
    None
}

/// Of one test: long enough for a timekeeper to be scheduled often, and no limit on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before which instructions a test that waits each time has something happen: not before each, unless asked.
fn waits() -> u64 {
    if std::env::var_os("TLEASE_FULL").is_some() { 1 } else { 9 }
}

/// The instructions from the counter to XEND alone are more.
const TAIL: u64 = 25;

#[test]
fn a_stay_commits_until_it_is_revoked_in_both_orders() {
    let Some((_alone, profile)) = emulated() else { return };
    for profile in [profile.clone(), profile.strict().commit_margin(MARGIN)] {
        let Some(mut holder) = Holder::new(&profile) else { return };
        let Holder { clock, thread, region, .. } = &mut holder;
        let word = region.word(0).expect("within the region");
        let (begun, cell) = (now(), cell(clock));
        let revoked = timed(clock, thread, begun, |timed| {
            hold(&cell, LONG).then_some(())?;
            act(&cell, timed, &word, 1).ok()?;
            cell.revoke();
            Some(act(&cell, timed, &word, 2))
        });
        let Some(revoked) = revoked else { return };
        assert_eq!((revoked, word.load()), (Err(Refusal::Revoked), 1));
    }
}

#[test]
fn an_interrupt_that_leaves_the_mark_costs_one_try() {
    let Some((_alone, profile)) = emulated() else { return };
    for profile in [profile.clone(), profile.strict().commit_margin(MARGIN)] {
        let Some(mut holder) = Holder::new(&profile) else { return };
        let interrupted = |_: &Scene, _| Action::Interrupt;
        holder.before_each_instruction(MANY, 1, interrupted, |_, at, outcome| {
            assert_eq!(outcome, Ok(()), "before {at}");
        });
    }
}

#[test]
fn an_exit_before_any_instruction_leaves_no_effect() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(mut holder) = Holder::new(&profile) else { return };
    let exit = |scene: &Scene, _| {
        scene.mark.exit();
        Action::Continue
    };
    holder.before_each_instruction(MANY, 1, exit, |_, at, outcome| {
        assert_eq!(outcome, Err(Refusal::Suspect), "before {at}");
    });
}

#[test]
fn an_exit_in_which_the_counter_is_held_back_leaves_no_effect_of_a_lease_that_is_over() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(mut holder) = Holder::new(&profile) else { return };
    let exit = |scene: &Scene, _| {
        scene.exit_until_over();
        Action::Continue
    };
    holder.before_each_instruction(ONE, waits(), exit, |_, at, outcome| {
        assert_eq!(outcome, Err(Refusal::Suspect), "before {at}");
    });
}

#[test]
fn an_exit_before_a_commit_refuses_it_and_one_after_it_refuses_the_next() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(mut holder) = Holder::new(&profile) else { return };
    let Holder { clock, mark, thread, region } = &mut holder;
    let word = region.word(0).expect("within the region");
    let (begun, cell) = (now(), cell(clock));
    for value in 1..=20 {
        let next = timed(clock, thread, begun, |timed| {
            hold(&cell, LONG).then_some(())?;
            act(&cell, timed, &word, value).ok()?;
            mark.exit();
            assert!(!timed.is_unbroken());
            assert_eq!(cell.check_in(timed, fence(1)), Check::Suspect);
            Some(act(&cell, timed, &word, 0))
        });
        let Some(next) = next else { return };
        assert_eq!((next, word.load()), (Err(Refusal::Suspect), value), "and the first stands");
    }
}

/// What a commit of a short lease does that begins its own stay, when an exit before its `at`th instruction
/// lasts until the lease is over and the counter is held back meanwhile. `None` if the lease was never
/// valid to begin with.
fn commit_of_a_lease_that_is_over(profile: &EnclaveSim, at: u64) -> Option<Result<(), Refusal>> {
    let clock = open(profile)?;
    let mark = EmulatedMark::assume_here();
    let region = Region::new(512).expect("memory");
    let word = region.word(0).expect("within the region");
    let (begun, mut value) = (now(), 0);
    while begun.elapsed() < PATIENCE {
        let cell: &'static _ = Box::leak(Box::new(cell(&clock)));
        let is_held = hold(cell, ONE.term);
        let over = now() + Duration::from(ONE.term);
        if !is_held || !matches!(cell.check(fence(1)), Check::Valid { .. }) {
            std::thread::yield_now();
            continue;
        }
        let scene = Scene { cell, mark, over };
        let happens = move |_| {
            scene.exit_until_over();
            Action::Continue
        };
        value += 1;
        let commit = || cell.commit(fence(1), &word, |act| act.store(&word, value)).map(|_| ());
        let (outcome, has_happened) = commit_with(at, Box::new(happens), commit);
        assert_eq!(word.load() == value, outcome.is_ok(), "{outcome:?} before {at}");
        // A commit that this machine interrupted shows nothing.
        if has_happened && !matches!(outcome, Err(Refusal::CannotCommit(_))) {
            return Some(outcome);
        }
    }
    println!("skipped: never a valid lease: {:?}", clock.keepers().exits(0));
    None
}

#[test]
fn a_commit_that_begins_its_own_stay_knows_nothing_of_the_one_before() {
    let Some((_alone, profile)) = emulated() else { return };
    for at in [1, 5, 60, 80] {
        let Some(outcome) = commit_of_a_lease_that_is_over(&profile, at) else { return };
        assert!(matches!(outcome, Err(Refusal::Suspect | Refusal::Expired)), "{outcome:?} {at}");
    }
}

/// How a commit in a stay reads its counter.
fn fences_of_a_commit(profile: &EnclaveSim) -> Option<Fences> {
    let mut holder = Holder::new(profile)?;
    let Holder { clock, thread, region, .. } = &mut holder;
    let word = region.word(0).expect("within the region");
    let (begun, cell) = (now(), cell(clock));
    timed(clock, thread, begun, |timed| {
        hold(&cell, LONG).then_some(())?;
        forget_fences();
        let commit = || act(&cell, timed, &word, 1);
        commit_with(u64::MAX, Box::new(|_| Action::Continue), commit).0.ok()?;
        Some(fences())
    })
}

/// Here instructions run in their order, so that only the fences can be seen, not what they are for.
#[test]
fn the_counter_is_read_behind_a_fence_and_in_strict_order_behind_two() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(fenced) = fences_of_a_commit(&profile) else { return };
    assert!(fenced.behind > 0 && fenced.bare == 0 && fenced.full == 0, "{fenced:?}");
    let strict = profile.strict().commit_margin(MARGIN);
    let Some(strict) = fences_of_a_commit(&strict) else { return };
    assert!(strict.behind > 0 && strict.bare == 0 && strict.full > 0, "{strict:?}");
}

#[test]
fn a_revocation_before_any_instruction_leaves_no_effect() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(mut holder) = Holder::new(&profile) else { return };
    let revoke = |scene: &Scene, _| {
        scene.cell.revoke();
        Action::Continue
    };
    holder.before_each_instruction(MANY, 1, revoke, |_, at, outcome| {
        assert_eq!(outcome, Err(Refusal::Revoked), "before {at}");
    });
}

#[test]
fn a_doubt_about_the_lease_before_any_instruction_leaves_no_effect() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(mut holder) = Holder::new(&profile) else { return };
    let suspend = |scene: &Scene, _| {
        scene.cell.suspend(fence(1));
        Action::Continue
    };
    holder.before_each_instruction(MANY, 1, suspend, |_, at, outcome| {
        assert_eq!(outcome, Err(Refusal::Suspect), "before {at}");
    });
}

#[test]
fn a_pause_beyond_the_deadline_before_any_instruction_leaves_no_effect() {
    let Some((_alone, profile)) = emulated() else { return };
    let paused = |scene: &Scene, _| {
        scene.outlive();
        Action::Continue
    };
    for profile in [profile.clone(), profile.strict().commit_margin(MARGIN)] {
        let Some(mut holder) = Holder::new(&profile) else { return };
        holder.before_each_instruction(ONE, waits(), paused, |scene, at, outcome| {
            assert_eq!(outcome, Err(Refusal::Expired), "before {at}");
            assert_eq!(scene.cell.clock().late_commits().count, 0);
        });
    }
}

#[test]
fn a_pause_beyond_the_reach_of_the_handshake_leaves_no_effect() {
    let Some((_alone, profile)) = emulated() else { return };
    let Some(mut holder) = Holder::new(&profile.reach(ONE.term)) else { return };
    let paused = |_: &Scene, _| {
        let begun = now();
        while begun.elapsed() <= Duration::from(ONE.term) {
            std::thread::yield_now();
        }
        Action::Continue
    };
    holder.before_each_instruction(
        Terms { term: LONG, ..ONE },
        waits(),
        paused,
        |_, at, outcome| {
            assert_eq!(outcome, Err(Refusal::Suspect), "before {at}");
        },
    );
}

/// Faults planted in the guard of a stay: the tests above must fail with them.
#[cfg(feature = "mutants")]
mod planted {
    use tlease_clock::Mutant;

    use super::*;

    /// Whether a commit goes through in the midst of which the thread was kept outside until its lease was
    /// over. `None`, with a word, if no commit came so far.
    fn acts_when_it_is_over(bug: Mutant) -> Option<bool> {
        let (_alone, profile) = emulated()?;
        let mut holder = Holder::new(&profile.mutate(bug))?;
        let Holder { clock, mark, thread, region } = &mut holder;
        let word = region.word(0).expect("within the region");
        let begun = now();
        timed(clock, thread, begun, |timed| {
            let cell: &'static _ = Box::leak(Box::new(cell(clock)));
            let is_held = hold(cell, ONE.term);
            let over = now() + Duration::from(ONE.term);
            if !is_held || !matches!(cell.check_in(timed, fence(1)), Check::Valid { .. }) {
                return None;
            }
            let scene = Scene { cell, mark: *mark, over };
            let happens = move |_| {
                scene.exit_until_over();
                Action::Continue
            };
            let commit = || act(cell, timed, &word, 1);
            let (outcome, has_happened) = commit_with(5, Box::new(happens), commit);
            // A commit that this machine interrupted shows nothing.
            (has_happened && !matches!(outcome, Err(Refusal::CannotCommit(_))))
                .then_some(outcome.is_ok() && word.load() == 1 && now() > over)
        })
    }

    #[test]
    fn a_mark_that_is_not_tested_lets_a_lease_act_that_is_over() {
        if let Some(acts) = acts_when_it_is_over(Mutant::MarkIgnored) {
            assert!(acts, "the planted fault must show");
        }
    }

    #[test]
    fn a_mark_that_is_tested_outside_lets_a_lease_act_that_is_over() {
        if let Some(acts) = acts_when_it_is_over(Mutant::MarkTestedOutside) {
            assert!(acts, "the planted fault must show");
        }
    }

    #[test]
    fn a_thread_that_goes_on_with_what_it_knew_acts_when_its_lease_is_over() {
        let Some((_alone, profile)) = emulated() else { return };
        let profile = profile.mutate(Mutant::StretchKept);
        let Some(outcome) = commit_of_a_lease_that_is_over(&profile, 5) else { return };
        assert_eq!(outcome, Ok(()), "the planted fault must show");
    }

    #[test]
    fn a_counter_that_is_read_without_a_fence_is_seen() {
        let Some((_alone, profile)) = emulated() else { return };
        let profile = profile.mutate(Mutant::CounterUnfenced);
        let Some(fences) = fences_of_a_commit(&profile) else { return };
        assert!(fences.bare > 0, "the planted fault must show: {fences:?}");
    }

    #[test]
    fn a_mark_that_is_never_armed_makes_every_lease_suspect() {
        let Some((_alone, profile)) = emulated() else { return };
        // Without the fault there is a valid check, or this machine shows nothing.
        if commit_of_a_lease_that_is_over(&profile, 5).is_none() {
            return;
        }
        let Some(clock) = open(&profile.mutate(Mutant::MarkNotArmed)) else { return };
        let valid = std::thread::spawn(move || {
            let _mark = EmulatedMark::assume_here();
            let cell = cell(&clock);
            let is_valid =
                |_: &u32| hold(&cell, LONG) && matches!(cell.check(fence(1)), Check::Valid { .. });
            (0..1_000).filter(is_valid).count()
        });
        assert_eq!(valid.join().expect("no panic"), 0, "the planted fault must show");
    }
}
