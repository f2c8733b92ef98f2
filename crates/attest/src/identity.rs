//! What a side of a session is itself: a key, and the platform that speaks for it.

use core::fmt;

use snow::{Builder, HandshakeState};

use crate::binding::Role;
use crate::handshake::{HELLO, NOISE};
use crate::platform::{Platform, PlatformFault};

/// What this side is: a key that lives as long as this value, and the platform that attests to it.
///
/// The private key is drawn here and leaves this value nowhere: whoever restarts the program gets
/// another.
pub struct Identity {
    platform: Box<dyn Platform>,
    private: [u8; 32],
    public: [u8; 32],
}

impl Identity {
    /// Draws a key.
    ///
    /// # Errors
    /// [`PlatformFault::NoRandomness`] if the machine gives no random numbers.
    ///
    /// # Panics
    /// Never: [`NOISE`] is a name that the channel knows, and its keys have 32 bytes.
    pub fn new(platform: impl Platform + 'static) -> Result<Self, PlatformFault> {
        let pair = Builder::new(NOISE.parse().expect("it is a name of the Noise framework"))
            .generate_keypair()
            .map_err(|_| PlatformFault::NoRandomness)?;
        let key = |bytes: Vec<u8>| bytes.try_into().expect("keys of Curve25519 have 32 bytes");
        Ok(Self {
            platform: Box::new(platform),
            private: key(pair.private),
            public: key(pair.public),
        })
    }

    /// The public half of its key.
    #[must_use]
    pub const fn key(&self) -> &[u8; 32] {
        &self.public
    }

    /// The platform that attests to it.
    #[must_use]
    pub fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    pub(crate) fn handshake(&self, role: Role) -> Result<HandshakeState, snow::Error> {
        let builder =
            Builder::new(NOISE.parse()?).local_private_key(&self.private)?.prologue(HELLO)?;
        match role {
            Role::Initiator => builder.build_initiator(),
            Role::Responder => builder.build_responder(),
        }
    }
}

/// Without the private key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key", &self.public).finish_non_exhaustive()
    }
}
