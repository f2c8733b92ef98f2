//! `tlease get`: who holds a name.

use super::{Context, entry};
use crate::exit::{Exit, Failure};
use crate::granter::{out_of_place, refused};
use crate::show::Form;
use clap::Args;
use std::ffi::OsString;
use tlease_core::message::{Answer, Ask};

/// Shows who holds a name, and who waits for it.
///
/// LEFT is how long until the granter may give the name to another; the holder's own view ends earlier.
#[derive(Debug, Clone, Args)]
pub(crate) struct GetArgs {
    /// The name of the lease
    name: OsString,

    #[command(flatten)]
    form: Form,
}

impl GetArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let name = super::name(&self.name)?;
        let mut reached = context.which.reach(context.notes)?;
        match reached.link.ask(Ask::Get { name: name.clone() })? {
            Answer::Entry(Some(found)) => {
                let table = entry::as_table(std::slice::from_ref(&found));
                self.form.print(&table, &entry::as_json(&found))?;
                Ok(Exit::Done)
            }
            Answer::Entry(None) => {
                let sentence = format!("nobody holds or wants '{name}' at {}", reached.address);
                Err(Failure::new(Exit::Unknown, sentence))
            }
            Answer::Refused(refusal) => Err(refused(refusal)),
            Answer::Page { .. }
            | Answer::Watching { .. }
            | Answer::Unwatched
            | Answer::Status(_)
            | Answer::Recalling { .. } => Err(out_of_place("something else than a name")),
        }
    }
}
