//! The structures of local attestation, laid out as in Intel's manual (volume 3D, chapter 40).

use aes::Aes128;
use cmac::{Cmac, Mac};

use crate::binding::ReportData;
use crate::measured::{Enclave, Mrenclave, Mrsigner};

/// What EREPORT makes: an enclave's identity and 64 bytes of its choice, under a key that only the
/// enclave it was made for, on the same machine, can ask the processor for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReport([u8; LocalReport::LEN]);

impl LocalReport {
    /// Its length in bytes.
    pub const LEN: usize = 432;

    /// Takes the bytes as they are; nothing is verified by this.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// As the processor wrote it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Whom it claims to come from.
    #[must_use]
    pub fn enclave(&self) -> Enclave {
        Enclave {
            mrenclave: Mrenclave(self.at(MRENCLAVE)),
            mrsigner: Mrsigner(self.at(MRSIGNER)),
            product: u16::from_le_bytes(self.at(PRODUCT)),
            svn: u16::from_le_bytes(self.at(SVN)),
            flags: u64::from_le_bytes(self.at(FLAGS)),
        }
    }

    /// What it claims that the enclave chose.
    #[must_use]
    pub fn data(&self) -> ReportData {
        ReportData(self.at(DATA))
    }

    /// Which of the machine's report keys its tag was made with.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        self.at(KEY_ID)
    }

    /// Whether `key` made its tag. Takes the same time whatever the tag is.
    #[must_use]
    pub fn is_tagged_by(&self, key: &[u8; 16]) -> bool {
        let mut mac = Cmac::<Aes128>::new(key.into());
        mac.update(&self.0[..TAGGED]);
        mac.verify_slice(&self.0[TAG..]).is_ok()
    }

    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        part(&self.0, offset)
    }

    /// What the processor would write.
    #[cfg(feature = "test-root")]
    pub(crate) fn forge(enclave: &Enclave, data: &ReportData, key_id: [u8; 32]) -> Self {
        let mut report = Self([0; Self::LEN]);
        report.put(FLAGS, &enclave.flags.to_le_bytes());
        report.put(XFRM, &3_u64.to_le_bytes());
        report.put(MRENCLAVE, &enclave.mrenclave.0);
        report.put(MRSIGNER, &enclave.mrsigner.0);
        report.put(PRODUCT, &enclave.product.to_le_bytes());
        report.put(SVN, &enclave.svn.to_le_bytes());
        report.put(DATA, &data.0);
        report.put(KEY_ID, &key_id);
        report
    }

    /// Puts the tag that `key` makes.
    #[cfg(feature = "test-root")]
    pub(crate) fn tag(&mut self, key: &[u8; 16]) {
        let mut mac = Cmac::<Aes128>::new(key.into());
        mac.update(&self.0[..TAGGED]);
        let tag: [u8; 16] = mac.finalize().into_bytes().into();
        self.put(TAG, &tag);
    }

    #[cfg(feature = "test-root")]
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// Whom a local report is for: the part of TARGETINFO that is not reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target([u8; Target::LEN]);

impl Target {
    /// Its length in bytes; what follows in TARGETINFO is zero.
    pub const LEN: usize = 128;

    /// Takes the bytes as they are. Nothing need be verified: a report for somebody else is of no
    /// use to him in a session that is not his.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The first bytes of TARGETINFO.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The enclave that a report comes from, as the target of reports for it.
    #[must_use]
    pub fn of(report: &LocalReport) -> Self {
        let mut target = [0; Self::LEN];
        target[..32].copy_from_slice(&report.0[MRENCLAVE..][..32]);
        // ATTRIBUTES with XFRM, then the attributes of CET.
        target[32..48].copy_from_slice(&report.0[FLAGS..][..16]);
        target[48] = report.0[CET];
        target[50..52].copy_from_slice(&report.0[CONFIG_SVN..][..2]);
        target[52..56].copy_from_slice(&report.0[MISCSELECT..][..4]);
        target[64..].copy_from_slice(&report.0[CONFIG_ID..][..64]);
        Self(target)
    }
}

/// The bytes at a fixed place of a structure that is long enough for it.
fn part<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[offset..offset + N]);
    part
}

// Offsets in REPORT.
const MISCSELECT: usize = 16;
const CET: usize = 20;
const FLAGS: usize = 48;
#[cfg(feature = "test-root")]
const XFRM: usize = 56;
const MRENCLAVE: usize = 64;
const MRSIGNER: usize = 128;
const CONFIG_ID: usize = 192;
const PRODUCT: usize = 256;
const SVN: usize = 258;
const CONFIG_SVN: usize = 260;
const DATA: usize = 320;
const KEY_ID: usize = 384;
const TAG: usize = 416;
/// The tag covers all before the id of its key.
const TAGGED: usize = KEY_ID;
