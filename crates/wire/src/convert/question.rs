//! Questions and operators' orders.

use tlease_core::identity::AskId;
use tlease_core::message::{Ask, EventMark, PageMark, ToGranter};
use tlease_core::time::Span;

use super::fields::{Required, force, force_number, name, prefix};
use crate::bad::BadField;
use crate::generated as pb;
use pb::question::Ask as PbAsk;

impl TryFrom<pb::Question> for ToGranter {
    type Error = BadField;

    fn try_from(question: pb::Question) -> Result<Self, BadField> {
        let ask = question.ask.required("Question.ask")?.try_into()?;
        Ok(Self::Ask { id: AskId(question.id), ask })
    }
}

/// The question with this id.
pub(crate) fn question(id: AskId, ask: &Ask) -> pb::Question {
    pb::Question { id: id.0, ask: Some(PbAsk::from(ask)) }
}

impl TryFrom<PbAsk> for Ask {
    type Error = BadField;

    fn try_from(ask: PbAsk) -> Result<Self, BadField> {
        Ok(match ask {
            PbAsk::Get(get) => Self::Get { name: name(&get.name, "Get.name")? },
            PbAsk::List(list) => Self::List {
                prefix: prefix(list.prefix, "List.prefix")?,
                after: list.after.map(PageMark),
                limit: list.limit,
            },
            PbAsk::Watch(watch) => Self::Watch {
                prefix: prefix(watch.prefix, "Watch.prefix")?,
                after: watch.after.map(EventMark::try_from).transpose()?,
            },
            PbAsk::Unwatch(unwatch) => Self::Unwatch { watch: AskId(unwatch.watch) },
            PbAsk::Status(pb::Nothing {}) => Self::Status,
            PbAsk::Recall(recall) => Self::Recall {
                name: name(&recall.name, "RecallName.name")?,
                grace: Span::from_nanos(recall.grace_ns),
                force: force(recall.force, "RecallName.force")?,
            },
        })
    }
}

impl From<&Ask> for PbAsk {
    fn from(ask: &Ask) -> Self {
        match ask {
            Ask::Get { name } => Self::Get(pb::Get { name: name.as_bytes().into() }),
            Ask::List { prefix, after, limit } => Self::List(pb::List {
                prefix: prefix.0.to_vec(),
                after: after.map(|PageMark(mark)| mark),
                limit: *limit,
            }),
            Ask::Watch { prefix, after } => {
                Self::Watch(pb::Watch { prefix: prefix.0.to_vec(), after: after.map(Into::into) })
            }
            Ask::Unwatch { watch } => Self::Unwatch(pb::Unwatch { watch: watch.0 }),
            Ask::Status => Self::Status(pb::Nothing {}),
            Ask::Recall { name, grace, force } => Self::Recall(pb::RecallName {
                name: name.as_bytes().into(),
                grace_ns: grace.as_nanos(),
                force: force_number(*force),
            }),
        }
    }
}
