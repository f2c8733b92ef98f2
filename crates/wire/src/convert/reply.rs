//! What a granter says of its own accord, and what became of requests.

use tlease_core::identity::{AskId, RequestId};
use tlease_core::message::{FromGranter, Grant, Recall, Renewed, RenewedSome, Reply, Tag};
use tlease_core::time::Span;

use super::fields::{Required, fence, force, force_number, known, name, nanos, span, tag};
use crate::bad::{BadField, Problem};
use crate::generated as pb;
use pb::message::Message as PbMessage;
use pb::reply::Reply as PbReply;

impl TryFrom<pb::Message> for FromGranter {
    type Error = BadField;

    fn try_from(message: pb::Message) -> Result<Self, BadField> {
        Ok(match message.message.required("Message.message")? {
            PbMessage::Opened(opened) => Self::Opened(opened.try_into()?),
            PbMessage::NotOpened(refusal) => Self::NotOpened(refusal.try_into()?),
            PbMessage::Reply(reply) => Self::Reply {
                id: RequestId(reply.id),
                reply: reply.reply.required("Reply.reply")?.try_into()?,
                moved: span(reply.moved_ns),
            },
            PbMessage::Answer(answer) => Self::Answer {
                id: AskId(answer.id),
                answer: Box::new(answer.answer.required("Answer.answer")?.try_into()?),
            },
            PbMessage::Recalled(recalled) => Self::Recalled {
                name: name(&recalled.name, "Recalled.name")?,
                fence: fence(recalled.fence, "Recalled.fence")?,
                recall: recalled.recall.required("Recalled.recall")?.try_into()?,
            },
            PbMessage::Happened(happened) => Self::Happened {
                watch: AskId(happened.watch),
                event: Box::new(happened.event.required("Happened.event")?.try_into()?),
            },
        })
    }
}

impl From<&FromGranter> for pb::Message {
    fn from(message: &FromGranter) -> Self {
        let message = match message {
            FromGranter::Opened(opened) => PbMessage::Opened(opened.into()),
            FromGranter::NotOpened(refusal) => PbMessage::NotOpened((*refusal).into()),
            FromGranter::Reply { id, reply, moved } => PbMessage::Reply(pb::Reply {
                id: id.0,
                reply: Some(reply.into()),
                moved_ns: nanos(*moved),
            }),
            FromGranter::Answer { id, answer } => {
                PbMessage::Answer(pb::Answer { id: id.0, answer: Some((&**answer).into()) })
            }
            FromGranter::Recalled { name, fence, recall } => PbMessage::Recalled(pb::Recalled {
                name: name.as_bytes().into(),
                fence: fence.get(),
                recall: Some(recall.into()),
            }),
            FromGranter::Happened { watch, event } => {
                PbMessage::Happened(pb::Happened { watch: watch.0, event: Some((&**event).into()) })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<PbReply> for Reply {
    type Error = BadField;

    fn try_from(reply: PbReply) -> Result<Self, BadField> {
        Ok(match reply {
            PbReply::Granted(grant) => Self::Granted(grant.try_into()?),
            PbReply::Queued(queued) => {
                Self::Queued { ahead: queued.ahead, wait_left: span(queued.wait_left_ns) }
            }
            PbReply::Offered(offered) => Self::Offered {
                grant: offered.grant.required("Offered.grant")?.try_into()?,
                life: Span::from_nanos(offered.life_ns),
            },
            PbReply::Renewed(renewed) => Self::Renewed(renewed.try_into()?),
            PbReply::RenewedAll(pb::Nothing {}) => Self::RenewedAll,
            PbReply::RenewedSome(some) => Self::RenewedSome(some.try_into()?),
            PbReply::Released(released) => Self::Released { was_held: was_held(released)? },
            PbReply::Withdrawn(pb::Nothing {}) => Self::Withdrawn,
            PbReply::Downgraded(tagged) => {
                Self::Downgraded { tag: tag(&tagged.tag, "Tagged.tag")? }
            }
            PbReply::Reclaimed(tagged) => Self::Reclaimed { tag: tag(&tagged.tag, "Tagged.tag")? },
            PbReply::Noted(pb::Nothing {}) => Self::Noted,
            PbReply::Refused(refusal) => Self::Refused(refusal.try_into()?),
        })
    }
}

impl From<&Reply> for PbReply {
    fn from(reply: &Reply) -> Self {
        let tagged = |tag: &Tag| pb::Tagged { tag: tag.0.into() };
        match reply {
            Reply::Granted(grant) => Self::Granted(grant.into()),
            Reply::Queued { ahead, wait_left } => {
                Self::Queued(pb::Queued { ahead: *ahead, wait_left_ns: nanos(*wait_left) })
            }
            Reply::Offered { grant, life } => {
                Self::Offered(pb::Offered { grant: Some(grant.into()), life_ns: life.as_nanos() })
            }
            Reply::Renewed(renewed) => Self::Renewed(renewed.into()),
            Reply::RenewedAll => Self::RenewedAll(pb::Nothing {}),
            Reply::RenewedSome(some) => Self::RenewedSome(some.into()),
            Reply::Released { was_held } => {
                let lease = match was_held {
                    true => pb::ReleasedLease::WasHeld,
                    false => pb::ReleasedLease::WasNotHeld,
                };
                Self::Released(pb::Released { lease: lease.into() })
            }
            Reply::Withdrawn => Self::Withdrawn(pb::Nothing {}),
            Reply::Downgraded { tag } => Self::Downgraded(tagged(tag)),
            Reply::Reclaimed { tag } => Self::Reclaimed(tagged(tag)),
            Reply::Noted => Self::Noted(pb::Nothing {}),
            Reply::Refused(refusal) => Self::Refused((*refusal).into()),
        }
    }
}

fn was_held(released: pb::Released) -> Result<bool, BadField> {
    let field = "Released.lease";
    match known(released.lease, field)? {
        pb::ReleasedLease::Unspecified => Err(Problem::Unspecified.at(field)),
        pb::ReleasedLease::WasHeld => Ok(true),
        pb::ReleasedLease::WasNotHeld => Ok(false),
    }
}

impl TryFrom<pb::Grant> for Grant {
    type Error = BadField;

    fn try_from(grant: pb::Grant) -> Result<Self, BadField> {
        Ok(Self {
            fence: fence(grant.fence, "Grant.fence")?,
            term: Span::from_nanos(grant.term_ns),
            tag: tag(&grant.tag, "Grant.tag")?,
        })
    }
}

impl From<&Grant> for pb::Grant {
    fn from(grant: &Grant) -> Self {
        Self { fence: grant.fence.get(), term_ns: grant.term.as_nanos(), tag: grant.tag.0.into() }
    }
}

impl TryFrom<pb::Renewed> for Renewed {
    type Error = BadField;

    fn try_from(renewed: pb::Renewed) -> Result<Self, BadField> {
        Ok(Self {
            term: Span::from_nanos(renewed.term_ns),
            tag: renewed.tag.map(|bytes| tag(&bytes, "Renewed.tag")).transpose()?,
            recall: renewed.recall.map(Recall::try_from).transpose()?,
        })
    }
}

impl From<&Renewed> for pb::Renewed {
    fn from(renewed: &Renewed) -> Self {
        Self {
            term_ns: renewed.term.as_nanos(),
            tag: renewed.tag.map(|tag| tag.0.into()),
            recall: renewed.recall.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<pb::RenewedSome> for RenewedSome {
    type Error = BadField;

    fn try_from(some: pb::RenewedSome) -> Result<Self, BadField> {
        let field = "RenewedSome.continuation";
        let more = match known(some.continuation, field)? {
            pb::Continuation::Unspecified => return Err(Problem::Unspecified.at(field)),
            pb::Continuation::Last => false,
            pb::Continuation::MoreFollows => true,
        };
        let fences = some.fences.into_iter().map(|number| fence(number, "RenewedSome.fences"));
        Ok(Self { fences: fences.collect::<Result<_, _>>()?, more })
    }
}

impl From<&RenewedSome> for pb::RenewedSome {
    fn from(some: &RenewedSome) -> Self {
        let continuation = match some.more {
            false => pb::Continuation::Last,
            true => pb::Continuation::MoreFollows,
        };
        Self {
            fences: some.fences.iter().map(|fence| fence.get()).collect(),
            continuation: continuation.into(),
        }
    }
}

impl TryFrom<pb::Recall> for Recall {
    type Error = BadField;

    fn try_from(recall: pb::Recall) -> Result<Self, BadField> {
        Ok(Self {
            until: Span::from_nanos(recall.until_ns),
            force: force(recall.force, "Recall.force")?,
        })
    }
}

impl From<&Recall> for pb::Recall {
    fn from(recall: &Recall) -> Self {
        Self { until_ns: recall.until.as_nanos(), force: force_number(recall.force) }
    }
}
