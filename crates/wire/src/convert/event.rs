//! What happened to names.

use tlease_core::message::{Event, EventMark, EventReason};

use super::fields::{Required, fence, incarnation, known, name};
use crate::bad::{BadField, Problem};
use crate::generated as pb;

impl TryFrom<pb::EventMark> for EventMark {
    type Error = BadField;

    fn try_from(mark: pb::EventMark) -> Result<Self, BadField> {
        let incarnation = incarnation(mark.incarnation, "EventMark.incarnation")?;
        Ok(Self { incarnation, sequence: mark.sequence })
    }
}

impl From<EventMark> for pb::EventMark {
    fn from(mark: EventMark) -> Self {
        Self { incarnation: mark.incarnation.get(), sequence: mark.sequence }
    }
}

impl TryFrom<pb::Event> for Event {
    type Error = BadField;

    fn try_from(event: pb::Event) -> Result<Self, BadField> {
        Ok(Self {
            mark: event.mark.required("Event.mark")?.try_into()?,
            name: name(&event.name, "Event.name")?,
            fence: fence(event.fence, "Event.fence")?,
            reason: reason(event.reason, "Event.reason")?,
        })
    }
}

impl From<&Event> for pb::Event {
    fn from(event: &Event) -> Self {
        Self {
            mark: Some(event.mark.into()),
            name: event.name.as_bytes().into(),
            fence: event.fence.get(),
            reason: reason_number(event.reason),
        }
    }
}

fn reason(value: i32, field: &'static str) -> Result<EventReason, BadField> {
    Ok(match known(value, field)? {
        pb::EventReason::Unspecified => return Err(Problem::Unspecified.at(field)),
        pb::EventReason::Granted => EventReason::Granted,
        pb::EventReason::Offered => EventReason::Offered,
        pb::EventReason::Lapsed => EventReason::Lapsed,
        pb::EventReason::RenewedLate => EventReason::RenewedLate,
        pb::EventReason::Reclaimed => EventReason::Reclaimed,
        pb::EventReason::Downgraded => EventReason::Downgraded,
        pb::EventReason::Released => EventReason::Released,
        pb::EventReason::Expired => EventReason::Expired,
        pb::EventReason::Recalled => EventReason::Recalled,
        pb::EventReason::Forced => EventReason::Forced,
    })
}

fn reason_number(reason: EventReason) -> i32 {
    match reason {
        EventReason::Granted => pb::EventReason::Granted,
        EventReason::Offered => pb::EventReason::Offered,
        EventReason::Lapsed => pb::EventReason::Lapsed,
        EventReason::RenewedLate => pb::EventReason::RenewedLate,
        EventReason::Reclaimed => pb::EventReason::Reclaimed,
        EventReason::Downgraded => pb::EventReason::Downgraded,
        EventReason::Released => pb::EventReason::Released,
        EventReason::Expired => pb::EventReason::Expired,
        EventReason::Recalled => pb::EventReason::Recalled,
        EventReason::Forced => pb::EventReason::Forced,
    }
    .into()
}
