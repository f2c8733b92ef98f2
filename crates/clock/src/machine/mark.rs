//! What the mark of a restartable sequence sees here.

use rustix::thread::Timespec;

use crate::arch::{Mark, Rseq};

/// Which events clear the mark on this kernel: a self-test, since kernels differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkSight {
    /// A system call that blocks. Kernels from 6.19 on may not clear it then.
    pub blocking_call: bool,
    /// A system call that returns at once. No kernel clears it for that.
    pub plain_call: bool,
    /// Nothing at all, over a thousand looks: if so, something else uses the thread's mark.
    pub nothing: bool,
}

impl MarkSight {
    /// `None` without restartable sequences registered by libc.
    pub(super) fn test() -> Option<Self> {
        let rseq = Rseq::find()?;
        Some(Self {
            blocking_call: always_lost(rseq, || {
                let moment = Timespec { tv_sec: 0, tv_nsec: 100_000 };
                // Interrupted early, it has blocked all the same.
                let _ = rustix::thread::nanosleep(&moment);
            }),
            plain_call: always_lost(rseq, || {
                core::hint::black_box(rustix::process::getppid());
            }),
            nothing: always_lost(rseq, || {
                for look in 0..1_000 {
                    core::hint::black_box(look);
                }
            }),
        })
    }
}

/// Whether the mark is lost each time: once may be a chance preemption.
fn always_lost(rseq: Rseq, event: impl Fn()) -> bool {
    (0..TRIES).all(|_| {
        let mark = Mark::arm(rseq);
        event();
        !mark.is_armed()
    })
}

const TRIES: u32 = 20;
