//! `Outputs`: what a machine wants done, in the order in which it must be done.

use alloc::collections::VecDeque;

/// Drains what one input made a machine put out.
///
/// Borrows the machine, so that nothing can be fed in before it is dropped: the compiler says so
/// (E0499). Dropped with outputs left in it, those stay in the machine, which then panics at the next
/// input: what was not done would be believed done.
#[must_use = "drain every output before the next input"]
#[derive(Debug)]
pub struct Outputs<'a, O>(&'a mut VecDeque<O>);

impl<'a, O> Outputs<'a, O> {
    pub(crate) fn of(queue: &'a mut VecDeque<O>) -> Self {
        Self(queue)
    }
}

impl<O> Iterator for Outputs<'_, O> {
    type Item = O;

    fn next(&mut self) -> Option<O> {
        self.0.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<O> ExactSizeIterator for Outputs<'_, O> {}

/// # Panics
/// If outputs of the last input were left undone.
pub(crate) fn assert_drained<O>(queue: &VecDeque<O>) {
    assert!(queue.is_empty(), "{} outputs of the last input were dropped undone", queue.len());
}
