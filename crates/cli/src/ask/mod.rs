//! Commands that ask a granter something and need no lease: `status`, `ls`, `get`, `watch`, `recall`.

mod entry;
mod get;
mod ls;
mod recall;
mod status;
mod watch;

pub(crate) use get::GetArgs;
pub(crate) use ls::LsArgs;
pub(crate) use recall::RecallArgs;
pub(crate) use status::StatusArgs;
pub(crate) use watch::WatchArgs;

use crate::exit::{Exit, Failure};
use crate::granter::Which;
use crate::log::Notes;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use tlease_core::name::Name;

/// Whom a command asks, and how much it says.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) which: Which,
    pub(crate) notes: Notes,
}

/// A name of a lease from the command line.
pub(crate) fn name(text: &OsStr) -> Result<Name, Failure> {
    Name::new(text.as_bytes()).map_err(|why| {
        let sentence = format!("'{}' is no name of a lease: {why}", text.display());
        Failure::new(Exit::Malformed, sentence)
    })
}
