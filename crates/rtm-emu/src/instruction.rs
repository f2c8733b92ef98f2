//! What one instruction needs: decoded, and sorted by who can run it.

use core::ptr;

use iced_x86::{
    Code, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, InstructionInfoOptions,
    Mnemonic, OpAccess, OpKind, UsedMemory,
};

use crate::begin::{BEGIN, ILLEGAL};
use crate::context::Context;
use crate::kernel;
use crate::transaction::Runs;

/// What to do with an instruction within a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// XBEGIN: the address of its fallback.
    Begin(usize),
    End,
    Test,
    /// XABORT: its code.
    Abort(u8),
    /// What the manual lets abort: system calls, CPUID and their like.
    Forbidden,
    /// Calls the kernel's `clock_gettime` in the vDSO.
    ReadsClock,
    /// Reads the time-stamp counter.
    ReadsCounter,
    /// Stores `value`, of `len` bytes, within one aligned word.
    Store {
        address: usize,
        len: usize,
        value: u64,
    },
    /// Exchanges eight aligned bytes with a register.
    Exchange {
        address: usize,
    },
    Other,
}

/// Decodes the instruction at `at`.
pub(crate) fn decode(at: usize) -> Instruction {
    let mut bytes = [0; LENGTH_MAX];
    // The processor has not fetched it yet: near the end of a mapping fewer bytes may follow.
    let within_page = PAGE - at % PAGE;
    for (offset, byte) in bytes.iter_mut().enumerate() {
        if offset >= within_page && !kernel::is_readable((at + offset) & !7) {
            break;
        }
        let code = ptr::with_exposed_provenance::<u8>(at.wrapping_add(offset));
        // WHY: the code of the interrupted thread has no Rust name.
        // SAFETY: it is about to run, so its page is mapped; a following page was just asked for.
        *byte = unsafe { code.read_volatile() };
    }
    if bytes[..2] == ILLEGAL {
        bytes[1] = BEGIN[1];
    }
    let ip = u64::try_from(at).unwrap_or(u64::MAX);
    Decoder::with_ip(64, &bytes, ip, DecoderOptions::NONE).decode()
}

/// Sorts an instruction.
pub(crate) fn kind(of: &Instruction, context: &Context<'_>) -> Kind {
    match of.mnemonic() {
        Mnemonic::Xbegin => {
            Kind::Begin(usize::try_from(of.near_branch_target()).unwrap_or(usize::MAX))
        }
        Mnemonic::Xend => Kind::End,
        Mnemonic::Xtest => Kind::Test,
        Mnemonic::Xabort => Kind::Abort(of.immediate8()),
        Mnemonic::Syscall
        | Mnemonic::Sysenter
        | Mnemonic::Int
        | Mnemonic::Int3
        | Mnemonic::Cpuid
        | Mnemonic::Ud2
        | Mnemonic::Enclu
        | Mnemonic::Pushfq
        | Mnemonic::Popfq
        | Mnemonic::INVALID => Kind::Forbidden,
        Mnemonic::Rdtsc | Mnemonic::Rdtscp => Kind::ReadsCounter,
        Mnemonic::Call if calls_kernel(of, context) => Kind::ReadsClock,
        Mnemonic::Mov => store(of, context).unwrap_or(Kind::Other),
        Mnemonic::Xchg => exchange(of, context).unwrap_or(Kind::Other),
        _ => Kind::Other,
    }
}

/// What a test is told of an instruction.
pub(crate) fn runs(of: &Instruction) -> Runs {
    match of.mnemonic() {
        Mnemonic::Rdtsc | Mnemonic::Rdtscp => Runs::Counter,
        Mnemonic::Lfence => Runs::LoadFence,
        Mnemonic::Mfence => Runs::FullFence,
        Mnemonic::Xend => Runs::End,
        _ => Runs::Other,
    }
}

/// Calls `each` with address, length and "does it write" of every memory operand, implied ones too.
///
/// `None` if one cannot be worked out.
pub(crate) fn for_each_access<E>(
    of: &Instruction,
    factory: &mut InstructionInfoFactory,
    context: &Context<'_>,
    mut each: impl FnMut(usize, usize, bool) -> Result<(), E>,
) -> Option<Result<(), E>> {
    if matches!(of.code(), Code::Lea_r64_m | Code::Lea_r32_m | Code::Lea_r16_m) {
        return Some(Ok(()));
    }
    let info = factory.info_options(of, InstructionInfoOptions::NO_REGISTER_USAGE);
    for memory in info.used_memory() {
        let writes = match memory.access() {
            OpAccess::None | OpAccess::NoMemAccess => continue,
            OpAccess::Read | OpAccess::CondRead => false,
            OpAccess::Write
            | OpAccess::CondWrite
            | OpAccess::ReadWrite
            | OpAccess::ReadCondWrite => true,
        };
        let (address, len) = place(memory, context)?;
        if let Err(error) = each(address, len, writes) {
            return Some(Err(error));
        }
    }
    Some(Ok(()))
}

/// Whether it calls into the vDSO, of which guarded code uses `clock_gettime` alone.
fn calls_kernel(of: &Instruction, context: &Context<'_>) -> bool {
    let target = match of.op0_kind() {
        OpKind::NearBranch64 => usize::try_from(of.near_branch_target()).ok(),
        OpKind::Register => {
            context.value(of.op0_register()).and_then(|at| usize::try_from(at).ok())
        }
        OpKind::Memory => operand(of, context).filter(|at| kernel::is_readable(*at)).map(|at| {
            let pointer = ptr::with_exposed_provenance::<usize>(at);
            // WHY: the memory of the interrupted code has no Rust name here.
            // SAFETY: the kernel was just asked whether it can be read.
            unsafe { pointer.read_unaligned() }
        }),
        _ => None,
    };
    target.is_some_and(kernel::is_vdso)
}

/// A plain store of a register or a constant.
fn store(of: &Instruction, context: &Context<'_>) -> Option<Kind> {
    if of.op0_kind() != OpKind::Memory {
        return None;
    }
    let value = if of.op1_kind() == OpKind::Register {
        context.value(of.op1_register())?
    } else {
        of.try_immediate(1).ok()?
    };
    let (address, len) = (operand(of, context)?, of.memory_size().size());
    is_within_a_word(address, len).then_some(Kind::Store { address, len, value })
}

fn exchange(of: &Instruction, context: &Context<'_>) -> Option<Kind> {
    let is_plain = of.op0_kind() == OpKind::Memory && of.op1_kind() == OpKind::Register;
    let address = operand(of, context)?;
    (is_plain && of.memory_size().size() == 8 && address.is_multiple_of(8))
        .then_some(Kind::Exchange { address })
}

fn operand(of: &Instruction, context: &Context<'_>) -> Option<usize> {
    let address = of.virtual_address(0, 0, |register, _, _| context.value(register))?;
    usize::try_from(address).ok()
}

fn place(memory: &UsedMemory, context: &Context<'_>) -> Option<(usize, usize)> {
    let address = memory.virtual_address(0, |register, _, _| context.value(register))?;
    Some((usize::try_from(address).ok()?, memory.memory_size().size()))
}

const fn is_within_a_word(address: usize, len: usize) -> bool {
    len > 0 && address % 8 + len <= 8
}

/// The longest instruction.
const LENGTH_MAX: usize = 15;
const PAGE: usize = 4_096;
