//! One holder, fed by hand.

use tlease_core::holder::{Change, Handle, Holder, Input, Output, Renewal, View};
use tlease_core::identity::{Epoch, Incarnation, RequestId, Secret, SessionId};
use tlease_core::message::{
    Acquire, FromGranter, Grant, Op, Opened, Reply, Request, Tag, ToGranter,
};
use tlease_core::time::{FastHand, FastInstant, Now, Readings, Segment, Source, Span, Ticks};
use tlease_core::{Fence, Name};

/// A holder whose clock shows true time in nanoseconds.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) holder: Holder,
    pub(crate) now: u64,
    pub(crate) segment: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let hand = super::in_holder(FastHand::new(&[Source::assume(1, 1, Ticks(0))]));
        let now = Now::at(FastInstant::new(Segment(0), Readings::one(Ticks(0))));
        let holder = Holder::new(hand, SessionId([1; 16]), Secret([1; 16]), now);
        Self { holder, now: 0, segment: 0 }
    }

    /// A holder with an open session in this life of the granter.
    pub(crate) fn open() -> Self {
        let mut bench = Self::new();
        bench.connect(1, 1);
        bench
    }

    pub(crate) fn connect(&mut self, incarnation: u64, opening: u64) -> Vec<Output> {
        self.feed(Input::Connected);
        self.feed(Input::Received(opened(incarnation, opening)))
    }

    pub(crate) fn moment(&self) -> Now<FastInstant> {
        Now::at(FastInstant::new(Segment(self.segment), Readings::one(Ticks(self.now))))
    }

    pub(crate) fn feed(&mut self, input: Input) -> Vec<Output> {
        let now = self.moment();
        self.holder.handle(now, input).collect()
    }

    pub(crate) fn pass(&mut self, span: Span) -> Vec<Output> {
        self.now += span.as_nanos();
        self.feed(Input::Wake)
    }

    pub(crate) fn want(&mut self, handle: u64, acquire: Acquire) -> Vec<Output> {
        let (handle, renewal) = (Handle(handle), Renewal::Automatic);
        self.feed(Input::Acquire { handle, acquire, renewal })
    }

    pub(crate) fn reply(&mut self, id: RequestId, reply: Reply) -> Vec<Output> {
        self.feed(Input::Received(FromGranter::Reply { id, reply, moved: None }))
    }

    pub(crate) fn view(&self, handle: u64) -> View {
        self.holder.view(Handle(handle), self.moment()).expect("a known handle")
    }

    /// Wants a name and is granted it under this fence.
    pub(crate) fn hold(&mut self, handle: u64, acquire: Acquire, fence: u64) {
        let term = acquire.term;
        let sent = requests(&self.want(handle, acquire));
        let [request] = &sent[..] else { panic!("one request: {sent:?}") };
        self.reply(request.id, Reply::Granted(grant(fence, term)));
        assert_eq!(self.view(handle), View::Valid { at_least: term });
    }
}

pub(crate) fn opened(incarnation: u64, opening: u64) -> FromGranter {
    FromGranter::Opened(Opened {
        epoch: Epoch { incarnation: life(incarnation), opening },
        wait_left: None,
        term_min: Span::from_millis(10),
        term_max: Span::from_secs(3_600),
    })
}

pub(crate) fn life(number: u64) -> Incarnation {
    Incarnation::new(number).expect("not zero")
}

pub(crate) fn fence(number: u64) -> Fence {
    Fence::new(number).expect("a fence")
}

pub(crate) fn grant(number: u64, term: Span) -> Grant {
    Grant { fence: fence(number), term, tag: Tag([0; 16]) }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a good name")
}

/// The requests among outputs.
pub(crate) fn requests(outputs: &[Output]) -> Vec<Request> {
    let request = |output: &Output| {
        let Output::Send(ToGranter::Request(request)) = output else { return None };
        Some(request.clone())
    };
    outputs.iter().filter_map(request).collect()
}

/// The operations among outputs.
pub(crate) fn ops(outputs: &[Output]) -> Vec<Op> {
    requests(outputs).into_iter().map(|request| request.op).collect()
}

/// What the user was told.
pub(crate) fn changes(outputs: &[Output]) -> Vec<Change> {
    let change = |output: &Output| {
        let Output::Changed { change, .. } = output else { return None };
        Some(*change)
    };
    outputs.iter().filter_map(change).collect()
}
