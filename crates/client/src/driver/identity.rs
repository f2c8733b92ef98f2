//! `Identity`: who a session is to its granter, and in which copy of this machine that was drawn
//! (invariant I26).

use std::io;

use tlease_clock::{Clock, Generation};
use tlease_core::identity::{Secret, SessionId};

/// A session's id and secret.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) session: SessionId,
    pub(crate) secret: Secret,
    /// Read before they were drawn, so that no copy made since has this generation and them.
    drawn_in: Generation,
}

impl Identity {
    /// Draws one.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(crate) fn draw(clock: &Clock) -> io::Result<Self> {
        let _ = clock.fast_now();
        let drawn_in = clock.generation();
        Ok(Self { session: SessionId(random()?), secret: Secret(random()?), drawn_in })
    }

    /// Whether another copy of this machine may have it too, for all that the clock's last reading
    /// showed.
    pub(crate) fn may_be_shared(&self, clock: &Clock) -> bool {
        match (clock.generation(), self.drawn_in) {
            (Generation::Untold, _) => false,
            (Generation::Is(now), Generation::Is(then)) => now != then,
            (Generation::Changing, _) | (_, Generation::Changing | Generation::Untold) => true,
        }
    }
}

fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
