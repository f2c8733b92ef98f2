//! `Desk`: owns the holder, and does what it puts out, in order. Knows neither sockets nor tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tlease_clock::{Clock, HoldRefusal};
use tlease_core::holder::{Change, Ending, Handle, Holder, Input, Output, View, WakeReason};
use tlease_core::identity::SessionId;
use tlease_core::message::{Force, FromGranter, Opened, ToGranter};
use tlease_core::time::{FastInstant, Now};
use tlease_core::{Disagreement, Refusal};
use tlease_wire::ToGranterFrames;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::asks::Asks;
use super::command::Command;
use super::identity::Identity;
use super::pending::{Pending, Wait, Waiter};
use crate::error::Loss;
use crate::events::LeaseEvent;
use crate::tenure::{Queued, Tenure};

/// The synchronous half of a driver.
#[derive(Debug)]
pub(super) struct Desk {
    clock: Clock,
    identity: Identity,
    holder: Holder,
    effects: Effects,
}

/// Everything that the holder's outputs touch.
#[derive(Debug)]
struct Effects {
    tenures: BTreeMap<Handle, Arc<Tenure>>,
    pending: Pending,
    asks: Asks,
    outgoing: ToGranterFrames,
    link: Link,
    wake_at: Option<Instant>,
    /// Suspect leases wait for that: to look at the clock before helps nobody.
    is_paused: bool,
    /// Leases that were closed here while the holder still believed in them.
    closed_here: Vec<Handle>,
    /// The clock's segment ended between its reading and the opening of a cell.
    is_segment_over: bool,
}

/// What the desk knows of the connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Link {
    Down,
    /// The session's opening was sent.
    Opening,
    Open(Opened),
    /// The granter does not open the session here.
    Refused(Refusal),
    /// It does not answer: to be replaced.
    GivenUp,
}

impl Desk {
    pub(super) fn new(clock: Clock, identity: Identity) -> Self {
        let Identity { session, secret, .. } = identity;
        let holder = Holder::new(clock.fast_hand(), session, secret, clock.fast_now());
        let effects = Effects {
            tenures: BTreeMap::new(),
            pending: Pending::default(),
            asks: Asks::default(),
            outgoing: ToGranterFrames::default(),
            link: Link::Down,
            wake_at: None,
            is_paused: false,
            closed_here: Vec::new(),
            is_segment_over: false,
        };
        Self { clock, identity, holder, effects }
    }

    /// Who the session is now.
    pub(super) const fn session(&self) -> SessionId {
        self.identity.session
    }

    pub(super) const fn link(&self) -> Link {
        self.effects.link
    }

    /// When the holder wants to be woken.
    pub(super) const fn wake_at(&self) -> Option<Instant> {
        self.effects.wake_at
    }

    /// The bytes to be sent. Their anchors were read before they came to be.
    pub(super) fn outgoing(&mut self) -> &mut ToGranterFrames {
        &mut self.effects.outgoing
    }

    /// A connection stands.
    pub(super) fn connected(&mut self) {
        let now = self.now();
        self.effects.outgoing = ToGranterFrames::with_hello();
        self.effects.link = Link::Opening;
        self.feed(now, Input::Connected);
        self.settle();
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        let now = self.now();
        self.effects.outgoing = ToGranterFrames::default();
        self.effects.link = Link::Down;
        self.effects.pending.disconnected();
        self.effects.asks.disconnected();
        self.feed(now, Input::Disconnected);
        self.settle();
    }

    /// Time has passed.
    pub(super) fn woken(&mut self) {
        self.effects.wake_at = None;
        self.effects.is_paused = false;
        let now = self.now();
        self.feed(now, Input::Wake);
        self.settle();
    }

    /// Messages came. The clock is read after the last of them was.
    pub(super) fn received(&mut self, messages: &mut Vec<FromGranter>) {
        let session = self.session();
        let now = self.now();
        if self.session() != session {
            // To a session that was given up.
            messages.clear();
        }
        for message in messages.drain(..) {
            self.take_in(now, message);
        }
        self.settle();
    }

    /// Users want something. The clock is read after the last of it was said, and before any byte of
    /// it is sent.
    pub(super) fn obey(&mut self, commands: &mut Vec<Command>) {
        let now = self.now();
        for command in commands.drain(..) {
            self.carry_out(now, command);
        }
        self.settle();
    }

    /// Gives back whatever is held or wanted.
    pub(super) fn give_all_back(&mut self) {
        let now = self.now();
        let handles: Vec<Handle> = self.effects.tenures.keys().copied().collect();
        for handle in handles {
            self.feed(now, Input::Forget { handle });
        }
        self.effects.tenures.clear();
        self.settle();
    }

    /// Whether somebody waits for a message that no request is owed.
    pub(super) fn somebody_waits(&self) -> bool {
        self.effects.asks.somebody_waits()
            || self.effects.tenures.values().any(|tenure| tenure.is_wanted())
    }

    /// Asks the granter for a sign of life.
    pub(super) fn ask_for_sign(&mut self) {
        let sign = self.effects.asks.sign_of_life();
        self.effects.send(&sign);
    }

    /// Whether the granter has heard of everything that was given back.
    pub(super) fn nothing_leaves(&self) -> bool {
        self.effects.pending.nothing_leaves()
    }

    fn carry_out(&mut self, now: Now<FastInstant>, command: Command) {
        match command {
            Command::Acquire { handle, acquire, renewal, tenure } => {
                self.effects.tenures.insert(handle, tenure);
                self.feed(now, Input::Acquire { handle, acquire, renewal });
            }
            Command::Forget(handle) => {
                self.feed(now, Input::Forget { handle });
                self.effects.tenures.remove(&handle);
            }
            Command::Renew { handle, term, answer } => {
                self.ask_of(handle, Waiter::Renew(answer, term));
            }
            Command::Release { handle, answer } => {
                self.release(now, handle, answer);
            }
            Command::Downgrade { handle, answer } => {
                self.ask_of(handle, Waiter::Downgrade(answer));
                self.feed(now, Input::Downgrade { handle });
            }
            Command::Ask { ask, answer } => self.effects.asks.ask(ask, answer),
            Command::Watch(watch) => self.effects.asks.watch(watch),
            // Found when questions are sent next.
            Command::Unwatch => {}
            Command::Look(looked) => {
                drop(looked);
                if !self.effects.is_paused {
                    self.feed(now, Input::Wake);
                }
                self.close_what_users_closed();
            }
            // The driver's own affair.
            Command::Close { .. } => {}
        }
    }

    /// Notes who waits for an answer about a lease, if it is not over.
    fn ask_of(&mut self, handle: Handle, waiter: Waiter) {
        let tenure = self.effects.tenures.get(&handle);
        let over = tenure.and_then(|tenure| tenure.loss());
        let fence = tenure.and_then(|tenure| tenure.fence());
        match (fence, over) {
            (Some(fence), None) => self.effects.pending.add(Wait { handle, fence, waiter }),
            (_, over) => waiter.over(over.unwrap_or(Loss::Released)),
        }
    }

    /// Gives a lease back, and notes who waits to hear that the granter knows.
    fn release(&mut self, now: Now<FastInstant>, handle: Handle, answer: oneshot::Sender<bool>) {
        let view = self.holder.view(handle, now);
        let was_valid = matches!(view, Some(View::Valid { .. } | View::Recalled { .. }));
        let is_over = matches!(view, Some(View::Ended(_)));
        let fence = self.effects.tenures.get(&handle).and_then(|tenure| tenure.fence());
        if let Some(fence) = fence {
            let waiter = Waiter::Release(answer, was_valid);
            self.effects.pending.add(Wait { handle, fence, waiter });
        }
        self.feed(now, Input::Release { handle });
        if is_over || matches!(self.effects.link, Link::Open(_)) {
            // Whatever was not sent by now never will be: there is nothing to give back.
            self.effects.pending.nothing_to_release(handle);
        }
    }

    fn take_in(&mut self, now: Now<FastInstant>, message: FromGranter) {
        match message {
            FromGranter::Answer { id, answer } => {
                let reply = self.effects.asks.answered(id, *answer);
                self.effects.send_all(reply);
            }
            FromGranter::Happened { watch, event } => {
                let reply = self.effects.asks.happened(watch, event);
                self.effects.send_all(reply);
            }
            FromGranter::Reply { id, reply, moved } => {
                let message = FromGranter::Reply { id, reply: reply.clone(), moved };
                self.feed(now, Input::Received(message));
                self.effects.pending.replied(id, &reply);
            }
            FromGranter::Opened(_) | FromGranter::NotOpened(_) | FromGranter::Recalled { .. } => {
                self.feed(now, Input::Received(message));
            }
        }
    }

    /// Does what came up while outputs were being done.
    fn settle(&mut self) {
        let is_segment_over = std::mem::take(&mut self.effects.is_segment_over);
        if is_segment_over && !self.effects.is_paused {
            // The holder finds out, and asks for a renewal.
            let now = self.now();
            self.feed(now, Input::Wake);
        }
        let closed = std::mem::take(&mut self.effects.closed_here);
        for handle in closed {
            let now = self.now();
            self.feed(now, Input::Release { handle });
        }
        if let Link::Open(_) = self.effects.link {
            self.effects.pending.nothing_more_to_release();
            for (handle, term) in self.effects.pending.to_renew() {
                let now = self.now();
                self.feed(now, Input::Renew { handle, term });
            }
            let questions = self.effects.asks.take_unasked();
            self.effects.send_all(questions);
        }
    }

    /// A user saw that its lease is over before this task did: it is over then.
    fn close_what_users_closed(&mut self) {
        for (handle, tenure) in &self.effects.tenures {
            if tenure.fence().is_some() && tenure.loss().is_some() {
                self.effects.closed_here.push(*handle);
            }
        }
    }

    /// Reads the clock, before anything that is fed in by that reading.
    ///
    /// If it shows that this machine may be a copy, the session is given up first. So whatever a copy
    /// says under the old session was fed in before the copy was made: the other one says the same.
    fn now(&mut self) -> Now<FastInstant> {
        let now = self.clock.fast_now();
        if self.identity.may_be_shared(&self.clock) {
            self.give_session_up(now);
        }
        now
    }

    fn give_session_up(&mut self, now: Now<FastInstant>) {
        self.identity =
            Identity::draw(&self.clock).expect("a system that gave random bytes before");
        let Identity { session, secret, .. } = self.identity;
        tracing::warn!(
            %session,
            "this machine was loaded from a snapshot and may be one of several copies: \
             its leases are given up, and it goes on as another session"
        );
        // What was not sent by now never is.
        self.effects.outgoing = ToGranterFrames::default();
        self.feed(now, Input::Copied { session, secret });
    }

    fn feed(&mut self, now: Now<FastInstant>, input: Input) {
        // Taken out before they are done, since a closing is done with the reason that follows it.
        let outputs: Vec<Output> = self.holder.handle(now, input).collect();
        for (index, output) in outputs.iter().enumerate() {
            let rest = outputs.get(index..).unwrap_or_default();
            self.effects.carry_out(now, output, rest);
        }
    }
}

impl Effects {
    /// Does one output; `rest` begins with it.
    fn carry_out(&mut self, now: Now<FastInstant>, output: &Output, rest: &[Output]) {
        match output {
            Output::Send(message) => {
                if let ToGranter::Request(request) = message {
                    self.pending.sending(request.id, &request.op);
                }
                self.send(message);
            }
            Output::Reconnect => self.link = Link::GivenUp,
            Output::Hold { handle, hold } => {
                let Some(tenure) = self.tenures.get(handle) else { return };
                match tenure.hold(hold) {
                    Ok(()) => {}
                    Err(HoldRefusal::SegmentOver) => self.is_segment_over = true,
                    Err(HoldRefusal::Closed | HoldRefusal::Succeeded { .. }) => {
                        self.closed_here.push(*handle);
                    }
                    // Too short to be used, or not this process's: it stays as it was.
                    Err(HoldRefusal::TermTooShort | HoldRefusal::Forked) => {}
                }
            }
            Output::Suspend { handle } => {
                if let Some(tenure) = self.tenures.get(handle) {
                    tenure.suspend();
                }
            }
            Output::Close { handle } => {
                if let Some(tenure) = self.tenures.get(handle) {
                    tenure.end(ending_of(*handle, rest));
                }
            }
            Output::Changed { handle, change } => self.changed(now, *handle, *change),
            Output::Opened(opened) => self.link = Link::Open(*opened),
            Output::NotOpened(refusal) => self.link = Link::Refused(*refusal),
            Output::WakeAt { after, reason } => {
                tracing::trace!(?after, ?reason, "wake");
                self.wake_at = Some(Instant::now() + Duration::from(*after));
                self.is_paused |= *reason == WakeReason::Suspect;
            }
        }
    }

    fn changed(&mut self, now: Now<FastInstant>, handle: Handle, change: Change) {
        let Some(tenure) = self.tenures.get(&handle) else { return };
        match change {
            Change::Queued { ahead, wait_left } => {
                tenure.queued(Queued { ahead, wait_left: wait_left.map(Duration::from) });
            }
            // The tenure knows since its cell was opened.
            Change::Acquired => {}
            Change::Renewed => tenure.tell(LeaseEvent::Renewed),
            Change::NotRenewed(refusal) => tenure.tell(LeaseEvent::NotRenewed(refusal)),
            Change::Downgraded => {
                tenure.tell(LeaseEvent::Downgraded);
                self.pending.downgraded(handle);
            }
            Change::Suspect => tenure.tell(LeaseEvent::Suspect),
            Change::ClocksDisagree(Disagreement { granter, holder }) => {
                tracing::warn!(
                    %granter, %holder,
                    "the granter's clock and this one disagree by more than they promise"
                );
                let (granter, holder) = (granter.into(), holder.into());
                tenure.tell(LeaseEvent::ClocksDisagree { granter, holder });
            }
            Change::Jeopardy => tenure.tell(LeaseEvent::Jeopardy),
            Change::Recalled { until, force } => {
                if force == Force::Grace {
                    tenure.recall(&now, until);
                }
                tenure.tell(LeaseEvent::Recalled { until: until.into(), force });
            }
            Change::Ended(ending) => {
                tenure.end(ending);
                self.pending.ended(handle, Loss::of(ending));
            }
        }
    }

    fn send_all(&mut self, messages: impl IntoIterator<Item = ToGranter>) {
        for message in messages {
            self.send(&message);
        }
    }

    fn send(&mut self, message: &ToGranter) {
        self.outgoing.push(message).expect("no message to a granter is too large for a frame");
    }
}

impl Drop for Desk {
    /// The leases that are left run to their deadlines.
    fn drop(&mut self) {
        for tenure in self.effects.tenures.values() {
            tenure.set_adrift();
        }
    }
}

/// Why a lease is being closed: what the same input says of it later.
fn ending_of(handle: Handle, rest: &[Output]) -> Ending {
    let ending = rest.iter().find_map(|output| match output {
        Output::Changed { handle: of, change: Change::Ended(ending) } if *of == handle => {
            Some(*ending)
        }
        Output::Changed { .. }
        | Output::Send(_)
        | Output::Reconnect
        | Output::Hold { .. }
        | Output::Suspend { .. }
        | Output::Close { .. }
        | Output::Opened(_)
        | Output::NotOpened(_)
        | Output::WakeAt { .. } => None,
    });
    ending.unwrap_or(Ending::Released)
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
