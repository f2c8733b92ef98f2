//! Two clocks, one granter, and the stamps on its replies.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod honest;

use tlease_core::audit::{Disagreement, PeerAudit, StampedReply};
use tlease_core::granter::{
    Granter, Input, Limits, Output, Past, PersistId, Record, Start, TokenKey,
};
use tlease_core::identity::{Epoch, Peer, RequestId, Rights, Secret, SessionId};
use tlease_core::message::{FromGranter, Op, Opened, Request, ToGranter};
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Source, Span, Ticks,
};
use tlease_core::{Key, Name};

/// A granter with one session that asks it for nothing but stamps.
pub(crate) struct Stamper {
    granter: Granter,
    disk: Record,
    hand: SlowHand,
    session: (Peer, Epoch),
    last_peer: u64,
    last_id: u64,
}

impl Stamper {
    pub(crate) fn new(hand: SlowHand, now: Now<SlowInstant>) -> Self {
        let past = Past::FirstStart { token_key: TokenKey([7; 16]) };
        let (granter, disk) = begin(hand, past, now);
        let session = (Peer(0), Epoch { incarnation: granter.incarnation(), opening: 0 });
        let mut stamper = Self { granter, disk, hand, session, last_peer: 0, last_id: 0 };
        stamper.open(now);
        stamper
    }

    /// The next life, which knows nothing of the last one's stamps.
    pub(crate) fn restart(&mut self, now: Now<SlowInstant>) {
        (self.granter, self.disk) = begin(self.hand, Past::Record(self.disk), now);
        self.open(now);
    }

    /// Opens the session on a new connection.
    pub(crate) fn open(&mut self, now: Now<SlowInstant>) {
        self.last_peer += 1;
        let peer = Peer(self.last_peer);
        self.feed(now, Input::Connected { peer, rights: Rights::Holder });
        let message = ToGranter::Open { session: SessionId([1; 16]), secret: Secret([1; 16]) };
        let opened = self.feed(now, Input::Received { peer, message });
        let Some(FromGranter::Opened(Opened { epoch, .. })) = opened else { panic!("{opened:?}") };
        self.session = (peer, epoch);
    }

    /// Handles a request, and gives the stamp on the reply, if it carries one.
    pub(crate) fn stamp(&mut self, now: Now<SlowInstant>) -> Option<Span> {
        let (peer, epoch) = self.session;
        self.last_id += 1;
        let op = Op::Withdraw { name: "n".parse::<Name>().expect("a good name") };
        let message = ToGranter::Request(Request { epoch, id: RequestId(self.last_id), op });
        let reply = self.feed(now, Input::Received { peer, message });
        let Some(FromGranter::Reply { moved, .. }) = reply else { panic!("{reply:?}") };
        moved
    }

    fn feed(&mut self, now: Now<SlowInstant>, input: Input) -> Option<FromGranter> {
        let sent = self.granter.handle(now, input).filter_map(|output| match output {
            Output::Send { message, .. } => Some(message),
            Output::Persist { .. }
            | Output::Close { .. }
            | Output::WakeAt { .. }
            | Output::Reported { .. }
            | Output::Stopped { .. } => None,
        });
        sent.collect::<Vec<_>>().pop()
    }
}

fn begin(hand: SlowHand, past: Past, now: Now<SlowInstant>) -> (Granter, Record) {
    let start = Start { hand, limits: Limits::default(), past, table_key: Key([3; 16]) };
    let mut granter = Granter::new(start, now);
    let first: Vec<(PersistId, Record)> = granter
        .outputs()
        .filter_map(|output| match output {
            Output::Persist { id, record } => Some((id, record)),
            Output::Send { .. }
            | Output::Close { .. }
            | Output::WakeAt { .. }
            | Output::Reported { .. }
            | Output::Stopped { .. } => None,
        })
        .collect();
    let [(id, record)] = first[..] else { panic!("one record: {first:?}") };
    granter.handle(now, Input::Persisted(id)).for_each(drop);
    (granter, record)
}

/// A source that shows `share` parts in a billion of true time, in whole ticks of a nanosecond.
pub(crate) fn shown(true_time: u64, share: u64) -> u64 {
    let ticks = u128::from(true_time) * u128::from(share) / u128::from(BILLION);
    u64::try_from(ticks).expect("less than 584 years")
}

pub(crate) const BILLION: u64 = 1_000_000_000;

/// What both profiles allow their sources to drift.
pub(crate) const PPB: u32 = 300_000;

/// Two clocks at constant rates, one of which lies, and the round trips between them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lie {
    /// What the granter's source shows of true time, in parts in a billion.
    pub(crate) granter: u64,
    /// What the holder's source shows.
    pub(crate) holder: u64,
    /// How long every request, and every reply, is under way.
    pub(crate) delay: u64,
    /// From one request to the next.
    pub(crate) period: u64,
}

impl Lie {
    /// By how much the granter's slow hand outruns the holder's fast hand, as a share: what is left of
    /// the lie when the drift that both allow is taken off. Not above zero for honest clocks.
    pub(crate) fn beyond_slack(&self) -> f64 {
        let allowed = 1.0 - f64::from(PPB) / 1e9;
        self.granter as f64 * allowed * allowed / self.holder as f64 - 1.0
    }

    /// True time from the first request's handling to that of the one whose reply gave the lie away,
    /// in nanoseconds; `None` if none does within `limit`.
    pub(crate) fn found_after(&self, limit: u64) -> Option<(u64, Disagreement)> {
        self.found_by(FastHand::new(&[Source::assume_fast_nanos(PPB)]), limit)
    }

    /// As [`Self::found_after`], with a hand that may carry a planted bug.
    pub(crate) fn found_by(&self, hand: FastHand, limit: u64) -> Option<(u64, Disagreement)> {
        let slow = |t| Now::at(SlowInstant::new(Readings::one(Ticks(shown(t, self.granter)))));
        let fast = |t| FastInstant::new(Segment(0), Readings::one(Ticks(shown(t, self.holder))));
        let start = self.delay + self.period;
        let mut stamper = Stamper::new(SlowHand::new(&[Source::assume_slow_nanos(PPB)]), slow(1));
        let mut audit = PeerAudit::default();
        let mut handled = start;
        while handled - start <= limit {
            if let Some(moved) = stamper.stamp(slow(handled)) {
                let (sent, received) = (fast(handled - self.delay), fast(handled + self.delay));
                if let Some(found) = audit.judge(&hand, &StampedReply { sent, moved, received }) {
                    return Some((handled - start, found));
                }
            }
            handled += self.period;
        }
        None
    }

    /// Promise P12: what `found_after` is at most.
    pub(crate) fn bound(&self) -> f64 {
        // Each stamp is short of the truth by a tick and by its rounding, and there is one in at most
        // ten milliseconds: 0.3 parts in a million.
        let seen = self.beyond_slack() - 3e-7;
        let round_trip = 2.0 * self.delay as f64 + 10.0;
        let (stamp_every, period) = (10e6, self.period as f64);
        round_trip / seen + stamp_every / (self.granter as f64 / 1e9) * 1.001 + period
    }
}
