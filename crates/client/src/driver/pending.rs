//! Requests about one lease that a user waits for, and which transmission will answer them.
//!
//! The holder decides what is sent and when; it may send a request again under a new id after a
//! reconnect. So a wait is matched by what is asked of which fence, when a request goes out, and
//! answered by that request's reply.

use std::collections::{BTreeMap, BTreeSet};

use tlease_core::Fence;
use tlease_core::holder::Handle;
use tlease_core::identity::RequestId;
use tlease_core::message::{Op, Reply};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;
use tokio::sync::oneshot;

use super::command::{Answered, NotAnswered, Renewing};
use crate::error::Loss;

/// What is asked of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A renewal, or the reclaim that stands for one after the granter restarted.
    Renew,
    Release,
    Downgrade,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) handle: Handle,
    pub(super) fence: Fence,
    pub(super) waiter: Waiter,
}

/// Where the answer goes.
#[derive(Debug)]
pub(super) enum Waiter {
    /// Perhaps for a longer term.
    Renew(oneshot::Sender<Renewing>, Option<Span>),
    Downgrade(oneshot::Sender<Renewing>),
    /// With whether the lease was valid when it was closed.
    Release(oneshot::Sender<bool>, bool),
}

impl Waiter {
    const fn kind(&self) -> Kind {
        match self {
            Self::Renew(..) => Kind::Renew,
            Self::Downgrade(_) => Kind::Downgrade,
            Self::Release(..) => Kind::Release,
        }
    }
}

/// All waits of a session.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// For a transmission yet to come.
    unsent: Vec<Wait>,
    sent: BTreeMap<RequestId, Vec<Wait>>,
    /// Reclaims under way: a renewal of the same lease need not be sent beside one.
    reclaims: BTreeMap<RequestId, Fence>,
    /// Releases and withdrawals under way, waited for or not.
    leaving: BTreeSet<RequestId>,
}

impl Pending {
    /// Adds a wait: for the next request of its kind, or for a reclaim under way that does as well as
    /// a renewal.
    pub(super) fn add(&mut self, wait: Wait) {
        let reclaim = self.reclaims.iter().find(|(_, fence)| **fence == wait.fence);
        match (wait.waiter.kind(), reclaim) {
            (Kind::Renew, Some((id, _))) => self.sent.entry(*id).or_default().push(wait),
            (Kind::Renew | Kind::Release | Kind::Downgrade, _) => self.unsent.push(wait),
        }
    }

    /// A request goes out.
    pub(super) fn sending(&mut self, id: RequestId, op: &Op) {
        let (kind, fence) = match op {
            Op::Renew { fence, .. } => (Kind::Renew, *fence),
            Op::Reclaim(claim) => {
                self.reclaims.insert(id, claim.fence);
                (Kind::Renew, claim.fence)
            }
            Op::Release { fence, .. } => {
                self.leaving.insert(id);
                (Kind::Release, *fence)
            }
            Op::Withdraw { .. } => {
                self.leaving.insert(id);
                return;
            }
            Op::Downgrade { fence, .. } => (Kind::Downgrade, *fence),
            Op::Acquire(_) | Op::RenewAll { .. } | Op::Report(_) => return,
        };
        let matching = |wait: &mut Wait| wait.fence == fence && wait.waiter.kind() == kind;
        let waits: Vec<Wait> = self.unsent.extract_if(.., matching).collect();
        if !waits.is_empty() {
            self.sent.entry(id).or_default().extend(waits);
        }
    }

    /// A reply came, and the holder has taken it in.
    pub(super) fn replied(&mut self, id: RequestId, reply: &Reply) {
        self.reclaims.remove(&id);
        self.leaving.remove(&id);
        for wait in self.sent.remove(&id).unwrap_or_default() {
            let outcome = match reply {
                Reply::Renewed(renewed) => Ok(Answered::RenewedFor(renewed.term)),
                Reply::Reclaimed { .. } | Reply::Downgraded { .. } => Ok(Answered::Done),
                // It says nothing about the lease: to be asked again. After a reclaim that came too
                // late, a renewal tells what became of the lease.
                Reply::Refused(
                    Refusal::StaleEpoch
                    | Refusal::WrongIncarnation { .. }
                    | Refusal::NotReclaimable,
                ) => {
                    self.unsent.push(wait);
                    continue;
                }
                Reply::Refused(refusal) => Err(NotAnswered::Refused(*refusal)),
                Reply::Released { was_held } => {
                    if let Waiter::Release(answer, was_valid) = wait.waiter {
                        // Nobody may wait for it any more.
                        let _ = answer.send(was_valid || *was_held);
                    }
                    continue;
                }
                Reply::Granted(_)
                | Reply::Queued { .. }
                | Reply::Offered { .. }
                | Reply::RenewedAll
                | Reply::RenewedSome(_)
                | Reply::Withdrawn
                | Reply::Noted => continue,
            };
            wait.waiter.answer(outcome);
        }
    }

    /// A lease ended: no renewal of it is answered any more, but its release is.
    pub(super) fn ended(&mut self, handle: Handle, loss: Loss) {
        let mut over =
            |wait: &mut Wait| wait.handle == handle && wait.waiter.kind() != Kind::Release;
        let mut waits: Vec<Wait> = self.unsent.extract_if(.., &mut over).collect();
        for sent in self.sent.values_mut() {
            waits.extend(sent.extract_if(.., &mut over));
        }
        for wait in waits {
            wait.waiter.over(loss);
        }
    }

    /// A lease is shared: done, also if nothing had to be sent for it.
    pub(super) fn downgraded(&mut self, handle: Handle) {
        let done = |wait: &mut Wait| wait.handle == handle && wait.waiter.kind() == Kind::Downgrade;
        for wait in self.unsent.extract_if(.., done) {
            wait.waiter.answer(Ok(Answered::Done));
        }
    }

    /// Nothing was held that could be released.
    pub(super) fn nothing_to_release(&mut self, handle: Handle) {
        let releases =
            |wait: &mut Wait| wait.handle == handle && wait.waiter.kind() == Kind::Release;
        for wait in self.unsent.extract_if(.., releases) {
            wait.waiter.over(Loss::Released);
        }
    }

    /// The session is open, and what the holder had to say was said: a release that was not among it
    /// is of a lease that this life of the granter never knew.
    pub(super) fn nothing_more_to_release(&mut self) {
        let releases = |wait: &mut Wait| wait.waiter.kind() == Kind::Release;
        for wait in self.unsent.extract_if(.., releases) {
            wait.waiter.over(Loss::Released);
        }
    }

    /// The connection is gone: what it owed is to be sent again.
    pub(super) fn disconnected(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.unsent.extend(sent.into_values().flatten());
        self.unsent.retain(|wait| !wait.waiter.is_given_up());
        self.reclaims.clear();
        self.leaving.clear();
    }

    /// Leases that somebody waits for to be renewed and no request was sent for.
    pub(super) fn to_renew(&self) -> Vec<(Handle, Option<Span>)> {
        let wanted = self.unsent.iter().filter_map(|wait| match &wait.waiter {
            Waiter::Renew(_, term) => Some((wait.handle, *term)),
            Waiter::Downgrade(_) | Waiter::Release(..) => None,
        });
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_unstable();
        // One request for each lease: of several terms the longest.
        wanted.reverse();
        wanted.dedup_by_key(|(handle, _)| *handle);
        wanted
    }

    /// Whether the granter has heard of everything that is given back.
    pub(super) fn nothing_leaves(&self) -> bool {
        self.leaving.is_empty()
    }
}

impl Waiter {
    fn is_given_up(&self) -> bool {
        match self {
            Self::Renew(answer, _) | Self::Downgrade(answer) => answer.is_closed(),
            Self::Release(answer, _) => answer.is_closed(),
        }
    }

    /// Says that the lease is over.
    pub(super) fn over(self, loss: Loss) {
        self.answer(Err(NotAnswered::Over(loss)));
    }

    /// Gives an answer; nobody may wait for it any more.
    fn answer(self, outcome: Renewing) {
        match self {
            Self::Renew(answer, _) | Self::Downgrade(answer) => {
                let _ = answer.send(outcome);
            }
            // A refused release: the granter does not have the lease.
            Self::Release(answer, was_valid) => {
                let _ = answer.send(was_valid);
            }
        }
    }
}
