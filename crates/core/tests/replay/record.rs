//! Traces of the code: inputs that are drawn at random, each with what both sides show afterwards, for
//! TLC to find in the specification (`spec/Trace.tla`).

use std::collections::BTreeSet;

use crate::cell::{Cell, Hands};
use crate::rng::Rng;
use crate::seen::{Guard, Holder, Lease, Message, Seen, Standing, View, Written};
use crate::value::Value;

pub(crate) const HOLDERS: [&str; 3] = ["a", "b", "c"];

/// Inputs of a trace. Clocks move a little between them, and there is no room for more.
const INPUTS: usize = 70;

/// One run of the code, being made.
pub(crate) struct Recorder {
    cell: Cell,
    rng: Rng,
    seen: Seen,
    /// Whether the granter was told to stop.
    is_stopping: bool,
    /// What was sent and can still be received: of this connection, and no reply twice.
    flying: Vec<Message>,
    /// The lines so far: each a step of the trace.
    steps: Vec<String>,
    kinds: BTreeSet<String>,
}

/// A run of the code.
pub(crate) struct Trace {
    /// How many steps it has, the first state included.
    pub(crate) steps: usize,
    /// Which inputs were in it: of messages, also what they say.
    pub(crate) kinds: BTreeSet<String>,
    text: String,
}

impl Recorder {
    pub(crate) fn new(hands: Hands, seed: u64) -> Self {
        let mut cell = Cell::new(hands, &HOLDERS.map(str::to_owned));
        let seen = cell.shows();
        let mut recorder = Self {
            cell,
            rng: Rng::new(seed),
            seen,
            is_stopping: false,
            flying: Vec::new(),
            steps: Vec::new(),
            kinds: BTreeSet::new(),
        };
        recorder.note("op |-> \"Init\"");
        recorder
    }

    /// Goes on to the end of the trace, and gives it as a sequence of TLA+.
    pub(crate) fn run(mut self) -> Trace {
        while self.steps.len() <= INPUTS {
            let kind = self.rng.below(100);
            if let Some(step) = self.draw(kind) {
                self.take(&step);
            }
        }
        Trace {
            steps: self.steps.len(),
            kinds: self.kinds,
            text: format!("<<\n{}\n>>", self.steps.join(",\n")),
        }
    }

    /// An input of a kind, if one is possible now.
    fn draw(&mut self, kind: u64) -> Option<String> {
        let holder = self.rng.pick(&HOLDERS);
        let view = self.seen.holders[holder].view;
        let is_held = matches!(view, View::Valid(_) | View::Suspect);
        let of = |op: &str| format!("op |-> \"{op}\", h |-> {holder}");
        match kind {
            // A granter that was told to stop is started again soon.
            0..20 if self.is_stopping && self.seen.writing.is_none() => Some(self.crash()),
            0..40 => self.delivery(),
            40..52 if view == View::Idle => {
                let (mode, term) = (self.mode(), self.rng.between(1, 3));
                Some(format!("{}, mode |-> \"{mode}\", term |-> {term}", of("Wish")))
            }
            40..52 if is_held => {
                let longer = self.rng.between(0, 3) * self.rng.below(2);
                Some(format!("{}, longer |-> {longer}", of("AskToRenew")))
            }
            52..57 if matches!(view, View::Pending | View::Valid(_) | View::Suspect) => {
                Some(of("GiveUp"))
            }
            57..62 if view == View::Over => Some(of("Expire")),
            62..64 if view != View::Over => Some(of("Break")),
            64..72 if self.listens() && view != View::Over => {
                let is_new = self.cell.is_connected(holder);
                // A restart is noticed soon, other connections break now and then.
                (!is_new || self.rng.chance(20)).then(|| of("Reopen"))
            }
            72..84 if self.seen.writing.is_some() => {
                let fails = self.rng.chance(25);
                Some(format!("op |-> \"{}\"", if fails { "StoreFails" } else { "Stored" }))
            }
            84..96 => self.tick(),
            96..98 => self.recall(),
            98 => self.exit(),
            99 => Some(self.crash()),
            _ => None,
        }
    }

    fn delivery(&mut self) -> Option<String> {
        let listens = self.listens();
        let can_hear = |m: &&Message| !m.to_granter || listens;
        let connected = |m: &&Message| self.cell.is_connected(&m.holder);
        let ready: Vec<&Message> = self.flying.iter().filter(can_hear).filter(connected).collect();
        let count = u64::try_from(ready.len()).expect("few");
        let nth = usize::try_from(self.rng.next().checked_rem(count)?).expect("few");
        let message = ready[nth].clone();
        if !message.to_granter || self.rng.chance(70) {
            self.flying.retain(|known| *known != message);
        }
        let op = if message.to_granter { "GranterReceives" } else { "HolderReceives" };
        Some(format!("op |-> \"{op}\", m |-> {}", tla_message(&message)))
    }

    /// Which comes first, when the wait and a lease end in the same tick, is below what a tick tells.
    fn tick(&mut self) -> Option<String> {
        let slow = self.rng.below(2);
        let ends = self.seen.granter.leases.values().any(|lease| lease.left <= slow);
        if slow == 1 && self.seen.granter.wait == Some(1) && ends {
            return None;
        }
        let fast = HOLDERS.map(|holder| format!("{holder} :> {}", self.rng.between(1, 2)));
        Some(format!("op |-> \"Tick\", slow |-> {slow}, fast |-> ({})", fast.join(" @@ ")))
    }

    /// An operator wants the name for those who wait.
    fn recall(&self) -> Option<String> {
        let granter = &self.seen.granter;
        let is_held = granter.leases.values().any(|lease| lease.standing == Standing::Held);
        let possible = self.listens() && is_held && granter.waiters > 0;
        possible.then(|| "op |-> \"Recall\"".to_owned())
    }

    /// An orderly exit, when nothing is held, offered, waited for, or waits for the store.
    fn exit(&self) -> Option<String> {
        let Seen { granter, writing, .. } = &self.seen;
        let is_idle = granter.leases.is_empty() && granter.waiters == 0 && granter.wait.is_none();
        let possible = self.listens() && is_idle && writing.is_none();
        possible.then(|| "op |-> \"Exit\"".to_owned())
    }

    fn crash(&mut self) -> String {
        let record = self.either_record();
        format!("op |-> \"Crash\", record |-> {}", tla_record(&record))
    }

    fn listens(&self) -> bool {
        self.cell.is_asked() && !self.is_stopping
    }

    fn mode(&mut self) -> &'static str {
        if self.rng.chance(70) { "exclusive" } else { "shared" }
    }

    fn either_record(&mut self) -> Written {
        let stored = self.seen.stored.clone();
        self.seen.writing.clone().filter(|_| self.rng.chance(50)).unwrap_or(stored)
    }

    fn take(&mut self, step: &str) {
        let value = Value::read(&format!("[{step}]"));
        let stored = self.either_record();
        if value.field("op").text() == "Reopen" {
            let holder = value.field("h").text();
            if self.rng.chance(50) {
                self.cell.answer_leaves(holder);
            }
            self.flying.retain(|message| message.holder != holder);
        }
        self.cell.input(&value, &stored);
        let op = value.field("op").text();
        self.kinds.insert(match op {
            "GranterReceives" | "HolderReceives" => {
                format!("{op} {}", value.field("m").field("op").text())
            }
            op => op.to_owned(),
        });
        match op {
            "Exit" => self.is_stopping = true,
            "Crash" => self.is_stopping = false,
            _ => {}
        }
        self.note(step);
    }

    /// Writes a step down, with what both sides show now.
    fn note(&mut self, step: &str) {
        let seen = self.cell.shows();
        let sent: Vec<Message> = seen.messages.difference(&self.seen.messages).cloned().collect();
        let shown = tla_seen(&seen, self.cell.is_asked());
        let messages: Vec<String> = sent.iter().map(tla_message).collect();
        self.steps
            .push(format!("[{step}, sent |-> {{{}}},\n  seen |-> {shown}]", messages.join(", ")));
        self.flying.extend(sent);
        self.seen = seen;
    }
}

/// Traces as the module that `spec/Trace.tla` extends. All in literals: TLC evaluates such a constant
/// once, and one with operators in it again and again.
pub(crate) fn module(traces: &[Trace]) -> String {
    let traces: Vec<&str> = traces.iter().map(|trace| trace.text.as_str()).collect();
    let (holders, traces) = (HOLDERS.join(", "), traces.join(",\n"));
    format!(
        "---- MODULE Recorded ----\nEXTENDS Lease\nCONSTANTS {holders}\n\
         Recorded == <<\n{traces}\n>>\n====\n"
    )
}

fn tla_seen(seen: &Seen, asked: bool) -> String {
    let Seen { granter, stored, writing, holders, messages: _ } = seen;
    let lease = |holder: &str| granter.leases.get(holder).map_or_else(none, tla_lease);
    format!(
        "[inc |-> {}, wait |-> {}, promise |-> {}, waiters |-> {}, asked |-> {}, leases |-> {}, \
         stored |-> {}, writing |-> {}, holders |-> {}]",
        granter.incarnation,
        granter.wait.map_or_else(none, |wait| wait.to_string()),
        granter.promise,
        granter.waiters,
        tla_truth(asked),
        of_each(lease),
        tla_record(stored),
        writing.as_ref().map_or_else(none, tla_record),
        of_each(|holder| tla_holder(&holders[holder])),
    )
}

/// A function of the holders.
fn of_each(value: impl Fn(&str) -> String) -> String {
    format!("({})", HOLDERS.map(|holder| format!("{holder} :> {}", value(holder))).join(" @@ "))
}

fn none() -> String {
    "None".to_owned()
}

fn tla_lease(lease: &Lease) -> String {
    let Lease { fence, shared, term, left, standing } = lease;
    let standing = match standing {
        Standing::Offered => "offered",
        Standing::Held => "held",
        Standing::Recalled => "recalled",
    };
    let mode = tla_mode(*shared);
    format!(
        "[fence |-> {fence}, mode |-> {mode}, term |-> {term}, left |-> {left}, \
         standing |-> \"{standing}\"]"
    )
}

fn tla_holder(holder: &Holder) -> String {
    let view = match holder.view {
        View::Idle => "idle",
        View::Pending => "pending",
        View::Valid(_) => "valid",
        View::Suspect => "suspect",
        View::Over => "over",
    };
    if let View::Valid(left) = holder.view {
        assert_eq!(holder.guard.map(|guard| guard.left), Some(left), "what the guard lets pass");
    }
    let (left, fence, mode) = match holder.guard {
        Some(Guard { fence, shared, left }) => (left, fence, tla_mode(shared)),
        None => (0, 0, "\"none\""),
    };
    let sent = holder.sent;
    format!(
        "[view |-> \"{view}\", sent |-> {sent}, left |-> {left}, fence |-> {fence}, mode |-> {mode}]"
    )
}

fn tla_record(record: &Written) -> String {
    let Written { incarnation, mark, promise, settled, leftovers } = record;
    let leftovers = tla_truth(*leftovers);
    format!(
        "[inc |-> {incarnation}, mark |-> {mark}, promise |-> {promise}, settled |-> {settled}, \
         leftovers |-> {leftovers}]"
    )
}

fn tla_message(message: &Message) -> String {
    let Message { to_granter, holder, id, op, fence, shared, term, home } = message;
    let to = if *to_granter { "granter" } else { "holder" };
    let mode = if matches!(*op, "Acquire" | "Reclaim") { tla_mode(*shared) } else { "\"none\"" };
    format!(
        "[to |-> \"{to}\", h |-> {holder}, id |-> {id}, op |-> \"{op}\", fence |-> {fence}, \
         mode |-> {mode}, term |-> {term}, home |-> {home}]"
    )
}

const fn tla_mode(shared: bool) -> &'static str {
    if shared { "\"shared\"" } else { "\"exclusive\"" }
}

const fn tla_truth(truth: bool) -> &'static str {
    if truth { "TRUE" } else { "FALSE" }
}
