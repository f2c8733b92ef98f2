//! From a linked enclave to the measured image that a processor would load.

mod elf;
mod layout;
mod signature;

pub use layout::Settings;
pub use signature::{Signer, is_signed, measure};

use elf::Linked;
use std::fmt;

/// A measured enclave: pages with their rights, in the order in which they are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The stream of ECREATE, EADD and EEXTEND that a loader replays.
    pub sgxs: Vec<u8>,
    /// What a processor computes while it loads the stream.
    pub measurement: Measurement,
}

impl Image {
    /// Lays out an enclave that was linked for `x86_64-fortanix-unknown-sgx`.
    ///
    /// # Errors
    /// What in the file is not as this target's run time needs it.
    pub fn of_elf(elf: &[u8], settings: &Settings) -> Result<Self, BadImage> {
        let linked = Linked::read(elf)?;
        let sgxs = layout::write(&linked, settings)?;
        let measurement = measure(&sgxs)?;
        Ok(Self { sgxs, measurement })
    }
}

/// MRENCLAVE: the identity of an enclave's code and first data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Measurement(pub [u8; 32]);

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Measurement({self})")
    }
}

/// A file that cannot become an enclave, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadImage(String);

impl BadImage {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadImage {}

impl From<object::Error> for BadImage {
    fn from(error: object::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<anyhow::Error> for BadImage {
    fn from(error: anyhow::Error) -> Self {
        Self::new(error.to_string())
    }
}
