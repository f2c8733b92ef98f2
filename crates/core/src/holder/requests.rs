//! What the user wants, and what is asked of the granter for it.

use crate::fence::{Fence, Mode};
use crate::identity::RequestId;
use crate::message::{Acquire, Op, Request, ToGranter};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::time::{Remaining, Span};

use super::io::{Change, Ending, Handle, Output, Renewal};
use super::lease::{Anchor, Interest, Lease, State};
use super::{About, Acknowledged, Holder, Link, Pending};

impl Holder {
    pub(super) fn acquire(&mut self, handle: Handle, acquire: Acquire, renewal: Renewal) {
        let taken = self.by_name.contains_key(&acquire.name);
        let refused = Ending::Refused(Refusal::AlreadyHeld);
        let state = if taken { State::Ended(refused) } else { State::Wanted };
        if !taken {
            self.by_name.insert(acquire.name.clone(), handle);
        }
        let interest = Interest::Kept;
        let lease = Lease { acquire, renewal, state, timer: None, interest };
        let known = self.leases.insert(handle, lease);
        assert!(known.is_none(), "a handle is used once");
        if taken {
            return self.tell(handle, Change::Ended(refused));
        }
        self.send_acquire(handle);
    }

    pub(super) fn renew(&mut self, handle: Handle, term: Option<Span>) {
        self.end_if_over(handle);
        let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) else { return };
        if let Some(term) = term.filter(|term| *term > held.term) {
            held.longer = Some(term);
        }
        self.renew_or_reclaim(handle);
    }

    /// Renews a lease; one that this life of the granter does not know yet is reclaimed, unless that
    /// is under way.
    pub(super) fn renew_or_reclaim(&mut self, handle: Handle) {
        let Some(here) = self.incarnation() else { return };
        let Some(held) = self.leases.get(&handle).and_then(Lease::held) else { return };
        let usable = matches!(held.remaining(&self.hand, &self.now), Remaining::AtLeast(_));
        if held.home == here || !usable {
            self.send_renew(handle);
        } else if held.renewing.is_none() {
            self.reclaim(handle, here);
        }
    }

    /// Ends a lease, or the wish for one: the guard first, then the granter.
    pub(super) fn release(&mut self, handle: Handle, ending: Ending) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        let (fence, home, was_held) = match &lease.state {
            State::Wanted => (None, None, false),
            State::Confirming { fence, home, .. } => (Some(*fence), Some(*home), false),
            State::Held(held) => (Some(held.fence), Some(held.home), true),
            State::Releasing { .. } | State::Ended(_) => return,
        };
        lease.state = State::Releasing { fence, home, ending };
        let name = lease.acquire.name.clone();
        if was_held && !planted!(self.hand, ReleaseBeforeClose) {
            self.outputs.push_back(Output::Close { handle });
        }
        self.unname(handle);
        self.send_leave(handle, name, fence);
        planted!(self.hand, ReleaseBeforeClose => if was_held {
            self.outputs.push_back(Output::Close { handle });
        });
        self.tell(handle, Change::Ended(ending));
    }

    pub(super) fn downgrade(&mut self, handle: Handle) {
        self.end_if_over(handle);
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        let name = lease.acquire.name.clone();
        let Some(held) = lease.held_mut() else { return };
        if held.mode == Mode::Shared {
            return self.tell(handle, Change::Downgraded);
        }
        // Others may share it as soon as the granter reads this: it is shared here from now on.
        if !planted!(self.hand, DowngradeAtReply) {
            held.mode = Mode::Shared;
        }
        lease.acquire.mode = Mode::Shared;
        let fence = self.publish_hold(handle);
        self.send(About::Downgrade(handle), Op::Downgrade { name, fence });
    }

    pub(super) fn forget(&mut self, handle: Handle) {
        self.release(handle, Ending::Released);
        if let Some(lease) = self.leases.get_mut(&handle) {
            lease.interest = Interest::Forgotten;
        }
        self.drop_if_done(handle);
    }

    /// Drops what nobody will ask about and nothing more can come for: a grant that crosses a
    /// withdrawal still has to be given back.
    pub(super) fn drop_if_done(&mut self, handle: Handle) {
        let Some(lease) = self.leases.get(&handle) else { return };
        let over = matches!(lease.state, State::Ended(_));
        let awaited = || self.pending.values().any(|p| p.about == About::Acquire(handle));
        if over && lease.interest == Interest::Forgotten && !awaited() {
            self.leases.remove(&handle);
        }
    }

    /// Drops everything that is done, after nothing more can come.
    pub(super) fn sweep(&mut self) {
        self.leases.retain(|_, lease| {
            lease.interest == Interest::Kept || !matches!(lease.state, State::Ended(_))
        });
    }

    /// Ends a lease that the granter does not have, or has no more.
    pub(super) fn end(&mut self, handle: Handle, ending: Ending) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        let was_held = lease.held().is_some();
        if matches!(lease.state, State::Ended(_) | State::Releasing { .. }) {
            return;
        }
        lease.state = State::Ended(ending);
        self.unname(handle);
        if was_held {
            self.outputs.push_back(Output::Close { handle });
        }
        self.tell(handle, Change::Ended(ending));
    }

    pub(super) fn send_acquire(&mut self, handle: Handle) {
        let Some(lease) = self.leases.get(&handle) else { return };
        let op = Op::Acquire(lease.acquire.clone());
        self.send(About::Acquire(handle), op);
    }

    /// Renews one lease, or confirms an offer.
    pub(super) fn send_renew(&mut self, handle: Handle) {
        let Some(lease) = self.leases.get(&handle) else { return };
        let (fence, term) = match &lease.state {
            State::Confirming { fence, .. } => (*fence, None),
            State::Held(held) => {
                // A lease that was reclaimed unheard of needs a signature of this life.
                let unsigned = Some(held.home) != self.incarnation();
                (held.fence, held.longer.or_else(|| unsigned.then_some(held.term)))
            }
            State::Wanted | State::Releasing { .. } | State::Ended(_) => return,
        };
        let name = lease.acquire.name.clone();
        let sent = self.send(About::Renew(handle), Op::Renew { name, fence, term });
        if let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) {
            held.renewing = sent;
        }
    }

    /// Gives a lease back, or withdraws the wish for one.
    pub(super) fn send_leave(&mut self, handle: Handle, name: Name, fence: Option<Fence>) {
        let op = match fence {
            Some(fence) => Op::Release { name, fence },
            None => Op::Withdraw { name },
        };
        self.send(About::Leave(handle), op);
    }

    /// Hands a request to the transport, if a session is open. Its anchor is this input's moment,
    /// which is before its bytes are handed over.
    pub(super) fn send(&mut self, about: About, op: Op) -> Option<RequestId> {
        let Link::Open(epoch) = self.link else { return None };
        planted!(self.hand, ResendKeepsId => if let Some(id) = self.resend(about, &op) {
            return Some(id);
        });
        self.last_id = self.last_id.checked_add(1).expect("fewer than 2^64 requests");
        let id = RequestId(self.last_id);
        let anchor = Anchor::at(
            planted!(self.hand, AnchorAtUpperBound => self.now.reading(), else self.now.send_anchor()),
        );
        let pending =
            Pending { anchor, asked: self.advance, about, acknowledged: Acknowledged::No };
        self.pending.insert(id, pending);
        self.outputs.push_back(Output::Send(ToGranter::Request(Request { epoch, id, op })));
        Some(id)
    }

    /// Tells the guard what it needs to know of a held lease. Returns its fence.
    ///
    /// # Panics
    /// If the lease is not held.
    pub(super) fn publish_hold(&mut self, handle: Handle) -> Fence {
        let held = self.leases.get(&handle).and_then(Lease::held).expect("only held leases");
        self.outputs.push_back(match held.hold() {
            Some(hold) => Output::Hold { handle, hold },
            None => Output::Suspend { handle },
        });
        held.fence
    }

    /// Frees the name of a handle for a new one, and its timer.
    fn unname(&mut self, handle: Handle) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        if let Some(timer) = lease.timer.take() {
            self.timers.remove(timer);
        }
        if self.by_name.get(&lease.acquire.name) == Some(&handle) {
            self.by_name.remove(&lease.acquire.name);
        }
    }
}
