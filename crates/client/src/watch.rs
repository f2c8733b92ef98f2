//! `Watch`: what happens to names, without losing track across reconnects.

use std::sync::Arc;

use tlease_core::message::{Event, EventMark};
use tokio::sync::mpsc;

use crate::driver::command::{self, Command, Seen};
use crate::error::AskError;
use crate::read::prefix;
use crate::session::SessionCore;

/// What happens to names, in the granter's order.
///
/// Resumes by itself after a break of the connection, a restart of the granter, or when it was not
/// read fast enough. Events that are lost for good show as a [`Watched::Gap`].
#[derive(Debug)]
#[must_use = "a watch sees nothing until it is read"]
pub struct Watch {
    session: Arc<SessionCore>,
    prefix: Box<[u8]>,
    after: Option<EventMark>,
    stream: Option<mpsc::Receiver<Seen>>,
}

/// One thing that a watch saw.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Watched {
    /// The watch began, after this event: what `list` says from now on is at least as new.
    Began(EventMark),
    /// Something happened to a name.
    Event(Event),
    /// Events between the last one and this mark are gone: read the present state again.
    Gap(EventMark),
}

impl Watch {
    pub(crate) fn new(session: Arc<SessionCore>, prefix: &[u8]) -> Self {
        Self { session, prefix: prefix.into(), after: None, stream: None }
    }

    /// Goes on where another watch ended: after the event at this mark.
    pub const fn after(mut self, mark: EventMark) -> Self {
        self.after = Some(mark);
        self
    }

    /// Waits for the next thing.
    ///
    /// Safe to drop and call again: nothing is lost.
    ///
    /// # Errors
    /// [`AskError`] if the granter refuses, or the session is over. While the granter cannot be reached
    /// it waits.
    pub async fn next(&mut self) -> Result<Watched, AskError> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(begin(&self.session, &self.prefix, self.after)?),
            };
            match stream.recv().await {
                Some(Seen::Began { from, gap }) => {
                    let is_first = self.after.is_none();
                    self.after = Some(from);
                    if gap {
                        return Ok(Watched::Gap(from));
                    }
                    if is_first {
                        return Ok(Watched::Began(from));
                    }
                }
                Some(Seen::Event(event)) => {
                    self.after = Some(event.mark);
                    return Ok(Watched::Event(*event));
                }
                Some(Seen::Refused(refusal)) => {
                    self.stream = None;
                    return Err(AskError::Refused(refusal));
                }
                None => self.stream = None,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.stream.take().is_some() && self.session.is_ours() {
            self.session.send(Command::Unwatch);
        }
    }
}

fn begin(
    session: &SessionCore,
    bytes: &[u8],
    after: Option<EventMark>,
) -> Result<mpsc::Receiver<Seen>, AskError> {
    if !session.is_ours() {
        return Err(AskError::Forked);
    }
    let (seen, stream) = mpsc::channel(EVENTS_MAX);
    let watch = command::Watch { prefix: prefix(bytes)?, after, seen };
    if !session.send(Command::Watch(watch)) {
        return Err(AskError::SessionOver);
    }
    Ok(stream)
}

/// Events that wait to be read; beyond it the watch is resumed from the last one that was.
const EVENTS_MAX: usize = 1024;
