//! Executed cycles: a chain of dependent multiplications, timed with the counter.

use core::arch::asm;

use super::rtm::Rtm;

/// The counter's ticks for a chain of `links` x 16 dependent `imul`s, uninterrupted: inside one
/// transaction. `None` if it was interrupted.
///
/// The value and its factor come from the counter, so that the CPU cannot know them. (Chains of dependent
/// increments and additions of constants are folded at rename on recent cores and measure nothing; a
/// value that is squared is 1 after 62 links.)
pub(crate) fn imul_chain_ticks(_rtm: Rtm, links: u32) -> Option<u64> {
    let (begin, end): (u64, u64);
    let committed: u32;
    // WHY: the compiler would neither keep the chain nor leave the counter reads where they are.
    // SAFETY: `Rtm` exists only if CPUID reports RTM; XEND follows the XBEGIN or is jumped over. Only
    // registers are written; an abort restores all but EAX and resumes at the label.
    unsafe {
        asm!(
            "xor {begin}, {begin}",
            "xor {end}, {end}",
            "mov eax, -1",
            "xbegin 3f",
            "lfence",
            "rdtsc",
            "lfence",
            "shl rdx, 32",
            "or rax, rdx",
            "mov {begin}, rax",
            "or rax, 1",
            "lea rdx, [rax * 8 + 3]",
            "2:",
            "imul rax, rdx", "imul rax, rdx", "imul rax, rdx", "imul rax, rdx",
            "imul rax, rdx", "imul rax, rdx", "imul rax, rdx", "imul rax, rdx",
            "imul rax, rdx", "imul rax, rdx", "imul rax, rdx", "imul rax, rdx",
            "imul rax, rdx", "imul rax, rdx", "imul rax, rdx", "imul rax, rdx",
            "dec {links:e}",
            "jnz 2b",
            "lfence",
            "rdtsc",
            "shl rdx, 32",
            "or rax, rdx",
            "mov {end}, rax",
            "xend",
            "mov eax, -1",
            "3:",
            begin = out(reg) begin,
            end = out(reg) end,
            links = inout(reg) links.max(1) => _,
            out("eax") committed,
            out("rdx") _,
            options(nostack),
        );
    }
    (committed == u32::MAX).then(|| end.checked_sub(begin))?
}
