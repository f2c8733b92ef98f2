//! A ring of entries that only valid leases can append to.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use tlease_core::fence::Fence;

use crate::arch::touch;

/// A ring in shared memory: producers append inside commits, one consumer takes.
///
/// Each entry carries the fence under which it was appended. A consumer that carries an entry out of
/// memory acts *later* than the commit: it must be guarded itself, or the resource must check the
/// fence.
///
/// # Layout
/// In 64-bit words: `[magic | when full, slots, 6 unused]`, `[head, 7 unused]`, `[tail, 7 unused]`, then
/// 8 words a slot: `[position + 1, fence, 6 words of payload]`. Head and tail count entries and never
/// wrap in practice.
#[derive(Debug, Clone, Copy)]
pub struct Ring<'a> {
    head: &'a AtomicU64,
    tail: &'a AtomicU64,
    slots: &'a [[AtomicU64; SLOT_WORDS]],
    when_full: WhenFull,
}

/// What a full ring does with another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Refuses it ([`RingFull`]) until the consumer has taken one.
    Refuse,
    /// Overwrites the oldest: a journal of the last entries, without a consumer.
    Overwrite,
}

/// One entry of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// How many entries were appended before it.
    pub position: u64,
    /// The lease under which it was appended.
    pub fence: Fence,
    /// What the producer wrote.
    pub payload: [u64; PAYLOAD_WORDS],
}

impl<'a> Ring<'a> {
    pub(super) fn create(
        words: &'a [AtomicU64],
        start: usize,
        slots: usize,
        when_full: WhenFull,
    ) -> Result<Self, RingFault> {
        if !slots.is_power_of_two() {
            return Err(RingFault::Slots);
        }
        let ring = Self::lay_out(words, start, slots, when_full)?;
        ring.head.store(0, Ordering::Release);
        ring.tail.store(0, Ordering::Release);
        words[start.saturating_add(1)].store(slots_word(slots), Ordering::Release);
        words[start].store(magic(when_full), Ordering::Release);
        Ok(ring)
    }

    pub(super) fn open(words: &'a [AtomicU64], start: usize) -> Result<Self, RingFault> {
        let header = words.get(start..).and_then(|words| words.first_chunk::<2>());
        let [kind, slots] = header.ok_or(RingFault::TooShort)?;
        let kind = kind.load(Ordering::Acquire);
        let when_full = [WhenFull::Refuse, WhenFull::Overwrite]
            .into_iter()
            .find(|when_full| magic(*when_full) == kind)
            .ok_or(RingFault::NoRing)?;
        let slots = usize::try_from(slots.load(Ordering::Acquire)).unwrap_or(0);
        if !slots.is_power_of_two() {
            return Err(RingFault::NoRing);
        }
        Self::lay_out(words, start, slots, when_full)
    }

    fn lay_out(
        words: &'a [AtomicU64],
        start: usize,
        slots: usize,
        when_full: WhenFull,
    ) -> Result<Self, RingFault> {
        let words = words.get(start..).ok_or(RingFault::TooShort)?;
        let (lines, _) = words.as_chunks::<SLOT_WORDS>();
        let [_, head, tail, entries @ ..] = lines else { return Err(RingFault::TooShort) };
        let slots = entries.get(..slots).ok_or(RingFault::TooShort)?;
        Ok(Self { head: &head[0], tail: &tail[0], slots, when_full })
    }

    /// How many entries wait for the consumer; for a journal, how many it still shows.
    #[must_use]
    pub fn len(&self) -> usize {
        let (head, tail) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Acquire));
        usize::try_from(head.saturating_sub(tail)).unwrap_or(usize::MAX).min(self.slots.len())
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries were ever appended.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Takes the oldest entry. For one consumer; on a journal it always returns `None`.
    #[must_use]
    pub fn take(&self) -> Option<Entry> {
        if self.when_full == WhenFull::Overwrite {
            return None;
        }
        let tail = self.tail.load(Ordering::Acquire);
        if tail >= self.head.load(Ordering::Acquire) {
            return None;
        }
        let entry = self.read(tail)?;
        self.tail.store(tail.saturating_add(1), Ordering::Release);
        Some(entry)
    }

    /// The entry at a position, if the ring still shows it.
    #[must_use]
    pub fn read(&self, position: u64) -> Option<Entry> {
        let slot = self.slot(position)?;
        let stamp = position.checked_add(1)?;
        if slot[0].load(Ordering::Acquire) != stamp {
            return None;
        }
        let fence = Fence::new(slot[1].load(Ordering::Acquire));
        let mut payload = [0; PAYLOAD_WORDS];
        for (value, word) in payload.iter_mut().zip(&slot[2..]) {
            *value = word.load(Ordering::Acquire);
        }
        // A commit that overwrote the slot meanwhile changed the stamp in the same instant.
        let entry = Entry { position, fence: fence?, payload };
        (slot[0].load(Ordering::Acquire) == stamp).then_some(entry)
    }

    /// Appends inside a transaction, which makes the stores one.
    #[inline]
    pub(crate) fn append(
        &self,
        fence: Fence,
        payload: [u64; PAYLOAD_WORDS],
    ) -> Result<u64, RingFull> {
        let head = self.head.load(Ordering::Relaxed);
        let next = head.wrapping_add(1);
        match self.when_full {
            WhenFull::Refuse if self.free_after(head) == 0 => return Err(RingFull),
            WhenFull::Refuse | WhenFull::Overwrite => {}
        }
        let Some(slot) = self.slot(head) else { return Err(RingFull) };
        slot[0].store(next, Ordering::Relaxed);
        slot[1].store(fence.get(), Ordering::Relaxed);
        for (word, value) in slot[2..].iter().zip(payload) {
            word.store(value, Ordering::Relaxed);
        }
        self.head.store(next, Ordering::Release);
        Ok(head)
    }

    #[inline]
    fn free_after(&self, head: u64) -> usize {
        let used = head.saturating_sub(self.tail.load(Ordering::Relaxed));
        self.slots.len().saturating_sub(usize::try_from(used).unwrap_or(usize::MAX))
    }

    #[inline]
    fn slot(&self, position: u64) -> Option<&'a [AtomicU64; SLOT_WORDS]> {
        let mask = self.slots.len().checked_sub(1)?;
        // Only the low bits count, so truncation on a 32-bit machine changes nothing.
        let low = usize::try_from(position & u64::from(u32::MAX)).unwrap_or(0);
        self.slots.get(low & mask)
    }

    /// Head, tail, and the slots of the next [`BURST`] entries.
    pub(super) fn touch_pages(&self) {
        touch::for_writing(self.head);
        touch::for_reading(self.tail);
        let head = self.head.load(Ordering::Acquire);
        for ahead in 0..BURST {
            if let Some(slot) = self.slot(head.wrapping_add(ahead)) {
                touch::for_writing(&slot[0]);
            }
        }
    }
}

/// Words of payload in an entry.
pub(crate) const PAYLOAD_WORDS: usize = 6;

/// Entries that one body may append after the pages had to be touched: 1 KiB, that is one page or two.
const BURST: u64 = 16;
const SLOT_WORDS: usize = 8;
/// "TLRING01", and in the last byte what it does when it is full.
const MAGIC: u64 = u64::from_be_bytes(*b"TLRING\x01\0");

const fn magic(when_full: WhenFull) -> u64 {
    match when_full {
        WhenFull::Refuse => MAGIC,
        WhenFull::Overwrite => MAGIC | 1,
    }
}

fn slots_word(slots: usize) -> u64 {
    u64::try_from(slots).unwrap_or(u64::MAX)
}

/// The consumer has not made room yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingFull;

impl fmt::Display for RingFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full")
    }
}

impl core::error::Error for RingFull {}

/// There is no ring, and none can be made there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingFault {
    /// The number of slots is not a power of two.
    Slots,
    /// The region ends before the ring does.
    TooShort,
    /// No ring was laid out there.
    NoRing,
}

impl fmt::Display for RingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slots => "a ring's number of slots must be a power of two",
            Self::TooShort => "the region ends before the ring does",
            Self::NoRing => "no ring was laid out there",
        })
    }
}

impl core::error::Error for RingFault {}

#[cfg(test)]
mod tests {
    use super::super::Region;
    use super::*;

    fn fence(number: u64) -> Fence {
        Fence::new(number).unwrap()
    }

    #[test]
    fn entries_come_out_in_order_with_their_fences() {
        let region = Region::new(1024).unwrap();
        let ring = region.create_ring(0, 4, WhenFull::Refuse).unwrap();
        for number in 1..=4 {
            ring.append(fence(number), [number; PAYLOAD_WORDS]).unwrap();
        }
        assert_eq!(ring.append(fence(5), [5; PAYLOAD_WORDS]), Err(RingFull));
        let other = region.open_ring(0).unwrap();
        for number in 1..=4 {
            let entry = other.take().unwrap();
            assert_eq!((entry.fence, entry.payload[5]), (fence(number), number));
        }
        assert_eq!(other.take(), None);
        assert_eq!(ring.append(fence(5), [5; PAYLOAD_WORDS]), Ok(4));
    }

    #[test]
    fn a_journal_keeps_the_last_entries() {
        let region = Region::new(64).unwrap();
        let ring = region.create_ring(0, 2, WhenFull::Overwrite).unwrap();
        for number in 1..=5 {
            ring.append(fence(number), [number; PAYLOAD_WORDS]).unwrap();
        }
        assert_eq!(ring.read(2), None, "overwritten");
        assert_eq!(ring.read(4).map(|entry| entry.fence), Some(fence(5)));
        assert_eq!(ring.read(5), None, "not yet appended");
        assert_eq!(ring.take(), None);
    }

    #[test]
    fn what_is_no_ring_is_refused() {
        let region = Region::new(64).unwrap();
        assert_eq!(region.open_ring(0).unwrap_err(), RingFault::NoRing);
        assert_eq!(region.open_ring(64).unwrap_err(), RingFault::TooShort);
        let create = |start, slots| region.create_ring(start, slots, WhenFull::Refuse).unwrap_err();
        assert_eq!(create(0, 3), RingFault::Slots);
        assert_eq!(create(0, 8), RingFault::TooShort);
        assert_eq!(create(usize::MAX, 1), RingFault::TooShort);
        region.create_ring(0, 1, WhenFull::Refuse).unwrap();
        region.words()[1].store(1 << 40, Ordering::SeqCst);
        assert_eq!(region.open_ring(0).unwrap_err(), RingFault::TooShort, "a lying header");
    }
}
