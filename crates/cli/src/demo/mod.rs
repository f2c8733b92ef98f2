//! `tlease demo`: a lease that is checked and a lease that is kept, under the same attack.
//!
//! Two lanes run side by side against one granter. In each, a holder checks its lease, is stopped by
//! SIGSTOP before it acts, and continued once its successor has the lease. The judge uses no clock: the
//! successor puts down that it has the lease, in the very memory that both act on, and whatever the first
//! holder adds after that is stale.

mod granter;
mod lane;
mod players;
mod stage;
mod timeline;

pub(crate) use players::{HOLDER, SUCCESSOR, holder, successor};

use crate::exit::{Exit, Failure};
use crate::show::{self, Form, object};
use clap::Args;
use granter::Granter;
use lane::{Lane, Round};
use players::Kind;
use serde_json::{Value, json};
use std::io;
use std::thread;
use timeline::{Colour, Ink};
use tlease_clock::guard::Refusal;

/// Shows on this machine, with real processes, what a lease is worth when its holder is paused.
///
/// The usual way, to check the lease and then act, beside T-Lease's, to act inside the lease. Both holders
/// are stopped at the worst moment until another has the lease, then continued. It takes about 15 seconds.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// How often each holder is stopped
    #[arg(long, value_name = "COUNT", default_value_t = 20, hide = true)]
    rounds: u64,

    #[command(flatten)]
    form: Form,
}

/// What a lane came to.
#[derive(Debug, Default)]
struct Tally {
    acts: u64,
    pauses: u64,
    missed: u64,
    stale: u64,
    last: Option<Round>,
}

impl DemoArgs {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let broken = |why: io::Error| Failure::broken("the demonstration failed", &why);
        let kind = strongest().map_err(broken)?;
        let ink = Ink::of_stdout();
        if !self.form.json {
            show::print(&introduction(kind))?;
        }
        let granter = Granter::start()?;
        let (usual, trusted) = thread::scope(|scope| {
            let other = scope.spawn(|| direct(Kind::CheckThenAct, &granter.address, self.rounds));
            let trusted = direct(kind, &granter.address, self.rounds);
            (other.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))), trusted)
        });
        let (usual, trusted) = (usual.map_err(broken)?, trusted.map_err(broken)?);
        drop(granter);
        let text = report(kind, &usual, &trusted, ink);
        let fields = object([
            ("check_then_act", as_json(&usual)),
            ("tlease", as_json(&trusted)),
            ("act", kind.name().into()),
        ]);
        self.form.print(&text, &fields)?;
        conclude(kind, &usual, &trusted)
    }
}

/// The strongest way to act that this machine has.
fn strongest() -> io::Result<Kind> {
    let clock = tlease_clock::HostClock::open(&tlease_clock::Profile::host());
    let clock = std::sync::Arc::new(clock.map_err(io::Error::other)?);
    let cell = tlease_clock::LeaseCell::new(std::sync::Arc::clone(&clock))?;
    let (fence, anchor) = (tlease::Fence::FIRST, clock.fast_now().send_anchor());
    cell.hold(fence, &anchor, tlease_core::time::Span::from_secs(60)).map_err(io::Error::other)?;
    let region = tlease::memory::Region::new(8)?;
    let Some(word) = region.word(0) else { return Err(io::ErrorKind::OutOfMemory.into()) };
    match (cell.commit(fence, &word, |_| ()), cell.publish(fence, &word, 1)) {
        (Err(Refusal::Unsupported(_)), Err(Refusal::Unsupported(missing))) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, format!("this machine lacks {missing}")))
        }
        (Err(Refusal::Unsupported(_)), _) => Ok(Kind::Publish),
        (_, _) => Ok(Kind::Commit),
    }
}

/// Plays all rounds of a lane.
fn direct(kind: Kind, granter: &str, rounds: u64) -> io::Result<Tally> {
    let mut lane = Lane::start(kind, granter)?;
    let mut tally = Tally::default();
    for round in 1..=rounds {
        match lane.play(round)? {
            Some(played) => {
                tally.pauses += 1;
                tally.stale += played.stale;
                tally.last = Some(played);
            }
            None => tally.missed += 1,
        }
    }
    tally.acts = lane.acts();
    Ok(tally)
}

fn introduction(kind: Kind) -> String {
    let term = players::TERM;
    let acts = match kind {
        Kind::Commit | Kind::CheckThenAct => "in lease.commit(..)",
        Kind::Publish => "by lease.publish(..)",
    };
    format!(
        "Two holders, each with a lease of {term:?}. One checks its lease and then acts, as is usual; the \
         other\nacts {acts}. Each is stopped (SIGSTOP) after its check, until its lease is over and \
         another\nhas it; then it is continued (SIGCONT), and does what it was about to do.\n"
    )
}

fn report(kind: Kind, usual: &Tally, trusted: &Tally, ink: Ink) -> String {
    let mut lines = Vec::new();
    for (kind, tally) in [(Kind::CheckThenAct, usual), (kind, trusted)] {
        lines.push(heading(kind).to_owned());
        lines.extend(tally.last.map(|round| timeline::draw(&round, ink)));
        let count =
            format!("{} acts, {} pauses, {} stale effects", tally.acts, tally.pauses, tally.stale);
        let colour = if tally.stale == 0 { Colour::Good } else { Colour::Bad };
        lines.push(format!("  {}\n", ink.paint(colour, &count)));
    }
    lines.push(
        "A stale effect is an act of the first holder after the second one's first act, in the order of \
         the\nmemory that they share; no clock is asked."
            .into(),
    );
    if kind == Kind::Publish {
        lines.push(
            "This machine has no hardware transactions, so this was publish: the weaker claim. It holds \
             against\nthe scheduler, signals and migration, and by a margin against shorter pauses below."
                .into(),
        );
    }
    lines.join("\n")
}

const fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::CheckThenAct => "The usual way: if lease.check() { act() }",
        Kind::Commit => "T-Lease: lease.commit(|| act())",
        Kind::Publish => "T-Lease without hardware transactions: lease.publish(word)",
    }
}

fn as_json(tally: &Tally) -> Value {
    json!({ "acts": tally.acts, "pauses": tally.pauses, "missed": tally.missed, "stale": tally.stale })
}

fn conclude(kind: Kind, usual: &Tally, trusted: &Tally) -> Result<Exit, Failure> {
    let disproved = |sentence: String| Err(Failure::new(Exit::Disproved, sentence));
    let act = kind.name();
    if trusted.stale > 0 {
        return disproved(format!(
            "{} effects of {act} came after the hand-over: this must not happen; please report it with \
             the output of 'tlease doctor --json'",
            trusted.stale
        ));
    }
    if trusted.acts == 0 {
        return disproved(format!("nothing was shown: no {act} went through; see 'tlease doctor'"));
    }
    if usual.stale == 0 || trusted.pauses == 0 {
        return disproved(
            "nothing was shown: the holders lost their leases before they could be stopped; try again \
             when the machine is less busy"
                .into(),
        );
    }
    Ok(Exit::Done)
}
