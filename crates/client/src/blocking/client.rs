//! Clients, sessions and wishes for threads.

use std::future::IntoFuture as _;
use std::time::Duration;

use super::{Lease, List, Watch, runtime, wait};
use crate::error::{AcquireError, AskError, ConnectError};
use crate::{ClientBuilder, Clock, Entry, Force, Queued, SessionId, Status};

/// As [`tlease::Client`](crate::Client), for threads.
#[derive(Debug, Clone)]
pub struct Client(crate::Client);

impl Client {
    /// As [`tlease::Client::connect`](crate::Client::connect).
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(address: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::build(crate::Client::builder(), address)
    }

    /// Connects with the settings of `builder`.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn build(builder: ClientBuilder, address: impl AsRef<str>) -> Result<Self, ConnectError> {
        runtime()?.block_on(builder.connect(address)).map(Self)
    }

    /// As [`tlease::Client::acquire`](crate::Client::acquire).
    pub fn acquire(&self, name: impl AsRef<[u8]>) -> Acquire {
        Acquire(self.0.acquire(name))
    }

    /// As [`tlease::Client::session`](crate::Client::session).
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn session(&self) -> Result<Session, ConnectError> {
        wait(self.0.session()).map(Session)
    }

    /// As [`tlease::Client::get`](crate::Client::get).
    ///
    /// # Errors
    /// [`AskError`].
    pub fn get(&self, name: impl AsRef<[u8]>) -> Result<Option<Entry>, AskError> {
        wait(self.0.get(name))
    }

    /// As [`tlease::Client::list`](crate::Client::list).
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> List {
        List::new(self.0.list(prefix))
    }

    /// As [`tlease::Client::watch`](crate::Client::watch).
    pub fn watch(&self, prefix: impl AsRef<[u8]>) -> Watch {
        Watch::new(self.0.watch(prefix))
    }

    /// As [`tlease::Client::status`](crate::Client::status).
    ///
    /// # Errors
    /// [`AskError`].
    pub fn status(&self) -> Result<Status, AskError> {
        wait(self.0.status())
    }

    /// As [`tlease::Client::recall`](crate::Client::recall).
    ///
    /// # Errors
    /// [`AskError`].
    pub fn recall(
        &self,
        name: impl AsRef<[u8]>,
        grace: Duration,
        force: Force,
    ) -> Result<u32, AskError> {
        wait(self.0.recall(name, grace, force))
    }

    /// As [`tlease::Client::id`](crate::Client::id).
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// As [`tlease::Client::clock`](crate::Client::clock).
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.0.clock()
    }

    /// As [`tlease::Client::close`](crate::Client::close).
    pub fn close(self) {
        wait(self.0.close());
    }
}

/// As [`tlease::Session`](crate::Session), for threads.
#[derive(Debug, Clone)]
pub struct Session(crate::Session);

impl Session {
    /// As [`tlease::Session::acquire`](crate::Session::acquire).
    pub fn acquire(&self, name: impl AsRef<[u8]>) -> Acquire {
        Acquire(self.0.acquire(name))
    }

    /// As [`tlease::Session::id`](crate::Session::id).
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// As [`tlease::Session::close`](crate::Session::close).
    pub fn close(self) {
        wait(self.0.close());
    }
}

/// As [`tlease::Acquire`](crate::Acquire), for threads: complete it, then [`wait`](Self::wait).
#[derive(Debug)]
#[must_use = "a wish does nothing until it is waited for"]
pub struct Acquire(crate::Acquire);

impl Acquire {
    /// As [`tlease::Acquire::term`](crate::Acquire::term).
    pub fn term(self, term: Duration) -> Self {
        Self(self.0.term(term))
    }

    /// As [`tlease::Acquire::shared`](crate::Acquire::shared).
    pub fn shared(self) -> Self {
        Self(self.0.shared())
    }

    /// As [`tlease::Acquire::value`](crate::Acquire::value).
    pub fn value(self, value: impl AsRef<[u8]>) -> Self {
        Self(self.0.value(value))
    }

    /// As [`tlease::Acquire::wait_at_most`](crate::Acquire::wait_at_most).
    pub fn wait_at_most(self, wait: Duration) -> Self {
        Self(self.0.wait_at_most(wait))
    }

    /// As [`tlease::Acquire::try_now`](crate::Acquire::try_now).
    pub fn try_now(self) -> Self {
        Self(self.0.try_now())
    }

    /// As [`tlease::Acquire::renew_by_hand`](crate::Acquire::renew_by_hand).
    pub fn renew_by_hand(self) -> Self {
        Self(self.0.renew_by_hand())
    }

    /// As [`tlease::Acquire::on_queued`](crate::Acquire::on_queued).
    pub fn on_queued(self, tell: impl FnMut(Queued) + Send + 'static) -> Self {
        Self(self.0.on_queued(tell))
    }

    /// Waits until the lease is held.
    ///
    /// # Errors
    /// [`AcquireError`].
    pub fn wait(self) -> Result<Lease, AcquireError> {
        wait(self.0.into_future()).map(Lease)
    }
}
