//! Real preemptions as exits: on a processor with SGX a thread that loses its core has left the enclave.
//!
//! The kernel tells by a signal, before the next instruction inside (a software event of `perf` with
//! `sigtrap`, Linux 5.13). Without the right to ask for that, only the signals of the tests are exits.

use super::cpu;
use super::table::Thread;
use std::sync::atomic::Ordering::SeqCst;

/// The event of the calling thread, or -1.
pub(super) fn open() -> libc::c_int {
    let attributes = Attributes {
        kind: PERF_TYPE_SOFTWARE,
        size: 128,
        config: PERF_COUNT_SW_CONTEXT_SWITCHES,
        sample_period: 1,
        sample_type: 0,
        read_format: 0,
        flags: DISABLED | REMOVE_ON_EXEC | SIGTRAP,
        rest: [0; 10],
    };
    // WHY: the C library has no function for this call.
    // SAFETY: the structure is as long as its own field says, and is only read.
    let file =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attributes, 0, -1, -1, 0) };
    libc::c_int::try_from(file).unwrap_or(-1)
}

/// Starts or ends watching, as the thread goes in or out.
pub(super) fn watch(thread: &Thread, inside: bool) {
    let file = thread.preemptions.load(SeqCst);
    if file >= 0 {
        let request = if inside { ENABLE } else { DISABLE };
        cpu::call(libc::SYS_ioctl, [file.into(), request, 0, 0]);
    }
}

/// The first fields of `perf_event_attr`, and zeros.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    rest: [u64; 10],
}

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_CONTEXT_SWITCHES: u64 = 3;
const DISABLED: u64 = 1;
const REMOVE_ON_EXEC: u64 = 1 << 36;
const SIGTRAP: u64 = 1 << 37;
const ENABLE: i64 = 0x2400;
const DISABLE: i64 = 0x2401;
/// How the kernel marks the signal (`si_code`).
pub(super) const TRAP_PERF: i32 = 6;
