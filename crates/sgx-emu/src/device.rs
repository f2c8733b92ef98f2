//! Enclaves on hardware: the only code that differs from emulation.
//!
//! The loader is the vendor's, and entering is the kernel's own function, to which ours jumps.

use crate::emu::use_device;
use anyhow::anyhow;
use sgxs_loaders::isgx;
use std::path::Path;

/// The device's loader, or `None` on a machine without one.
pub(crate) fn open() -> Option<anyhow::Result<isgx::Device>> {
    let is_there = Path::new("/dev/sgx_enclave").exists();
    is_there.then(|| {
        let device = isgx::Device::new().map_err(|error| anyhow!("/dev/sgx_enclave: {error}"))?;
        let function =
            kernel_function().ok_or_else(|| anyhow!("the kernel has no SGX in its vDSO"))?;
        use_device(function);
        Ok(device.build())
    })
}

/// `__vdso_sgx_enter_enclave` of the kernel, past our function of that name.
fn kernel_function() -> Option<usize> {
    // WHY: the vDSO is a library that only the dynamic linker knows.
    // SAFETY: the name is a string that ends in zero, and nothing is loaded that is not.
    let vdso =
        unsafe { libc::dlopen(c"linux-vdso.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
    if vdso.is_null() {
        return None;
    }
    // WHY: as above.
    // SAFETY: a handle of the linker's, and a string that ends in zero.
    let function = unsafe { libc::dlsym(vdso, c"__vdso_sgx_enter_enclave".as_ptr()) };
    (!function.is_null()).then(|| function.expose_provenance())
}
