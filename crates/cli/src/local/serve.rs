//! The local granter itself: this program in a hidden role, detached from whoever started it.

use super::place::Place;
use crate::exit::{Chain, Exit, Failure};
use crate::log::Loudness;
use crate::program;
use crate::serve::stop::Signals;
use crate::span;
use rustix::fs::{FlockOperation, flock};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;
use tlease_clock::{HostClock, Profile};
use tlease_core::identity::Rights;
use tlease_daemon::store::{Init, StoreError};
use tlease_daemon::{Config, Listen, Server, SlowClock, StartError};
use tracing_subscriber::filter::LevelFilter;

/// The hidden role, and its word on standard output once it serves.
pub(crate) const ROLE: &str = "__granter";
pub(super) const READY: &str = "ready";

/// Serves from the directory that is its argument, until it is idle or told to stop.
pub(crate) fn serve(arguments: &[OsString]) -> Exit {
    program::detach();
    Loudness::default().begin(LevelFilter::INFO);
    let [directory] = arguments else { return Exit::Usage };
    match serve_at(&Place::at(directory.into())) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            tracing::error!("{failure}");
            // Whoever started us shows it to the user, or is gone.
            let _ = writeln!(io::stdout(), "{failure}");
            failure.exit
        }
    }
}

fn serve_at(place: &Place) -> Result<(), Failure> {
    let signals = Signals::take()?;
    let server = open(place)?;
    signals.stop(server.control())?;
    server
        .run(|_| {
            // A starter that is gone need not know.
            let _ = writeln!(io::stdout(), "{READY}");
            program::close_stdout();
        })
        .map_err(|why| Failure::broken("the granter failed", &why))?;
    Ok(())
}

/// Opens the record and the socket. One that is just ending is waited for: its start lock is ours,
/// so nobody else can take its place.
fn open(place: &Place) -> Result<Server, Failure> {
    loop {
        let unix = Listen::Unix { path: place.socket(), rights: Rights::Operator };
        let mut config = Config::new(place.data(), Init::IfNew).listen(unix);
        config.stop_when_idle = Some(patience());
        let clock = HostClock::open(&Profile::host())
            .map_err(|why| Failure::broken("the clocks of this machine cannot be read", &why))?;
        match Server::open(config, SlowClock::from(clock)) {
            Ok(server) => return Ok(server),
            Err(StartError::Store(StoreError::InUse { .. })) => {
                let lock = File::open(place.granter_lock());
                lock.and_then(|lock| Ok(flock(&lock, FlockOperation::LockShared)?))
                    .map_err(|why| Failure::broken("cannot wait for the last granter", &why))?;
            }
            Err(why) => return Err(Failure::new(Exit::Unstartable, Chain(&why).to_string())),
        }
    }
}

/// How long the granter stays without anything to do. From the environment of the command that starts
/// it, for tests and for those who want it to stay longer.
fn patience() -> Duration {
    let given = std::env::var("TLEASE_LOCAL_IDLE").ok();
    let given = given.and_then(|text| span::parse(&text).ok());
    given.map_or(IDLE, Duration::from)
}

const IDLE: Duration = Duration::from_secs(300);
