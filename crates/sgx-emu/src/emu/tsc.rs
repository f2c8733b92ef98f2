//! The time-stamp counter as an emulated enclave reads it: as it is, or as a liar has it.
//!
//! A processor with SGX lets the host write the counter (it belongs to the host), so a hostile one can
//! move it between an exit and the return. Here RDTSC traps inside (`prctl(PR_SET_TSC)`) and is
//! answered from the line of [`tlease_rtm_emu::liar`]. A trapped RDTSC aborts a
//! hardware transaction, always.

use super::cpu;
use super::frame::Registers;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tlease_rtm_emu::liar::line;
pub use tlease_rtm_emu::liar::{set_rate, step};

/// Whether enclaves read the liar's line. Set before the first one runs.
static LIES: AtomicBool = AtomicBool::new(false);

/// Lets enclaves read a line that starts as the truth. Without this call they read the counter.
pub fn trap() {
    LIES.store(true, SeqCst);
}

/// Whether enclaves can be lied to.
#[must_use]
pub fn is_trapped() -> bool {
    LIES.load(SeqCst)
}

/// Makes RDTSC trap on the calling thread, or not; nothing while nobody lies.
pub(super) fn hide(hidden: bool) {
    if LIES.load(SeqCst) {
        let mode = if hidden { libc::PR_TSC_SIGSEGV } else { libc::PR_TSC_ENABLE };
        cpu::call(libc::SYS_prctl, [libc::PR_SET_TSC.into(), mode.into(), 0, 0]);
    }
}

/// Has the counter stand still, or go on from where it stands. In a handler, of a thread inside.
pub(super) fn stand_still(is_still: bool) {
    hide(false);
    set_rate(if is_still { 0 } else { TRUE_RATE });
    hide(true);
}

/// In parts of 65536.
const TRUE_RATE: u32 = 1 << 16;

/// Answers RDTSC or RDTSCP that trapped; `false` if that is not what stands there.
pub(super) fn answer(registers: &mut Registers<'_>, instruction: [u8; 3]) -> bool {
    let length = match instruction {
        [0x0f, 0x31, _] => 2,
        [0x0f, 0x01, 0xf9] => 3,
        _ => return false,
    };
    if !LIES.load(SeqCst) {
        return false;
    }
    hide(false);
    let value = line(cpu::tsc());
    hide(true);
    registers.set(libc::REG_RAX, value & 0xffff_ffff);
    registers.set(libc::REG_RDX, value >> 32);
    if length == 3 {
        registers.set(libc::REG_RCX, 0);
    }
    registers.set(libc::REG_RIP, registers.get(libc::REG_RIP) + length);
    true
}
