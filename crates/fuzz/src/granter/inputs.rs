//! What peers say: mostly what could be believed, since they know what they were told.

use std::collections::BTreeMap;

use tlease_core::granter::{Input, Output, PersistId};
use tlease_core::identity::{
    AskId, Epoch, Incarnation, Peer, RequestId, Rights, Secret, SessionId,
};
use tlease_core::message::{
    Answer, Ask, Entry, EventMark, Fingerprint, FromGranter, Op, PageMark, Prefix, Reclaim, Reply,
    Request, Tag, ToGranter,
};
use tlease_core::time::Span;
use tlease_core::{Fence, Mode, Name};

use crate::choices::Choices;

/// All peers together, and what they know.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The connection of an operator, if one stands.
    pub(super) operator: Option<Peer>,
    operators: u64,
    connected: u64,
    last_id: u64,
    /// Connections with an open session.
    open: Vec<(Peer, Epoch)>,
    asked: BTreeMap<RequestId, (Name, Mode)>,
    given: Vec<Given>,
}

/// What somebody was granted or offered.
#[derive(Debug, Clone, Copy)]
struct Given {
    request: RequestId,
    fence: Fence,
    term: Span,
    tag: Tag,
    issued: Option<Incarnation>,
}

impl Peers {
    pub(super) fn lose_connections(&mut self) {
        self.open.clear();
        self.operator = None;
    }

    pub(super) fn next_operator(&mut self) -> Peer {
        self.operators += 1;
        let peer = Peer(u64::MAX - self.operators);
        self.operator = Some(peer);
        peer
    }

    /// The question for all names, from an operator.
    pub(super) fn list_all(&self) -> Option<Input> {
        let ask = Ask::List { prefix: Prefix::default(), after: None, limit: 1_000 };
        let message = ToGranter::Ask { id: LIST, ask };
        self.operator.map(|peer| Input::Received { peer, message })
    }

    pub(super) fn learn(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Send { peer, message: FromGranter::Opened(opened) } => {
                    self.open.push((*peer, opened.epoch));
                }
                Output::Send { message: FromGranter::Reply { id, reply, .. }, .. } => {
                    let (Reply::Granted(grant) | Reply::Offered { grant, .. }) = reply else {
                        continue;
                    };
                    let issued = self.open.last().map(|(_, epoch)| epoch.incarnation);
                    let (fence, term, tag) = (grant.fence, grant.term, grant.tag);
                    self.given.push(Given { request: *id, fence, term, tag, issued });
                }
                Output::Close { peer, .. } if self.operator == Some(*peer) => self.operator = None,
                Output::Close { .. }
                | Output::Send { .. }
                | Output::Persist { .. }
                | Output::WakeAt { .. }
                | Output::Reported { .. }
                | Output::Stopped { .. } => {}
            }
        }
    }

    pub(super) fn draw(&mut self, choices: &mut Choices<'_>) -> Input {
        match choices.byte() % 16 {
            0 => {
                self.connected += 1;
                let rights = choices.pick(&[Rights::Holder, Rights::Operator]);
                Input::Connected { peer: Peer(self.connected), rights }
            }
            1 | 2 => Input::Received { peer: self.peer(choices), message: open(choices) },
            3 => Input::Disconnected { peer: self.peer(choices) },
            4 => match choices.byte() {
                0 => Input::Stop,
                // Of no record that is under way: a driver does not lie.
                byte if byte % 2 == 0 => Input::Persisted(PersistId(u64::MAX)),
                _ => Input::PersistFailed(PersistId(u64::MAX)),
            },
            5 => {
                let (peer, id) = (self.operator.unwrap_or(Peer(1)), AskId(choices.byte().into()));
                Input::Received { peer, message: ToGranter::Ask { id, ask: ask(choices) } }
            }
            _ => self.request(choices),
        }
    }

    fn peer(&self, choices: &mut Choices<'_>) -> Peer {
        let back = u64::from(choices.byte() % 4);
        Peer(self.connected.saturating_sub(back))
    }

    /// A request of an open session, under a new id: now and then of one that nobody opened, or under
    /// an id that was used.
    fn request(&mut self, choices: &mut Choices<'_>) -> Input {
        let open = choices.recent(&self.open);
        let strange = (Peer(1), Epoch { incarnation: Incarnation::FIRST, opening: 1 });
        let (peer, epoch) = open.unwrap_or(strange);
        let id = match choices.byte() {
            255 => self.last_id,
            254 => u64::MAX,
            _ => self.last_id + 1,
        };
        if id != u64::MAX {
            self.last_id = id;
        }
        let (id, op) = (RequestId(id), self.op(choices));
        if let Op::Acquire(acquire) = &op {
            self.asked.insert(id, (acquire.name.clone(), acquire.mode));
        }
        Input::Received { peer, message: ToGranter::Request(Request { epoch, id, op }) }
    }

    fn op(&self, choices: &mut Choices<'_>) -> Op {
        let kind = choices.byte() % 16;
        if kind < 5 {
            return Op::Acquire(choices.acquire());
        }
        if kind == 5 {
            let count = u64::from(choices.byte() % 3);
            return Op::RenewAll { fingerprint: Fingerprint { count, sum: 0 } };
        }
        let given = choices.recent(&self.given);
        let known = given.and_then(|given| self.asked.get(&given.request).cloned());
        let (name, mode) = known.unwrap_or_else(|| (choices.name(), choices.mode()));
        let fence = given.map_or_else(|| choices.fence(), |given| given.fence);
        match kind {
            6..=8 => Op::Renew { name, fence, term: choices.maybe(Choices::span) },
            9 | 10 => Op::Release { name, fence },
            11 => Op::Withdraw { name: choices.name() },
            12 => Op::Downgrade { name, fence },
            _ => Op::Reclaim(Box::new(Reclaim {
                name,
                mode: if choices.yes() { Mode::Shared } else { mode },
                fence,
                term: given.map_or_else(|| choices.span(), |given| given.term),
                issued: given.and_then(|g| g.issued).unwrap_or_else(|| choices.incarnation()),
                tag: given.map_or(Tag([0; 16]), |given| given.tag),
                to: self.open.last().map_or(Incarnation::FIRST, |(_, epoch)| epoch.incarnation),
                value: None,
            })),
        }
    }
}

/// The answer to the question for all names, without what is over.
///
/// # Panics
/// If it is not among these outputs.
pub(super) fn page(outputs: &[Output]) -> Vec<Entry> {
    let page = outputs.iter().find_map(|output| {
        let Output::Send { message: FromGranter::Answer { id: LIST, answer }, .. } = output else {
            return None;
        };
        let Answer::Page { entries, .. } = &**answer else { return None };
        Some(entries.clone())
    });
    let mut entries = page.expect("a list is answered at once");
    for entry in &mut entries {
        entry.leases.retain(|lease| !lease.remaining.is_zero());
    }
    entries.retain(|entry| !entry.leases.is_empty() || entry.waiters > 0);
    entries
}

const LIST: AskId = AskId(u64::MAX);

fn open(choices: &mut Choices<'_>) -> ToGranter {
    let who = choices.byte() % 4;
    let proof = if choices.byte() == 255 { 99 } else { who };
    ToGranter::Open { session: SessionId([who; 16]), secret: Secret([proof; 16]) }
}

fn ask(choices: &mut Choices<'_>) -> Ask {
    let prefix = Prefix(choices.pick(&[&b""[..], b"a", b"zz"]).into());
    match choices.byte() % 6 {
        0 => Ask::Get { name: choices.name() },
        1 => {
            let after = choices.maybe(|choices| PageMark(choices.pick(&[0, 1, 4_095, u32::MAX])));
            Ask::List { prefix, after, limit: choices.pick(&[0, 1, u32::MAX]) }
        }
        2 => {
            let after = choices.maybe(|choices| {
                let sequence = choices.pick(&[0, 1, 7, u64::MAX]);
                EventMark { incarnation: choices.incarnation(), sequence }
            });
            Ask::Watch { prefix, after }
        }
        3 => Ask::Unwatch { watch: AskId(choices.byte().into()) },
        4 => Ask::Status,
        _ => Ask::Recall { name: choices.name(), grace: choices.span(), force: choices.force() },
    }
}
