//! The mark that an asynchronous exit wipes: a word of the State Save Area.
//!
//! On every asynchronous exit (interrupt, exception, VM exit, SMI) the processor saves the thread's
//! registers into the current frame of its State Save Area. RIP is always among them, and a RIP is a
//! canonical address: a word there that is none is lost by the first exit, and only by it.
//!
//! Which frame: the image gives each TCS one (NSSA = 1), so the first exit fills the only one, and
//! the processor refuses EENTER until ERESUME has emptied it. There is no frame without the mark.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{SAVE_AREA_AFTER_TCS, tcs, words};
use crate::arch::{MarkWord, PAGE};
use crate::stay::NoMarks;

/// The mark's word in the calling thread's State Save Area.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExitMark(&'static AtomicU64);

impl ExitMark {
    /// What the word holds while no exit has happened: no canonical address, so never a RIP.
    pub(super) const ARMED: u64 = u64::from_be_bytes(*b"TL-EXIT?");

    /// Finds the calling thread's save area, and waits for an exit that proves that it is one.
    ///
    /// The proof: random values that were only in registers, and a RIP within the loop that waited,
    /// stand where the processor is said to save them. Neither the host nor other code of this
    /// enclave knows them. The host chooses when an exit comes: it can delay this, not fake it.
    ///
    /// # Errors
    /// The layout is another one, or nothing interrupts this thread.
    pub(super) fn find() -> Result<Self, NoMarks> {
        let frame = tcs().wrapping_add(SAVE_AREA_AFTER_TCS);
        let registers = frame.wrapping_add(FRAME).wrapping_sub(GPRS_BYTES);
        let gprs = words::<GPRS>(registers).ok_or(NoMarks::NotInEnclave)?;
        for _ in 0..PROOFS_MAX {
            match prove(gprs) {
                Proof::Proved => return Ok(Self(&gprs[RIP])),
                Proof::Elsewhere => {}
                Proof::NotInterrupted => return Err(NoMarks::NeverInterrupted),
            }
        }
        Err(NoMarks::NotTheSaveArea)
    }

    #[inline]
    pub(super) fn arm(self) {
        self.0.store(Self::ARMED, Ordering::SeqCst);
    }

    /// The word, and what it holds while armed.
    #[inline]
    pub(super) fn word(self) -> MarkWord {
        MarkWord { address: self.0.as_ptr(), armed: Self::ARMED }
    }

    #[inline]
    pub(super) fn is_armed(self) -> bool {
        self.0.load(Ordering::SeqCst) == Self::ARMED
    }
}

enum Proof {
    Proved,
    /// The mark went, and what stands there are not this thread's registers.
    Elsewhere,
    NotInterrupted,
}

/// Arms the mark, spins with secrets in registers until it is gone, and looks for them.
fn prove(gprs: &[AtomicU64; GPRS]) -> Proof {
    let secrets = [random(), random()];
    let left: u64;
    let (begin, end): (u64, u64);
    // WHY: which registers hold what, and where the loop begins and ends, has no name in Rust.
    // SAFETY: writes the one word that the pointer names, an atomic of this enclave; the other
    // accesses are reads of it, and the registers are named.
    unsafe {
        asm!(
            "lea {begin}, [rip + 2f]",
            "lea {end}, [rip + 4f]",
            "mov [{rip}], {armed}",
            "2:",
            "cmp [{rip}], {armed}",
            "jne 3f",
            "dec {left}",
            "jnz 2b",
            "3:",
            "nop",
            "4:",
            begin = out(reg) begin,
            end = out(reg) end,
            rip = in(reg) gprs[RIP].as_ptr(),
            armed = in(reg) ExitMark::ARMED,
            left = inout(reg) SPINS_MAX => left,
            in("r10") secrets[0],
            in("r11") secrets[1],
            options(nostack),
        );
    }
    let saved = |index: usize| gprs[index].load(Ordering::SeqCst);
    if saved(RIP) == ExitMark::ARMED {
        debug_assert_eq!(left, 0);
        return Proof::NotInterrupted;
    }
    let within = (begin..end).contains(&saved(RIP));
    if within && [saved(R10), saved(R11)] == secrets { Proof::Proved } else { Proof::Elsewhere }
}

fn random() -> u64 {
    let mut value = 0;
    // WHY: the intrinsic is unsafe because not every processor has it.
    // SAFETY: the target's definition requires RDRAND.
    while unsafe { core::arch::x86_64::_rdrand64_step(&mut value) } == 0 {}
    value
}

/// Bytes of a frame: SSAFRAMESIZE is one page in the image's ECREATE.
const FRAME: usize = PAGE;
/// The registers stand at the end of a frame (SDM volume 3D, "GPRSGX region").
const GPRS_BYTES: usize = 184;
const GPRS: usize = GPRS_BYTES / 8;
const R10: usize = 10;
const R11: usize = 11;
const RIP: usize = 17;
/// An exit between the loop and the look at it overwrites the proof; so many in a row do not.
const PROOFS_MAX: u32 = 64;
/// Some ten seconds: a kernel without a tick still interrupts a processor once a second.
const SPINS_MAX: u64 = 1 << 34;
