//! Enclaves without hardware: a machine whose report keys come from 16 bytes that the test knows.
//!
//! Proves nothing to anybody: whoever has the bytes can be any enclave of this machine. A real
//! enclave never believes it, since its keys are those of its processor.

use aes::Aes128;
use cmac::{Cmac, Mac};

use super::{Platform, PlatformFault};
use crate::binding::ReportData;
use crate::challenge::Challenge;
use crate::evidence::Evidence;
use crate::measured::{Enclave, Mrenclave, Mrsigner};
use crate::report::{LocalReport, Target};

/// A machine that does not exist.
#[derive(Debug, Clone)]
pub struct TestRoot {
    secret: [u8; 16],
}

impl TestRoot {
    /// A machine with this secret. Two with one secret are one machine.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// An enclave on it with this MRENCLAVE, that nobody debugs.
    #[must_use]
    pub fn enclave(&self, mrenclave: [u8; 32]) -> TestEnclave {
        self.enclave_with(Enclave {
            mrenclave: Mrenclave(mrenclave),
            mrsigner: Mrsigner([0xee; 32]),
            product: 0,
            svn: 0,
            flags: Enclave::INIT | Enclave::MODE64BIT,
        })
    }

    /// An enclave on it of which everything is chosen.
    #[must_use]
    pub fn enclave_with(&self, enclave: Enclave) -> TestEnclave {
        TestEnclave { root: self.clone(), enclave }
    }

    /// The key of reports for `target`, as EREPORT uses it and EGETKEY gives it.
    #[must_use]
    pub fn report_key(&self, target: &Target, key_id: &[u8; 32]) -> [u8; 16] {
        let mut mac = Cmac::<Aes128>::new(&self.secret.into());
        mac.update(b"tlease test root, report key\0");
        mac.update(target.as_bytes());
        mac.update(key_id);
        mac.finalize().into_bytes().into()
    }
}

/// An enclave on such a machine.
#[derive(Debug, Clone)]
pub struct TestEnclave {
    root: TestRoot,
    enclave: Enclave,
}

impl TestEnclave {
    /// What EREPORT would make of this.
    #[must_use]
    pub fn report(&self, target: &Target, data: &ReportData) -> LocalReport {
        let key_id = [0x6b; 32];
        let mut report = LocalReport::forge(&self.enclave, data, key_id);
        report.tag(&self.root.report_key(target, &key_id));
        report
    }

    fn as_target(&self) -> Target {
        Target::of(&LocalReport::forge(&self.enclave, &ReportData([0; 64]), [0; 32]))
    }
}

impl Platform for TestEnclave {
    fn own(&self) -> Option<Enclave> {
        Some(self.enclave)
    }

    fn target(&self) -> Option<Target> {
        Some(self.as_target())
    }

    fn attest(&self, challenge: &Challenge, data: &ReportData) -> Result<Evidence, PlatformFault> {
        let target = challenge.local.as_ref().ok_or(PlatformFault::NothingToShow)?;
        Ok(Evidence::Local(Box::new(self.report(target, data))))
    }

    fn report_key(&self, key_id: &[u8; 32]) -> Result<[u8; 16], PlatformFault> {
        Ok(self.root.report_key(&self.as_target(), key_id))
    }
}
