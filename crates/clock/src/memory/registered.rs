//! What a commit may touch from outside.

use core::sync::atomic::AtomicU64;

use super::{Ring, Word};
use crate::arch::touch;

/// Memory that the body of a commit uses.
///
/// Words and rings are; so are tuples, slices and references of such, and `()` for a body that only
/// uses what lies on its own stack.
pub trait Registered {
    /// Reaches every page that a body may write, as a transaction could not: by locked writes that
    /// leave each value as it is. Called after an abort without a cause, whether or not the lease
    /// still holds.
    fn touch(&self);
}

/// An explicit touch list: one word on each page that a raw body writes.
///
/// Pages that a body only reads belong on it too, if they can be written.
#[derive(Debug, Clone, Copy)]
pub struct Touch<'a>(pub &'a [&'a AtomicU64]);

impl Registered for Touch<'_> {
    fn touch(&self) {
        for word in self.0 {
            touch::for_writing(word);
        }
    }
}

impl Registered for Word<'_> {
    fn touch(&self) {
        touch::for_writing(self.atomic());
    }
}

impl Registered for Ring<'_> {
    fn touch(&self) {
        self.touch_pages();
    }
}

impl Registered for () {
    fn touch(&self) {}
}

impl<M: Registered + ?Sized> Registered for &M {
    fn touch(&self) {
        (**self).touch();
    }
}

impl<M: Registered> Registered for [M] {
    fn touch(&self) {
        for memory in self {
            memory.touch();
        }
    }
}

impl<M: Registered, const N: usize> Registered for [M; N] {
    fn touch(&self) {
        self.as_slice().touch();
    }
}

impl<A: Registered, B: Registered> Registered for (A, B) {
    fn touch(&self) {
        self.0.touch();
        self.1.touch();
    }
}

impl<A: Registered, B: Registered, C: Registered> Registered for (A, B, C) {
    fn touch(&self) {
        self.0.touch();
        self.1.touch();
        self.2.touch();
    }
}
