//! System calls without libc: its `errno` lies in thread-local storage, which belongs to somebody else
//! while the interrupted thread runs with another FS base.

use core::arch::asm;

/// This thread's number.
pub(crate) fn thread() -> i32 {
    i32::try_from(call(libc::SYS_gettid, [0; 6])).unwrap_or(i32::MAX)
}

/// What a clock showed.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timespec {
    pub(crate) seconds: u64,
    pub(crate) nanos: u64,
}

/// Reads a clock, also where user code may not read the counter.
pub(crate) fn clock(number: libc::clockid_t) -> Timespec {
    let mut time = Timespec::default();
    let number = usize::try_from(number).unwrap_or(0);
    call(libc::SYS_clock_gettime, [number, address(&raw mut time), 0, 0, 0, 0]);
    time
}

/// Has RDTSC read the counter on this thread, or raise SIGSEGV.
pub(crate) fn let_read_counter(reads: bool) {
    let mode = if reads { libc::PR_TSC_ENABLE } else { libc::PR_TSC_SIGSEGV };
    let [option, mode] = [libc::PR_SET_TSC, mode].map(|it| usize::try_from(it).unwrap_or(0));
    call(libc::SYS_prctl, [option, mode, 0, 0, 0, 0]);
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn monotonic_nanos() -> u64 {
    let time = clock(libc::CLOCK_MONOTONIC);
    time.seconds.wrapping_mul(1_000_000_000).wrapping_add(time.nanos)
}

/// Whether an address lies in the kernel's code for user space (the vDSO).
pub(crate) fn is_vdso(address: usize) -> bool {
    // WHY: no safe wrapper for this entry of the auxiliary vector.
    // SAFETY: no precondition; 0 means absent.
    let start = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let start = usize::try_from(start).unwrap_or(0);
    start != 0 && address.checked_sub(start).is_some_and(|offset| offset < VDSO_LEN)
}

/// The signals that wait for this thread, as a set.
pub(crate) fn pending_signals() -> u64 {
    let mut pending = 0_u64;
    call(libc::SYS_rt_sigpending, [address(&raw mut pending), 8, 0, 0, 0, 0]);
    pending
}

/// Whether eight bytes can be read there: the kernel looks for us, and a fault costs it nothing.
///
/// It reads a signal mask from them and then refuses what we ask for, which does not exist.
/// (`process_vm_readv` would do, but does not reach the clock pages.)
pub(crate) fn is_readable(at: usize) -> bool {
    const NO_SUCH_WAY: usize = usize::MAX;
    let result = call(libc::SYS_rt_sigprocmask, [NO_SUCH_WAY, at, 0, 8, 0, 0]);
    result == -i64::from(libc::EINVAL)
}

fn address<T>(of: *const T) -> usize {
    of.expose_provenance()
}

fn call(number: i64, arguments: [usize; 6]) -> i64 {
    let result: i64;
    // WHY: libc's wrappers write `errno`; see above.
    // SAFETY: only called with the numbers above, whose pointers are to locals of their callers with
    // the sizes that the kernel expects. The kernel clobbers RCX and R11 alone.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _, options(nostack),
        );
    }
    result
}

/// Two pages of code on x86-64.
const VDSO_LEN: usize = 8_192;
