//! What must hold of a granter's outputs, whatever it is fed.

use tlease_core::granter::{Input, Leftovers, Output, Record};
use tlease_core::message::{Entry, FromGranter, Reply, ToGranter};
use tlease_core::time::Span;
use tlease_core::{Fence, Mode};

/// What a granter has let out in all its lives.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// The highest fence that it gave.
    last_fence: Option<Fence>,
    /// Whether the first record of this life is durable.
    born: bool,
}

impl Judge {
    pub(super) const fn is_born(&mut self) {
        self.born = true;
    }

    pub(super) const fn sees_a_crash(&mut self) {
        self.born = false;
    }

    pub(super) const fn knows_a_born_granter(&self) -> bool {
        self.born
    }

    /// Something is sent, while any of these records may be what a crash leaves.
    pub(super) fn hears(&mut self, message: &FromGranter, disk: &[Record]) {
        assert!(self.born, "I6: nothing is said before the incarnation is durable");
        let FromGranter::Reply { reply, .. } = message else { return };
        match reply {
            Reply::Granted(grant) | Reply::Offered { grant, .. } => {
                let increases = self.last_fence.is_none_or(|last| last < grant.fence);
                assert!(increases, "I7: {:?} after {:?}", grant.fence, self.last_fence);
                self.last_fence = Some(grant.fence);
                let marked = disk.iter().all(|record| record.fence_mark >= grant.fence.get());
                assert!(marked, "I6: {:?} is above a mark of {disk:?}", grant.fence);
                Self::is_promised(grant.term, disk);
            }
            Reply::Renewed(renewed) => Self::is_promised(renewed.term, disk),
            Reply::Queued { .. }
            | Reply::RenewedAll
            | Reply::RenewedSome(_)
            | Reply::Released { .. }
            | Reply::Withdrawn
            | Reply::Downgraded { .. }
            | Reply::Reclaimed { .. }
            | Reply::Noted
            | Reply::Refused(_) => {}
        }
    }

    /// Whatever a crash leaves, the next life waits a promise out (invariants I6 and I11).
    fn is_promised(term: Span, disk: &[Record]) {
        let waits = |record: &Record| {
            record.longest_promise >= term && record.leftovers == Leftovers::Possible
        };
        assert!(term.is_zero() || disk.iter().all(waits), "I6: {term} is not covered by {disk:?}");
    }

    /// An exclusive lease stands alone on its name.
    pub(super) fn checks_exclusion(entries: &[Entry]) {
        for entry in entries {
            let exclusive = entry.leases.iter().filter(|lease| lease.mode == Mode::Exclusive);
            assert!(exclusive.count() == 0 || entry.leases.len() == 1, "not alone: {entry:?}");
        }
    }

    pub(super) const fn is_request(input: &Input) -> bool {
        matches!(input, Input::Received { message: ToGranter::Request(_), .. })
    }

    /// Whether the only thing that came of it was a refusal.
    pub(super) fn only_refused(outputs: &[Output]) -> bool {
        let refusal = |output: &Output| match output {
            Output::Send { message: FromGranter::Reply { reply, .. }, .. } => {
                matches!(reply, Reply::Refused(_))
            }
            Output::WakeAt { .. } => true,
            Output::Send { .. }
            | Output::Persist { .. }
            | Output::Close { .. }
            | Output::Reported { .. }
            | Output::Stopped { .. } => false,
        };
        !outputs.is_empty() && outputs.iter().all(refusal)
    }
}
