//! `IdleWatch`: notices that nobody needs a granter that was started on demand.

use std::time::{Duration, Instant};

use tlease_core::message::{Answer, FromGranter, Status};

/// Watches for a time without connections.
#[derive(Debug)]
pub(super) struct IdleWatch {
    after: Duration,
    /// Since when there is no connection.
    since: Option<Instant>,
}

impl IdleWatch {
    pub(super) const fn new(after: Duration) -> Self {
        Self { after, since: None }
    }

    /// Takes note of whether there are connections now; whether there have been none for long
    /// enough. If so, it begins anew.
    pub(super) fn is_due(&mut self, connections: usize, now: Instant) -> bool {
        if connections > 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let due = now.saturating_duration_since(since) >= self.after;
        if due {
            self.since = Some(now);
        }
        due
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.since?.checked_add(self.after)
    }
}

/// Whether a granter that answers so has nothing to do, now or later: a lease without a connection is
/// still a lease, and a restart wait that is broken off would begin again.
pub(super) fn nothing_to_do(answer: &FromGranter) -> bool {
    let FromGranter::Answer { answer, .. } = answer else { return false };
    let Answer::Status(Status { wait_left, leases, waiters, .. }) = &**answer else { return false };
    wait_left.is_none() && *leases == 0 && *waiters == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::monotonic_now;

    #[test]
    fn only_an_unbroken_time_without_connections_counts() {
        let start = monotonic_now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = IdleWatch::new(Duration::from_secs(10));
        assert!(!watch.is_due(0, at(0)));
        assert_eq!(watch.next_deadline(), Some(at(10)));
        assert!(!watch.is_due(0, at(9)));
        assert!(!watch.is_due(1, at(10)));
        assert_eq!(watch.next_deadline(), None);
        assert!(!watch.is_due(0, at(11)));
        assert!(watch.is_due(0, at(21)));
        assert!(!watch.is_due(0, at(22)), "it begins anew");
    }
}
