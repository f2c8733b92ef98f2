//! The way into an enclave: the function that the kernel's vDSO has on machines with SGX.
//!
//! The runner calls `__vdso_sgx_enter_enclave`, which this object defines. On the device it jumps to
//! the kernel's; under emulation its own ENCLU traps. The instruction at the AEP, where an exit lands,
//! is preceded by the test's turn: that is where a hostile host has the thread too.

use super::exit::{Cause, Exit, Then, hook};
use super::table::{self, Thread};
use super::{frame, preempt, steps, timer};
use std::arch::global_asm;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The kernel's own function, when enclaves run on the device; zero under emulation.
#[unsafe(no_mangle)]
static TLEASE_SGX_DEVICE: AtomicUsize = AtomicUsize::new(0);

/// From now on enclaves are entered by the kernel's function at this address.
pub(crate) fn use_device(function: usize) {
    TLEASE_SGX_DEVICE.store(function, SeqCst);
}

// WHY: the calling convention is the vDSO's own, which no Rust function has: the registers of the
// enclave's interface pass through it both ways.
// SAFETY: as `arch/x86/entry/vdso/vsgx.S` documents: RBX, RBP and RSP are kept, the seventh argument
// is the run structure, and ENCLU is entered with the leaf, the TCS and the AEP in place. Calls of
// Rust functions find the stack aligned.
global_asm!(
    ".globl __vdso_sgx_enter_enclave",
    ".type __vdso_sgx_enter_enclave, @function",
    "__vdso_sgx_enter_enclave:",
    "mov rax, [rip + {device}]",
    "test rax, rax",
    "jz 1f",
    "jmp rax",
    "1:",
    "push rbp",
    "mov rbp, rsp",
    "push rbx",
    "sub rsp, 8",
    "push rdi",
    "push rsi",
    "push rdx",
    "push rcx",
    "push r8",
    "push r9",
    "push r10",
    "sub rsp, 8",
    "mov rdi, [rbp + 16]",
    "call {before}",
    "add rsp, 8",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "mov rbx, [rbp + 16]",
    "mov rbx, [rbx]",
    "mov eax, ecx",
    "lea rcx, [rip + 4f]",
    "enclu", // EENTER; EEXIT comes back behind it
    "mov rbx, [rbp + 16]",
    "mov [rbx + 8], eax",
    "2:",
    "xor eax, eax",
    "lea rsp, [rbp - 8]",
    "pop rbx",
    "pop rbp",
    "ret",
    "4:", // the AEP
    "lea rsp, [rbp - 16]",
    "mov rdi, [rbp + 16]",
    "call {at_exit}",
    "test eax, eax",
    "jnz 2b",
    "mov rbx, [rbp + 16]",
    "mov rbx, [rbx]",
    "mov eax, 3",
    "lea rcx, [rip + 4b]",
    "enclu", // ERESUME
    "ud2",
    device = sym TLEASE_SGX_DEVICE,
    before = sym before_entry,
    at_exit = sym at_exit,
);

/// `struct sgx_enclave_run` of the kernel.
#[repr(C)]
struct Run {
    tcs: u64,
    function: u32,
    exception_vector: u16,
    exception_error_code: u16,
    exception_address: u64,
}

/// Outside, before EENTER: what handlers need of this thread.
extern "C" fn before_entry(run: &Run) {
    let Some(thread) = table::by_tcs(run.tcs) else { return };
    thread.preemptions.store(EVENT.with(|event| *event), SeqCst);
    // WHY: signals are sent to the kernel's number of a thread.
    // SAFETY: takes nothing.
    thread.thread_id.store(unsafe { libc::gettid() }, SeqCst);
    STACK.with(|stack| stack.get());
    if let Err(error) = timer::prepare() {
        eprintln!("no timer, hence no exits by it: {error}");
    }
    if steps::is_kept_at_call(thread) {
        let count = thread.exits.load(SeqCst);
        let exit =
            Exit { thread: thread.number(), count, offset: 0, cause: Cause::Call, steps: None };
        // There is no ERESUME that could be left out: it comes back in any case.
        let _ = hook(&exit);
    }
}

/// Outside, after an asynchronous exit. Zero resumes, anything else returns to the runner.
extern "C" fn at_exit(run: &mut Run) -> u32 {
    let Some(thread) = table::by_tcs(run.tcs) else { return 1 };
    let exit = describe(thread);
    let then = hook(&exit);
    if let Cause::Fault(vector) = exit.cause {
        eprintln!(
            "[emulated SGX] {} at {:#x} inside, thread {}",
            exit.cause, exit.offset, exit.thread
        );
        run.function = 3; // ERESUME, by which the kernel says that the enclave faulted
        run.exception_vector = vector.into();
        run.exception_error_code = thread.fault_error.load(SeqCst) as u16;
        run.exception_address = thread.fault_address.load(SeqCst);
        return 1;
    }
    if then == Then::Abandon {
        loop {
            std::thread::park();
        }
    }
    timer::again();
    0
}

fn describe(thread: &Thread) -> Exit {
    let cause = Cause::decoded(thread.cause.load(SeqCst));
    Exit {
        thread: thread.number(),
        count: thread.exits.load(SeqCst),
        offset: frame::saved_instruction(thread) - thread.enclave().base.load(SeqCst) as u64,
        cause,
        steps: if cause == Cause::Step { steps::done(thread) } else { None },
    }
}

thread_local! {
    /// The thread's event for preemptions.
    static EVENT: libc::c_int = preempt::open();
    /// Whether it has a stack for handlers, which need more than the standard library gives it.
    static STACK: HandlerStack = HandlerStack::new();
}

/// A stack for handlers, never freed: a signal may come until the thread ends.
struct HandlerStack(Cell<bool>);

impl HandlerStack {
    fn new() -> Self {
        let stack = vec![0_u8; HANDLER_STACK].leak();
        let stack =
            libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: HANDLER_STACK };
        // WHY: the enclave's own stack is not the host's to write to.
        // SAFETY: the memory is leaked above, and no handler runs on the old one now.
        let result = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
        Self(Cell::new(result == 0))
    }

    fn get(&self) -> bool {
        self.0.get()
    }
}

/// A frame of the kernel's with all extended state, and our own unoptimised ones.
const HANDLER_STACK: usize = 128 << 10;
