//! Bytes as choices: what each machine is fed is drawn from them, until they are used up.

use tlease_core::identity::Incarnation;
use tlease_core::message::{Acquire, Force, Recall, Wait};
use tlease_core::time::Span;
use tlease_core::{Fence, Mode, Name, Value};

/// The bytes that are left. Once there are none every choice is the first one.
#[derive(Debug)]
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn are_used_up(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let byte = usize::from(self.byte());
        from[byte % from.len()]
    }

    /// One of the last few of a list, the last one most easily.
    pub(crate) fn recent<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let back = usize::from(self.byte() % 4);
        all.iter().rev().nth(back).or(all.last()).copied()
    }

    pub(crate) fn yes(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.yes().then(|| make(self))
    }

    pub(crate) fn name(&mut self) -> Name {
        let name = self.pick(&["a", "b", "a/long/name/that/needs/an/allocation"]);
        name.parse().expect("a good name")
    }

    pub(crate) fn fence(&mut self) -> Fence {
        let number = self.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 1 << 20, u64::MAX >> 1]);
        Fence::new(number).expect("a fence")
    }

    pub(crate) fn span(&mut self) -> Span {
        let nanos = [1_000_000_000, 10_000_000, 5_000_000_000, 0, 1, 300_000_000, u64::MAX];
        Span::from_nanos(self.pick(&nanos))
    }

    pub(crate) fn mode(&mut self) -> Mode {
        self.pick(&[Mode::Exclusive, Mode::Shared])
    }

    pub(crate) fn force(&mut self) -> Force {
        self.pick(&[Force::Grace, Force::Now])
    }

    pub(crate) fn recall(&mut self) -> Recall {
        Recall { until: self.span(), force: self.force() }
    }

    pub(crate) fn incarnation(&mut self) -> Incarnation {
        Incarnation::new(self.pick(&[1, 2, 3, u64::MAX])).expect("not zero")
    }

    pub(crate) fn acquire(&mut self) -> Acquire {
        let wait = match self.byte() % 4 {
            0 => Wait::Try,
            1 => Wait::AtMost(self.span()),
            _ => Wait::Unbounded,
        };
        let value = self.maybe(|_| Value::new(b"host:1").expect("a short value"));
        Acquire { name: self.name(), mode: self.mode(), term: self.span(), wait, value }
    }
}
