//! The host's page on which judges look (docs/enclave.md). What stands there is believed by nobody in
//! here.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use tlease_clock::memory::HostMemory;

/// The page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page(HostMemory);

impl Page {
    /// The page at an address, if all of it is the host's.
    pub(super) fn at(address: usize) -> Option<Self> {
        HostMemory::at(address, WORDS).map(Self)
    }

    /// Says which fence was given last.
    pub(super) fn say_given(self, fence: u64) {
        self.0.words()[GIVEN].store(fence, SeqCst);
    }

    /// Says where the granter listens.
    pub(super) fn say_port(self, port: u16) {
        self.0.words()[PORT].store(port.into(), SeqCst);
    }

    /// One of the logs.
    pub(super) fn log(self, number: usize) -> Log {
        Log { memory: self.0, start: LOGS_START + number * LOG_WORDS, count: 0 }
    }
}

/// What one holder did, in order: a count, then for each act the fence that it was under and the
/// fence that the granter had given last at the instant of the act.
#[derive(Debug)]
pub(super) struct Log {
    memory: HostMemory,
    start: usize,
    /// Acts so far. The host's word of it is not read back.
    count: u64,
}

/// The words that the next act writes, and the one that it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) given: &'static AtomicU64,
    /// Fence, last fence given, count.
    pub(super) entry: [&'static AtomicU64; 3],
    pub(super) number: u64,
}

impl Log {
    /// Where the next act goes; `None` once the log is full.
    pub(super) fn next(&self) -> Option<Slot> {
        let index = usize::try_from(self.count).ok().filter(|count| *count < ENTRIES)?;
        let at = self.start + ENTRIES_AFTER + index * 2;
        let word = |index: usize| &self.memory.words()[index];
        let entry = [word(at), word(at + 1), word(self.start + COUNT)];
        Some(Slot { given: word(GIVEN), entry, number: self.count + 1 })
    }

    /// An act has become visible.
    pub(super) fn acted(&mut self) {
        self.count += 1;
    }

    /// Says under which fence acts are tried from now on.
    pub(super) fn say_tries(&self, fence: u64) {
        self.memory.words()[self.start + FENCE].store(fence, SeqCst);
    }

    /// Says that one more try has ended.
    pub(super) fn say_ended(&self) {
        self.memory.words()[self.start + ENDED].fetch_add(1, SeqCst);
    }
}

/// Of the page that the runner maps: 1 MiB.
const WORDS: usize = (1 << 20) / 8;
/// The words that docs/enclave.md names.
const GIVEN: usize = 2;
const PORT: usize = 3;
const LOGS_START: usize = 4096;
const LOG_WORDS: usize = 32_768;
const COUNT: usize = 0;
const FENCE: usize = 1;
const ENDED: usize = 2;
const ENTRIES_AFTER: usize = 8;
const ENTRIES: usize = (LOG_WORDS - ENTRIES_AFTER) / 2;
