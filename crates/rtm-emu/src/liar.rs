//! The time-stamp counter as a hostile host shows it: RDTSC traps (`prctl(PR_SET_TSC)`), and is answered
//! from a line, `value = offset + rate x (counter - origin)`.
//!
//! The line is one for the process; which threads read it, each decides for itself, and threads that it
//! starts do as it does. The kernel's own code in user space (`clock_gettime`) reads the counter too: a
//! judge asks [`true_nanos`].

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::context::Context;
use crate::handlers::{self, NotInstalled};
use crate::kernel;

/// Has a trapped RDTSC answered in this process from here on.
///
/// # Errors
/// [`NotInstalled::NoHandlers`].
pub fn install() -> Result<(), NotInstalled> {
    handlers::handle_once(libc::SIGSEGV)
}

/// Lets this thread, and those that it starts from now on, read the line in place of the counter, or no
/// longer. After [`install`]; else its next reading ends the process.
pub fn lie_to_this_thread(lies: bool) {
    kernel::let_read_counter(!lies);
}

/// Moves the line by so many ticks, from now on. By a thread that reads the counter itself.
pub fn step(ticks: i64) {
    change(|now| (now.wrapping_add_signed(ticks), RATE.load(SeqCst)));
}

/// Lets the line run at this share of the counter's rate, from now on, in parts of 65536. As [`step`].
pub fn set_rate(parts: u32) {
    change(|now| (now, u64::from(parts) << 16));
}

/// Has the line be the counter again.
pub fn tell_the_truth() {
    change(|_| (counter(), 1 << 32));
}

/// What the line shows when the counter shows this.
#[must_use]
pub fn line(counter: u64) -> u64 {
    loop {
        let version = VERSION.load(SeqCst);
        let advance = counter.wrapping_sub(ORIGIN.load(SeqCst));
        let scaled = (u128::from(advance) * u128::from(RATE.load(SeqCst))) >> 32;
        let scaled = u64::try_from(scaled & u128::from(u64::MAX)).unwrap_or(0);
        let value = OFFSET.load(SeqCst).wrapping_add(scaled);
        if version.is_multiple_of(2) && VERSION.load(SeqCst) == version {
            return value;
        }
    }
}

/// Nanoseconds of CLOCK_MONOTONIC, as the kernel itself reads it: no thread is lied to about it.
#[must_use]
pub fn true_nanos() -> u64 {
    kernel::monotonic_nanos()
}

/// How often a trapped reading was answered.
#[must_use]
pub fn answers() -> u64 {
    ANSWERS.load(SeqCst)
}

/// Answers RDTSC or RDTSCP that trapped; `false` if that is not what stands there.
///
/// Within a transaction it aborts that, as a processor does.
pub(crate) fn on_fault(context: &mut Context<'_>) -> bool {
    let at = context.instruction();
    let length = match (byte(at), byte(at.wrapping_add(1))) {
        (0x0f, 0x31) => 2,
        (0x0f, 0x01) if byte(at.wrapping_add(2)) == 0xf9 => 3,
        _ => return false,
    };
    if handlers::abort(context) {
        return true;
    }
    kernel::let_read_counter(true);
    context.set_counter(line(counter()));
    kernel::let_read_counter(false);
    if length == 3 {
        context.clear_ecx();
    }
    context.resume_at(at.wrapping_add(length));
    ANSWERS.fetch_add(1, SeqCst);
    true
}

fn change(to: impl FnOnce(u64) -> (u64, u64)) {
    let counter = counter();
    let (offset, rate) = to(line(counter));
    VERSION.fetch_add(1, SeqCst);
    ORIGIN.store(counter, SeqCst);
    OFFSET.store(offset, SeqCst);
    RATE.store(rate, SeqCst);
    VERSION.fetch_add(1, SeqCst);
}

fn counter() -> u64 {
    // WHY: the intrinsic is unsafe only for CPUs without RDTSC.
    // SAFETY: RDTSC is part of x86-64.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A byte of the instruction that faulted.
fn byte(at: usize) -> u8 {
    if at.is_multiple_of(PAGE) && !kernel::is_readable(at) {
        return 0;
    }
    let code = ptr::with_exposed_provenance::<u8>(at);
    // WHY: the code of the interrupted thread has no Rust name.
    // SAFETY: on the page of an instruction that was about to run, or on one that was just asked for.
    unsafe { code.read_volatile() }
}

/// Even while the line is whole.
static VERSION: AtomicU64 = AtomicU64::new(0);
static ORIGIN: AtomicU64 = AtomicU64::new(0);
static OFFSET: AtomicU64 = AtomicU64::new(0);
/// In 32.32 fixed point.
static RATE: AtomicU64 = AtomicU64::new(1 << 32);
static ANSWERS: AtomicU64 = AtomicU64::new(0);
const PAGE: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: the line is one for the process.
    #[test]
    fn the_line_bends_where_it_is_told_and_threads_read_it_that_are_lied_to() {
        let before = (counter(), line(counter()), counter());
        assert!(before.0 <= before.1 && before.1 <= before.2, "it starts as the truth");
        step(1 << 40);
        assert!(line(counter()) >= before.1 + (1 << 40));
        step(-(1 << 40));
        set_rate(65_536 / 2);
        let (origin, value) = (ORIGIN.load(SeqCst), OFFSET.load(SeqCst));
        assert_eq!(line(origin + 1_000), value + 500);
        set_rate(65_536 * 2);
        let (origin, value) = (ORIGIN.load(SeqCst), OFFSET.load(SeqCst));
        assert_eq!(line(origin + 1_000), value + 2_000);
        tell_the_truth();
        install().expect("a handler");
        step(1 << 50);
        let (told, answered) = (counter(), answers());
        let read = std::thread::spawn(|| {
            lie_to_this_thread(true);
            let of_child = std::thread::spawn(counter).join();
            (counter(), of_child.expect("no panic"))
        });
        let (own, of_child) = read.join().expect("no panic");
        assert!(own > told + (1 << 50) && of_child > told + (1 << 50), "lied to");
        assert!(answers() >= answered + 2);
        assert!(counter() < told + (1 << 50), "this thread reads the counter");
        tell_the_truth();
    }
}
