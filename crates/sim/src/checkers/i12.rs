//! I12: a lease ends once, at its holder and at its granter; and no two openings of sessions have one
//! epoch, so that a request of an earlier one is known as such.

use tlease_core::identity::Epoch;
use tlease_core::message::FromGranter;

use super::Claim;
use super::witness::Step;
use crate::world::node::Seen;

pub(crate) const CLAIM: Claim = Claim::new("I12", "expired, released and lost are final");

pub(crate) fn ends(seen: &Seen) -> Result<(), String> {
    if seen.ended { Err("its user is told twice that it ended".to_owned()) } else { Ok(()) }
}

pub(crate) fn step(step: Step) -> Result<(), String> {
    match step {
        Step::EndedUnknown => Err("the granter ended a lease that it did not have".to_owned()),
        Step::Began | Step::Ended | Step::Went => Ok(()),
    }
}

/// The latest epoch so far.
#[derive(Debug, Default)]
pub(crate) struct Epochs(Option<Epoch>);

impl Epochs {
    pub(crate) fn sent(&mut self, message: &FromGranter) -> Result<(), String> {
        let FromGranter::Opened(opened) = message else { return Ok(()) };
        let before = self.0.replace(opened.epoch);
        if before < Some(opened.epoch) {
            Ok(())
        } else {
            Err(format!("{:?} after {before:?}", opened.epoch))
        }
    }
}
