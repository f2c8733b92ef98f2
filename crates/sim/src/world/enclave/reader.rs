//! A thread that extends the fast hand by itself, between two interruptions.

use tlease_clock::enclave::{Handshake, Stretch};

use super::counter::Counter;

/// A holder's thread in the enclave.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) counter: Counter,
    /// What it knows, until its mark is lost.
    pub(super) stretch: Option<Known>,
    /// What it waits for: an answer of one of the timekeepers.
    pub(super) asks: Option<Asks>,
    /// Until when it is out of the enclave.
    pub(super) out: u64,
    /// How often it was interrupted, and when that was last.
    pub(super) exits: u64,
    pub(super) broken_at: Option<u64>,
}

/// Handshakes that were begun at true time `since`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks {
    pub(super) since: u64,
    pub(super) handshakes: [Option<Handshake>; 2],
}

/// A stretch, whose handshake began at true time `since`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) since: u64,
    pub(super) stretch: Stretch,
}

impl Reader {
    pub(super) const fn begin(counter: Counter) -> Self {
        Self { counter, stretch: None, asks: None, out: 0, exits: 0, broken_at: None }
    }

    /// It is taken out until `until`: its mark is lost, and with it all that it knows.
    pub(super) fn exit(&mut self, at: u64, until: u64, keeps_stretch: bool) {
        if !keeps_stretch {
            self.stretch = None;
        }
        self.asks = None;
        self.out = self.out.max(until);
        self.exits += 1;
        self.broken_at = Some(at);
    }

    /// When it shakes hands anew, if it has to: at once, or when nobody answered for so long.
    pub(super) fn due(&self, patience: u64) -> Option<u64> {
        if self.stretch.is_some() {
            return None;
        }
        Some(self.asks.map_or(self.out, |asks| asks.since + patience))
    }
}
