//! What a lease tells those who listen.

use std::sync::Arc;
use std::time::Duration;

use tlease_core::Refusal;
use tlease_core::message::Force;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::error::Loss;
use crate::tenure::Tenure;

/// Something that happened to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseEvent {
    /// A renewal arrived.
    Renewed,
    /// The granter would not renew it as asked; it goes on as it was.
    NotRenewed(Refusal),
    /// It is shared now.
    Downgraded,
    /// Continuity of time was lost: it cannot be used until a renewal arrives, which was asked for.
    Suspect,
    /// The granter's clock and this one cannot both be what they promise: the granter's moved further
    /// between two of its answers than this one did around them. One of the assumptions A1 and A2 is
    /// broken, so that somebody may hold the name too early. The lease cannot be used until a renewal
    /// arrives, which was asked for; comes again as long as the clocks disagree.
    ClocksDisagree {
        /// By the granter's clock at least so much time passed,
        granter: Duration,
        /// and by this one at most so much.
        holder: Duration,
    },
    /// A quarter of its term is left and no renewal has arrived.
    Jeopardy,
    /// Somebody wants it back: finish, and release it.
    Recalled {
        /// How long acts are still allowed, at most.
        until: Duration,
        /// Whether it was closed at once.
        force: Force,
    },
    /// It is over. The last event.
    Lost(Loss),
    /// This many events were dropped, since nobody took them.
    Missed(u64),
}

/// The events of one lease, from the moment of [`Lease::events`](crate::Lease::events).
///
/// Does not keep the lease: it is released when its last [`Lease`](crate::Lease) is dropped.
#[derive(Debug)]
pub struct Events {
    tenure: Arc<Tenure>,
    events: broadcast::Receiver<LeaseEvent>,
    is_over: bool,
}

impl Events {
    pub(crate) fn of(tenure: Arc<Tenure>) -> Self {
        let events = tenure.events();
        Self { tenure, events, is_over: false }
    }

    /// The next event; `None` after [`LeaseEvent::Lost`], which comes exactly once.
    ///
    /// # Timing
    /// `Lost` is ready at any poll at or after the lease's deadline, once the events before it are
    /// taken, even if the session's driver is starved.
    pub async fn next(&mut self) -> Option<LeaseEvent> {
        if self.is_over {
            return None;
        }
        let event = tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => LeaseEvent::Missed(missed),
                Err(RecvError::Closed) => LeaseEvent::Lost(self.tenure.lost().await),
            },
            loss = self.tenure.lost() => LeaseEvent::Lost(loss),
        };
        self.is_over = matches!(event, LeaseEvent::Lost(_));
        Some(event)
    }
}
