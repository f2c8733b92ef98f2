//! Events, lists and watches as iterators.

use super::wait;
use crate::error::AskError;
use crate::{Entry, EventMark, LeaseEvent, Watched};

/// As [`tlease::Events`](crate::Events): an iterator that blocks, and ends with the lease.
#[derive(Debug)]
pub struct Events(crate::Events);

impl Events {
    pub(super) const fn new(events: crate::Events) -> Self {
        Self(events)
    }
}

impl Iterator for Events {
    type Item = LeaseEvent;

    fn next(&mut self) -> Option<LeaseEvent> {
        wait(self.0.next())
    }
}

/// As [`tlease::List`](crate::List): an iterator that blocks.
#[derive(Debug)]
pub struct List(crate::List);

impl List {
    pub(super) const fn new(list: crate::List) -> Self {
        Self(list)
    }
}

impl Iterator for List {
    type Item = Result<Entry, AskError>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next()).transpose()
    }
}

/// As [`tlease::Watch`](crate::Watch): an iterator that blocks, and never ends.
#[derive(Debug)]
pub struct Watch(crate::Watch);

impl Watch {
    pub(super) const fn new(watch: crate::Watch) -> Self {
        Self(watch)
    }

    /// As [`tlease::Watch::after`](crate::Watch::after).
    #[must_use]
    pub fn after(self, mark: EventMark) -> Self {
        Self(self.0.after(mark))
    }
}

impl Iterator for Watch {
    type Item = Result<Watched, AskError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(wait(self.0.next()))
    }
}
