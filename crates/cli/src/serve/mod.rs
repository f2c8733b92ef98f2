//! `tlease serve`: a granter that others reach over sockets.

mod args;
pub(crate) mod stop;

pub(crate) use args::ServeArgs;

use crate::exit::{Chain, Exit, Failure};
use crate::show::{Form, object};
use crate::span;
use serde_json::{Value, json};
use std::path::Path;
use stop::Signals;
use tlease_core::granter::Exit as GranterExit;
use tlease_daemon::{Ready, RunError, Server, SlowClock, StartError};

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    let config = args.config()?;
    // Before a clock has threads of its own.
    let signals = Signals::take()?;
    let clock = args.timing.open()?;
    let profile = clock.to_string();
    let server = Server::open(config, SlowClock::from(clock)).map_err(|why| unstartable(&why))?;
    signals.stop(server.control())?;
    let mut printed = Ok(());
    let exit = server
        .run(|ready| printed = say_ready(args.form, ready, &args.data, &profile))
        .map_err(|why| unservable(&why))?;
    // A granter whose output nobody reads any more has served all the same.
    let _ = printed.and_then(|()| say_stopped(args.form, exit));
    Ok(Exit::Done)
}

fn say_ready(form: Form, ready: &Ready, data: &Path, profile: &str) -> Result<(), Failure> {
    let addresses: Vec<String> = ready.addresses.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        format!("tlease: ready on {}", addresses.join(" and ")),
        format!("tlease: life {} of the granter in {}", ready.incarnation, data.display()),
        format!("tlease: {profile}"),
    ];
    if let Some(wait) = ready.wait {
        lines.push(format!(
            "tlease: leases of an earlier life may be in use: no new grants for {}; their holders \
             can reclaim them meanwhile",
            span::show(wait)
        ));
    }
    let fields = object([
        ("event", "ready".into()),
        ("addresses", addresses.into()),
        ("incarnation", ready.incarnation.get().into()),
        ("data", data.to_string_lossy().into()),
        ("profile", profile.into()),
        ("wait_ms", ready.wait.map_or(Value::Null, |wait| json!(span::millis(wait)))),
    ]);
    form.print(&lines.join("\n"), &fields)
}

fn say_stopped(form: Form, exit: GranterExit) -> Result<(), Failure> {
    let (sentence, wait) = match exit {
        GranterExit::Settled => {
            ("tlease: stopped; nothing is held, the next start grants at once".to_owned(), None)
        }
        GranterExit::LeasesLive { wait } => {
            let sentence = format!(
                "tlease: stopped with leases live; holders keep them to their end, and the next \
                 start makes no new grants for up to {}",
                span::show(wait)
            );
            (sentence, Some(wait))
        }
    };
    let wait = wait.map_or(Value::Null, |wait| json!(span::millis(wait)));
    form.print(&sentence, &object([("event", "stopped".into()), ("next_wait_ms", wait)]))
}

fn unstartable(why: &StartError) -> Failure {
    Failure::new(Exit::Unstartable, Chain(why).to_string())
}

fn unservable(why: &RunError) -> Failure {
    let exit = match why {
        RunError::NotBegun(_) => Exit::Unstartable,
        RunError::Poll(_) => Exit::Broken,
    };
    Failure::new(exit, Chain(why).to_string())
}
