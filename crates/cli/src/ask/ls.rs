//! `tlease ls`: which names are held or waited for.

use super::{Context, entry};
use crate::exit::{Exit, Failure};
use crate::granter::{Link, out_of_place, refused};
use crate::show::{self, Form};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use tlease_core::message::{Answer, Ask, Entry, Prefix};

/// Lists the names that are held or waited for.
#[derive(Debug, Clone, Args)]
pub(crate) struct LsArgs {
    /// Only names that begin with this
    prefix: Option<OsString>,

    #[command(flatten)]
    form: Form,
}

impl LsArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut reached = context.which.reach(context.notes)?;
        let prefix = self.prefix.as_ref().map(|prefix| Prefix(prefix.as_bytes().into()));
        let mut entries = all(&mut reached.link, &prefix.unwrap_or_default())?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        match self.form.json {
            true => {
                entries.iter().try_for_each(|found| self.form.print("", &entry::as_json(found)))?
            }
            false if entries.is_empty() => context.notes.detail("nothing is held"),
            false => show::print(&entry::as_table(&entries))?,
        }
        Ok(Exit::Done)
    }
}

/// Every page of the list. What is taken or freed meanwhile may be missing or there twice.
fn all(link: &mut Link, prefix: &Prefix) -> Result<Vec<Entry>, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        match link.ask(Ask::List { prefix: prefix.clone(), after, limit: PAGE })? {
            Answer::Page { entries, next } => {
                all.extend(entries);
                match next {
                    Some(mark) => after = Some(mark),
                    None => return Ok(all),
                }
            }
            Answer::Refused(refusal) => return Err(refused(refusal)),
            Answer::Entry(_)
            | Answer::Watching { .. }
            | Answer::Unwatched
            | Answer::Status(_)
            | Answer::Recalling { .. } => return Err(out_of_place("something else than a list")),
        }
    }
}

/// Names a page: some dozen kilobytes.
const PAGE: u32 = 256;
