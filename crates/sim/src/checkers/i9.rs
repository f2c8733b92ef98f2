//! I9: a guard that was closed stays closed, and is closed before anybody hears that the lease is
//! over.

use tlease_core::holder::Hold;
use tlease_core::message::{Op, Request, ToGranter};

use super::Claim;
use crate::world::Effect;
use crate::world::node::{Guard, Seen};

pub(crate) const CLAIM: Claim =
    Claim::new("I9", "a lease is closed at its holder before any message says so, for good");

pub(crate) fn opens(seen: &Seen, hold: &Hold) -> Result<(), String> {
    match seen.guard {
        Guard::Closed => Err(format!("a closed guard opens again: {hold:?}")),
        Guard::NotYet | Guard::Open(_) | Guard::Suspended => Ok(()),
    }
}

/// An effect becomes visible.
pub(crate) fn acts(seen: &Seen, effect: &Effect) -> Result<(), String> {
    match seen.guard {
        Guard::Closed => Err(format!("its guard is closed, and it acts: {effect:?}")),
        Guard::NotYet | Guard::Open(_) | Guard::Suspended => Ok(()),
    }
}

pub(crate) fn ends(seen: &Seen) -> Result<(), String> {
    match seen.guard {
        Guard::Open(hold) => Err(format!("over, and its guard is open: {hold:?}")),
        Guard::NotYet | Guard::Suspended | Guard::Closed => Ok(()),
    }
}

/// A message that gives a lease back leaves its holder, whose leases these are.
pub(crate) fn leaves<'a>(
    mut leases: impl Iterator<Item = &'a Seen>,
    message: &ToGranter,
) -> Result<(), String> {
    let ToGranter::Request(Request { op: Op::Release { fence, .. }, .. }) = message else {
        return Ok(());
    };
    let is_open = |seen: &&Seen| matches!(seen.guard, Guard::Open(hold) if hold.fence == *fence);
    match leases.find(is_open) {
        Some(seen) => Err(format!("its release leaves, and its guard is open: {:?}", seen.guard)),
        None => Ok(()),
    }
}

/// Whatever the machine calls valid its guard lets pass, and the other way round.
pub(crate) fn agrees(by_machine: bool, by_guard: bool) -> Result<(), String> {
    if by_machine && !by_guard { Err("valid, and its guard is shut".to_owned()) } else { Ok(()) }
}
