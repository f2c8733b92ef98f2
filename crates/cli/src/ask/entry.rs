//! A name and its leases, as a table or as JSON.

use crate::show::{object, printable, table, text};
use crate::span;
use serde_json::{Map, Value, json};
use tlease_core::message::{Entry, EntryLease, EntryState};

/// One line for each lease of each name, and one for a name that is only waited for.
pub(super) fn as_table(entries: &[Entry]) -> String {
    let mut rows = Vec::new();
    for entry in entries {
        let name = printable(entry.name.as_bytes());
        let waiters = entry.waiters.to_string();
        if entry.leases.is_empty() {
            let none = String::new;
            rows.push([
                name.clone(),
                "free".into(),
                none(),
                none(),
                none(),
                waiters.clone(),
                none(),
            ]);
        }
        for lease in &entry.leases {
            rows.push([
                name.clone(),
                format!("{}{}", lease.mode, suffix(lease.state)),
                lease.fence.to_string(),
                span::show(lease.remaining),
                span::show(lease.term),
                waiters.clone(),
                lease.value.as_ref().map(|value| printable(value.as_bytes())).unwrap_or_default(),
            ]);
        }
    }
    table(["NAME", "MODE", "FENCE", "LEFT", "TERM", "WAITING", "VALUE"], &rows)
}

/// The entry as a JSON object.
pub(super) fn as_json(entry: &Entry) -> Map<String, Value> {
    object([
        ("name", text(entry.name.as_bytes())),
        ("waiters", entry.waiters.into()),
        ("leases", entry.leases.iter().map(lease).collect::<Vec<_>>().into()),
    ])
}

fn lease(lease: &EntryLease) -> Value {
    json!({
        "session": lease.session.to_string(),
        "fence": lease.fence.get(),
        "mode": lease.mode.to_string(),
        "state": match lease.state {
            EntryState::Offered => "offered",
            EntryState::Held => "held",
            EntryState::Recalled => "recalled",
        },
        "term_ms": span::millis(lease.term),
        "remaining_ms": span::millis(lease.remaining),
        "value": lease.value.as_ref().map_or(Value::Null, |value| text(value.as_bytes())),
    })
}

const fn suffix(state: EntryState) -> &'static str {
    match state {
        EntryState::Offered => " (offered)",
        EntryState::Held => "",
        EntryState::Recalled => " (recalled)",
    }
}
