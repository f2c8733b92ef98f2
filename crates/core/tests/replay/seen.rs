//! The abstraction: what of a state both the specification and the code can show.
//!
//! A tick of the specification is [`TICK`] here, and a term of `n` ticks is a nanosecond shorter than
//! they are: such terms lie at the ends of the classes in which a granter counts its promises, so that
//! it does not round them, and a term is over exactly when its ticks have passed.

use std::collections::{BTreeMap, BTreeSet};

use tlease_core::granter::{Leftovers, Record};
use tlease_core::time::Span;
use tlease_core::{Fence, Mode};

use crate::behaviour::State;
use crate::value::Value;

/// A tick of the specification, in nanoseconds.
pub(crate) const TICK: u64 = 1 << 30;

/// A state, as both sides show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) granter: Granter,
    pub(crate) stored: Written,
    pub(crate) writing: Option<Written>,
    pub(crate) holders: BTreeMap<String, Holder>,
    pub(crate) messages: BTreeSet<Message>,
}

/// What a granter tells whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granter {
    pub(crate) incarnation: u64,
    /// Ticks of the restart wait that are left; `None` when there is none.
    pub(crate) wait: Option<u64>,
    /// The longest promise that is durable or will be.
    pub(crate) promise: u64,
    pub(crate) leases: BTreeMap<String, Lease>,
    pub(crate) waiters: u64,
}

/// A lease, as its granter sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) fence: u64,
    pub(crate) shared: bool,
    pub(crate) term: u64,
    pub(crate) left: u64,
    pub(crate) standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Offered,
    Held,
    Recalled,
}

/// A record of the granter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) incarnation: u64,
    pub(crate) mark: u64,
    pub(crate) promise: u64,
    pub(crate) settled: u64,
    pub(crate) leftovers: bool,
}

/// A holder, and what its guard lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) view: View,
    /// What is left for acts at the guard; `None` if it is closed, over or suspect.
    pub(crate) guard: Option<Guard>,
    /// Requests sent so far.
    pub(crate) sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Nothing is wanted, or what was is over and its user was told.
    Idle,
    Pending,
    Valid(u64),
    Suspect,
    /// Over, and nobody has looked yet.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) fence: u64,
    pub(crate) shared: bool,
    pub(crate) left: u64,
}

/// A message, with what matters of its kind; 0 stands for what does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) to_granter: bool,
    pub(crate) holder: String,
    pub(crate) id: u64,
    pub(crate) op: &'static str,
    pub(crate) fence: u64,
    pub(crate) shared: bool,
    pub(crate) term: u64,
    /// The life that signed the tag of a reclaim.
    pub(crate) home: u64,
}

impl Seen {
    /// What a state of the specification shows.
    pub(crate) fn of(state: &State) -> Self {
        let (granter, disk) = (&state.granter, &state.disk);
        let wait = match granter.field("phase").text() {
            "Starting" | "Waiting" => granter.field("wait").some().map(Value::number),
            "Settling" => Some(0),
            _ => None,
        };
        let names = state.holder.domain();
        let leases = names.iter().filter_map(|name| {
            let lease = granter.field("lease").of(name).some()?;
            Some((name.clone(), Lease::of(lease)))
        });
        Self {
            granter: Granter {
                incarnation: granter.field("inc").number(),
                wait,
                promise: disk.field("wanted").field("promise").number(),
                leases: leases.collect(),
                waiters: count(granter.field("queue").members().len()),
            },
            stored: Written::of(disk.field("stored")),
            writing: disk.field("writing").some().map(Written::of),
            holders: names.iter().map(|h| (h.clone(), Holder::of(state.holder.of(h)))).collect(),
            messages: state.net.members().iter().map(Message::of).collect(),
        }
    }
}

impl Lease {
    fn of(lease: &Value) -> Self {
        let is = |field| lease.field(field).is_true();
        let standing = match (is("offered"), is("recalled")) {
            (true, _) => Standing::Offered,
            (false, true) => Standing::Recalled,
            (false, false) => Standing::Held,
        };
        Self {
            fence: lease.field("fence").number(),
            shared: is_shared(lease),
            term: lease.field("term").number(),
            left: lease.field("left").number(),
            standing,
        }
    }
}

impl Written {
    pub(crate) fn of(record: &Value) -> Self {
        Self {
            incarnation: record.field("inc").number(),
            mark: record.field("mark").number(),
            promise: record.field("promise").number(),
            settled: record.field("settled").number(),
            leftovers: record.field("leftovers").is_true(),
        }
    }

    pub(crate) fn of_record(record: &Record) -> Self {
        Self {
            incarnation: record.incarnation.get(),
            mark: record.fence_mark,
            promise: whole_ticks(record.longest_promise),
            settled: record.settled.map_or(0, tlease_core::identity::Incarnation::get),
            leftovers: record.leftovers == Leftovers::Possible,
        }
    }
}

impl Holder {
    fn of(holder: &Value) -> Self {
        let left = holder.field("left").signed();
        let view = match (holder.field("st").text(), left) {
            ("Held", 0) => View::Over,
            ("Held", -1) => View::Suspect,
            ("Held", _) => View::Valid(holder.field("left").number()),
            ("Idle", _) => View::Idle,
            _ => View::Pending,
        };
        let guard = match view {
            View::Valid(left) => Some(Guard {
                fence: holder.field("fence").number(),
                shared: is_shared(holder),
                left,
            }),
            View::Idle | View::Pending | View::Suspect | View::Over => None,
        };
        Self { view, guard, sent: holder.field("next").number() - 1 }
    }
}

impl Message {
    /// A message of the specification.
    pub(crate) fn of(message: &Value) -> Self {
        let number = |field: &str| message.field(field).number();
        let to_granter = message.field("to").text() == "granter";
        let op = message.field("op").text();
        let op = OPS.iter().find(|known| **known == op).expect("a known operation");
        let (fence, mode, term, home) = match *op {
            "Acquire" => (false, true, true, false),
            "Renew" if to_granter => (true, false, true, false),
            "Release" => (true, false, false, false),
            "Reclaim" => (true, true, true, true),
            "Granted" | "Offered" => (true, false, true, false),
            "Renewed" => (false, false, true, false),
            _ => (false, false, false, false),
        };
        Self {
            to_granter,
            holder: message.field("h").text().to_owned(),
            id: number("id"),
            op,
            fence: if fence { number("fence") } else { 0 },
            shared: mode && is_shared(message),
            term: if term { number("term") } else { 0 },
            home: if home { number("home") } else { 0 },
        }
    }

    /// One with nothing but an id.
    pub(crate) fn bare(to_granter: bool, holder: &str, id: u64, op: &'static str) -> Self {
        let holder = holder.to_owned();
        Self { to_granter, holder, id, op, fence: 0, shared: false, term: 0, home: 0 }
    }

    pub(crate) fn with(self, fence: Fence, term: Span) -> Self {
        Self { fence: fence.get(), term: whole_ticks(term), ..self }
    }
}

/// What messages of the specification are about.
const OPS: [&str; 11] = [
    "Acquire",
    "Renew",
    "Release",
    "Withdraw",
    "Reclaim",
    "Granted",
    "Offered",
    "Renewed",
    "NotHeldHere",
    "Refused",
    "Reclaimed",
];

/// A term of so many ticks.
pub(crate) fn term_of(ticks: u64) -> Span {
    Span::from_nanos(ticks * TICK - 1)
}

/// The ticks of a term.
///
/// # Panics
/// If it is not a whole number of them: then the two sides do not speak of the same time.
pub(crate) fn whole_ticks(span: Span) -> u64 {
    if span.is_zero() {
        return 0;
    }
    assert_eq!((span.as_nanos() + 1) % TICK, 0, "no whole number of ticks: {span}");
    span.as_nanos().div_ceil(TICK)
}

/// The ticks that must pass until a span has.
pub(crate) fn ticks_ceil(span: Span) -> u64 {
    span.as_nanos().div_ceil(TICK)
}

pub(crate) fn mode_of(value: &Value) -> Mode {
    if is_shared(value) { Mode::Shared } else { Mode::Exclusive }
}

fn is_shared(value: &Value) -> bool {
    value.field("mode").text() == "shared"
}

pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).expect("few")
}
