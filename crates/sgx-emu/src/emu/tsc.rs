//! The time-stamp counter as an emulated enclave reads it: as it is, or as a liar has it.
//!
//! A processor with SGX lets the host write the counter (it belongs to the host), so a hostile one can
//! move it between an exit and the return. Here RDTSC traps inside (`prctl(PR_SET_TSC)`) and is
//! answered from a line `value = offset + rate x (counter - origin)`. A trapped RDTSC aborts a
//! hardware transaction, always.

use super::cpu;
use super::frame::Registers;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// Whether enclaves read the liar's line. Set before the first one runs.
static LIES: AtomicBool = AtomicBool::new(false);
/// Even while the line is whole.
static VERSION: AtomicU64 = AtomicU64::new(0);
static ORIGIN: AtomicU64 = AtomicU64::new(0);
static OFFSET: AtomicU64 = AtomicU64::new(0);
/// In 32.32 fixed point.
static RATE: AtomicU64 = AtomicU64::new(1 << 32);

/// Lets enclaves read a line that starts as the truth. Without this call they read the counter.
pub fn trap() {
    LIES.store(true, SeqCst);
}

/// Moves the counter by so many ticks, from now on. Only what is trapped can be moved.
pub fn step(ticks: i64) {
    change(|now| (now.wrapping_add_signed(ticks), RATE.load(SeqCst)));
}

/// Lets the counter run at this share of its rate, from now on, in parts of 65536.
pub fn set_rate(parts: u32) {
    change(|now| (now, u64::from(parts) << 16));
}

/// Whether enclaves can be lied to.
#[must_use]
pub fn is_trapped() -> bool {
    LIES.load(SeqCst)
}

fn change(to: impl FnOnce(u64) -> (u64, u64)) {
    let counter = cpu::tsc();
    let (offset, rate) = to(line(counter));
    VERSION.fetch_add(1, SeqCst);
    ORIGIN.store(counter, SeqCst);
    OFFSET.store(offset, SeqCst);
    RATE.store(rate, SeqCst);
    VERSION.fetch_add(1, SeqCst);
}

fn line(counter: u64) -> u64 {
    loop {
        let version = VERSION.load(SeqCst);
        let advance = counter.wrapping_sub(ORIGIN.load(SeqCst));
        let scaled = (u128::from(advance) * u128::from(RATE.load(SeqCst))) >> 32;
        let value = OFFSET.load(SeqCst).wrapping_add((scaled & u128::from(u64::MAX)) as u64);
        if version.is_multiple_of(2) && VERSION.load(SeqCst) == version {
            return value;
        }
    }
}

/// Makes RDTSC trap on the calling thread, or not; nothing while nobody lies.
pub(super) fn hide(hidden: bool) {
    if LIES.load(SeqCst) {
        let mode = if hidden { libc::PR_TSC_SIGSEGV } else { libc::PR_TSC_ENABLE };
        cpu::call(libc::SYS_prctl, [libc::PR_SET_TSC.into(), mode.into(), 0, 0]);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: the line is one for the process.
    #[test]
    fn the_line_bends_where_it_is_told_and_nowhere_else() {
        let before = (cpu::tsc(), line(cpu::tsc()), cpu::tsc());
        assert!(before.0 <= before.1 && before.1 <= before.2, "it starts as the truth");
        step(1 << 40);
        assert!(line(cpu::tsc()) >= before.1 + (1 << 40));
        step(-(1 << 40));
        set_rate(65536 / 2);
        let (counter, value) = (ORIGIN.load(SeqCst), OFFSET.load(SeqCst));
        assert_eq!(line(counter + 1000), value + 500);
        set_rate(65536 * 2);
        let (counter, value) = (ORIGIN.load(SeqCst), OFFSET.load(SeqCst));
        assert_eq!(line(counter + 1000), value + 2000);
    }
}
