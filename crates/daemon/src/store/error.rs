//! Why a store cannot be used, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no state, and the start was not told to begin anew.
    #[error(
        "'{}' holds no granter's state. If it is new, start once with --init. If it had one, \
         restore that: a new granter would give the same fences again", directory.display()
    )]
    NotInitialised {
        /// The directory.
        directory: PathBuf,
    },
    /// There is a state, and the start was told to begin anew.
    #[error("'{}' holds a granter's state already; leave out --init", directory.display())]
    AlreadyInitialised {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory to begin anew in holds other things.
    #[error(
        "'{}' is not empty (it holds '{}'); give the granter a directory of its own",
        directory.display(), found.display()
    )]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
        /// One of these things.
        found: PathBuf,
    },
    /// Another granter uses the directory.
    #[error(
        "another granter{} uses '{}'", process.map(Process).unwrap_or_default(), directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// That granter's process, if it could be read.
        process: Option<u32>,
    },
    /// Others than the directory's owner may write it.
    #[error(
        "'{}' can be written by others (mode {mode:04o}), who could make the granter forget its \
         leases; chmod 700 it", directory.display()
    )]
    WritableByOthers {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The state was written by another version.
    #[error(
        "'{}' has format {found}, this version reads format 1; use the version that wrote it",
        path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The state is damaged.
    #[error(
        "'{}' is damaged ({corruption}). Restore the directory from a backup only if the granter \
         has not run since; otherwise wait until every lease must be over, move the directory \
         away, start with --init, and let resources forget the fences they have seen",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// In which way.
        corruption: Corruption,
    },
    /// The system refused.
    #[error("cannot {doing} '{}'{}", path.display(), Advice(.source))]
    Io {
        /// What was tried.
        doing: Doing,
        /// With which file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The kernel gave no random bits.
    #[error("no random bits for the granter's keys: {reason}")]
    Random {
        /// The system's reason.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn io(doing: Doing, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.into(), source }
    }
}

/// What was tried with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// To make the directory.
    Make,
    /// To open the directory.
    Open,
    /// To lock the lock file.
    Lock,
    /// To read the state.
    Read,
    /// To write the next state beside it.
    Write,
    /// To put it in its place.
    Replace,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Make => "make the directory",
            Self::Open => "open the directory",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Replace => "replace",
        })
    }
}

/// In which way a state is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corruption {
    /// Not a granter's state at all, or cut short before its format.
    NoHeader,
    /// The checksum is missing or another.
    Checksum,
    /// A line is not what the format says, though the checksum fits.
    Line {
        /// Its number, from 1.
        number: usize,
    },
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("its first line is no granter's"),
            Self::Checksum => f.write_str("its checksum does not fit"),
            Self::Line { number } => write!(f, "line {number} is not understood"),
        }
    }
}

/// ", so do this", for the reasons where it is known.
struct Advice<'a>(&'a io::Error);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the standard library's")]
        f.write_str(match self.0.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free some space: until then no new grants beyond what is durable"
            }
            io::ErrorKind::PermissionDenied => "; it must belong to the granter's user",
            io::ErrorKind::ReadOnlyFilesystem => {
                "; it must be on a file system that can be written"
            }
            _ => "",
        })
    }
}

/// " (process 7)", or nothing.
#[derive(Default)]
struct Process(u32);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            id => write!(f, " (process {id})"),
        }
    }
}
