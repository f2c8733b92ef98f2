//! `Acquire`: the wish for a lease, and waiting for it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tlease_core::holder::{Ending, Renewal};
use tlease_core::message::{Acquire as Wanted, Wait};
use tlease_core::name::{Name, Value};
use tlease_core::time::Span;
use tlease_core::{Mode, Refusal};

use crate::driver::command::Command;
use crate::error::{AcquireError, Loss};
use crate::lease::{Grip, Lease};
use crate::session::SessionCore;
use crate::tenure::{Phase, Queued, Tenure};

/// The wish for a lease: complete it, then await it.
///
/// By default it is exclusive, for [`TERM_DEFAULT`], renews itself, and waits until the name is free.
///
/// # Cancellation
/// Dropping the future withdraws the wish. A grant that crosses the withdrawal is given back.
///
/// # Examples
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let at = tempfile::tempdir()?;
/// # let client = tlease::Client::connect(&format!("embedded:{}", at.path().display())).await?;
/// use std::time::Duration;
/// let lease = client
///     .acquire("jobs/nightly")
///     .term(Duration::from_secs(5))
///     .value("host-7:8080")
///     .wait_at_most(Duration::from_secs(60))
///     .await?;
/// println!("held under fence {}", lease.fence());
/// # lease.release().await?;
/// # client.close().await;
/// # Ok(()) }
/// ```
#[must_use = "a wish does nothing until it is awaited"]
pub struct Acquire {
    session: Arc<SessionCore>,
    name: Box<[u8]>,
    mode: Mode,
    term: Duration,
    value: Option<Box<[u8]>>,
    wait: Patience,
    renewal: Renewal,
    on_queued: Option<Tell>,
}

/// The term of a lease that asks for none: three renewals fit before it ends, and whoever comes after a
/// crash waits no longer than this.
pub const TERM_DEFAULT: Duration = Duration::from_secs(10);

/// Hears of places in the queue.
type Tell = Box<dyn FnMut(Queued) + Send>;

#[derive(Debug, Clone, Copy)]
enum Patience {
    Try,
    AtMost(Duration),
    Unbounded,
}

impl Acquire {
    pub(crate) fn new(session: Arc<SessionCore>, name: &[u8]) -> Self {
        Self {
            session,
            name: name.into(),
            mode: Mode::Exclusive,
            term: TERM_DEFAULT,
            value: None,
            wait: Patience::Unbounded,
            renewal: Renewal::Automatic,
            on_queued: None,
        }
    }

    /// How long the grant and each renewal last; granters take 10 ms to a day by default.
    ///
    /// Also how long others wait after this holder has vanished.
    pub const fn term(mut self, term: Duration) -> Self {
        self.term = term;
        self
    }

    /// Beside other readers, instead of alone.
    pub const fn shared(mut self) -> Self {
        self.mode = Mode::Shared;
        self
    }

    /// What readers of the name are shown: an endpoint, a host, up to 1024 bytes.
    pub fn value(mut self, value: impl AsRef<[u8]>) -> Self {
        self.value = Some(value.as_ref().into());
        self
    }

    /// Gives up if the name is not free within this time, on the granter's clock: never earlier.
    pub const fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wait = Patience::AtMost(wait);
        self
    }

    /// Gives up at once if the name is taken.
    pub const fn try_now(mut self) -> Self {
        self.wait = Patience::Try;
        self
    }

    /// Renews only by [`Lease::ensure`] and [`Lease::renew`], instead of by itself.
    pub const fn renew_by_hand(mut self) -> Self {
        self.renewal = Renewal::ByHand;
        self
    }

    /// Calls this whenever the place in the name's queue is told: at least once if the name is taken, or
    /// if the granter has restarted and makes no grants yet.
    pub fn on_queued(mut self, tell: impl FnMut(Queued) + Send + 'static) -> Self {
        self.on_queued = Some(Box::new(tell));
        self
    }

    async fn run(self) -> Result<Lease, AcquireError> {
        let patience = self.patience();
        let (grip, on_queued) = self.begin()?;
        let held = held(&grip.tenure, on_queued);
        let fence = match patience {
            Some(within) => tokio::time::timeout(within, held)
                .await
                .unwrap_or(Err(AcquireError::Unreachable { within })),
            None => held.await,
        }?;
        Ok(Lease::new(grip, fence))
    }

    /// Asks the driver. From here on, whoever drops the grip withdraws.
    fn begin(self) -> Result<(Grip, Option<Tell>), AcquireError> {
        let Self { session, name, mode, term, value, wait, renewal, on_queued } = self;
        if !session.is_ours() {
            return Err(AcquireError::Forked);
        }
        let wait = match wait {
            Patience::Try => Wait::Try,
            Patience::AtMost(wait) => Wait::AtMost(span(wait)?),
            Patience::Unbounded => Wait::Unbounded,
        };
        let value = value.map(|value| Value::new(&value)).transpose()?;
        let acquire = Wanted { name: Name::new(&name)?, mode, term: span(term)?, wait, value };
        let tenure = Arc::new(Tenure::new(&session.clock).map_err(AcquireError::System)?);
        let handle = session.next_handle();
        let told = Arc::clone(&tenure);
        if !session.send(Command::Acquire { handle, acquire, renewal, tenure: told }) {
            return Err(AcquireError::SessionOver);
        }
        Ok((Grip::new(session, handle, tenure), on_queued))
    }

    /// How long the granter's answer is waited for; for ever, if the wait itself is.
    fn patience(&self) -> Option<Duration> {
        let answer = self.session.answer_within();
        match self.wait {
            Patience::Try => Some(answer),
            Patience::AtMost(wait) => Some(wait.saturating_add(answer)),
            Patience::Unbounded => None,
        }
    }
}

/// Waits until the lease is held.
async fn held(
    tenure: &Tenure,
    mut on_queued: Option<Tell>,
) -> Result<tlease_core::Fence, AcquireError> {
    let mut phases = tenure.phase();
    loop {
        let phase = *phases.borrow_and_update();
        match (phase, tenure.fence()) {
            (Phase::Held, Some(fence)) => return Ok(fence),
            (Phase::Ended(Ending::Refused(refusal)), _) => return Err(AcquireError::of(refusal)),
            (Phase::Ended(Ending::Lost(Refusal::NotHeldHere)), None) => {
                return Err(AcquireError::Refused(Refusal::NotHeldHere));
            }
            (Phase::Ended(ending), _) => return Err(AcquireError::Over(Loss::of(ending))),
            (Phase::Adrift, _) => return Err(AcquireError::SessionOver),
            (Phase::Wanted { queued: Some(queued) }, _) => {
                if let Some(tell) = &mut on_queued {
                    tell(queued);
                }
            }
            (Phase::Wanted { queued: None } | Phase::Held, _) => {}
        }
        if phases.changed().await.is_err() {
            return Err(AcquireError::SessionOver);
        }
    }
}

fn span(duration: Duration) -> Result<Span, AcquireError> {
    Span::try_from(duration).map_err(|_| AcquireError::TooLong(duration))
}

impl IntoFuture for Acquire {
    type Output = Result<Lease, AcquireError>;
    type IntoFuture = Acquiring;

    fn into_future(self) -> Acquiring {
        Acquiring(Box::pin(self.run()))
    }
}

/// The future of an [`Acquire`]. Dropped, it withdraws.
#[must_use = "futures do nothing unless polled"]
pub struct Acquiring(Pin<Box<dyn Future<Output = Result<Lease, AcquireError>> + Send>>);

impl Future for Acquiring {
    type Output = Result<Lease, AcquireError>;

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.name);
        let (mode, term, wait) = (self.mode, self.term, self.wait);
        write!(f, "Acquire({name:?}, {mode}, {term:?}, {wait:?})")
    }
}

impl fmt::Debug for Acquiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acquiring(..)")
    }
}
