//! `Session`: many leases of one holder, renewed together over one connection.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tlease_clock::Clock;
use tlease_core::holder::Handle;
use tlease_core::identity::SessionId;
use tlease_core::message::{Answer, Ask, Opened};
use tokio::sync::{mpsc, oneshot, watch};

use crate::acquire::Acquire;
use crate::driver::command::Command;
use crate::driver::dial::Dialer;
use crate::driver::identity::Identity;
use crate::driver::{Driver, News, Tells};
use crate::error::{AskError, ConnectError};

/// A holder as its granter knows it: an identity that outlives connections, and the leases it has.
///
/// The leases of a session are renewed in one message, whatever their number, and a task drives them
/// all. Use one session for what belongs together; every [`Client`](crate::Client) has one of its own.
/// A clone is the same session. It ends when its clones and its leases are gone.
#[derive(Debug, Clone)]
pub struct Session(Arc<SessionCore>);

/// What a session's handles and leases share.
pub(crate) struct SessionCore {
    pub(crate) clock: Clock,
    identity: watch::Receiver<SessionId>,
    process: u32,
    commands: mpsc::UnboundedSender<Command>,
    news: watch::Receiver<News>,
    last_handle: AtomicU64,
    answer_within: Duration,
    /// Whether the driver was told to look at the clock and has not yet.
    is_looking: AtomicBool,
}

impl Session {
    /// Opens a new session and drives it on this runtime.
    pub(crate) async fn open(
        clock: Clock,
        dialer: Dialer,
        answer_within: Duration,
    ) -> Result<Self, ConnectError> {
        let identity = Identity::draw(&clock).map_err(ConnectError::System)?;
        let (drawn, identity_now) = watch::channel(identity.session);
        let (commands, wanted) = mpsc::unbounded_channel();
        let (told, mut news) = watch::channel(News::Away(None));
        let (address, within) = (dialer.address().clone(), dialer.within());
        let tells = Tells { news: told, identity: drawn };
        let driver = Driver::start(clock.clone(), dialer, identity, wanted, tells).await?;
        // Ends by itself if this is given up, since nobody uses the session then.
        tokio::spawn(driver.run());
        let settled = |news: &News| !matches!(news, News::Away(_));
        let outcome = tokio::time::timeout(within, async {
            news.wait_for(settled).await.map(|news| news.clone())
        });
        match outcome.await {
            Ok(Ok(News::Open(_))) => {}
            Ok(Ok(News::Refused(refusal))) => return Err(ConnectError::Refused(refusal)),
            Ok(Ok(News::Foreign(reason))) => {
                return Err(ConnectError::Foreign { address, reason });
            }
            Ok(Ok(News::Away(_)) | Err(_)) | Err(_) => {
                let goodbye = match &*news.borrow() {
                    News::Away(goodbye) => goodbye.clone(),
                    News::Open(_) | News::Refused(_) | News::Foreign(_) => None,
                };
                return Err(ConnectError::Silent { address, within, goodbye });
            }
        }
        Ok(Self(Arc::new(SessionCore {
            clock,
            identity: identity_now,
            process: std::process::id(),
            commands,
            news,
            last_handle: AtomicU64::new(0),
            answer_within,
            is_looking: AtomicBool::new(false),
        })))
    }

    /// Wants a name: an [`Acquire`] to be completed and awaited.
    ///
    /// A session holds a name at most once; contenders are different sessions.
    pub fn acquire(&self, name: impl AsRef<[u8]>) -> Acquire {
        Acquire::new(Arc::clone(&self.0), name.as_ref())
    }

    /// The session's public identity, as `list` and `get` show it.
    ///
    /// It becomes another one if this machine turns out to have been loaded from a snapshot: the one
    /// before may be in use in another copy of it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        *self.0.identity.borrow()
    }

    /// What the granter said when the session was last opened; `None` while there is no connection.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        match &*self.0.news.borrow() {
            News::Open(opened) => Some(*opened),
            News::Away(_) | News::Foreign(_) | News::Refused(_) => None,
        }
    }

    /// Releases all leases of the session, waits until the granter has heard of it, at most a second,
    /// and ends the session.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.0.is_ours() && self.0.send(Command::Close { done }) {
            // An error says that the driver is gone already.
            let _ = closed.await;
        }
    }

    pub(crate) const fn core(&self) -> &Arc<SessionCore> {
        &self.0
    }
}

impl SessionCore {
    /// Whether this is the process that opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// How long an answer is waited for.
    pub(crate) const fn answer_within(&self) -> Duration {
        self.answer_within
    }

    pub(crate) fn next_handle(&self) -> Handle {
        Handle(self.last_handle.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Asks the driver for something; `false` if it is gone.
    pub(crate) fn send(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }

    /// Tells the driver to look at the clock, unless it was told already.
    #[cold]
    pub(crate) fn look(self: &Arc<Self>) {
        if self.is_ours() && !self.is_looking.swap(true, Ordering::AcqRel) {
            let looked = Looked(Arc::downgrade(self));
            self.send(Command::Look(looked));
        }
    }

    /// Asks the granter a question.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, AskError> {
        if !self.is_ours() {
            return Err(AskError::Forked);
        }
        let (answer, answered) = oneshot::channel();
        if !self.send(Command::Ask { ask, answer }) {
            return Err(AskError::SessionOver);
        }
        let within = self.answer_within;
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(Answer::Refused(refusal))) => Err(AskError::Refused(refusal)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::SessionOver),
            Err(_) => Err(AskError::Unreachable { within }),
        }
    }
}

/// Lets the next look be asked for, once the driver has taken this one.
#[derive(Debug)]
pub(crate) struct Looked(std::sync::Weak<SessionCore>);

#[cfg(test)]
impl Looked {
    /// Of a session that is gone.
    pub(crate) const fn by_nobody() -> Self {
        Self(std::sync::Weak::new())
    }
}

impl Drop for Looked {
    fn drop(&mut self) {
        if let Some(session) = self.0.upgrade() {
            session.is_looking.store(false, Ordering::Release);
        }
    }
}

impl fmt::Debug for SessionCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCore").field("id", &*self.identity.borrow()).finish_non_exhaustive()
    }
}
