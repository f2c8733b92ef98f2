//! Something happens before each instruction of a commit in turn, on transactions in software.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tlease_clock::assume_emulated_transactions;
use tlease_clock::guard::{Obstacle, Refusal};
use tlease_core::time::Span;
use tlease_rtm_emu::{Action, FRESH_NANOS, Runs, Step, install, set_hook, thaw_counter};

/// The hook is one for the process, and so is what it works on.
static ALONE: Mutex<()> = Mutex::new(());

/// The only user of the emulation; `None`, with the reason printed, where there is none.
pub(crate) fn alone() -> Option<MutexGuard<'static, ()>> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(why) = install() {
        println!("skipped: {why}");
        return None;
    }
    // A test that failed may have left them.
    set_hook(None);
    thaw_counter();
    assume_emulated_transactions();
    Some(alone)
}

/// A margin that covers what the emulation needs from clock to effect.
pub(crate) const MARGIN: Span = Span::from_nanos(2 * FRESH_NANOS);

/// What happens before an instruction, in a signal handler of the thread that commits.
pub(crate) type Happens = Box<dyn Fn(Step) -> Action + Send + Sync>;

struct Plan {
    at: u64,
    happens: Happens,
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);
/// The number of the last XEND that a transaction came to.
static END: AtomicU64 = AtomicU64::new(0);

fn plan() -> MutexGuard<'static, Option<Plan>> {
    PLAN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the counter was read by transactions since [`forget_fences`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fences {
    /// So often right after an LFENCE.
    pub(crate) behind: u64,
    /// So often after anything else.
    pub(crate) bare: u64,
    /// So many MFENCEs came at all.
    pub(crate) full: u64,
}

static BEHIND: AtomicU64 = AtomicU64::new(0);
static BARE: AtomicU64 = AtomicU64::new(0);
static FULL: AtomicU64 = AtomicU64::new(0);
static LAST: Mutex<Runs> = Mutex::new(Runs::Other);

pub(crate) fn forget_fences() {
    for count in [&BEHIND, &BARE, &FULL] {
        count.store(0, Ordering::SeqCst);
    }
}

pub(crate) fn fences() -> Fences {
    let [behind, bare, full] = [&BEHIND, &BARE, &FULL].map(|count| count.load(Ordering::SeqCst));
    Fences { behind, bare, full }
}

fn note_fences(runs: Runs) {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = match (*last, runs) {
        (Runs::LoadFence, Runs::Counter) => Some(&BEHIND),
        (_, Runs::Counter) => Some(&BARE),
        (_, Runs::FullFence) => Some(&FULL),
        _ => None,
    };
    if let Some(count) = counts {
        count.fetch_add(1, Ordering::SeqCst);
    }
    *last = runs;
}

fn hook(step: Step) -> Action {
    note_fences(step.runs);
    if step.runs == Runs::End {
        END.store(step.number, Ordering::SeqCst);
    }
    let mut plan = plan();
    match plan.take_if(|plan| plan.at == step.number) {
        Some(plan) => (plan.happens)(step),
        None => Action::Continue,
    }
}

/// One commit, in which something happens before instruction `at` of a transaction, once. Returns also
/// whether it has happened.
pub(crate) fn commit_with<R>(at: u64, happens: Happens, commit: impl FnOnce() -> R) -> (R, bool) {
    *plan() = Some(Plan { at, happens });
    set_hook(Some(hook));
    let outcome = commit();
    set_hook(None);
    thaw_counter();
    let has_happened = plan().take().is_none();
    (outcome, has_happened)
}

/// Commits with something before each instruction in turn, or each `stride`th, from the first of a commit to
/// its XEND.
#[derive(Debug)]
pub(crate) struct Steps {
    at: u64,
    stride: u64,
    again: u64,
}

impl Steps {
    pub(crate) fn each(stride: u64) -> Self {
        END.store(0, Ordering::SeqCst);
        Self { at: 1, stride, again: 0 }
    }

    /// Has `round` commit with something before the instruction that is its argument, and say how that
    /// ended and whether it has happened, then `judge` judge it. The number of XEND once all are done.
    ///
    /// A commit that this machine itself kept interrupting, or that was refused before it came to that
    /// instruction, says nothing, and is to be done again.
    pub(crate) fn round(
        &mut self,
        round: impl FnOnce(u64) -> (Result<(), Refusal>, bool),
        judge: impl FnOnce(u64, Result<(), Refusal>),
    ) -> Option<u64> {
        let at = self.at;
        let (outcome, has_happened) = round(at);
        let says_nothing = match outcome {
            Ok(()) => false,
            Err(Refusal::CannotCommit(Obstacle::Aborted(_))) => true,
            Err(_) => !has_happened,
        };
        if says_nothing {
            self.again += 1;
            assert!(self.again < 1_000, "nothing commits here: {outcome:?} before {at}");
            return None;
        }
        if !has_happened {
            let end = END.load(Ordering::SeqCst);
            assert!(at > end, "it ended before instruction {at} of {end}");
            return Some(end);
        }
        judge(at, outcome);
        self.at += self.stride;
        None
    }
}
