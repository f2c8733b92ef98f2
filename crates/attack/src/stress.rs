//! What makes a machine unpleasant.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::Pid;

/// Sleeps this many microseconds: between two looks at shared memory, or as part of an attack.
#[expect(clippy::disallowed_methods, reason = "another process' memory sends no event")]
pub fn pause_us(microseconds: u64) {
    std::thread::sleep(Duration::from_micros(microseconds));
}

/// Sends this process a signal `hertz` times a second, to a handler that does nothing.
///
/// # Errors
/// What the kernel says. Dropping the timer ends the storm.
pub fn signal_storm(hertz: i64) -> nix::Result<Timer> {
    ignore_profiling()?;
    let to = SigevNotify::SigevSignal { signal: Signal::SIGPROF, si_value: 0 };
    start_storm(SigEvent::new(to), hertz)
}

/// Handles SIGPROF by doing nothing.
fn ignore_profiling() -> nix::Result<()> {
    extern "C" fn nothing(_: i32) {}
    let handler =
        SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    // WHY: installing a signal handler is unsafe, since handlers must be async-signal-safe.
    // SAFETY: this one does nothing.
    unsafe { nix::sys::signal::sigaction(Signal::SIGPROF, &handler) }?;
    Ok(())
}

fn start_storm(event: SigEvent, hertz: i64) -> nix::Result<Timer> {
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
    let period = TimeSpec::new(0, 1_000_000_000 / hertz);
    timer.set(Expiration::Interval(period), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// As [`signal_storm`], to one thread of this process, by the kernel's number of it.
///
/// # Errors
/// As [`signal_storm`].
pub fn signal_storm_on(thread: i32, hertz: i64) -> nix::Result<Timer> {
    ignore_profiling()?;
    let to = SigevNotify::SigevThreadId { signal: Signal::SIGPROF, si_value: 0, thread_id: thread };
    start_storm(SigEvent::new(to), hertz)
}

/// Moves a process to one CPU after the other, once per call.
#[derive(Debug)]
pub struct Migration {
    pid: Pid,
    cpus: Vec<usize>,
    next: usize,
}

impl Migration {
    /// Over the CPUs that we may use ourselves; `None` if that is only one.
    #[must_use]
    pub fn of(pid: Pid) -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let cpus: Vec<_> =
            (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).collect();
        (cpus.len() > 1).then_some(Self { pid, cpus, next: 0 })
    }

    /// As [`Migration::of`], for one thread, by the kernel's number of it.
    #[must_use]
    pub fn of_thread(thread: i32) -> Option<Self> {
        Self::of(Pid::from_raw(thread))
    }

    /// Moves it.
    pub fn step(&mut self) {
        self.next = (self.next + 1) % self.cpus.len();
        let mut one = CpuSet::new();
        // A process that is gone cannot be moved; its lane is stopping.
        let _ = one.set(self.cpus[self.next]).and_then(|()| sched_setaffinity(self.pid, &one));
    }
}

/// Clears the Accessed bits of this process's pages and makes the CPU forget them, as page reclaim and
/// DAMON do. `false` where the kernel does not offer it.
pub fn age_pages() -> bool {
    if std::fs::write("/proc/self/clear_refs", "1").is_err() {
        return false;
    }
    // Unmapping more than 33 touched pages flushes the whole TLB of the process.
    if let Ok(region) = tlease_clock::memory::Region::new(64 * 512) {
        for word in region.words().iter().step_by(512) {
            word.store(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    true
}

/// Reproducible draws (xorshift).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From any seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Log-uniform between two numbers.
    pub fn log_between(&mut self, low: u64, high: u64) -> u64 {
        (low as f64 * (high as f64 / low as f64).powf(self.unit())) as u64
    }
}
