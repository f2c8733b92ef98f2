//! How far a sweep has come: on standard error, and only if that is a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A line that says how far it is.
#[derive(Debug)]
pub(super) struct Bar {
    all: u64,
    began: Instant,
    /// When it was drawn last; `None` where nobody would see it.
    drawn: Option<Mutex<Duration>>,
}

const EVERY: Duration = Duration::from_millis(100);
const WIDTH: u64 = 30;

impl Bar {
    #[expect(clippy::disallowed_methods, reason = "how long a user waits; no lease depends on it")]
    pub(super) fn new(all: u64) -> Self {
        let drawn = io::stderr().is_terminal().then(Mutex::default);
        Self { all, began: Instant::now(), drawn }
    }

    /// Draws it anew now and then. Always true: the sweep goes on.
    pub(super) fn show(&self, done: u64, failed: u64) -> bool {
        let Some(drawn) = &self.drawn else { return true };
        let took = self.began.elapsed();
        let Ok(mut drawn) = drawn.try_lock() else { return true };
        if took.saturating_sub(*drawn) >= EVERY {
            *drawn = took;
            // Nothing is lost with a line of progress.
            let _ = write!(io::stderr().lock(), "\r{}\x1b[K", line(done, self.all, failed, took));
        }
        true
    }

    /// Takes it away, and says how long it was there.
    pub(super) fn finish(self) -> Duration {
        if self.drawn.is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
        self.began.elapsed()
    }
}

fn line(done: u64, all: u64, failed: u64, took: Duration) -> String {
    let filled = usize::try_from(done.saturating_mul(WIDTH) / all.max(1)).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(filled);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1_000) / millis;
    let left = all.saturating_sub(done).checked_div(rate).unwrap_or(0);
    let (bar, space) = ("#".repeat(filled), ".".repeat(empty));
    let failed = if failed > 0 { format!(", {failed} FAILED") } else { String::new() };
    format!("[{bar}{space}] {done} of {all}, {rate} a second, {left} s left{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_and_says_what_is_left() {
        let half = line(50, 100, 0, Duration::from_secs(5));
        assert!(
            half.starts_with("[###############...............] 50 of 100, 10 a second, 5 s left")
        );
        assert!(line(1, 2, 1, Duration::ZERO).ends_with(", 1 FAILED"));
        assert!(line(0, 0, 0, Duration::ZERO).contains("0 of 0"));
    }
}
