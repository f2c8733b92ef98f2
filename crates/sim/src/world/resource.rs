//! A resource outside of memory: it cannot know whether a lease is valid, and refuses old fences.

use tlease_core::holder::Hold;
use tlease_core::{Fence, FenceGate, Mode};

use super::{Event, World};
use crate::act::Lease;
use crate::checkers::i7;
use crate::trace::{What, is_shared};

/// A write on its way to the resource of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    pub(crate) name: u64,
    pub(crate) fence: Fence,
    pub(crate) mode: Mode,
}

/// The resource of one name: the gate that ships.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    pub(crate) gate: FenceGate,
}

impl World {
    /// A user who sees that its lease is valid sends a write, which arrives whenever it does.
    pub(crate) fn send_write(&mut self, node: usize, lease: Lease, delay: u64) {
        let doer = &mut self.nodes[node];
        let Some(handle) = doer.find(lease).filter(|_| self.now >= doer.paused) else { return };
        let now = doer.clock.at_most(self.now);
        let Ok(held) = doer.holder.held(handle, now) else { return };
        let name = doer.leases[&handle].name;
        let write = Write { name, fence: held.fence(), mode: held.mode() };
        self.at(self.now + delay, Event::WriteArrives(write));
    }

    /// A user who has just got a lease writes under it, soon or long after it is over.
    pub(crate) fn write_late(&mut self, name: u64, hold: &Hold) {
        if !self.healed && self.draws.cpu.chance(self.options.commits_at_end / 2) {
            let later = self.now + self.draws.cpu.between(0, hold.term.as_nanos() * 2);
            let write = Write { name, fence: hold.fence, mode: hold.mode };
            self.at(later, Event::WriteArrives(write));
        }
    }

    pub(crate) fn write_arrives(&mut self, write: Write) {
        let resource = self.resources.entry(write.name).or_default();
        let admitted = resource.gate.admit(write.fence, write.mode).is_ok();
        let admitted = admitted || planted!(self.planted, ResourceIgnoresFences);
        self.tell_with_hands(|| What::Write {
            name: write.name,
            fence: write.fence.get(),
            shared: is_shared(write.mode),
            admitted,
        });
        if !admitted {
            return self.count("write refused as stale", 1);
        }
        self.count("write admitted", 1);
        let in_order = self.checkers.writes.happened(write.name, write.fence, write.mode);
        self.judge(i7::CLAIM, in_order);
    }
}
