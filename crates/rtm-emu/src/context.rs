//! The registers of an interrupted thread.

use core::ptr;

use iced_x86::Register;

/// What the kernel saved of a thread before it called a signal handler, and will restore.
///
/// Changes of it take effect when the handler returns.
#[derive(Debug)]
pub struct Context<'a> {
    saved: &'a mut libc::ucontext_t,
}

/// All of it, to go back to.
#[derive(Debug)]
pub(crate) struct Snapshot {
    registers: [libc::greg_t; REGISTERS],
    signals: u64,
    vector: [u8; VECTOR_MAX],
    vector_len: usize,
}

impl<'a> Context<'a> {
    /// The context that the kernel gave to a handler.
    pub fn new(saved: &'a mut libc::ucontext_t) -> Self {
        Self { saved }
    }

    /// The address of the instruction that comes next.
    #[must_use]
    pub fn instruction(&self) -> usize {
        word(self.register(libc::REG_RIP))
    }

    /// Goes on at `address`.
    pub fn resume_at(&mut self, address: usize) {
        self.set_register(libc::REG_RIP, wide(address));
    }

    pub(crate) fn stack(&self) -> usize {
        word(self.register(libc::REG_RSP))
    }

    /// Sets EAX, which clears the upper half of RAX.
    pub(crate) fn set_eax(&mut self, value: u32) {
        self.set_register(libc::REG_RAX, value.into());
    }

    /// What RDTSC left in EDX and EAX.
    pub(crate) fn counter(&self) -> u64 {
        let half = |index| self.register(index) & low_mask(4);
        half(libc::REG_RDX) << 32 | half(libc::REG_RAX)
    }

    /// Leaves a reading of the counter where RDTSC does.
    pub(crate) fn set_counter(&mut self, ticks: u64) {
        self.set_register(libc::REG_RDX, ticks >> 32);
        self.set_register(libc::REG_RAX, ticks & low_mask(4));
    }

    /// What RDTSCP leaves there, with a processor's number that nobody asks for.
    pub(crate) fn clear_ecx(&mut self) {
        self.set_register(libc::REG_RCX, 0);
    }

    /// Whether the processor stops after each instruction.
    pub(crate) fn set_stepping(&mut self, steps: bool) {
        let flags = self.register(libc::REG_EFL);
        let flags = if steps { flags | TRAP_FLAG } else { flags & !TRAP_FLAG };
        self.set_register(libc::REG_EFL, flags);
    }

    /// The flags after XTEST: ZF tells that no transaction runs, the other arithmetic flags are clear.
    pub(crate) fn set_tested(&mut self, running: bool) {
        let flags = self.register(libc::REG_EFL) & !ARITHMETIC_FLAGS;
        self.set_register(libc::REG_EFL, if running { flags } else { flags | ZERO_FLAG });
    }

    /// The value of a general register, of its low part, or of a segment's base.
    pub(crate) fn value(&self, register: Register) -> Option<u64> {
        match register {
            Register::FS => Some(kernel_base(Base::Fs)),
            Register::GS => Some(kernel_base(Base::Gs)),
            Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
            Register::None => Some(0),
            Register::RIP => Some(self.register(libc::REG_RIP)),
            _ => {
                let whole = self.register(index(register.full_register())?);
                let is_high =
                    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
                let shifted = if is_high { whole >> 8 } else { whole };
                Some(shifted & low_mask(register.size()))
            }
        }
    }

    /// Stores a general register of 4 or 8 bytes, as the processor does.
    pub(crate) fn set_value(&mut self, register: Register, value: u64) -> Option<()> {
        let at = index(register.full_register())?;
        self.set_register(at, value & low_mask(register.size()));
        Some(())
    }

    pub(crate) fn snapshot(&self, into: &mut Snapshot) {
        into.registers = self.saved.uc_mcontext.gregs;
        into.signals = self.blocked_signals();
        let (start, len) = self.vector();
        into.vector_len = len;
        // WHY: the vector state has no Rust type.
        // SAFETY: the kernel laid `len` bytes at `start` in the frame of this very signal; the buffer
        // holds as many, and is no part of the frame.
        unsafe { ptr::copy_nonoverlapping(start, into.vector.as_mut_ptr(), len) };
    }

    /// Goes back to a snapshot of this thread.
    pub(crate) fn restore(&mut self, from: &Snapshot) {
        self.saved.uc_mcontext.gregs = from.registers;
        self.block_signals(from.signals);
        let (start, len) = self.vector();
        let len = len.min(from.vector_len);
        // WHY: as above.
        // SAFETY: as above: both frames are of one thread, hence of one layout, and neither area is
        // longer than `len`.
        unsafe { ptr::copy_nonoverlapping(from.vector.as_ptr(), start, len) };
    }

    pub(crate) fn blocked_signals(&self) -> u64 {
        let set = (&raw const self.saved.uc_sigmask).cast::<u64>();
        // WHY: libc's set is opaque; the kernel's is its first 64 bits.
        // SAFETY: the set is at least 8 bytes long and aligned as a long.
        unsafe { set.read() }
    }

    pub(crate) fn block_signals(&mut self, signals: u64) {
        let set = (&raw mut self.saved.uc_sigmask).cast::<u64>();
        // WHY: as above.
        // SAFETY: as above.
        unsafe { set.write(signals) };
    }

    fn register(&self, index: i32) -> u64 {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.saved.uc_mcontext.gregs.get(index))
            .map_or(0, |value| value.cast_unsigned())
    }

    fn set_register(&mut self, index: i32, value: u64) {
        let slot = usize::try_from(index)
            .ok()
            .and_then(|index| self.saved.uc_mcontext.gregs.get_mut(index));
        if let Some(slot) = slot {
            *slot = value.cast_signed();
        }
    }

    /// Where the vector registers are saved, and how many bytes of them.
    fn vector(&self) -> (*mut u8, usize) {
        let start = self.saved.uc_mcontext.fpregs.cast::<u8>();
        if start.is_null() {
            return (start, 0);
        }
        // WHY: libc leaves out the kernel's own words in the legacy area (`struct _fpx_sw_bytes`).
        // SAFETY: the area is at least 512 bytes long; its bytes 464.. are the kernel's, aligned to 16.
        let [magic, _, _, _, len] =
            unsafe { start.wrapping_add(SOFTWARE_BYTES).cast::<[u32; 5]>().read() };
        let len = if magic == EXTENDED_MAGIC { usize::try_from(len).unwrap_or(0) } else { LEGACY };
        (start, len.min(VECTOR_MAX))
    }
}

impl Snapshot {
    /// The signals that were blocked.
    pub(crate) const fn signals(&self) -> u64 {
        self.signals
    }

    pub(crate) const EMPTY: Self =
        Self { registers: [0; REGISTERS], signals: 0, vector: [0; VECTOR_MAX], vector_len: 0 };
}

enum Base {
    Fs,
    Gs,
}

/// The base of a segment: a handler runs with those of the interrupted thread.
fn kernel_base(of: Base) -> u64 {
    let base: u64;
    match of {
        // WHY: no safe way to read a segment's base.
        // SAFETY: Linux allows it in user mode wherever the processor can (checked by `install`).
        Base::Fs => unsafe {
            core::arch::asm!("rdfsbase {}", out(reg) base, options(nomem, nostack))
        },
        // WHY: as above.
        // SAFETY: as above.
        Base::Gs => unsafe {
            core::arch::asm!("rdgsbase {}", out(reg) base, options(nomem, nostack))
        },
    }
    base
}

/// Where the kernel keeps a general register.
fn index(register: Register) -> Option<i32> {
    Some(match register {
        Register::RAX => libc::REG_RAX,
        Register::RBX => libc::REG_RBX,
        Register::RCX => libc::REG_RCX,
        Register::RDX => libc::REG_RDX,
        Register::RSI => libc::REG_RSI,
        Register::RDI => libc::REG_RDI,
        Register::RBP => libc::REG_RBP,
        Register::RSP => libc::REG_RSP,
        Register::R8 => libc::REG_R8,
        Register::R9 => libc::REG_R9,
        Register::R10 => libc::REG_R10,
        Register::R11 => libc::REG_R11,
        Register::R12 => libc::REG_R12,
        Register::R13 => libc::REG_R13,
        Register::R14 => libc::REG_R14,
        Register::R15 => libc::REG_R15,
        _ => return None,
    })
}

/// The bits of a value of so many bytes.
pub(crate) const fn low_mask(bytes: usize) -> u64 {
    match bytes {
        8.. => u64::MAX,
        0 => 0,
        1 => 0xff,
        2 => 0xffff,
        3 => 0xff_ffff,
        4 => 0xffff_ffff,
        5 => 0xff_ffff_ffff,
        6 => 0xffff_ffff_ffff,
        7 => 0xff_ffff_ffff_ffff,
    }
}

fn word(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// AVX-512 needs 2.7 KB; AMX's tiles (8 KB more) no guarded body uses.
const VECTOR_MAX: usize = 4_096;
const LEGACY: usize = 512;
const SOFTWARE_BYTES: usize = 464;
const EXTENDED_MAGIC: u32 = 0x4650_5853;
const TRAP_FLAG: u64 = 1 << 8;
const ZERO_FLAG: u64 = 1 << 6;
/// CF, PF, AF, ZF, SF and OF.
const ARITHMETIC_FLAGS: u64 = 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 11;
/// The general registers in the kernel's order, and what it saves with them.
const REGISTERS: usize = 23;
