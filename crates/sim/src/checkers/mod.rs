//! The checkers: one file for each claim, named after its id in `docs/claims.md`. Each knows the true
//! time. Those that judge a state look just before and after every event; those that judge a step
//! look when it happens.

pub(crate) mod exclusion;
pub(crate) mod i1;
pub(crate) mod i10;
pub(crate) mod i11;
pub(crate) mod i12;
pub(crate) mod i13;
pub(crate) mod i14;
pub(crate) mod i17;
pub(crate) mod i18;
pub(crate) mod i19;
pub(crate) mod i2;
pub(crate) mod i20;
pub(crate) mod i25;
pub(crate) mod i26;
pub(crate) mod i3;
pub(crate) mod i4;
pub(crate) mod i5;
pub(crate) mod i50;
pub(crate) mod i51;
pub(crate) mod i52;
pub(crate) mod i6;
pub(crate) mod i7;
pub(crate) mod i8;
pub(crate) mod i9;
pub(crate) mod liveness;
pub(crate) mod order;
pub(crate) mod witness;

use std::fmt;

use serde::{Serialize, Serializer};

/// A claim that a checker watches: its id in `docs/claims.md`, or one of the words `exclusion`
/// and `liveness`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    id: &'static str,
    says: &'static str,
}

impl Claim {
    pub(crate) const fn new(id: &'static str, says: &'static str) -> Self {
        Self { id, says }
    }

    /// Its id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.id
    }

    /// What it says.
    #[must_use]
    pub const fn says(self) -> &'static str {
        self.says
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.says)
    }
}

impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id)
    }
}

/// Every claim that is watched.
#[must_use]
pub const fn claims() -> &'static [Claim] {
    &[
        exclusion::CLAIM,
        i1::CLAIM,
        i2::CLAIM,
        i3::CLAIM,
        i4::CLAIM,
        i5::CLAIM,
        i6::CLAIM,
        i7::CLAIM,
        i8::CLAIM,
        i9::CLAIM,
        i10::CLAIM,
        i11::CLAIM,
        i12::CLAIM,
        i13::CLAIM,
        i14::CLAIM,
        liveness::CLAIM,
        i17::CLAIM,
        i18::CLAIM,
        i19::CLAIM,
        i20::CLAIM,
        i25::CLAIM,
        i26::CLAIM,
        i50::CLAIM,
        i51::CLAIM,
        i52::CLAIM,
    ]
}

/// What the checkers remember.
#[derive(Debug, Default)]
pub(crate) struct Checkers {
    pub(crate) witness: witness::Witness,
    pub(crate) fences: i7::Fences,
    pub(crate) resources: i7::Resources,
    pub(crate) epochs: i12::Epochs,
    pub(crate) recalled: i25::Recalled,
    pub(crate) promised: i1::Promised,
    pub(crate) effects: i8::Effects,
    pub(crate) writes: order::Order,
    pub(crate) slow_stamps: i1::SlowStamps,
    pub(crate) bulk: i14::Bulk,
    /// When the granter's present life began.
    pub(crate) born: u64,
    /// When the granter is asked next whether it serves.
    pub(crate) ask_at: u64,
}

impl Checkers {
    /// The granter begins a new life and knows of no leases.
    pub(crate) fn new_life(&mut self, now: u64) {
        (self.born, self.ask_at) = (now, now);
        self.witness.new_life();
        self.recalled.new_life();
        self.promised.new_life();
    }
}
