//! The directory of a store: made, checked and locked.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{Doing, StoreError};
use super::{Init, STATE, STATE_NEW};

/// An existing directory that nobody else writes and no other granter uses.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
    /// Locked as long as it is open.
    _lock: File,
}

impl Directory {
    /// Opens the directory, and makes it first if `init` allows.
    pub(super) fn open(path: &Path, init: Init) -> Result<Self, StoreError> {
        match (path.try_exists(), init) {
            (Ok(true), _) => {}
            (Ok(false), Init::Never) => {
                return Err(StoreError::NotInitialised { directory: path.into() });
            }
            (Ok(false), Init::New | Init::IfNew) => {
                make(path).map_err(|source| StoreError::io(Doing::Make, path, source))?;
            }
            (Err(source), _) => return Err(StoreError::io(Doing::Open, path, source)),
        }
        let io = |source| StoreError::io(Doing::Open, path, source);
        let handle = File::open(path).map_err(io)?;
        let metadata = handle.metadata().map_err(io)?;
        if !metadata.is_dir() {
            return Err(io(io::ErrorKind::NotADirectory.into()));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(StoreError::WritableByOthers { directory: path.into(), mode });
        }
        let lock = lock(path)?;
        Ok(Self { path: path.into(), handle, _lock: lock })
    }

    /// Whether what is there goes with what the operator said.
    pub(super) fn check_init(&self, init: Init, has_state: bool) -> Result<(), StoreError> {
        let directory = || self.path.clone();
        match (init, has_state) {
            (Init::Never, false) => Err(StoreError::NotInitialised { directory: directory() }),
            (Init::New, true) => Err(StoreError::AlreadyInitialised { directory: directory() }),
            (Init::New | Init::IfNew, false) => match self.stranger()? {
                Some(found) => Err(StoreError::NotEmpty { directory: directory(), found }),
                None => Ok(()),
            },
            (Init::Never | Init::IfNew, true) => Ok(()),
        }
    }

    /// A file that no granter put there. Sockets do not count: they come and go.
    fn stranger(&self) -> Result<Option<PathBuf>, StoreError> {
        let io = |source| StoreError::io(Doing::Open, &self.path, source);
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let ours = [LOCK, STATE, STATE_NEW].iter().any(|name| entry.file_name() == *name);
            let kind = entry.file_type().map_err(io)?;
            if !ours && (kind.is_file() || kind.is_dir()) {
                return Ok(Some(entry.file_name().into()));
            }
        }
        Ok(None)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes renamings in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// Makes a directory and those above it, so that none is forgotten in a crash.
fn make(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing = path.ancestors().take_while(|ancestor| !ancestor.exists()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    path.ancestors().skip(1).take(missing).try_for_each(|above| File::open(above)?.sync_all())
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let io = |source| StoreError::io(Doing::Lock, &path, source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Only to name it: without the number the refusal is as good.
            let _ = file.read_to_string(&mut text);
            let process = text.trim().parse().ok();
            return Err(StoreError::InUse { directory: directory.into(), process });
        }
        Err(errno) => return Err(io(errno.into())),
    }
    file.set_len(0).map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// Locked by the granter that uses the directory; holds its process id, for people.
const LOCK: &str = "lock";
