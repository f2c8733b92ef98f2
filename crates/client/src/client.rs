//! `Client`: the way to a granter.

use std::sync::Arc;
use std::time::Duration;

use tlease_clock::{Clock, Trust};
use tlease_core::identity::SessionId;
use tlease_core::message::Opened;
use tlease_wire::Address;

use crate::acquire::Acquire;
use crate::driver::dial::Dialer;
use crate::embedded::Embedded;
use crate::error::ConnectError;
use crate::session::{Session, SessionCore};

/// The way to a granter, with one [`Session`] of its own. A clone is the same client.
///
/// The connection is kept up: when it breaks, or the granter restarts, leases stay valid to their
/// deadlines, and are taken up again before if the granter can be reached.
///
/// # Examples
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let at = tempfile::tempdir()?;
/// # let address = format!("embedded:{}", at.path().display());
/// let client = tlease::Client::connect(&address).await?; // or "tcp://127.0.0.1:7420", "unix:PATH"
/// let lease = client.acquire("jobs/nightly").await?;
/// assert!(lease.check().is_ok());
/// assert!(lease.release().await?, "it was still ours");
/// client.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    session: Session,
    dialer: Dialer,
    clock: Clock,
    answer_within: Duration,
}

impl Client {
    /// Connects to the granter at an address, with the defaults of [`Client::builder`].
    ///
    /// | address | granter |
    /// |---|---|
    /// | `tcp://127.0.0.1:7420` | on a loopback address |
    /// | `unix:PATH` | at a Unix socket |
    /// | `embedded:DIR` | in this process, with its record in `DIR`, shared by its clients |
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime. [`blocking::Client`](crate::blocking::Client) needs none.
    pub async fn connect(address: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder().connect(address).await
    }

    /// Settings before connecting.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Wants a name in this client's own session: an [`Acquire`] to be completed and awaited.
    pub fn acquire(&self, name: impl AsRef<[u8]>) -> Acquire {
        self.session.acquire(name)
    }

    /// Opens another session, over a connection of its own: a separate holder.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn session(&self) -> Result<Session, ConnectError> {
        if !self.core().is_ours() {
            return Err(ConnectError::Forked);
        }
        Session::open(self.clock.clone(), self.dialer.clone(), self.answer_within).await
    }

    /// The public identity of this client's own session: [`Session::id`].
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.session.id()
    }

    /// What the granter said when this client's own session was last opened; `None` while there is no
    /// connection.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        self.session.opened()
    }

    /// Where the granter is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        self.dialer.address()
    }

    /// The clock that times this client's leases; printed, it says what it trusts and what it found.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Releases the leases of this client's own session and ends it; waits at most a second for the
    /// granter. An embedded granter that nobody else uses has stopped when this returns.
    ///
    /// Without it, dropping does the same as far as the runtime still lets it.
    pub async fn close(self) {
        let Self { session, dialer, .. } = self;
        session.close().await;
        if dialer.embedded().is_some() {
            // Stopping waits for a disk. An error says that the runtime is going down.
            let _ = tokio::task::spawn_blocking(move || drop(dialer)).await;
        }
    }

    pub(crate) const fn core(&self) -> &Arc<SessionCore> {
        self.session.core()
    }
}

/// Settings of a [`Client`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    trust: Trust,
    connect_within: Duration,
    answer_within: Duration,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            connect_within: CONNECT_WITHIN,
            answer_within: ANSWER_WITHIN,
        }
    }
}

impl ClientBuilder {
    /// What is believed about this machine's clocks, and the margins of the guard: a
    /// [`Profile`](crate::Profile), which is the default, or an
    /// [`EnclaveSim`](crate::enclave::EnclaveSim).
    ///
    /// An embedded granter is timed by the same clock as the client that starts it.
    ///
    /// # Examples
    /// ```
    /// use tlease::{Client, Profile};
    /// let builder = Client::builder().profile(Profile::host().assume_no_suspend().strict());
    /// # let _ = builder;
    /// ```
    pub fn profile(mut self, profile: impl Into<Trust>) -> Self {
        self.trust = profile.into();
        self
    }

    /// How long a connection may take, and then the opening of a session on it. Default 5 s.
    pub const fn connect_within(mut self, within: Duration) -> Self {
        self.connect_within = within;
        self
    }

    /// How long an answer of the granter is waited for before the caller is told that it is
    /// unreachable; leases are not affected by it. Default 10 s.
    pub const fn answer_within(mut self, within: Duration) -> Self {
        self.answer_within = within;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(self, address: impl AsRef<str>) -> Result<Client, ConnectError> {
        let Self { trust, connect_within, answer_within } = self;
        let address: Address = address.as_ref().parse()?;
        let clock = Clock::open(&trust)?;
        let embedded = match &address {
            Address::Embedded(directory) => Some(embed(directory.clone(), clock.clone()).await?),
            Address::Tcp { .. } | Address::Unix(_) => None,
        };
        let dialer = Dialer::new(address, embedded, connect_within);
        let session = Session::open(clock.clone(), dialer.clone(), answer_within).await?;
        Ok(Client { session, dialer, clock, answer_within })
    }
}

async fn embed(directory: std::path::PathBuf, clock: Clock) -> Result<Arc<Embedded>, ConnectError> {
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&directory, &clock)).await;
    opened.unwrap_or_else(|error| Err(ConnectError::System(error.into())))
}

/// Far more than a granter on this machine takes, and little enough to be told soon.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Twice as long as a holder waits before it tries a new connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
