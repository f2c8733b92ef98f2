//! A granter and its holders, made to take the steps of the specification.

use std::collections::BTreeMap;

use tlease_core::granter::{
    Granter, Input, Leftovers, Limits, Output, Past, PersistId, Record, Start, TokenKey,
};
use tlease_core::identity::{AskId, Peer, Rights};
use tlease_core::message::{Answer, Ask, EntryState, Force, FromGranter, Opened, ToGranter};
use tlease_core::time::{FastHand, Now, Readings, SlowHand, SlowInstant, Source, Span, Ticks};
use tlease_core::{Key, Mode, Name};

use crate::behaviour::State;
use crate::node::Node;
use crate::seen::{self, Lease, Message, Seen, Standing, TICK, Written, count, whole_ticks};
use crate::value::Value;
use crate::wire::{self, Flying};

/// What every clock moves between two inputs: timers are a quarter of a millisecond late at most.
/// All inputs of a behaviour together stay far below the 70 ms by which a tick is longer than a
/// second.
const BLINK: u64 = 600_000;

/// Longer than a granter waits before it lowers its longest promise.
const LOWERED: u64 = 11_000_000_000;

pub(crate) const NAME: &str = "jobs";

pub(crate) struct Cell {
    hands: Hands,
    granter: Granter,
    /// What the granter's only source shows, in nanoseconds.
    slow: u64,
    is_stopped: bool,
    stored: Record,
    writing: Option<(PersistId, Record)>,
    nodes: BTreeMap<String, Node>,
    flying: Vec<Flying>,
    operator: Option<Peer>,
    last_peer: u64,
}

/// The hands of every clock: exact, and all bugs of a machine are planted with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hands {
    pub(crate) slow: SlowHand,
    pub(crate) fast: FastHand,
}

impl Hands {
    pub(crate) fn exact() -> Self {
        let exact = [Source::assume(1, 1, Ticks(0))];
        Self { slow: SlowHand::new(&exact), fast: FastHand::new(&exact) }
    }
}

/// What a granter put out that was not taken in at once.
#[derive(Debug, Default)]
struct Said {
    opened: Option<Opened>,
    answer: Option<Answer>,
}

impl Cell {
    /// As the specification begins: a first life that is durable, and holders with a connection.
    pub(crate) fn new(hands: Hands, holders: &[String]) -> Self {
        let token_key = TokenKey([7; 16]);
        let (granter, id, first) = begin(hands.slow, Past::FirstStart { token_key }, 0);
        let node = |who| Node::new(hands.fast, who);
        let nodes = holders.iter().zip(1..).map(|(name, who)| (name.clone(), node(who)));
        let mut cell = Self {
            hands,
            granter,
            slow: 0,
            is_stopped: false,
            stored: first,
            writing: Some((id, first)),
            nodes: nodes.collect(),
            flying: Vec::new(),
            operator: None,
            last_peer: 0,
        };
        cell.stored();
        for name in holders {
            cell.reopen(name);
        }
        cell
    }

    /// Takes the step that led to `state` from `before`.
    pub(crate) fn take(&mut self, before: &State, state: &State) {
        let step = &state.step;
        if state.op() == "Reopen" && !step.field("again").is_true() {
            let holder = step.field("h").text();
            if may_leave(before, holder) {
                self.answer_leaves(holder);
            }
        }
        self.input(step, &Written::of(state.disk.field("stored")));
    }

    /// Takes an input. A write that fails leaves the disk with `stored`.
    pub(crate) fn input(&mut self, step: &Value, stored: &Written) {
        self.blink();
        let of = |field: &str| step.field(field).text();
        match step.field("op").text() {
            "GranterReceives" => self.deliver_request(&Message::of(step.field("m"))),
            "HolderReceives" => self.deliver_reply(&Message::of(step.field("m"))),
            "Wish" => {
                let (mode, term) = (seen::mode_of(step), step.field("term").number());
                self.with_node(of("h"), |node| node.wish(mode, seen::term_of(term)));
            }
            "AskToRenew" => {
                let longer = step.field("longer").number();
                let term = (longer > 0).then(|| seen::term_of(longer));
                self.with_node(of("h"), |node| node.renew(term));
            }
            "GiveUp" => self.with_node(of("h"), Node::give_up),
            "Expire" => self.with_node(of("h"), Node::look),
            "Break" => self.with_node(of("h"), |node| {
                node.lose_continuity();
                node.look()
            }),
            "Reopen" => self.reopen(of("h")),
            "Tick" => self.tick(step),
            "Stored" => self.stored(),
            "StoreFails" => self.store_fails(stored),
            "Lower" => self.pass(LOWERED),
            "Recall" => self.recall(),
            "Exit" => {
                self.feed(Input::Stop);
            }
            "Crash" => self.crash(&Written::of(step.field("record"))),
            op => panic!("an unknown step: {op}"),
        }
        for node in self.nodes.values_mut() {
            node.answer_older_leaves();
        }
    }

    /// Answers what a holder gave back, on this connection.
    pub(crate) fn answer_leaves(&mut self, holder: &str) {
        self.with_node(holder, Node::answer_leaves);
    }

    /// Whether the granter can be asked what it shows.
    #[cfg(feature = "mutants")]
    pub(crate) const fn is_asked(&self) -> bool {
        self.operator.is_some() && !self.is_stopped
    }

    /// Whether a holder has a connection to this life of the granter.
    #[cfg(feature = "mutants")]
    pub(crate) fn is_connected(&self, holder: &str) -> bool {
        self.nodes[holder].peer.is_some()
    }

    /// What the code shows. Of the messages only those that the specification keeps.
    pub(crate) fn seen(&mut self, expected: &Seen) -> Seen {
        let mut seen = self.shows();
        seen.messages.retain(|message| expected.messages.contains(message));
        seen
    }

    /// What the code shows, with every message that was ever sent.
    pub(crate) fn shows(&mut self) -> Seen {
        let status = self.granter.status();
        let granter = seen::Granter {
            incarnation: status.incarnation.get(),
            wait: status.wait_left.map(seen::ticks_ceil),
            promise: whole_ticks(status.longest_promise),
            leases: self.leases(),
            waiters: status.waiters,
        };
        assert_eq!(count(granter.leases.len()), status.leases, "leases of whom?");
        let messages = self.flying.iter().map(|flying| flying.message.clone());
        Seen {
            granter,
            stored: Written::of_record(&self.stored),
            writing: self.writing.as_ref().map(|(_, record)| Written::of_record(record)),
            holders: self.nodes.iter().map(|(name, node)| (name.clone(), node.seen())).collect(),
            messages: messages.collect(),
        }
    }

    /// Delivers what the specification has forgotten, and forgets it. Nothing may come of it.
    pub(crate) fn deliver_forgotten(&mut self, expected: &Seen) {
        let (kept, forgotten) =
            self.flying.drain(..).partition(|known| expected.messages.contains(&known.message));
        self.flying = kept;
        let forgotten: Vec<Flying> = forgotten;
        for Flying { message, request, reply } in forgotten {
            let node = self.nodes.get_mut(&message.holder).expect("a known holder");
            if let (Some(request), Some(peer), false) = (request, node.peer, self.is_stopped) {
                let message = ToGranter::Request(request);
                self.feed(Input::Received { peer, message });
            } else if let Some(reply) = reply
                && !node.is_over()
            {
                node.ignore(reply);
            }
        }
    }

    fn with_node(&mut self, name: &str, act: impl FnOnce(&mut Node) -> Vec<Flying>) {
        let node = self.nodes.get_mut(name).expect("a known holder");
        let sent = act(node);
        for flying in sent {
            let holder = name.to_owned();
            let message = Message { holder, ..flying.message };
            self.flying.push(Flying { message, ..flying });
        }
    }

    fn deliver_request(&mut self, message: &Message) {
        let request = self.find(message).request.expect("a request");
        let peer = self.nodes[&message.holder].peer.expect("the message is of this epoch");
        self.feed(Input::Received { peer, message: ToGranter::Request(request) });
    }

    fn deliver_reply(&mut self, message: &Message) {
        let reply = self.find(message).reply.expect("a reply");
        self.with_node(&message.holder, |node| node.receive(reply));
    }

    fn find(&self, message: &Message) -> Flying {
        let found = self.flying.iter().find(|flying| flying.message == *message);
        found.unwrap_or_else(|| panic!("nobody sent {message:?}: {:#?}", self.flying)).clone()
    }

    /// A new connection, in place of the old one.
    fn reopen(&mut self, name: &str) {
        self.last_peer += 1;
        let peer = Peer(self.last_peer);
        self.feed(Input::Connected { peer, rights: Rights::Holder });
        let node = self.nodes.get_mut(name).expect("a known holder");
        let message = node.connect(peer);
        let said = self.feed(Input::Received { peer, message });
        let opened = said.opened.expect("a granter that listens opens sessions");
        self.with_node(name, |node| node.opened(opened));
    }

    fn tick(&mut self, step: &Value) {
        for (name, node) in &mut self.nodes {
            node.pass(step.field("fast").of(name).number() * TICK);
        }
        self.pass(step.field("slow").number() * TICK);
    }

    /// Lets the granter's hand move, and wakes it.
    fn pass(&mut self, nanos: u64) {
        self.slow += nanos;
        if !self.is_stopped {
            self.feed(Input::Wake);
        }
    }

    fn stored(&mut self) {
        let (id, record) = self.writing.take().expect("a record under way");
        self.stored = record;
        self.feed(Input::Persisted(id));
        if self.operator.is_none() {
            self.last_peer += 1;
            let peer = Peer(self.last_peer);
            self.operator = Some(peer);
            self.feed(Input::Connected { peer, rights: Rights::Operator });
        }
    }

    /// The specification says which record the disk is left with.
    fn store_fails(&mut self, stored: &Written) {
        let (id, record) = self.writing.take().expect("a record under way");
        if Written::of_record(&record) == *stored {
            self.stored = record;
        }
        self.feed(Input::PersistFailed(id));
    }

    fn recall(&mut self) {
        let ask = Ask::Recall { name: name(), grace: Span::ZERO, force: Force::Grace };
        let answer = self.ask(ask);
        assert!(matches!(answer, Answer::Recalling { .. }), "{answer:?}");
    }

    fn crash(&mut self, left: &Written) {
        let under_way = self.writing.map(|(_, record)| record);
        let records = [Some(self.stored), under_way].into_iter().flatten();
        let record = { records }.find(|record| Written::of_record(record) == *left);
        let record = record.unwrap_or_else(|| panic!("the disk cannot hold {left:?}"));
        let (granter, id, first) = begin(self.hands.slow, Past::Record(record), self.slow);
        self.granter = granter;
        self.stored = record;
        self.writing = Some((id, first));
        self.is_stopped = false;
        self.operator = None;
        for node in self.nodes.values_mut() {
            node.peer = None;
        }
    }

    fn leases(&mut self) -> BTreeMap<String, Lease> {
        if self.operator.is_none() || self.is_stopped {
            return BTreeMap::new();
        }
        let Answer::Entry(entry) = self.ask(Ask::Get { name: name() }) else {
            panic!("not an entry");
        };
        let leases = entry.map(|entry| entry.leases).unwrap_or_default();
        let named = leases.into_iter().map(|lease| {
            let of = self.nodes.iter().find(|(_, node)| node.session() == lease.session);
            let standing = match lease.state {
                EntryState::Offered => Standing::Offered,
                EntryState::Held => Standing::Held,
                EntryState::Recalled => Standing::Recalled,
            };
            let seen = Lease {
                fence: lease.fence.get(),
                shared: lease.mode == Mode::Shared,
                term: whole_ticks(lease.term),
                left: seen::ticks_ceil(lease.remaining),
                standing,
            };
            (of.expect("a known session").0.clone(), seen)
        });
        named.collect()
    }

    fn ask(&mut self, ask: Ask) -> Answer {
        let peer = self.operator.expect("the granter listens");
        let message = ToGranter::Ask { id: AskId(1), ask };
        self.feed(Input::Received { peer, message }).answer.expect("an answer")
    }

    fn feed(&mut self, input: Input) -> Said {
        let now = at(self.slow);
        let mut said = Said::default();
        let outputs: Vec<Output> = self.granter.handle(now, input).collect();
        for output in outputs {
            match output {
                Output::Persist { id, record } => {
                    assert!(self.writing.is_none(), "two records under way");
                    self.writing = Some((id, record));
                }
                Output::Send { peer, message } => self.sent(peer, message, &mut said),
                Output::Stopped { .. } => self.is_stopped = true,
                Output::Close { .. } | Output::WakeAt { .. } => {}
                Output::Reported { .. } => panic!("not in the model: {output:?}"),
            }
        }
        said
    }

    fn sent(&mut self, peer: Peer, message: FromGranter, said: &mut Said) {
        let to = self.nodes.iter_mut().find(|(_, node)| node.peer == Some(peer));
        match (message, to) {
            (FromGranter::Opened(opened), _) => said.opened = Some(opened),
            (FromGranter::Answer { answer, .. }, _) => said.answer = Some(*answer),
            (message @ FromGranter::Recalled { .. }, Some((_, node))) => node.is_recalled(message),
            // The model has no audit: its stamps are lost on the way.
            (FromGranter::Reply { id, reply, moved: _ }, Some((name, _))) => {
                self.flying.extend(wire::reply(name, id, reply));
            }
            (message, _) => panic!("sent to {peer:?}: {message:?}"),
        }
    }

    fn blink(&mut self) {
        self.slow += BLINK;
        for node in self.nodes.values_mut() {
            node.pass(BLINK);
        }
    }
}

/// Whether a holder that reopens its session would give back again what it gave back last.
fn may_leave(before: &State, holder: &str) -> bool {
    let holder = before.holder.of(holder);
    let Some(leaving) = holder.field("leaving").some() else { return false };
    if leaving.field("fence").number() > 0 {
        leaving.field("home") == before.granter.field("inc")
    } else {
        !matches!(holder.field("st").text(), "Confirming" | "Held")
    }
}

pub(crate) fn name() -> Name {
    NAME.parse().expect("a good name")
}

/// A granter at the beginning of a life, and the record of that.
fn begin(hand: SlowHand, past: Past, slow: u64) -> (Granter, PersistId, Record) {
    let start = Start { hand, limits: Limits::default(), past, table_key: Key([3; 16]) };
    let mut granter = Granter::new(start, at(slow));
    let outputs: Vec<Output> = granter.outputs().collect();
    let [Output::Persist { id, record }] = outputs[..] else {
        panic!("a life begins with its record: {outputs:?}");
    };
    assert!(record.leftovers == Leftovers::Possible || record.longest_promise.is_zero());
    (granter, id, record)
}

fn at(nanos: u64) -> Now<SlowInstant> {
    Now::at(SlowInstant::new(Readings::one(Ticks(nanos))))
}
