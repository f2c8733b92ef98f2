//! What a hostile host does between an exit and the return.

use crate::emu::{Cause, Exit, Then, at_each_exit, tsc};
use crate::share::Share;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Actions, done in their order at the exits that are chosen.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is done.
    pub actions: Vec<Action>,
    /// At each so many of the exits that qualify; zero and one mean each.
    pub every: u64,
    /// Only exits at chosen instructions qualify.
    pub only_steps: bool,
}

/// One thing that a host can do to a thread that has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keeps it for so many milliseconds.
    Pause(u64),
    /// Moves the time-stamp counter by so many ticks.
    StepTsc(i64),
    /// Lets the counter run at so many parts of 65536 of its rate.
    RateTsc(u32),
    /// Lets it go on on another processor.
    Move,
    /// Never lets it go on.
    Abandon,
    /// Keeps it until the judge changes a word of the shared page.
    Await,
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let bad = || format!("not an action: {text}");
        Ok(match name {
            "pause" => Self::Pause(value.parse().map_err(|_| bad())?),
            "tsc" => Self::StepTsc(value.parse().map_err(|_| bad())?),
            "tsc-rate" => Self::RateTsc(value.parse().map_err(|_| bad())?),
            "move" if value.is_empty() => Self::Move,
            "abandon" if value.is_empty() => Self::Abandon,
            "await" if value.is_empty() => Self::Await,
            _ => return Err(bad()),
        })
    }
}

impl Plan {
    pub(crate) fn moves_tsc(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::StepTsc(_) | Action::RateTsc(_)))
    }

    pub(crate) fn install(self, share: Option<Share>) {
        if self.actions.is_empty() {
            return;
        }
        let seen = AtomicU64::new(0);
        at_each_exit(Box::new(move |exit| self.at(exit, &seen, share)));
    }

    fn at(&self, exit: &Exit, seen: &AtomicU64, share: Option<Share>) -> Then {
        let qualifies = match exit.cause {
            Cause::Step | Cause::Call => true,
            Cause::Interrupt => !self.only_steps,
            Cause::Preempted | Cause::Fault(_) => false,
        };
        if !qualifies || !(seen.fetch_add(1, SeqCst) + 1).is_multiple_of(self.every.max(1)) {
            return Then::Resume;
        }
        for action in &self.actions {
            match action {
                Action::Pause(millis) => pause(Duration::from_millis(*millis)),
                Action::StepTsc(ticks) => tsc::step(*ticks),
                Action::RateTsc(parts) => tsc::set_rate(*parts),
                Action::Move => move_on(),
                Action::Abandon => return Then::Abandon,
                Action::Await => share.iter().for_each(|share| await_judge(share, exit)),
            }
        }
        Then::Resume
    }
}

#[expect(clippy::disallowed_methods, reason = "the attack is a pause of this length")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Says that a thread waits, and waits until the judge's word has moved.
fn await_judge(share: &Share, exit: &Exit) {
    let before = share.load(GO_ON);
    // From one on: zero is an exit that no function was followed to.
    share.word(STEPS).store(exit.steps.map_or(0, |steps| steps + 1), SeqCst);
    share.word(WAITING).fetch_add(1, SeqCst);
    while share.load(GO_ON) == before {
        pause(Duration::from_millis(1));
    }
}

/// The word of the shared page by which a judge lets a thread go on.
pub const GO_ON: usize = 0;
/// The word of the shared page that counts how often a thread began to wait for one.
pub const WAITING: usize = 1;
/// The word of the shared page that says after how many instructions of the function that is followed
/// the thread left that waits, and one more.
pub const STEPS: usize = 4;
/// The word of the shared page that is zero while the function is left alone that is followed.
pub const ARMED: usize = 5;

/// Binds the thread to the processor after the one that it runs on.
fn move_on() {
    // WHY: the standard library knows no processors.
    // SAFETY: takes nothing.
    let here = unsafe { libc::sched_getcpu() };
    let there = (usize::try_from(here).unwrap_or(0) + 1) % processors();
    // WHY: a plain structure of the kernel's without a constructor.
    // SAFETY: zeros are the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // WHY: the C library's macro, which has no safe form.
    // SAFETY: the set is a local, and the processor is one of this machine's.
    unsafe { libc::CPU_SET(there, &mut set) };
    // WHY: as above.
    // SAFETY: the set is read, and its size given.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
