//! What the kernel and CPUID say about the machine.

use std::fs;
use std::path::Path;

use crate::arch::Cpu;

/// The kernel's clock source: `tsc`, `kvm-clock`, `hpet`, ...
pub(crate) fn clocksource() -> Option<String> {
    let name =
        fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    name.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Hardware for the profiles that do not trust the kernel. None of it is used by profile `host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedHardware {
    /// The CPU has SGX.
    pub sgx_cpu: bool,
    /// The kernel offers SGX enclaves (`/dev/sgx_enclave`).
    pub sgx_device: bool,
    /// This is a TDX guest (`/dev/tdx_guest`).
    pub tdx_guest: bool,
    /// This is an SEV-SNP guest (`/dev/sev-guest`).
    pub snp_guest: bool,
}

impl TrustedHardware {
    pub(super) fn find() -> Self {
        let exists = |path: &str| Path::new(path).exists();
        Self {
            sgx_cpu: Cpu::has_sgx(),
            sgx_device: exists("/dev/sgx_enclave"),
            tdx_guest: exists("/dev/tdx_guest"),
            snp_guest: exists("/dev/sev-guest"),
        }
    }
}
