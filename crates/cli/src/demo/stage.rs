//! The memory that the processes of one lane share: a journal and a word to act on, and the signals by
//! which they agree on where they are.

use crate::granter::link::wait;
use rustix::process::{Pid, getppid};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tlease::Fence;
use tlease::memory::{Region, Ring, WhenFull, Word};

/// Shared memory of a director, a holder and its successor.
#[derive(Debug)]
pub(super) struct Stage {
    region: Region,
    /// Whoever set the stage up; without it, it is over.
    director: Option<Pid>,
}

/// Where a round is. Each holds the number of the last round that got there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    /// The director has opened the round.
    Open,
    /// The holder has the lease and acts.
    Held,
    /// The director wants the holder to be between its check and its act.
    Aim,
    /// It is there. It goes on once the cue `Go` is given.
    Between,
    /// The holder lost the lease before it got there: nothing to be seen in this round.
    Missed,
    /// Whoever is between check and act may act: given while it is stopped.
    Go,
    /// The successor has the lease, and has put that down.
    Succeeded,
    /// The holder has tried to act, and ended its round.
    Done,
    /// The director has judged the round: the successor gives the lease back.
    Judged,
    /// Everybody leaves.
    Over,
}

/// Who put something down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    Holder,
    Successor,
}

/// What became of the holder's act after the pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Acted,
    /// Refused: the lease was over.
    Over,
    /// Refused for another reason.
    Other,
}

impl Stage {
    /// A new stage, set up by this process.
    pub(super) fn new() -> io::Result<Self> {
        let region = Region::new(RING + RING_HEADER + SLOTS * SLOT_WORDS)?;
        region.create_ring(RING, SLOTS, WhenFull::Overwrite).map_err(io::Error::other)?;
        Ok(Self { region, director: None })
    }

    /// The stage that the parent of this process has set up.
    pub(super) fn open(address: &str) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(address)?;
        Ok(Self { region: Region::open(OwnedFd::from(file))?, director: getppid() })
    }

    /// Where a child finds it.
    pub(super) fn address(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.region.fd().as_raw_fd())
    }

    pub(super) fn give(&self, cue: Cue, round: u64) {
        self.word(cue as usize).store(round, SeqCst);
    }

    pub(super) fn is_given(&self, cue: Cue, round: u64) -> bool {
        self.word(cue as usize).load(SeqCst) == round
    }

    /// Waits for the cue; whether it came before the end.
    pub(super) fn await_cue(&self, cue: Cue, round: u64) -> bool {
        while !self.is_given(cue, round) {
            if self.is_over() || wait(&[], Some(LOOK_EVERY)).is_err() {
                return false;
            }
        }
        true
    }

    /// Whether everybody leaves: also if the director is gone.
    pub(super) fn is_over(&self) -> bool {
        let deserted = self.director.is_some() && getppid() != self.director;
        deserted || self.is_given(Cue::Over, 1)
    }

    /// Counts an act of the holder that went through.
    pub(super) fn count_act(&self) {
        self.word(ACTS).fetch_add(1, SeqCst);
    }

    /// How many acts of the holder went through, in all rounds.
    pub(super) fn acts(&self) -> u64 {
        self.word(ACTS).load(SeqCst)
    }

    pub(super) fn set_outcome(&self, outcome: Outcome) {
        self.word(OUTCOME).store(outcome as u64, SeqCst);
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.word(OUTCOME).load(SeqCst) {
            acted if acted == Outcome::Acted as u64 => Outcome::Acted,
            over if over == Outcome::Over as u64 => Outcome::Over,
            _ => Outcome::Other,
        }
    }

    /// What a commit appends to.
    pub(super) fn journal(&self) -> io::Result<Ring<'_>> {
        self.region.open_ring(RING).map_err(io::Error::other)
    }

    /// The word that a commit, or a publish, stores.
    pub(super) fn shared_word(&self) -> Word<'_> {
        Word::new(self.word(SHARED))
    }

    /// Acts without any guard: how everyone does it, and how the successor puts down that it has the
    /// lease. A locked addition claims the place in the journal, so the order of entries is that of acts.
    pub(super) fn act_unguarded(&self, actor: Actor, round: u64, fence: Fence) -> u64 {
        let words = self.region.words();
        let position = words[RING + HEAD].fetch_add(1, SeqCst);
        let slot = usize::try_from(position).unwrap_or(0) % SLOTS;
        let slot = &words[RING + RING_HEADER + slot * SLOT_WORDS..];
        for (word, value) in slot[1..].iter().zip([fence.get(), actor as u64, round]) {
            word.store(value, SeqCst);
        }
        slot[0].store(position + 1, SeqCst);
        self.word(SHARED).store(value(actor, round), SeqCst);
        position
    }

    /// The successor's first act: everything in the journal after this place is after the hand-over.
    pub(super) fn hand_over(&self, round: u64, fence: Fence) {
        let position = self.act_unguarded(Actor::Successor, round, fence);
        self.word(HANDED_OVER).store(position, SeqCst);
    }

    /// Acts of the holder after the hand-over. No time is compared: only the order of entries counts, and
    /// what the word shows in the end.
    pub(super) fn stale_acts(&self, round: u64) -> io::Result<u64> {
        let journal = self.journal()?;
        let from = self.word(HANDED_OVER).load(SeqCst) + 1;
        let entries = (from..journal.appended()).filter_map(|position| journal.read(position));
        let in_journal = entries.filter(|entry| entry.payload[0] == Actor::Holder as u64).count();
        let in_word = self.shared_word().load() == value(Actor::Holder, round);
        let in_journal = u64::try_from(in_journal).unwrap_or(u64::MAX);
        // A commit and an unguarded act do both at once; a publish stores the word alone.
        Ok(in_journal.max(u64::from(in_word)))
    }

    fn word(&self, line: usize) -> &AtomicU64 {
        &self.region.words()[line * LINE]
    }
}

/// What the word shows after an act.
pub(super) const fn value(actor: Actor, round: u64) -> u64 {
    round << 8 | actor as u64
}

/// Words between two signals: none shares a cache line with another, nor with its neighbour.
const LINE: usize = 16;
const OUTCOME: usize = 16;
const HANDED_OVER: usize = 17;
const SHARED: usize = 18;
const ACTS: usize = 19;
const RING: usize = 512;
/// As the layout of a [`Ring`] says.
const HEAD: usize = 8;
const RING_HEADER: usize = 24;
const SLOT_WORDS: usize = 8;
const SLOTS: usize = 4096;
/// Other processes' memory sends no event.
const LOOK_EVERY: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judge_counts_what_comes_after_the_hand_over_and_nothing_before() {
        let stage = Stage::new().unwrap();
        let (old, new) = (Fence::new(1).unwrap(), Fence::new(2).unwrap());
        stage.act_unguarded(Actor::Holder, 1, old);
        stage.hand_over(1, new);
        stage.act_unguarded(Actor::Successor, 1, new);
        assert_eq!(stage.stale_acts(1).unwrap(), 0);
        stage.act_unguarded(Actor::Holder, 1, old);
        stage.act_unguarded(Actor::Successor, 1, new);
        assert_eq!(stage.stale_acts(1).unwrap(), 1);
    }

    #[test]
    fn the_judge_sees_a_word_that_was_stored_over() {
        let stage = Stage::new().unwrap();
        stage.hand_over(3, Fence::FIRST);
        stage.word(SHARED).store(value(Actor::Holder, 3), SeqCst);
        assert_eq!(stage.stale_acts(3).unwrap(), 1);
    }
}
