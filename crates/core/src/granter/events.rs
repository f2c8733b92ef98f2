//! `Events`: the last things that happened, and who wants to know.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::fence::Fence;
use crate::identity::{AskId, Incarnation, Peer};
use crate::message::{Event, EventMark, EventReason, FromGranter, Prefix};
use crate::name::Name;

use super::io::Output;

/// The log of events, kept so that a watch can go on where an earlier one ended, and the watches.
#[derive(Debug)]
pub(super) struct Events {
    incarnation: Incarnation,
    kept: u32,
    log: VecDeque<Logged>,
    /// The number of the last event; 0 before the first.
    last: u64,
    watches: Vec<Watch>,
}

#[derive(Debug)]
struct Logged {
    name: Name,
    fence: Fence,
    reason: EventReason,
}

#[derive(Debug)]
struct Watch {
    peer: Peer,
    id: AskId,
    prefix: Prefix,
}

impl Events {
    pub(super) fn new(incarnation: Incarnation, kept: u32) -> Self {
        Self { incarnation, kept, log: VecDeque::new(), last: 0, watches: Vec::new() }
    }

    /// Records an event and sends it to those who watch its name.
    pub(super) fn record(
        &mut self,
        name: &Name,
        fence: Fence,
        reason: EventReason,
        outputs: &mut VecDeque<Output>,
    ) {
        self.last = self.last.saturating_add(1);
        let logged = Logged { name: name.clone(), fence, reason };
        let mark = self.mark(self.last);
        for watch in self.watches.iter().filter(|watch| watch.prefix.selects(name)) {
            outputs.push_back(watch.happened(mark, &logged));
        }
        let full = u32::try_from(self.log.len()).is_ok_and(|len| len >= self.kept);
        if full {
            self.log.pop_front();
        }
        if self.kept > 0 {
            self.log.push_back(logged);
        }
    }

    pub(super) fn watch_count(&self) -> u32 {
        u32::try_from(self.watches.len()).unwrap_or(u32::MAX)
    }

    /// Begins a watch. Gives the mark after which its events follow, whether events between the
    /// one asked for and that mark are gone, and what it missed.
    pub(super) fn watch(
        &mut self,
        peer: Peer,
        id: AskId,
        prefix: Prefix,
        after: Option<EventMark>,
    ) -> (EventMark, bool, Vec<Output>) {
        let watch = Watch { peer, id, prefix };
        let kept = u64::try_from(self.log.len()).unwrap_or(0);
        let oldest = self.last.saturating_sub(kept);
        let resumable = |mark: &EventMark| {
            mark.incarnation == self.incarnation && (oldest..=self.last).contains(&mark.sequence)
        };
        let from = after.filter(resumable).map_or(self.last, |mark| mark.sequence);
        let gap = after.is_some_and(|mark| !resumable(&mark));
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let missed = self
            .log
            .iter()
            .zip(oldest.saturating_add(1)..)
            .skip(skip)
            .filter(|(logged, _)| watch.prefix.selects(&logged.name))
            .map(|(logged, sequence)| watch.happened(self.mark(sequence), logged))
            .collect();
        self.watches.push(watch);
        (self.mark(from), gap, missed)
    }

    /// Ends a watch. Whether there was one.
    pub(super) fn unwatch(&mut self, peer: Peer, id: AskId) -> bool {
        let before = self.watches.len();
        self.watches.retain(|watch| watch.peer != peer || watch.id != id);
        self.watches.len() < before
    }

    const fn mark(&self, sequence: u64) -> EventMark {
        EventMark { incarnation: self.incarnation, sequence }
    }
}

impl Watch {
    fn happened(&self, mark: EventMark, logged: &Logged) -> Output {
        let event =
            Event { mark, name: logged.name.clone(), fence: logged.fence, reason: logged.reason };
        let message = FromGranter::Happened { watch: self.id, event: Box::new(event) };
        Output::Send { peer: self.peer, message }
    }
}
