//! The processor, from inside an enclave: EREPORT and EGETKEY.

use std::os::fortanix_sgx::arch::{Align128, Align512, egetkey, ereport};

use super::{Platform, PlatformFault};
use crate::binding::ReportData;
use crate::challenge::Challenge;
use crate::evidence::Evidence;
use crate::measured::Enclave;
use crate::report::{LocalReport, Target};

/// The enclave that this program is.
#[derive(Debug)]
pub struct Sgx {
    /// A report that nobody can verify, for what it says about this enclave.
    own: LocalReport,
}

impl Sgx {
    /// Asks the processor who this is.
    #[must_use]
    pub fn here() -> Self {
        let nobody = Align512([0; 512]);
        Self { own: LocalReport::from_bytes(ereport(&nobody, &Align128([0; 64])).0) }
    }
}

impl Platform for Sgx {
    fn own(&self) -> Option<Enclave> {
        Some(self.own.enclave())
    }

    fn target(&self) -> Option<Target> {
        Some(Target::of(&self.own))
    }

    fn attest(&self, challenge: &Challenge, data: &ReportData) -> Result<Evidence, PlatformFault> {
        let target = challenge.local.as_ref().ok_or(PlatformFault::NothingToShow)?;
        let mut info = Align512([0; 512]);
        info.0[..Target::LEN].copy_from_slice(target.as_bytes());
        let report = ereport(&info, &Align128(data.0));
        Ok(Evidence::Local(Box::new(LocalReport::from_bytes(report.0))))
    }

    fn report_key(&self, key_id: &[u8; 32]) -> Result<[u8; 16], PlatformFault> {
        let mut request = Align512([0; 512]);
        request.0[..2].copy_from_slice(&KEY_NAME_REPORT.to_le_bytes());
        request.0[KEY_ID..KEY_ID + 32].copy_from_slice(key_id);
        egetkey(&request).map(|key| key.0).map_err(|code| PlatformFault::Processor { code })
    }
}

/// KEYNAME of the report key.
const KEY_NAME_REPORT: u16 = 3;
/// Where KEYREQUEST has KEYID.
const KEY_ID: usize = 40;
