//! Signals of the front process, as a descriptor.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The signals that the front process takes care of, blocked and readable.
#[derive(Debug)]
pub(super) struct Signals {
    pending: SignalFd,
}

/// One signal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) number: i32,
    /// Whether the command got it too: the terminal signals its whole foreground process group, of
    /// which the command is a member.
    pub(super) from_terminal: bool,
}

impl Signals {
    pub(super) fn take() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in TAKEN {
            mask.add(signal);
        }
        mask.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self { pending: SignalFd::with_flags(&mask, flags)? })
    }

    pub(super) fn next(&self) -> Option<Arrived> {
        let signal = self.pending.read_signal().ok()??;
        Some(Arrived {
            number: signal.ssi_signo.cast_signed(),
            from_terminal: signal.ssi_code == SENT_BY_KERNEL,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pending.as_fd()
    }
}

impl Arrived {
    /// Whether somebody wants this run to end.
    pub(super) fn is_farewell(self) -> bool {
        [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM]
            .iter()
            .any(|signal| *signal as i32 == self.number)
    }
}

/// Those that ask a command for something. SIGTTIN and SIGTTOU keep stopping the front process, as
/// they stop the command; SIGWINCH reaches the command from the terminal itself.
const TAKEN: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
];
/// `SI_KERNEL`: the line discipline of a terminal, not a process, sent it.
const SENT_BY_KERNEL: i32 = 0x80;
