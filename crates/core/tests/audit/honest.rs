//! Two clocks that keep their promises, and everything that can happen to the messages between them.

use proptest::prelude::*;
use tlease_core::audit::{Disagreement, PeerAudit, StampedReply};
use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Source, Ticks,
};

use super::{BILLION, PPB, Stamper};

/// A source whose rate changes: how long in true time, and what it shows of that in parts in a
/// billion.
#[derive(Debug, Clone)]
pub(crate) struct Rates(Vec<(u64, u64)>);

impl Rates {
    fn shows(&self, true_time: u64) -> u64 {
        let (mut left, mut shown) = (u128::from(true_time), 0_u128);
        for (lasts, share) in self.0.iter().cycle() {
            let here = left.min(u128::from(*lasts));
            shown += here * u128::from(*share);
            left -= here;
            if left == 0 {
                break;
            }
        }
        u64::try_from(shown / u128::from(BILLION)).expect("less than 584 years")
    }
}

/// Rates between two bounds, in parts in a billion.
fn rates(low: u64, high: u64) -> impl Strategy<Value = Rates> {
    prop::collection::vec((1..20 * BILLION, low..=high), 1..5).prop_map(Rates)
}

/// The sources of a hand, of which the first keeps its promise and the others do what they like.
fn sources(low: u64, high: u64) -> impl Strategy<Value = Vec<Rates>> {
    (rates(low, high), prop::collection::vec(rates(0, 5 * BILLION), 0..3)).prop_map(
        |(honest, mut others)| {
            others.insert(0, honest);
            others
        },
    )
}

/// At least what a fast source may show, and up to ten times more.
pub(crate) fn honest_fast() -> impl Strategy<Value = Vec<Rates>> {
    sources(BILLION - u64::from(PPB), 10 * BILLION)
}

/// At most what a slow source may show, down to nothing.
pub(crate) fn honest_slow() -> impl Strategy<Value = Vec<Rates>> {
    sources(0, BILLION + u64::from(PPB))
}

/// One request: true times in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Trip {
    /// Since the last request was sent.
    gap: u64,
    /// Under way, queued, batched.
    there: u64,
    back: u64,
    /// How stale the stamps are that the two shells take, on their safe sides.
    stale: [u64; 4],
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// The reply is lost.
    Lost,
    /// The reply is judged twice.
    Twice,
    /// The holder's segment ends before this request: its clock goes on from anywhere.
    NewSegment {
        from: u64,
    },
    /// The sources of the granter's clock go back by this much before this request.
    ClockGoesBack {
        by: u64,
    },
    /// The granter restarts before this request.
    Restart,
    /// The connection is replaced before this request.
    Reconnect,
}

pub(crate) fn trip() -> impl Strategy<Value = Trip> {
    let span = || prop_oneof![0..1_000_u64, 0..50_000_000_u64, 0..10 * BILLION];
    let fate = prop_oneof![
        8 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => (0..u64::MAX / 4).prop_map(|from| Fate::NewSegment { from }),
        1 => (1..100 * BILLION).prop_map(|by| Fate::ClockGoesBack { by }),
        1 => Just(Fate::Restart),
        1 => Just(Fate::Reconnect),
    ];
    let stale = || prop_oneof![3 => Just(0_u64), 1 => 0..20_000_000_u64];
    (span(), span(), span(), [stale(), stale(), stale(), stale()], fate)
        .prop_map(|(gap, there, back, stale, fate)| Trip { gap, there, back, stale, fate })
}

/// What is left to be received: when, and what it says.
struct Reply {
    received: u64,
    reply: StampedReply,
}

/// Both clocks, as true time goes on.
struct Clocks {
    fast: Vec<Rates>,
    slow: Vec<Rates>,
    segment: u64,
    /// Where each segment's readings begin.
    begins: Vec<u64>,
    /// What the granter's sources were set back by.
    back: u64,
}

impl Clocks {
    fn fast(&self, segment: u64, true_time: u64) -> FastInstant {
        let begin = self.begins[usize::try_from(segment).expect("few segments")];
        let ticks: Vec<_> =
            self.fast.iter().map(|source| Some(Ticks(begin + source.shows(true_time)))).collect();
        FastInstant::new(Segment(segment), Readings::new(&ticks))
    }

    fn slow(&self, true_time: u64) -> SlowInstant {
        let show = |source: &Rates| Some(Ticks(SLOW_BEGINS - self.back + source.shows(true_time)));
        SlowInstant::new(Readings::new(&self.slow.iter().map(show).collect::<Vec<_>>()))
    }
}

/// Room to be set back.
const SLOW_BEGINS: u64 = 1 << 62;

/// A session between the two.
pub(crate) struct Run {
    clocks: Clocks,
    fast_hand: FastHand,
    stamper: Stamper,
    audit: PeerAudit,
    /// True time of the last sending, and of the last handling.
    sent: u64,
    handled: u64,
    under_way: Vec<Reply>,
}

impl Run {
    pub(crate) fn new(fast: Vec<Rates>, slow: Vec<Rates>) -> Self {
        let fast_hand = FastHand::new(&vec![Source::assume_fast_nanos(PPB); fast.len()]);
        let slow_hand = SlowHand::new(&vec![Source::assume_slow_nanos(PPB); slow.len()]);
        let clocks = Clocks { fast, slow, segment: 0, begins: vec![0], back: 0 };
        let stamper = Stamper::new(slow_hand, Now::at(clocks.slow(0)));
        let audit = PeerAudit::default();
        Self { clocks, fast_hand, stamper, audit, sent: 0, handled: 0, under_way: Vec::new() }
    }

    /// Makes every trip; an error is a false alarm.
    pub(crate) fn all(&mut self, trips: Vec<Trip>) -> Result<(), Disagreement> {
        for trip in trips {
            self.sent += trip.gap;
            self.judge_what_came_by(self.sent)?;
            self.befall(trip.fate);
            self.send(&trip);
        }
        self.judge_what_came_by(u64::MAX)
    }

    /// In the order in which it came.
    fn judge_what_came_by(&mut self, moment: u64) -> Result<(), Disagreement> {
        self.under_way.sort_by_key(|reply| reply.received);
        let come = self.under_way.iter().take_while(|reply| reply.received <= moment).count();
        for Reply { received, mut reply } in self.under_way.drain(..come) {
            reply.received = self.clocks.fast(self.clocks.segment, received);
            self.audit.judge(&self.fast_hand, &reply).map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// What happens before a request is sent.
    fn befall(&mut self, fate: Fate) {
        let now = Now::at(self.clocks.slow(self.handled));
        match fate {
            Fate::Answered | Fate::Lost | Fate::Twice => {}
            Fate::NewSegment { from } => {
                self.clocks.segment += 1;
                self.clocks.begins.push(from);
            }
            Fate::ClockGoesBack { by } => self.clocks.back += by,
            Fate::Restart => {
                // Its connections are gone, and with them what was under way.
                self.under_way.clear();
                self.stamper.restart(now);
                self.audit.begin_anew();
                self.sent = self.sent.max(self.handled);
            }
            Fate::Reconnect => {
                self.under_way.clear();
                self.stamper.open(now);
                self.sent = self.sent.max(self.handled);
            }
        }
    }

    fn send(&mut self, trip: &Trip) {
        let [before_send, early, late, after_receipt] = trip.stale;
        // The granter handles requests in the order in which they come to it.
        self.handled = self.handled.max(self.sent + trip.there);
        let slow_now = Now {
            not_before: self.clocks.slow(self.handled.saturating_sub(early)),
            not_after: self.clocks.slow(self.handled + late),
        };
        let Some(moved) = self.stamper.stamp(slow_now) else { return };
        let sent = self.sent.saturating_sub(before_send);
        let sent = self.clocks.fast(self.clocks.segment, sent);
        let reply = StampedReply { sent, moved, received: sent };
        let received = self.handled + trip.back + after_receipt;
        let copies = match trip.fate {
            Fate::Lost => 0,
            Fate::Twice => 2,
            Fate::Answered
            | Fate::NewSegment { .. }
            | Fate::ClockGoesBack { .. }
            | Fate::Restart
            | Fate::Reconnect => 1,
        };
        self.under_way
            .extend((0..copies).map(|copy| Reply { received: received + copy * trip.back, reply }));
    }
}
