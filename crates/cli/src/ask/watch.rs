//! `tlease watch`: what happens to names, as it happens.

use super::Context;
use crate::exit::{Exit, Failure};
use crate::granter::link::{monotonic_now, wait};
use crate::granter::{Link, LinkError, Reached, out_of_place, refused};
use crate::log::Notes;
use crate::show::{Form, object, printable, text};
use clap::Args;
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;
use tlease_core::identity::Incarnation;
use tlease_core::message::{Answer, Ask, Event, EventMark, EventReason, FromGranter, Prefix};

/// Shows what happens to names, as it happens, until interrupted.
///
/// Each event has a mark; '--after MARK' goes on where an earlier watch ended, and says if events in
/// between are gone. If the connection breaks, the watch connects again and resumes by itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// Only names that begin with this
    prefix: Option<OsString>,

    /// Go on after this event: LIFE.NUMBER, as printed
    #[arg(long, value_name = "MARK", value_parser = mark)]
    after: Option<EventMark>,

    /// End after so many events
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,

    #[command(flatten)]
    form: Form,
}

impl WatchArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let prefix = self.prefix.as_ref().map(|prefix| Prefix(prefix.as_bytes().into()));
        let mut watch =
            Watch { args: self, prefix: prefix.unwrap_or_default(), last: self.after, seen: 0 };
        let mut reached = context.which.reach(context.notes)?;
        loop {
            match watch.follow(&mut reached.link) {
                Ok(()) => return Ok(Exit::Done),
                Err(Ended::Link(why)) if why.is_absence() => {
                    context.notes.news(&format!("{why}; connecting again"));
                    reached = reach_again(context)?;
                }
                Err(Ended::Link(why)) => return Err(why.into()),
                Err(Ended::Failure(failure)) => return Err(failure),
            }
        }
    }
}

/// Connects to a granter that is restarting, as long as that may take.
fn reach_again(context: &Context) -> Result<Reached, Failure> {
    let until = monotonic_now() + RESTART_WITHIN;
    loop {
        match context.which.reach(Notes::None) {
            Ok(reached) => return Ok(reached),
            Err(failure) if failure.exit != Exit::Unreachable || monotonic_now() >= until => {
                return Err(failure);
            }
            Err(_) => {
                let waited = wait(&[], Some(BETWEEN_ATTEMPTS));
                waited.map_err(|why| Failure::broken("cannot wait for the granter", &why))?;
            }
        }
    }
}

struct Watch<'a> {
    args: &'a WatchArgs,
    prefix: Prefix,
    last: Option<EventMark>,
    seen: u64,
}

enum Ended {
    Link(LinkError),
    Failure(Failure),
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Watch<'_> {
    /// Prints events until there were as many as wanted.
    fn follow(&mut self, link: &mut Link) -> Result<(), Ended> {
        match link.ask(Ask::Watch { prefix: self.prefix.clone(), after: self.last })? {
            Answer::Watching { from, gap } => self.say_start(from, gap)?,
            Answer::Refused(refusal) => return Err(refused(refusal).into()),
            Answer::Entry(_)
            | Answer::Page { .. }
            | Answer::Unwatched
            | Answer::Status(_)
            | Answer::Recalling { .. } => {
                return Err(out_of_place("something else than a watch").into());
            }
        }
        while self.args.count.is_none_or(|count| self.seen < count) {
            match link.next_heard()? {
                Some(FromGranter::Happened { event, .. }) => {
                    self.seen += 1;
                    self.last = Some(event.mark);
                    self.say(&event)?;
                }
                Some(_) => {}
                None => {
                    wait(&[link.as_fd()], None).map_err(LinkError::Io)?;
                    link.read()?;
                }
            }
        }
        Ok(())
    }

    fn say_start(&self, from: EventMark, gap: bool) -> Result<(), Failure> {
        let fields = object([
            ("event", "watching".into()),
            ("from", show_mark(from).into()),
            ("gap", gap.into()),
        ]);
        let sentence = match gap {
            true => {
                "tlease: events before these are gone: look at the names themselves ('tlease ls')"
            }
            false if self.args.form.json => "",
            false => return Ok(()),
        };
        self.args.form.print(sentence, &fields)
    }

    fn say(&self, event: &Event) -> Result<(), Failure> {
        let mark = show_mark(event.mark);
        let reason = name_of(event.reason);
        let line = format!(
            "{mark}  {reason}  {}  fence {}",
            printable(event.name.as_bytes()),
            event.fence
        );
        let fields = object([
            ("event", reason.into()),
            ("mark", mark.into()),
            ("name", text(event.name.as_bytes())),
            ("fence", event.fence.get().into()),
        ]);
        self.args.form.print(&line, &fields)
    }
}

const fn name_of(reason: EventReason) -> &'static str {
    match reason {
        EventReason::Granted => "granted",
        EventReason::Offered => "offered",
        EventReason::Lapsed => "lapsed",
        EventReason::RenewedLate => "renewed-late",
        EventReason::Reclaimed => "reclaimed",
        EventReason::Downgraded => "downgraded",
        EventReason::Released => "released",
        EventReason::Expired => "expired",
        EventReason::Recalled => "recalled",
        EventReason::Forced => "forced",
    }
}

fn show_mark(mark: EventMark) -> String {
    format!("{}.{}", mark.incarnation, mark.sequence)
}

fn mark(text: &str) -> Result<EventMark, String> {
    let parse = || {
        let (incarnation, sequence) = text.split_once('.')?;
        let incarnation = Incarnation::new(incarnation.parse().ok()?)?;
        Some(EventMark { incarnation, sequence: sequence.parse().ok()? })
    };
    parse().ok_or_else(|| "write LIFE.NUMBER, as 'tlease watch' prints it".into())
}

/// A granter that is longer away than this is not restarting.
const RESTART_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_as_it_is_written() {
        let mark_7_12 = mark("7.12").unwrap();
        assert_eq!(show_mark(mark_7_12), "7.12");
        for wrong in ["", "7", "0.1", "7.", ".1", "a.b"] {
            assert!(mark(wrong).is_err(), "{wrong}");
        }
    }
}
