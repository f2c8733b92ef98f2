//! The shared memory of one lane: one lease, its holder (the victim), its successor, and the judge.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tlease_clock::memory::{Region, Ring, WhenFull, Word};

/// Who appended a record, or stored the word: the first word of the payload, and the word's top bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The old holder.
    Victim,
    /// The granter, at the hand-over.
    Granter,
    /// The new holder.
    Successor,
}

impl Actor {
    /// The tag of its records.
    #[must_use]
    pub const fn tag(self) -> u64 {
        match self {
            Self::Victim => 1,
            Self::Granter => 2,
            Self::Successor => 3,
        }
    }

    /// A value of the shared word that names this actor.
    #[must_use]
    pub const fn value(self, round: u64, number: u64) -> u64 {
        self.tag() << 60 | (round & 0xfff_ffff) << 32 | number & 0xffff_ffff
    }
}

/// The words by which the processes of a lane agree. Each has a cache line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The round that the victim may ask for.
    Round,
    /// The term of this round, in ns.
    Term,
    /// The round that the victim has asked for.
    Request,
    /// The round that the granter has granted.
    Grant,
    /// The round whose lease the successor holds.
    Succession,
    /// The last round that the victim has finished.
    VictimDone,
    /// The last round that the successor has finished.
    SuccessorDone,
    /// How often the successor saw a value of the victim in the word.
    Overwritten,
    /// Not zero: everyone stops.
    Stop,
}

/// What the victim counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Attempts to act.
    Calls,
    /// Acts.
    Acts,
    /// Refusals for a reason of the lease: expired, suspect, revoked.
    Refusals,
    /// Refusals although the lease may have been valid.
    CannotCommit,
    /// The most tries that one commit took.
    MostTries,
    /// Commits that reported themselves late.
    Late,
    /// The machine lacks the mechanism.
    Unsupported,
}

/// One lane's memory, shared by four processes.
#[derive(Debug)]
pub struct Lane {
    region: Region,
}

impl Lane {
    /// A fresh lane.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new() -> io::Result<Self> {
        let region = Region::new(RING + 24 + SLOTS * SLOT_WORDS)?;
        region.create_ring(RING, SLOTS, WhenFull::Overwrite).map_err(io::Error::other)?;
        Ok(Self { region })
    }

    /// The lane that another process of this machine described with [`Lane::address`].
    ///
    /// # Errors
    /// What the kernel says; the other process may be gone.
    pub fn open(address: &str) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(address)?;
        Ok(Self { region: Region::open(OwnedFd::from(file))? })
    }

    /// Where a child finds this lane.
    #[must_use]
    pub fn address(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.region.fd().as_raw_fd())
    }

    /// A signal's word.
    #[must_use]
    pub fn signal(&self, signal: Signal) -> &AtomicU64 {
        &self.region.words()[(signal as usize) * LINE]
    }

    /// A count's word.
    #[must_use]
    pub fn count(&self, count: Count) -> &AtomicU64 {
        &self.region.words()[COUNTS + count as usize]
    }

    /// The word that holders publish.
    #[must_use]
    pub fn word(&self) -> Word<'_> {
        Word::new(&self.region.words()[WORD])
    }

    /// The same word, unguarded.
    #[must_use]
    pub fn bare_word(&self) -> &AtomicU64 {
        &self.region.words()[WORD]
    }

    /// The ring that everyone appends to.
    ///
    /// # Panics
    /// If somebody has overwritten the ring's header.
    #[must_use]
    pub fn ring(&self) -> Ring<'_> {
        self.region.open_ring(RING).expect("laid out when the lane was made")
    }

    /// Whether everyone is to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.signal(Signal::Stop).load(SeqCst) != 0
    }

    /// Appends a record without any lease, by a locked addition to the ring's head: how the judge and
    /// the successor count, independent of what is judged. Returns the position.
    pub fn append_bare(&self, actor: Actor, round: u64) -> u64 {
        let words = self.region.words();
        let position = words[RING + 8].fetch_add(1, SeqCst);
        let slot = RING + 24 + (position as usize % SLOTS) * SLOT_WORDS;
        for (word, value) in words[slot..].iter().zip([position + 1, round, actor.tag(), round]) {
            word.store(value, SeqCst);
        }
        position
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.region.words()[RING + 8].load(SeqCst)
    }
}

const LINE: usize = 16;
const COUNTS: usize = 16 * LINE;
const WORD: usize = 24 * LINE;
const RING: usize = 512;
const SLOTS: usize = 4096;
const SLOT_WORDS: usize = 8;
