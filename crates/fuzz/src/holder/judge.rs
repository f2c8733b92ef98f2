//! What must hold of a holder, whatever it is fed.

use std::collections::{BTreeMap, BTreeSet};

use tlease_core::holder::{Handle, Hold, Holder, Input, Output, View};
use tlease_core::identity::RequestId;
use tlease_core::message::{FromGranter, Op, Reply, ToGranter};
use tlease_core::time::{FastHand, FastInstant, Now, Remaining};

use super::inputs::Drawn;

/// The guards that a holder drives, and what it said so far.
#[derive(Debug)]
pub(super) struct Judge {
    hand: FastHand,
    guards: BTreeMap<Handle, Guard>,
    /// Leases that were over, for whoever asked.
    over: BTreeSet<Handle>,
    last_id: Option<RequestId>,
    /// Moments that a lease or a grace may count from: a request was handed over, or a recall came.
    anchors: Vec<FastInstant>,
}

/// What a guard was told last.
#[derive(Debug, Clone, Copy)]
enum Guard {
    Open(Hold),
    Suspended,
    Closed,
}

impl Judge {
    pub(super) const fn of(hand: FastHand) -> Self {
        Self {
            hand,
            guards: BTreeMap::new(),
            over: BTreeSet::new(),
            last_id: None,
            anchors: Vec::new(),
        }
    }

    pub(super) fn hears(&mut self, input: &Input, now: &Now<FastInstant>) {
        let Input::Received(message) = input else { return };
        let is_recall = match message {
            FromGranter::Recalled { .. } => true,
            FromGranter::Reply { reply: Reply::Renewed(renewed), .. } => renewed.recall.is_some(),
            FromGranter::Reply { .. }
            | FromGranter::Opened(_)
            | FromGranter::NotOpened(_)
            | FromGranter::Answer { .. }
            | FromGranter::Happened { .. } => false,
        };
        if is_recall {
            self.anchors.push(now.not_before);
        }
    }

    /// Does what is asked for, in its order.
    pub(super) fn takes(&mut self, outputs: &[Output], now: &Now<FastInstant>) {
        for output in outputs {
            match output {
                Output::Send(ToGranter::Request(request)) => {
                    assert!(self.last_id < Some(request.id), "I3: an id names one transmission");
                    self.last_id = Some(request.id);
                    self.anchors.push(now.not_before);
                    if let Op::Release { fence, .. } = &request.op {
                        let open = |guard: &Guard| matches!(guard, Guard::Open(hold) if hold.fence == *fence);
                        assert!(!self.guards.values().any(open), "I9: released while open");
                    }
                }
                Output::Hold { handle, hold } => {
                    let known = self.anchors.contains(&hold.anchor);
                    assert!(known, "I3: {hold:?} counts from when nothing was sent");
                    let over = self.left(*handle, now) == Some(Remaining::Over);
                    assert!(!over, "I12: {handle:?} was over, and its guard opens again");
                    self.set(*handle, Guard::Open(*hold));
                }
                Output::Suspend { handle } => self.set(*handle, Guard::Suspended),
                Output::Close { handle } => self.set(*handle, Guard::Closed),
                Output::Send(_)
                | Output::Reconnect
                | Output::Changed { .. }
                | Output::Opened(_)
                | Output::NotOpened(_)
                | Output::WakeAt { .. } => {}
            }
        }
    }

    fn set(&mut self, handle: Handle, guard: Guard) {
        let before = self.guards.insert(handle, guard);
        assert!(!matches!(before, Some(Guard::Closed)), "I12: {handle:?} was closed for good");
    }

    /// Asks for every lease at this moment.
    pub(super) fn looks(&mut self, holder: &Holder, now: Now<FastInstant>, drawn: &Drawn) {
        let mut usable = BTreeSet::new();
        for (number, name) in (0..).zip(&drawn.wanted) {
            let handle = Handle(number);
            let view = holder.view(handle, now);
            let is_usable = match view {
                Some(View::Valid { .. } | View::Recalled { .. }) => true,
                Some(View::Pending | View::Suspect | View::Ended(_)) | None => false,
            };
            assert_eq!(holder.held(handle, now).is_ok(), is_usable, "a proof and a view agree");
            // A lease that a vague moment showed to be over stays so; its guard, which reads a clock of
            // its own, hears of that with the next input.
            let closes_later = self.over.contains(&handle);
            let passes = self.passes(handle, &now) && !closes_later;
            assert!(!passes || is_usable, "I13: the guard of {handle:?} passes: {view:?}");
            if let Some(View::Ended(_)) = view {
                self.over.insert(handle);
            } else if view.is_some() {
                assert!(!self.over.contains(&handle), "I12: {handle:?} was over, now {view:?}");
            }
            assert!(!is_usable || usable.insert(name), "I4: {name} is held twice");
        }
    }

    /// Whether an act would be let through.
    fn passes(&self, handle: Handle, now: &Now<FastInstant>) -> bool {
        matches!(self.left(handle, now), Some(Remaining::AtLeast(_)))
    }

    /// What is left of a lease whose guard is open.
    fn left(&self, handle: Handle, now: &Now<FastInstant>) -> Option<Remaining> {
        let Guard::Open(Hold { anchor, term, .. }) = self.guards.get(&handle)? else { return None };
        Some(self.hand.remaining(anchor, *term, &now.not_after))
    }
}
