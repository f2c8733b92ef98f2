//! The VMClock device, mapped.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::arch::pages::{Access, Pages};
use crate::segment::Markers;
use crate::vmclock::{DISRUPTION, FILE_BYTES_MIN, GENERATION, Layout, NotVmClock};

/// A mapped VMClock page.
#[derive(Debug)]
pub(super) struct VmClockDevice {
    pages: Pages,
    layout: Layout,
}

/// Why a VMClock could not be used.
#[derive(Debug)]
pub enum VmClockFault {
    /// There is none, or it cannot be opened or mapped.
    Io(io::Error),
    /// What is there is not a VMClock.
    Foreign(NotVmClock),
}

impl VmClockDevice {
    pub(super) fn open(path: &Path) -> Result<Self, VmClockFault> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.len() < FILE_BYTES_MIN {
            // Reading past a file's end is a fault; a device's length says nothing.
            return Err(VmClockFault::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let pages = Pages::shared(file.as_fd(), GENERATION.saturating_add(1), Access::ReadOnly)?;
        let layout = Layout::recognise(|index| load(pages.words(), index))?;
        Ok(Self { pages, layout })
    }

    /// The markers now.
    pub(super) fn markers(&self) -> Markers {
        let marks = self.layout.marks(|index| load(self.pages.words(), index));
        marks.map_or(Markers::Changing, Markers::Read)
    }

    /// The disruption marker itself, for the guard.
    #[inline]
    pub(super) fn disruption(&self) -> &AtomicU64 {
        &self.pages.words()[DISRUPTION]
    }

    /// The generation counter itself, if the hypervisor keeps one.
    #[inline]
    pub(super) fn generation(&self) -> Option<&AtomicU64> {
        self.layout.has_generation().then(|| &self.pages.words()[GENERATION])
    }
}

fn load(words: &[AtomicU64], index: usize) -> u64 {
    words[index].load(Ordering::Acquire)
}

impl From<io::Error> for VmClockFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotVmClock> for VmClockFault {
    fn from(error: NotVmClock) -> Self {
        Self::Foreign(error)
    }
}

impl fmt::Display for VmClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => f.write_str("not there"),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::Foreign(error) => write!(f, "it is no VMClock: {error}"),
        }
    }
}

impl core::error::Error for VmClockFault {}
