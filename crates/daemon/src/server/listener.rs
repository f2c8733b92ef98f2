//! `Listener`: a socket that connections come from.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tlease_core::identity::Rights;
use tlease_wire::Address;

use super::error::StartError;
use super::stream::{Origin, Stream};
use crate::config::Listen;

/// A listening socket. A Unix socket's file is removed with it.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    pub(super) rights: Rights,
    pub(super) address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A connection as it was accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Welcome(Stream, Origin),
    /// A process of another user, which a change of the socket's mode let in.
    Stranger(Origin),
}

impl Listener {
    pub(super) fn open(listen: &Listen) -> Result<Self, StartError> {
        let listen = listen.clone().served().map_err(StartError::Listen)?;
        match &listen {
            Listen::Tcp(wanted) => {
                let bind = |source| StartError::Bind { what: format!("tcp://{wanted}"), source };
                let listener = TcpListener::bind(wanted).map_err(bind)?;
                listener.set_nonblocking(true).map_err(bind)?;
                let bound = listener.local_addr().map_err(bind)?;
                let address = Address::Tcp { host: bound.ip().to_string(), port: bound.port() };
                Ok(Self { socket: Socket::Tcp(listener), rights: Rights::Holder, address })
            }
            Listen::Unix { path, rights } => {
                let bind =
                    |source| StartError::Bind { what: format!("unix:{}", path.display()), source };
                let (listener, _file) = open_unix(path).map_err(bind)?;
                let socket = Socket::Unix { listener, _file };
                Ok(Self { socket, rights: *rights, address: Address::Unix(path.clone()) })
            }
        }
    }

    /// The next connection; none, if all were accepted.
    pub(super) fn accept(&self) -> io::Result<Option<Accepted>> {
        let accepted = match &self.socket {
            Socket::Tcp(listener) => listener.accept().and_then(|(stream, from)| {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                // Finds out about a client whose end vanished without a word.
                sockopt::set_socket_keepalive(&stream, true)?;
                Ok(Accepted::Welcome(Stream::Tcp(stream), Origin::Tcp(from)))
            }),
            Socket::Unix { listener, .. } => listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(true)?;
                admit(stream)
            }),
        };
        match accepted {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

/// Lets in processes of the server's own user, and root, who could become that user.
fn admit(stream: UnixStream) -> io::Result<Accepted> {
    let peer = sockopt::socket_peercred(&stream)?;
    let origin = Origin::Unix { process: peer.pid.as_raw_nonzero().get().unsigned_abs() };
    match peer.uid == rustix::process::geteuid() || peer.uid.is_root() {
        true => Ok(Accepted::Welcome(Stream::Unix(stream), origin)),
        false => Ok(Accepted::Stranger(origin)),
    }
}

/// The file of a listening Unix socket; removed when dropped, if it is still this one.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|id| id == self.id) {
            // Left behind, it would be found dead and replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Listens at `path`, in place of a socket that is dead.
///
/// Bound to another name first, so that there is no moment at which the socket has too wide a mode or
/// is not listened on; clients that come during a restart find the old one or this one.
fn open_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    refuse_in_use(path)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let aside = path.with_file_name(name);
    if fs::symlink_metadata(&aside).is_ok_and(|found| found.file_type().is_socket()) {
        // Of a process that had this number and ended between the next few lines.
        fs::remove_file(&aside)?;
    }
    let listener = UnixListener::bind(&aside)?;
    let opened = fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))
        .and_then(|()| listener.set_nonblocking(true))
        .and_then(|()| fs::rename(&aside, path))
        .and_then(|()| identity(path));
    match opened {
        Ok(id) => Ok((listener, SocketFile { path: path.into(), id })),
        Err(error) => {
            let _ = fs::remove_file(&aside);
            Err(error)
        }
    }
}

/// Refuses a path at which somebody listens, or which is no socket.
fn refuse_in_use(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Ok(_) => match knock(path) {
            Err(Errno::CONNREFUSED) => Ok(()),
            // Its queue is full, but somebody listens.
            Ok(()) | Err(Errno::AGAIN) => {
                Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"))
            }
            Err(errno) => Err(errno.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tries to connect, but not for long: a process that listens there may be stopped.
fn knock(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &Path) -> Result<Listener, StartError> {
        Listener::open(&Listen::Unix { path: path.into(), rights: Rights::Holder })
    }

    #[test]
    fn a_socket_is_private_and_goes_with_its_listener() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("socket");
        let listener = unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(at.path()).unwrap().count(), 1, "nothing else is left");
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves it behind");
        let listener = unix(&path).unwrap();
        let refused = unix(&path).unwrap_err();
        assert!(matches!(&refused, StartError::Bind { source, .. }
            if source.to_string().contains("another process listens")));
        drop(listener);
        fs::write(&path, "mine").unwrap();
        assert!(unix(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_listener_leaves_its_successors_socket_alone() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("socket");
        let old = unix(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let new = unix(&path).unwrap();
        drop(old);
        assert!(UnixStream::connect(&path).is_ok());
        drop(new);
    }
}
