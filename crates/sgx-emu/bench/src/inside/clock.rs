//! Timekeepers that are started and stopped between slices, and a lease that lasts.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tlease_clock::enclave::{KeeperClock, KeeperCount, Keepers, MachineProfile, Margin};
use tlease_clock::stay::Thread;
use tlease_clock::{CommitOrder, LeaseCell};
use tlease_core::fence::Fence;
use tlease_core::time::{Segment, Span};

/// A thread that keeps the clocks that it is handed, one after the other, and outside of which it rests
/// without a core.
#[derive(Debug)]
pub(super) struct Keeper {
    clocks: Sender<Arc<Keepers>>,
    rests: Receiver<()>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (clocks, handed) = channel::<Arc<Keepers>>();
        let (said, rests) = channel();
        thread::spawn(move || {
            let mut thread = Thread::claim().unwrap_or_else(|none| panic!("{none}"));
            for keepers in handed {
                keepers.keep(0, &mut thread);
                if said.send(()).is_err() {
                    return;
                }
            }
        });
        Self { clocks, rests }
    }

    /// Has a clock kept, and waits until it serves.
    pub(super) fn keep(&self, machine: &MachineProfile, thread: &mut Thread) -> Kept<'_> {
        let keepers = Arc::new(Keepers::new(machine, KeeperCount::One, REACH));
        self.clocks.send(Arc::clone(&keepers)).expect("the thread lives");
        while keepers.anchor().is_none() {
            thread.leave(thread::yield_now);
        }
        let margin = Margin { commit: COMMIT_MARGIN, order: CommitOrder::Fenced };
        let clock = Arc::new(KeeperClock::in_enclave(keepers, margin));
        let cell = LeaseCell::new(Arc::clone(&clock)).expect("a page");
        Kept { keeper: self, clock, cell, segment: None }
    }
}

/// A clock while it is kept, and a lease under it.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    keeper: &'a Keeper,
    pub(super) clock: Arc<KeeperClock>,
    pub(super) cell: LeaseCell<KeeperClock>,
    segment: Option<Segment>,
}

impl Kept<'_> {
    /// Holds the lease in the live segment, if it is of another one: what a renewal comes to once its
    /// answer is there. Whether it did.
    pub(super) fn hold_anew(&mut self) -> bool {
        let Some(anchor) = self.clock.keepers().anchor() else { return false };
        if self.segment == Some(anchor.segment())
            || self.cell.hold(FENCE, &anchor, LONG_TERM).is_err()
        {
            return false;
        }
        self.segment = Some(anchor.segment());
        true
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.clock.keepers().stop();
        // Else the next slice would begin while the core is still taken.
        self.keeper.rests.recv().expect("the thread lives");
    }
}

/// The fence of the only lease.
pub(super) const FENCE: Fence = Fence::FIRST;
/// As the enclave that ships has them.
pub(super) const REACH: Span = Span::from_millis(4);
const COMMIT_MARGIN: Span = Span::from_nanos(50_000);
/// Nobody waits for its end.
const LONG_TERM: Span = Span::from_secs(3_600);
