//! What a user wants and what a granter says: mostly to what it was asked, in a form that can be true.

use tlease_core::holder::{Handle, Input, Output, Renewal};
use tlease_core::identity::{Epoch, RequestId, Secret, SessionId};
use tlease_core::message::{
    FromGranter, Grant, Opened, Renewed, RenewedSome, Reply, Tag, ToGranter,
};
use tlease_core::refusal::Refusal;
use tlease_core::{Fence, Name};

use crate::choices::Choices;

/// What was drawn so far.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// The names that were asked for; the index is the handle.
    pub(super) wanted: Vec<Name>,
    sent: Vec<RequestId>,
    fences: Vec<Fence>,
    openings: u64,
}

impl Drawn {
    pub(super) fn learn(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Send(ToGranter::Request(request)) = output {
                self.sent.push(request.id);
            }
        }
    }

    pub(super) fn input(&mut self, choices: &mut Choices<'_>) -> Input {
        match choices.byte() % 32 {
            0 | 1 => Input::Connected,
            2 => Input::Disconnected,
            3..=5 => Input::Received(FromGranter::Opened(self.opened(choices))),
            6..=9 => {
                let handle = Handle(u64::try_from(self.wanted.len()).expect("few"));
                let renewal = choices.pick(&[Renewal::Automatic, Renewal::ByHand]);
                let acquire = choices.acquire();
                self.wanted.push(acquire.name.clone());
                Input::Acquire { handle, acquire, renewal }
            }
            10 => Input::Release { handle: self.handle(choices) },
            11 => {
                let handle = self.handle(choices);
                Input::Renew { handle, term: choices.maybe(Choices::span) }
            }
            12 => Input::Downgrade { handle: self.handle(choices) },
            13 => Input::Forget { handle: self.handle(choices) },
            14 => Input::Wake,
            31 => Input::Copied { session: SessionId([2; 16]), secret: Secret([2; 16]) },
            15 | 16 => {
                let (name, fence) = (choices.name(), self.fence(choices));
                let recall = choices.recall();
                Input::Received(FromGranter::Recalled { name, fence, recall })
            }
            _ => {
                let id = choices.recent(&self.sent).unwrap_or(RequestId(1));
                let moved = choices.maybe(Choices::span);
                let reply = self.reply(choices);
                Input::Received(FromGranter::Reply { id, reply, moved })
            }
        }
    }

    fn opened(&mut self, choices: &mut Choices<'_>) -> Opened {
        self.openings += 1;
        let epoch = Epoch { incarnation: choices.incarnation(), opening: self.openings };
        let wait_left = choices.maybe(Choices::span);
        Opened { epoch, wait_left, term_min: choices.span(), term_max: choices.span() }
    }

    fn handle(&self, choices: &mut Choices<'_>) -> Handle {
        let back = usize::from(choices.byte() % 4);
        let last = self.wanted.len().saturating_sub(1);
        Handle(u64::try_from(last.saturating_sub(back)).expect("few"))
    }

    /// Of a lease that was given, mostly.
    fn fence(&self, choices: &mut Choices<'_>) -> Fence {
        choices.recent(&self.fences).unwrap_or_else(|| choices.fence())
    }

    fn grant(&mut self, choices: &mut Choices<'_>) -> Grant {
        // A granter gives each fence once, whatever else it says.
        let fence = self.fences.last().and_then(|last| last.next()).unwrap_or(Fence::FIRST);
        self.fences.push(fence);
        Grant { fence, term: choices.span(), tag: Tag([1; 16]) }
    }

    fn reply(&mut self, choices: &mut Choices<'_>) -> Reply {
        match choices.byte() % 16 {
            0..=2 => Reply::Granted(self.grant(choices)),
            3 | 4 => Reply::Offered { grant: self.grant(choices), life: choices.span() },
            5 => Reply::Queued { ahead: 3, wait_left: choices.maybe(Choices::span) },
            6..=8 => Reply::Renewed(Renewed {
                term: choices.span(),
                tag: choices.maybe(|_| Tag([2; 16])),
                recall: choices.maybe(Choices::recall),
            }),
            9 => Reply::RenewedAll,
            10 => {
                let fences = vec![self.fence(choices), self.fence(choices)];
                Reply::RenewedSome(RenewedSome { fences, more: choices.yes() })
            }
            11 => match choices.byte() % 3 {
                0 => Reply::Withdrawn,
                1 => Reply::Released { was_held: choices.yes() },
                _ => Reply::Noted,
            },
            12 => Reply::Downgraded { tag: Tag([3; 16]) },
            13 => Reply::Reclaimed { tag: Tag([4; 16]) },
            _ => Reply::Refused(choices.pick(&[
                Refusal::NotHeldHere,
                Refusal::StaleEpoch,
                Refusal::NotReclaimable,
                Refusal::StoreUnavailable,
                Refusal::Stopping,
                Refusal::AlreadyHeld,
            ])),
        }
    }
}
