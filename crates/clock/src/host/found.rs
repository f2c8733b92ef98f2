//! What opening a clock found, and why it failed.

use core::fmt;
use std::io;
use std::path::PathBuf;

use tlease_core::time::Span;

use super::identity::BOOT_ID;
use super::{HostClock, VmClockFault};
use crate::machine::facts;
use crate::segment::Suspends;

/// What shows that time was continuous between two readings, beyond what the kernel itself sees.
#[derive(Debug)]
pub enum Continuity {
    /// A VMClock page, whose disruption marker the guard reads.
    VmClock {
        /// Whether the hypervisor keeps a counter of snapshot restores as well.
        generation: bool,
    },
    /// The profile says that this is no virtual machine that could be moved or copied.
    AssumedBareMetal,
    /// Nothing: a snapshot, restore, clone, migration or CRIU restore can extend a lease.
    Unattested(VmClockFault),
}

impl Continuity {
    /// Whether it is shown by a device or assumed by the profile.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        match self {
            Self::VmClock { .. } | Self::AssumedBareMetal => true,
            Self::Unattested(_) => false,
        }
    }
}

impl HostClock {
    /// The profile's name: `host`, or `host-unattested` without evidence of continuity.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        if self.continuity.is_shown() { "host" } else { "host-unattested" }
    }
}

impl fmt::Display for HostClock {
    /// One line: what it trusts and what it found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ppm = f64::from(self.profile.drift_ppb) / 1000.0;
        let source = facts::clocksource().unwrap_or_else(|| "unknown".into());
        write!(f, "{}: trusts the kernel's clocks (source {source}) to {ppm} ppm; ", self.name())?;
        f.write_str(match self.profile.suspends {
            Suspends::Watched => "a suspend voids leases; ",
            Suspends::AssumedAbsent => "assumes no suspend; ",
        })?;
        match &self.continuity {
            Continuity::VmClock { generation: true } => {
                f.write_str("VMClock reports migration, snapshot and clone")
            }
            Continuity::VmClock { generation: false } => {
                f.write_str("VMClock reports disruptions of the clock")
            }
            Continuity::AssumedBareMetal => {
                f.write_str("assumes a machine that is never migrated, snapshotted or cloned")
            }
            Continuity::Unattested(fault) => write!(
                f,
                "no VMClock at {} ({fault}), so a migration, snapshot, clone or CRIU restore can \
                 extend a lease: fence at the resource",
                self.profile.vmclock.display()
            ),
        }
    }
}

/// A clock that cannot be opened as asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenFault {
    /// Continuity is required, nothing shows it.
    NoContinuity {
        /// Where VMClock was looked for.
        path: PathBuf,
        /// Why it is of no use.
        fault: VmClockFault,
    },
    /// The commit margin does not cover the time from clock reading to effect.
    CommitMargin {
        /// What the profile says.
        asked: Span,
        /// The least that covers it.
        least: Span,
    },
    /// The publish margin is below what any machine needs.
    PublishMargin {
        /// What the profile says.
        asked: Span,
        /// The least allowed.
        least: Span,
    },
    /// The kernel does not say which boot this is.
    NoBootId(io::Error),
    /// The kernel has no memory for what is to be measured.
    NoMemory(io::Error),
}

impl From<io::Error> for OpenFault {
    fn from(error: io::Error) -> Self {
        Self::NoBootId(error)
    }
}

impl fmt::Display for OpenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoContinuity { path, .. } => write!(
                f,
                "continuity of time is required, but there is no usable VMClock at {} and the \
                 profile does not assume bare metal",
                path.display()
            ),
            Self::CommitMargin { asked, least } => {
                write!(
                    f,
                    "a commit margin of {asked} is below {least}; only strict order needs none"
                )
            }
            Self::PublishMargin { asked, least } => {
                write!(f, "a publish margin of {asked} is below {least}")
            }
            Self::NoBootId(_) => write!(f, "cannot tell which boot this is from {BOOT_ID}"),
            Self::NoMemory(_) => f.write_str("no memory to measure with"),
        }
    }
}

impl core::error::Error for OpenFault {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NoContinuity { fault, .. } => Some(fault),
            Self::NoBootId(error) | Self::NoMemory(error) => Some(error),
            Self::CommitMargin { .. } | Self::PublishMargin { .. } => None,
        }
    }
}
