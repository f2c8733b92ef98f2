//! `tlease recall`: wants a name back from whoever holds it.

use super::Context;
use crate::exit::{Exit, Failure};
use crate::granter::{out_of_place, refused};
use crate::show::{Form, object};
use crate::span;
use clap::Args;
use std::ffi::OsString;
use tlease_core::message::{Answer, Ask, Force};
use tlease_core::time::Span;

/// Asks whoever holds a name to give it back.
///
/// Holders are told, may go on for the grace, and can renew no further than that. The name is free when
/// they have given it back, or when their leases are over: a recall never takes a lease away.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecallArgs {
    /// The name of the lease
    name: OsString,

    /// How long holders may go on, at most to the end of their leases
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span::parse)]
    grace: Span,

    /// Tell them to stop at once; only on the operator's socket (serve --operator-socket)
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    form: Form,
}

impl RecallArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let name = super::name(&self.name)?;
        let force = if self.force { Force::Now } else { Force::Grace };
        let mut reached = context.which.reach(context.notes)?;
        let recall = Ask::Recall { name: name.clone(), grace: self.grace, force };
        match reached.link.ask(recall)? {
            Answer::Recalling { holders: 0 } => {
                let sentence = format!("nobody holds '{name}' at {}", reached.address);
                Err(Failure::new(Exit::Unknown, sentence))
            }
            Answer::Recalling { holders } => {
                let s = if holders == 1 { "" } else { "s" };
                let sentence = format!("tlease: told {holders} holder{s} of {name}");
                let fields =
                    [("name", crate::show::text(name.as_bytes())), ("holders", holders.into())];
                self.form.print(&sentence, &object(fields))?;
                Ok(Exit::Done)
            }
            Answer::Refused(refusal) => Err(refused(refusal)),
            Answer::Entry(_)
            | Answer::Page { .. }
            | Answer::Watching { .. }
            | Answer::Unwatched
            | Answer::Status(_) => Err(out_of_place("something else than a recall")),
        }
    }
}
