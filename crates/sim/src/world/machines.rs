//! Feeds the machines and does what they put out.

use tlease_core::granter::{self, Exit};
use tlease_core::holder::{self, Change, Handle, Hold, View};
use tlease_core::identity::Peer;
use tlease_core::message::{Answer, EventReason, FromGranter, Status, ToGranter};
use tlease_core::time::{FastInstant, Now, SlowInstant, Span};

use super::node::Guard;
use super::{Event, OBSERVER, STATUS, World};
use crate::checkers::Checkers;
use crate::checkers::i3::{Answered, Stamps};
use crate::checkers::witness::Step;
use crate::checkers::{i1, i2, i3, i4, i6, i7, i9, i11, i12, i14, i17, i18, i25, i26, i50, i51};
use crate::trace::What;

/// The input that made a holder put something out.
#[derive(Debug, Clone, Copy)]
struct Cause {
    answered: Answered,
    bulk: Option<i14::Request>,
    stamp: FastInstant,
}

impl World {
    /// Feeds a holder, does what it puts out, and checks that anchors move only as they may.
    pub(crate) fn feed(&mut self, index: usize, input: holder::Input) {
        self.feed_copied(index);
        self.feed_one(index, input);
    }

    /// What its driver finds with the next reading of the clock, before it feeds anything else.
    pub(crate) fn feed_copied(&mut self, index: usize) {
        if let Some(copied) = self.hears_of_the_copy(index) {
            let before = self.nodes[index].holder.session();
            self.nodes[index].given_up.push(before);
            self.feed_one(index, copied);
            let node = &self.nodes[index];
            let gave_up = i26::gave_up(before, node.holder.session(), node.leases.values());
            self.judge(i26::CLAIM, gave_up);
        }
    }

    fn feed_one(&mut self, index: usize, input: holder::Input) {
        self.judges = !self.nodes[index].deceived;
        self.does(index, input);
        self.judges = true;
    }

    /// Feeds it, and does and judges what comes out of it.
    fn does(&mut self, index: usize, input: holder::Input) {
        self.tell_in_holder(index, &input);
        let node = &mut self.nodes[index];
        let now = node.clock.fast_now(&mut self.draws.clocks, self.now);
        let stamp = now.send_anchor();
        node.stamps.push((stamp, self.now));
        node.hears(&input, &self.names, self.now, &now);
        let advance = node.advanced(now, self.now);
        let bulk = i14::answered(index, node.holder.session(), &input);
        let cause = Cause { answered: i3::answered(&input), bulk, stamp };
        let outputs: Vec<holder::Output> = node.holder.handle(now, input).collect();
        for (handle, seen) in node.leases.iter_mut().filter(|(_, seen)| !seen.ended) {
            seen.was_over |= matches!(node.holder.view(*handle, now), Some(View::Ended(_)));
        }
        self.judge(i2::CLAIM, advance);
        for output in outputs {
            self.tell_out_holder(index, &output);
            match output {
                holder::Output::Send(message) => {
                    if let ToGranter::Request(request) = &message {
                        self.nodes[index].sent.insert(request.id, stamp);
                    }
                    let closed = i9::leaves(self.nodes[index].leases.values(), &message);
                    self.judge(i9::CLAIM, closed);
                    let over = self.nodes[index].conn.map(|conn| self.session_over(conn));
                    let given_up = i26::leaves(&self.nodes[index].given_up, over, &message);
                    self.judge(i26::CLAIM, given_up);
                    self.send_to_granter(index, message);
                }
                holder::Output::Hold { handle, hold } => {
                    self.opens(index, handle, hold, cause);
                }
                holder::Output::Suspend { handle } => {
                    match self.nodes[index].leases.get_mut(&handle) {
                        Some(seen) if seen.guard != Guard::Closed => {
                            seen.guard = Guard::Suspended;
                            seen.version += 1;
                        }
                        Some(_) => {}
                        None => self.unknown(index, handle),
                    }
                }
                holder::Output::Close { handle } => {
                    match self.nodes[index].leases.get_mut(&handle) {
                        Some(seen) => {
                            seen.guard = Guard::Closed;
                            seen.version += 1;
                            let name = seen.name;
                            self.tell(|| What::Close { node: index, name });
                        }
                        None => self.unknown(index, handle),
                    }
                }
                holder::Output::Changed { handle, change } => self.changed(index, handle, change),
                holder::Output::WakeAt { after, .. } => {
                    let when = self.wake_time(after);
                    self.nodes[index].wake = Some(when);
                    self.at(when, Event::HolderWake(index, when));
                }
                holder::Output::Reconnect | holder::Output::NotOpened(_) => {
                    if let Some(conn) = self.nodes[index].conn {
                        self.break_conn(conn);
                    }
                }
                holder::Output::Opened(_) => {}
            }
        }
    }

    /// A guard opens, or moves.
    fn opens(&mut self, index: usize, handle: Handle, hold: Hold, cause: Cause) {
        let node = &mut self.nodes[index];
        let Some(seen) = node.leases.get_mut(&handle) else {
            return self.unknown(index, handle);
        };
        let opens = i9::opens(seen, &hold);
        let stamps = Stamps { sent: &node.sent, all: &node.stamps, now: cause.stamp };
        let anchor = i3::check(seen, &hold, cause.answered, &stamps);
        seen.guard = Guard::Open(hold);
        seen.version += 1;
        let (name, end) = (seen.name, seen.anchored_at + hold.term.as_nanos());
        self.judge(i9::CLAIM, opens);
        self.judge(i3::CLAIM, anchor);
        if let Some(request) = cause.bulk {
            let agreed = self.checkers.bulk.moves(request, name, &hold);
            self.judge(i14::CLAIM, agreed);
        }
        self.tell_hold(index, handle, &hold);
        self.write_late(name, &hold);
        self.commit_at_the_end(index, handle, end);
    }

    #[cfg(feature = "mutants")]
    fn reads_clock_early(&self) -> bool {
        planted!(self.planted, ClockReadBeforeInput)
    }

    fn unknown(&mut self, index: usize, handle: Handle) {
        self.violated(i17::CLAIM, || format!("holder {index} speaks of an unknown {handle:?}"));
    }

    fn changed(&mut self, index: usize, handle: Handle, change: Change) {
        self.count(change_word(&change), 1);
        let Some(seen) = self.nodes[index].leases.get_mut(&handle) else {
            return self.unknown(index, handle);
        };
        match change {
            Change::Ended(_) => {
                let (once, closed) = (i12::ends(seen), i9::ends(seen));
                seen.ended = true;
                self.judge(i12::CLAIM, once);
                self.judge(i9::CLAIM, closed);
            }
            Change::ClocksDisagree(disagreement) => {
                let kept = i50::Kept {
                    slow: self.granter_clock.kept_slow_promise(),
                    fast: self.nodes[index].clock.kept_fast_promise(),
                };
                self.nodes[index].doubted_at = Some(self.now);
                self.judge(i50::CLAIM, i50::check(kept, disagreement));
            }
            Change::Acquired if self.healed => self.release_soon(index, handle),
            Change::Queued { .. }
            | Change::Acquired
            | Change::Renewed
            | Change::NotRenewed(_)
            | Change::Downgraded
            | Change::Suspect
            | Change::Jeopardy
            | Change::Recalled { .. } => {}
        }
    }

    /// Feeds the granter and does what it puts out; it may crash between any two outputs.
    pub(crate) fn feed_granter(&mut self, input: granter::Input) {
        self.tell_in_granter(&input);
        let now = self.granter_clock.slow_now(&mut self.draws.clocks, self.now);
        self.check_slow_hand(now);
        #[cfg(feature = "mutants")]
        let now = self.slow_before.replace(now).filter(|_| self.reads_clock_early()).unwrap_or(now);
        let Some(granter) = &mut self.granter else { return };
        let of_recalled = self.checkers.recalled.renewal(&input);
        let outputs: Vec<granter::Output> = granter.handle(now, input.clone()).collect();
        self.checkers.promised.note(&input, &outputs, self.now);
        self.judge(i51::CLAIM, i51::check(&input, &outputs));
        if let Some(id) = of_recalled {
            self.judge(i25::CLAIM, i25::renewed(id, &outputs));
        }
        self.perform(outputs);
    }

    pub(crate) fn check_slow_hand(&mut self, now: Now<SlowInstant>) {
        let hand = self.granter_clock.slow_hand(self.planted);
        let verdict = self.checkers.slow_stamps.read(&hand, now, self.now);
        if !self.granter_excused {
            self.judge(i1::CLAIM, verdict);
        }
        if let Some(executed) = self.granter_clock.executed(self.now) {
            self.judge(i18::CLAIM, i18::check(executed));
        }
    }

    pub(crate) fn perform(&mut self, outputs: Vec<granter::Output>) {
        for output in outputs {
            self.tell_out_granter(&output);
            let crash_between = self.options.crash_between;
            if !self.healed && crash_between > 0 && self.draws.crashes.below(1_000) < crash_between
            {
                return self.crash();
            }
            match output {
                granter::Output::Persist { id, record } => self.write(id, record),
                granter::Output::Send { peer, message } => self.sent_by_granter(peer, message),
                granter::Output::Close { peer, .. } => self.granter_closes(peer),
                granter::Output::WakeAt { after, .. } => {
                    let when = self.granter_wake_time(after);
                    self.granter_wake = Some(when);
                    self.at(when, Event::GranterWake(when));
                }
                granter::Output::Reported { .. } => self.count("disagreement reported", 1),
                granter::Output::Stopped { exit } => {
                    if exit == Exit::Settled {
                        self.find_usable();
                        self.judge(i6::CLAIM, i6::settled(&self.disk));
                        self.judge(i4::CLAIM, i4::settled(&self.usable));
                    }
                    return self.crash();
                }
            }
        }
    }

    fn sent_by_granter(&mut self, peer: Peer, message: FromGranter) {
        if peer == OBSERVER {
            self.observe(message);
        } else {
            if matches!(message, FromGranter::Reply { moved: Some(_), .. }) {
                self.count("stamped reply", 1);
            }
            self.judge(i6::CLAIM, i6::check(&self.disk, &message));
            let epoch = self.checkers.epochs.sent(&message);
            self.judge(i12::CLAIM, epoch);
            if let FromGranter::Reply { id, reply, .. } = &message
                && let (Some(node), Some(session)) = (self.node_of(peer), self.session_of(peer))
            {
                let Checkers { bulk, witness, fences, .. } = &mut self.checkers;
                bulk.answers((node, session, *id), reply, witness, fences.highest());
            }
            self.tell_promise(peer, &message);
            self.send_to_holder(peer, message);
        }
    }

    fn observe(&mut self, message: FromGranter) {
        match message {
            FromGranter::Happened { event, .. } => {
                self.count(reason_word(event.reason), 1);
                let name = self.name_number(&event.name);
                self.tell_event(name, &event);
                let step = self.checkers.witness.happened(name, &event);
                if matches!(step, Step::Began) || event.reason == EventReason::Reclaimed {
                    self.liar_hears_of(&event.name, event.fence);
                }
                if step == Step::Began {
                    let rises = self.checkers.fences.given(event.fence);
                    self.judge(i7::CLAIM, rises);
                    let Checkers { witness, born, .. } = &self.checkers;
                    let waited = i11::check(&self.nodes, witness, *born, self.now);
                    self.judge(i11::CLAIM, waited);
                }
                self.judge(i12::CLAIM, i12::step(step));
                self.checkers.recalled.happened(&event);
                let kept = self.checkers.promised.happened(&event, self.now);
                if self.checkers.witness.serving && !self.granter_excused {
                    self.judge(i1::CLAIM, kept);
                }
            }
            FromGranter::Answer { answer, .. } => match *answer {
                Answer::Status(status) => {
                    self.judge(i17::CLAIM, i17::bounded(&self.options, &status));
                    self.checkers.witness.status = Some(status);
                }
                Answer::Watching { .. } => self.checkers.witness.watching = true,
                Answer::Entry(_)
                | Answer::Page { .. }
                | Answer::Unwatched
                | Answer::Recalling { .. }
                | Answer::Refused(_) => {}
            },
            FromGranter::Opened(_)
            | FromGranter::NotOpened(_)
            | FromGranter::Reply { .. }
            | FromGranter::Recalled { .. } => {
                self.violated(i17::CLAIM, || "an observer has no session".to_owned());
            }
        }
    }

    /// What the granter says of itself, once it can be asked.
    pub(crate) fn status(&mut self) -> Option<Status> {
        if !self.checkers.witness.watching {
            return None;
        }
        let ask = tlease_core::message::Ask::Status;
        let message = ToGranter::Ask { id: STATUS, ask };
        self.feed_granter(granter::Input::Received { peer: OBSERVER, message });
        self.checkers.witness.status.take()
    }

    /// When a driver wakes that was asked to: later than asked, as drivers do, and perhaps earlier
    /// than the hand has come so far.
    fn wake_time(&mut self, after: Span) -> u64 {
        if self.draws.wakes.chance(10) {
            return self.now + after.as_nanos();
        }
        let late = if self.draws.wakes.chance(self.options.wakes_late) {
            self.options.scale / 40
        } else {
            400_000
        };
        self.now + after.as_nanos() + self.draws.wakes.between(1, late)
    }

    /// As above, but not while its clock cannot have moved on.
    fn granter_wake_time(&mut self, after: Span) -> u64 {
        let again = self.granter_asked.replace(after) == Some(after);
        // Nor for the same time again and again beside a clock that stands still or moves in large steps.
        let stands = if again { self.options.scale / 1_000 } else { 0 };
        self.wake_time(after).max(self.now + self.granter_clock.stands()) + stands
    }
}

const fn change_word(change: &Change) -> &'static str {
    match change {
        Change::Queued { .. } => "queued",
        Change::Acquired => "acquired",
        Change::Renewed => "renewed",
        Change::NotRenewed(_) => "not renewed",
        Change::Downgraded => "downgraded",
        Change::Suspect => "suspect",
        Change::ClocksDisagree(_) => "clocks disagree",
        Change::Jeopardy => "jeopardy",
        Change::Recalled { .. } => "recalled",
        Change::Ended(_) => "ended",
    }
}

const fn reason_word(reason: EventReason) -> &'static str {
    match reason {
        EventReason::Granted => "granted by the granter",
        EventReason::Offered => "offered by the granter",
        EventReason::Lapsed => "lapsed by the granter",
        EventReason::RenewedLate => "renewed late by the granter",
        EventReason::Reclaimed => "reclaimed by the granter",
        EventReason::Downgraded => "downgraded by the granter",
        EventReason::Released => "released by the granter",
        EventReason::Expired => "expired by the granter",
        EventReason::Recalled => "recalled by the granter",
        EventReason::Forced => "forced by the granter",
    }
}
