//! What a hypervisor can do to a holder's machine: keep a snapshot of it, let it go on from one, and let
//! a copy of it go on beside it. VMClock tells a machine of that, or nobody does.
//!
//! A machine that was not told breaks assumptions (A7, A10) for itself: its leases count for nobody
//! any more ([`Node::excused`]). What still holds is checked on: that it acts no longer than a term after
//! its last renewal was sent, if its clock is right, and every claim of everybody else.

use tlease_core::holder::Input;
use tlease_core::identity::{Secret, SessionId};

use super::node::Node;
use super::{Event, World};
use crate::act::Told;
use crate::options::ClockPlan;

impl World {
    /// A snapshot of the machine is kept. Not of an enclave: its memory is in no snapshot.
    pub(super) fn snapshot(&mut self, node: usize) {
        let now = self.now;
        let node = &mut self.nodes[node];
        if node.clock.can_be_copied() {
            node.kept = None;
            let mut kept = node.clone();
            kept.clock.run_to(now);
            node.kept = Some(Box::new(kept));
        }
    }

    /// The machine goes on from its last snapshot, clock and all, as if no time had passed since.
    pub(super) fn roll_back_holder(&mut self, index: usize, told: bool) {
        let node = &mut self.nodes[index];
        let Some(kept) = node.kept.clone() else { return };
        if told && !kept.clock.can_be_told() {
            return;
        }
        let conn = node.conn.take();
        let mut back = (*kept).clone();
        back.kept = Some(kept);
        (back.conn, back.paused, back.asleep) = (None, node.paused, node.asleep);
        back.disruptions = node.disruptions;
        back.excused = node.excused || !told;
        back.clock.goes_on_at(self.now);
        if !told {
            back.clock.falls_behind();
        }
        *node = back;
        // What its threads were in the midst of was not in the snapshot.
        self.sections.retain(|_, section| section.node() != index);
        if let Some(conn) = conn {
            self.is_cut_off(conn);
        }
        if told {
            self.tell_of_the_copy(index);
        }
        self.begins_alone(index);
    }

    /// A copy of the machine goes on beside it, as the last of the holders. Of the connection only one of
    /// them can make use: that is the original.
    pub(super) fn copy(&mut self, index: usize, told: Told) {
        let node = &mut self.nodes[index];
        let heard_of = told == Told::Nobody || node.clock.can_be_told();
        if !node.clock.can_be_copied() || !heard_of {
            return;
        }
        node.clock.run_to(self.now);
        node.excused |= told == Told::Nobody;
        let mut copy = node.clone();
        copy.conn = None;
        let beside = self.nodes.len();
        self.nodes.push(copy);
        match told {
            Told::Both => {
                self.tell_of_the_copy(index);
                self.tell_of_the_copy(beside);
            }
            Told::Copy => self.tell_of_the_copy(beside),
            Told::Nobody => {}
        }
        self.begins_alone(beside);
    }

    /// VMClock says that there is another: guards refuse at once, and the driver learns of it with the
    /// next reading of its clock.
    fn tell_of_the_copy(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.clock.is_told_of_a_copy(self.now);
        node.copied = true;
        node.disruptions += 1;
        node.broken_at = Some(self.now);
        node.leases.values_mut().for_each(|seen| seen.recalled = None);
    }

    /// Its connection leads nowhere, which it finds out, and what it asked to be woken for stands.
    fn begins_alone(&mut self, index: usize) {
        if let Some(wake) = self.nodes[index].wake {
            let wake = wake.max(self.now);
            self.nodes[index].wake = Some(wake);
            self.at(wake, Event::HolderWake(index, wake));
        }
        let later = self.now + self.delay();
        self.at(later, Event::CopySees(index));
    }

    pub(super) fn copy_sees(&mut self, index: usize) {
        if self.now < self.nodes[index].paused {
            return self.at(self.nodes[index].paused, Event::CopySees(index));
        }
        if self.nodes[index].conn.is_none() {
            self.feed(index, Input::Disconnected);
            let later = self.now + self.delay();
            self.at(later, Event::Connect(index));
        }
    }

    /// The input that tells a holder that its machine may be a copy, if it was told and has not been fed.
    pub(super) fn hears_of_the_copy(&mut self, index: usize) -> Option<Input> {
        if !std::mem::take(&mut self.nodes[index].copied) {
            return None;
        }
        self.count("told of a copy", 1);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.draws.copies.next().to_le_bytes());
        Some(Input::Copied { session: SessionId(id), secret: Secret(id) })
    }

    /// An operator ends what should never have been: machines that are copies and do not know it, and those
    /// that were deceived.
    pub(super) fn end_what_is_excused(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].excused || self.nodes[index].deceived {
                self.replace(index, &ClockPlan::exact());
            }
        }
    }

    /// For a scenario: what is assumed of this holder is broken on purpose. Its leases count for nobody.
    pub fn excuse(&mut self, node: usize) {
        self.nodes[node].excused = true;
    }

    /// The same of the granter: its hand may run ahead (A1).
    pub const fn excuse_granter(&mut self) {
        self.granter_excused = true;
    }

    /// How many holders there are, copies included.
    #[must_use]
    pub const fn holders(&self) -> usize {
        self.nodes.len()
    }
}

impl Node {
    /// Notes that two copies act under one lease at the same instant, which only they can.
    pub(super) fn act_together(excused: &[(usize, u64, tlease_core::Fence)]) -> bool {
        excused.iter().enumerate().any(|(index, (node, name, fence))| {
            let others = excused.iter().skip(index + 1);
            others
                .into_iter()
                .any(|other| other.0 != *node && (other.1, other.2) == (*name, *fence))
        })
    }
}
