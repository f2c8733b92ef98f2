//! The processes that contend for a lease: its holder, and its successor.

use super::stage::{Actor, Cue, Outcome, Stage, value};
use crate::exit::{Chain, Exit};
use crate::granter::link::wait;
use std::ffi::OsString;
use std::io;
use std::time::Duration;
use tlease::blocking::{Client, Lease};
use tlease::guard::Refusal;

/// How a holder acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Checks that it holds the lease, then acts.
    CheckThenAct,
    /// Acts inside `lease.commit`.
    Commit,
    /// Acts by `lease.publish`: one word.
    Publish,
}

impl Kind {
    const ALL: [Self; 3] = [Self::CheckThenAct, Self::Commit, Self::Publish];

    /// Its name on the command line of the processes.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CheckThenAct => "check-then-act",
            Self::Commit => "commit",
            Self::Publish => "publish",
        }
    }
}

/// The hidden roles. Their arguments: the stage, the granter, the name of the lease, the kind of act.
pub(crate) const HOLDER: &str = "__demo-holder";
pub(crate) const SUCCESSOR: &str = "__demo-successor";

/// The first holder of each round, which is stopped between its check and its act.
pub(crate) fn holder(arguments: &[OsString]) -> Exit {
    play(arguments, |player| {
        for round in 1.. {
            if !player.stage.await_cue(Cue::Open, round) {
                return Ok(());
            }
            let lease = player.acquire()?;
            player.stage.give(Cue::Held, round);
            player.hold(&lease, round)?;
            player.stage.give(Cue::Done, round);
        }
        Ok(())
    })
}

/// Whoever comes next: waits in the queue, and acts as soon as it has the lease.
pub(crate) fn successor(arguments: &[OsString]) -> Exit {
    play(arguments, |player| {
        for round in 1.. {
            if !player.stage.await_cue(Cue::Held, round) {
                return Ok(());
            }
            let lease = player.acquire()?;
            player.stage.hand_over(round, lease.fence());
            player.stage.give(Cue::Succeeded, round);
            if !player.stage.await_cue(Cue::Judged, round) {
                return Ok(());
            }
            lease.release()?;
        }
        Ok(())
    })
}

struct Player {
    stage: Stage,
    client: Client,
    name: String,
    kind: Kind,
}

type Played = Result<(), Box<dyn std::error::Error>>;

fn play(arguments: &[OsString], part: impl FnOnce(&Player) -> Played) -> Exit {
    let texts: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
    let Some([stage, granter, name, kind]) = texts.as_deref() else { return Exit::Usage };
    let Some(kind) = Kind::ALL.into_iter().find(|known| known.name() == *kind) else {
        return Exit::Usage;
    };
    let played = (|| {
        let stage = Stage::open(stage)?;
        let client = Client::connect(granter)?;
        part(&Player { stage, client, name: (*name).to_owned(), kind })
    })();
    match played {
        Ok(()) => Exit::Done,
        Err(why) => {
            eprintln!("tlease: a process of the demonstration failed: {}", Chain(&*why));
            Exit::Broken
        }
    }
}

impl Player {
    fn acquire(&self) -> Result<Lease, Box<dyn std::error::Error>> {
        Ok(self.client.acquire(&self.name).term(TERM).wait()?)
    }

    /// Acts until the director wants it between check and act; acts once more there, after the pause.
    fn hold(&self, lease: &Lease, round: u64) -> Played {
        loop {
            let aimed = self.stage.is_given(Cue::Aim, round);
            // Whoever checks a lease and then acts is here ...
            if lease.check().is_err() {
                self.stage.give(Cue::Missed, round);
                return Ok(());
            }
            if aimed {
                self.stage.give(Cue::Between, round);
                // ... stopped here: nobody can tell when ...
                self.stage.await_cue(Cue::Go, round);
            }
            // ... and does here what was right when it checked.
            let outcome = self.act(lease, round)?;
            if aimed {
                self.stage.set_outcome(outcome);
                return Ok(());
            }
            wait(&[], Some(BETWEEN_ACTS))?;
        }
    }

    fn act(&self, lease: &Lease, round: u64) -> io::Result<Outcome> {
        let word = self.stage.shared_word();
        let value = value(Actor::Holder, round);
        let acted = match self.kind {
            Kind::CheckThenAct => {
                self.stage.act_unguarded(Actor::Holder, round, lease.fence());
                Ok(())
            }
            Kind::Commit => {
                let journal = self.stage.journal()?;
                let entry = [Actor::Holder as u64, round, 0, 0, 0, 0];
                lease
                    .commit(&(journal, word), |act| {
                        act.store(&word, value);
                        act.append(&journal, entry).is_ok()
                    })
                    .map(drop)
            }
            Kind::Publish => lease.publish(&word, value).map(drop),
        };
        Ok(match acted {
            Ok(()) => {
                self.stage.count_act();
                Outcome::Acted
            }
            Err(Refusal::Expired | Refusal::Revoked | Refusal::Suspect) => Outcome::Over,
            Err(Refusal::CannotCommit(_) | Refusal::Unsupported(_) | Refusal::Nested) => {
                Outcome::Other
            }
        })
    }
}

/// Long enough to be renewed on a busy machine, short enough to see a dozen of them end.
pub(super) const TERM: Duration = Duration::from_millis(400);
const BETWEEN_ACTS: Duration = Duration::from_micros(500);
