//! A failing run becomes a short one that fails for the same reason.

use tlease_sim::{Act, ClockAct, ClockPlan, Options, Plan, Timed, World, shrink};

const SECOND: u64 = 1_000_000_000;

/// A world with all that a seed draws, in which somebody turns a holder's clock back: more than any
/// claim allows for.
fn broken(seed: u64) -> Plan {
    let mut plan = Plan::draw(seed);
    let honest = |clock: &mut ClockPlan| *clock = ClockPlan::exact();
    plan.options.holder_clocks.iter_mut().for_each(honest);
    let scale = plan.options.scale;
    for node in 0..plan.options.holder_clocks.len() {
        for step in 1..60 {
            let by = -i64::try_from(scale / 40).expect("small");
            let clock = ClockAct::Jump { source: 0, by };
            plan.acts.push(Timed { at: scale / 10 * step, act: Act::Clock { node, clock } });
        }
    }
    plan.acts.sort_by_key(|timed| timed.at);
    plan
}

#[test]
fn a_failing_plan_shrinks_to_a_few_acts_that_fail_for_the_same_reason() {
    let run = |plan: &Plan| World::new(plan.clone()).run();
    let mut shrunk_any = 0;
    for seed in 0..24 {
        let plan = broken(seed);
        let Err(violation) = run(&plan).verdict else { continue };
        let small = shrink(&plan, 2_000, run).expect("it fails");
        assert_eq!(small.violation.claim, violation.claim);
        assert_eq!(run(&small.plan).verdict, Err(small.violation.clone()));
        assert!(small.plan.acts.len() * 4 < plan.acts.len(), "{} acts", small.plan.acts.len());
        let again = shrink(&plan, 2_000, run).expect("it fails");
        assert_eq!((again.plan, again.runs), (small.plan, small.runs));
        shrunk_any += 1;
    }
    assert!(shrunk_any >= 3, "only {shrunk_any} of these worlds fail");
}

#[test]
fn a_plan_that_keeps_every_claim_is_not_shrunk() {
    let plan = Plan::of(1, Options { hostile: SECOND, ..Options::quiet(1) });
    assert!(shrink(&plan, 10, |plan| World::new(plan.clone()).run()).is_none());
}
