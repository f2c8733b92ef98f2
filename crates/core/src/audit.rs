//! The peer audit: whether a granter's clock and a holder's can both be what they promise.
//!
//! A slow hand must not outrun true time, and a fast hand must not fall behind it. Neither can be
//! told from one clock alone. But a granter stamps its replies with how far its slow hand has moved,
//! and what it did between two replies lies, by causality, between the sending of the first request
//! and the receipt of the second reply. So if its slow hand moved further than the holder's fast hand
//! did from that sending to that receipt, one of the two promises (A1, A2) is broken.
//!
//! The test has one side only. Delay, queueing, batching, loss and repetition widen the holder's
//! interval and can only hide a lie, never feign one (invariant I50); and a slow hand that lags, or a
//! fast hand that hurries, harms nobody and is no reason for an alarm.

use core::cmp::Ordering;

use crate::time::{FastHand, FastInstant, Span};

/// A holder's side of the audit: one session, with one granter, in one of its lives.
///
/// Of all stamps of a session one is kept, so that memory is bounded.
///
/// # Why one stamp is enough
/// For a hand of one source write `S` for its exact movement up to a sending, `R` for that up to a
/// receipt, `q` for its granularity (and what its segment can hide) and `G` for the granter's stamp. Stamps `i` and `j` disagree iff
/// `G_j - G_i > R_j - S_i + q`, that is, iff `S_i - G_i > R_j - G_j + q`. The right side does not
/// depend on `i`: of all `i` only the one with the greatest `S_i - G_i` matters. A new stamp takes the
/// place of the kept one iff `S_new - S_kept >= G_new - G_kept`, compared exactly, so the kept one
/// always is the greatest. Only the verdict rounds: `R_j - S_i + q` up to the nanosecond, which is the
/// side on which nobody is accused. (`j` before `i` needs no care: then `G_j <= G_i`.)
///
/// With several sources the verdict is as sound, since it looks at one pair of stamps whichever that
/// is; the kept pair is the tightest one if one source is the fastest throughout.
///
/// # What it can see
/// If the two clocks together run apart by a share `e` more than they promise, they disagree at the
/// first stamp after about `round trip / e` (promise P12): who delays every message buys time in
/// proportion.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeerAudit {
    kept: Option<Stamp>,
}

/// A reply that carries a stamp, as its holder knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampedReply {
    /// Before the bytes of its request were handed over: a lower bound of the fast hand.
    pub sent: FastInstant,
    /// How far the granter's slow hand had moved since some earlier moment, at a moment between the
    /// sending and the receipt. The differences of two such stamps are certain.
    pub moved: Span,
    /// After it was received: an upper bound of the fast hand.
    pub received: FastInstant,
}

/// Two clocks that cannot both keep what they promise: during the time in which the one moved by at
/// least `granter`, the other moved by at most `holder`, which is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disagreement {
    /// By the granter's slow hand: at least so much time passed.
    pub granter: Span,
    /// By the holder's fast hand: at most so much time passed, and around it.
    pub holder: Span,
}

impl PeerAudit {
    /// Takes in a stamped reply, and says whether it cannot be squared with an earlier one.
    ///
    /// After a disagreement the audit begins anew from this reply, so that clocks which go on
    /// disagreeing are reported again and again.
    pub fn judge(&mut self, hand: &FastHand, reply: &StampedReply) -> Option<Disagreement> {
        let StampedReply { sent, moved, received } = *reply;
        let sent = planted!(hand, AuditFromReceipt => received, else sent);
        // A request of an earlier segment: nothing is known of the time since its sending.
        let new = (sent.segment() == received.segment()).then_some(Stamp { sent, moved });
        let elapsed = self.kept.and_then(|kept| {
            let elapsed = hand.elapsed_ceil(&kept.sent, &received)?;
            let hidden = planted!(hand, HiddenForgotten => Span::ZERO, else hand.hidden());
            Some((kept, elapsed.saturating_add(hidden)))
        });
        let Some((kept, holder)) = elapsed else {
            // The first stamp, or the first one after a break of continuity.
            self.kept = new;
            return None;
        };
        let granter = moved.saturating_sub(kept.moved);
        if granter > holder {
            self.kept = new;
            return Some(Disagreement { granter, holder });
        }
        planted!(hand, AuditKeepsLatest => {
            self.kept = new;
            return None;
        });
        self.kept = Some(new.filter(|new| new.is_no_looser_than(&kept, hand)).unwrap_or(kept));
        None
    }

    /// Forgets what it knows: the granter began a new life, whose stamps begin anew.
    pub const fn begin_anew(&mut self) {
        self.kept = None;
    }
}

/// What is kept of a stamped reply.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    sent: FastInstant,
    moved: Span,
}

impl Stamp {
    /// Whether `sent - moved` is at least that of another, by the exact movement of the hand.
    fn is_no_looser_than(&self, other: &Self, hand: &FastHand) -> bool {
        let further = self.moved.saturating_sub(other.moved);
        match hand.compare_movement(&other.sent, &self.sent, further) {
            Some(movement) => movement != Ordering::Less,
            // It was sent before the other: compared the other way round.
            None => other.moved.checked_sub(self.moved).is_some_and(|less_far| {
                let movement = hand.compare_movement(&self.sent, &other.sent, less_far);
                movement.is_some_and(|movement| movement != Ordering::Greater)
            }),
        }
    }
}
