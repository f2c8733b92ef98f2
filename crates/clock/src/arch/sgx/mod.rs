//! x86-64 inside an SGX enclave: the two marks of a thread.

mod host_call;
mod save_area;

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use super::{MARKS, MarkWord, PAGE};
use crate::stay::NoMarks;
use host_call::HostCallMark;
use save_area::ExitMark;

/// The marks of the calling thread: an asynchronous exit wipes one, a call to the host the other.
#[derive(Debug)]
pub(crate) struct Marks {
    exit: ExitMark,
    host_call: HostCallMark,
}

impl Marks {
    /// Finds them, and proves of each that it is wiped by what it stands for.
    pub(crate) fn find() -> Result<Self, NoMarks> {
        let host_call = HostCallMark::find().ok_or(NoMarks::OtherRunTime)?;
        Ok(Self { exit: ExitMark::find()?, host_call })
    }

    #[inline]
    pub(crate) fn arm(&mut self) {
        self.host_call.arm();
        self.exit.arm();
    }

    /// Plants a fault: arms the mark of calls to the host alone.
    #[cfg(feature = "mutants")]
    pub(crate) fn outlive_call(&mut self) {
        self.host_call.arm();
    }

    /// Leaves nothing of ours where the run time looks for its own.
    #[inline]
    pub(crate) fn disarm(&mut self) {
        self.host_call.disarm();
    }

    /// The words that tell, for a transaction.
    #[inline]
    pub(crate) fn words(&self) -> [MarkWord; MARKS] {
        [self.exit.word(), self.host_call.word()]
    }

    #[inline]
    pub(crate) fn are_armed(&self) -> bool {
        self.exit.is_armed() && self.host_call.is_armed()
    }
}

/// The calling thread's TCS, by the address with which the processor let it in.
///
/// EENTER takes the TCS from RBX and refuses anything else, so the run time's note of RBX is not
/// the host's word.
fn tcs() -> usize {
    std::os::fortanix_sgx::thread::current().as_ptr().addr()
}

/// Words at an address of this enclave, if the whole of them lies in it.
fn words<const N: usize>(address: usize) -> Option<&'static [AtomicU64; N]> {
    let pointer = core::ptr::with_exposed_provenance_mut::<[AtomicU64; N]>(address);
    let bytes = size_of::<[AtomicU64; N]>();
    let inside = std::os::fortanix_sgx::mem::is_enclave_range(pointer.cast(), bytes);
    let pointer = NonNull::new(pointer).filter(|pointer| inside && pointer.is_aligned())?;
    // WHY: the pages that belong to a thread have no name in Rust.
    // SAFETY: aligned, and within the enclave's range, whose pages beside a TCS are there from its
    // start to its end (a hole would fault, which ends the enclave). Any bits are an `AtomicU64`. The
    // processor and the run time write there too, which atomics allow.
    Some(unsafe { pointer.as_ref() })
}

/// Words of the host's memory; `None` if any of them may be the enclave's.
///
/// The host can change them at any time, or take them away, which faults and ends the enclave.
pub(crate) fn host_words(address: usize, count: usize) -> Option<&'static [AtomicU64]> {
    let pointer = core::ptr::with_exposed_provenance_mut::<AtomicU64>(address);
    let bytes = count.checked_mul(size_of::<AtomicU64>()).filter(|bytes| *bytes > 0)?;
    isize::try_from(bytes).ok()?;
    let outside = std::os::fortanix_sgx::mem::is_user_range(pointer.cast(), bytes);
    if pointer.is_null() || !pointer.is_aligned() || !outside {
        return None;
    }
    // WHY: the host's memory is reached by an address that it names.
    // SAFETY: not null, aligned, wholly outside of the enclave, so no object of this program is there;
    // any bits are an `AtomicU64`, and others write them, which atomics allow. A page that is not
    // there ends the enclave before anything is read.
    Some(unsafe { core::slice::from_raw_parts(pointer, count) })
}

/// The layout of a thread's pages in the image, in this order: stack, thread-local page, TCS, one
/// frame of the State Save Area. It is measured; where each mark is, its own self-test proves.
const LOCAL_BEFORE_TCS: usize = PAGE;
const SAVE_AREA_AFTER_TCS: usize = PAGE;
