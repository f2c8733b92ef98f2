//! A granter of one name, in the test's own process: it answers over a socket, frees by its own
//! clock, and remembers when.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tlease_cli::run::RawInstant;

pub(crate) struct Granter {
    socket: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    last_fence: u64,
    held: Option<Grant>,
    /// All grants, in order; ended or not.
    grants: Vec<Grant>,
    holder: Option<UnixStream>,
}

/// One grant, as its granter saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) fence: u64,
    /// When it has to be over at latest.
    pub(crate) until: RawInstant,
    /// When it was freed, and whether that was by release.
    pub(crate) freed: Option<(RawInstant, bool)>,
}

impl Granter {
    pub(crate) fn start(directory: &Path) -> Self {
        let socket = directory.join("granter");
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        Self { socket, shared }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The grants so far.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        self.shared.state.lock().unwrap().grants.clone()
    }

    /// Wants the lease back within `span`.
    pub(crate) fn recall(&self, span: Duration) {
        let state = self.shared.state.lock().unwrap();
        let mut holder = state.holder.as_ref().expect("somebody holds the lease");
        writeln!(holder, "recalled {}", span.as_nanos()).unwrap();
    }
}

impl Shared {
    fn serve(&self, mut stream: UnixStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let mut words = line.split(' ');
            let verb = words.next().unwrap();
            let number: u64 = words.next().unwrap().parse().unwrap();
            let answer = match verb {
                "try" => self.acquire(number, RawInstant::read(), &stream),
                "acquire" => {
                    let wait_ns: u64 = words.next().unwrap().parse().unwrap();
                    let until = RawInstant::read().later_by(Duration::from_nanos(wait_ns));
                    self.acquire(number, until, &stream)
                }
                "renew" => self.renew(number, words.next().unwrap().parse().unwrap()),
                "release" => self.release(number),
                other => panic!("{other} is not a verb of this granter"),
            };
            // A holder that was killed meanwhile does not want to know.
            if writeln!(stream, "{answer}").is_err() {
                return;
            }
        }
    }

    fn acquire(&self, term_ns: u64, give_up: RawInstant, holder: &UnixStream) -> String {
        let mut state = self.state.lock().unwrap();
        loop {
            let now = RawInstant::read();
            state.expire(now);
            let Some(held) = state.held else { break };
            if now >= give_up {
                return "busy 0".into();
            }
            let wait = held.until.since(now).min(give_up.since(now)) + Duration::from_millis(1);
            state = self.changed.wait_timeout(state, wait).unwrap().0;
        }
        state.last_fence += 1;
        let until = RawInstant::read().later_by(Duration::from_nanos(term_ns));
        let grant = Grant { fence: state.last_fence, until, freed: None };
        state.held = Some(grant);
        state.grants.push(grant);
        state.holder = holder.try_clone().ok();
        format!("granted {}", grant.fence)
    }

    fn renew(&self, fence: u64, term_ns: u64) -> String {
        let mut state = self.state.lock().unwrap();
        let now = RawInstant::read();
        state.expire(now);
        match &mut state.held {
            Some(held) if held.fence == fence => {
                held.until = held.until.max(now.later_by(Duration::from_nanos(term_ns)));
                let until = held.until;
                state.grants.last_mut().unwrap().until = until;
                "renewed 0".into()
            }
            _ => "gone 0".into(),
        }
    }

    fn release(&self, fence: u64) -> String {
        let mut state = self.state.lock().unwrap();
        let now = RawInstant::read();
        state.expire(now);
        if state.held.is_none_or(|held| held.fence != fence) {
            return "gone 0".into();
        }
        state.free(now, true);
        self.changed.notify_all();
        "released 0".into()
    }
}

impl State {
    fn expire(&mut self, now: RawInstant) {
        if self.held.is_some_and(|held| held.until <= now) {
            self.free(now, false);
        }
    }

    fn free(&mut self, now: RawInstant, by_release: bool) {
        self.held = None;
        self.holder = None;
        self.grants.last_mut().unwrap().freed = Some((now, by_release));
    }
}
