//! The sentences of `tlease run`: what was chosen, and under which conditions the promise holds.

use super::containment::Kind;
use super::guard::{Guarded, PassedOver};
use super::margin::Margin;
use super::message::{Lateness, Outcome};
use super::voice::{Voice, Weight};
use serde_json::{Value, json};
use std::time::Duration;

/// Says which containment was chosen and which were not.
pub(super) fn containment(voice: Voice, guarded: &Guarded, passed_over: &[PassedOver]) {
    for PassedOver { kind, why } in passed_over {
        let sentence = format!("containment {kind} passed over: {why}");
        let facts = [("kind", kind.name().into()), ("why", why.to_string().into())];
        voice.say(Weight::Detail, "passed-over", &sentence, &facts);
    }
    let kind = guarded.containment.kind();
    let directory = guarded.containment.directory();
    let place = directory.map_or_else(String::new, |path| format!(" at {}", path.display()));
    let sentence = format!("containment {kind}: {}{place}", kind.description());
    // The last resort is never silent.
    let weight = if kind == Kind::Group { Weight::News } else { Weight::Detail };
    let facts = [
        ("kind", kind.name().into()),
        ("directory", directory.map_or(Value::Null, |path| json!(path.to_string_lossy()))),
        ("watchdog", guarded.watchdog.as_raw().into()),
        ("kill_latency_us", micros(guarded.kill_latency)),
        ("exposure", kind.exposure().into()),
    ];
    voice.say(weight, "contained", &sentence, &facts);
    let sentence = format!("not covered by it: {}", kind.exposure());
    voice.say(weight, "exposure", &sentence, &[]);
}

/// Says when the killing starts, and what the promise of a run rests on.
pub(super) fn promise(voice: Voice, guarded: &Guarded, term: Duration, margin: &Margin) {
    let sentence = format!(
        "killing starts {:?} before the deadline of a term of {term:?}: killing and reaping a small \
         tree took {:.1?} here, just now",
        margin.span(),
        margin.kill_latency(),
    );
    let facts = [
        ("term_ms", millis(term)),
        ("margin_ms", millis(margin.span())),
        ("kill_latency_us", micros(margin.kill_latency())),
    ];
    voice.say(Weight::Detail, "margin", &sentence, &facts);

    let hardened = guarded.hardened;
    let yes_or_no = |holds| if holds { "yes" } else { "no" };
    let sentence = format!(
        "watchdog: memory locked {}, spared when memory runs out {}, raised priority {}",
        yes_or_no(hardened.memory_locked),
        yes_or_no(hardened.oom_exempt),
        yes_or_no(hardened.prioritised),
    );
    let facts = [
        ("memory_locked", hardened.memory_locked.into()),
        ("oom_exempt", hardened.oom_exempt.into()),
        ("prioritised", hardened.prioritised.into()),
    ];
    voice.say(Weight::Detail, "watchdog", &sentence, &facts);

    for sentence in CONDITIONS {
        voice.say(Weight::Detail, "condition", sentence, &[]);
    }
}

/// Says how the tree ended, if that was not by itself and in time.
pub(super) fn outcome(voice: Voice, outcome: &Outcome) {
    let Outcome { why, took, lateness } = *outcome;
    let why = why.sentence();
    let late_us = match lateness {
        Lateness::After(late) => micros(late),
        Lateness::InTime | Lateness::Unknown => Value::Null,
    };
    let facts = [("why", why.into()), ("took_us", micros(took)), ("late_us", late_us)];
    let fenced = "the fence is what protects the resource";
    let sentence = match lateness {
        Lateness::InTime => {
            format!("nothing of the command is left, {took:.1?} after killing began")
        }
        Lateness::After(late) => format!(
            "OVERRUN: {why}, and nothing of the command was known to be left only {late:.1?} after \
             the deadline; {fenced}"
        ),
        Lateness::Unknown => format!(
            "OVERRUN: {why}; nothing of the command is left, but it is not known whether that was \
             so at the deadline; {fenced}"
        ),
    };
    let weight = if lateness == Lateness::InTime { Weight::Detail } else { Weight::News };
    voice.say(weight, "empty", &sentence, &facts);
}

fn millis(span: Duration) -> Value {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).into()
}

fn micros(span: Duration) -> Value {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).into()
}

/// What a user may rely on, and what not.
const CONDITIONS: [&str; 5] = [
    "promise: no task of the contained tree executes after the deadline of the lease, provided the \
     watchdog is scheduled within the margin; also when every other process of this run is stopped \
     or killed",
    "if everything was frozen together (container pause, cgroup freezer, virtual machine), killing \
     is the first thing the watchdog does after the thaw, but the command may run before it: the \
     fence (TLEASE_FENCE) is what protects the resource",
    "what was handed to the kernel or to another service (bytes in sockets, queued disk writes, \
     systemd-run, docker, at, ssh) is not part of the tree",
    "what the command leaves behind when it ends is killed; the lease is released only after nothing \
     is left, and not at all in doubt",
    "a suspend of the machine ends the run: nobody knows how much of the lease was left",
];
