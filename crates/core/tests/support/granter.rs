//! One granter, fed by hand.

use tlease_core::granter::{
    CloseReason, Granter, Input, Limits, Output, Past, PersistId, Record, Start, TokenKey,
};
use tlease_core::identity::{AskId, Epoch, Peer, RequestId, Rights, Secret, SessionId};
use tlease_core::message::{
    Answer, Ask, Entry, FromGranter, Grant, Op, Opened, Reply, Request, ToGranter,
};
use tlease_core::time::{Now, Readings, SlowHand, SlowInstant, Source, Span, Ticks};
use tlease_core::{Fence, Key};

/// A granter whose clock shows true time in nanoseconds, and whose disk writes when told to.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) granter: Granter,
    /// What its clock shows.
    pub(crate) now: Now<SlowInstant>,
    /// Every record written so far, the last one durable unless `unwritten`.
    pub(crate) disk: Option<Record>,
    pub(crate) unwritten: Option<(PersistId, Record)>,
    pub(crate) writes: Writes,
    next_id: u64,
}

/// What becomes of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    AtOnce,
    Wait,
}

/// An open session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) peer: Peer,
    pub(crate) epoch: Epoch,
}

pub(crate) const OPERATOR: Peer = Peer(999);

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let mut bench = Self::begin(limits, Past::FirstStart { token_key: TokenKey([7; 16]) }, 0);
        bench.connect_operator();
        bench
    }

    /// Kills it and starts the next life from its disk.
    pub(crate) fn restart(&mut self) {
        let past = Past::Record(self.disk.expect("a record"));
        let now = Readings::get(self.now.not_after.readings(), 0).expect("one source").0;
        *self = Self::begin(Limits::default(), past, now);
        self.connect_operator();
    }

    pub(crate) fn begin(limits: Limits, past: Past, now: u64) -> Self {
        Self::begin_at(limits, past, at(now))
    }

    pub(crate) fn begin_at(limits: Limits, past: Past, now: Now<SlowInstant>) -> Self {
        let mut bench = Self::unborn_at(limits, past, now);
        bench.write();
        bench
    }

    /// A granter whose first record is not durable yet.
    pub(crate) fn unborn(limits: Limits, past: Past, now: u64) -> Self {
        Self::unborn_at(limits, past, at(now))
    }

    fn unborn_at(limits: Limits, past: Past, now: Now<SlowInstant>) -> Self {
        let hand = super::in_granter(SlowHand::new(&[Source::assume(1, 1, Ticks(0))]));
        let start = Start { hand, limits, past, table_key: Key([3; 16]) };
        let mut granter = Granter::new(start, now);
        let mut unwritten = None;
        for output in granter.outputs() {
            if let Output::Persist { id, record } = output {
                unwritten = Some((id, record));
            }
        }
        let writes = Writes::AtOnce;
        Self { granter, now, disk: None, unwritten, writes, next_id: 0 }
    }

    /// Feeds one input; records are written at once if so set. Everything that came out.
    pub(crate) fn feed(&mut self, input: Input) -> Vec<Output> {
        let mut all: Vec<Output> = self.granter.handle(self.now, input).collect();
        for output in &all {
            if let Output::Persist { id, record } = output {
                self.unwritten = Some((*id, *record));
            }
        }
        if self.writes == Writes::AtOnce {
            all.extend(self.write());
        }
        all
    }

    /// Makes what is under way durable.
    pub(crate) fn write(&mut self) -> Vec<Output> {
        let Some((id, record)) = self.unwritten.take() else { return Vec::new() };
        self.disk = Some(record);
        self.feed(Input::Persisted(id))
    }

    pub(crate) fn pass(&mut self, span: Span) -> Vec<Output> {
        let now = self.now.not_after.readings().get(0).expect("one source").0;
        self.now = at(now.saturating_add(span.as_nanos()));
        self.feed(Input::Wake)
    }

    pub(crate) fn connect_operator(&mut self) {
        self.feed(Input::Connected { peer: OPERATOR, rights: Rights::Operator });
    }

    /// Opens the session of number `who` on a new connection.
    pub(crate) fn open(&mut self, who: u8, peer: u64) -> Session {
        let peer = Peer(peer);
        self.feed(Input::Connected { peer, rights: Rights::Holder });
        let message = ToGranter::Open { session: session_id(who), secret: secret_of(who) };
        let outputs = self.feed(Input::Received { peer, message });
        let opened = outputs.iter().find_map(|output| {
            let Output::Send { message: FromGranter::Opened(opened), .. } = output else {
                return None;
            };
            Some(*opened)
        });
        let Opened { epoch, .. } = opened.unwrap_or_else(|| panic!("not opened: {outputs:?}"));
        Session { peer, epoch }
    }

    /// Sends a request under a new id, and gives all that came out.
    pub(crate) fn request(&mut self, session: Session, op: Op) -> (RequestId, Vec<Output>) {
        self.next_id += 1;
        let id = RequestId(self.next_id);
        (id, self.request_as(session, id, op))
    }

    pub(crate) fn request_as(&mut self, from: Session, id: RequestId, op: Op) -> Vec<Output> {
        let message = ToGranter::Request(Request { epoch: from.epoch, id, op });
        self.feed(Input::Received { peer: from.peer, message })
    }

    /// Sends a request and gives the first reply to it.
    pub(crate) fn reply(&mut self, session: Session, op: Op) -> Reply {
        let (id, outputs) = self.request(session, op);
        reply_to(id, &outputs).unwrap_or_else(|| panic!("no reply: {outputs:?}"))
    }

    /// Acquires a name that must be granted at once.
    pub(crate) fn grant(&mut self, session: Session, op: Op) -> Grant {
        let reply = self.reply(session, op);
        let Reply::Granted(grant) = reply else { panic!("not granted: {reply:?}") };
        grant
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Answer {
        let id = AskId(1_000);
        let input = Input::Received { peer: OPERATOR, message: ToGranter::Ask { id, ask } };
        let outputs = self.feed(input);
        let answer = outputs.iter().find_map(|output| {
            let Output::Send { message: FromGranter::Answer { id: of, answer }, .. } = output
            else {
                return None;
            };
            (*of == id).then(|| answer.as_ref().clone())
        });
        answer.unwrap_or_else(|| panic!("no answer: {outputs:?}"))
    }

    pub(crate) fn entry(&mut self, name: &str) -> Option<Entry> {
        let answer = self.ask(Ask::Get { name: name.parse().expect("a good name") });
        let Answer::Entry(entry) = answer else { panic!("not an entry: {answer:?}") };
        entry
    }

    /// The fences of the live leases and offers on a name.
    pub(crate) fn fences(&mut self, name: &str) -> Vec<Fence> {
        let leases = self.entry(name).map(|entry| entry.leases).unwrap_or_default();
        leases.iter().map(|lease| lease.fence).collect()
    }
}

/// The reply to a request among outputs.
pub(crate) fn reply_to(id: RequestId, outputs: &[Output]) -> Option<Reply> {
    outputs.iter().find_map(|output| {
        let Output::Send { message: FromGranter::Reply { id: of, reply, .. }, .. } = output else {
            return None;
        };
        (*of == id).then(|| reply.clone())
    })
}

/// The connections that were closed, and why.
pub(crate) fn closed(outputs: &[Output]) -> Vec<(Peer, CloseReason)> {
    let closed = |output: &Output| {
        let Output::Close { peer, why } = output else { return None };
        Some((*peer, *why))
    };
    outputs.iter().filter_map(closed).collect()
}

pub(crate) fn at(nanos: u64) -> Now<SlowInstant> {
    Now::at(SlowInstant::new(Readings::one(Ticks(nanos))))
}

pub(crate) fn session_id(who: u8) -> SessionId {
    SessionId([who; 16])
}

pub(crate) fn secret_of(who: u8) -> Secret {
    Secret([who; 16])
}
