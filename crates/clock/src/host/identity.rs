//! Which boot, and which time namespace: where a clock reading means something.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// The boot of the kernel and the time namespace of this process. Clock readings compare only within
/// one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    pub(crate) boot: u128,
    /// Inode of `/proc/self/ns/time`; 0 on kernels without time namespaces.
    pub(crate) time_namespace: u64,
}

impl Identity {
    pub(super) fn of_this_machine() -> io::Result<Self> {
        let text = fs::read_to_string(BOOT_ID)?;
        let digits: String = text.trim().chars().filter(|digit| *digit != '-').collect();
        let boot = u128::from_str_radix(&digits, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a boot id"))?;
        let time_namespace = fs::metadata("/proc/self/ns/time").map_or(0, |ns| ns.ino());
        Ok(Self { boot, time_namespace })
    }
}

pub(super) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
