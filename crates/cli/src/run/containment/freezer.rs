//! A leaf of the cgroup v1 freezer hierarchy.

use super::{Unfit, mounts, pids};
use nix::sys::signal::{Signal, kill as send};
use rustix::event::{Timespec, poll};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, unlinkat};
use rustix::io::{Errno, pread, pwrite};
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A freezer cgroup made for one command.
#[derive(Debug)]
pub(in super::super) struct Freezer {
    path: PathBuf,
    /// The path again, as the kernel takes it: removing must not allocate.
    c_path: CString,
    directory: File,
    state: File,
}

impl Freezer {
    /// Makes a leaf.
    pub(super) fn create() -> Result<Self, Unfit> {
        let parent = mounts::own_directory(mounts::Hierarchy::Freezer).ok_or(Unfit::NoHierarchy)?;
        let path = mounts::fresh_leaf(&parent);
        fs::create_dir(&path).map_err(|error| Unfit::NoLeaf(path.clone(), error))?;
        Self::open(&path).map_err(|error| {
            // Nobody has entered it, so this succeeds or the directory was not ours to begin with.
            let _ = fs::remove_dir(&path);
            Unfit::NoLeaf(path, error)
        })
    }

    /// Opens a leaf that exists.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: File::open(path)?,
            state: File::options().read(true).write(true).open(path.join("freezer.state"))?,
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

    /// Freezes, kills, thaws: what is frozen cannot fork, and dies without running again.
    pub(super) fn kill(&self) {
        let _ = pwrite(&self.state, b"FROZEN", 0);
        self.wait_until_frozen();
        // A task's number kills its process. While it is frozen its number cannot pass to another.
        let _ = for_each_task(self.directory.as_fd(), DEPTH_MAX, &mut |task| {
            let _ = send(task, Signal::SIGKILL);
        });
        let _ = pwrite(&self.state, b"THAWED", 0);
    }

    pub(super) fn is_vacant(&self) -> bool {
        let mut found = false;
        let complete = for_each_task(self.directory.as_fd(), DEPTH_MAX, &mut |_| found = true);
        complete.is_ok() && !found
    }

    /// Removes the leaf. Cgroups that the command made inside are left, and so is the leaf then.
    pub(super) fn remove(&self) {
        let _ = unlinkat(CWD, &self.c_path, AtFlags::REMOVEDIR);
    }

    /// The kernel announces nothing, so this asks, and gives up on a task that sits in the kernel:
    /// killing it unfrozen is better than not killing the others.
    fn wait_until_frozen(&self) {
        for _ in 0..FREEZE_LOOKS_MAX {
            let mut state = [0; 16];
            match pread(&self.state, &mut state[..], 0) {
                Ok(length) if state[..length].starts_with(b"FROZEN") => return,
                Ok(_) => {}
                Err(_) => return,
            }
            let _ = poll(&mut [], Some(&BETWEEN_LOOKS));
        }
    }
}

/// Calls `each` with every task in `directory` and in the cgroups below it.
fn for_each_task(
    directory: BorrowedFd<'_>,
    depth: usize,
    each: &mut dyn FnMut(nix::unistd::Pid),
) -> Result<(), Errno> {
    pids::for_each(open_at(directory, c"tasks", OFlags::empty())?, &mut *each)?;
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(open_at(directory, c".", OFlags::DIRECTORY)?, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
            continue;
        }
        // Deeper than anybody nests: not looked at, hence not known to be empty.
        let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
        match open_at(directory, name, OFlags::DIRECTORY) {
            Ok(below) => for_each_task(below.as_fd(), depth, each)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn open_at(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())
}

/// Cgroups within cgroups: the watchdog's stack has room for many more.
const DEPTH_MAX: usize = 16;
/// 50 ms in all: half of the smallest margin.
const FREEZE_LOOKS_MAX: usize = 100;
const BETWEEN_LOOKS: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };
