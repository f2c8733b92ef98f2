//! Writes the trace of a run, if one is asked for.

use tlease_core::granter;
use tlease_core::holder;
use tlease_core::identity::Peer;
use tlease_core::message::{Event, EventReason, FromGranter, Reply};

use super::World;
use crate::trace::{Fast, Hands, Line, What, Who, is_shared, ticks};

impl World {
    /// Notes something, if a trace is kept.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> What) {
        if let Some(lines) = &self.trace {
            lines.push(Line { at: self.now, what: what(), hands: None });
        }
    }

    /// Notes something with what every clock shows, if a trace is kept.
    pub(crate) fn tell_with_hands(&mut self, what: impl FnOnce() -> What) {
        if self.trace.is_some() {
            let hands = Some(self.hands());
            let line = Line { at: self.now, what: what(), hands };
            self.trace.iter().for_each(|lines| lines.push(line.clone()));
        }
    }

    fn hands(&mut self) -> Hands {
        let slow = self.granter_clock.slow_readings(self.now);
        let slow = ticks(&slow, self.granter_clock.source_count());
        let now = self.now;
        let fast = self.nodes.iter_mut().map(|node| {
            let reading = node.clock.exactly(now).reading();
            let segment = reading.segment().0;
            Fast { segment, ticks: ticks(reading.readings(), node.clock.source_count()) }
        });
        Hands { slow, fast: fast.collect() }
    }

    pub(crate) fn tell_in_holder(&mut self, node: usize, input: &holder::Input) {
        self.tell(|| What::In { who: Who::Holder(node), input: format!("{input:?}") });
    }

    pub(crate) fn tell_out_holder(&mut self, node: usize, output: &holder::Output) {
        self.tell(|| What::Out { who: Who::Holder(node), output: format!("{output:?}") });
    }

    pub(crate) fn tell_in_granter(&mut self, input: &granter::Input) {
        self.tell(|| What::In { who: Who::Granter, input: format!("{input:?}") });
    }

    pub(crate) fn tell_out_granter(&mut self, output: &granter::Output) {
        self.tell(|| What::Out { who: Who::Granter, output: format!("{output:?}") });
    }

    pub(crate) fn tell_event(&mut self, name: u64, event: &Event) {
        let fence = event.fence.get();
        let grant = |how: &str| What::Grant { name, fence, how: how.to_owned() };
        let free = |how: &str| What::Free { name, fence, how: how.to_owned() };
        match event.reason {
            EventReason::Granted => self.tell_with_hands(|| grant("granted")),
            EventReason::Offered => self.tell_with_hands(|| grant("offered")),
            EventReason::Reclaimed => self.tell_with_hands(|| grant("reclaimed")),
            EventReason::Released => self.tell_with_hands(|| free("released")),
            EventReason::Expired => self.tell_with_hands(|| free("expired")),
            EventReason::Lapsed => self.tell_with_hands(|| free("lapsed")),
            EventReason::RenewedLate
            | EventReason::Downgraded
            | EventReason::Recalled
            | EventReason::Forced => {}
        }
    }

    /// What a reply promises.
    pub(crate) fn tell_promise(&mut self, peer: Peer, message: &FromGranter) {
        if self.trace.is_none() {
            return;
        }
        let FromGranter::Reply { reply, .. } = message else { return };
        let Some(node) = self.node_of(peer) else { return };
        let promise = match reply {
            Reply::Granted(grant) => Some((Some(grant.fence.get()), grant.term)),
            Reply::Offered { grant, life } => Some((Some(grant.fence.get()), *life)),
            Reply::Renewed(renewed) => Some((None, renewed.term)),
            Reply::RenewedAll
            | Reply::RenewedSome(_)
            | Reply::Reclaimed { .. }
            | Reply::Queued { .. }
            | Reply::Released { .. }
            | Reply::Withdrawn
            | Reply::Downgraded { .. }
            | Reply::Noted
            | Reply::Refused(_) => None,
        };
        if let Some((fence, term)) = promise {
            self.tell_with_hands(|| What::Promise { node, fence, term: term.as_nanos() });
        }
    }

    pub(crate) fn tell_hold(&mut self, node: usize, handle: holder::Handle, hold: &holder::Hold) {
        if self.trace.is_some()
            && let Some(seen) = self.nodes[node].leases.get(&handle)
        {
            let (name, sent) = (seen.name, seen.anchored_at);
            let (fence, shared) = (hold.fence.get(), is_shared(hold.mode));
            let term = hold.term.as_nanos();
            self.tell_with_hands(|| What::Hold { node, name, fence, shared, sent, term });
        }
    }
}
