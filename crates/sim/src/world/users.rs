//! Acts: what users do and what goes wrong.

use tlease_core::Mode;
use tlease_core::granter;
use tlease_core::holder::{Handle, Input, Renewal};
use tlease_core::identity::AskId;
use tlease_core::message::{Acquire, Ask, Force, ToGranter, Wait};
use tlease_core::time::Span;

use super::clock::Interrupted;
use super::node::{Guard, Node, Seen, name_of};
use super::{Event, OBSERVER, World};
use crate::act::{Act, ClockAct, Lease, WaitFor, Want};
use crate::options::ClockPlan;
use crate::trace::What;

impl World {
    /// Does one act now. A machine that is paused does nothing, but things happen to it.
    pub fn act(&mut self, act: &Act) {
        // Of a copy that was never made.
        if act.node().is_some_and(|node| node >= self.nodes.len()) {
            return;
        }
        self.tell(|| What::Act(act.clone()));
        self.happens(act);
    }

    fn happens(&mut self, act: &Act) {
        match act {
            Act::Want(want) => self.want(want),
            Act::Release { node, lease } => {
                self.with_a_lease(*node, *lease, |handle| Input::Release { handle });
            }
            Act::Renew { node, lease, term } => {
                let term = term.map(Span::from_nanos);
                self.with_a_lease(*node, *lease, |handle| Input::Renew { handle, term });
            }
            Act::Downgrade { node, lease } => {
                self.with_a_lease(*node, *lease, |handle| Input::Downgrade { handle });
            }
            Act::Forget { node, lease } => {
                if let Some(handle) =
                    self.with_a_lease(*node, *lease, |handle| Input::Forget { handle })
                {
                    self.nodes[*node].leases.remove(&handle);
                }
            }
            Act::Wake { node } => {
                if self.runs(*node) {
                    self.feed(*node, Input::Wake);
                }
            }
            Act::Commit { node, lease } => self.commit(*node, *lease),
            Act::Recall { name, grace, at_once } => self.recall(*name, *grace, *at_once),
            Act::Pause { node, lasts } => {
                let node = &mut self.nodes[*node];
                node.paused = node.paused.max(self.now + lasts);
                node.clock.interrupt(Interrupted::All, *lasts, self.now);
            }
            Act::Write { node, lease, delay } => self.send_write(*node, *lease, *delay),
            Act::Clock { node, clock } => self.clock_happens(*node, clock),
            Act::Cut { node } => {
                if let Some(conn) = self.nodes[*node].conn {
                    self.break_conn(conn);
                }
            }
            Act::Replace { node, clock } => self.replace(*node, clock),
            Act::Snapshot { node } => self.snapshot(*node),
            Act::RollBackHolder { node, told } => self.roll_back_holder(*node, *told),
            Act::Clone { node, told } => self.copy(*node, *told),
            Act::PauseGranter { lasts } => {
                self.granter_paused = self.granter_paused.max(self.now + lasts);
                self.granter_clock.interrupt(Interrupted::All, *lasts, self.now);
            }
            Act::ClockGranter { clock } => self.granter_clock.happen(clock, self.now),
            Act::Crash => {
                if self.granter.is_some() {
                    self.crash();
                }
            }
            Act::RollBack { writes } => {
                self.crash();
                self.disk.roll_back(*writes);
            }
            Act::Part { link, lasts } => self.parted.push((*link, self.now + lasts)),
            Act::Stop => {
                if self.granter.is_some() && self.now >= self.granter_paused {
                    self.feed_granter(granter::Input::Stop);
                }
            }
            Act::Lie(lie) => self.lie(lie),
            Act::Rule(rule) => self.rules.push(rule.clone()),
        }
    }

    fn clock_happens(&mut self, node: usize, clock: &ClockAct) {
        let node = &mut self.nodes[node];
        node.clock.happen(clock, self.now);
        // Whatever its hand cannot measure across, the next renewal grants anew.
        node.leases.values_mut().for_each(|seen| seen.recalled = None);
        match clock {
            ClockAct::Suspend { lasts } | ClockAct::Migrate { lasts } => {
                // One after the other.
                node.asleep = node.asleep.max(self.now) + lasts;
                node.paused = node.paused.max(node.asleep);
                if matches!(clock, ClockAct::Migrate { .. }) {
                    node.stopped = node.asleep;
                }
                node.disruptions += 1;
                if node.clock.sees(clock) {
                    node.broken_at = Some(self.now);
                }
            }
            ClockAct::Break { .. } => {
                node.disruptions += 1;
                if node.clock.sees(clock) {
                    node.broken_at = Some(self.now);
                }
            }
            ClockAct::Jump { .. }
            | ClockAct::Rate { .. }
            | ClockAct::Vanish { .. }
            | ClockAct::Appear { .. }
            | ClockAct::Exit { .. }
            | ClockAct::Core { .. }
            | ClockAct::Counter { .. } => {}
        }
    }

    fn runs(&self, node: usize) -> bool {
        self.now >= self.nodes[node].paused
    }

    fn want(&mut self, want: &Want) {
        if !self.runs(want.node) {
            return;
        }
        while self.names.len() as u64 <= want.name {
            self.names.push(name_of(self.names.len() as u64));
        }
        let wait = match want.wait {
            WaitFor::Try => Wait::Try,
            WaitFor::AtMost(nanos) => Wait::AtMost(Span::from_nanos(nanos)),
            WaitFor::Ever => Wait::Unbounded,
        };
        let mode = if want.shared { Mode::Shared } else { Mode::Exclusive };
        let term = Span::from_nanos(want.term);
        let acquire = Acquire { name: name_of(want.name), mode, term, wait, value: None };
        self.last_handle += 1;
        let number = self.last_handle;
        let handle = Handle(if self.options.handles_fall { u64::MAX - number } else { number });
        let renewal = if want.by_hand { Renewal::ByHand } else { Renewal::Automatic };
        let seen = Seen {
            name: want.name,
            number,
            guard: Guard::NotYet,
            version: 0,
            anchors: Vec::new(),
            anchored_at: 0,
            was_over: false,
            ended: false,
            recalled: None,
        };
        self.nodes[want.node].leases.insert(handle, seen);
        self.feed(want.node, Input::Acquire { handle, acquire, renewal });
    }

    fn with_a_lease(
        &mut self,
        node: usize,
        lease: Lease,
        input: impl FnOnce(Handle) -> Input,
    ) -> Option<Handle> {
        let handle = self.nodes[node].find(lease).filter(|_| self.runs(node))?;
        self.feed(node, input(handle));
        Some(handle)
    }

    fn recall(&mut self, name: u64, grace: u64, at_once: bool) {
        if self.status().is_none() || self.now < self.granter_paused {
            return;
        }
        let force = if at_once { Force::Now } else { Force::Grace };
        let ask = Ask::Recall { name: name_of(name), grace: Span::from_nanos(grace), force };
        let message = ToGranter::Ask { id: AskId(9), ask };
        self.feed_granter(granter::Input::Received { peer: OBSERVER, message });
    }

    /// A holder dies with all it has, and another begins in its place.
    pub(super) fn replace(&mut self, node: usize, clock: &ClockPlan) {
        if let Some(conn) = self.nodes[node].conn {
            self.break_conn(conn);
        }
        self.nodes[node] = Node::begin(clock, &mut self.draws.clocks, self.now, self.planted);
        let later = self.now + self.delay();
        self.at(later, Event::Connect(node));
    }
}
