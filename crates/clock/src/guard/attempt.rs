//! A commit, tried as often as an abort allows: the same for all profiles.

use core::mem;

use tlease_core::fence::Fence;
use tlease_core::time::{Span, Ticks};

use super::act::Act;
use super::outcome::{Obstacle, Refusal};
use super::status::{AbortStatus, Next, Tries, Verdict};
use crate::arch::{self, Rtm, Tail};
use crate::lease::Check;
use crate::memory::Registered;

/// A lease as its profile sees it outside of a transaction.
pub(crate) trait Ground {
    /// What can be said of it now.
    fn check(&self) -> Check;

    /// Until how long before its deadline acts go through.
    fn margin(&self) -> Span;

    /// Whether a planted fault keeps it from touching what a transaction cannot reach.
    fn touches_nothing(&self) -> bool {
        false
    }
}

/// An attempt that went through.
pub(crate) struct Passed<R> {
    /// What the body made in the run that counted.
    pub(crate) value: R,
    /// The clock reading that was let through.
    pub(crate) now: Ticks,
    /// How many transactions it took.
    pub(crate) tries: u32,
}

/// Runs `body` in transactions that end with `gate`, until one commits or a refusal is due.
#[inline]
pub(crate) fn attempt<M, R>(
    rtm: Rtm,
    gate: &mut impl Tail,
    ground: &impl Ground,
    fence: Fence,
    memory: &M,
    mut body: impl FnMut(&Act<'_>) -> R,
) -> Result<Passed<R>, Refusal>
where
    M: Registered + ?Sized,
{
    const { assert!(!mem::needs_drop::<R>(), "an aborted body forgets what it made") };
    let act = Act::new(fence);
    let mut tries = Tries::default();
    loop {
        match rtm.transact(gate, || body(&act)) {
            Ok((value, now)) => return Ok(Passed { value, now, tries: tries.begun() }),
            Err(status) => {
                let code = arch::code_address();
                after_abort(gate, ground, &mut tries, status, code, || memory.touch())?;
            }
        }
    }
}

/// Decides after an abort: prepares the next try, or refuses.
#[cold]
#[inline(never)]
fn after_abort(
    gate: &mut impl Tail,
    ground: &impl Ground,
    tries: &mut Tries,
    status: AbortStatus,
    code: *const u8,
    touch_memory: impl Fn(),
) -> Result<(), Refusal> {
    let next = tries.after(status);
    match next {
        Next::Retry => return Ok(()),
        Next::Touch | Next::TouchWidely => {
            // A body whose lease is over must not be kept from saying so by an unreachable page.
            match ground.check() {
                Check::Valid { .. } | Check::Suspect => {}
                Check::Expired => return Err(Refusal::Expired),
                Check::NotHeld => return Err(Refusal::Revoked),
            }
            if ground.touches_nothing() {
                return Ok(());
            }
            gate.touch();
            arch::touch::stack();
            touch_memory();
            #[cfg(feature = "host")]
            if next == Next::Touch {
                arch::object::read_near(code);
            } else {
                arch::object::read_all(code);
            }
            #[cfg(not(feature = "host"))]
            let _ = code;
            return Ok(());
        }
        Next::Refuse(_) | Next::GiveUp => {}
    }
    Err(refusal(ground, next, status))
}

/// The best reason for a refusal: revoked before expired before suspect before the abort itself.
fn refusal(ground: &impl Ground, next: Next, status: AbortStatus) -> Refusal {
    match (ground.check(), next) {
        (Check::NotHeld, _) => Refusal::Revoked,
        (Check::Expired, _) => Refusal::Expired,
        (Check::Suspect, _) => Refusal::Suspect,
        (Check::Valid { remaining }, _) if remaining <= ground.margin() => Refusal::Expired,
        // It was so inside the transaction; a renewal has come in between.
        (Check::Valid { .. }, Next::Refuse(Verdict::Revoked)) => Refusal::Revoked,
        (Check::Valid { .. }, Next::Refuse(Verdict::Expired)) => Refusal::Expired,
        (Check::Valid { .. }, Next::Refuse(Verdict::Suspect)) => Refusal::Suspect,
        (Check::Valid { .. }, Next::Refuse(Verdict::Unwound)) => {
            Refusal::CannotCommit(Obstacle::Panicked)
        }
        (Check::Valid { .. }, Next::Refuse(Verdict::ClockFailed)) => {
            Refusal::CannotCommit(Obstacle::ClockFailed)
        }
        (Check::Valid { .. }, Next::GiveUp | Next::Retry | Next::Touch | Next::TouchWidely) => {
            Refusal::CannotCommit(Obstacle::Aborted(status))
        }
    }
}
