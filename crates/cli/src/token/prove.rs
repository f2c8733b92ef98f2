//! Renews, reclaims and releases the lease of a token.

use super::text::Token;
use crate::exit::{Exit, Failure};
use crate::granter::seat::Seat;
use crate::granter::{Which, out_of_place, refused};
use crate::log::Notes;
use tlease_clock::{Check, Deadline, HostClock};
use tlease_core::message::{Op, Recall, Reclaim, Renewed, Reply};
use tlease_core::refusal::Refusal;
use tlease_core::time::{FastInstant, Span};

/// A lease that was extended.
#[derive(Debug)]
pub(super) struct Extended {
    pub(super) token: Token,
    /// Somebody wants it back.
    pub(super) recall: Option<Recall>,
}

/// Renews the lease of `token`; with a longer term from now on, if one is named.
///
/// A granter that has restarted does not know the lease any more: it is reclaimed, if it is valid at that
/// very moment by the clocks of the machine that took it.
pub(super) fn renew(
    token: &Token,
    term: Option<Span>,
    which: &Which,
    clock: &HostClock,
    notes: Notes,
) -> Result<Extended, Failure> {
    let reached = which.reach(notes)?;
    let mut seat = Seat::open(reached.link, &token.holder)?;
    let anchor = clock.fast_now().send_anchor();
    let (name, fence) = (token.name.clone(), token.fence);
    match seat.call(Op::Renew { name, fence, term })? {
        Reply::Renewed(Renewed { term, tag, recall }) => {
            let mut token = token.clone();
            token.deadline = later(&token, &anchor, term, clock)?;
            token.term = term;
            if let Some(tag) = tag {
                (token.tag, token.issued) = (tag, seat.epoch().incarnation);
            }
            Ok(Extended { token, recall })
        }
        Reply::Refused(Refusal::NotHeldHere) if seat.epoch().incarnation != token.issued => {
            let token = reclaim(token, &mut seat, clock)?;
            Ok(Extended { token, recall: None })
        }
        Reply::Refused(refusal) => Err(explain(token, refusal)),
        Reply::Granted(_)
        | Reply::Queued { .. }
        | Reply::Offered { .. }
        | Reply::RenewedAll
        | Reply::RenewedSome(_)
        | Reply::Released { .. }
        | Reply::Withdrawn
        | Reply::Noted
        | Reply::Downgraded { .. }
        | Reply::Reclaimed { .. } => Err(out_of_place("something else than a renewal")),
    }
}

/// Goes on with a lease in a new life of its granter.
fn reclaim(token: &Token, seat: &mut Seat, clock: &HostClock) -> Result<Token, Failure> {
    let this = seat.epoch().incarnation;
    let claim = Reclaim {
        name: token.name.clone(),
        mode: token.mode,
        fence: token.fence,
        term: token.term,
        issued: token.issued,
        tag: token.tag,
        to: this,
        value: token.value.clone(),
    };
    let anchor = clock.fast_now().send_anchor();
    match clock.check(&token.deadline) {
        Check::Valid { .. } => {}
        Check::Expired | Check::Suspect | Check::NotHeld => {
            let sentence = format!(
                "the granter restarted, and the lease {} was over, or cannot be shown not to be; \
                 acquire it again",
                token.name
            );
            return Err(Failure::new(Exit::Lost, sentence));
        }
    }
    match seat.call(Op::Reclaim(Box::new(claim)))? {
        Reply::Reclaimed { tag } => {
            let mut token = Token { tag, issued: this, ..token.clone() };
            token.deadline = later(&token, &anchor, token.term, clock)?;
            Ok(token)
        }
        Reply::Refused(refusal) => Err(explain(token, refusal)),
        Reply::Granted(_)
        | Reply::Queued { .. }
        | Reply::Offered { .. }
        | Reply::Renewed(_)
        | Reply::RenewedAll
        | Reply::RenewedSome(_)
        | Reply::Released { .. }
        | Reply::Withdrawn
        | Reply::Noted
        | Reply::Downgraded { .. } => Err(out_of_place("something else than a reclaim")),
    }
}

/// Gives the lease back. Whether it still was the token's.
pub(super) fn release(token: &Token, which: &Which, notes: Notes) -> Result<bool, Failure> {
    let reached = which.reach(notes)?;
    let mut seat = Seat::open(reached.link, &token.holder)?;
    let (name, fence) = (token.name.clone(), token.fence);
    match seat.call(Op::Release { name, fence })? {
        Reply::Released { was_held } => Ok(was_held),
        Reply::Refused(Refusal::NotHeldHere) => Ok(false),
        Reply::Refused(refusal) => Err(explain(token, refusal)),
        Reply::Granted(_)
        | Reply::Queued { .. }
        | Reply::Offered { .. }
        | Reply::Renewed(_)
        | Reply::RenewedAll
        | Reply::RenewedSome(_)
        | Reply::Withdrawn
        | Reply::Noted
        | Reply::Downgraded { .. }
        | Reply::Reclaimed { .. } => Err(out_of_place("something else than a release")),
    }
}

/// The later of the token's deadline, if it means anything here, and that of `term` since `anchor`.
fn later(
    token: &Token,
    anchor: &FastInstant,
    term: Span,
    clock: &HostClock,
) -> Result<Deadline, Failure> {
    let old = match clock.check(&token.deadline) {
        Check::Valid { .. } => Some(token.deadline),
        Check::Expired | Check::Suspect | Check::NotHeld => None,
    };
    let new = clock.deadline(anchor, term);
    let later = old.into_iter().chain(new).max_by_key(Deadline::raw);
    later.ok_or_else(|| {
        let sentence =
            "renewed, but continuity of time was lost meanwhile (a suspend); renew again";
        Failure::new(Exit::Lost, sentence)
    })
}

fn explain(token: &Token, refusal: Refusal) -> Failure {
    let Failure { exit, sentence } = refused(refusal);
    Failure::new(exit, format!("lease {}: {sentence}", token.name))
}

/// Whether it is worth trying again: the granter did not answer, but has not said no.
pub(super) fn may_pass(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable
}
