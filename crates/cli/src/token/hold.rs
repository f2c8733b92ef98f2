//! `--hold-pid`: a helper that renews a lease while a process lives, then gives it back.
//!
//! It connects for each renewal and hangs up: the session holds the lease also without a connection, and
//! commands that prove the same session do not take turns with it.

use super::text::Token;
use super::{clock, prove, say};
use crate::exit::{Exit, Failure};
use crate::granter::Which;
use crate::granter::link::wait;
use crate::log::Notes;
use crate::program;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

/// The hidden role, where it finds its token, and its word once it watches the process.
pub(crate) const ROLE: &str = "__hold";
const TOKEN: &str = "TLEASE_HOLD_TOKEN";
const READY: &str = "ready";

/// A process that is alive. Held by a descriptor, so that its number cannot come to mean another.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

impl Process {
    pub(super) fn with_pid(number: i32) -> Result<Self, Failure> {
        let pid = Pid::from_raw(number)
            .filter(|_| number > 0)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("{number} is no process id")))?;
        let opened = pidfd_open(pid, PidfdFlags::empty());
        opened.map(Self).map_err(|errno| {
            Failure::new(Exit::Usage, format!("cannot watch process {number}: {errno}"))
        })
    }
}

/// Starts the helper, and returns once it watches `process`.
pub(super) fn leave_behind(process: &Process, token: &Token) -> Result<(), Failure> {
    let cannot = |why: io::Error| Failure::broken("cannot start the helper that renews", &why);
    let mut helper = program::in_role(ROLE)
        .env(TOKEN, token.to_string())
        .stdin(process.0.try_clone().map_err(cannot)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    let mut word = String::new();
    if let Some(said) = &mut helper.stdout {
        said.read_to_string(&mut word).map_err(cannot)?;
    }
    match word.trim() {
        READY => Ok(()),
        _ => Err(cannot(io::Error::other("it ended at its start"))),
    }
}

/// The helper: standard input is the process's descriptor.
pub(crate) fn hold() -> Exit {
    program::detach();
    let token = std::env::var(TOKEN).ok().and_then(|text| text.parse().ok());
    let Some(token) = token else { return Exit::Usage };
    // A command that is gone need not know.
    let _ = writeln!(io::stdout(), "{READY}");
    program::close_stdout();
    match hold_while_it_lives(token) {
        Ok(()) => Exit::Done,
        Err(failure) => failure.exit,
    }
}

fn hold_while_it_lives(mut token: Token) -> Result<(), Failure> {
    let clock = clock()?;
    let which = Which::of_token(&token.address);
    let process = io::stdin();
    let mut next = Duration::from(token.term) / 3;
    loop {
        let over = wait(&[process.as_fd()], Some(next))
            .map_err(|why| Failure::broken("cannot wait for the process", &why))?;
        if over.contains(&true) {
            // One that is not there any more holds nothing that could be given back.
            let there = Which::At(token.address.clone());
            return prove::release(&token, &there, Notes::None).map(drop);
        }
        let term = Duration::from(token.term);
        match prove::renew(&token, None, &which, &clock, Notes::None) {
            Ok(extended) => {
                token = extended.token;
                next = term / 3;
            }
            Err(failure) if prove::may_pass(&failure) && say::left(&token, &clock).is_some() => {
                next = term / 12;
            }
            Err(failure) => return Err(failure),
        }
    }
}
