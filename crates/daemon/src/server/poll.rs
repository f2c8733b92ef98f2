//! `Poll`: waits until a socket, another thread or a time has something to do.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

/// An epoll instance with an event counter in it for other threads.
///
/// Level-triggered: what is not read in one turn is reported again in the next, so that no socket has
/// to be read until it is empty, and one busy client cannot keep the others waiting.
#[derive(Debug)]
pub(super) struct Poll {
    epoll: OwnedFd,
    waker: Waker,
}

/// Which socket: a number of the caller's choice, but not [`WAKER`].
pub(super) type Token = u64;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Interest {
    pub(super) const READ: Self = Self { read: true, write: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// What a socket has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) token: Token,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Both directions are closed, or the socket has an error.
    pub(super) broken: bool,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let waker = Waker(Arc::new(counter));
        let poll = Self { epoll, waker };
        poll.add(&*poll.waker.0, WAKER, Interest::READ)?;
        Ok(poll)
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub(super) fn add(
        &self,
        socket: impl AsFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, socket, data, interest.flags())?)
    }

    pub(super) fn change(
        &self,
        socket: impl AsFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::modify(&self.epoll, socket, data, interest.flags())?)
    }

    /// Waits at most so long, or without end, and appends what is due. Signals end it early.
    pub(super) fn wait(
        &self,
        at_most: Option<Duration>,
        due: &mut VecDeque<Due>,
    ) -> io::Result<()> {
        let at_most = at_most.map(|duration| Timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: duration.subsec_nanos().into(),
        });
        // On the stack, since events hold pointers and the poll is to be sent to its thread.
        let mut events = [const { MaybeUninit::uninit() }; EVENTS_PER_TURN];
        let events = match epoll::wait(&self.epoll, &mut events, at_most.as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        for event in events {
            let token = event.data.u64();
            if token == WAKER {
                self.waker.reset();
                continue;
            }
            let flags = event.flags;
            due.push_back(Due {
                token,
                read: flags.contains(epoll::EventFlags::IN),
                write: flags.contains(epoll::EventFlags::OUT),
                broken: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
            });
        }
        Ok(())
    }
}

/// Ends a wait from another thread.
#[derive(Debug, Clone)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn wake(&self) {
        // It fails only if it is full, and then it wakes as well.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    fn reset(&self) {
        let _ = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

/// The token of the event counter.
pub(super) const WAKER: Token = u64::MAX;

/// Sockets looked at in one turn: enough to batch well, and little enough to stay below a
/// millisecond.
const EVENTS_PER_TURN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_socket_is_due_as_long_as_it_has_something_to_read() {
        let poll = Poll::new().unwrap();
        let (here, mut there) = UnixStream::pair().unwrap();
        poll.add(&here, 7, Interest::READ).unwrap();
        let mut due = VecDeque::new();
        poll.wait(Some(Duration::ZERO), &mut due).unwrap();
        assert_eq!(due, []);
        there.write_all(b"x").unwrap();
        for _ in 0..2 {
            due.clear();
            poll.wait(None, &mut due).unwrap();
            assert_eq!(due, [Due { token: 7, read: true, write: false, broken: false }]);
        }
        poll.change(&here, 7, Interest { read: false, write: false }).unwrap();
        due.clear();
        poll.wait(Some(Duration::ZERO), &mut due).unwrap();
        assert_eq!(due, []);
    }

    #[test]
    fn another_thread_ends_a_wait_without_end() {
        let poll = Poll::new().unwrap();
        let waker = poll.waker();
        let thread = std::thread::spawn(move || waker.wake());
        let mut due = VecDeque::new();
        poll.wait(None, &mut due).unwrap();
        assert_eq!(due, []);
        thread.join().unwrap();
    }
}
