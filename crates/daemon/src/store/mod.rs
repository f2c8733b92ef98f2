//! `Store`: the directory in which a granter keeps what it must not forget.
//!
//! The [`Record`] is a few hundred bytes of text in the file `state`. A new one is written to
//! `state.new`, made durable, renamed over the old one, and the renaming made durable. Two slots in
//! one file would save a system call or two; but this way the old record is never touched, a write
//! that failed leaves nothing in the page cache that a later reader could take for durable, and every
//! crash leaves one whole file. Writes are rare: one for a million fences, or for a longer term.
//!
//! The file `lock` is locked as long as the store is open, so that one directory never has two
//! granters. A rolled-back or copied directory is outside the guarantee: nothing here can notice it
//! (assumption A4). What the system says is durable is taken to be (assumption A3).

mod directory;
mod error;
mod format;

pub use error::{Corruption, Doing, StoreError};

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tlease_core::granter::{Past, Record, TokenKey};

use directory::Directory;
use format::State;

/// Whether a start may begin a granter that has no past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// It must not: an empty directory is a lost disk, and a new granter would repeat fences.
    Never,
    /// It must: the operator says that this directory is new.
    New,
    /// It may: for a granter that is started on demand and nobody set up.
    IfNew,
}

/// Where a granter's holders can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    /// On this machine, so that none outlives its boot: only Unix sockets are listened on
    /// (assumption A8).
    OnThisMachine,
    /// Perhaps elsewhere. Also with TCP on the loopback address, which can be forwarded.
    Anywhere,
}

/// One boot of this machine: the kernel's random boot id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootId(String);

impl BootId {
    /// The present boot, if the kernel tells.
    #[must_use]
    pub fn present() -> Option<Self> {
        Self::new(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim())
    }

    /// The boot with this id: hexadecimal digits and hyphens.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let fits = (1..=64).contains(&id.len());
        let clean = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        (fits && clean).then(|| Self(id.into()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A granter's directory, locked. See the [module](self).
#[derive(Debug)]
pub struct Store {
    directory: Directory,
    boot: Option<BootId>,
    /// Where the holders of this life can be.
    holders: Holders,
    /// Where those of the last one could.
    holders_before: Holders,
    #[cfg(test)]
    fail_before: Option<Step>,
}

/// The parts of a replacement, in their order: after each, a crash leaves a readable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Write,
    Sync,
    Rename,
    SyncDirectory,
}

impl Store {
    /// Opens and locks the directory at `path`, and reads what an earlier life left there.
    ///
    /// A directory that does not exist is made with mode 0700, unless `init` forbids it. `boot` is
    /// the present boot; without it, no holder is assumed to be gone.
    ///
    /// # Errors
    /// See [`StoreError`]. Nothing was changed then, but for a directory and a lock file made.
    pub fn open(
        path: &Path,
        init: Init,
        holders: Holders,
        boot: Option<BootId>,
    ) -> Result<(Self, Past), StoreError> {
        let directory = Directory::open(path, init)?;
        let left = read(&directory.file(STATE))?;
        directory.check_init(init, left.is_some())?;
        let holders_before = left.as_ref().map_or(holders, |state| state.holders);
        let past = match left {
            Some(state) => past(&state, boot.as_ref()),
            None => Past::FirstStart { token_key: TokenKey(random()?) },
        };
        let store = Self {
            directory,
            boot,
            holders,
            holders_before,
            #[cfg(test)]
            fail_before: None,
        };
        Ok((store, past))
    }

    /// Makes `record` durable in place of the last one.
    ///
    /// # Errors
    /// What failed. The directory then holds the last record or this one; a later call may try again.
    pub fn replace(&mut self, record: &Record) -> Result<(), StoreError> {
        let state = State {
            record: *record,
            boot: self.boot.clone(),
            holders: self.holders_to_write(record),
        };
        let new = self.directory.file(STATE_NEW);
        self.write_new(&new, state.to_text().as_bytes())
            .map_err(|source| StoreError::io(Doing::Write, &new, source))?;
        self.put_in_place(&new)
            .map_err(|source| StoreError::io(Doing::Replace, &self.directory.file(STATE), source))
    }

    fn write_new(&self, new: &Path, text: &[u8]) -> io::Result<()> {
        self.about_to(Step::Create)?;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
        self.about_to(Step::Write)?;
        file.write_all(text)?;
        self.about_to(Step::Sync)?;
        file.sync_all()
    }

    fn put_in_place(&self, new: &Path) -> io::Result<()> {
        self.about_to(Step::Rename)?;
        fs::rename(new, self.directory.file(STATE))?;
        self.about_to(Step::SyncDirectory)?;
        self.directory.sync()
    }

    /// Until earlier lives are settled, their holders may be where they could be then.
    fn holders_to_write(&self, record: &Record) -> Holders {
        match self.holders_before {
            Holders::Anywhere if record.settled != Some(record.incarnation) => Holders::Anywhere,
            Holders::Anywhere | Holders::OnThisMachine => self.holders,
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests make it fail")]
    const fn about_to(&self, _step: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn about_to(&self, step: Step) -> io::Result<()> {
        match self.fail_before {
            Some(fail) if fail == step => Err(io::ErrorKind::StorageFull.into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// What the next life is to know of the earlier ones.
fn past(state: &State, present: Option<&BootId>) -> Past {
    let rebooted = match (&state.boot, present) {
        (Some(then), Some(now)) => then != now,
        (None, _) | (_, None) => false,
    };
    match state.holders {
        Holders::OnThisMachine if rebooted => Past::AssumeHoldersGone(state.record),
        Holders::OnThisMachine | Holders::Anywhere => Past::Record(state.record),
    }
}

/// The state in the file at `path`, if there is one.
fn read(path: &Path) -> Result<Option<State>, StoreError> {
    // A state has a few hundred bytes; whatever has more is none.
    let mut text = Vec::new();
    let read = File::open(path)
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, 4096), &mut text));
    match read {
        Ok(_) => State::from_text(&text).map(Some).map_err(|problem| match problem {
            format::Unreadable::OtherFormat { found } => {
                StoreError::OtherFormat { path: path.into(), found }
            }
            format::Unreadable::Corrupt(corruption) => {
                StoreError::Corrupt { path: path.into(), corruption }
            }
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::io(Doing::Read, path, source)),
    }
}

/// Random bits from the kernel.
pub(crate) fn random() -> Result<[u8; 16], StoreError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| StoreError::Random { reason: error.to_string() })?;
    Ok(bits)
}

/// The record.
const STATE: &str = "state";
/// The next record, until it is renamed. After a crash, what it holds means nothing.
const STATE_NEW: &str = "state.new";

#[cfg(test)]
mod tests;
