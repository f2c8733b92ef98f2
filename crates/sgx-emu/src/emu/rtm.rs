//! Hardware transactions inside, on processors that have none: `tlease-rtm-emu` decides, and this
//! module gives it its turn.

use super::cpu;
use super::frame::Registers;
use super::steps::{self, Next};
use super::table::{self, Thread};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tlease_rtm_emu::begin::{IN_PLACE, to_overwrite};
use tlease_rtm_emu::{Action, Context, NotInstalled, Step};

static IS_EMULATED: AtomicBool = AtomicBool::new(false);
/// Whether every transaction aborts before its first instruction.
static ABORTS: AtomicBool = AtomicBool::new(false);

/// Emulates transactions inside, if this processor has none of its own; `false` if it has.
///
/// # Errors
/// Neither the one nor the other.
pub fn emulate_transactions() -> Result<bool, NotInstalled> {
    match tlease_rtm_emu::prepare() {
        Ok(()) => {
            tlease_rtm_emu::set_hook(Some(before_each));
            IS_EMULATED.store(true, SeqCst);
            Ok(true)
        }
        Err(NotInstalled::HasTransactions) => Ok(false),
        Err(
            other @ (NotInstalled::NoSegmentBases
            | NotInstalled::NoHandlers
            | NotInstalled::CodeIsFixed),
        ) => Err(other),
    }
}

/// Before code of an enclave runs for the first time: has XBEGIN trap in it.
pub(super) fn overwrite(code: &mut [u8]) {
    if IS_EMULATED.load(SeqCst) {
        let places: Vec<usize> = to_overwrite(code).collect();
        places.into_iter().for_each(|place| code[place] = IN_PLACE);
    }
}

/// Lets every emulated transaction abort, as a host can that never stops interrupting.
pub fn abort_transactions() {
    ABORTS.store(true, SeqCst);
}

/// An illegal instruction inside: whether it was one of transactions.
pub(super) fn on_illegal(thread: &Thread, registers: &mut Registers<'_>) -> Option<Next> {
    let taken =
        IS_EMULATED.load(SeqCst) && tlease_rtm_emu::on_illegal(&mut Context::new(registers.0));
    taken.then(|| steps::after_transaction(thread, registers))
}

/// The trap flag, or an instruction that was answered instead of run: whether a transaction is under
/// way.
pub(super) fn on_trap(thread: &Thread, registers: &mut Registers<'_>) -> Option<Next> {
    let taken = IS_EMULATED.load(SeqCst) && tlease_rtm_emu::on_trap(&mut Context::new(registers.0));
    taken.then(|| steps::after_transaction(thread, registers))
}

/// An exit comes, or a fault: a transaction that is under way aborts first, and is where it resumes.
pub(super) fn abort(registers: &mut Registers<'_>) -> bool {
    IS_EMULATED.load(SeqCst) && tlease_rtm_emu::abort(&mut Context::new(registers.0))
}

/// Runs in a handler, before each instruction of a transaction.
fn before_each(step: Step) -> Action {
    let thread = table::inside(step.address as u64, cpu::fs());
    let is_due = thread.is_some_and(steps::is_due_within);
    if is_due || ABORTS.load(SeqCst) { Action::Interrupt } else { Action::Continue }
}
