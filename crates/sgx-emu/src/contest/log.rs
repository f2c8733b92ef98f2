//! What one holder did, as it became visible on the page.

use crate::share::Share;

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The fence that it was under.
    pub fence: u64,
    /// The fence that the granter had given last, read in the same transaction.
    pub given: u64,
}

impl Entry {
    /// Whether the name was somebody else's already.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.given > self.fence
    }
}

/// The log of one holder. The words are those that docs/enclave.md names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    share: Share,
    start: usize,
}

impl Log {
    pub(super) const fn of(share: Share, number: usize) -> Self {
        Self { share, start: LOGS_START + number * LOG_WORDS }
    }

    /// How many acts became visible.
    pub(super) fn acts(&self) -> u64 {
        self.share.load(self.start + COUNT)
    }

    /// The fence under which it tries to act.
    pub(super) fn fence(&self) -> u64 {
        self.share.load(self.start + FENCE)
    }

    /// How many tries have ended.
    pub(super) fn ended(&self) -> u64 {
        self.share.load(self.start + ENDED)
    }

    /// Its entries, from the one with this number on.
    pub(super) fn entries(self, from: u64) -> impl Iterator<Item = Entry> {
        let number = |count: u64| usize::try_from(count).unwrap_or(ENTRIES).min(ENTRIES);
        (number(from)..number(self.acts())).map(move |number| {
            let at = self.start + ENTRIES_AFTER + number * 2;
            Entry { fence: self.share.load(at), given: self.share.load(at + 1) }
        })
    }
}

const LOGS_START: usize = 4096;
const LOG_WORDS: usize = 32_768;
const COUNT: usize = 0;
const FENCE: usize = 1;
const ENDED: usize = 2;
const ENTRIES_AFTER: usize = 8;
const ENTRIES: usize = (LOG_WORDS - ENTRIES_AFTER) / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_is_stale_once_a_later_fence_was_given() {
        assert!(!Entry { fence: 3, given: 3 }.is_stale());
        assert!(Entry { fence: 3, given: 4 }.is_stale());
    }
}
