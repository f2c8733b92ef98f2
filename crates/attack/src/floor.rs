//! The bare floors that the guard is measured against: the same clock reads in the same transaction,
//! one store, one comparison, and nothing else.

use std::sync::atomic::AtomicU64;

use nix::libc;

/// The least that a guarded store can cost on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    #[cfg(target_arch = "x86_64")]
    clock_gettime: usize,
}

/// Which clocks a floor reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// `CLOCK_MONOTONIC_RAW`.
    Raw,
    /// `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`, `CLOCK_MONOTONIC_RAW`.
    Three,
}

/// The counter, read after everything before it has executed: the least that any check costs that reads it. `None` where
/// there is none.
#[cfg(target_arch = "x86_64")]
#[inline]
#[must_use]
pub fn fenced_counter() -> Option<u64> {
    // WHY: the intrinsic is unsafe only for CPUs without SSE2.
    // SAFETY: SSE2 is part of x86-64.
    unsafe { std::arch::x86_64::_mm_lfence() };
    // WHY: the intrinsic is unsafe only for CPUs without RDTSC.
    // SAFETY: RDTSC is part of x86-64.
    Some(unsafe { std::arch::x86_64::_rdtsc() })
}

/// `None`: no profile reads a counter here.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub const fn fenced_counter() -> Option<u64> {
    None
}

impl Floor {
    /// `None` without transactions or without a vDSO.
    #[must_use]
    pub fn find() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("rtm") {
            return x86_64::vdso_clock_gettime().map(|clock_gettime| Self { clock_gettime });
        }
        None
    }

    /// One try of a guarded store: XBEGIN; store; LFENCE; clocks; compare; XEND. Whether it committed.
    #[inline]
    #[must_use]
    pub fn store(&self, clocks: Clocks, deadline_ns: u64, target: &AtomicU64, value: u64) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match clocks {
            Clocks::Raw => x86_64::store_raw(self.clock_gettime, deadline_ns, target, value),
            Clocks::Three => x86_64::store_three(self.clock_gettime, deadline_ns, target, value),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return {
            let _ = (clocks, deadline_ns, target, value);
            false
        };
    }

    /// One clock read, by the same function: the raw clock, in ns.
    #[inline]
    #[must_use]
    pub fn read(&self, clock: i32) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        #[cfg(target_arch = "x86_64")]
        x86_64::read(self.clock_gettime, clock, &mut now);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (clock, &mut now);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;
    use std::sync::atomic::AtomicU64;

    use nix::libc;

    /// The kernel's own function, by its name in the vDSO.
    pub(super) fn vdso_clock_gettime() -> Option<usize> {
        // WHY: the loader's list has no safe wrapper.
        // SAFETY: names end in NUL; an object that is loaded already is only looked up.
        let vdso = unsafe {
            libc::dlopen(c"linux-vdso.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD)
        };
        if vdso.is_null() {
            return None;
        }
        // WHY: as above.
        // SAFETY: a handle from dlopen, never closed.
        let found = unsafe { libc::dlsym(vdso, c"__vdso_clock_gettime".as_ptr()) };
        (!found.is_null()).then(|| found.expose_provenance())
    }

    pub(super) fn read(clock_gettime: usize, clock: i32, now: &mut libc::timespec) {
        // WHY: the function was found by its name.
        // SAFETY: the vDSO's C ABI; it writes the timespec only.
        unsafe {
            asm!("call {}", in(reg) clock_gettime, in("edi") clock, in("rsi") now,
                clobber_abi("C"));
        }
    }

    macro_rules! floor {
        ($name:ident, $($clock:literal),+) => {
            #[inline]
            pub(super) fn $name(
                clock_gettime: usize,
                deadline_ns: u64,
                target: &AtomicU64,
                value: u64,
            ) -> bool {
                let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                let committed: u32;
                // WHY: stable Rust has no RTM intrinsic, and one block is the floor.
                // SAFETY: called only where CPUID reports RTM. Calls follow the C ABI on an aligned
                // stack; an abort restores registers and memory and resumes at the label.
                unsafe {
                    asm!(
                        "mov eax, -1",
                        "xbegin 2f",
                        "mov [{target}], {value}",
                        "lfence",
                        $(concat!("mov edi, ", $clock), "mov rsi, {now}", "call {clock_gettime}",)+
                        "imul rax, [{now}], 1000000000",
                        "add rax, [{now} + 8]",
                        "cmp rax, {deadline}",
                        "jae 3f",
                        "xend",
                        "mov eax, -1",
                        "jmp 2f",
                        "3: xabort 1",
                        "2:",
                        target = in(reg) target.as_ptr(),
                        value = in(reg) value,
                        now = in(reg) &mut now,
                        clock_gettime = in(reg) clock_gettime,
                        deadline = in(reg) deadline_ns,
                        lateout("eax") committed,
                        clobber_abi("C"),
                    );
                }
                committed == u32::MAX
            }
        };
    }
    floor!(store_raw, "4");
    floor!(store_three, "1", "7", "4");
}
