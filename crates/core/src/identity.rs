//! Who speaks: sessions, their secrets and epochs, requests, connections, incarnations.

use core::fmt;
use core::num::NonZeroU64;

/// One life of a granter: from a start that was made durable to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(NonZeroU64);

impl Incarnation {
    /// The first life.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The incarnation with this number; zero is none.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The next life.
    ///
    /// # Panics
    /// After 2^64 - 1 starts.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a granter starts fewer than 2^64 times"))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The public identity of a holder, independent of its connections: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 128 random bits that prove a session: known to its holder and the granter alone (assumption A10).
///
/// Compared in constant time, never printed.
#[derive(Clone, Copy)]
pub struct Secret(pub [u8; 16]);

impl Secret {
    /// Whether two secrets are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        same_bytes(&self.0, &other.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Compares without an early exit.
pub(crate) fn same_bytes(a: &[u8; 16], b: &[u8; 16]) -> bool {
    let difference = a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a ^ b));
    core::hint::black_box(difference) == 0
}

/// Which life of a session a message belongs to: the granter's incarnation, and the opening of the
/// session in it.
///
/// Every opening on a new connection has a number of its own, so that a request delayed from an
/// earlier connection is recognised and moves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// The granter's life.
    pub incarnation: Incarnation,
    /// The number of the opening in that life, over all sessions, from 1.
    pub opening: u64,
}

/// Names one transmission of a request. Increases within a session; a resend is a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a question on one connection; the asker chooses it, the answer repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// A connection, as the granter's driver numbers them. Never used twice in one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// What a connection may do besides holding leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rights {
    /// Hold leases, ask, and recall with grace.
    Holder,
    /// Also recall by force: the operator's socket.
    Operator,
}
