//! Takes a lease: asks, waits in the queue, confirms an offer.

use super::text::Token;
use crate::exit::{Exit, Failure};
use crate::granter::link::monotonic_now;
use crate::granter::seat::{Holder, Seat};
use crate::granter::{LinkError, Which, out_of_place, refused};
use crate::log::Notes;
use crate::span;
use std::time::{Duration, Instant};
use tlease_clock::HostClock;
use tlease_core::fence::Mode;
use tlease_core::message::{Acquire, Grant, Op, Reply, Wait};
use tlease_core::name::{Name, Value};
use tlease_core::refusal::Refusal;
use tlease_core::time::{FastInstant, Span};
use tlease_wire::Address;

/// The lease that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) term: Span,
    pub(super) wait: Wait,
    pub(super) value: Option<Value>,
}

/// Takes the lease, or says why not.
pub(super) fn take(
    wish: &Wish,
    which: &Which,
    clock: &HostClock,
    notes: Notes,
) -> Result<Token, Failure> {
    let holder = Holder::random()?;
    let give_up = match wish.wait {
        Wait::AtMost(span) => monotonic_now().checked_add(span.into()),
        Wait::Try | Wait::Unbounded => None,
    };
    loop {
        let reached = which.reach(notes)?;
        let address = absolute(reached.address);
        let seat = Seat::open(reached.link, &holder)?;
        let mut taking = Taking { seat, wish, clock, notes };
        match taking.take(give_up) {
            Ok(granted) => return Ok(granted.token(wish, holder, address)),
            // A local granter that ended just then, or one that restarts: the session goes on there.
            Err(Ended::Link(why)) if why.is_absence() => {
                notes.news(&format!("{why}; connecting again"));
            }
            Err(Ended::Link(why)) => return Err(why.into()),
            Err(Ended::Failure(failure)) => return Err(failure),
        }
    }
}

/// A wish on its way, over one connection.
struct Taking<'a> {
    seat: Seat,
    wish: &'a Wish,
    clock: &'a HostClock,
    notes: Notes,
}

/// A lease in hand.
struct Granted {
    grant: Grant,
    issued: tlease_core::identity::Incarnation,
    deadline: tlease_clock::Deadline,
}

enum Ended {
    Link(LinkError),
    Failure(Failure),
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl Taking<'_> {
    fn take(&mut self, give_up: Option<Instant>) -> Result<Granted, Ended> {
        loop {
            // What the lease counts from, if it is granted at once.
            let anchor = self.clock.fast_now().send_anchor();
            let id = self.seat.request(self.acquire(give_up))?;
            let mut reply = self.seat.reply_to(id, PATIENCE)?;
            while let Reply::Queued { ahead, wait_left } = reply {
                self.say_queued(ahead, wait_left);
                reply = self.seat.reply_to(id, PATIENCE)?;
            }
            match reply {
                Reply::Granted(grant) => return self.granted(grant, &anchor),
                Reply::Offered { grant, .. } => {
                    if let Some(granted) = self.confirm(grant)? {
                        return Ok(granted);
                    }
                    // The offer lapsed while it was on its way; into the queue again.
                }
                Reply::Refused(refusal) => return Err(Ended::Failure(self.explain(refusal))),
                Reply::Queued { .. }
                | Reply::Renewed(_)
                | Reply::RenewedAll
                | Reply::RenewedSome(_)
                | Reply::Released { .. }
                | Reply::Withdrawn
                | Reply::Noted
                | Reply::Downgraded { .. }
                | Reply::Reclaimed { .. } => {
                    return Err(Ended::Failure(out_of_place("something else than a grant")));
                }
            }
        }
    }

    fn acquire(&self, give_up: Option<Instant>) -> Op {
        let left = give_up.map(|at| at.saturating_duration_since(monotonic_now()));
        let wait = match left.map(Span::try_from) {
            Some(Ok(left)) => Wait::AtMost(left),
            Some(Err(_)) | None => self.wish.wait,
        };
        let Wish { name, mode, term, value, .. } = self.wish.clone();
        Op::Acquire(Acquire { name, mode, term, wait, value })
    }

    /// Takes up an offer; `None` if it lapsed.
    fn confirm(&mut self, offered: Grant) -> Result<Option<Granted>, Ended> {
        let anchor = self.clock.fast_now().send_anchor();
        let (name, fence) = (self.wish.name.clone(), offered.fence);
        match self.seat.call(Op::Renew { name, fence, term: None })? {
            Reply::Renewed(renewed) => {
                let tag = renewed.tag.unwrap_or(offered.tag);
                self.granted(Grant { fence, term: renewed.term, tag }, &anchor).map(Some)
            }
            Reply::Refused(Refusal::NotHeldHere) => Ok(None),
            Reply::Refused(refusal) => Err(Ended::Failure(self.explain(refusal))),
            Reply::Granted(_)
            | Reply::Queued { .. }
            | Reply::Offered { .. }
            | Reply::RenewedAll
            | Reply::RenewedSome(_)
            | Reply::Released { .. }
            | Reply::Withdrawn
            | Reply::Noted
            | Reply::Downgraded { .. }
            | Reply::Reclaimed { .. } => {
                Err(Ended::Failure(out_of_place("something else than a renewal")))
            }
        }
    }

    /// A lease whose end this machine can tell; one of which it cannot is given back.
    fn granted(&mut self, grant: Grant, anchor: &FastInstant) -> Result<Granted, Ended> {
        let issued = self.seat.epoch().incarnation;
        if let Some(deadline) = self.clock.deadline(anchor, grant.term) {
            return Ok(Granted { grant, issued, deadline });
        }
        self.seat.call(Op::Release { name: self.wish.name.clone(), fence: grant.fence })?;
        let sentence = "granted, but continuity of time was lost meanwhile (a suspend, or a term too \
                        short to be shown), so it was given back; try again";
        Err(Ended::Failure(Failure::new(Exit::Lost, sentence)))
    }

    fn explain(&self, refusal: Refusal) -> Failure {
        let Failure { exit, sentence } = refused(refusal);
        Failure::new(exit, format!("no lease {}: {sentence}", self.wish.name))
    }

    fn say_queued(&self, ahead: u32, wait_left: Option<Span>) {
        let name = &self.wish.name;
        self.notes.news(&match wait_left {
            Some(left) => format!(
                "the granter restarted: leases of its earlier life may be in use, so the first grant \
                 of {name} is in {} or so",
                span::show(left)
            ),
            None if ahead == 0 => format!("{name} is held; waiting for it"),
            None => format!("{name} is held; waiting for it, {ahead} are before us"),
        });
    }
}

impl Granted {
    fn token(self, wish: &Wish, holder: Holder, address: Address) -> Token {
        let Self { grant: Grant { fence, term, tag }, issued, deadline } = self;
        Token {
            holder,
            name: wish.name.clone(),
            mode: wish.mode,
            fence,
            term,
            tag,
            issued,
            value: wish.value.clone(),
            address,
            deadline,
        }
    }
}

/// The address as it is for a command in another directory.
fn absolute(address: Address) -> Address {
    match address {
        Address::Unix(path) => Address::Unix(std::path::absolute(&path).unwrap_or(path)),
        Address::Tcp { .. } | Address::Embedded(_) => address,
    }
}

/// How long a place in a queue is waited for at a stretch: the granter ends the wait.
const PATIENCE: Duration = Duration::from_secs(1_000 * 3_600);
