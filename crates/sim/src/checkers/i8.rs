//! I8: what a commit writes becomes visible only while its lease is valid, and after nothing that a
//! successor wrote.

use tlease_core::holder::Hold;

use super::Claim;
use super::order::Order;
use crate::world::Effect;

pub(crate) const CLAIM: Claim =
    Claim::new("I8", "what a commit writes becomes visible only while its lease is valid");

/// By true time: less than the term has passed since the request was sent.
pub(crate) fn in_time(effect: &Effect, anchored_at: u64, hold: &Hold) -> Result<(), String> {
    if effect.at - anchored_at < hold.term.as_nanos() {
        Ok(())
    } else {
        Err(format!("a stale effect: {effect:?} of {hold:?}, sent at {anchored_at}"))
    }
}

/// The order of effects in memory, where no gate looks.
#[derive(Debug, Default)]
pub(crate) struct Effects(Order);

impl Effects {
    pub(crate) fn happened(&mut self, effect: &Effect) -> Result<(), String> {
        self.0.happened(effect.name, effect.fence, effect.mode)
    }
}
