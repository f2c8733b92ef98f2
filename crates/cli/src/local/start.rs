//! Finds the local granter, or starts it: at most one, however many commands come at once.
//!
//! A command that finds none takes the start lock, looks again, and only then starts one. The granter
//! itself locks its record before it binds its socket, so even one that was started by hand excludes
//! another. Whoever finds a granter has had an answer from it over the connection that it goes on to
//! use: a granter with a connection does not end for being idle, so nothing can slip in between.

use super::place::Place;
use super::serve;
use crate::exit::{Exit, Failure};
use crate::granter::link::{Link, monotonic_now, wait};
use crate::granter::{LinkError, out_of_place};
use crate::log::Notes;
use crate::program;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tlease_core::message::{Answer, Ask, Status};

/// A connection to the local granter, which is started if it does not run.
pub(crate) fn reach(place: &Place, notes: Notes) -> Result<Link, Failure> {
    place.prepare()?;
    let until = monotonic_now() + START_WITHIN;
    loop {
        match find(place)? {
            Found::Running(running) => {
                let (link, status) = *running;
                announce(place, &status, notes);
                return Ok(link);
            }
            Found::Nothing if monotonic_now() < until => start(place, until, notes)?,
            Found::Nothing => {
                let sentence = format!(
                    "the local granter was started and is gone again; see {}",
                    place.log().display()
                );
                return Err(Failure::new(Exit::Unreachable, sentence));
            }
        }
    }
}

enum Found {
    Running(Box<(Link, Status)>),
    Nothing,
}

/// Looks for a granter that answers.
fn find(place: &Place) -> Result<Found, Failure> {
    let stream = match UnixStream::connect(place.socket()) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(Found::Nothing),
        Err(error) => return Err(Failure::broken("cannot connect to the local granter", &error)),
    };
    let peer = rustix::net::sockopt::socket_peercred(&stream)
        .map_err(|errno| Failure::broken("cannot tell whose the local granter is", &errno))?;
    if peer.uid != rustix::process::geteuid() {
        let sentence = format!(
            "what listens at '{}' belongs to user {}; it is not used",
            place.socket().display(),
            peer.uid.as_raw()
        );
        return Err(Failure::new(Exit::Unreachable, sentence));
    }
    let asked = Link::over_unix(stream).map_err(LinkError::Io).and_then(|mut link| {
        let answer = link.ask(Ask::Status)?;
        Ok((link, answer))
    });
    match asked {
        Ok((link, Answer::Status(status))) => Ok(Found::Running(Box::new((link, status)))),
        Ok((_, _)) => Err(out_of_place("something else than its status")),
        // It was ending when we came.
        Err(error) if error.is_absence() => Ok(Found::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Starts a granter and waits until it serves, unless another command does so meanwhile.
fn start(place: &Place, until: Instant, notes: Notes) -> Result<(), Failure> {
    let Some(_lock) = StartLock::take(place, until)? else {
        return Ok(());
    };
    if let Found::Running(..) = find(place)? {
        return Ok(());
    }
    notes.detail("starting this user's local granter");
    let cannot = |why: &io::Error| Failure::broken("cannot start the local granter", why);
    let log = open_log(place).map_err(|why| cannot(&why))?;
    let mut granter = program::in_role(serve::ROLE)
        .arg(place.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .map_err(|why| cannot(&why))?;
    let Some(mut said) = granter.stdout.take() else { return Ok(()) };
    let left = until.saturating_duration_since(monotonic_now());
    let ready = wait(&[said.as_fd()], Some(left)).map_err(|why| cannot(&why))?;
    if !ready.contains(&true) {
        let _ = granter.kill();
        let _ = granter.wait();
        return Err(stuck(place));
    }
    // One word once it serves, or a sentence why not; then it closes its end.
    let mut word = String::new();
    let _ = said.read_to_string(&mut word);
    match word.trim() {
        serve::READY => Ok(()),
        "" => Err(Failure::new(
            Exit::Unreachable,
            format!("the local granter died at its start; see {}", place.log().display()),
        )),
        why => {
            Err(Failure::new(Exit::Unreachable, format!("the local granter cannot start: {why}")))
        }
    }
}

/// Held while a command starts the granter.
#[derive(Debug)]
struct StartLock {
    _file: File,
}

impl StartLock {
    /// `None` if a granter has come up while we waited for the lock.
    fn take(place: &Place, until: Instant) -> Result<Option<Self>, Failure> {
        let path = place.start_lock();
        let cannot = |why: io::Error| {
            let sentence = format!("cannot lock '{}': {why}", path.display());
            Failure::new(Exit::Unreachable, sentence)
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(cannot(errno.into())),
            }
            if let Found::Running(..) = find(place)? {
                return Ok(None);
            }
            if monotonic_now() >= until {
                return Err(stuck(place));
            }
            wait(&[], Some(BETWEEN_LOOKS)).map_err(cannot)?;
        }
    }
}

fn stuck(place: &Place) -> Failure {
    let holder = fs::read_to_string(place.granter_lock()).unwrap_or_default();
    let process = match holder.trim() {
        "" => String::new(),
        id => format!(" (its last process was {id})"),
    };
    let sentence = format!(
        "the local granter neither answers nor starts{process}; it may be stopped: continue or kill \
         it, or see {}",
        place.log().display()
    );
    Failure::new(Exit::Unreachable, sentence)
}

fn announce(place: &Place, status: &Status, notes: Notes) {
    notes.detail(&format!(
        "using this user's local granter at {}, life {}",
        place.address(),
        status.incarnation
    ));
}

fn open_log(place: &Place) -> io::Result<File> {
    let path = place.log();
    let long = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_MAX);
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    if long {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path)
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// A start takes some milliseconds, and a disk that is slow; then the user wants to know.
const START_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at a lock that another command holds while it starts the granter.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// The log of a longer one is begun anew at the next start.
const LOG_MAX: u64 = 256 << 10;
