//! A leaf of the cgroup v2 hierarchy.

use super::{Unfit, mounts};
use rustix::fs::{AtFlags, CWD, unlinkat};
use rustix::io::{pread, pwrite};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A cgroup made for one command, below the cgroup that `tlease` runs in.
///
/// Below, so that freezing or killing that cgroup takes the command along.
#[derive(Debug)]
pub(in super::super) struct Leaf {
    path: PathBuf,
    /// The path again, as the kernel takes it: removing must not allocate.
    c_path: CString,
    kill: File,
    events: File,
}

impl Leaf {
    /// Makes a leaf.
    pub(super) fn create() -> Result<Self, Unfit> {
        let parent = mounts::own_directory(mounts::Hierarchy::Unified).ok_or(Unfit::NoHierarchy)?;
        let path = mounts::fresh_leaf(&parent);
        fs::create_dir(&path).map_err(|error| Unfit::NoLeaf(path.clone(), error))?;
        Self::open(&path).map_err(|error| {
            // Nobody has entered it, so this succeeds or the directory was not ours to begin with.
            let _ = fs::remove_dir(&path);
            let lacks_a_file = error.kind() == io::ErrorKind::NotFound;
            if lacks_a_file { Unfit::NoKill } else { Unfit::NoLeaf(path, error) }
        })
    }

    /// Opens a leaf that exists.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            kill: File::options().write(true).open(path.join("cgroup.kill"))?,
            events: File::open(path.join("cgroup.events"))?,
            c_path: CString::new(path.as_os_str().as_bytes())?,
            path: path.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn enter(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), "0")
    }

    /// One write: the kernel kills what is inside, and what is being forked inside.
    pub(super) fn kill(&self) {
        let _ = pwrite(&self.kill, b"1", 0);
    }

    pub(super) fn is_vacant(&self) -> bool {
        let mut events = [0; 256];
        pread(&self.events, &mut events[..], 0).is_ok_and(|length| {
            events[..length].split(|byte| *byte == b'\n').any(|line| line == VACANT)
        })
    }

    /// Removes the leaf. Cgroups that the command made inside are left, and so is the leaf then.
    pub(super) fn remove(&self) {
        let _ = unlinkat(CWD, &self.c_path, AtFlags::REMOVEDIR);
    }
}

/// No task that has not finished exiting, here or in any cgroup below. Zombies do not count.
const VACANT: &[u8] = b"populated 0";
