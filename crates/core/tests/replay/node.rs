//! A holder, its clock, and the guard of its lease.

use std::collections::BTreeMap;

use tlease_core::Mode;
use tlease_core::holder::{Change, Handle, Hold, Holder, Input, Output, Renewal, View};
use tlease_core::identity::{Epoch, Peer, RequestId, Secret, SessionId};
use tlease_core::message::{Acquire, FromGranter, Op, Opened, Reply, ToGranter, Wait};
use tlease_core::time::{FastHand, FastInstant, Now, Readings, Remaining, Segment, Span, Ticks};

use crate::cell;
use crate::seen::{self, Guard};
use crate::wire::{self, Flying};

pub(crate) struct Node {
    holder: Holder,
    who: u8,
    hand: FastHand,
    /// What its only source shows, in nanoseconds.
    fast: u64,
    segment: u64,
    pub(crate) peer: Option<Peer>,
    epoch: Option<Epoch>,
    /// What it wants, or wanted last.
    handle: Handle,
    /// Whether its user was told that this is over; so it is before the first wish.
    is_ended: bool,
    /// What the guard was told last.
    guard: Option<Hold>,
    sent: u64,
    /// When it sent what was not answered on this connection, by its only source.
    asked: BTreeMap<u64, u64>,
    /// Releases and withdrawals that were not answered yet.
    leaves: Vec<(RequestId, Reply)>,
    /// A recall that was not delivered.
    recall: Option<FromGranter>,
}

impl Node {
    pub(crate) fn new(hand: FastHand, who: u8) -> Self {
        let holder = Holder::new(hand, SessionId([who; 16]), Secret([who; 16]), at(0, 0));
        Self {
            holder,
            who,
            hand,
            fast: 0,
            segment: 0,
            peer: None,
            epoch: None,
            handle: Handle(0),
            is_ended: true,
            guard: None,
            sent: 0,
            asked: BTreeMap::new(),
            leaves: Vec::new(),
            recall: None,
        }
    }

    pub(crate) const fn session(&self) -> SessionId {
        SessionId([self.who; 16])
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        self.fast += nanos;
    }

    pub(crate) fn lose_continuity(&mut self) {
        self.segment += 1;
    }

    pub(crate) fn wish(&mut self, mode: Mode, term: Span) -> Vec<Flying> {
        self.handle = Handle(self.handle.0 + 1);
        self.is_ended = false;
        let (name, wait) = (cell::name(), Wait::Unbounded);
        let acquire = Acquire { name, mode, term, wait, value: None };
        let (handle, renewal) = (self.handle, Renewal::ByHand);
        self.feed(Input::Acquire { handle, acquire, renewal })
    }

    pub(crate) fn renew(&mut self, term: Option<Span>) -> Vec<Flying> {
        self.feed(Input::Renew { handle: self.handle, term })
    }

    /// Gives up what it wants or has: because it heard that others want it, if it could.
    pub(crate) fn give_up(&mut self) -> Vec<Flying> {
        let recall = self.recall.take().filter(|recall| {
            let FromGranter::Recalled { fence, .. } = recall else { return false };
            self.is_valid() && self.guard.is_some_and(|hold| hold.fence == *fence)
        });
        match recall {
            Some(recall) => self.feed(Input::Received(recall)),
            None => self.feed(Input::Release { handle: self.handle }),
        }
    }

    /// An input that changes nothing by itself: what is due is done.
    pub(crate) fn look(&mut self) -> Vec<Flying> {
        self.feed(Input::Renew { handle: Handle(u64::MAX), term: None })
    }

    /// Takes a message in.
    ///
    /// The specification knows no pause between renewals in vain: if one began, it is over at once.
    pub(crate) fn receive(&mut self, message: FromGranter) -> Vec<Flying> {
        let mut may_be_vain = false;
        if let FromGranter::Reply { id, reply, .. } = &message {
            self.asked.remove(&id.0);
            may_be_vain = matches!(reply, Reply::Renewed(_));
        }
        let sent = self.feed(Input::Received(message));
        let view = self.holder.view(self.handle, self.now());
        let waits = sent.is_empty() && matches!(view, Some(View::Pending | View::Suspect));
        if may_be_vain && waits && !self.is_link_late() {
            return self.feed(Input::Wake);
        }
        sent
    }

    /// Whether a wake-up might give the connection up, which the specification does not.
    fn is_link_late(&self) -> bool {
        self.asked.values().any(|asked| self.fast - asked >= 4 * seen::TICK)
    }

    /// Takes in what must change nothing.
    pub(crate) fn ignore(&mut self, message: FromGranter) {
        let shown = format!("{message:?}");
        let outputs: Vec<Output> =
            self.holder.handle(self.now(), Input::Received(message)).collect();
        let silent = outputs.iter().all(|output| matches!(output, Output::WakeAt { .. }));
        assert!(silent, "{shown} should have been ignored: {outputs:?}");
    }

    pub(crate) fn is_recalled(&mut self, message: FromGranter) {
        self.recall = Some(message);
    }

    /// Opens its session on a new connection.
    pub(crate) fn connect(&mut self, peer: Peer) -> ToGranter {
        self.peer = Some(peer);
        self.leaves.clear();
        self.asked.clear();
        let outputs: Vec<Output> = self.holder.handle(self.now(), Input::Connected).collect();
        let mut open = None;
        for output in outputs {
            if let Output::Send(message @ ToGranter::Open { .. }) = output {
                open = Some(message);
            } else {
                assert!(self.took(output).is_none(), "sent without a session");
            }
        }
        open.expect("a connection begins with its session")
    }

    pub(crate) fn opened(&mut self, opened: Opened) -> Vec<Flying> {
        self.epoch = Some(opened.epoch);
        let sent = self.feed(Input::Received(FromGranter::Opened(opened)));
        // What was over before is given back again.
        for flying in &sent {
            self.leaves.extend(flying.request.as_ref().and_then(leave));
        }
        sent
    }

    /// The specification knows of the last leave alone, and not whether that was answered.
    pub(crate) fn answer_older_leaves(&mut self) {
        let last = self.leaves.pop();
        let sent = self.answer_leaves();
        assert!(sent.is_empty(), "nothing comes of such an answer: {sent:?}");
        self.leaves.extend(last);
    }

    pub(crate) fn answer_leaves(&mut self) -> Vec<Flying> {
        let mut sent = Vec::new();
        for (id, reply) in core::mem::take(&mut self.leaves) {
            sent.extend(self.feed(Input::Received(FromGranter::Reply { id, reply, moved: None })));
        }
        sent
    }

    pub(crate) fn seen(&self) -> seen::Holder {
        let guard = self.guard.and_then(|hold| {
            match self.hand.remaining(&hold.anchor, hold.term, &self.now().not_after) {
                Remaining::AtLeast(left) => Some(Guard {
                    fence: hold.fence.get(),
                    shared: hold.mode == Mode::Shared,
                    left: seen::ticks_ceil(left),
                }),
                Remaining::Over | Remaining::Unknown => None,
            }
        });
        let view = match self.holder.view(self.handle, self.now()) {
            None | Some(View::Ended(_)) if self.is_ended => seen::View::Idle,
            Some(View::Pending) => seen::View::Pending,
            Some(View::Valid { at_least }) => seen::View::Valid(seen::ticks_ceil(at_least)),
            Some(View::Suspect) => seen::View::Suspect,
            Some(View::Ended(_)) => seen::View::Over,
            view @ (None | Some(View::Recalled { .. })) => panic!("not in the model: {view:?}"),
        };
        seen::Holder { view, guard, sent: self.sent }
    }

    /// Whether its lease is over, and nobody has looked yet.
    pub(crate) fn is_over(&self) -> bool {
        self.seen().view == seen::View::Over
    }

    fn is_valid(&self) -> bool {
        matches!(self.seen().view, seen::View::Valid(_))
    }

    fn now(&self) -> Now<FastInstant> {
        at(self.fast, self.segment)
    }

    fn feed(&mut self, input: Input) -> Vec<Flying> {
        let outputs: Vec<Output> = self.holder.handle(self.now(), input).collect();
        let mut sent = Vec::new();
        for output in outputs {
            let is_end = matches!(output, Output::Changed { change: Change::Ended(_), .. });
            sent.extend(self.took(output));
            if is_end {
                let last = sent.last().and_then(|flying: &Flying| flying.request.as_ref());
                self.leaves.extend(last.and_then(leave));
            }
        }
        sent
    }

    /// Does what an output says.
    fn took(&mut self, output: Output) -> Option<Flying> {
        match output {
            Output::Send(ToGranter::Request(request)) => {
                assert_eq!(Some(request.epoch), self.epoch, "of another epoch: {request:?}");
                if let Op::Release { fence, .. } = request.op {
                    let open = self.guard.is_some_and(|hold| hold.fence == fence);
                    assert!(!open, "released before its guard was closed (I9): {request:?}");
                }
                self.sent = request.id.0;
                self.asked.insert(self.sent, self.fast);
                return Some(wire::request(request));
            }
            Output::Hold { hold, .. } => self.guard = Some(hold),
            Output::Close { .. } => self.guard = None,
            Output::Changed { handle, change } => {
                self.is_ended |= handle == self.handle && matches!(change, Change::Ended(_));
            }
            Output::Opened(_) | Output::WakeAt { .. } => {}
            Output::Send(_) | Output::NotOpened(_) | Output::Reconnect | Output::Suspend { .. } => {
                panic!("not in the model: {output:?}");
            }
        }
        None
    }
}

/// The answer to a request that leaves, if it is one.
fn leave(request: &tlease_core::message::Request) -> Option<(RequestId, Reply)> {
    match request.op {
        Op::Release { .. } => Some((request.id, Reply::Released { was_held: true })),
        Op::Withdraw { .. } => Some((request.id, Reply::Withdrawn)),
        Op::Acquire(_)
        | Op::Renew { .. }
        | Op::RenewAll { .. }
        | Op::Downgrade { .. }
        | Op::Reclaim(_)
        | Op::Report(_) => None,
    }
}

fn at(nanos: u64, segment: u64) -> Now<FastInstant> {
    Now::at(FastInstant::new(Segment(segment), Readings::one(Ticks(nanos))))
}
