//! VMClock: the page in which a hypervisor says "your time was disrupted" (`/dev/vmclock0`).
//!
//! The layout is `struct vmclock_abi` of Linux's `include/uapi/linux/vmclock-abi.h`: little-endian,
//! here read as 64-bit words, since the guard compares two of them inside a transaction.
//!
//! | word | holds |
//! |---|---|
//! | 0 | `magic` (low half), `size` in bytes (high half) |
//! | 1 | `version` (16 bits), `counter_id`, `time_type` (8 each), `seq_count` (high half) |
//! | 2 | `disruption_marker` |
//! | 3 | `flags` |
//! | 13 | `vm_generation_counter`, if flag 8 says so |

use core::fmt;

/// The markers that change when continuity of time was lost. Values do not repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marks {
    /// Changes when the CPU counter was disrupted, as by a live migration.
    pub disruption: u64,
    /// Changes when the machine was loaded from a snapshot; `None` if this hypervisor keeps none
    /// (it must then change `disruption`).
    pub generation: Option<u64>,
}

/// Which of its copies a machine is. It is another one after it was loaded from a snapshot, which others
/// may have been loaded from as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Nothing here tells: there is no VMClock, or none that keeps a generation counter.
    Untold,
    /// The hypervisor was changing its page each time it was read.
    Changing,
    /// The generation counter. Values do not repeat.
    Is(u64),
}

/// Where the markers are in the page of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    has_generation: bool,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl Layout {
    /// Recognises a page by its first words, given by `word(index)`.
    ///
    /// # Errors
    /// [`NotVmClock`] says what is wrong with it.
    pub fn recognise(word: impl Fn(usize) -> u64) -> Result<Self, NotVmClock> {
        let [magic, size] = halves(word(HEADER));
        if magic != MAGIC {
            return Err(NotVmClock::Magic(magic));
        }
        let [kind, _] = halves(word(SEQUENCE));
        let version = kind & 0xffff;
        if version != VERSION {
            return Err(NotVmClock::Version(version));
        }
        if size < SIZE_MIN {
            return Err(NotVmClock::Size(size));
        }
        let has_generation =
            word(FLAGS) & FLAG_GENERATION_PRESENT != 0 && size >= SIZE_WITH_GENERATION;
        Ok(Self {
            has_generation,
            #[cfg(feature = "mutants")]
            mutant: None,
        })
    }

    /// Reads the markers under the page's sequence count, at most a thousand times.
    ///
    /// `word` must read in the order of the calls (acquire). `None` if the hypervisor was in the
    /// middle of an update each time: continuity cannot be shown now.
    #[must_use]
    pub fn marks(&self, word: impl Fn(usize) -> u64) -> Option<Marks> {
        (0..READS_MAX).find_map(|_| {
            let [_, before] = halves(word(SEQUENCE));
            let disruption = word(DISRUPTION);
            let generation = self.has_generation.then(|| word(self.generation()));
            let [_, after] = halves(word(SEQUENCE));
            let is_whole = before == after && before & 1 == 0 || planted!(self, TornMarksBelieved);
            is_whole.then_some(Marks { disruption, generation })
        })
    }

    const fn generation(&self) -> usize {
        planted!(self, GenerationMisplaced => return GENERATION.saturating_sub(1));
        GENERATION
    }

    /// Whether the page keeps a generation counter beside the disruption marker.
    #[must_use]
    pub const fn has_generation(&self) -> bool {
        self.has_generation
    }
}

/// A page that is not a VMClock of a version we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotVmClock {
    /// It does not begin with `VCLK`.
    Magic(u32),
    /// Its version is not 1.
    Version(u32),
    /// It says it is too small, in bytes, to hold the markers.
    Size(u32),
}

impl fmt::Display for NotVmClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(magic) => write!(f, "it begins with {magic:#x}, not with VCLK"),
            Self::Version(version) => write!(f, "version {version} is unknown, only 1 is"),
            Self::Size(size) => write!(f, "it is too small ({size} bytes)"),
        }
    }
}

impl core::error::Error for NotVmClock {}

/// How often a torn read is tried again. A hypervisor's update takes a few stores.
const READS_MAX: u32 = 1_000;

/// Word of `disruption_marker`, for the guard.
pub(crate) const DISRUPTION: usize = 2;
/// Word of `vm_generation_counter`, for the guard.
pub(crate) const GENERATION: usize = 13;
/// The fewest bytes that a file must have to be read as a VMClock page.
pub(crate) const FILE_BYTES_MIN: u64 = 112;

const HEADER: usize = 0;
const SEQUENCE: usize = 1;
const FLAGS: usize = 3;
const MAGIC: u32 = 0x4b4c_4356;
const VERSION: u32 = 1;
const FLAG_GENERATION_PRESENT: u64 = 1 << 8;
const SIZE_MIN: u32 = 32;
const SIZE_WITH_GENERATION: u32 = 112;

/// The low and the high half of a word.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn page(sequence: u64, flags: u64) -> [u64; 14] {
        let mut words = [0; 14];
        words[HEADER] = u64::from(MAGIC) | 4096 << 32;
        words[SEQUENCE] = 1 | 1 << 16 | sequence << 32;
        words[DISRUPTION] = 11;
        words[FLAGS] = flags;
        words[GENERATION] = 5;
        words
    }

    fn recognise(word: impl Fn(usize) -> u64) -> Layout {
        let layout = Layout::recognise(word).unwrap();
        #[cfg(feature = "mutants")]
        let layout = Layout { mutant: PLANTED.get(), ..layout };
        layout
    }

    #[cfg(feature = "mutants")]
    thread_local! {
        static PLANTED: Cell<Option<crate::Mutant>> = const { Cell::new(None) };
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn bugs_are_noticed_when_they_are_planted() {
        use crate::Mutant;

        let dies = |bug: Mutant, execution: fn()| {
            PLANTED.set(Some(bug));
            let passed = std::panic::catch_unwind(execution).is_ok();
            PLANTED.set(None);
            assert!(!passed, "{bug:?} goes unnoticed: {}", bug.says());
        };
        dies(Mutant::GenerationMisplaced, the_markers_are_where_the_header_file_says);
        dies(Mutant::TornMarksBelieved, an_update_that_never_ends_gives_no_markers);
        dies(Mutant::TornMarksBelieved, a_torn_read_is_tried_again);
    }

    #[test]
    fn the_markers_are_where_the_header_file_says() {
        let words = page(2, FLAG_GENERATION_PRESENT);
        let layout = recognise(|i| words[i]);
        let marks = Marks { disruption: 11, generation: Some(5) };
        assert_eq!(layout.marks(|i| words[i]), Some(marks));
        assert_eq!((DISRUPTION * 8, FLAGS * 8, GENERATION * 8), (16, 24, 104));
    }

    #[test]
    fn without_its_flag_the_generation_counter_is_not_believed() {
        let words = page(2, 0);
        let layout = recognise(|i| words[i]);
        let marks = Marks { disruption: 11, generation: None };
        assert_eq!(layout.marks(|i| words[i]), Some(marks));
    }

    #[test]
    fn an_update_that_never_ends_gives_no_markers() {
        let words = page(3, 0);
        let layout = recognise(|i| words[i]);
        assert_eq!(layout.marks(|i| words[i]), None);
    }

    #[test]
    fn a_torn_read_is_tried_again() {
        let reads = Cell::new(0_u64);
        let layout = recognise(|i| page(0, 0)[i]);
        let marks = layout.marks(|i| {
            reads.set(reads.get() + 1);
            // The sequence count moves under the first two rounds.
            let mut words = page(if reads.get() < 6 { reads.get() * 2 } else { 40 }, 0);
            words[DISRUPTION] = reads.get();
            words[i]
        });
        assert!(marks.unwrap().disruption > 6, "taken from a round that did not move: {marks:?}");
    }

    #[test]
    fn other_pages_are_refused_by_name() {
        let wrong = |change: fn(&mut [u64; 14])| {
            let mut words = page(0, 0);
            change(&mut words);
            Layout::recognise(|i| words[i]).unwrap_err()
        };
        assert_eq!(wrong(|w| w[HEADER] = 4096 << 32), NotVmClock::Magic(0));
        assert_eq!(wrong(|w| w[SEQUENCE] = 9), NotVmClock::Version(9));
        assert_eq!(wrong(|w| w[HEADER] = u64::from(MAGIC) | 16 << 32), NotVmClock::Size(16));
    }
}
