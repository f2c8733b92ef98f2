//! Where a user's local granter lives.

use crate::exit::{Exit, Failure};
use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tlease_wire::Address;

/// The directory of a local granter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    directory: PathBuf,
}

impl Place {
    /// The place of the user who runs this program.
    pub(crate) fn of_this_user() -> Result<Self, Failure> {
        let absolute =
            |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local/state")))
            .or_else(|| Some(home_by_account()?.join(".local/state")))
            .ok_or_else(|| {
                Failure::new(
                    Exit::Unreachable,
                    "this user has no home directory for a local granter; set HOME or \
                     XDG_STATE_HOME, or name a granter with --server",
                )
            })?;
        Ok(Self { directory: state.join("tlease") })
    }

    /// The place at this directory.
    pub(crate) const fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Makes the directory if it is not there, and makes sure that it is this user's alone.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        let path = self.directory.display();
        let failed = |what: &str, why: io::Error| {
            Failure::new(Exit::Unreachable, format!("cannot {what} '{path}': {why}"))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(|why| failed("make the local granter's directory", why))?;
        let metadata = fs::metadata(&self.directory).map_err(|why| failed("look at", why))?;
        let (owner, us) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner != us {
            let sentence = format!(
                "'{path}' belongs to user {owner}, and this is user {us}: a local granter serves one \
                 user; set HOME or XDG_STATE_HOME to a directory of your own, or name a granter \
                 with --server"
            );
            return Err(Failure::new(Exit::Unreachable, sentence));
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let sentence =
                format!("others can reach into '{path}' (mode {mode:03o}); chmod 700 it");
            return Err(Failure::new(Exit::Unreachable, sentence));
        }
        let socket = self.socket();
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            let sentence = format!(
                "'{}' is too long for a socket (at most {SOCKET_PATH_MAX} bytes); set XDG_STATE_HOME \
                 to a shorter path",
                socket.display()
            );
            return Err(Failure::new(Exit::Unreachable, sentence));
        }
        Ok(())
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.socket())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// The granter's record.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("granter")
    }

    /// What the granter locks as long as it lives.
    pub(crate) fn granter_lock(&self) -> PathBuf {
        self.data().join("lock")
    }

    /// What a command locks while it starts the granter.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.directory.join("start.lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

fn home_by_account() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    Some(user.dir).filter(|home| home.is_absolute())
}

/// What `sockaddr_un` holds, less the zero at its end and the granter's process id while it binds.
const SOCKET_PATH_MAX: usize = 107 - 8;
