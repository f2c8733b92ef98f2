//! `tlease acquire`: takes a lease and prints a token for it.

use super::hold;
use super::take::{Wish, take};
use super::text::Token;
use super::{clock, given, prove, say};
use crate::ask::{self, Context};
use crate::exit::{Exit, Failure};
use crate::show::{self, Form};
use crate::span;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use tlease_core::fence::Mode;
use tlease_core::message::Wait;
use tlease_core::name::Value;
use tlease_core::time::Span;

/// Takes a lease, and prints a token for it.
///
/// Nobody renews it: it is over after its term, unless 'tlease renew TOKEN' extends it in time or
/// --hold-pid names a process for whose life it is renewed. 'tlease release TOKEN' gives it back. Whoever
/// has the token can do both. To run a command that must not outlive its lease, use 'tlease run'.
#[derive(Debug, Clone, Args)]
pub(crate) struct AcquireArgs {
    /// The name of the lease
    name: OsString,

    /// How long it lasts
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span::parse_term)]
    term: Span,

    /// Give up after waiting so long for the lease [default: wait for ever]
    #[arg(long, value_name = "SPAN", value_parser = span::parse, conflicts_with = "try_once")]
    wait: Option<Span>,

    /// Give up at once if another holds the lease
    #[arg(long = "try")]
    try_once: bool,

    /// Let others that also say --shared hold the lease at the same time
    #[arg(long)]
    shared: bool,

    /// What readers of the name are shown: a host, an endpoint
    #[arg(long, value_name = "TEXT")]
    value: Option<OsString>,

    /// Leave a helper behind that renews the lease while this process lives, then gives it back
    #[arg(long, value_name = "PID")]
    hold_pid: Option<i32>,

    /// Write the token to this file, readable by this user only, instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    #[command(flatten)]
    form: Form,
}

impl AcquireArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let wish = self.wish()?;
        // Before the lease is taken: a process that is gone needs none.
        let process = self.hold_pid.map(hold::Process::with_pid).transpose()?;
        let clock = clock()?;
        let token = take(&wish, &context.which, &clock, context.notes)?;
        if let Err(failure) = self.hand_over(&token, process) {
            // A lease that nobody can use is not what was asked for. If this fails, it runs out.
            let _ = prove::release(&token, &context.which, context.notes);
            return Err(failure);
        }
        context.notes.news(&say::sentence("granted", &token, &clock));
        match (self.form.json, &self.token_file) {
            (true, _) => self.form.print("", &say::as_json("granted", &token, &clock))?,
            (false, Some(_)) => {}
            (false, None) => show::print(&token.to_string())?,
        }
        Ok(Exit::Done)
    }

    /// Gives the token to whoever is to use it, but for standard output.
    fn hand_over(&self, token: &Token, process: Option<hold::Process>) -> Result<(), Failure> {
        if let Some(process) = process {
            hold::leave_behind(&process, token)?;
        }
        match &self.token_file {
            Some(path) => given::write(token, path),
            None => Ok(()),
        }
    }

    fn wish(&self) -> Result<Wish, Failure> {
        let value = self.value.as_ref().map(|text| Value::new(text.as_bytes())).transpose();
        Ok(Wish {
            name: ask::name(&self.name)?,
            mode: if self.shared { Mode::Shared } else { Mode::Exclusive },
            term: self.term,
            wait: match (self.try_once, self.wait) {
                (true, _) => Wait::Try,
                (false, Some(span)) => Wait::AtMost(span),
                (false, None) => Wait::Unbounded,
            },
            value: value.map_err(|why| Failure::new(Exit::Malformed, why.to_string()))?,
        })
    }
}
