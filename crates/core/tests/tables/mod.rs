//! The tables, and how a cell is written.

pub(crate) mod granter;
pub(crate) mod holder;

use std::fmt::{Debug, Write};
use std::time::Duration;

/// A value as short as people can still read it: `Fence(7)` is `f7`, a span has a unit.
fn brief(value: &impl Debug) -> String {
    let mut text = format!("{value:?}");
    for (long, short) in SHORTER {
        text = numbers(&text, long, short);
    }
    for (long, short) in WORDS {
        text = text.replace(long, short);
    }
    text
}

/// Rewrites each `long(number)`.
fn numbers(text: &str, long: &str, short: fn(u64) -> String) -> String {
    let open = format!("{long}(");
    let mut parts = text.split(&open);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once(')').unwrap_or((part, ""));
        match number.parse() {
            Ok(number) => write!(out, "{}{rest}", short(number)).expect("a string"),
            Err(_) => write!(out, "{open}{part}").expect("a string"),
        }
    }
    out
}

type Short = fn(u64) -> String;

const SHORTER: [(&str, Short); 8] = [
    ("Fence", |n| format!("f{n}")),
    ("Span", |n| format!("{:?}", Duration::from_nanos(n))),
    ("RequestId", |n| format!("#{n}")),
    ("AskId", |n| format!("?{n}")),
    ("Peer", |n| format!("peer {n}")),
    ("PersistId", |n| format!("write {n}")),
    ("Incarnation", |n| format!("life {n}")),
    ("Handle", |n| format!("lease {n}")),
];

const WORDS: [(&str, &str); 8] = [
    ("01010101010101010101010101010101", "A"),
    ("02020202020202020202020202020202", "B"),
    (", tag: Tag(..)", ""),
    ("{ tag: Tag(..) }", ""),
    (", token_key: TokenKey(..)", ""),
    ("FastInstant { segment: Segment(0), readings: Readings { ticks: [", "at "),
    ("FastInstant { segment: Segment(1), readings: Readings { ticks: [", "segment 1 at "),
    (", 0, 0], present: 1 } }", ""),
];

/// One line of a table.
fn line(table: &mut String, input: &str, outputs: &[String], after: &str) {
    let outputs = if outputs.is_empty() { "nothing".to_owned() } else { outputs.join("; ") };
    writeln!(table, "  {input}\n    -> {outputs}\n    == {after}").expect("a string");
}
