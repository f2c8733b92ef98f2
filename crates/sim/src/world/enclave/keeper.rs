//! A timekeeper's thread, as `Keepers::keep` drives the machine that ships.

use tlease_clock::enclave::{Beat, Exit, Handshake, Links, Mark, Published, Timekeeper, Verdict};

use super::counter::Counter;
use crate::options::BILLION;

/// A timekeeper's thread.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub(super) machine: Timekeeper,
    pub(super) counter: Counter,
    /// What the others see, and how often it was published.
    pub(super) shows: Published,
    pub(super) version: u64,
    /// Published, and not visible before the fence that ends the next beat.
    leaving: Option<Published>,
    lost: bool,
    /// Until when it is out of the enclave.
    out: u64,
    /// The frequency of its core, and the cycles of the present beat: in all, and done up to `at`, in
    /// billionths.
    core_hz: u64,
    cycles: u64,
    done: u128,
    at: u64,
    pub(super) doing: Doing,
    beats: u64,
    /// Whether its last chain ended with a contradiction.
    pub(super) contradicted: bool,
}

/// What a timekeeper's thread does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doing {
    /// Links.
    Beats,
    /// It waits for the other one to answer, until then at the latest, by true time.
    Asks { handshake: Handshake, until: u64, why: Why },
}

/// Why it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Restart,
    Follow,
}

/// What a beat leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Beats,
    Looks,
    Restarts,
}

impl Keeper {
    pub(super) fn begin(at: u64, machine: Timekeeper, counter: Counter, cycles: u64) -> Self {
        Self {
            shows: machine.published(),
            machine,
            counter,
            version: 0,
            leaving: None,
            lost: true,
            out: 0,
            core_hz: BILLION,
            cycles,
            done: 0,
            at,
            doing: Doing::Beats,
            beats: 0,
            contradicted: false,
        }
    }

    /// When something of it happens next.
    pub(super) fn due(&self) -> u64 {
        match self.doing {
            Doing::Beats => {
                let left = u128::from(self.cycles) * u128::from(BILLION) - self.done;
                let takes = left.div_ceil(u128::from(self.core_hz));
                self.at.max(self.out) + u64::try_from(takes).expect("a moment")
            }
            // One that was interrupted meanwhile gives up when it is back.
            Doing::Asks { .. } if self.lost => self.out.max(self.at),
            Doing::Asks { until, .. } => until.max(self.out),
        }
    }

    /// Executes up to `at`.
    pub(super) fn run_to(&mut self, at: u64) {
        let from = self.at.max(self.out);
        if matches!(self.doing, Doing::Beats) && at > from {
            let all = u128::from(self.cycles) * u128::from(BILLION);
            self.done = (self.done + u128::from(at - from) * u128::from(self.core_hz)).min(all);
        }
        self.at = at;
    }

    pub(super) fn core_runs_at(&mut self, at: u64, hz: u64) {
        self.run_to(at);
        self.core_hz = hz;
    }

    /// It is taken out of the enclave until `until`.
    pub(super) fn exit(&mut self, at: u64, until: u64) {
        self.run_to(at);
        self.lost = true;
        self.out = self.out.max(until);
    }

    /// It is let in again at once.
    pub(super) fn returns(&mut self, at: u64) {
        self.run_to(at);
        self.out = self.out.min(at);
    }

    /// A beat ends: it reads its counter, looks at its mark, and publishes.
    pub(super) fn beat(&mut self, at: u64) -> Next {
        let mark = if self.lost { Mark::Lost } else { Mark::Kept };
        let verdict = self.machine.beat(&Beat { own: self.counter.shows(at), mark });
        self.leaving = Some(self.machine.published());
        self.beats += 1;
        (self.at, self.done) = (at, 0);
        match verdict {
            // It arms its mark anew.
            Verdict::Broke(exit) => {
                self.contradicted = matches!(exit, Exit::Rate(_));
                self.lost = false;
                Next::Restarts
            }
            Verdict::Continues if self.beats.is_multiple_of(LOOK_BEATS) => Next::Looks,
            Verdict::Continues => Next::Beats,
        }
    }

    /// What it published becomes visible. Whether there was anything.
    pub(super) fn publish(&mut self) -> bool {
        let Some(shown) = self.leaving.take() else { return false };
        self.shows = shown;
        self.version += 1;
        true
    }

    pub(super) fn asks(&mut self, at: u64, handshake: Handshake, until: u64, why: Why) {
        (self.at, self.done) = (at, 0);
        self.doing = Doing::Asks { handshake, until, why };
    }

    pub(super) fn beats_again(&mut self, at: u64) {
        (self.at, self.done) = (at, 0);
        self.doing = Doing::Beats;
    }

    /// Whether nothing interrupted it since it armed its mark.
    pub(super) const fn is_unbroken(&self) -> bool {
        !self.lost
    }

    pub(super) const fn is_in(&self, at: u64) -> bool {
        self.out <= at
    }

    /// The links that it has executed, in truth: those at least, and those at most.
    pub(super) fn executed(&self) -> (u64, u64) {
        let Links(beat) = self.machine.pace().beat();
        let all = u128::from(self.cycles) * u128::from(BILLION);
        let done = self.done * u128::from(beat);
        let link = |links: u128| self.beats * beat + u64::try_from(links).expect("a beat");
        (link(done / all), link(done.div_ceil(all)))
    }
}

/// Beats between two looks at the other timekeeper.
const LOOK_BEATS: u64 = 4;
