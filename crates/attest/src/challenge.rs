//! What a side tells the other before it can be shown evidence: which kinds it can verify, and whom
//! local reports must be made for.

use core::fmt;

use crate::evidence::Kind;
use crate::report::Target;

/// What evidence a side can verify.
///
/// Travels inside the handshake, so the hash that evidence binds covers it: whoever changes it on the
/// way makes the handshake fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Local reports, made for this enclave.
    pub local: Option<Target>,
    /// DCAP quotes.
    pub quotes: bool,
}

impl Challenge {
    /// Its bytes: kinds as bits, then the target if there is one.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0];
        if let Some(target) = &self.local {
            bytes[0] |= bit(Kind::LocalReport);
            bytes.extend_from_slice(target.as_bytes());
        }
        if self.quotes {
            bytes[0] |= bit(Kind::Quote);
        }
        bytes
    }

    /// Reads what [`Challenge::to_bytes`] wrote. Bits of kinds that this version does not know are
    /// passed over: the peer could verify those too, but here nobody can make them.
    ///
    /// # Errors
    /// [`BadChallenge`] if the length is not what the bits say.
    pub fn read(bytes: &[u8]) -> Result<Self, BadChallenge> {
        let (&kinds, rest) = bytes.split_first().ok_or(BadChallenge { len: 0 })?;
        let is_local = kinds & bit(Kind::LocalReport) != 0;
        let local = match <[u8; Target::LEN]>::try_from(rest) {
            Ok(target) if is_local => Some(Target::from_bytes(target)),
            Err(_) if !is_local && rest.is_empty() => None,
            Ok(_) | Err(_) => return Err(BadChallenge { len: bytes.len() }),
        };
        Ok(Self { local, quotes: kinds & bit(Kind::Quote) != 0 })
    }
}

const fn bit(kind: Kind) -> u8 {
    1 << (kind.number() - 1)
}

/// A challenge that has another length than its kinds need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChallenge {
    /// The length in bytes.
    pub len: usize,
}

impl fmt::Display for BadChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer's challenge has {} bytes, which fits no kinds of evidence", self.len)
    }
}

impl core::error::Error for BadChallenge {}
