//! The probes.

use sgx_isa::Report;
use std::arch::asm;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

pub(crate) fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["report"] => report(),
        ["registers", rounds] => registers(number(rounds)),
        ["mark", rounds] => mark(number(rounds)),
        ["counter", rounds] => counter(number(rounds)),
        ["acts", way, share, rounds] => acts(way, share, number(rounds)),
        ref other => panic!("no probe: {other:?}"),
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

/// What EREPORT says of this enclave.
fn report() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    println!("mrenclave {}", hex(&Report::for_self().mrenclave));
}

/// Whether exits leave the registers as they were.
fn registers(rounds: u64) {
    let mut wrong = 0_u64;
    for round in 0..rounds {
        wrong += u64::from(!holds(round));
    }
    println!("registers wrong {wrong} of {rounds}");
}

/// Fills registers of every kind, spins, and compares.
fn holds(seed: u64) -> bool {
    let value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let different: u64;
    // WHY: only assembly can name registers.
    // SAFETY: uses registers that it declares, and its own red zone not at all.
    unsafe {
        asm!(
            "mov r8, {value}",
            "lea r9, [r8 + 1]",
            "lea r10, [r8 + 2]",
            "lea r11, [r8 + 3]",
            "lea r12, [r8 + 4]",
            "lea r13, [r8 + 5]",
            "movq xmm0, r8",
            "movq xmm15, r13",
            "mov ecx, 2000",
            "2:",
            "stc",
            "dec ecx", // keeps CF
            "jnc 4f",
            "jnz 2b",
            "lea r9, [r9 - 1]",
            "lea r10, [r10 - 2]",
            "lea r11, [r11 - 3]",
            "lea r12, [r12 - 4]",
            "lea r13, [r13 - 5]",
            "xor r9, r8",
            "xor r10, r8",
            "xor r11, r8",
            "xor r12, r8",
            "xor r13, r8",
            "movq rax, xmm0",
            "xor rax, r8",
            "or rax, r9",
            "or rax, r10",
            "or rax, r11",
            "or rax, r12",
            "or rax, r13",
            "movq r9, xmm15",
            "sub r9, 5",
            "xor r9, r8",
            "or rax, r9",
            "jmp 5f",
            "4:",
            "mov eax, 1",
            "5:",
            value = in(reg) value,
            out("rax") different,
            out("rcx") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
            out("r13") _, out("xmm0") _, out("xmm15") _,
            options(nostack),
        );
    }
    different == 0
}

/// How often a mark in the State Save Area is lost in so many looks, each after a short spin.
fn mark(rounds: u64) {
    let mark = Mark::of_this_thread();
    let mut lost = 0_u64;
    for _ in 0..rounds {
        mark.arm();
        for _ in 0..64 {
            core::hint::spin_loop();
        }
        lost += u64::from(!mark.is_armed());
    }
    println!("marks lost {lost} of {rounds}");
}

/// What the counter does between readings.
fn counter(rounds: u64) {
    let (mut back, mut leap) = (0_u64, 0_u64);
    let mut before = ticks();
    for _ in 0..rounds {
        let now = ticks();
        back = back.max(before.saturating_sub(now));
        leap = leap.max(now.saturating_sub(before));
        before = now;
    }
    println!("counter back {back} leap {leap}");
}

fn ticks() -> u64 {
    // WHY: there is no safe form.
    // SAFETY: reads a register.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// So many acts of the miniature guard, or of its control without one, on a page of the host.
fn acts(way: &str, share: &str, rounds: u64) {
    let page = Page(usize::from_str_radix(share, 16).expect("an address"));
    let mark = Mark::of_this_thread();
    let (mut done, mut refused) = (0_u64, 0_u64);
    while done + refused < rounds {
        // The judge gives the lease back when it has seen what became of the last act.
        while page.word(VALID).load(SeqCst) != 1 {
            core::hint::spin_loop();
        }
        mark.arm();
        let did = match way {
            "guarded" => guarded_act(&mark, page.word(VALID), page.word(EFFECTS)),
            "unguarded" => unguarded_act(page.word(VALID), page.word(EFFECTS)),
            "unmarked" => unmarked_act(page.word(VALID), page.word(EFFECTS)),
            other => panic!("no way to act: {other}"),
        };
        done += u64::from(did);
        refused += u64::from(!did);
        page.word(FINISHED).fetch_add(1, SeqCst);
    }
    println!("acts done {done} refused {refused}");
}

/// Words of the page, as the attacks know them.
const VALID: usize = 16;
const EFFECTS: usize = 17;
const FINISHED: usize = 18;

/// Checks mark and validity and acts in one transaction; whether it did.
///
/// A refusal after an exit costs nothing here: the next call arms anew.
#[inline(never)]
#[unsafe(no_mangle)]
fn guarded_act(mark: &Mark, valid: &AtomicU64, effects: &AtomicU64) -> bool {
    let status: u64;
    // WHY: there is no stable form of transactions.
    // SAFETY: reads two words and writes one, all of them atomics that the arguments name.
    unsafe {
        asm!(
            "xor ecx, ecx",
            "mov eax, -1",
            "xbegin 3f",
            "cmp [{mark}], {armed}",
            "jne 2f",
            "cmp qword ptr [{valid}], 1",
            "jne 2f",
            "mov rdx, [{effects}]",
            "inc rdx",
            "mov [{effects}], rdx",
            "xend",
            "mov ecx, 1",
            "jmp 3f",
            "2: xabort 1",
            "3:",
            mark = in(reg) mark.0,
            armed = in(reg) ARMED,
            valid = in(reg) valid.as_ptr(),
            effects = in(reg) effects.as_ptr(),
            out("rax") _, out("rcx") status, out("rdx") _,
            options(nostack),
        );
    }
    status == 1
}

/// The control: checks, then acts.
#[inline(never)]
#[unsafe(no_mangle)]
fn unguarded_act(valid: &AtomicU64, effects: &AtomicU64) -> bool {
    if valid.load(SeqCst) != 1 {
        return false;
    }
    effects.fetch_add(1, SeqCst);
    true
}

/// The control with a transaction that does not look at validity again.
#[inline(never)]
#[unsafe(no_mangle)]
fn unmarked_act(valid: &AtomicU64, effects: &AtomicU64) -> bool {
    if valid.load(SeqCst) != 1 {
        return false;
    }
    let status: u64;
    // WHY: there is no stable form of transactions.
    // SAFETY: writes one word, an atomic that the argument names.
    unsafe {
        asm!(
            "xor ecx, ecx",
            "mov eax, -1",
            "xbegin 3f",
            "mov rdx, [{effects}]",
            "inc rdx",
            "mov [{effects}], rdx",
            "xend",
            "mov ecx, 1",
            "3:",
            effects = in(reg) effects.as_ptr(),
            out("rax") _, out("rcx") status, out("rdx") _,
            options(nostack),
        );
    }
    status == 1
}

/// A page of the host.
struct Page(usize);

impl Page {
    fn word(&self, index: usize) -> &AtomicU64 {
        let word = std::ptr::with_exposed_provenance_mut(self.0 + index * 8);
        // WHY: the host's memory has no name in Rust.
        // SAFETY: the host gave the address of a page that it keeps, and this test trusts it.
        unsafe { AtomicU64::from_ptr(word) }
    }
}

/// The word of the State Save Area where the processor writes RIP.
struct Mark(*mut u64);

const ARMED: u64 = u64::from_be_bytes(*b"PROBE ME");

impl Mark {
    /// The image has one page for the TCS, and one frame of one page behind it.
    fn of_this_thread() -> Self {
        let tcs = std::os::fortanix_sgx::thread::current().as_ptr().addr();
        Self(std::ptr::with_exposed_provenance_mut(tcs + 2 * 4096 - 184 + 136))
    }

    fn arm(&self) {
        self.word().store(ARMED, SeqCst);
    }

    fn is_armed(&self) -> bool {
        self.word().load(SeqCst) == ARMED
    }

    fn word(&self) -> &AtomicU64 {
        // WHY: the State Save Area has no name in Rust.
        // SAFETY: a mapped, aligned word of this thread's own frame.
        unsafe { AtomicU64::from_ptr(self.0) }
    }
}
