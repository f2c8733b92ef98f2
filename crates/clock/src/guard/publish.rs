//! One word, published by a transaction, or by a restartable sequence where there is none.

use tlease_core::fence::Fence;

use super::outcome::{Missing, Published, Refusal, Strength};
use crate::lease::LeaseCell;
use crate::memory::Word;

impl LeaseCell {
    /// Stores `value` to a word, if the lease `fence` is valid.
    ///
    /// With hardware transactions this is a commit of one store. Without them it is a restartable
    /// sequence, which promises less: see [`Strength::Restartable`].
    ///
    /// # Timing
    /// A restartable publish is refused from `deadline - publish margin` on.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    pub fn publish(&self, fence: Fence, word: &Word<'_>, value: u64) -> Result<Published, Refusal> {
        if self.clock().rtm().is_some() {
            let committed = self.commit(fence, word, |act| act.store(word, value))?;
            return Ok(Published { strength: Strength::Transaction, late: committed.late });
        }
        let restartable = self.clock().restartable();
        let restartable = restartable.ok_or(Refusal::Unsupported(Missing::RestartableSequences))?;
        restartable.publish(self, fence, word, value)
    }
}
