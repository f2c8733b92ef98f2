//! Outside of an enclave: the mark of a restartable sequence stands in for both marks of SGX.

use super::rseq::{Mark, Rseq};
use super::stay_gate::{MARKS, MarkWord};
use crate::stay::NoMarks;

/// The mark of the calling thread. A test vehicle: it misses plain interrupts and what a hypervisor
/// does, and a system call that does not block.
#[derive(Debug)]
pub(crate) struct Marks(Mark);

impl Marks {
    pub(crate) fn find() -> Result<Self, NoMarks> {
        let mut mark = Mark::arm(Rseq::find().ok_or(NoMarks::NoRestartableSequences)?);
        mark.lose();
        Ok(Self(mark))
    }

    #[inline]
    pub(crate) fn arm(&mut self) {
        self.0.rearm();
    }

    #[inline]
    pub(crate) fn disarm(&mut self) {
        self.0.lose();
    }

    /// The words that tell, for a transaction.
    #[inline]
    pub(crate) fn words(&self) -> [MarkWord; MARKS] {
        [self.0.word(); MARKS]
    }

    #[inline]
    pub(crate) fn are_armed(&self) -> bool {
        self.0.is_armed()
    }
}
