//! Which processor this is.

use crate::arch::Cpu;
use crate::enclave::CpuModel;

impl CpuModel {
    /// This machine's, as CPUID reports it.
    #[must_use]
    pub fn here() -> Self {
        let (vendor, family, model, stepping) = Cpu::model();
        let vendor = String::from_utf8_lossy(&vendor).trim_matches('\0').to_owned();
        Self { vendor, family, model, stepping }
    }
}
