//! What signal handlers know: every loaded enclave and every thread of it, without locks.

use super::view::View;
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst,
};

/// An enclave that is loaded. Entries are filled once and never freed.
#[derive(Debug)]
pub(super) struct Enclave {
    pub(super) base: AtomicUsize,
    pub(super) size: AtomicUsize,
    view_start: AtomicUsize,
    /// Bytes of one frame of the State Save Area.
    pub(super) frame_size: AtomicUsize,
    pub(super) identity: OnceLock<Identity>,
}

/// What the processor reports of an enclave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) mrenclave: [u8; 32],
    pub(super) mrsigner: [u8; 32],
    pub(super) attributes: u64,
    pub(super) xfrm: u64,
    pub(super) miscselect: u32,
    pub(super) isv_prod_id: u16,
    pub(super) isv_svn: u16,
}

/// A TCS, and the thread that is inside with it.
#[derive(Debug)]
pub(super) struct Thread {
    /// The address of the TCS; zero while the entry is free.
    pub(super) tcs: AtomicUsize,
    pub(super) enclave: AtomicUsize,
    /// The base of FS inside, which tells threads apart.
    local: AtomicU64,
    /// From EENTER to EEXIT, asynchronous exits included.
    pub(super) is_entered: AtomicBool,
    pub(super) aep: AtomicU64,
    pub(super) outside_fs: AtomicU64,
    pub(super) outside_gs: AtomicU64,
    /// The kernel's thread that is inside, and its event for being preempted, or -1.
    pub(super) thread_id: AtomicI32,
    pub(super) preemptions: AtomicI32,
    pub(super) exits: AtomicU64,
    /// Why it left last, as [`super::exit::Cause`] encodes it, and with which fault.
    pub(super) cause: AtomicU32,
    pub(super) fault_error: AtomicU64,
    pub(super) fault_address: AtomicU64,
    pub(super) steps: super::steps::Session,
}

pub(super) static ENCLAVES: [Enclave; ENCLAVES_MAX] = [const { Enclave::free() }; ENCLAVES_MAX];
pub(super) static THREADS: [Thread; THREADS_MAX] = [const { Thread::free() }; THREADS_MAX];

/// More than any test loads; a bound, so that handlers find theirs in an array.
const ENCLAVES_MAX: usize = 8;
const THREADS_MAX: usize = 128;

impl Enclave {
    const fn free() -> Self {
        Self {
            base: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            view_start: AtomicUsize::new(0),
            frame_size: AtomicUsize::new(0),
            identity: OnceLock::new(),
        }
    }

    /// The emulator's mapping of its memory.
    pub(super) fn view(&self) -> View {
        View::of_parts((self.view_start.load(SeqCst), self.size.load(SeqCst)))
    }

    pub(super) fn holds(&self, address: u64) -> bool {
        let (base, size) = (self.base.load(SeqCst) as u64, self.size.load(SeqCst) as u64);
        address.wrapping_sub(base) < size
    }
}

impl Thread {
    const fn free() -> Self {
        Self {
            tcs: AtomicUsize::new(0),
            enclave: AtomicUsize::new(0),
            local: AtomicU64::new(0),
            is_entered: AtomicBool::new(false),
            aep: AtomicU64::new(0),
            outside_fs: AtomicU64::new(0),
            outside_gs: AtomicU64::new(0),
            thread_id: AtomicI32::new(0),
            preemptions: AtomicI32::new(-1),
            exits: AtomicU64::new(0),
            cause: AtomicU32::new(0),
            fault_error: AtomicU64::new(0),
            fault_address: AtomicU64::new(0),
            steps: super::steps::Session::new(),
        }
    }

    pub(super) fn enclave(&self) -> &'static Enclave {
        &ENCLAVES[self.enclave.load(SeqCst)]
    }

    /// The offset of the TCS in its enclave.
    pub(super) fn tcs_offset(&self) -> usize {
        self.tcs.load(SeqCst) - self.enclave().base.load(SeqCst)
    }

    /// Its number, in the order of loading.
    pub(super) fn number(&self) -> usize {
        THREADS.iter().position(|thread| std::ptr::eq(thread, self)).unwrap_or(THREADS_MAX)
    }
}

/// Enters an enclave and its TCSs, given as offsets with the offsets of their FS bases.
///
/// Called by the one thread that loads.
pub(super) fn enter(
    base: usize,
    view: View,
    frame_size: usize,
    identity: Identity,
    tcss: &[(usize, u64)],
) -> Option<usize> {
    let index = ENCLAVES.iter().position(|enclave| enclave.base.load(SeqCst) == 0)?;
    let enclave = &ENCLAVES[index];
    let (view_start, size) = view.parts();
    enclave.view_start.store(view_start, SeqCst);
    enclave.frame_size.store(frame_size, SeqCst);
    enclave.identity.set(identity).ok()?;
    for (tcs, local) in tcss {
        let thread = THREADS.iter().find(|thread| thread.tcs.load(SeqCst) == 0)?;
        thread.enclave.store(index, SeqCst);
        thread.local.store(base as u64 + local, SeqCst);
        thread.tcs.store(base + tcs, SeqCst);
    }
    enclave.size.store(size, SeqCst);
    enclave.base.store(base, SeqCst);
    Some(index)
}

/// The thread that runs at `instruction` with this base of FS, if that is inside an enclave.
pub(super) fn inside(instruction: u64, fs: u64) -> Option<&'static Thread> {
    if !ENCLAVES.iter().any(|enclave| enclave.holds(instruction)) {
        return None;
    }
    THREADS.iter().find(|thread| thread.local.load(SeqCst) == fs && thread.is_entered.load(SeqCst))
}

pub(super) fn by_tcs(tcs: u64) -> Option<&'static Thread> {
    THREADS.iter().find(|thread| thread.tcs.load(SeqCst) as u64 == tcs && tcs != 0)
}
