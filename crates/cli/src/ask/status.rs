//! `tlease status`: how a granter is.

use super::Context;
use crate::exit::{Exit, Failure};
use crate::granter::{out_of_place, refused};
use crate::show::{Form, object};
use crate::span;
use clap::Args;
use serde_json::{Map, Value, json};
use tlease_core::message::{Answer, Ask, Status, StoreHealth};
use tlease_wire::Address;

/// Shows how a granter is: its life, what it holds, whether it still waits after a restart.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    form: Form,
}

impl StatusArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut reached = context.which.reach(context.notes)?;
        match reached.link.ask(Ask::Status)? {
            Answer::Status(status) => {
                let address = &reached.address;
                self.form.print(&as_text(address, &status), &as_json(address, &status))?;
                Ok(Exit::Done)
            }
            Answer::Refused(refusal) => Err(refused(refusal)),
            Answer::Entry(_)
            | Answer::Page { .. }
            | Answer::Watching { .. }
            | Answer::Unwatched
            | Answer::Recalling { .. } => Err(out_of_place("something else than its status")),
        }
    }
}

fn as_text(address: &Address, status: &Status) -> String {
    let grants = match status.wait_left {
        Some(left) => format!(
            "none for {}: leases of an earlier life may be in use; their holders can reclaim them",
            span::show(left)
        ),
        None => "yes".into(),
    };
    let store = match status.store {
        StoreHealth::Working => "working",
        StoreHealth::Failing => {
            "FAILING: no new grants; see the granter's log for why it cannot write its record"
        }
    };
    let mut lines = vec![
        format!("granter      {address}, life {}", status.incarnation),
        format!("new grants   {grants}"),
        format!("leases       {} held or offered, {} waiting", status.leases, status.waiters),
        format!("sessions     {}, over {} connections", status.sessions, status.peers),
        format!("store        {store}"),
        format!("after crash  waits up to {}", span::show(status.longest_promise)),
    ];
    if status.clock_breaks > 0 {
        lines.push(format!("clock        continuity was lost {} times", status.clock_breaks));
    }
    if status.disagreements > 0 {
        lines.push(format!(
            "audit        holders reported {} times that their clock and this one disagree",
            status.disagreements
        ));
    }
    lines.join("\n")
}

fn as_json(address: &Address, status: &Status) -> Map<String, Value> {
    object([
        ("address", address.to_string().into()),
        ("incarnation", status.incarnation.get().into()),
        ("wait_left_ms", status.wait_left.map_or(Value::Null, |left| json!(span::millis(left)))),
        ("sessions", status.sessions.into()),
        ("leases", status.leases.into()),
        ("waiters", status.waiters.into()),
        ("connections", status.peers.into()),
        ("store_working", (status.store == StoreHealth::Working).into()),
        ("longest_promise_ms", span::millis(status.longest_promise).into()),
        ("clock_breaks", status.clock_breaks.into()),
        ("disagreements", status.disagreements.into()),
    ])
}
