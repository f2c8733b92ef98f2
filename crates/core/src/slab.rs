//! `Slab`: storage by number that grows in equal chunks.
//!
//! A vector that doubles would move a gigabyte at once and stall everybody; this one never moves an
//! element.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU32;

/// The number of an element in a [`Slab`] of `T`. An optional one takes no more room.
pub(crate) struct Id<T>(NonZeroU32, PhantomData<fn() -> T>);

/// Elements by [`Id`]; ids of removed elements are used again.
#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: Option<Id<T>>,
    len: u32,
}

#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
enum Slot<T> {
    Full(T),
    Free { next: Option<Id<T>> },
}

/// Elements in a chunk: large enough to be rare, small enough to be allocated without a stall.
const CHUNK: usize = 4096;

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: None, len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// # Panics
    /// Beyond 2^32 - 1 elements; every use is bounded below that.
    pub(crate) fn insert(&mut self, element: T) -> Id<T> {
        self.len = self.len.checked_add(1).expect("a slab is bounded below 2^32 elements");
        if let Some(id) = self.free {
            let slot = self.slot_mut(id).expect("the free list names slots");
            let Slot::Free { next } = core::mem::replace(slot, Slot::Full(element)) else {
                unreachable!("the free list names free slots")
            };
            self.free = next;
            return id;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = self.chunks.len().saturating_sub(1).saturating_mul(CHUNK);
        let chunk = self.chunks.last_mut().expect("a chunk was just made sure of");
        let index = before.saturating_add(chunk.len());
        chunk.push(Slot::Full(element));
        Id::of_index(index).expect("a slab is bounded below 2^32 elements")
    }

    /// Takes an element out. `None` if there is none of this id.
    pub(crate) fn remove(&mut self, id: Id<T>) -> Option<T> {
        let next = self.free;
        let slot = self.slot_mut(id)?;
        if let Slot::Free { .. } = slot {
            return None;
        }
        let Slot::Full(element) = core::mem::replace(slot, Slot::Free { next }) else {
            unreachable!("just seen to be full")
        };
        self.free = Some(id);
        self.len = self.len.saturating_sub(1);
        Some(element)
    }

    pub(crate) fn get(&self, id: Id<T>) -> Option<&T> {
        let (chunk, place) = id.place();
        match self.chunks.get(chunk)?.get(place)? {
            Slot::Full(element) => Some(element),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        match self.slot_mut(id)? {
            Slot::Full(element) => Some(element),
            Slot::Free { .. } => None,
        }
    }

    /// The elements from number `first` on, in the order of their numbers, with the number after
    /// each.
    pub(crate) fn walk_from(&self, first: u32) -> impl Iterator<Item = (u32, Option<&T>)> {
        let index = usize::try_from(first).unwrap_or(usize::MAX);
        let chunk = index.checked_div(CHUNK).unwrap_or(0);
        let skip = index.checked_rem(CHUNK).unwrap_or(0);
        self.chunks.iter().skip(chunk).flatten().skip(skip).zip(first..).map(|(slot, number)| {
            let element = match slot {
                Slot::Full(element) => Some(element),
                Slot::Free { .. } => None,
            };
            (number.saturating_add(1), element)
        })
    }

    fn slot_mut(&mut self, id: Id<T>) -> Option<&mut Slot<T>> {
        let (chunk, place) = id.place();
        self.chunks.get_mut(chunk)?.get_mut(place)
    }
}

/// # Panics
/// If there is no such element: an id outlived what it names, which is a bug of the caller.
impl<T> core::ops::Index<Id<T>> for Slab<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        self.get(id).expect("an id in use names an element")
    }
}

/// # Panics
/// As [`core::ops::Index`].
impl<T> core::ops::IndexMut<Id<T>> for Slab<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        self.get_mut(id).expect("an id in use names an element")
    }
}

impl<T> Id<T> {
    fn of_index(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        Some(Self(NonZeroU32::new(number)?, PhantomData))
    }

    /// The chunk, and the place in it.
    fn place(self) -> (usize, usize) {
        let index = usize::try_from(self.0.get().saturating_sub(1)).unwrap_or(usize::MAX);
        (index.checked_div(CHUNK).unwrap_or(0), index.checked_rem(CHUNK).unwrap_or(0))
    }

    /// A number that no other element in the slab has.
    pub(crate) const fn number(self) -> NonZeroU32 {
        self.0
    }

    /// The id with this number.
    pub(crate) const fn of_number(number: NonZeroU32) -> Self {
        Self(number, PhantomData)
    }
}

// Derives would ask the same of `T`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn ids_are_used_again_and_name_what_was_put_there() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..10_000_u32).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(ids[5]), Some(5));
        assert_eq!(slab.remove(ids[5]), None, "removed once");
        assert_eq!(slab.get(ids[5]), None);
        assert_eq!(slab.insert(77), ids[5]);
        assert_eq!((slab[ids[5]], slab[ids[9_999]], slab.len()), (77, 9_999, 10_000));
    }

    #[test]
    fn a_walk_can_go_on_where_it_stopped() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..9_000_u32).map(|n| slab.insert(n)).collect();
        slab.remove(ids[8_000]);
        let (after, _) = slab.walk_from(0).nth(4_999).unwrap();
        let rest: Vec<_> = slab.walk_from(after).filter_map(|(_, e)| e.copied()).collect();
        assert_eq!(rest.len(), 3_999);
        assert_eq!((rest[0], rest[3_998]), (5_000, 8_999));
    }
}
