//! A mailbox: from threads that wait to a thread that polls descriptors.

use crate::granter::link::wait;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

/// Where a thread puts news for a thread that polls.
pub(crate) struct Outbox<T> {
    news: mpsc::Sender<T>,
    bell: UnixStream,
}

/// Where they come out.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    news: mpsc::Receiver<T>,
    bell: UnixStream,
}

/// A new mailbox.
pub(crate) fn mailbox<T>() -> io::Result<(Outbox<T>, Inbox<T>)> {
    let (there, here) = UnixStream::pair()?;
    there.set_nonblocking(true)?;
    let (sender, receiver) = mpsc::channel();
    Ok((Outbox { news: sender, bell: there }, Inbox { news: receiver, bell: here }))
}

impl<T> Outbox<T> {
    /// The same outbox, for another thread.
    pub(crate) fn another(&self) -> io::Result<Self> {
        Ok(Self { news: self.news.clone(), bell: self.bell.try_clone()? })
    }

    pub(crate) fn send(&self, news: T) {
        // One that nobody waits for, or whose bell rings already, need not be rung.
        let _ = self.news.send(news);
        let _ = (&self.bell).write(&[0]);
    }
}

impl<T> Inbox<T> {
    /// The next news; `None` if one of `interrupts` is readable before there is any.
    pub(crate) fn next(&mut self, interrupts: &[BorrowedFd<'_>]) -> io::Result<Option<T>> {
        loop {
            if let Ok(news) = self.news.try_recv() {
                return Ok(Some(news));
            }
            let mut awaited = vec![self.bell.as_fd()];
            awaited.extend(interrupts);
            let ready = wait(&awaited, None)?;
            if ready[0] && self.bell.read(&mut [0; 64])? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if ready[1..].contains(&true) {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_come_in_order_and_before_interrupts() {
        let (outbox, mut inbox) = mailbox().unwrap();
        let (interrupt, interrupted) = UnixStream::pair().unwrap();
        outbox.send(1);
        outbox.another().unwrap().send(2);
        drop(interrupt);
        let interrupts = [interrupted.as_fd()];
        assert_eq!(inbox.next(&interrupts).unwrap(), Some(1));
        assert_eq!(inbox.next(&interrupts).unwrap(), Some(2));
        assert_eq!(inbox.next(&interrupts).unwrap(), None);
    }

    #[test]
    fn a_mailbox_that_nobody_writes_to_any_more_says_so() {
        let (outbox, mut inbox) = mailbox::<u8>().unwrap();
        outbox.send(1);
        drop(outbox);
        assert_eq!(inbox.next(&[]).unwrap(), Some(1));
        assert!(inbox.next(&[]).is_err());
    }
}
