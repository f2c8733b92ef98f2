//! `Effects`: carries out what the granter puts out.

use std::time::{Duration, Instant};

use tlease_core::Disagreement;
use tlease_core::granter::{Exit, Input, Output};
use tlease_core::identity::Peer;
use tlease_core::time::Span;

use super::connections::Connections;
use super::monotonic_now;
use super::writer::Writer;

/// Everything that the granter's outputs act on.
#[derive(Debug)]
pub(super) struct Effects {
    pub(super) connections: Connections,
    pub(super) writer: Writer,
    pub(super) wake_at: Option<Instant>,
    pub(super) stopped: Option<Exit>,
    /// Reports that holders' clocks disagree with this one.
    disagreements: u64,
    /// Whom the granter does not know any more, though messages of theirs may be in the inbox.
    closed: Vec<Peer>,
}

impl Effects {
    pub(super) const fn new(connections: Connections, writer: Writer) -> Self {
        Self {
            connections,
            writer,
            wake_at: None,
            stopped: None,
            disagreements: 0,
            closed: Vec::new(),
        }
    }

    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Persist { id, record } => self.writer.write(id, record),
            Output::Send { peer, message } => self.connections.send(peer, &message),
            Output::Close { peer, why } => {
                self.connections.close(peer, why);
                self.closed.push(peer);
            }
            Output::WakeAt { after, reason } => {
                tracing::trace!(?reason, %after, "the granter wants to be woken");
                self.wake_at = monotonic_now().checked_add(late(after));
            }
            Output::Reported { session, disagreement: Disagreement { granter, holder } } => {
                self.disagreements = self.disagreements.saturating_add(1);
                // Anybody can report: the log must not fill with it.
                if self.disagreements.is_power_of_two() {
                    tracing::warn!(
                        %session, %granter, %holder, count = self.disagreements,
                        "a holder's clock and this one disagree by more than they promise"
                    );
                }
            }
            Output::Stopped { exit } => self.stopped = Some(exit),
        }
    }

    /// Whether an input is not to be handed over: its connection was closed after it was read, or the
    /// granter has stopped.
    pub(super) fn makes_moot(&self, input: &Input) -> bool {
        match input {
            Input::Received { peer, .. } => self.stopped.is_some() || self.closed.contains(peer),
            Input::Connected { .. }
            | Input::Disconnected { .. }
            | Input::Wake
            | Input::Persisted(_)
            | Input::PersistFailed(_)
            | Input::Stop => self.stopped.is_some(),
        }
    }

    /// The next connection that was dropped because it does not read.
    pub(super) fn take_lost(&mut self) -> Option<Peer> {
        let peer = self.connections.take_lost().filter(|_| self.stopped.is_none())?;
        self.closed.push(peer);
        Some(peer)
    }

    /// Forgets whom the granter has closed: nothing of theirs is left in the inbox.
    pub(super) fn end_turn(&mut self) {
        self.closed.clear();
    }
}

/// The time to wait so that so much has passed also on the slow hand, which by its profile is up to
/// 300 ppm behind: 1/2048 more. Else every wake-up would come early, and be asked for again.
fn late(after: Span) -> Duration {
    Duration::from(after.saturating_add(after.scaled_floor(1, 2048)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_are_late_by_more_than_the_slow_hand_is_behind() {
        assert_eq!(late(Span::ZERO), Duration::ZERO);
        assert!(late(Span::from_secs(1)) > Duration::from_nanos(1_000_300_000));
        assert!(late(Span::from_secs(3600)) < Duration::from_millis(3_602_000));
        assert_eq!(late(Span::MAX), Duration::from_nanos(u64::MAX));
    }
}
