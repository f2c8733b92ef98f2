//! The commands and what all of them take.

use crate::ask::{GetArgs, LsArgs, RecallArgs, StatusArgs, WatchArgs};
use crate::demo::DemoArgs;
use crate::doctor::DoctorArgs;
use crate::exit;
use crate::log::Loudness;
use crate::pages::{CompletionsArgs, ManArgs};
use crate::run::RunArgs;
use crate::serve::ServeArgs;
use crate::sim::SimArgs;
use crate::token::{AcquireArgs, ReleaseArgs, RenewArgs};
use clap::{Parser, Subcommand};
use std::ffi::OsString;

/// Leases that stay exclusive when the clock is attacked and the holder is paused
#[derive(Debug, Parser)]
#[command(version, name = "tlease", long_about = ABOUT, after_long_help = exit::TABLE)]
pub struct Tlease {
    /// The granter: tcp://HOST:PORT or unix:PATH [default: the local granter of this user]
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "TLEASE_SERVER",
        hide_env_values = true
    )]
    pub(crate) server: Option<OsString>,

    #[command(flatten)]
    pub(crate) loudness: Loudness,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const ABOUT: &str = "\
Leases that stay exclusive when the clock is attacked and the holder is paused.

A lease gives one holder the right to act for a while. It is over for its holder as soon as it might
be over, and over for its granter only when it must be over, whatever was paused in between.

    tlease run jobs/nightly -- ./backup.sh     # nobody else runs it meanwhile

Without --server, all commands of a user share a local granter, which is started on demand and ends
when it is idle. Names are then per user: two users, or two containers, do not exclude each other.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Acquire(AcquireArgs),
    Renew(RenewArgs),
    Release(ReleaseArgs),
    Recall(RecallArgs),
    Ls(LsArgs),
    Get(GetArgs),
    Watch(WatchArgs),
    Status(StatusArgs),
    Serve(ServeArgs),
    Doctor(DoctorArgs),
    Demo(DemoArgs),
    Sim(SimArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Tlease::command().debug_assert();
    }
}
