//! The guarded section of a commit, one instruction after the other, and an OS that interrupts it
//! wherever it likes: between any two instructions a thread can be stopped, single-stepped, or stalled
//! for less than an interrupt. What the hardware promises (A9) is that a transaction that was
//! interrupted, or whose words another core has written, does not commit.

use tlease_core::Fence;
use tlease_core::holder::{Handle, Hold};

use super::clock::Interrupted;
use super::node::{Guard, Node};
use super::{Event, World};
use crate::act::Lease;
use crate::checkers::{i4, i8, i9, i10};
use crate::options::Transactions;
use crate::trace::{What, is_shared};
use crate::world::Effect;

/// A commit under way.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    node: usize,
    handle: Handle,
    fence: Fence,
    next: Step,
    strength: Strength,
    /// For how long a sequence was stalled below the kernel, in nanoseconds.
    stalled: u64,
    /// The transaction was interrupted since it began.
    interrupted: bool,
    /// How often its thread was taken out of its enclave so far.
    exits: u64,
    /// The record as the transaction read it.
    read: Option<(u64, Hold)>,
    /// How often continuity was disrupted when the marker was read.
    marker: u64,
    tries: u32,
}

/// The instructions between which an OS can do something, in the order in which they ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Body,
    State,
    Segment,
    Marks,
    Monotonic,
    Raw,
    Boot,
    Deadline,
    End,
}

/// What makes check and act one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// A transaction.
    Full,
    /// A restartable sequence, where there are no transactions: whatever the kernel knows of restarts it,
    /// and a pause below the kernel does not.
    Restartable,
    /// The same, and the virtual machine was stopped meanwhile, for longer than any margin: beyond what is
    /// claimed.
    Stopped,
}

/// As the above, for sequences: the least that ships.
const PUBLISH_MARGIN: u64 = 500_000;
/// The longest pause below the kernel that this allows for: what was measured.
const STALLED_MAX: u64 = 400_000;
/// Percent of exits that are below the kernel.
const BELOW: u64 = 40;
/// How long before its deadline a lease lets nothing pass any more: the shipped default. Covers the time
/// from the clock reading to the end of the transaction (A6).
const COMMIT_MARGIN: u64 = 50_000;
/// Percent of commits during which the lease is given back.
const REVOCATIONS: u64 = 10;
/// The tries of one commit.
const TRIES_MAX: u32 = 3;

impl Section {
    pub(crate) const fn node(&self) -> usize {
        self.node
    }
}

impl World {
    /// A user acts under a lease: the guarded section begins.
    pub(crate) fn commit(&mut self, node: usize, lease: Lease) {
        let doer = &self.nodes[node];
        if let Some(handle) = doer.find(lease).filter(|_| self.now >= doer.paused) {
            self.begin_commit(node, handle);
        }
    }

    /// As often as the options say, an act is tried just before the end of a lease.
    pub(crate) fn commit_at_the_end(&mut self, node: usize, handle: Handle, end: u64) {
        if !self.healed && self.draws.cpu.chance(25) {
            // The first instant at which nothing may pass any more.
            self.at(end.max(self.now), Event::Look);
        }
        if !self.healed && self.draws.cpu.chance(self.options.commits_at_end) {
            let ahead = self.draws.cpu.pick(&[1_500, 52_000, 60_000, 1_000_000]);
            // As long as a guarded section takes: several, so that one has its clock reading before the
            // end and its effect after it, if it is let.
            let times = if ahead == 1_500 { 6 } else { 1 };
            for _ in 0..times {
                let ahead = self.draws.cpu.between(0, ahead);
                let when = end.saturating_sub(ahead).max(self.now);
                self.at(when, Event::Commit(node, handle));
            }
        }
    }

    pub(crate) fn begin_commit(&mut self, node: usize, handle: Handle) {
        let seen = self.nodes[node].leases.get(&handle);
        let Some(Guard::Open(hold)) = seen.map(|seen| seen.guard) else { return };
        let strength = if self.options.transactions == Transactions::Absent {
            // Its user publishes instead.
            self.count("commit unsupported", 1);
            Strength::Restartable
        } else {
            Strength::Full
        };
        self.last_section += 1;
        let section = Section {
            node,
            handle,
            fence: hold.fence,
            next: Step::Begin,
            strength,
            stalled: 0,
            interrupted: false,
            exits: self.nodes[node].clock.actor(self.now).0,
            read: None,
            marker: 0,
            tries: 0,
        };
        self.sections.insert(self.last_section, section);
        self.next_instruction(self.last_section);
        if !self.healed && self.draws.cpu.chance(REVOCATIONS) {
            // Another thread gives the lease back meanwhile.
            let when = self.now + self.draws.cpu.between(1, 4_000);
            self.at(when, Event::Release(node, handle));
        }
    }

    fn next_instruction(&mut self, number: u64) {
        let cpu = &mut self.draws.cpu;
        // Sometimes a stall that no interrupt causes: frequency changes, a sibling's load.
        let takes = if cpu.chance(4) { cpu.between(1_000, 8_000) } else { cpu.between(2, 300) };
        self.at(self.now + takes, Event::Instruction(number));
    }

    /// One instruction of a section runs, unless the OS does something first.
    pub(crate) fn instruction(&mut self, number: u64) {
        let Some(mut section) = self.sections.remove(&number) else { return };
        let node = &mut self.nodes[section.node];
        let (exits, out) = node.clock.actor(self.now);
        let paused = node.paused.max(out);
        // What the processor tells a transaction: an interruption aborts it.
        section.interrupted |= exits != section.exits;
        section.exits = exits;
        if self.now < paused {
            match section.strength {
                Strength::Restartable if self.now < node.stopped => {
                    section.strength = Strength::Stopped;
                }
                Strength::Full | Strength::Restartable | Strength::Stopped => {
                    section.interrupted = true;
                }
            }
            self.sections.insert(number, section);
            return self.at(paused, Event::Instruction(number));
        }
        if !self.healed && self.draws.cpu.below(1_000) < self.options.exits {
            let mut lasts = self.drawn_exit();
            if section.strength != Strength::Full && self.draws.cpu.chance(BELOW) {
                lasts = lasts.min(STALLED_MAX - section.stalled);
                section.stalled += lasts;
            } else {
                section.interrupted = true;
            }
            let clock = &mut self.nodes[section.node].clock;
            clock.interrupt(Interrupted::Actor, lasts, self.now);
            self.sections.insert(number, section);
            return self.at(self.now + lasts, Event::Instruction(number));
        }
        let aborts = self.options.transactions == Transactions::Abort;
        let goes_on = match section.strength {
            Strength::Full => planted!(self.planted, ActOutsideGuard),
            Strength::Restartable | Strength::Stopped => planted!(self.planted, SequenceGoesOn),
        };
        let interrupted = section.interrupted && !goes_on;
        if section.next != Step::Begin && (interrupted || aborts) {
            return self.aborted(number, section);
        }
        match self.execute(&mut section) {
            Ok(Some(next)) => {
                section.next = next;
                self.sections.insert(number, section);
                self.next_instruction(number);
            }
            Ok(None) => {}
            Err(Stopped::Aborted) => self.aborted(number, section),
            Err(Stopped::Refused(why)) => self.count(why, 1),
        }
    }

    /// How long an exit lasts: often less than anybody would notice, sometimes more than a term.
    fn drawn_exit(&mut self) -> u64 {
        let scale = self.options.scale;
        let longest = self.draws.cpu.pick(&[1_000, 1_000, 20_000, 1_000_000, scale / 3]);
        self.draws.cpu.between(1, longest)
    }

    fn aborted(&mut self, number: u64, mut section: Section) {
        self.count("transaction aborted", 1);
        section.tries += 1;
        if section.tries >= TRIES_MAX {
            if planted!(self.planted, AbortFallsBack) {
                return self.falls_back(section);
            }
            return self.count("commit given up", 1);
        }
        (section.next, section.interrupted, section.read) = (Step::Begin, false, None);
        section.stalled = 0;
        self.sections.insert(number, section);
        self.next_instruction(number);
    }

    /// `Driver::AbortFallsBack`.
    fn falls_back(&mut self, mut section: Section) {
        let seen = self.nodes[section.node].leases.get(&section.handle);
        if let Some(Guard::Open(hold)) = seen.map(|seen| seen.guard) {
            section.read = Some((0, hold));
            self.committed(&section);
        }
    }

    fn execute(&mut self, section: &mut Section) -> Result<Option<Step>, Stopped> {
        let now = self.now;
        let node = &mut self.nodes[section.node];
        let Some(seen) = node.leases.get(&section.handle) else {
            return Err(Stopped::Refused("commit refused: not held"));
        };
        // A word that was read and then written by another core: the transaction aborts.
        let rewritten = section.read.is_some_and(|(version, _)| version != seen.version);
        let conflict = (rewritten && !planted!(self.planted, RevocationUnseen))
            || (section.strength == Strength::Full
                && section.marker != 0
                && section.marker != node.disruptions + 1);
        if conflict {
            return Err(Stopped::Aborted);
        }
        Ok(Some(match section.next {
            Step::Begin => Step::Body,
            Step::Body => Step::State,
            Step::State => match seen.guard {
                Guard::Open(hold) if hold.fence == section.fence => {
                    section.read = Some((seen.version, hold));
                    Step::Segment
                }
                Guard::Open(_) | Guard::NotYet | Guard::Suspended | Guard::Closed => {
                    return Err(Stopped::Refused("commit refused: not held"));
                }
            },
            Step::Segment => Step::Marks,
            Step::Marks => {
                section.marker = node.disruptions + 1;
                Step::Monotonic
            }
            Step::Monotonic => Step::Raw,
            Step::Raw => {
                let (_, hold) = section.read.expect("the record was read");
                let margin = match section.strength {
                    _ if planted!(self.planted, NoCommitMargin) => 0,
                    Strength::Full => COMMIT_MARGIN,
                    Strength::Restartable | Strength::Stopped => {
                        if planted!(self.planted, CommitMarginForPublish) {
                            COMMIT_MARGIN
                        } else {
                            PUBLISH_MARGIN
                        }
                    }
                };
                if !node.clock.passes(&node.hand, &hold, margin, now) {
                    return Err(Stopped::Refused("commit refused: over or suspect"));
                }
                Step::Boot
            }
            Step::Boot => Step::Deadline,
            Step::Deadline => Step::End,
            Step::End => {
                self.committed(section);
                return Ok(None);
            }
        }))
    }

    /// The effects of a body become visible.
    fn committed(&mut self, section: &Section) {
        let (_, hold) = section.read.expect("the record was read");
        let seen = &self.nodes[section.node].leases[&section.handle];
        let effect = Effect {
            at: self.now,
            node: section.node,
            name: seen.name,
            fence: hold.fence,
            mode: hold.mode,
        };
        let in_time = i8::in_time(&effect, seen.anchored_at, &hold);
        let held = i9::acts(seen, &effect);
        let Node { excused, deceived, .. } = self.nodes[section.node];
        let excused = excused || deceived;
        let in_order = if excused { Ok(()) } else { self.checkers.effects.happened(&effect) };
        self.effects.push(effect);
        self.tell_with_hands(|| What::Effect {
            node: effect.node,
            name: effect.name,
            fence: effect.fence.get(),
            shared: is_shared(effect.mode),
        });
        let claim = match section.strength {
            Strength::Full => {
                self.count("committed", 1);
                i8::CLAIM
            }
            Strength::Restartable => {
                self.count("published", 1);
                i10::CLAIM
            }
            Strength::Stopped => return self.count("published beyond any margin", 1),
        };
        if self.nodes[section.node].deceived {
            return;
        }
        self.judge(i9::CLAIM, held);
        self.judge(claim, in_time);
        self.judge(claim, in_order);
        if !excused && self.now >= self.granter_paused && self.is_serving() {
            let known = i4::knows(&effect, &self.checkers.witness);
            self.judge(i4::CLAIM, known);
        }
    }
}

enum Stopped {
    Aborted,
    Refused(&'static str),
}
