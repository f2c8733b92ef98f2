//! `Index`: finds ids by what they name, mostly within one cache line, and without ever moving the
//! whole table.
//!
//! Open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithms L
//! and R): an id stands in the first slot that was free from its hash's own on, and none is ever left
//! with a gap before it. A table that grows moves all of its ids at once; with millions that stalls
//! everybody for a second. This one is cut into shards that grow one at a time.

use alloc::vec;
use alloc::vec::Vec;

use crate::mac::{Key, Placing};

/// A table of ids, found by the hash of a key that is kept elsewhere.
#[derive(Debug)]
pub(super) struct Index<I> {
    key: Key,
    shards: Vec<Shard<I>>,
}

/// Slots, none or a power of two of them, of which at most three in four are taken.
#[derive(Debug)]
struct Shard<I> {
    slots: Vec<Option<Found<I>>>,
    taken: usize,
}

/// An id, with enough of the hash to place it again without looking at what it names.
#[derive(Debug, Clone, Copy)]
struct Found<I> {
    hash: Hash,
    id: I,
}

/// The hash of a key: ten bits choose the shard, the others the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(u32);

/// With ten million entries a shard has ten thousand, which are moved in about 0.1 ms.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 10;

/// Slots of a shard that has any, at first: one cache line of them.
const FIRST_SLOTS: usize = 8;

impl<I: Copy + PartialEq> Index<I> {
    pub(super) fn new(key: Key) -> Self {
        Self { key, shards: (0..SHARDS).map(|_| Shard::new()).collect() }
    }

    pub(super) fn hash(&self, key: &[u8]) -> Hash {
        let hash = Placing::new(&self.key).bytes(key).finish_half();
        Hash(u32::try_from(hash & 0xffff_ffff).unwrap_or(0))
    }

    pub(super) fn find(&self, hash: Hash, is_it: impl Fn(I) -> bool) -> Option<I> {
        let shard = self.shards.get(hash.shard())?;
        shard.find(hash, is_it).map(|(_, id)| id)
    }

    /// Adds an id. The caller made sure that it is not there.
    pub(super) fn insert(&mut self, hash: Hash, id: I) {
        self.shard_mut(hash).insert(Found { hash, id });
    }

    /// Takes an id out, if it is there.
    pub(super) fn remove(&mut self, hash: Hash, id: I) {
        self.shard_mut(hash).remove(hash, id);
    }

    fn shard_mut(&mut self, hash: Hash) -> &mut Shard<I> {
        self.shards.get_mut(hash.shard()).expect("ten bits choose among 1024 shards")
    }
}

impl<I: Copy + PartialEq> Shard<I> {
    const fn new() -> Self {
        Self { slots: Vec::new(), taken: 0 }
    }

    /// The id with this hash that is the one, and its slot.
    fn find(&self, hash: Hash, is_it: impl Fn(I) -> bool) -> Option<(usize, I)> {
        let mut slot = self.around(hash.slot());
        // A gap ends the search, and there is one: not all slots are taken.
        while let Some(found) = self.get(slot) {
            if found.hash == hash && is_it(found.id) {
                return Some((slot, found.id));
            }
            slot = self.after(slot);
        }
        None
    }

    fn insert(&mut self, found: Found<I>) {
        if self.taken.saturating_mul(4) >= self.slots.len().saturating_mul(3) {
            self.grow();
        }
        self.put(found);
        self.taken = self.taken.saturating_add(1);
    }

    /// Puts an id into the first free slot from its own on.
    fn put(&mut self, found: Found<I>) {
        let mut slot = self.around(found.hash.slot());
        while self.get(slot).is_some() {
            slot = self.after(slot);
        }
        self.set(slot, Some(found));
    }

    fn grow(&mut self) {
        let slots = self.slots.len().saturating_mul(2).max(FIRST_SLOTS);
        let before = core::mem::replace(&mut self.slots, vec![None; slots]);
        before.into_iter().flatten().for_each(|found| self.put(found));
    }

    /// Empties the slot of an id, and moves those behind it up over the gap that it would leave.
    fn remove(&mut self, hash: Hash, id: I) {
        let Some((mut gap, _)) = self.find(hash, |known| known == id) else { return };
        let mut slot = self.after(gap);
        while let Some(found) = self.get(slot) {
            let own = found.hash.slot();
            let way = |to: usize| self.around(to.wrapping_sub(own));
            if way(gap) < way(slot) {
                self.set(gap, Some(found));
                gap = slot;
            }
            slot = self.after(slot);
        }
        self.set(gap, None);
        self.taken = self.taken.saturating_sub(1);
    }

    fn get(&self, slot: usize) -> Option<Found<I>> {
        self.slots.get(slot).copied().flatten()
    }

    fn set(&mut self, slot: usize, found: Option<Found<I>>) {
        *self.slots.get_mut(slot).expect("a slot of this shard") = found;
    }

    fn after(&self, slot: usize) -> usize {
        self.around(slot.wrapping_add(1))
    }

    /// The slot with this number, counted around the end.
    fn around(&self, slot: usize) -> usize {
        slot & self.slots.len().wrapping_sub(1)
    }
}

impl Hash {
    /// For numbers that no stranger chooses.
    pub(super) fn of_number(number: u64) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Self(u32::try_from(mixed).unwrap_or(0))
    }

    fn shard(self) -> usize {
        usize::try_from(self.0).unwrap_or(0) & (SHARDS - 1)
    }

    fn slot(self) -> usize {
        usize::try_from(self.0 >> SHARD_BITS).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use core::num::NonZeroU32;
    use proptest::prelude::*;

    #[test]
    fn eight_slots_fill_a_cache_line() {
        assert_eq!(size_of::<Option<Found<NonZeroU32>>>(), 8);
    }

    /// Hashes of one shard whose slots collide, so that chains join, wrap around the end and are cut.
    fn crowded() -> impl Strategy<Value = Hash> {
        (0..40_u32, 0..3_u32).prop_map(|(slot, high)| Hash((slot + high * 4096) << SHARD_BITS))
    }

    proptest! {
        #[test]
        fn finds_what_was_added_and_nothing_that_was_taken_out(
            steps in proptest::collection::vec((crowded(), 1..60_u32, any::<bool>()), 1..300)
        ) {
            let mut index = Index::new(Key([7; 16]));
            let mut model = BTreeMap::new();
            for (hash, number, adds) in steps {
                let id = NonZeroU32::new(number).unwrap();
                match (adds, model.get(&id).copied()) {
                    (true, None) => {
                        index.insert(hash, id);
                        model.insert(id, hash);
                    }
                    (true, Some(_)) => {}
                    (false, Some(known)) => {
                        index.remove(known, id);
                        model.remove(&id);
                    }
                    (false, None) => index.remove(hash, id),
                }
                for number in 1..60 {
                    let id = NonZeroU32::new(number).unwrap();
                    let expected = model.get(&id).map(|_| id);
                    let hash = model.get(&id).copied().unwrap_or(hash);
                    prop_assert_eq!(index.find(hash, |found| found == id), expected);
                }
            }
            prop_assert_eq!(index.shards[0].taken, model.len());
        }
    }

    #[test]
    fn a_shard_always_keeps_gaps() {
        let mut shard = Shard::new();
        for number in 1..10_000 {
            let id = NonZeroU32::new(number).unwrap();
            shard.insert(Found { hash: Hash(number.wrapping_mul(0x9e37_79b9)), id });
            assert!(shard.taken * 4 <= shard.slots.len() * 3);
        }
        assert_eq!(shard.slots.len(), 16_384);
    }
}
