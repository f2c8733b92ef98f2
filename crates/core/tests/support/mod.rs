//! A cell: one granter, some holders, honest clocks and a network that loses nothing.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod granter;
pub(crate) mod holder;
#[cfg(feature = "mutants")]
pub(crate) mod planted;

use std::collections::{BTreeMap, VecDeque};

use tlease_core::granter::{self as core_granter, Granter, Limits, Past, Record, Start, TokenKey};
use tlease_core::holder::{self as core_holder, Change, Handle, Holder, Renewal, View};
use tlease_core::identity::{AskId, Peer, Rights, Secret, SessionId};
use tlease_core::message::{Acquire, Ask, Force, FromGranter, ToGranter, Wait};
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Source, Span, Ticks,
};
use tlease_core::{Fence, Key, Mode, Name};

/// A second of slack would hide a fault; this is what a good clock drifts.
const PPB: u32 = 300_000;

pub(crate) struct Cell {
    /// True time, in nanoseconds.
    true_time: u64,
    granter: Granter,
    disk: Record,
    granter_wake: Option<u64>,
    holders: Vec<Node>,
    operator: Peer,
    next_peer: u64,
    next_handle: u64,
}

struct Node {
    holder: Holder,
    peer: Option<Peer>,
    wake: Option<u64>,
    changes: BTreeMap<Handle, Vec<Change>>,
    holds: BTreeMap<Handle, core_holder::Hold>,
    cut: bool,
    /// What the granter sent while its delivery is held back.
    held_back: Option<Vec<FromGranter>>,
}

pub(crate) fn acquire(name: &str, wait: Wait) -> Acquire {
    Acquire {
        name: name.parse::<Name>().expect("good in a test"),
        mode: Mode::Exclusive,
        term: Span::from_secs(5),
        wait,
        value: None,
    }
}

pub(crate) fn exclusive(name: &str) -> Acquire {
    acquire(name, Wait::Unbounded)
}

pub(crate) fn shared(name: &str) -> Acquire {
    Acquire { mode: Mode::Shared, ..exclusive(name) }
}

fn slow_hand() -> SlowHand {
    in_granter(SlowHand::new(&[Source::assume_slow_nanos(PPB)]))
}

/// A granter's hand, with the bug that is planted in this test.
fn in_granter(hand: SlowHand) -> SlowHand {
    #[cfg(feature = "mutants")]
    let hand = planted::now().map_or(hand, |bug| hand.mutate(bug));
    hand
}

/// A holder's hand, with the bug that is planted in this test.
fn in_holder(hand: FastHand) -> FastHand {
    #[cfg(feature = "mutants")]
    let hand = planted::now().map_or(hand, |bug| hand.mutate(bug));
    hand
}

impl Cell {
    pub(crate) fn new() -> Self {
        let past = Past::FirstStart { token_key: TokenKey([7; 16]) };
        let (granter, disk) = start(past, 1_000);
        let mut cell = Self {
            true_time: 1_000,
            granter,
            disk,
            granter_wake: None,
            holders: Vec::new(),
            operator: Peer(0),
            next_peer: 0,
            next_handle: 0,
        };
        cell.connect_operator();
        cell
    }

    /// Adds a connected holder.
    pub(crate) fn holder(&mut self) -> usize {
        let index = self.holders.len();
        let id = SessionId([u8::try_from(index + 1).expect("good in a test"); 16]);
        let hand = in_holder(FastHand::new(&[Source::assume_fast_nanos(PPB)]));
        let holder = Holder::new(hand, id, Secret([9; 16]), self.fast_now());
        self.holders.push(Node {
            holder,
            peer: None,
            wake: None,
            changes: BTreeMap::new(),
            holds: BTreeMap::new(),
            cut: false,
            held_back: None,
        });
        self.connect(index);
        index
    }

    pub(crate) fn acquire(&mut self, holder: usize, acquire: Acquire) -> Handle {
        self.next_handle += 1;
        let handle = Handle(self.next_handle);
        let renewal = Renewal::Automatic;
        self.feed(holder, core_holder::Input::Acquire { handle, acquire, renewal });
        handle
    }

    pub(crate) fn release(&mut self, holder: usize, handle: Handle) {
        self.feed(holder, core_holder::Input::Release { handle });
    }

    pub(crate) fn recall(&mut self, name: &str, grace: Span, force: Force) {
        let ask = Ask::Recall { name: name.parse().expect("good in a test"), grace, force };
        let message = ToGranter::Ask { id: AskId(1), ask };
        self.feed_granter(core_granter::Input::Received { peer: self.operator, message });
    }

    /// Cuts a holder off: nothing goes in or out any more.
    pub(crate) fn cut(&mut self, holder: usize) {
        self.holders[holder].cut = true;
    }

    pub(crate) fn renew(&mut self, holder: usize, handle: Handle) {
        self.feed(holder, core_holder::Input::Renew { handle, term: None });
    }

    /// Keeps what the granter sends to a holder until `deliver_replies`.
    pub(crate) fn hold_back_replies(&mut self, holder: usize) {
        self.holders[holder].held_back = Some(Vec::new());
    }

    pub(crate) fn deliver_replies(&mut self, holder: usize) {
        for message in self.holders[holder].held_back.take().unwrap_or_default() {
            self.feed(holder, core_holder::Input::Received(message));
        }
    }

    /// Lets true time pass while nobody runs.
    pub(crate) fn pass_asleep(&mut self, span: Span) {
        self.true_time += span.as_nanos();
    }

    /// Kills the granter and starts it again from its disk; all holders reconnect.
    pub(crate) fn restart(&mut self) {
        let (granter, disk) = start(Past::Record(self.disk), self.true_time);
        self.granter = granter;
        self.disk = disk;
        self.granter_wake = Some(self.true_time);
        self.connect_operator();
        for holder in 0..self.holders.len() {
            if !self.holders[holder].cut {
                self.feed(holder, core_holder::Input::Disconnected);
                self.connect(holder);
            }
        }
    }

    /// Lets true time pass, waking whoever asked for it.
    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.true_time + span.as_nanos();
        loop {
            let wakes = self.holders.iter().filter_map(|node| node.wake);
            let next = wakes.chain(self.granter_wake).min().filter(|at| *at <= end);
            let Some(at) = next else { break };
            self.true_time = self.true_time.max(at);
            if self.granter_wake.is_some_and(|wake| wake <= self.true_time) {
                self.granter_wake = None;
                self.feed_granter(core_granter::Input::Wake);
            }
            for holder in 0..self.holders.len() {
                if self.holders[holder].wake.is_some_and(|wake| wake <= self.true_time) {
                    self.holders[holder].wake = None;
                    self.feed(holder, core_holder::Input::Wake);
                }
            }
        }
        self.true_time = end;
    }

    pub(crate) fn view(&self, holder: usize, handle: Handle) -> View {
        self.holders[holder].holder.view(handle, self.fast_now()).expect("a known handle")
    }

    pub(crate) fn last_change(&self, holder: usize, handle: Handle) -> Option<Change> {
        self.holders[holder].changes.get(&handle)?.last().copied()
    }

    /// The fence that the guard of a lease was given last.
    pub(crate) fn fence(&self, holder: usize, handle: Handle) -> Fence {
        self.holders[holder].holds[&handle].fence
    }

    fn connect(&mut self, holder: usize) {
        self.next_peer += 1;
        let peer = Peer(self.next_peer);
        self.holders[holder].peer = Some(peer);
        self.feed_granter(core_granter::Input::Connected { peer, rights: Rights::Holder });
        self.feed(holder, core_holder::Input::Connected);
    }

    fn connect_operator(&mut self) {
        self.next_peer += 1;
        self.operator = Peer(self.next_peer);
        let input =
            core_granter::Input::Connected { peer: self.operator, rights: Rights::Operator };
        self.feed_granter(input);
    }

    fn feed(&mut self, holder: usize, input: core_holder::Input) {
        let now = self.fast_now();
        let node = &mut self.holders[holder];
        let mut sent = Vec::new();
        for output in node.holder.handle(now, input) {
            match output {
                core_holder::Output::Send(message) => sent.push(message),
                core_holder::Output::Changed { handle, change } => {
                    node.changes.entry(handle).or_default().push(change);
                }
                core_holder::Output::Hold { handle, hold } => {
                    node.holds.insert(handle, hold);
                }
                core_holder::Output::WakeAt { after, .. } => {
                    node.wake = Some(self.true_time + after.as_nanos());
                }
                core_holder::Output::Suspend { .. }
                | core_holder::Output::Close { .. }
                | core_holder::Output::Reconnect
                | core_holder::Output::Opened(_)
                | core_holder::Output::NotOpened(_) => {}
            }
        }
        let (peer, cut) = (node.peer, node.cut);
        if let (Some(peer), false) = (peer, cut) {
            for message in sent {
                self.feed_granter(core_granter::Input::Received { peer, message });
            }
        }
    }

    fn feed_granter(&mut self, input: core_granter::Input) {
        let mut inputs = VecDeque::from([input]);
        let mut deliveries: VecDeque<(Peer, FromGranter)> = VecDeque::new();
        while let Some(input) = inputs.pop_front() {
            let now = slow_now(self.true_time);
            for output in self.granter.handle(now, input) {
                match output {
                    core_granter::Output::Persist { id, record } => {
                        self.disk = record;
                        inputs.push_back(core_granter::Input::Persisted(id));
                    }
                    core_granter::Output::Send { peer, message } => {
                        deliveries.push_back((peer, message))
                    }
                    core_granter::Output::WakeAt { after, .. } => {
                        self.granter_wake = Some(self.true_time + after.as_nanos() + 1_000_000);
                    }
                    core_granter::Output::Close { .. }
                    | core_granter::Output::Reported { .. }
                    | core_granter::Output::Stopped { .. } => {}
                }
            }
        }
        for (peer, message) in deliveries {
            let to = self.holders.iter().position(|node| node.peer == Some(peer) && !node.cut);
            let Some(holder) = to else { continue };
            match &mut self.holders[holder].held_back {
                Some(held_back) => held_back.push(message),
                None => self.feed(holder, core_holder::Input::Received(message)),
            }
        }
    }

    fn fast_now(&self) -> Now<FastInstant> {
        let readings = Readings::one(Ticks(self.true_time));
        Now::at(FastInstant::new(Segment(0), readings))
    }
}

fn slow_now(true_time: u64) -> Now<SlowInstant> {
    Now::at(SlowInstant::new(Readings::one(Ticks(true_time))))
}

/// Starts a granter whose disk always works.
fn start(past: Past, true_time: u64) -> (Granter, Record) {
    let start =
        Start { hand: slow_hand(), limits: Limits::default(), past, table_key: Key([3; 16]) };
    let mut granter = Granter::new(start, slow_now(true_time));
    let mut written = Vec::new();
    for output in granter.outputs() {
        if let core_granter::Output::Persist { id, record } = output {
            written.push((id, record));
        }
    }
    let [(id, record)] = written[..] else { panic!("a start writes one record") };
    for output in granter.handle(slow_now(true_time), core_granter::Input::Persisted(id)) {
        assert!(matches!(output, core_granter::Output::WakeAt { .. }), "{output:?}");
    }
    (granter, record)
}
