//! A timekeeper's work: a chain of dependent multiplications, and the counter after it.

use core::arch::asm;
use core::arch::x86_64::{_mm_lfence, _rdtsc};

use tlease_core::time::Ticks;

use crate::enclave::BEAT_LINKS;

/// A chain of multiplications, each of which needs the result of the one before.
///
/// The factor is odd and 3 modulo 8, so that the chain does not repeat within 2^62 links, and both come
/// from the counter: the CPU can neither know a result nor predict it, so it has to execute every
/// link. (A value that is squared instead is 1 after 62 links.)
#[derive(Debug)]
pub(crate) struct Chain {
    value: u64,
    factor: u64,
}

impl Chain {
    /// A chain that begins with what the counter shows.
    pub(crate) fn begin() -> Self {
        let Ticks(seed) = counter();
        Self { value: seed | 1, factor: (seed << 3) | 3 }
    }

    /// Executes the links of one beat, then reads the counter.
    ///
    /// The reading comes after all links have executed, and after earlier stores by exchange have become
    /// visible to everybody. The links of the next beat begin after that too, beside whatever is done
    /// with this reading.
    #[inline]
    pub(crate) fn beat(&mut self) -> Ticks {
        const ROUNDS: u64 = BEAT_LINKS / 16;
        const { assert!(BEAT_LINKS == ROUNDS * 16, "whole rounds") };
        // WHY: the compiler would fold the chain, or move the counter's reading into it.
        // SAFETY: only registers are used.
        unsafe {
            asm!(
                "2:",
                "imul {value}, {factor}", "imul {value}, {factor}", "imul {value}, {factor}",
                "imul {value}, {factor}", "imul {value}, {factor}", "imul {value}, {factor}",
                "imul {value}, {factor}", "imul {value}, {factor}", "imul {value}, {factor}",
                "imul {value}, {factor}", "imul {value}, {factor}", "imul {value}, {factor}",
                "imul {value}, {factor}", "imul {value}, {factor}", "imul {value}, {factor}",
                "imul {value}, {factor}",
                "dec {rounds}",
                "jnz 2b",
                value = inout(reg) self.value,
                factor = in(reg) self.factor,
                rounds = inout(reg) ROUNDS => _,
                options(nostack),
            );
        }
        counter_early()
    }
}

/// The time-stamp counter of the calling thread, read after everything before it has executed, and
/// before anything after it does.
#[inline(always)]
pub(crate) fn counter() -> Ticks {
    // WHY: the intrinsic is unsafe only for CPUs without SSE2.
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_lfence() };
    // WHY: the intrinsic is unsafe only for CPUs without RDTSC.
    // SAFETY: RDTSC is part of x86-64, and of enclaves since SGX2.
    let ticks = unsafe { _rdtsc() };
    // WHY: as above.
    // SAFETY: as above.
    unsafe { _mm_lfence() };
    Ticks(ticks)
}

/// As [`counter`], but what follows may begin before: for a check that compares the reading with words
/// which nothing orders with it.
#[inline(always)]
pub(crate) fn counter_early() -> Ticks {
    // WHY: the intrinsic is unsafe only for CPUs without SSE2.
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_lfence() };
    // WHY: the intrinsic is unsafe only for CPUs without RDTSC.
    // SAFETY: RDTSC is part of x86-64, and of enclaves since SGX2.
    Ticks(unsafe { _rdtsc() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_neither_stops_nor_repeats_and_the_counter_advances() {
        let mut chain = Chain::begin();
        let mut seen = std::collections::BTreeSet::new();
        let mut last = Ticks(0);
        for _ in 0..1_000 {
            let now = chain.beat();
            assert!(now > last);
            last = now;
            assert!(seen.insert(chain.value), "a value came again");
        }
    }
}
