//! How long to wait before a granter is dialed again.

use std::time::Duration;

/// Doubles from attempt to attempt, with jitter, so that a granter that comes back is not met by all
/// its holders at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The wait before the next attempt: none before the first.
    pub(super) fn next(&mut self) -> Duration {
        let attempt = self.attempts;
        self.attempts = self.attempts.saturating_add(1);
        match attempt {
            0 => Duration::ZERO,
            _ => {
                let doubled = FIRST.saturating_mul(1 << attempt.min(DOUBLINGS_MAX));
                jittered(doubled.min(LONGEST), random_byte())
            }
        }
    }

    /// A connection worked.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Between a half and the whole of `wait`.
fn jittered(wait: Duration, random: u8) -> Duration {
    wait / 2 + wait / 2 * u32::from(random) / u32::from(u8::MAX)
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without randomness there is no jitter: no reason not to connect.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

const FIRST: Duration = Duration::from_millis(5);
const DOUBLINGS_MAX: u32 = 10;
/// A holder whose granter is away for long asks once or twice a second.
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_once_and_grows_to_its_bound() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(), Duration::ZERO);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] >= FIRST && waits[0] <= FIRST * 2, "{waits:?}");
        assert!(waits[19] >= LONGEST / 2 && waits[19] <= LONGEST, "{waits:?}");
        backoff.reset();
        assert_eq!(backoff.next(), Duration::ZERO);
    }

    #[test]
    fn jitter_takes_away_at_most_a_half() {
        let wait = Duration::from_millis(100);
        assert_eq!(jittered(wait, 0), wait / 2);
        assert_eq!(jittered(wait, u8::MAX), wait);
    }
}
