//! The time-stamp counter, and what CPUID says of the machine.

use core::arch::x86_64::{__cpuid, __cpuid_count, _mm_lfence, _rdtsc};

/// A time-stamp counter that the kernel has taken for its clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tsc(());

impl Tsc {
    /// The counter. Whether it may be *relied on* is for the caller to establish.
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The counter's ticks, read after everything before it has executed.
    #[inline]
    pub(crate) fn read(self) -> u64 {
        // WHY: the intrinsic is unsafe only for CPUs without SSE2.
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_lfence() };
        // WHY: the intrinsic is unsafe only for CPUs without RDTSC.
        // SAFETY: RDTSC is part of x86-64.
        unsafe { _rdtsc() }
    }
}

/// What CPUID reports. In a virtual machine it is the hypervisor's word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu;

impl Cpu {
    /// Runs at one rate in all power states, and does not stop (leaf 0x8000_0007, EDX bit 8).
    pub(crate) fn has_invariant_tsc() -> bool {
        leaf(0x8000_0007, 0).is_some_and(|[.., edx]| edx & 1 << 8 != 0)
    }

    /// A hypervisor announces itself (leaf 1, ECX bit 31).
    pub(crate) fn has_hypervisor() -> bool {
        leaf(1, 0).is_some_and(|[_, _, ecx, _]| ecx & 1 << 31 != 0)
    }

    /// Intel SGX (leaf 7, EBX bit 2).
    pub(crate) fn has_sgx() -> bool {
        leaf(7, 0).is_some_and(|[_, ebx, ..]| ebx & 1 << 2 != 0)
    }

    /// Restricted transactional memory (leaf 7, EBX bit 11), whether or not it ever commits.
    pub(crate) fn has_rtm() -> bool {
        leaf(7, 0).is_some_and(|[_, ebx, ..]| ebx & 1 << 11 != 0)
    }

    /// The vendor, family, model and stepping, as in `/proc/cpuinfo`.
    pub(crate) fn model() -> ([u8; 12], u32, u32, u32) {
        let [_, ebx, ecx, edx] = leaf(0, 0).unwrap_or_default();
        let mut vendor = [0; 12];
        for (bytes, register) in vendor.chunks_mut(4).zip([ebx, edx, ecx]) {
            bytes.copy_from_slice(&register.to_le_bytes());
        }
        let [eax, ..] = leaf(1, 0).unwrap_or_default();
        let (base_family, base_model) = (eax >> 8 & 0xf, eax >> 4 & 0xf);
        // The extended family is added, not put above: 15 + 10 is AMD's family 25.
        let extended = if base_family == 0xf { eax >> 20 & 0xff } else { 0 };
        let family = base_family.saturating_add(extended);
        (vendor, family, base_model | (eax >> 16 & 0xf) << 4, eax & 0xf)
    }
}

/// EAX, EBX, ECX, EDX of a leaf that this CPU has.
fn leaf(number: u32, subleaf: u32) -> Option<[u32; 4]> {
    let highest = __cpuid(number & 0x8000_0000).eax;
    let found = __cpuid_count(number, subleaf);
    (number <= highest).then_some([found.eax, found.ebx, found.ecx, found.edx])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_one_that_the_kernel_shows() {
        let shown = std::fs::read_to_string("/proc/cpuinfo").expect("a proc file system");
        let number = |key: &str| {
            let line = shown.lines().find(|line| line.split(':').next().unwrap().trim() == key);
            line.and_then(|line| line.split(':').nth(1)?.trim().parse::<u32>().ok())
        };
        let (_, family, model, stepping) = Cpu::model();
        let model = [Some(family), Some(model), Some(stepping)];
        assert_eq!(model, ["cpu family", "model", "stepping"].map(number));
    }
}
