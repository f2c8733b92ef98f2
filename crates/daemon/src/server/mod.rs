//! `Server`: one thread that owns the granter and every socket.
//!
//! One loop: wait for sockets, read all that are ready, read the clock once, hand every message to the
//! granter, carry out what it puts out, write to all that have something to be written. A request
//! costs one `read` and one `write`, and under load the wait and the clock are shared: no task is
//! woken, no lock taken and no queue crossed on its way. That is why this is an epoll loop of its own
//! and not an asynchronous runtime with a task for each connection and a channel to the granter's:
//! measured bare, the two cost the same for each byte moved, so the hops are what there is to save.
//!
//! The clock is read after the last byte of a turn was read, so every message of the turn may share
//! that reading (the contract of [`Granter::handle`]); a stamp that is a little old by the time the
//! last message is handled is safe, because it is still later than the reading of that message.
//!
//! Only the store has a thread of its own, since it waits for a disk. Wake-ups of the granter are
//! the timeout of the wait; they come late rather than early, and late ones only delay.

mod connection;
mod connections;
mod control;
mod effects;
mod error;
mod gate;
mod idle;
mod listener;
mod poll;
mod stream;
mod writer;

pub use control::Control;
pub use error::{RunError, StartError};

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tlease_core::Key;
use tlease_core::granter::{Exit, Granter, Input, Leftovers, Output, Past, Start};
use tlease_core::identity::{AskId, Incarnation, Rights};
use tlease_core::message::{Ask, ToGranter};
use tlease_core::time::{Now, SlowInstant, Span};
use tlease_wire::Address;

use crate::clock::SlowClock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::store::{BootId, Store, random};
use connections::Connections;
use control::Command;
use effects::Effects;
use gate::Gate;
use idle::{IdleWatch, nothing_to_do};
use poll::{Due, Poll};
use stream::{Origin, Stream};
use writer::Writer;

/// A granter behind its sockets: opened, then run by a thread of the caller's.
///
/// # Examples
/// ```no_run
/// use tlease_clock::{HostClock, Profile};
/// use tlease_daemon::{Config, Listen, Server, SlowClock, store::Init};
/// let address = Listen::Tcp(([127, 0, 0, 1], 7420).into());
/// let clock = SlowClock::from(HostClock::open(&Profile::host())?);
/// let server = Server::open(Config::new("./granter", Init::New).listen(address), clock)?;
/// let control = server.control();
/// let exit = server.run(|ready| println!("ready: {:?}", ready.addresses))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    granter: Granter,
    clock: SlowClock,
    poll: Poll,
    gate: Gate,
    effects: Effects,
    commands: mpsc::Receiver<Command>,
    control: Control,
    /// What is to be handed to the granter in this turn, in order.
    inbox: Vec<Input>,
    life: Life,
    idle: Option<IdleWatch>,
    /// What the leases of earlier lives make the granter wait.
    wait: Option<Span>,
    metrics: Metrics,
}

/// How far along a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Its first record is not durable yet.
    Beginning,
    Serving,
}

/// What a server says once it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Where it listens; a port that was asked for as 0 is the real one here.
    pub addresses: Vec<Address>,
    /// This life of its granter.
    pub incarnation: Incarnation,
    /// How long it makes no new grants, because leases of an earlier life may be in use: about this,
    /// a little more as its clock is slow.
    pub wait: Option<Span>,
}

impl Server {
    /// Locks the directory, binds the sockets and begins the granter's next life. Nothing is
    /// accepted before [`Server::run`].
    ///
    /// # Errors
    /// What stands in the way, and what to do about it.
    pub fn open(config: Config, mut clock: SlowClock) -> Result<Self, StartError> {
        let (min, max) = (config.limits.term_min, config.limits.term_max);
        if min.is_zero() || min > max {
            return Err(StartError::Terms { min, max });
        }
        let (store, past) =
            Store::open(&config.data, config.init, config.holders(), BootId::present())?;
        let gate = Gate::open(&config.listen)?;
        let poll = Poll::new().map_err(StartError::System)?;
        let writer = Writer::start(store, poll.waker()).map_err(StartError::System)?;
        let (control, commands) = Control::new(poll.waker());
        let metrics = Metrics::default();
        let connections = Connections::new(config.connections, metrics.clone());
        let table_key = Key(random()?);
        let start = Start { hand: clock.hand(), limits: config.limits, past, table_key };
        let granter = Granter::new(start, clock.now());
        Ok(Self {
            granter,
            clock,
            poll,
            gate,
            effects: Effects::new(connections, writer),
            commands,
            control,
            inbox: Vec::new(),
            life: Life::Beginning,
            idle: config.stop_when_idle.map(IdleWatch::new),
            wait: wait_after(&past),
            metrics,
        })
    }

    /// A way to reach it while it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Serves until [`Control::stop`], or until it is idle if it was set so; calls `ready` once it does.
    ///
    /// Returns whether the next start has to wait, and for how long.
    ///
    /// # Errors
    /// If the first record could not be made durable, or the system fails. A store that fails later
    /// does not end it: what is durable already goes on, and the rest is refused.
    pub fn run(mut self, ready: impl FnOnce(&Ready)) -> Result<Exit, RunError> {
        let mut ready = Some(ready);
        let mut due = VecDeque::new();
        for output in self.granter.outputs() {
            self.effects.carry_out(output);
        }
        loop {
            if due.is_empty() {
                self.poll.wait(self.timeout(), &mut due).map_err(RunError::Poll)?;
            }
            self.metrics.counters().turns.add(1);
            self.settle_writes()?;
            self.gather(&mut due);
            self.hand_over();
            self.stop_if_idle();
            if let Some(exit) = self.effects.stopped {
                tracing::info!(?exit, "stopped");
                self.say_goodbye();
                return Ok(exit);
            }
            if self.life == Life::Serving
                && let Some(ready) = ready.take()
            {
                self.gate.let_in(&self.poll).map_err(RunError::Poll)?;
                let readiness = self.readiness();
                tracing::info!(?readiness, "serving");
                ready(&readiness);
            }
            self.effects.connections.flush(&self.poll);
        }
    }

    /// Puts what became of records into the inbox.
    fn settle_writes(&mut self) -> Result<(), RunError> {
        while let Some((id, outcome)) = self.effects.writer.outcome() {
            match (outcome, self.life) {
                (Ok(()), Life::Beginning | Life::Serving) => {
                    self.life = Life::Serving;
                    self.metrics.counters().persisted.add(1);
                    self.inbox.push(Input::Persisted(id));
                }
                (Err(error), Life::Beginning) => return Err(RunError::NotBegun(error)),
                (Err(error), Life::Serving) => {
                    self.metrics.counters().persist_failed.add(1);
                    let reason: &dyn std::error::Error = &error;
                    tracing::error!(reason, "the granter's record could not be written");
                    self.inbox.push(Input::PersistFailed(id));
                }
            }
        }
        Ok(())
    }

    /// Puts whatever has come since the last turn into the inbox; leaves what is too much for one
    /// turn in `due`, for the next.
    fn gather(&mut self, due: &mut VecDeque<Due>) {
        let now = monotonic_now();
        let connections = &mut self.effects.connections;
        while self.inbox.len() < INBOX_ENOUGH
            && let Some(due) = due.pop_front()
        {
            if !self.gate.knock(&self.poll, due, now, connections) {
                connections.serve(due, &mut self.inbox);
            }
        }
        connections.expire(now, &mut self.inbox);
        self.gate.reopen(&self.poll, now);
        if self.effects.wake_at.take_if(|at| *at <= now).is_some() {
            self.inbox.push(Input::Wake);
        }
        if self.life == Life::Serving {
            self.obey();
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Stop => self.inbox.push(Input::Stop),
                Command::Adopt(stream, rights) => {
                    let stream = Stream::Unix(stream);
                    let connections = &mut self.effects.connections;
                    connections.accept(&self.poll, stream, Origin::ThisProcess, rights);
                }
            }
        }
    }

    /// Hands the inbox to the granter, with one reading of the clock after the last byte of it.
    fn hand_over(&mut self) {
        if self.inbox.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut inbox = std::mem::take(&mut self.inbox);
        for input in inbox.drain(..) {
            if !self.effects.makes_moot(&input) {
                self.hand(now, input);
            }
            while let Some(peer) = self.effects.take_lost() {
                self.hand(now, Input::Disconnected { peer });
            }
        }
        self.effects.end_turn();
        // Taken back for its memory.
        self.inbox = inbox;
    }

    fn hand(&mut self, now: Now<SlowInstant>, input: Input) {
        for output in self.granter.handle(now, input) {
            self.effects.carry_out(output);
        }
    }

    /// Stops, if it is to stop when idle, and is: asks the granter as a reader would.
    fn stop_if_idle(&mut self) {
        let connections = self.effects.connections.count();
        let Some(idle) = &mut self.idle else { return };
        let running = self.life == Life::Serving && self.effects.stopped.is_none();
        if !running || !idle.is_due(connections, monotonic_now()) {
            return;
        }
        let now = self.clock.now();
        let peer = self.effects.connections.new_peer();
        self.hand(now, Input::Connected { peer, rights: Rights::Holder });
        let mut nothing = false;
        let message = ToGranter::Ask { id: AskId(0), ask: Ask::Status };
        for output in self.granter.handle(now, Input::Received { peer, message }) {
            match output {
                Output::Send { peer: to, message } if to == peer => {
                    nothing = nothing_to_do(&message);
                }
                other @ (Output::Send { .. }
                | Output::Persist { .. }
                | Output::Close { .. }
                | Output::WakeAt { .. }
                | Output::Reported { .. }
                | Output::Stopped { .. }) => self.effects.carry_out(other),
            }
        }
        self.hand(now, Input::Disconnected { peer });
        if nothing {
            tracing::info!("stopping, since nobody needs this granter");
            self.hand(now, Input::Stop);
        }
    }

    /// How long to wait for sockets.
    fn timeout(&self) -> Option<Duration> {
        let deadlines = [
            self.effects.wake_at,
            self.effects.connections.next_deadline(),
            self.gate.next_deadline(),
            self.idle.as_ref().and_then(IdleWatch::next_deadline),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(monotonic_now()))
    }

    fn readiness(&self) -> Ready {
        Ready {
            addresses: self.gate.addresses(),
            incarnation: self.granter.incarnation(),
            wait: self.wait,
        }
    }

    /// Tells everyone, for as long as they take to read it but not long.
    fn say_goodbye(&mut self) {
        let connections = &mut self.effects.connections;
        connections.close_all("the granter has stopped");
        connections.flush(&self.poll);
        let until = monotonic_now() + GOODBYE_WITHIN;
        let mut due = VecDeque::new();
        let mut unheard = Vec::new();
        while !connections.all_sent() {
            let left = until.saturating_duration_since(monotonic_now());
            if left.is_zero() || self.poll.wait(Some(left), &mut due).is_err() {
                return;
            }
            for due in due.drain(..) {
                connections.serve(due, &mut unheard);
            }
            connections.flush(&self.poll);
        }
    }
}

/// The longest that the granter makes no new grants after this.
const fn wait_after(past: &Past) -> Option<Span> {
    match past {
        Past::FirstStart { .. } | Past::AssumeHoldersGone(_) => None,
        Past::Record(record) => match record.leftovers {
            Leftovers::Possible => Some(record.longest_promise),
            Leftovers::None => None,
        },
    }
}

/// The kernel's clock: for timeouts of sockets, on which no lease depends.
#[expect(clippy::disallowed_methods, reason = "a shell's timeouts; the granter has its own hand")]
fn monotonic_now() -> Instant {
    Instant::now()
}

/// How long a server that has stopped waits for its clients to read their goodbyes.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);

/// With so many inputs, a turn reads no further sockets: about two milliseconds of work, after which
/// the others have theirs.
const INBOX_ENOUGH: usize = 4096;
