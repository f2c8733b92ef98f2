//! Outside of an enclave: the mark of a restartable sequence stands in for both marks of SGX.

#[cfg(feature = "emulated-transactions")]
use super::emulated_mark::EmulatedMark;
use super::rseq::{Mark, Rseq};
use super::stay_gate::{MARKS, MarkWord};
use crate::stay::NoMarks;

/// The mark of the calling thread. A test vehicle: it misses plain interrupts and what a hypervisor
/// does, and a system call that does not block.
#[derive(Debug)]
pub(crate) struct Marks {
    kernel: Mark,
    /// Used instead of the kernel's, where a test made one.
    #[cfg(feature = "emulated-transactions")]
    emulated: Option<EmulatedMark>,
}

impl Marks {
    pub(crate) fn find() -> Result<Self, NoMarks> {
        let mut kernel = Mark::arm(Rseq::find().ok_or(NoMarks::NoRestartableSequences)?);
        kernel.lose();
        Ok(Self {
            kernel,
            #[cfg(feature = "emulated-transactions")]
            emulated: EmulatedMark::here(),
        })
    }

    #[inline]
    pub(crate) fn arm(&mut self) {
        #[cfg(feature = "emulated-transactions")]
        if let Some(emulated) = self.emulated {
            return emulated.put_back();
        }
        self.kernel.rearm();
    }

    #[inline]
    pub(crate) fn disarm(&mut self) {
        #[cfg(feature = "emulated-transactions")]
        if let Some(emulated) = self.emulated {
            return emulated.exit();
        }
        self.kernel.lose();
    }

    /// The words that tell, for a transaction.
    #[inline]
    pub(crate) fn words(&self) -> [MarkWord; MARKS] {
        #[cfg(feature = "emulated-transactions")]
        if let Some(emulated) = self.emulated {
            return [emulated.word(); MARKS];
        }
        [self.kernel.word(); MARKS]
    }

    #[inline]
    pub(crate) fn are_armed(&self) -> bool {
        #[cfg(feature = "emulated-transactions")]
        if let Some(emulated) = self.emulated {
            return emulated.is_armed();
        }
        self.kernel.is_armed()
    }
}
