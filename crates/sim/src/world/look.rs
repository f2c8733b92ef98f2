//! What can be done at this instant, for the checkers that judge a state.

use tlease_core::holder::Handle;
use tlease_core::{Fence, Mode};

use super::World;
use super::node::{Guard, Node};
use crate::checkers::{exclusion, i2, i4, i5, i7, i9, i13, i19, i25, i52};

/// A lease under which somebody can act at this instant: its machine calls it valid, or its guard lets
/// an act pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usable {
    pub(crate) name: u64,
    pub(crate) mode: Mode,
    pub(crate) fence: Fence,
    pub(crate) node: usize,
    pub(crate) handle: Handle,
}

/// An effect of an act that became visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// When, in true nanoseconds.
    pub at: u64,
    /// Whose.
    pub node: usize,
    /// The number of the name.
    pub name: u64,
    /// Under which fence.
    pub fence: Fence,
    /// In which mode.
    pub mode: Mode,
}

impl World {
    /// Has every checker of states look.
    pub(crate) fn look(&mut self) {
        self.find_usable();
        self.judge(exclusion::CLAIM, exclusion::check(&self.usable));
        let admitted = self.checkers.resources.check(&self.usable);
        self.judge(i7::CLAIM, admitted);
        if !self.usable.is_empty() && self.now >= self.granter_paused && self.is_serving() {
            self.judge(i4::CLAIM, i4::check(&self.usable, &self.checkers.witness));
        }
    }

    /// Whether the granter makes new grants, and can have told of all that it did.
    pub(crate) fn is_serving(&mut self) -> bool {
        let watched = self.granter.is_some() && self.checkers.witness.watching;
        // A granter that waits after a restart is asked now and then; its first new grant tells as well.
        if watched && !self.checkers.witness.serving && self.now >= self.checkers.ask_at {
            self.checkers.ask_at = self.now + self.options.scale / 400;
            let status = self.status();
            self.checkers.witness.serving = status.is_some_and(|status| status.wait_left.is_none());
        }
        watched && self.checkers.witness.serving
    }

    /// Finds every lease that its machine calls usable, or that its guard lets pass, now.
    pub(crate) fn find_usable(&mut self) {
        let mut broken = None;
        let mut found = Vec::new();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if self.now < node.asleep || node.deceived {
                continue;
            }
            let threads = node.clock.threads(self.now);
            let kept = node.clock.kept_fast_promise();
            if let Err((claim, what)) = i19::look(&node.anchors, &threads, self.now, kept) {
                broken = Some((claim, format!("holder {index}: {what}")));
            }
            if node.clock.bridged_wrongly() {
                let what = format!("holder {index}: a segment went on after a contradiction");
                broken = Some((i19::CLAIM, what));
            }
            let now = node.clock.exactly(self.now);
            let at_most = node.clock.at_most(self.now);
            for (handle, seen) in &node.leases {
                // What is over is looked at now and then: it has to stay over.
                if seen.ended && !self.steps.is_multiple_of(16) {
                    continue;
                }
                // The guard charges what a segment can hide; the machine of a host does not.
                let asked = !node.clock.is_host();
                let proof = node.holder.held(*handle, now).ok().filter(|_| asked);
                let by_machine = proof.map(|held| (held.fence(), held.mode()));
                let one_for_all = node.clock.is_one_for_all();
                let open = match seen.guard {
                    Guard::Open(hold) => {
                        let passes = node.clock.passes(&node.hand, &hold, 0, self.now);
                        passes.then_some(hold)
                    }
                    Guard::NotYet | Guard::Suspended | Guard::Closed => None,
                };
                let by_guard = open.map(|hold| (hold.fence, hold.mode));
                let valid = || node.holder.held(*handle, at_most).is_ok();
                let verdicts = [
                    (i2::CLAIM, i2::check(node.clock.kept_fast_promise(), self.now, seen, open)),
                    (i5::CLAIM, i5::check(node.broken_at, seen, open)),
                    (i52::CLAIM, i52::check(node.doubted_at, seen, open)),
                    (i13::CLAIM, i13::check(seen, seen.was_over && valid())),
                    (
                        i9::CLAIM,
                        i9::agrees(one_for_all && by_machine.is_some(), by_guard.is_some()),
                    ),
                    (i25::CLAIM, i25::check(self.now, node.clock.segment(), seen, open)),
                ];
                for (claim, verdict) in verdicts {
                    if let Err(what) = verdict {
                        broken = Some((claim, format!("holder {index} {handle:?}: {what}")));
                    }
                }
                let one = by_machine.or(by_guard);
                let other = by_guard.filter(|by_guard| Some(*by_guard) != one);
                for (fence, mode) in one.into_iter().chain(other) {
                    let name = seen.name;
                    let lease = Usable { name, mode, fence, node: index, handle: *handle };
                    found.push((node.excused, lease));
                }
            }
        }
        if let Some((claim, what)) = broken {
            self.violated(claim, || what);
        }
        self.sort_out(found);
    }

    /// What counts for somebody, and what only copies of one machine can do.
    fn sort_out(&mut self, found: Vec<(bool, Usable)>) {
        let excused = found.iter().filter(|(excused, _)| *excused);
        let excused: Vec<_> =
            excused.map(|(_, lease)| (lease.node, lease.name, lease.fence)).collect();
        if Node::act_together(&excused) {
            self.count("copies act together", 1);
        }
        let counts = found.into_iter().filter(|(excused, _)| !excused);
        self.usable = counts.map(|(_, lease)| lease).collect();
        // A lease whose machine and guard differ in mode for a moment is one lease.
        self.usable.dedup_by(|a, b| (a.node, a.handle, a.mode) == (b.node, b.handle, b.mode));
    }
}
