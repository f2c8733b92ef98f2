//! What a user vouches for about this machine: flags of `serve` and `doctor`.

use clap::Args;
use std::path::PathBuf;
use tlease_clock::Profile;

/// What the operator vouches for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What you vouch for")]
pub(crate) struct Trust {
    /// Refuse to start without evidence that time is continuous (VMClock, or --assume-bare-metal)
    #[arg(long)]
    require_continuity: bool,

    /// Vouch that this machine is never snapshotted, cloned or migrated
    #[arg(long)]
    assume_bare_metal: bool,

    /// Where the hypervisor's VMClock is [default: /dev/vmclock0]
    #[arg(long, value_name = "PATH")]
    vmclock: Option<PathBuf>,
}

impl Trust {
    /// The first flag that is given.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let Self { require_continuity, assume_bare_metal, vmclock } = self;
        let given = [
            (*require_continuity, "require-continuity"),
            (*assume_bare_metal, "assume-bare-metal"),
            (vmclock.is_some(), "vmclock"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, flag)| flag)
    }

    pub(crate) fn profile(&self) -> Profile {
        let Self { require_continuity, assume_bare_metal, vmclock } = self;
        let mut profile = Profile::host();
        if *require_continuity {
            profile = profile.require_continuity();
        }
        if *assume_bare_metal {
            profile = profile.assume_bare_metal();
        }
        match vmclock {
            Some(path) => profile.vmclock_at(path),
            None => profile,
        }
    }
}
