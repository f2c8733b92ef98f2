//! The program: its hidden roles, and the commands.

use crate::args::{Command, Tlease};
use crate::ask::Context;
use crate::exit::{Exit, Failure};
use crate::granter::Which;
use crate::{demo, local, run, serve, token};
use clap::Parser as _;
use nix::sys::signal::SigSet;
use rustix::fs::Mode;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::process::{self, ExitCode};
use tracing_subscriber::filter::LevelFilter;

/// Does what the command line asks for. A hidden role comes first: see [`hidden_role`].
#[must_use]
pub fn main() -> ExitCode {
    let Tlease { server, loudness, command } = match Tlease::try_parse() {
        Ok(asked) => asked,
        Err(refused) => {
            // There is nobody left to tell if standard error is gone.
            let _ = refused.print();
            return if refused.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let is_granter = matches!(command, Command::Serve(_));
    loudness.begin(if is_granter { LevelFilter::INFO } else { LevelFilter::WARN });
    let context =
        || Ok(Context { which: Which::named(server.as_deref())?, notes: loudness.notes() });
    let done = match command {
        Command::Serve(args) => serve::serve(&args),
        Command::Run(args) => context().map(|context| {
            context.notes.detail(&format!("the lease is from {}", context.which));
            run::run(&args, server.as_deref()).into()
        }),
        Command::Acquire(args) => context().and_then(|context| args.run(&context)),
        Command::Renew(args) => context().and_then(|context| args.run(&context)),
        Command::Release(args) => context().and_then(|context| args.run(&context)),
        Command::Recall(args) => context().and_then(|context| args.run(&context)),
        Command::Status(args) => context().and_then(|context| args.run(&context)),
        Command::Ls(args) => context().and_then(|context| args.run(&context)),
        Command::Get(args) => context().and_then(|context| args.run(&context)),
        Command::Watch(args) => context().and_then(|context| args.run(&context)),
        Command::Doctor(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Sim(args) => args.run(),
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(),
    };
    done.unwrap_or_else(|Failure { exit, sentence }| {
        eprintln!("tlease: {sentence}");
        exit
    })
    .into()
}

/// Plays the hidden role that this process was started for; `None` if it was started for none.
///
/// Those of `tlease run` are elsewhere: [`run::hidden_role`].
#[must_use]
pub fn hidden_role() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    let exit = match role.to_str()? {
        local::ROLE => local::serve(&arguments),
        token::HOLD_ROLE => token::hold(),
        demo::HOLDER => demo::holder(&arguments),
        demo::SUCCESSOR => demo::successor(&arguments),
        _ => return None,
    };
    Some(exit.into())
}

/// This program in a hidden role: the very file that runs now, even if it was replaced meanwhile.
pub(crate) fn in_role(role: &str) -> process::Command {
    let mut command = process::Command::new("/proc/self/exe");
    command.arg0("tlease").arg(role);
    command
}

/// Leaves the session, the directory, the descriptors and the signal mask of whoever started us. The
/// first thing that a detached role does.
///
/// An inherited pipe that stays open would make `$(tlease acquire ..)` wait for the end of the role.
pub(crate) fn detach() {
    // Fails only for the leader of a process group, which a child of a command is not.
    let _ = nix::unistd::setsid();
    let _ = std::env::set_current_dir("/");
    rustix::process::umask(Mode::from_raw_mode(0o077));
    // Fails only for an unknown way to combine masks.
    let _ = SigSet::empty().thread_set_mask();
    let inherited: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in inherited {
        // Nothing in this process owns one of them yet; the one that listed them is closed already.
        let _ = nix::unistd::close(fd);
    }
}

/// Points standard output away from the starter, who waits for its end.
pub(crate) fn close_stdout() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}
