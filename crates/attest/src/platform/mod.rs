//! What the machine below does: it makes evidence for this program, and gives it the key with which
//! it verifies reports made for it.

use core::fmt;

use crate::binding::ReportData;
use crate::challenge::Challenge;
use crate::evidence::Evidence;
use crate::measured::Enclave;
use crate::report::Target;

#[cfg(target_env = "sgx")]
pub(crate) mod sgx;
#[cfg(feature = "test-quotes")]
pub mod test_quotes;
#[cfg(feature = "test-root")]
pub mod test_root;

/// What the machine below does for attestation.
pub trait Platform: Send + Sync {
    /// The enclave that this program is, if it is one: what a policy calls `self`.
    fn own(&self) -> Option<Enclave>;

    /// Whom local reports must be made for so that this program can verify them; `None` where it
    /// cannot.
    fn target(&self) -> Option<Target>;

    /// Makes evidence that carries `data`, of a kind that the challenge says can be verified.
    ///
    /// # Errors
    /// [`PlatformFault`] if this platform makes no such kind, or failed to.
    fn attest(&self, challenge: &Challenge, data: &ReportData) -> Result<Evidence, PlatformFault>;

    /// The key of reports made for this program, with the id that a report names.
    ///
    /// # Errors
    /// [`PlatformFault`] if there is none.
    fn report_key(&self, key_id: &[u8; 32]) -> Result<[u8; 16], PlatformFault>;
}

/// Why a platform could not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformFault {
    /// The peer verifies none of the kinds of evidence that can be made here.
    NothingToShow,
    /// This program is no enclave that could verify local reports.
    NoReportKey,
    /// The processor refused.
    Processor {
        /// The error code of its instruction.
        code: u32,
    },
    /// There are no random numbers for keys.
    NoRandomness,
}

impl fmt::Display for PlatformFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToShow => f.write_str(
                "the peer verifies none of the kinds of evidence that can be made here: \
                 run both on one machine, or give it the collateral for quotes",
            ),
            Self::NoReportKey => f.write_str("local reports cannot be verified outside an enclave"),
            Self::Processor { code } => {
                write!(f, "the processor refused to attest, with its error code {code}")
            }
            Self::NoRandomness => f.write_str("the machine gave no random numbers for a key"),
        }
    }
}

impl core::error::Error for PlatformFault {}
