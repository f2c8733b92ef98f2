//! Answers to questions.

use tlease_core::identity::SessionId;
use tlease_core::message::{Answer, Entry, EntryLease, EntryState, PageMark, Status, StoreHealth};
use tlease_core::time::Span;

use super::fields::{
    Required, fence, incarnation, known, mode, mode_number, name, nanos, sixteen, span, value,
    value_bytes,
};
use crate::bad::{BadField, Problem};
use crate::generated as pb;
use pb::answer::Answer as PbAnswer;

impl TryFrom<PbAnswer> for Answer {
    type Error = BadField;

    fn try_from(answer: PbAnswer) -> Result<Self, BadField> {
        Ok(match answer {
            PbAnswer::Got(got) => Self::Entry(got.entry.map(Entry::try_from).transpose()?),
            PbAnswer::Page(page) => {
                Self::Page { entries: collect(page.entries)?, next: page.next.map(PageMark) }
            }
            PbAnswer::Watching(watching) => Self::Watching {
                from: watching.from.required("Watching.from")?.try_into()?,
                gap: gap(watching.gap, "Watching.gap")?,
            },
            PbAnswer::Unwatched(pb::Nothing {}) => Self::Unwatched,
            PbAnswer::Status(status) => Self::Status(status.try_into()?),
            PbAnswer::Recalling(recalling) => Self::Recalling { holders: recalling.holders },
            PbAnswer::Refused(refusal) => Self::Refused(refusal.try_into()?),
        })
    }
}

impl From<&Answer> for PbAnswer {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Entry(entry) => Self::Got(pb::Got { entry: entry.as_ref().map(Into::into) }),
            Answer::Page { entries, next } => Self::Page(pb::Page {
                entries: entries.iter().map(Into::into).collect(),
                next: next.map(|PageMark(mark)| mark),
            }),
            Answer::Watching { from, gap } => {
                let gap = match gap {
                    false => pb::Gap::None,
                    true => pb::Gap::EventsLost,
                };
                Self::Watching(pb::Watching { from: Some((*from).into()), gap: gap.into() })
            }
            Answer::Unwatched => Self::Unwatched(pb::Nothing {}),
            Answer::Status(status) => Self::Status(status.into()),
            Answer::Recalling { holders } => Self::Recalling(pb::Recalling { holders: *holders }),
            Answer::Refused(refusal) => Self::Refused((*refusal).into()),
        }
    }
}

fn gap(value: i32, field: &'static str) -> Result<bool, BadField> {
    match known(value, field)? {
        pb::Gap::Unspecified => Err(Problem::Unspecified.at(field)),
        pb::Gap::None => Ok(false),
        pb::Gap::EventsLost => Ok(true),
    }
}

fn collect<T, U: TryFrom<T, Error = BadField>>(parts: Vec<T>) -> Result<Vec<U>, BadField> {
    parts.into_iter().map(U::try_from).collect()
}

impl TryFrom<pb::Entry> for Entry {
    type Error = BadField;

    fn try_from(entry: pb::Entry) -> Result<Self, BadField> {
        Ok(Self {
            name: name(&entry.name, "Entry.name")?,
            leases: collect(entry.leases)?,
            waiters: entry.waiters,
        })
    }
}

impl From<&Entry> for pb::Entry {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.as_bytes().into(),
            leases: entry.leases.iter().map(Into::into).collect(),
            waiters: entry.waiters,
        }
    }
}

impl TryFrom<pb::EntryLease> for EntryLease {
    type Error = BadField;

    fn try_from(lease: pb::EntryLease) -> Result<Self, BadField> {
        Ok(Self {
            session: SessionId(sixteen(&lease.session, "EntryLease.session")?),
            fence: fence(lease.fence, "EntryLease.fence")?,
            mode: mode(lease.mode, "EntryLease.mode")?,
            term: Span::from_nanos(lease.term_ns),
            remaining: Span::from_nanos(lease.remaining_ns),
            state: state(lease.state, "EntryLease.state")?,
            value: value(lease.value.as_deref(), "EntryLease.value")?,
        })
    }
}

impl From<&EntryLease> for pb::EntryLease {
    fn from(lease: &EntryLease) -> Self {
        let state = match lease.state {
            EntryState::Offered => pb::EntryState::Offered,
            EntryState::Held => pb::EntryState::Held,
            EntryState::Recalled => pb::EntryState::Recalled,
        };
        Self {
            session: lease.session.0.into(),
            fence: lease.fence.get(),
            mode: mode_number(lease.mode),
            term_ns: lease.term.as_nanos(),
            remaining_ns: lease.remaining.as_nanos(),
            state: state.into(),
            value: value_bytes(lease.value.as_ref()),
        }
    }
}

fn state(value: i32, field: &'static str) -> Result<EntryState, BadField> {
    match known(value, field)? {
        pb::EntryState::Unspecified => Err(Problem::Unspecified.at(field)),
        pb::EntryState::Offered => Ok(EntryState::Offered),
        pb::EntryState::Held => Ok(EntryState::Held),
        pb::EntryState::Recalled => Ok(EntryState::Recalled),
    }
}

impl TryFrom<pb::Status> for Status {
    type Error = BadField;

    fn try_from(status: pb::Status) -> Result<Self, BadField> {
        let field = "Status.store";
        Ok(Self {
            incarnation: incarnation(status.incarnation, "Status.incarnation")?,
            wait_left: span(status.wait_left_ns),
            sessions: status.sessions,
            leases: status.leases,
            waiters: status.waiters,
            peers: status.peers,
            store: match known(status.store, field)? {
                pb::StoreHealth::Unspecified => return Err(Problem::Unspecified.at(field)),
                pb::StoreHealth::Working => StoreHealth::Working,
                pb::StoreHealth::Failing => StoreHealth::Failing,
            },
            longest_promise: Span::from_nanos(status.longest_promise_ns),
            clock_breaks: status.clock_breaks,
            disagreements: status.disagreements,
        })
    }
}

impl From<&Status> for pb::Status {
    fn from(status: &Status) -> Self {
        let store = match status.store {
            StoreHealth::Working => pb::StoreHealth::Working,
            StoreHealth::Failing => pb::StoreHealth::Failing,
        };
        Self {
            incarnation: status.incarnation.get(),
            wait_left_ns: nanos(status.wait_left),
            sessions: status.sessions,
            leases: status.leases,
            waiters: status.waiters,
            peers: status.peers,
            store: store.into(),
            longest_promise_ns: status.longest_promise.as_nanos(),
            clock_breaks: status.clock_breaks,
            disagreements: status.disagreements,
        }
    }
}
