//! Traces: the same bytes each time, readable without this crate, replayable from their first line.

use std::collections::BTreeMap;

use serde_json::Value;
use tlease_sim::trace::Trace;
use tlease_sim::{Act, Plan, Timed, Told, World};

fn trace_of(seed: u64) -> Trace {
    World::traced(Plan::draw(seed)).run().trace.expect("a trace was asked for")
}

#[test]
fn one_seed_gives_the_same_bytes_each_time_and_a_trace_changes_nothing() {
    for seed in 0..20 {
        let text = trace_of(seed).to_json_lines();
        assert_eq!(text, trace_of(seed).to_json_lines());
        let (plain, traced) = (Plan::draw(seed), Plan::draw(seed));
        let (plain, traced) = (World::new(plain).run(), World::traced(traced).run());
        assert_eq!((plain.digest, plain.tally), (traced.digest, traced.tally));
    }
}

#[test]
fn a_trace_is_read_back_and_its_plan_makes_it_again() {
    for seed in 0..20 {
        let trace = trace_of(seed);
        let read = Trace::read(&trace.to_json_lines()).expect("our own format");
        assert_eq!(read, trace);
        let plan = read.plan().expect("a plan").clone();
        assert_eq!(World::traced(plan).run().trace, Some(trace));
    }
}

#[test]
fn what_is_no_trace_is_refused_by_line() {
    let good = trace_of(1).to_json_lines();
    assert_eq!(Trace::read("").unwrap_err().line, 1);
    assert_eq!(Trace::read("{}\n").unwrap_err().line, 1);
    let (first, rest) = good.split_once('\n').expect("many lines");
    let second = format!("{first}\nnonsense\n{rest}");
    assert_eq!(Trace::read(&second).unwrap_err().line, 2);
    let newer = good.replacen("\"version\":1", "\"version\":2", 1);
    assert!(Trace::read(&newer).unwrap_err().why.contains("format 2"));
}

/// The checker of docs/traces.md, in another language, knows nothing but the lines.
#[test]
fn an_outsider_finds_no_two_exclusive_holders_in_the_lines_alone() {
    let mut held = 0;
    for seed in 0..50 {
        let trace = trace_of(seed);
        if !breaks_assumptions(trace.plan().expect("a plan")) {
            held += outsider(&trace.to_json_lines()).expect("nobody else holds");
        }
    }
    assert!(held > 50, "only {held} leases were seen");
}

#[test]
fn and_finds_them_where_there_are_some() {
    let held = |at, node, fence| {
        format!(
            r#"{{"at":{at},"hold":{{"node":{node},"name":0,"fence":{fence},"shared":false,"sent":{at},"term":100}}}}"#
        )
    };
    let apart = [held(0, 0, 1), held(100, 1, 2)].join("\n");
    assert_eq!(outsider(&apart), Ok(2));
    let together = [held(0, 0, 1), held(99, 1, 2)].join("\n");
    assert!(outsider(&together).is_err());
}

/// Whether somebody may hold a name twice there: a copy that nobody told, or who was told what nobody said.
fn breaks_assumptions(plan: &Plan) -> bool {
    let untold = |timed: &Timed| matches!(timed.act, Act::Clone { told: Told::Nobody, .. });
    plan.options.damaged > 0 || plan.acts.iter().any(untold)
}

/// How many leases were held; an error if two that exclude each other were held at once.
fn outsider(lines: &str) -> Result<usize, String> {
    // By name and holder: until when, fence, shared.
    let mut holds: BTreeMap<(u64, u64), (u64, u64, bool)> = BTreeMap::new();
    let mut leases = std::collections::BTreeSet::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).map_err(|why| why.to_string())?;
        let number = |of: &Value, key: &str| of[key].as_u64().expect("a number");
        let at = number(&line, "at");
        if let Some(hold) = line.get("hold") {
            let (node, name) = (number(hold, "node"), number(hold, "name"));
            let until = number(hold, "sent") + number(hold, "term");
            let (fence, shared) = (number(hold, "fence"), hold["shared"] == true);
            holds.retain(|_, (until, ..)| *until > at);
            // An answer that comes when the lease is over opens nothing.
            if until <= at {
                continue;
            }
            for ((other_name, other), (_, its, it_shares)) in &holds {
                let excludes = !(shared && *it_shares);
                if *other_name == name && *other != node && excludes {
                    return Err(format!("fences {its} and {fence} of name {name} at {at}"));
                }
            }
            holds.insert((name, node), (until, fence, shared));
            leases.insert((name, fence));
        }
        if let Some(close) = line.get("close") {
            holds.remove(&(number(close, "name"), number(close, "node")));
        }
    }
    Ok(leases.len())
}
