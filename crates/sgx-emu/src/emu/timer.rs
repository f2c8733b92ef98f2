//! Exits at a chosen rate: a timer of the kernel for each thread, whose signal is the interrupt.

use super::cpu;
use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// Nanoseconds between exits; zero for none.
static PERIOD: AtomicU64 = AtomicU64::new(0);
static IS_RANDOM: AtomicBool = AtomicBool::new(false);
static RANDOM: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);

/// Interrupts each thread that is inside so many times a second: evenly, or at random with that mean.
pub fn set_rate(hertz: u32, is_random: bool) {
    IS_RANDOM.store(is_random, SeqCst);
    PERIOD.store(if hertz == 0 { 0 } else { 1_000_000_000 / u64::from(hertz) }, SeqCst);
}

/// The signal of the timers. Any other that the handler is installed for is an exit as well.
pub(super) fn signal() -> libc::c_int {
    libc::SIGRTMIN() + 3
}

thread_local! {
    /// The calling thread's timer and the period that it was set to.
    static TIMER: Cell<Option<(libc::timer_t, u64)>> = const { Cell::new(None) };
}

/// Makes the calling thread's timer what the rate says. Called before each entry, outside.
pub(super) fn prepare() -> io::Result<()> {
    let period = PERIOD.load(SeqCst);
    let (timer, set) = match TIMER.get() {
        Some(known) => known,
        None if period == 0 => return Ok(()),
        None => (create()?, 0),
    };
    if rests(timer) || set != period {
        arm(timer, period);
        TIMER.set(Some((timer, period)));
    }
    Ok(())
}

/// Sets the calling thread's timer anew after an exit, if intervals are random or it rests.
pub(super) fn again() {
    if let Some((timer, period)) = TIMER.get()
        && (rests(timer) || IS_RANDOM.load(SeqCst))
    {
        arm(timer, period);
    }
}

/// The timer of this number rang outside, where it is no exit. After some rings in a row it rests until
/// its thread goes in again: each would wake a thread that waits for the host, and take the core from
/// one that is inside. A few come between an exit and the return.
///
/// In a handler.
pub(super) fn rang_outside(number: libc::c_int) {
    let rings = usize::try_from(number).ok().and_then(|number| RINGS.get(number));
    if rings.is_some_and(|rings| rings.fetch_add(1, SeqCst) + 1 >= RINGS_MAX) {
        let never = [0_i64; 4];
        let setting = never.as_ptr().expose_provenance() as i64;
        cpu::call(libc::SYS_timer_settime, [number.into(), 0, setting, 0]);
    }
}

/// How often each timer, by the kernel's number, rang outside since its thread was last inside. One with
/// a number beyond these never rests.
static RINGS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
const RINGS_MAX: u64 = 3;

/// Whether the timer rests.
fn rests(timer: libc::timer_t) -> bool {
    RINGS.get(timer.addr()).is_some_and(|rings| rings.swap(0, SeqCst) >= RINGS_MAX)
}

fn create() -> io::Result<libc::timer_t> {
    // WHY: a plain structure of the kernel's without a constructor.
    // SAFETY: zeros are a value of each of its fields.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = signal();
    // WHY: the kernel's number of this thread, as the event wants it.
    // SAFETY: takes nothing.
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    let mut timer = std::ptr::null_mut();
    // WHY: timers with signals are not in the standard library.
    // SAFETY: both pointers are to locals of the right types.
    let result =
        unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    if result == 0 { Ok(timer) } else { Err(io::Error::last_os_error()) }
}

fn arm(timer: libc::timer_t, period: u64) {
    let is_random = IS_RANDOM.load(SeqCst);
    let first = if is_random { 1 + random() % (2 * period).max(1) } else { period };
    let span = |nanos: u64| libc::timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
    };
    // At random too: the first may come before the thread is back inside, where it is no exit that would
    // set the timer anew.
    let setting = libc::itimerspec { it_interval: span(period), it_value: span(first) };
    // WHY: as above.
    // SAFETY: the timer is this thread's and is never deleted; the setting is only read.
    unsafe { libc::timer_settime(timer, 0, &raw const setting, std::ptr::null_mut()) };
}

/// A xorshift: the intervals need no better.
fn random() -> u64 {
    let mut x = RANDOM.load(SeqCst);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    RANDOM.store(x, SeqCst);
    x
}
