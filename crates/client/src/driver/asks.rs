//! Questions and watches on one connection.

use std::collections::BTreeMap;

use tlease_core::identity::AskId;
use tlease_core::message::{Answer, Ask, Event, ToGranter};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::command::{Seen, Watch};

/// Questions that wait for their answers, and watches.
#[derive(Debug, Default)]
pub(super) struct Asks {
    last_id: u64,
    asked: BTreeMap<AskId, Question>,
    watches: BTreeMap<AskId, mpsc::Sender<Seen>>,
    /// Asked while there was no connection.
    unasked: Vec<Question>,
}

#[derive(Debug)]
enum Question {
    Ask { ask: Ask, answer: oneshot::Sender<Answer> },
    Watch(Watch),
}

impl Question {
    fn is_given_up(&self) -> bool {
        match self {
            Self::Ask { answer, .. } => answer.is_closed(),
            Self::Watch(watch) => watch.seen.is_closed(),
        }
    }

    fn ask(&self) -> Ask {
        match self {
            Self::Ask { ask, .. } => ask.clone(),
            Self::Watch(Watch { prefix, after, .. }) => {
                Ask::Watch { prefix: prefix.clone(), after: *after }
            }
        }
    }
}

impl Asks {
    /// Notes a question; it goes out with [`Asks::take_unasked`].
    pub(super) fn ask(&mut self, ask: Ask, answer: oneshot::Sender<Answer>) {
        self.unasked.push(Question::Ask { ask, answer });
    }

    /// Notes a watch.
    pub(super) fn watch(&mut self, watch: Watch) {
        self.unasked.push(Question::Watch(watch));
    }

    /// What is to be sent, if there is a connection.
    pub(super) fn take_unasked(&mut self) -> Vec<ToGranter> {
        let abandoned = self.watches.extract_if(.., |_, seen| seen.is_closed());
        let abandoned: Vec<AskId> = abandoned.map(|(id, _)| id).collect();
        let mut messages: Vec<_> = abandoned.into_iter().map(|id| self.unwatch(id)).collect();
        for question in std::mem::take(&mut self.unasked) {
            if question.is_given_up() {
                continue;
            }
            let id = self.next_id();
            messages.push(ToGranter::Ask { id, ask: question.ask() });
            self.asked.insert(id, question);
        }
        messages
    }

    /// Whether somebody waits for an answer or an event.
    pub(super) fn somebody_waits(&self) -> bool {
        !self.asked.is_empty() || !self.watches.is_empty()
    }

    /// A question whose answer is only awaited as a sign of life.
    pub(super) fn sign_of_life(&mut self) -> ToGranter {
        ToGranter::Ask { id: self.next_id(), ask: Ask::Status }
    }

    /// An answer came. Perhaps something is to be sent because of it.
    pub(super) fn answered(&mut self, id: AskId, answer: Answer) -> Option<ToGranter> {
        match (self.asked.remove(&id)?, answer) {
            (Question::Ask { answer: to, .. }, answer) => {
                // Nobody may wait for it any more.
                let _ = to.send(answer);
                None
            }
            (Question::Watch(Watch { seen, .. }), Answer::Watching { from, gap }) => {
                if seen.try_send(Seen::Began { from, gap }).is_err() {
                    return Some(self.unwatch(id));
                }
                self.watches.insert(id, seen);
                None
            }
            (Question::Watch(Watch { seen, .. }), Answer::Refused(refusal)) => {
                let _ = seen.try_send(Seen::Refused(refusal));
                None
            }
            (
                Question::Watch(_),
                Answer::Entry(_)
                | Answer::Page { .. }
                | Answer::Unwatched
                | Answer::Status(_)
                | Answer::Recalling { .. },
            ) => None,
        }
    }

    /// Something happened to a watched name. A watch whose events nobody takes is ended: its watcher
    /// resumes it from the last event it saw.
    pub(super) fn happened(&mut self, watch: AskId, event: Box<Event>) -> Option<ToGranter> {
        match self.watches.get(&watch)?.try_send(Seen::Event(event)) {
            Ok(()) => None,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.watches.remove(&watch);
                Some(self.unwatch(watch))
            }
        }
    }

    /// The connection is gone: questions are asked again, watches are their watchers' to resume.
    pub(super) fn disconnected(&mut self) {
        self.watches.clear();
        let asked = std::mem::take(&mut self.asked).into_values();
        self.unasked.splice(0..0, asked);
        self.unasked.retain(|question| !question.is_given_up());
    }

    fn unwatch(&mut self, watch: AskId) -> ToGranter {
        ToGranter::Ask { id: self.next_id(), ask: Ask::Unwatch { watch } }
    }

    fn next_id(&mut self) -> AskId {
        self.last_id += 1;
        AskId(self.last_id)
    }
}
