//! The registers of an interrupted thread, and the State Save Area in which the processor keeps them.

use super::table::{Identity, Thread};
use std::sync::atomic::Ordering::SeqCst;

/// What the kernel saved of a thread before it called a handler, and restores after it.
#[derive(Debug)]
pub(super) struct Registers<'a>(pub(super) &'a mut libc::ucontext_t);

impl Registers<'_> {
    pub(super) fn get(&self, register: libc::c_int) -> u64 {
        self.0.uc_mcontext.gregs[index(register)].cast_unsigned()
    }

    pub(super) fn set(&mut self, register: libc::c_int, value: u64) {
        self.0.uc_mcontext.gregs[index(register)] = value.cast_signed();
    }

    /// Makes the thread stop after its next instruction, or not.
    pub(super) fn set_stepping(&mut self, steps: bool) {
        let flags = self.get(libc::REG_EFL) & !TRAP_FLAG;
        self.set(libc::REG_EFL, if steps { flags | TRAP_FLAG } else { flags });
    }

    /// The extended state in the standard form of XSAVE, as far as the kernel saved it.
    fn extended(&mut self) -> &mut [u8] {
        let start = self.0.uc_mcontext.fpregs.cast::<u8>();
        if start.is_null() {
            return &mut [];
        }
        // WHY: the kernel's extension of the legacy area has no Rust type.
        // SAFETY: the legacy area of 512 bytes is always there; its software bytes say what follows.
        let legacy = unsafe { std::slice::from_raw_parts(start, LEGACY) };
        let word = |at: usize| {
            legacy[at..at + 4].iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
        };
        let length =
            if word(SOFTWARE) == XSTATE_MAGIC { word(SOFTWARE + 16) as usize } else { LEGACY };
        // WHY: as above.
        // SAFETY: the kernel laid that many bytes into this very frame, and says so in it.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }
}

fn index(register: libc::c_int) -> usize {
    usize::try_from(register).unwrap_or(0)
}

/// Offsets in the general-purpose area, which ends a frame (Intel SDM, volume 3D, 36.9.1.1).
const SAVED: &[(usize, libc::c_int)] = &[
    (0, libc::REG_RAX),
    (8, libc::REG_RCX),
    (16, libc::REG_RDX),
    (24, libc::REG_RBX),
    (32, libc::REG_RSP),
    (40, libc::REG_RBP),
    (48, libc::REG_RSI),
    (56, libc::REG_RDI),
    (64, libc::REG_R8),
    (72, libc::REG_R9),
    (80, libc::REG_R10),
    (88, libc::REG_R11),
    (96, libc::REG_R12),
    (104, libc::REG_R13),
    (112, libc::REG_R14),
    (120, libc::REG_R15),
    (128, libc::REG_EFL),
    (RIP, libc::REG_RIP),
];
const RIP: usize = 136;
const U_RSP: usize = 144;
const U_RBP: usize = 152;
const EXIT_INFO: usize = 160;
const FS_BASE: usize = 168;
const GS_BASE: usize = 176;
const GENERAL: usize = 184;

/// EXITINFO of a hardware exception: its vector, type 3, valid. Zero stands for an interrupt.
pub(super) const fn exit_info(vector: u8) -> u32 {
    1 << 31 | 3 << 8 | vector as u32
}

/// The offset of the current frame's end in the enclave.
fn general(thread: &Thread, number: u64) -> usize {
    let enclave = thread.enclave();
    let first = enclave.view().load(thread.tcs_offset() + TCS_OSSA);
    let frame = enclave.frame_size.load(SeqCst);
    usize::try_from(first).unwrap_or(0) + frame * (usize::try_from(number).unwrap_or(0) + 1)
        - GENERAL
}

fn frame_start(thread: &Thread, number: u64) -> usize {
    general(thread, number) + GENERAL - thread.enclave().frame_size.load(SeqCst)
}

/// The number of the frame that the next exit fills, and how many there are.
pub(super) fn current(thread: &Thread) -> (u64, u64) {
    let word = thread.enclave().view().load(thread.tcs_offset() + TCS_CSSA);
    (word & 0xffff_ffff, word >> 32)
}

fn set_current(thread: &Thread, number: u64) {
    let word = thread.enclave().view().word(thread.tcs_offset() + TCS_CSSA);
    word.store(word.load(SeqCst) & !0xffff_ffff | number, SeqCst);
}

/// EENTER and ERESUME note the stack of the outside in the frame that an exit will fill.
pub(super) fn note_stack(thread: &Thread, registers: &Registers<'_>) {
    let (view, at) = (thread.enclave().view(), general(thread, current(thread).0));
    view.store(at + U_RSP, registers.get(libc::REG_RSP));
    view.store(at + U_RBP, registers.get(libc::REG_RBP));
}

/// What an asynchronous exit writes; the registers become those that the outside finds.
pub(super) fn save(thread: &Thread, registers: &mut Registers<'_>, bases: Bases, exit_info: u32) {
    let (number, _) = current(thread);
    let (view, at) = (thread.enclave().view(), general(thread, number));
    registers.set_stepping(false);
    for (offset, register) in SAVED {
        view.store(at + offset, registers.get(*register));
    }
    view.store(at + EXIT_INFO, exit_info.into());
    view.store(at + FS_BASE, bases.fs);
    view.store(at + GS_BASE, bases.gs);
    let start = frame_start(thread, number);
    let state = registers.extended();
    let length = state.len().min(at - start);
    view.write(start, &state[..length]);
    clear(state);
    set_current(thread, number + 1);
    for (_, register) in SAVED {
        registers.set(*register, 0);
    }
    registers.set(libc::REG_EFL, FLAGS_FIXED);
    registers.set(libc::REG_RSP, view.load(at + U_RSP));
    registers.set(libc::REG_RBP, view.load(at + U_RBP));
}

/// What ERESUME reads; returns the bases of FS and GS inside.
pub(super) fn restore(thread: &Thread, registers: &mut Registers<'_>) -> Option<Bases> {
    let number = current(thread).0.checked_sub(1)?;
    let (view, at) = (thread.enclave().view(), general(thread, number));
    set_current(thread, number);
    note_stack(thread, registers);
    for (offset, register) in SAVED {
        registers.set(*register, view.load(at + offset));
    }
    let start = frame_start(thread, number);
    let state = registers.extended();
    let length = state.len().min(at - start);
    // The software bytes are the kernel's, of this very signal.
    let mut software = [0; 48];
    let has_software = length >= LEGACY;
    if has_software {
        software.copy_from_slice(&state[SOFTWARE..LEGACY]);
    }
    view.read(start, &mut state[..length]);
    if has_software {
        state[SOFTWARE..LEGACY].copy_from_slice(&software);
    }
    Some(Bases { fs: view.load(at + FS_BASE), gs: view.load(at + GS_BASE) })
}

/// The instruction that a thread which has left goes on with, which hardware shows to nobody.
pub(super) fn saved_instruction(thread: &Thread) -> u64 {
    let number = current(thread).0.saturating_sub(1);
    thread.enclave().view().load(general(thread, number) + RIP)
}

/// Where EENTER goes, and the bases of FS and GS there.
pub(super) fn entry(thread: &Thread) -> (u64, Bases) {
    let (enclave, tcs) = (thread.enclave(), thread.tcs_offset());
    let (view, base) = (enclave.view(), enclave.base.load(SeqCst) as u64);
    let at = |offset| base + view.load(tcs + offset);
    (at(TCS_OENTRY), Bases { fs: at(TCS_OFSBASE), gs: at(TCS_OGSBASE) })
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Bases {
    pub(super) fs: u64,
    pub(super) gs: u64,
}

/// The extended state that the outside finds after an exit: the initial one, with nothing of the
/// enclave's.
fn clear(state: &mut [u8]) {
    if state.len() < LEGACY {
        return;
    }
    let software: [u8; 48] = state[SOFTWARE..LEGACY].try_into().unwrap_or([0; 48]);
    state[..LEGACY].fill(0);
    state[..2].copy_from_slice(&0x037f_u16.to_le_bytes());
    state[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    state[28..32].copy_from_slice(&0xffff_u32.to_le_bytes());
    state[SOFTWARE..LEGACY].copy_from_slice(&software);
    // XSTATE_BV: every component is as a reset leaves it.
    if let Some(present) = state.get_mut(LEGACY..LEGACY + 8) {
        present.fill(0);
    }
}

impl Identity {
    /// Whether a frame of this size holds the state that the enclave is entitled to.
    pub(super) fn fits(&self, frame_size: usize) -> bool {
        frame_size >= LEGACY + 64 + GENERAL
    }
}

const LEGACY: usize = 512;
const SOFTWARE: usize = 464;
const XSTATE_MAGIC: u32 = 0x4650_5853;
const TRAP_FLAG: u64 = 1 << 8;
/// Interrupts on, and the bit that is always set.
const FLAGS_FIXED: u64 = 0x202;

pub(super) const TCS_OSSA: usize = 16;
pub(super) const TCS_CSSA: usize = 24;
const TCS_OENTRY: usize = 32;
pub(super) const TCS_OFSBASE: usize = 48;
const TCS_OGSBASE: usize = 56;

const _: () = assert!(std::mem::offset_of!(sgx_isa::Tcs, ossa) == TCS_OSSA);
const _: () = assert!(std::mem::offset_of!(sgx_isa::Tcs, cssa) == TCS_CSSA);
const _: () = assert!(std::mem::offset_of!(sgx_isa::Tcs, nssa) == TCS_CSSA + 4);
const _: () = assert!(std::mem::offset_of!(sgx_isa::Tcs, oentry) == TCS_OENTRY);
const _: () = assert!(std::mem::offset_of!(sgx_isa::Tcs, ofsbasgx) == TCS_OFSBASE);
const _: () = assert!(std::mem::offset_of!(sgx_isa::Tcs, ogsbasgx) == TCS_OGSBASE);
