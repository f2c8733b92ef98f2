//! Instructions and system calls that handlers need, and nothing of the C library's state with them.

use std::arch::asm;

/// The bases of FS and GS, which tell an enclave's thread-local memory from the host's.
pub(super) fn fs() -> u64 {
    let value;
    // WHY: within an enclave the C library's thread pointer is not there to ask.
    // SAFETY: reads a register. The loader refuses a processor or kernel without FSGSBASE.
    unsafe { asm!("rdfsbase {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

pub(super) fn gs() -> u64 {
    let value;
    // WHY: as above.
    // SAFETY: as above.
    unsafe { asm!("rdgsbase {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Makes both bases those of the other side. From here to the handler's return nothing may use
/// thread-local memory; what follows is plain code of this crate.
pub(super) fn set_bases(bases: super::frame::Bases) {
    // WHY: entering and leaving an enclave changes them.
    // SAFETY: the handler that calls this is about to return to the side that they belong to.
    unsafe { asm!("wrfsbase {}", in(reg) bases.fs, options(nostack, preserves_flags)) };
    // WHY: as above.
    // SAFETY: as above.
    unsafe { asm!("wrgsbase {}", in(reg) bases.gs, options(nostack, preserves_flags)) };
}

/// The counter itself; the caller has made sure that this thread may read it.
pub(super) fn tsc() -> u64 {
    // WHY: this is what a trapped RDTSC would have read.
    // SAFETY: reads a register.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// A system call that writes no memory; its result, with errors as negative numbers.
pub(super) fn call(number: libc::c_long, arguments: [i64; 4]) -> i64 {
    let result: i64;
    // WHY: the C library's wrappers write `errno` through FS, which may be the enclave's.
    // SAFETY: the callers pass numbers alone, or the address of a local that the kernel reads, and calls
    // that write no memory of this process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The bytes of an instruction that faulted, or zeros when they cannot be read.
pub(super) fn instruction(address: u64) -> [u8; 3] {
    let mut bytes = [0_u8; 3];
    let to = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let from = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0)),
        iov_len: bytes.len(),
    };
    let own = call(libc::SYS_getpid, [0; 4]);
    let result: i64;
    // WHY: a thread that jumped into nothing has no instruction to look at, and looking would fault
    // in the handler.
    // SAFETY: the kernel writes at most the three bytes, and reads what it can.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") libc::SYS_process_vm_readv => result,
            in("rdi") own,
            in("rsi") &raw const to,
            in("rdx") 1,
            in("r10") &raw const from,
            in("r8") 1,
            in("r9") 0,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if result == 3 { bytes } else { [0; 3] }
}

/// Whether user code may read and write the bases of FS and GS.
pub(super) fn has_fsgsbase() -> bool {
    const HWCAP2_FSGSBASE: u64 = 1 << 1;
    // WHY: only the kernel knows whether it turned the instructions on.
    // SAFETY: takes a number.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}
