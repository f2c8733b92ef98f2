//! Reading what a granter knows, and wanting names back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tlease_core::message::{Answer, Ask, Entry, Force, PageMark, Prefix, Status};
use tlease_core::name::{NAME_MAX, Name};
use tlease_core::time::Span;

use crate::client::Client;
use crate::error::AskError;
use crate::session::SessionCore;
use crate::watch::Watch;

impl Client {
    /// Who holds a name, or waits for it; `None` if nobody does.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn get(&self, name: impl AsRef<[u8]>) -> Result<Option<Entry>, AskError> {
        let ask = Ask::Get { name: Name::new(name.as_ref())? };
        let Answer::Entry(entry) = self.core().ask(ask).await? else {
            return Err(AskError::Confused);
        };
        Ok(entry)
    }

    /// The names that begin with these bytes and are held or waited for, in no particular order. None
    /// select all.
    ///
    /// Names that change hands while it runs may be missing or appear twice.
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> List {
        List {
            session: Arc::clone(self.core()),
            prefix: prefix.as_ref().into(),
            page: VecDeque::new(),
            next: Next::First,
        }
    }

    /// What happens to names that begin with these bytes, from now on. None select all.
    ///
    /// Goes on across reconnects and restarts of the granter; what was missed is reported as a gap.
    pub fn watch(&self, prefix: impl AsRef<[u8]>) -> Watch {
        Watch::new(Arc::clone(self.core()), prefix.as_ref())
    }

    /// How the granter is.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn status(&self) -> Result<Status, AskError> {
        let Answer::Status(status) = self.core().ask(Ask::Status).await? else {
            return Err(AskError::Confused);
        };
        Ok(status)
    }

    /// Wants a name back from whoever holds it. Returns how many holders were told.
    ///
    /// They may go on for `grace`, at most to the end of their terms. With [`Force::Now`] they stop as
    /// soon as they hear of it; only the operator's socket and embedded granters take that.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn recall(
        &self,
        name: impl AsRef<[u8]>,
        grace: Duration,
        force: Force,
    ) -> Result<u32, AskError> {
        let grace = Span::try_from(grace).map_err(|_| AskError::TooLong)?;
        let ask = Ask::Recall { name: Name::new(name.as_ref())?, grace, force };
        let Answer::Recalling { holders } = self.core().ask(ask).await? else {
            return Err(AskError::Confused);
        };
        Ok(holders)
    }
}

/// The names of a granter, page by page.
#[derive(Debug)]
#[must_use = "a list asks nothing until it is read"]
pub struct List {
    session: Arc<SessionCore>,
    prefix: Box<[u8]>,
    page: VecDeque<Entry>,
    next: Next,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    First,
    After(PageMark),
    End,
}

impl List {
    /// The next name; `None` after the last.
    ///
    /// # Errors
    /// [`AskError`]; may be called again.
    pub async fn next(&mut self) -> Result<Option<Entry>, AskError> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Ok(Some(entry));
            }
            let after = match self.next {
                Next::First => None,
                Next::After(mark) => Some(mark),
                Next::End => return Ok(None),
            };
            let prefix = prefix(&self.prefix)?;
            let ask = Ask::List { prefix, after, limit: PAGE };
            let Answer::Page { entries, next } = self.session.ask(ask).await? else {
                return Err(AskError::Confused);
            };
            self.page = entries.into();
            self.next = next.map_or(Next::End, Next::After);
        }
    }

    /// All that is left of it.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn all(mut self) -> Result<Vec<Entry>, AskError> {
        let mut entries = Vec::new();
        while let Some(entry) = self.next().await? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

pub(crate) fn prefix(bytes: &[u8]) -> Result<Prefix, AskError> {
    if bytes.len() > NAME_MAX { Err(AskError::TooLong) } else { Ok(Prefix(bytes.into())) }
}

/// Names in one page: some tens of kilobytes.
const PAGE: u32 = 256;
