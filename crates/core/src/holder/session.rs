//! Connections: what is asked again after a reconnect, and what is reclaimed after a restart.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::identity::{Epoch, Incarnation, Secret, SessionId};
use crate::message::{Op, Opened, Reclaim, ToGranter};
use crate::refusal::Refusal;
use crate::time::Remaining;

use super::io::{Ending, Handle, Output};
use super::lease::{Held, Lease, State};
use super::{About, Holder, Link};

impl Holder {
    pub(super) fn connected(&mut self) {
        self.drop_link();
        self.link = Link::Opening { asked: self.advance };
        let open = ToGranter::Open { session: self.session, secret: self.secret };
        self.outputs.push_back(Output::Send(open));
    }

    pub(super) fn disconnected(&mut self) {
        self.drop_link();
    }

    pub(super) fn opened(&mut self, opened: Opened) {
        if !matches!(self.link, Link::Opening { .. }) {
            return;
        }
        self.link = Link::Open(opened.epoch);
        if self.life.replace(opened.epoch.incarnation) != Some(opened.epoch.incarnation) {
            self.audit.begin_anew();
        }
        self.outputs.push_back(Output::Opened(opened));
        // What is over first: the same name may be wanted again under another handle.
        let (over, live): (Vec<Handle>, Vec<Handle>) = self
            .leases
            .keys()
            .partition(|handle| self.leases.get(handle).is_some_and(Lease::is_over));
        for handle in over.into_iter().chain(live) {
            self.resume(handle, opened.epoch);
        }
        self.renewal_due = true;
    }

    /// Gives the session up with everything in it, and begins another, after its connection was cut off.
    /// The old one may be in use elsewhere, and a release under it could free what the other copy goes on
    /// with: nothing more is said under it (invariant I26).
    pub(super) fn copied(&mut self, session: SessionId, secret: Secret) {
        (self.session, self.secret, self.life) = (session, secret, None);
        self.audit.begin_anew();
        let handles: Vec<Handle> = self.leases.keys().copied().collect();
        for handle in handles {
            self.end_if_over(handle);
            let Some(lease) = self.leases.get_mut(&handle) else { continue };
            match lease.state {
                State::Held(_) => self.end(handle, Ending::Copied),
                State::Confirming { .. } => lease.state = State::Wanted,
                State::Releasing { ending, .. } => lease.state = State::Ended(ending),
                State::Wanted | State::Ended(_) => {}
            }
        }
        self.sweep();
    }

    /// Nothing more goes over this connection. Whether there was one.
    pub(super) fn cut_off(&mut self) -> bool {
        let was_up = self.link != Link::Down;
        self.drop_link();
        was_up
    }

    /// What went unanswered on an earlier connection is asked again, under a new id and with a new
    /// anchor; what an earlier life of the granter granted is reclaimed.
    fn resume(&mut self, handle: Handle, epoch: Epoch) {
        let Some(lease) = self.leases.get(&handle) else { return };
        let name = lease.acquire.name.clone();
        let succeeded = self.by_name.get(&name).and_then(|newer| self.leases.get(newer));
        let succeeded = succeeded.is_some_and(Lease::is_granted);
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        match &mut lease.state {
            State::Wanted => self.send_acquire(handle),
            State::Confirming { home, .. } if *home == epoch.incarnation => {
                self.send_renew(handle);
            }
            State::Confirming { .. } => {
                lease.state = State::Wanted;
                self.send_acquire(handle);
            }
            State::Held(held) if held.home == epoch.incarnation => {
                held.renewing = None;
                if held.tagged != held.mode {
                    let fence = held.fence;
                    self.send(About::Downgrade(handle), Op::Downgrade { name, fence });
                }
            }
            State::Held(_) => self.reclaim(handle, epoch.incarnation),
            State::Releasing { fence: None, ending, .. }
                if succeeded && !planted!(self.hand, WithdrawalResent) =>
            {
                // A withdrawal would take the name from the wish that came after this one; that
                // one's acquire has taken this one's place at the granter.
                lease.state = State::Ended(*ending);
                self.drop_if_done(handle);
            }
            State::Releasing { fence, home, ending } => {
                if *home == Some(epoch.incarnation) || home.is_none() {
                    let fence = *fence;
                    self.send_leave(handle, name, fence);
                } else {
                    lease.state = State::Ended(*ending);
                    self.drop_if_done(handle);
                }
            }
            State::Ended(_) => {}
        }
    }

    /// Asks a granter that has restarted to go on with a lease. Only one that is valid at this very
    /// moment: whoever holds the name by then was granted it after this one was over.
    pub(super) fn reclaim(&mut self, handle: Handle, to: Incarnation) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        let acquire = &lease.acquire;
        let State::Held(held) = &mut lease.state else { return };
        let left = held.remaining(&self.hand, &self.now);
        let valid = matches!(left, Remaining::AtLeast(_))
            || planted!(self.hand, SuspectReclaimed) && left == Remaining::Unknown;
        if !valid {
            return self.end(handle, Ending::Lost(Refusal::NotReclaimable));
        }
        if held.recall.is_some() {
            // It runs to its end.
            return;
        }
        held.renewing = None;
        let Held { mode, fence, term, home, tag, .. } = *held;
        let claim = Reclaim {
            name: acquire.name.clone(),
            mode,
            fence,
            term,
            issued: home,
            tag,
            to,
            value: acquire.value.clone(),
        };
        let sent = self.send(About::Reclaim(handle), Op::Reclaim(Box::new(claim)));
        if let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) {
            held.renewing = sent;
        }
    }

    fn drop_link(&mut self) {
        self.link = Link::Down;
        self.pending.clear();
        self.renewed_so_far = None;
        self.sweep();
        for held in self.leases.values_mut().filter_map(Lease::held_mut) {
            held.renewing = None;
        }
    }
}
