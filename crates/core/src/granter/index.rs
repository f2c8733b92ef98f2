//! `Index`: finds ids by what they name, without ever moving the whole table.
//!
//! A hash table that grows moves all of its entries at once; with millions that stalls everybody for
//! a second. This one is cut into shards that grow one at a time.

use alloc::vec::Vec;
use hashbrown::HashTable;

use crate::mac::{Key, Placing};

/// A table of ids, found by the hash of a key that is kept elsewhere.
#[derive(Debug)]
pub(super) struct Index<I> {
    key: Key,
    shards: Vec<HashTable<Found<I>>>,
}

/// An id, with enough of the hash to place it again without looking at what it names.
#[derive(Debug, Clone, Copy)]
struct Found<I> {
    hash: Hash,
    id: I,
}

/// The hash of a key: 32 bits to choose and compare by; the shard is chosen by ten of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(u32);

/// With ten million entries a shard has ten thousand, which are moved in about 0.1 ms.
const SHARDS: usize = 1024;

impl<I: Copy + PartialEq> Index<I> {
    pub(super) fn new(key: Key) -> Self {
        Self { key, shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }

    pub(super) fn hash(&self, key: &[u8]) -> Hash {
        let hash = Placing::new(&self.key).bytes(key).finish_half();
        Hash(u32::try_from(hash & 0xffff_ffff).unwrap_or(0))
    }

    pub(super) fn find(&self, hash: Hash, is_it: impl Fn(I) -> bool) -> Option<I> {
        let found = self.shards.get(hash.shard())?;
        found.find(hash.spread(), |found| found.hash == hash && is_it(found.id)).map(|f| f.id)
    }

    /// Adds an id. The caller made sure that it is not there.
    pub(super) fn insert(&mut self, hash: Hash, id: I) {
        let shard = self.shards.get_mut(hash.shard()).expect("ten bits choose among 1024 shards");
        shard.insert_unique(hash.spread(), Found { hash, id }, |found| found.hash.spread());
    }

    pub(super) fn remove(&mut self, hash: Hash, id: I) {
        let shard = self.shards.get_mut(hash.shard()).expect("ten bits choose among 1024 shards");
        if let Ok(entry) = shard.find_entry(hash.spread(), |found| found.id == id) {
            entry.remove();
        }
    }
}

impl Hash {
    fn shard(self) -> usize {
        usize::try_from(self.0 & 1023).unwrap_or(0)
    }

    /// 64 bits that differ at both ends, as the table wants them.
    fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
