//! `Control`: how other threads reach a running server.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use tlease_core::identity::Rights;

use super::poll::Waker;

/// Reaches a running server from other threads; can be cloned.
#[derive(Debug, Clone)]
pub struct Control {
    commands: mpsc::Sender<Command>,
    waker: Waker,
}

impl Control {
    /// A control, and where its commands come out.
    pub(super) fn new(waker: Waker) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel();
        (Self { commands, waker }, receiver)
    }

    /// Asks the server to stop in good order: [`Server::run`](crate::Server::run) then returns.
    pub fn stop(&self) {
        self.give(Command::Stop);
    }

    /// A connection to the server from this process, which needs no place to listen.
    ///
    /// # Errors
    /// If the system has no descriptors left. A server that has stopped gives a connection that is
    /// closed.
    pub fn connect(&self, rights: Rights) -> io::Result<UnixStream> {
        let (here, there) = UnixStream::pair()?;
        there.set_nonblocking(true)?;
        self.give(Command::Adopt(there, rights));
        Ok(here)
    }

    fn give(&self, command: Command) {
        // A server that has stopped needs no commands.
        let _ = self.commands.send(command);
        self.waker.wake();
    }
}

/// What a server is asked to do by other threads.
#[derive(Debug)]
pub(super) enum Command {
    Stop,
    Adopt(UnixStream, Rights),
}
