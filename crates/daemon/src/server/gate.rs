//! `Gate`: where connections come in, and when they do not.

use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tlease_wire::Address;

use super::connections::Connections;
use super::error::StartError;
use super::listener::{Accepted, Listener};
use super::poll::{Due, Interest, Poll, Token};
use crate::config::Listen;

/// The listening sockets.
#[derive(Debug)]
pub(super) struct Gate {
    listeners: Vec<Listener>,
    /// Closed until then, because the system has no descriptors left.
    closed_until: Option<Instant>,
}

impl Gate {
    /// Binds the sockets. Connections queue in the kernel until `let_in`.
    pub(super) fn open(listen: &[Listen]) -> Result<Self, StartError> {
        let listeners = listen.iter().map(Listener::open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { listeners, closed_until: None })
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.listeners.iter().map(|listener| listener.address.clone()).collect()
    }

    /// Begins to accept connections.
    pub(super) fn let_in(&self, poll: &Poll) -> io::Result<()> {
        self.listeners
            .iter()
            .enumerate()
            .try_for_each(|(index, listener)| poll.add(listener, token(index), Interest::READ))
    }

    /// Accepts from the listener that is due; whether it was one.
    pub(super) fn knock(
        &mut self,
        poll: &Poll,
        due: Due,
        now: Instant,
        connections: &mut Connections,
    ) -> bool {
        let Some(index) = index(due.token) else { return false };
        let Some(listener) = self.listeners.get(index) else { return false };
        for _ in 0..ACCEPTED_PER_TURN {
            match listener.accept() {
                Ok(Some(Accepted::Welcome(stream, origin))) => {
                    connections.accept(poll, stream, origin, listener.rights);
                }
                Ok(Some(Accepted::Stranger(origin))) => {
                    connections.turn_away(origin, "a process of another user");
                }
                Ok(None) => break,
                Err(error) if is_shortage(&error) => {
                    tracing::error!(%error, "no connections are accepted for a moment");
                    self.closed_until = Some(now + PAUSE);
                    self.watch(poll, Interest { read: false, write: false });
                    break;
                }
                // That connection ended before it was accepted.
                Err(error) => tracing::debug!(%error, "a connection was not accepted"),
            }
        }
        true
    }

    /// Accepts again after a shortage.
    pub(super) fn reopen(&mut self, poll: &Poll, now: Instant) {
        if self.closed_until.take_if(|until| *until <= now).is_some() {
            self.watch(poll, Interest::READ);
        }
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.closed_until
    }

    fn watch(&self, poll: &Poll, interest: Interest) {
        for (index, listener) in self.listeners.iter().enumerate() {
            if let Err(error) = poll.change(listener, token(index), interest) {
                tracing::error!(%error, "cannot wait for a listener");
            }
        }
    }
}

/// Tokens of listeners count down from below the waker's; those of connections count up from 1.
fn token(index: usize) -> Token {
    FIRST - u64::try_from(index).expect("listeners are few")
}

fn index(token: Token) -> Option<usize> {
    usize::try_from(FIRST.checked_sub(token)?).ok()
}

fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

const FIRST: Token = super::poll::WAKER - 1;

/// Of each listener; then those who are connected have their turn.
const ACCEPTED_PER_TURN: usize = 64;

/// How long none are accepted after a shortage: the cause is others' descriptors, which go in their
/// own time.
const PAUSE: Duration = Duration::from_millis(100);
