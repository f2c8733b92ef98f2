//! Stopping a granter by signal.

use crate::exit::Failure;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::process;
use tlease_daemon::Control;

/// SIGTERM, SIGINT and SIGHUP, blocked and readable.
#[derive(Debug)]
pub(crate) struct Signals {
    pending: SignalFd,
}

impl Signals {
    /// Takes them. To be called while there is one thread: those that it starts inherit the blocking,
    /// and one that did not would be killed by the signal, and the process with it.
    pub(crate) fn take() -> Result<Self, Failure> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        mask.thread_block().map_err(broken)?;
        let pending = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).map_err(broken)?;
        Ok(Self { pending })
    }

    /// From now on the first signal stops the granter in good order, and the second ends the process.
    pub(crate) fn stop(self, control: Control) -> Result<(), Failure> {
        let watch = move || {
            let mut asked = false;
            while let Ok(Some(signal)) = self.pending.read_signal() {
                if asked {
                    tracing::warn!("asked again to stop, so it ends at once");
                    process::exit(128_i32.saturating_add(signal.ssi_signo.cast_signed()));
                }
                tracing::info!(signal = signal.ssi_signo, "asked to stop");
                asked = true;
                control.stop();
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(watch)
            .map(drop)
            .map_err(|why| Failure::broken("cannot wait for signals", &why))
    }
}

fn broken(errno: nix::Error) -> Failure {
    Failure::broken("cannot wait for signals", &errno)
}
