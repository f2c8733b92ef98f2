//! A holder and all that its user can see of it.

use std::collections::BTreeMap;

use tlease_core::Name;
use tlease_core::holder::{Handle, Hold, Holder, Input};
use tlease_core::identity::{RequestId, Secret, SessionId};
use tlease_core::message::FromGranter;
use tlease_core::time::{FastHand, FastInstant, Now, Segment};

use super::clock::Clock;
use crate::act::Lease;
use crate::checkers::i2;
use crate::checkers::i19::{self, Anchors};
use crate::checkers::i25::{self, Heard};
use crate::options::ClockPlan;
use crate::planted::Planted;
use crate::rng::Rng;

/// A holder and all that its user can see of it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) holder: Holder,
    pub(crate) hand: FastHand,
    pub(crate) clock: Clock,
    pub(crate) conn: Option<usize>,
    pub(crate) wake: Option<u64>,
    /// Until when nothing of it runs.
    pub(crate) paused: u64,
    /// Until when the whole machine is asleep or stopped.
    pub(crate) asleep: u64,
    /// Until when its virtual machine is stopped, which its kernel does not know.
    pub(crate) stopped: u64,
    /// How often continuity was disrupted: changes what a guard reads.
    pub(crate) disruptions: u64,
    /// When that was last.
    pub(crate) broken_at: Option<u64>,
    /// When its clock and the granter's were found to disagree last.
    pub(crate) doubted_at: Option<u64>,
    pub(crate) leases: BTreeMap<Handle, Seen>,
    /// When each request of the present connection was sent, as its holder stamped it.
    pub(crate) sent: BTreeMap<RequestId, FastInstant>,
    /// The true time of each stamp that a guard may count from.
    pub(crate) stamps: Vec<(FastInstant, u64)>,
    /// Where its timekeepers' hand had been, if it has any.
    pub(crate) anchors: Anchors,
    /// The last snapshot of its machine.
    pub(crate) kept: Option<Box<Node>>,
    /// Whether its machine was told that it may be a copy, and its holder not yet.
    pub(crate) copied: bool,
    /// The sessions that it gave up since it was told of a copy.
    pub(crate) given_up: Vec<SessionId>,
    /// Whether an assumption was broken for it alone: what it believes counts for nobody.
    pub(crate) excused: bool,
    /// Whether it heard, or was heard to say, what nobody had said: it is judged no more.
    pub(crate) deceived: bool,
}

/// A lease as its user saw it through the outputs.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The number of its name.
    pub(crate) name: u64,
    /// Goes up from wish to wish.
    pub(crate) number: u64,
    pub(crate) guard: Guard,
    /// How often the guard's words were written.
    pub(crate) version: u64,
    /// Every moment that its guard may count from.
    pub(crate) anchors: Vec<FastInstant>,
    /// The true time of the one it counts from.
    pub(crate) anchored_at: u64,
    /// Whether it was over at the moment of an input.
    pub(crate) was_over: bool,
    pub(crate) ended: bool,
    /// Whether it was recalled from its holder.
    pub(crate) recalled: Option<Heard>,
}

/// What the guard of a lease lets pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Guard {
    NotYet,
    Open(Hold),
    /// Until the next hold.
    Suspended,
    Closed,
}

impl Node {
    pub(crate) fn begin(plan: &ClockPlan, rng: &mut Rng, true_time: u64, planted: Planted) -> Self {
        let mut clock = Clock::begin(plan, true_time, planted);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&rng.next().to_le_bytes());
        let now = clock.fast_now(rng, true_time);
        Self {
            holder: Holder::new(clock.fast_hand(planted), SessionId(id), Secret(id), now),
            hand: clock.fast_hand(planted),
            clock,
            conn: None,
            wake: None,
            paused: 0,
            asleep: 0,
            stopped: 0,
            disruptions: 0,
            broken_at: None,
            doubted_at: None,
            leases: BTreeMap::new(),
            sent: BTreeMap::new(),
            stamps: Vec::new(),
            anchors: Anchors::default(),
            kept: None,
            copied: false,
            given_up: Vec::new(),
            excused: false,
            deceived: false,
        }
    }

    /// Notes the recall that an input tells of, at true time `now`, which the holder stamped so.
    pub(crate) fn hears(
        &mut self,
        input: &Input,
        names: &[Name],
        now: u64,
        stamp: &Now<FastInstant>,
    ) {
        let Segment(segment) = stamp.send_anchor().segment();
        if stamp.reading().segment() != Segment(segment) {
            // A break that nobody caused but the hand, which knows nothing of this moment: no grace can
            // be measured across it, and the next renewal grants it anew.
            return self.leases.values_mut().for_each(|seen| seen.recalled = None);
        }
        let Input::Received(FromGranter::Recalled { name, fence, recall }) = input else { return };
        let of_name =
            |seen: &&mut Seen| usize::try_from(seen.name).is_ok_and(|n| names.get(n) == Some(name));
        for seen in self.leases.values_mut().filter(of_name) {
            i25::heard(seen, *fence, recall, now, segment);
        }
    }

    /// Judges a reading of its clock, and keeps what timekeepers showed.
    pub(crate) fn advanced(&mut self, now: Now<FastInstant>, true_time: u64) -> Result<(), String> {
        if let Some(slowest) = self.clock.slowest_counter() {
            i19::anchored(&mut self.anchors, now.send_anchor(), true_time, slowest);
        }
        let (hidden, kept) = (self.clock.hidden(), self.clock.kept_fast_promise());
        i2::read(kept, &self.hand, &self.stamps, now, true_time, hidden)
    }

    /// The lease that is meant, if there is one.
    pub(crate) fn find(&self, lease: Lease) -> Option<Handle> {
        let nth = |handles: Vec<Handle>, n: u64| {
            let index = n.checked_rem(handles.len() as u64)?;
            handles.get(usize::try_from(index).ok()?).copied()
        };
        match lease {
            Lease::Of(name) => {
                let live = self.live().filter(|(_, seen)| seen.name == name);
                live.max_by_key(|(_, seen)| seen.number).map(|(handle, _)| handle)
            }
            Lease::Held(n) => {
                let held = self.live().filter(|(_, seen)| matches!(seen.guard, Guard::Open(_)));
                let held: Vec<Handle> = held.map(|(handle, _)| handle).collect();
                if held.is_empty() { self.find(Lease::Live(n)) } else { nth(held, n) }
            }
            Lease::Live(n) => nth(self.live().map(|(handle, _)| handle).collect(), n),
            Lease::Any(n) => nth(self.leases.keys().copied().collect(), n),
        }
    }

    fn live(&self) -> impl Iterator<Item = (Handle, &Seen)> {
        self.leases.iter().filter(|(_, seen)| !seen.ended).map(|(handle, seen)| (*handle, seen))
    }
}

/// The name with this number.
pub(crate) fn name_of(number: u64) -> Name {
    format!("name/{number}").parse().expect("a good name")
}
