//! The kernel's clocks, read through the vDSO.

use core::ffi::c_int;

use rustix::time::ClockId;
use tlease_core::time::Ticks;

use super::vdso::{self, ClockGettime, Timespec};

/// Nanoseconds in a second.
pub(crate) const NANOS: u64 = 1_000_000_000;

/// One of the three clocks of profile `host`, with its Linux number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum KernelClock {
    /// Stops in suspend, steered by NTP.
    Monotonic = 1,
    /// Stops in suspend, never steered: the hardware counter at its calibrated rate.
    Raw = 4,
    /// Runs in suspend, steered.
    Boot = 7,
}

/// Reads the kernel's clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KernelClocks {
    vdso: Option<ClockGettime>,
}

impl KernelClocks {
    pub(crate) fn find() -> Self {
        Self { vdso: vdso::clock_gettime() }
    }

    /// The function that the guard calls inside its transactions.
    pub(crate) const fn vdso(&self) -> Option<ClockGettime> {
        self.vdso
    }

    /// The clock, in nanoseconds since its own beginning.
    #[inline(always)]
    pub(crate) fn read(&self, clock: KernelClock) -> Ticks {
        let mut now = Timespec::default();
        match self.vdso {
            Some(clock_gettime) if clock_gettime(clock.number(), &mut now) == 0 => {}
            Some(_) | None => now = by_system_call(clock),
        }
        // Neither field is negative on these clocks, and 2^64 ns are 584 years of uptime.
        let nanos = now.seconds.cast_unsigned().wrapping_mul(NANOS);
        Ticks(nanos.wrapping_add(now.nanoseconds.cast_unsigned()))
    }
}

impl KernelClock {
    #[expect(clippy::as_conversions, reason = "the discriminant is the clock's number")]
    pub(crate) const fn number(self) -> c_int {
        self as c_int
    }

    const fn id(self) -> ClockId {
        match self {
            Self::Monotonic => ClockId::Monotonic,
            Self::Raw => ClockId::MonotonicRaw,
            Self::Boot => ClockId::Boottime,
        }
    }
}

/// Without a vDSO, rustix makes the system call.
#[cold]
fn by_system_call(clock: KernelClock) -> Timespec {
    let now = rustix::time::clock_gettime(clock.id());
    Timespec { seconds: now.tv_sec, nanoseconds: now.tv_nsec }
}
