//! `Driver`: the one task that owns a session's holder and its connection.
//!
//! In each turn: wait for the socket, for users, or for time; take in all that came; read the clock
//! once, after the last of it; hand it to the holder; do what the holder puts out, in its order; then
//! write. So whatever a request's lease counts from was read before its bytes left, and a cell was
//! closed before anything that says so was written.

mod asks;
mod backoff;
pub(crate) mod command;
mod connection;
mod desk;
pub(crate) mod dial;
pub(crate) mod identity;
mod pending;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tlease_clock::Clock;
use tlease_core::Refusal;
use tlease_core::identity::SessionId;
use tlease_core::message::{FromGranter, Opened};
use tlease_wire::Goodbye;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::error::ConnectError;
use backoff::Backoff;
use command::Command;
use connection::{Connection, Ended, Suspicion};
use desk::{Desk, Link};
use dial::{Dialer, Stream};
use identity::Identity;

/// The task of one session.
pub(crate) struct Driver {
    desk: Desk,
    dialer: Dialer,
    line: Line,
    backoff: Backoff,
    commands: mpsc::UnboundedReceiver<Command>,
    tells: Tells,
    life: Life,
    /// Empty between two turns; kept for their memory.
    messages: Vec<FromGranter>,
    wishes: Vec<Command>,
    buffer: Box<[u8]>,
}

/// The way to the granter.
enum Line {
    /// To be dialed again then.
    Down {
        until: Instant,
    },
    Dialing(Dialing),
    Up(Connection),
}

type Dialing = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

/// What a session's users can know of its connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    /// Not connected yet, or not any more; with what the granter said last, if it did.
    Away(Option<Goodbye>),
    /// What listens there is no granter.
    Foreign(String),
    /// The granter refused the session.
    Refused(Refusal),
    Open(Opened),
}

/// Where a driver says what its session's users can know.
pub(crate) struct Tells {
    pub(crate) news: watch::Sender<News>,
    pub(crate) identity: watch::Sender<SessionId>,
}

/// Whether the session has users.
#[derive(Debug)]
enum Life {
    InUse,
    /// Nobody uses it any more: it gives back what it holds, at most until then.
    Leaving {
        until: Instant,
        done: Vec<oneshot::Sender<()>>,
    },
}

/// One thing that a turn begins with.
enum Event {
    Ready,
    Dialed(Result<Stream, ConnectError>),
    Command(Option<Command>),
    Time,
}

impl Driver {
    /// Dials the granter. The session is opened by [`Driver::run`].
    pub(crate) async fn start(
        clock: Clock,
        dialer: Dialer,
        identity: Identity,
        commands: mpsc::UnboundedReceiver<Command>,
        tells: Tells,
    ) -> Result<Self, ConnectError> {
        let stream = dialer.dial().await?;
        let mut driver = Self {
            desk: Desk::new(clock, identity),
            dialer,
            line: Line::Down { until: Instant::now() },
            backoff: Backoff::default(),
            commands,
            tells,
            life: Life::InUse,
            messages: Vec::new(),
            wishes: Vec::new(),
            buffer: vec![0; READ_MAX].into(),
        };
        driver.take_up(stream);
        Ok(driver)
    }

    /// Drives the session until nobody uses it any more.
    pub(crate) async fn run(mut self) {
        loop {
            self.write();
            if self.is_done() {
                break;
            }
            let event = self.next_event().await;
            self.take(event);
            self.look_at_link();
        }
        if let Life::Leaving { done, .. } = std::mem::replace(&mut self.life, Life::InUse) {
            drop(self);
            for done in done {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let to_send = !self.desk.outgoing().unsent().is_empty();
        let wake_at = self.wake_at();
        let is_in_use = matches!(self.life, Life::InUse);
        let line = &mut self.line;
        let io = async {
            match line {
                Line::Down { until } => {
                    tokio::time::sleep_until(*until).await;
                    Event::Time
                }
                Line::Dialing(dialing) => Event::Dialed(dialing.await),
                Line::Up(connection) => {
                    connection.ready(to_send).await;
                    Event::Ready
                }
            }
        };
        let time = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = io => event,
            command = self.commands.recv(), if is_in_use => Event::Command(command),
            () = time => Event::Time,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Ready => self.read(),
            Event::Dialed(Ok(stream)) => self.take_up(stream),
            Event::Dialed(Err(error)) => {
                tracing::debug!(%error, "cannot reach the granter");
                self.hang_up(None);
            }
            Event::Command(command) => self.obey(command),
            Event::Time => self.look_at_time(),
        }
    }

    fn read(&mut self) {
        let Line::Up(connection) = &mut self.line else { return };
        let read = connection.read(&mut self.buffer, &mut self.messages);
        if !self.messages.is_empty() {
            self.desk.received(&mut self.messages);
        }
        if let Err(ended) = read {
            self.look_at_link();
            self.ended(ended);
        }
    }

    fn write(&mut self) {
        let Line::Up(connection) = &self.line else { return };
        if let Err(ended) = connection.write(self.desk.outgoing()) {
            self.ended(ended);
        }
    }

    /// Takes what users want, all of it that is there, up to a slice.
    fn obey(&mut self, first: Option<Command>) {
        let mut next = first;
        let mut leaving = next.is_none();
        let mut done = Vec::new();
        while let Some(command) = next.take() {
            if let Command::Close { done: closed } = command {
                done.push(closed);
                leaving = true;
            } else {
                self.wishes.push(command);
            }
            if self.wishes.len() < COMMANDS_PER_TURN {
                next = self.commands.try_recv().ok();
            }
        }
        self.desk.obey(&mut self.wishes);
        if leaving {
            let until = Instant::now() + LEAVE_WITHIN;
            if !done.is_empty() {
                self.commands.close();
                self.desk.give_all_back();
            }
            self.life = Life::Leaving { until, done };
        }
    }

    fn look_at_time(&mut self) {
        let now = Instant::now();
        match &self.line {
            Line::Down { until } if *until <= now => {
                let dialer = self.dialer.clone();
                self.line = Line::Dialing(Box::pin(async move { dialer.dial().await }));
            }
            Line::Up(connection)
                if connection.open_by <= now && self.desk.link() == Link::Opening =>
            {
                tracing::debug!("the granter does not open the session");
                self.hang_up(None);
            }
            Line::Up(connection) if connection.suspect_at() <= now => self.look_at_silence(now),
            Line::Down { .. } | Line::Dialing(_) | Line::Up(_) => {}
        }
        if self.desk.wake_at().is_some_and(|at| at <= now) {
            self.desk.woken();
        }
    }

    fn look_at_silence(&mut self, now: Instant) {
        // This task may have been late itself, and not read what is there.
        self.read();
        let somebody_waits = self.desk.somebody_waits();
        let Line::Up(connection) = &mut self.line else { return };
        match connection.suspicion(now, somebody_waits) {
            Suspicion::None => {}
            Suspicion::Ask => self.desk.ask_for_sign(),
            Suspicion::GiveUp => {
                tracing::debug!("the granter gives no sign of life");
                self.hang_up(None);
            }
        }
    }

    /// Does what the desk found out about the connection.
    fn look_at_link(&mut self) {
        tell(&self.tells.identity, self.desk.session());
        match self.desk.link() {
            Link::Open(opened) => {
                self.backoff.reset();
                self.tell(News::Open(opened));
            }
            Link::Refused(refusal) => {
                self.tell(News::Refused(refusal));
                self.hang_up(None);
            }
            Link::GivenUp => {
                tracing::debug!("the granter does not answer");
                self.hang_up(None);
            }
            Link::Down | Link::Opening => {}
        }
    }

    fn ended(&mut self, ended: Ended) {
        tracing::debug!(reason = &ended as &dyn std::error::Error, "the connection is over");
        match ended {
            Ended::Goodbye(goodbye) => self.hang_up(Some(goodbye)),
            Ended::Frame(error) => {
                self.tell(News::Foreign(error.to_string()));
                self.hang_up(None);
            }
            Ended::Closed | Ended::Broken(_) | Ended::Content(_) => self.hang_up(None),
        }
    }

    fn take_up(&mut self, stream: Stream) {
        self.line = Line::Up(Connection::new(stream, Instant::now() + self.dialer.within()));
        self.desk.connected();
    }

    fn hang_up(&mut self, goodbye: Option<Goodbye>) {
        self.line = Line::Down { until: Instant::now() + self.backoff.next() };
        self.desk.disconnected();
        let is_final = matches!(*self.tells.news.borrow(), News::Foreign(_) | News::Refused(_));
        if !is_final {
            self.tell(News::Away(goodbye));
        }
    }

    fn tell(&self, news: News) {
        tell(&self.tells.news, news);
    }

    fn wake_at(&self) -> Option<Instant> {
        let line = match &self.line {
            Line::Up(connection) if self.desk.link() == Link::Opening => Some(connection.open_by),
            Line::Up(connection) => Some(connection.suspect_at()),
            Line::Dialing(_) | Line::Down { .. } => None,
        };
        let until = match &self.life {
            Life::Leaving { until, .. } => Some(*until),
            Life::InUse => None,
        };
        [self.desk.wake_at(), line, until].into_iter().flatten().min()
    }

    fn is_done(&mut self) -> bool {
        let Life::Leaving { until, .. } = &self.life else { return false };
        let all_sent = self.desk.outgoing().unsent().is_empty();
        let is_open = matches!(self.desk.link(), Link::Open(_));
        Instant::now() >= *until || (is_open && all_sent && self.desk.nothing_leaves())
    }
}

/// Says what is new.
fn tell<T: PartialEq>(to: &watch::Sender<T>, news: T) {
    to.send_if_modified(|known| {
        let is_new = *known != news;
        *known = news;
        is_new
    });
}

/// How long a session that nobody uses any more tries to give back what it held: then its leases
/// simply run out.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// What users want in one turn, at most: a burst must not keep the holder from its deadlines.
const COMMANDS_PER_TURN: usize = 1024;

/// Bytes of one read: many replies, or a part of a long page.
const READ_MAX: usize = 64 << 10;
