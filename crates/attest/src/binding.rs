//! What evidence must say beside the measurement: whose key it speaks for, and in which session (I30).

use core::fmt;

use sha2::{Digest, Sha512};

use crate::hex;

/// The 64 bytes that a program chooses in its report or quote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReportData(pub [u8; 64]);

impl ReportData {
    /// What evidence for one side of one session must carry.
    ///
    /// The hash of the handshake covers both sides' ephemeral keys, which are drawn afresh for each
    /// session, and both static keys: evidence from another session, or for another key, differs.
    /// The role keeps a side from being shown its own evidence.
    #[must_use]
    pub fn bind(role: Role, handshake_hash: &[u8; 32], key: &[u8; 32]) -> Self {
        let role: &[u8] = match role {
            Role::Initiator => b"initiator",
            Role::Responder => b"responder",
        };
        let mut hash = Sha512::new();
        // Only the role has another length than here, and it ends with a zero.
        hash.update(b"tlease-attest/1 evidence\0");
        hash.update(role);
        hash.update(b"\0");
        hash.update(handshake_hash);
        hash.update(key);
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for ReportData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

/// A side of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who connects.
    Initiator,
    /// Who accepts.
    Responder,
}

impl Role {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}
