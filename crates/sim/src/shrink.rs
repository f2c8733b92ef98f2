//! Makes a failing plan small: fewer acts, fewer kinds of trouble, fewer machines, as long as the same
//! claim does not hold. Deterministic.

use crate::act::Act;
use crate::checkers::Claim;
use crate::options::{ClockPlan, Delays, Network, Options, Transactions};
use crate::plan::{Plan, Timed};
use crate::report::{Report, Violation};

/// A plan made small, and what it took.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// What does not hold in it.
    pub violation: Violation,
    /// How many runs it took.
    pub runs: u32,
}

/// Makes `plan` smaller as long as `run` shows that the claim of its violation does not hold. `None` if
/// it does hold from the beginning. Takes at most `runs_max` runs.
pub fn shrink(plan: &Plan, runs_max: u32, run: impl Fn(&Plan) -> Report) -> Option<Shrunk> {
    let violation = run(plan).verdict.err()?;
    let best = Shrunk { plan: plan.clone(), violation, runs: 1 };
    let mut shrinking = Shrinking { best, runs_max, run };
    loop {
        let size = shrinking.best.plan.size();
        shrinking.end_at_the_violation();
        shrinking.drop_acts();
        shrinking.drop_holders();
        shrinking.simplify_options();
        if shrinking.best.plan.size() >= size || shrinking.is_spent() {
            return Some(shrinking.best);
        }
    }
}

struct Shrinking<R> {
    best: Shrunk,
    runs_max: u32,
    run: R,
}

impl<R: Fn(&Plan) -> Report> Shrinking<R> {
    fn claim(&self) -> Claim {
        self.best.violation.claim
    }

    const fn is_spent(&self) -> bool {
        self.best.runs >= self.runs_max
    }

    /// Whether the claim does not hold in `plan` either: then that is the best so far.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.is_spent() || plan == self.best.plan {
            return false;
        }
        self.best.runs += 1;
        match (self.run)(&plan).verdict {
            Err(violation) if violation.claim == self.claim() => {
                (self.best.plan, self.best.violation) = (plan, violation);
                true
            }
            Ok(()) | Err(_) => false,
        }
    }

    /// What comes after the violation cannot have caused it.
    fn end_at_the_violation(&mut self) {
        let at = self.best.violation.at;
        let mut plan = self.best.plan.clone();
        plan.acts.retain(|timed| timed.at <= at);
        self.takes(plan.clone());
        if at < plan.options.hostile {
            plan.options.hostile = at;
            self.takes(plan);
        }
    }

    /// Delta debugging (Zeller and Hildebrandt, 2002): halves, quarters and so on, down to single acts.
    fn drop_acts(&mut self) {
        let mut chunk = self.best.plan.acts.len().div_ceil(2);
        while chunk > 0 && !self.is_spent() {
            let mut from = 0;
            while from < self.best.plan.acts.len() {
                let mut plan = self.best.plan.clone();
                let to = (from + chunk).min(plan.acts.len());
                plan.acts.drain(from..to);
                if !self.takes(plan) {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
    }

    fn drop_holders(&mut self) {
        for node in (0..self.best.plan.options.holder_clocks.len()).rev() {
            if self.best.plan.options.holder_clocks.len() > 1 {
                let plan = without_holder(&self.best.plan, node);
                self.takes(plan);
            }
        }
    }

    fn simplify_options(&mut self) {
        for simpler in SIMPLER {
            let mut plan = self.best.plan.clone();
            simpler(&mut plan.options);
            self.takes(plan);
        }
        for node in 0..self.best.plan.options.holder_clocks.len() {
            let mut plan = self.best.plan.clone();
            plan.options.holder_clocks[node] = ClockPlan::exact();
            self.takes(plan);
        }
        for index in 0..self.best.plan.acts.len() {
            let mut plan = self.best.plan.clone();
            if let Some(Timed { act: Act::Want(want), .. }) = plan.acts.get_mut(index) {
                (want.shared, want.by_hand) = (false, false);
                self.takes(plan);
            }
        }
    }
}

/// One kind of trouble less each.
const SIMPLER: &[fn(&mut Options)] = &[
    |options| options.network = Network::Ordered,
    |options| options.delays = Delays::Fixed(1_000_000),
    |options| options.crash_between = 0,
    |options| options.write_fails = 0,
    |options| options.wakes_late = 0,
    |options| options.exits = 0,
    |options| options.transactions = Transactions::Work,
    |options| options.damaged = 0,
    |options| options.commits_at_end = 0,
    |options| options.handles_fall = false,
    |options| options.heals_with_reset = false,
    |options| options.recall_on_wait = None,
    |options| options.leases_max = 1_000,
    |options| options.waiters_max = 100,
    |options| options.granter_clock = ClockPlan::exact(),
    |options| options.session_idle = options.session_idle.max(60_000_000_000),
];

impl Plan {
    /// How much there is to it: acts, machines, kinds of trouble.
    #[must_use]
    pub fn size(&self) -> usize {
        let quiet = Options::quiet(1);
        let trouble = SIMPLER.iter().filter(|simpler| {
            let mut simple = self.options.clone();
            simpler(&mut simple);
            simple != self.options
        });
        let odd = self.options.holder_clocks.iter().filter(|clock| **clock != quiet.granter_clock);
        self.acts.len() * 4 + self.options.holder_clocks.len() * 2 + trouble.count() + odd.count()
    }
}

/// The plan without one holder and what it does.
fn without_holder(plan: &Plan, gone: usize) -> Plan {
    let mut plan = plan.clone();
    plan.options.holder_clocks.remove(gone);
    plan.acts.retain_mut(|timed| match timed.act.node_mut() {
        Some(node) if *node == gone => false,
        Some(node) => {
            *node -= usize::from(*node > gone);
            true
        }
        None => true,
    });
    plan
}
