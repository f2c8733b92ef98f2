//! After the trouble: whatever is still wanted is granted within a bound, and nothing is left over.

use tlease_core::holder::{Handle, Input, View};

use super::node::Guard;
use super::{Event, World};
use crate::checkers::liveness;
use crate::trace::What;

impl World {
    /// From now on nothing goes wrong, and users give back what they get.
    pub(crate) fn heal_and_settle(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.heal();
        if !self.options.demands_liveness {
            return;
        }
        let wishes = self.nodes.iter().map(|node| node.leases.len() as u64).sum();
        let bound = self.now + liveness::bound(&self.options, wishes);
        while self.violation.is_none() {
            let unmet = self.unmet();
            // What nobody knows of any more runs out.
            if unmet == 0 && !self.leftovers() {
                break;
            }
            if !self.step(bound) {
                let stuck = self.stuck();
                self.violated(liveness::CLAIM, || {
                    format!(
                        "{unmet} wishes not granted by {bound}, or something left over: {stuck}"
                    )
                });
            }
        }
        self.count("steps", self.steps);
    }

    fn heal(&mut self) {
        self.tell(|| What::Healed);
        self.healed = true;
        self.granter_paused = 0;
        self.granter_clock.heal(self.now);
        if self.options.heals_with_reset {
            self.reset_connections();
        }
        self.end_damaged_connections();
        self.liar_leaves();
        self.end_what_is_excused();
        for node in 0..self.nodes.len() {
            self.nodes[node].paused = 0;
            self.nodes[node].asleep = 0;
            self.nodes[node].stopped = 0;
            self.nodes[node].clock.heal(self.now);
            // A source that appears is a break too: the next renewal grants a recall's grace anew.
            self.nodes[node].leases.values_mut().for_each(|seen| seen.recalled = None);
            let wake = self.now + 1;
            self.nodes[node].wake = Some(wake);
            self.at(wake, Event::HolderWake(node, wake));
            if self.nodes[node].conn.is_none() {
                self.at(self.now + 2, Event::Connect(node));
            }
            let held = self.nodes[node].leases.iter();
            let held: Vec<Handle> = held
                .filter(|(_, seen)| matches!(seen.guard, Guard::Open(_)))
                .map(|(handle, _)| *handle)
                .collect();
            for handle in held {
                self.release_soon(node, handle);
            }
        }
    }

    /// All begin anew; the granter perhaps too.
    fn reset_connections(&mut self) {
        self.events.clear();
        if self.granter.is_none() || self.draws.disk.chance(20) {
            return self.crash();
        }
        let wake = self.now + 1;
        self.granter_wake = Some(wake);
        self.at(wake, Event::GranterWake(wake));
        for conn in 0..self.conns.len() {
            self.conn_is_gone(conn);
        }
        if let Some((id, _)) = self.disk.under_way {
            self.at(self.now + 1, Event::WriteDone(id));
        }
    }

    pub(crate) fn release_soon(&mut self, node: usize, handle: Handle) {
        let later = self.now + self.options.scale / 80;
        self.at(later, Event::Release(node, handle));
    }

    pub(crate) fn release_now(&mut self, node: usize, handle: Handle) {
        let runs = self.now >= self.nodes[node].paused;
        if runs && self.nodes[node].leases.get(&handle).is_some_and(|seen| !seen.ended) {
            self.feed(node, Input::Release { handle });
        }
    }

    fn unmet(&mut self) -> u64 {
        let mut unmet = 0;
        for node in &mut self.nodes {
            let now = node.clock.exactly(self.now);
            for handle in node.leases.keys() {
                match node.holder.view(*handle, now) {
                    Some(View::Pending | View::Valid { .. } | View::Recalled { .. }) => unmet += 1,
                    Some(View::Suspect) => unmet += 1,
                    Some(View::Ended(_)) => {
                        unmet += u64::from(!node.leases[handle].ended);
                    }
                    None => {}
                }
            }
        }
        unmet
    }

    fn stuck(&mut self) -> String {
        let mut stuck = String::new();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let now = node.clock.exactly(self.now);
            for (handle, seen) in node.leases.iter().filter(|(_, seen)| !seen.ended) {
                let view = node.holder.view(*handle, now);
                stuck += &format!("holder {index} {:?} {view:?}; ", seen.name);
            }
        }
        stuck
    }

    fn leftovers(&mut self) -> bool {
        self.status().is_none_or(|status| status.leases + status.waiters > 0)
    }
}
