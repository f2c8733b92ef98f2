//! The disk, and the granter's lives that begin from it.

use tlease_core::Key;
use tlease_core::granter::{
    self, Granter, Input, Leftovers, Limits, Past, PersistId, Record, Start, TokenKey,
};
use tlease_core::identity::Rights;
use tlease_core::message::{Ask, Prefix, ToGranter};
use tlease_core::time::Span;

use super::{Event, OBSERVER, WATCH, World};
use crate::options::Options;
use crate::trace::What;

/// What the granter's disk may hold.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What it may hold, for all that the granter can know. Empty before the first write.
    pub(crate) may_hold: Vec<Record>,
    pub(crate) under_way: Option<(PersistId, Record)>,
    /// Whether the present life was made durable.
    born: bool,
    /// Every record that was written, for a disk that is rolled back.
    written: Vec<Record>,
}

impl Disk {
    pub(crate) const fn empty() -> Self {
        Self { may_hold: Vec::new(), under_way: None, born: false, written: Vec::new() }
    }

    /// It shows what it held so many writes before, if there were as many.
    pub(crate) fn roll_back(&mut self, writes: usize) {
        let older = self.written.len().checked_sub(writes + 1);
        if let Some(record) = older.and_then(|index| self.written.get(index)) {
            self.may_hold = vec![*record];
        }
    }

    /// Every record that a next life might find.
    pub(crate) fn every_record(&self, is: impl Fn(&Record) -> bool) -> bool {
        let under_way = self.under_way.as_ref().map(|(_, record)| record);
        self.may_hold.iter().chain(under_way).all(is)
    }
}

impl World {
    pub(crate) fn start_granter(&mut self) {
        if self.granter.is_some() {
            return;
        }
        let past = if self.disk.may_hold.is_empty() {
            Past::FirstStart { token_key: TokenKey([7; 16]) }
        } else {
            let record = self.draws.disk.pick(&self.disk.may_hold);
            self.disk.may_hold = vec![record];
            Past::Record(record)
        };
        let wait = matches!(past, Past::Record(record) if record.leftovers == Leftovers::Possible);
        self.tell(|| What::Start { wait });
        self.disk.born = false;
        let hand = self.granter_clock.slow_hand(self.planted);
        let limits = limits(&self.options);
        let now = self.granter_clock.slow_now(&mut self.draws.clocks, self.now);
        self.check_slow_hand(now);
        let mut granter = Granter::new(Start { hand, limits, past, table_key: Key([3; 16]) }, now);
        let outputs: Vec<granter::Output> = granter.outputs().collect();
        self.granter = Some(granter);
        self.checkers.new_life(self.now);
        self.perform(outputs);
    }

    pub(crate) fn write(&mut self, id: PersistId, record: Record) {
        if self.disk.under_way.is_some() {
            self.violated(crate::checkers::i6::CLAIM, || {
                "two records are under way at once".to_owned()
            });
        }
        self.disk.under_way = Some((id, record));
        let later = self.now + self.delay();
        self.at(later, Event::WriteDone(id));
    }

    pub(crate) fn write_done(&mut self, id: PersistId) {
        if self.now < self.granter_paused {
            return self.at(self.granter_paused, Event::WriteDone(id));
        }
        let Some((_, record)) = self.disk.under_way.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        if !self.healed && self.draws.disk.chance(self.options.write_fails) {
            self.disk.may_hold.push(record);
            self.count("write that failed", 1);
            if planted!(self.planted, FailureReportedAsDone) {
                return self.feed_granter(Input::Persisted(id));
            }
            return self.feed_granter(Input::PersistFailed(id));
        }
        self.disk.may_hold = vec![record];
        self.disk.written.push(record);
        self.feed_granter(Input::Persisted(id));
        if !self.disk.born && self.granter.is_some() {
            self.disk.born = true;
            let rights = Rights::Operator;
            self.feed_granter(Input::Connected { peer: OBSERVER, rights });
            let ask = Ask::Watch { prefix: Prefix::default(), after: None };
            let message = ToGranter::Ask { id: WATCH, ask };
            self.feed_granter(Input::Received { peer: OBSERVER, message });
        }
    }

    /// The granter dies: of what was being written nobody knows whether it arrived.
    pub(crate) fn crash(&mut self) {
        self.tell(|| What::Down);
        self.granter = None;
        self.granter_wake = None;
        if let Some((_, record)) = self.disk.under_way.take() {
            self.disk.may_hold.push(record);
        }
        self.break_all();
        let later = self.now + self.delay();
        self.at(later, Event::Start);
    }
}

fn limits(options: &Options) -> Limits {
    Limits {
        recall_on_wait: options.recall_on_wait.map(Span::from_nanos),
        session_idle: Span::from_nanos(options.session_idle),
        leases_max: options.leases_max,
        waiters_per_name_max: options.waiters_max,
        ..Limits::default()
    }
}
