//! What is printed of a token's lease.

use super::text::Token;
use crate::show::{object, text};
use crate::span;
use serde_json::{Map, Value, json};
use tlease_clock::{Check, HostClock};
use tlease_core::time::{Span, Ticks};

/// How long the lease can still be used, by the clocks of this machine.
pub(super) fn left(token: &Token, clock: &HostClock) -> Option<Span> {
    match clock.check(&token.deadline) {
        Check::Valid { remaining } => Some(remaining),
        Check::Expired | Check::Suspect | Check::NotHeld => None,
    }
}

/// One sentence on the lease.
pub(super) fn sentence(done: &str, token: &Token, clock: &HostClock) -> String {
    let left = left(token, clock).map_or_else(|| "no time".into(), span::show);
    let Token { name, mode, fence, .. } = token;
    format!("{name} {done}: {mode}, fence {fence}, {left} left")
}

/// The lease as a JSON object.
pub(super) fn as_json(event: &str, token: &Token, clock: &HostClock) -> Map<String, Value> {
    let Ticks(deadline) = token.deadline.raw();
    object([
        ("event", event.into()),
        ("name", text(token.name.as_bytes())),
        ("mode", token.mode.to_string().into()),
        ("fence", token.fence.get().into()),
        ("session", token.holder.session.to_string().into()),
        ("granter", token.address.to_string().into()),
        ("incarnation", token.issued.get().into()),
        ("term_ms", span::millis(token.term).into()),
        ("left_ms", left(token, clock).map_or(Value::Null, |left| json!(span::millis(left)))),
        ("deadline_monotonic_raw_ns", deadline.into()),
        ("token", token.to_string().into()),
    ])
}
