//! What is done when the granter's clock and this one disagree (invariant I52).

use alloc::vec::Vec;

use crate::audit::{Disagreement, StampedReply};
use crate::identity::RequestId;
use crate::message::Op;
use crate::time::Span;

use super::io::{Change, Handle, Output};
use super::lease::{Lease, Told, Trust};
use super::{About, Holder};

impl Holder {
    /// Takes in the granter's stamp on the reply to a request that is not answered yet.
    ///
    /// Requests that were under way when clocks disagreed say nothing more: so there is at most one
    /// alarm in a round trip, and a granter that makes up its stamps cannot multiply the requests.
    pub(super) fn audit(&mut self, id: RequestId, moved: Span) {
        let Some(pending) = self.pending.get(&id) else { return };
        if pending.anchor.trust == Trust::Lost {
            return;
        }
        let received = self.now.reading();
        let reply = StampedReply { sent: pending.anchor.instant, moved, received };
        if let Some(disagreement) = self.audit.judge(&self.hand, &reply) {
            self.doubt(disagreement);
        }
    }

    /// One of the two clocks breaks its promise, and nobody here can tell which. Every lease, and the
    /// anchor of every request under way, waits for one more round trip; its user and the granter are
    /// told. Nothing is lost by it, and what was over stays over.
    fn doubt(&mut self, disagreement: Disagreement) {
        for pending in self.pending.values_mut() {
            planted!(self.hand, DoubtSparesRequests => continue);
            pending.anchor.trust = Trust::Lost;
        }
        let held: Vec<Handle> = self.held_handles().collect();
        for handle in held {
            self.end_if_over(handle);
            let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) else {
                continue;
            };
            if !planted!(self.hand, DoubtKeepsLeases) {
                held.promise.anchor.trust = Trust::Lost;
            }
            held.settle(&self.hand, &self.now);
            held.told = Told::Suspect;
            held.renewing = None;
            if !planted!(self.hand, DoubtKeepsLeases) {
                self.outputs.push_back(Output::Suspend { handle });
            }
            self.tell(handle, Change::ClocksDisagree(disagreement));
        }
        self.renewal_due = true;
        self.send(About::Report, Op::Report(disagreement));
    }
}
