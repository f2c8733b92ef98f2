//! Enclaves with quotes and without hardware: their machine is certified by a root that is here, with
//! the key that signs its quotes.
//!
//! Proves nothing to anybody: whoever reads this can be any enclave. Nobody believes it who did not
//! ask for this root by its name ([`quotes`]).

use core::fmt;

use p256::ecdsa::{Signature, SigningKey, signature::Signer};

use super::{Platform, PlatformFault};
use crate::binding::ReportData;
use crate::challenge::Challenge;
use crate::dcap::Quotes;
use crate::evidence::Evidence;
use crate::measured::{Enclave, TrustDomain};
use crate::report::{LocalReport, Target};

/// Believes quotes of [`QuotingEnclave`], and no others.
///
/// # Panics
/// Never: what it reads lies beside this file.
#[must_use]
pub fn quotes() -> Quotes {
    let root = include_bytes!("root.der");
    let collateral = [include_str!("collateral.json"), include_str!("collateral_tdx.json")];
    Quotes::assume_root(root, &collateral).expect("it is collateral")
}

/// An enclave on a machine whose quotes [`quotes`] verifies, and that makes no local reports.
pub struct QuotingEnclave {
    enclave: Enclave,
    key: SigningKey,
}

impl QuotingEnclave {
    /// An enclave of which everything is chosen.
    ///
    /// # Panics
    /// Never: what it reads lies beside this file.
    #[must_use]
    pub fn new(enclave: Enclave) -> Self {
        let key = SigningKey::from_slice(include_bytes!("key.bin")).expect("it is a key");
        Self { enclave, key }
    }

    /// What the quoting enclave of the machine would make of this.
    ///
    /// # Panics
    /// Never: what certifies its key is short.
    #[must_use]
    pub fn quote(&self, data: &ReportData) -> Vec<u8> {
        let report = LocalReport::forge(&self.enclave, data, [0; 32]);
        let mut quote = HEADER.to_vec();
        // A quote has what a report has, up to the id of its key.
        quote.extend_from_slice(&report.as_bytes()[..384]);
        sign(&self.key, quote, CERTIFIED)
    }
}

/// What the quoting enclave of the machine would make of a trust domain on it.
///
/// # Panics
/// Never: what it reads lies beside this file.
#[must_use]
pub fn domain_quote(domain: &TrustDomain, data: &ReportData) -> Vec<u8> {
    let mut report = [0; 584];
    // TUD: bit 0 is DEBUG. SEC: SEPT_VE_DISABLE, without which no verifier trusts a domain.
    report[120] = u8::from(domain.is_debug);
    report[123] = 1 << 4;
    report[136..184].copy_from_slice(&domain.mrtd.0);
    for (register, at) in domain.rtmr.iter().zip((328..).step_by(48)) {
        report[at..at + 48].copy_from_slice(&register.0);
    }
    report[520..].copy_from_slice(&data.0);
    let mut quote = HEADER.to_vec();
    quote[0] = 4;
    quote[4] = 0x81;
    quote.extend_from_slice(&report);
    // This version puts what certifies the key into an envelope of its own.
    let (key, certified) = CERTIFIED.split_at(64);
    let len = u32::try_from(certified.len()).expect("it has some kilobytes");
    let certified = [key, &6_u16.to_le_bytes(), &len.to_le_bytes(), certified].concat();
    let key = SigningKey::from_slice(include_bytes!("key.bin")).expect("it is a key");
    sign(&key, quote, &certified)
}

/// Header and report, signed; the lengths are those of a quote's last part.
fn sign(key: &SigningKey, mut quote: Vec<u8>, certified: &[u8]) -> Vec<u8> {
    let signature: Signature = key.sign(&quote);
    let len = u32::try_from(64 + certified.len()).expect("it has some kilobytes");
    quote.extend_from_slice(&len.to_le_bytes());
    quote.extend_from_slice(&signature.to_bytes());
    quote.extend_from_slice(certified);
    quote
}

impl Platform for QuotingEnclave {
    fn own(&self) -> Option<Enclave> {
        Some(self.enclave)
    }

    fn target(&self) -> Option<Target> {
        None
    }

    fn attest(&self, challenge: &Challenge, data: &ReportData) -> Result<Evidence, PlatformFault> {
        if challenge.quotes {
            Ok(Evidence::Quote(self.quote(data)))
        } else {
            Err(PlatformFault::NothingToShow)
        }
    }

    fn report_key(&self, _: &[u8; 32]) -> Result<[u8; 16], PlatformFault> {
        Err(PlatformFault::NoReportKey)
    }
}

impl fmt::Debug for QuotingEnclave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotingEnclave").field("enclave", &self.enclave).finish_non_exhaustive()
    }
}

/// Version 3, signed by ECDSA on P-256, of an SGX enclave, from Intel's quoting enclave.
const HEADER: [u8; 48] = {
    let mut header = [0; 48];
    header[0] = 3;
    header[2] = 2;
    let intel = [
        0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06,
        0x07,
    ];
    let mut at = 0;
    while at < intel.len() {
        header[12 + at] = intel[at];
        at += 1;
    }
    header
};

/// What follows the signature: the key that made it, and what certifies that key. See `make.py`.
const CERTIFIED: &[u8] = include_bytes!("certified.bin");
