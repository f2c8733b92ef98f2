//! The supervisor: acquires the lease, renews it while the tree lives, and gives it back once the
//! tree is gone.
//!
//! A process of its own, beside the tree. Not the front process, because job control stops that one:
//! a job in the background would lose its lease. Not above the tree, because it must outlive the
//! tree to release, and be the last thing anybody has to trust: stopped or dead, it is the watchdog
//! that keeps the deadline.

use super::channel::{Channel, Patience, Received};
use super::exit::Exit;
use super::lease::{Change, Held, Leases, Wanted};
use super::message::{Order, Report, Word};
use super::process;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// The hidden role: the arguments of a [`Wanted`].
pub(super) fn supervise<L: Leases>(arguments: &[OsString]) -> ExitCode {
    process::leave_signals_to_the_front();
    // The terminal's signals are not for it. It fails only for a leader of a process group.
    let _ = nix::unistd::setsid();
    let set_up = || -> io::Result<(Wanted, Channel, Channel)> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let wanted = Wanted::from_arguments(arguments).ok_or_else(invalid)?;
        let front = Channel::from_stdin()?;
        match front.receive(Patience::Wait)? {
            Received::Message(Word::Take, Some(fd)) => Ok((wanted, front, Channel::from_fd(fd))),
            Received::Message(..) | Received::Nothing | Received::Closed => Err(invalid()),
        }
    };
    let Ok((wanted, front, watchdog)) = set_up() else { return Exit::Broken.into() };
    let note = &mut |text: &str| {
        let _ = front.send_with_text(&Word::Note, text);
    };
    match L::acquire(&wanted, front.as_fd(), note) {
        Ok(lease) => Supervisor { front: Some(front), watchdog: Some(watchdog) }.hold(lease),
        Err(denied) => {
            let word = Word::Denied { code: denied.exit().code() };
            let _ = front.send_with_text(&word, denied.sentence());
            denied.exit().into()
        }
    }
}

#[derive(Debug)]
struct Supervisor {
    /// `None` once it is gone.
    front: Option<Channel>,
    /// `None` once it is gone.
    watchdog: Option<Channel>,
}

/// What the others have said of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tree {
    Alive,
    /// Nothing of it is left; a watchdog or front process has made sure.
    Gone,
    /// Nobody is left who would know.
    Unknown,
}

impl Supervisor {
    fn hold<H: Held>(mut self, mut lease: H) -> ExitCode {
        self.order(&Order::Deadline(lease.deadline()));
        self.order(&Order::Start { fence: lease.fence() });
        self.tell(&Word::Granted { fence: lease.fence() }, "");
        loop {
            let interrupts: Vec<_> =
                [&self.front, &self.watchdog].into_iter().flatten().map(AsFd::as_fd).collect();
            match lease.next(&interrupts) {
                Change::Renewed(deadline) => self.order(&Order::Deadline(deadline)),
                Change::Recalled(within) => self.order(&Order::Recalled { within }),
                Change::Lost(why) => {
                    self.order(&Order::Lost);
                    self.tell(&Word::Kept, &format!("the lease is lost: {why}"));
                    return ExitCode::SUCCESS;
                }
                Change::Interrupted => {}
            }
            match self.tree() {
                Tree::Alive => {}
                Tree::Gone => return self.release(lease),
                Tree::Unknown => {
                    lease.let_run_out();
                    return ExitCode::SUCCESS;
                }
            }
        }
    }

    fn release<H: Held>(&self, lease: H) -> ExitCode {
        match lease.release() {
            Ok(()) => self.tell(&Word::Released, ""),
            Err(why) => self.tell(&Word::Kept, &format!("it is not known to be released: {why}")),
        }
        ExitCode::SUCCESS
    }

    /// Reads what the others have said since the last time.
    fn tree(&mut self) -> Tree {
        while let Some(watchdog) = &self.watchdog {
            match watchdog.receive(Patience::Look) {
                Ok(Received::Message(Report::Empty(_), _)) => return Tree::Gone,
                Ok(Received::Message(..)) => {}
                Ok(Received::Nothing) => break,
                Ok(Received::Closed) | Err(_) => self.watchdog = None,
            }
        }
        while let Some(front) = &self.front {
            match front.receive(Patience::Look) {
                Ok(Received::Message(Word::Empty, _)) => return Tree::Gone,
                Ok(Received::Message(..)) => {}
                Ok(Received::Nothing) => break,
                Ok(Received::Closed) | Err(_) => self.front = None,
            }
        }
        if self.front.is_none() && self.watchdog.is_none() { Tree::Unknown } else { Tree::Alive }
    }

    /// A watchdog that is gone is noticed where its reports are read.
    fn order(&self, order: &Order) {
        if let Some(watchdog) = &self.watchdog {
            let _ = watchdog.send(order);
        }
    }

    fn tell(&self, word: &Word, text: &str) {
        if let Some(front) = &self.front {
            let _ = front.send_with_text(word, text);
        }
    }
}
