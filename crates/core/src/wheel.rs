//! `Wheel`: timers in hierarchical slots (Varghese and Lauck, SOSP 1987), so that setting, removing
//! and firing one costs the same among millions, and firing can be cut into slices.
//!
//! Level `l` has 64 slots of 64^l ticks each. A timer stands at the level of the highest group of
//! six bits in which its due tick differs from the wheel's, so nothing wraps around.

use alloc::boxed::Box;
use alloc::vec;

use crate::slab::{Id, Slab};

/// Timers that carry a `T`.
#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(crate) struct Wheel<T> {
    timers: Slab<Timer<T>>,
    heads: Box<[Option<TimerId<T>>]>,
    /// Bit `s` of level `l` is set iff the slot has timers.
    occupied: [u64; LEVELS],
    /// All slots that begin before this tick are empty.
    now: u64,
}

pub(crate) type TimerId<T> = Id<Timer<T>>;

#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(crate) struct Timer<T> {
    due: u64,
    before: Option<TimerId<T>>,
    after: Option<TimerId<T>>,
    slot: u16,
    what: T,
}

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 64;
/// Enough six-bit groups for 64 bits.
const LEVELS: usize = 11;

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            timers: Slab::new(),
            heads: vec![None; SLOTS.saturating_mul(LEVELS)].into_boxed_slice(),
            occupied: [0; LEVELS],
            now: 0,
        }
    }

    /// Sets a timer for tick `due`; one in the past is due at once.
    pub(crate) fn set(&mut self, due: u64, what: T) -> TimerId<T> {
        let due = due.max(self.now);
        let id = self.timers.insert(Timer { due, before: None, after: None, slot: 0, what });
        self.link(id, due);
        id
    }

    /// Takes a timer out before it fires.
    pub(crate) fn remove(&mut self, id: TimerId<T>) -> Option<T> {
        self.timers.get(id)?;
        self.unlink(id);
        self.timers.remove(id).map(|timer| timer.what)
    }

    /// Fires one timer that is due by tick `until`. `None` if none is, or `budget` ran out: each
    /// step, the moving of a timer to a finer slot included, costs one.
    pub(crate) fn fire(&mut self, until: u64, budget: &mut u32) -> Option<T> {
        loop {
            let Some((level, slot, start)) = self.next_slot() else {
                self.now = self.now.max(until);
                return None;
            };
            if start > until {
                self.now = self.now.max(until);
                return None;
            }
            *budget = budget.checked_sub(1)?;
            self.now = self.now.max(start);
            let id = self.heads.get(slot).copied().flatten().expect("occupied slots have timers");
            self.unlink(id);
            if level == 0 {
                return self.timers.remove(id).map(|timer| timer.what);
            }
            let due = self.timers[id].due;
            self.link(id, due);
        }
    }

    /// The tick at which the next timer may be due: a lower bound.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.next_slot().map(|(_, _, start)| start)
    }

    /// The occupied slot that begins first: its level, its place in `heads`, and its first tick.
    ///
    /// Of two that begin together the coarser one: what is left in it may be due before the timers
    /// that were moved out of it already.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let mut first: Option<(usize, usize, u64)> = None;
        for (level, (occupied, shift)) in self.occupied.iter().zip((0..).step_by(6)).enumerate() {
            if *occupied == 0 {
                continue;
            }
            // No slot before the wheel's own is occupied, so the lowest bit is the first in time.
            let slot = u64::from(occupied.trailing_zeros());
            let above = u32::checked_add(shift, SLOT_BITS)
                .and_then(|bits| self.now.checked_shr(bits)?.checked_shl(bits))
                .unwrap_or(0);
            let start = above | slot.wrapping_shl(shift);
            if first.is_none_or(|(_, _, earliest)| start <= earliest) {
                first = Some((level, place(level, slot), start));
            }
        }
        first
    }

    fn link(&mut self, id: TimerId<T>, due: u64) {
        let differing = (due ^ self.now) | 1;
        let highest = differing.ilog2();
        let level = highest.checked_div(SLOT_BITS).unwrap_or(0);
        let slot = due.wrapping_shr(level.saturating_mul(SLOT_BITS)) & 63;
        let level = usize::try_from(level).unwrap_or(0);
        let place = place(level, slot);
        let head = self.heads.get_mut(place).expect("a place in the wheel");
        let after = head.replace(id);
        if let Some(after) = after {
            self.timers[after].before = Some(id);
        }
        let timer = &mut self.timers[id];
        timer.before = None;
        timer.after = after;
        timer.slot = u16::try_from(place).expect("704 places");
        if let Some(occupied) = self.occupied.get_mut(level) {
            *occupied |= 1_u64.wrapping_shl(u32::try_from(slot).unwrap_or(0));
        }
    }

    fn unlink(&mut self, id: TimerId<T>) {
        let timer = &self.timers[id];
        let (before, after, place) = (timer.before, timer.after, usize::from(timer.slot));
        if let Some(after) = after {
            self.timers[after].before = before;
        }
        if let Some(before) = before {
            self.timers[before].after = after;
            return;
        }
        if let Some(head) = self.heads.get_mut(place) {
            *head = after;
        }
        if after.is_none() {
            let level = place.checked_div(SLOTS).unwrap_or(0);
            let slot = u32::try_from(place.checked_rem(SLOTS).unwrap_or(0)).unwrap_or(0);
            if let Some(occupied) = self.occupied.get_mut(level) {
                *occupied &= !1_u64.wrapping_shl(slot);
            }
        }
    }
}

fn place(level: usize, slot: u64) -> usize {
    level.saturating_mul(SLOTS).saturating_add(usize::try_from(slot).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn drain(wheel: &mut Wheel<u64>, until: u64) -> Vec<u64> {
        core::iter::from_fn(|| wheel.fire(until, &mut u32::MAX.clone())).collect()
    }

    #[test]
    fn a_slice_ends_when_its_budget_does_and_the_next_goes_on() {
        let mut wheel = Wheel::new();
        (0..100).for_each(|n| {
            wheel.set(5_000, n);
        });
        let mut budget = 30;
        let mut first = Vec::new();
        while let Some(n) = wheel.fire(6_000, &mut budget) {
            first.push(n);
        }
        assert!(first.len() < 100 && budget == 0);
        first.extend(drain(&mut wheel, 6_000));
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn timers_at_the_ends_of_time_fire() {
        let mut wheel = Wheel::new();
        wheel.set(u64::MAX, 1);
        wheel.set(0, 2);
        assert_eq!(drain(&mut wheel, u64::MAX - 1), [2]);
        wheel.set(3, 3);
        assert_eq!(drain(&mut wheel, u64::MAX - 1), [3], "set in the past, due at once");
        assert_eq!(drain(&mut wheel, u64::MAX), [1]);
        assert_eq!(wheel.next_due(), None);
    }

    proptest! {
        #[test]
        fn fires_each_timer_once_at_the_first_look_after_it_is_due(
            steps in proptest::collection::vec((any::<bool>(), 0..70u32, any::<u64>()), 1..200)
        ) {
            let mut wheel = Wheel::new();
            let mut model: Vec<(u64, u64, TimerId<u64>)> = Vec::new();
            let mut now = 0_u64;
            for (number, (set, shift, raw)) in (0_u64..).zip(steps) {
                let delta = raw.checked_shr(shift).unwrap_or(0);
                if set {
                    let due = now.saturating_add(delta);
                    model.push((due, number, wheel.set(due, number)));
                } else if raw % 5 == 0 && !model.is_empty() {
                    let (_, number, id) = model.swap_remove(shift as usize % model.len());
                    prop_assert_eq!(wheel.remove(id), Some(number));
                } else {
                    now = now.saturating_add(delta);
                    prop_assert!(wheel.next_due() <= model.iter().map(|m| m.0).min()
                        || model.is_empty());
                    let mut fired = drain(&mut wheel, now);
                    let mut expected: Vec<u64> =
                        model.iter().filter(|m| m.0 <= now).map(|m| m.1).collect();
                    model.retain(|m| m.0 > now);
                    fired.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(fired, expected);
                }
            }
        }
    }
}
