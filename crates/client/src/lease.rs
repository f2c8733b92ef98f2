//! `Lease`: a lease in hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tlease_clock::guard::{Act, Committed, Published, Refusal, Store};
use tlease_clock::memory::{Registered, Word};
use tlease_clock::{Clock, Deadline};
use tlease_core::Fence;
use tlease_core::holder::{Ending, Handle};
use tlease_core::time::Span;
use tokio::sync::oneshot;

use crate::driver::command::{Answered, Command, NotAnswered, Renewing};
use crate::error::{Loss, NotValid, ReleaseError, RenewError};
use crate::events::Events;
use crate::session::SessionCore;
use crate::tenure::{Tenure, Valid};

/// A lease in hand. Clones share it; when the last of them is dropped it is released.
///
/// | to | use |
/// |---|---|
/// | work for a while, then write to a resource | [`ensure`](Self::ensure), work, and pass on [`fence`](Self::fence) |
/// | act on memory, only if the lease is valid at that instant | [`commit`](Self::commit), [`publish`](Self::publish) |
/// | ask | [`check`](Self::check): advice, since the answer may change at once |
/// | stop in time | [`lost`](Self::lost), [`events`](Self::events) |
///
/// After a fork the child's copy holds nothing, and says so.
#[derive(Clone)]
pub struct Lease {
    grip: Arc<Grip>,
    fence: Fence,
}

/// Gives the lease back when it is dropped.
pub(crate) struct Grip {
    session: Arc<SessionCore>,
    handle: Handle,
    pub(crate) tenure: Arc<Tenure>,
    is_leaked: AtomicBool,
}

/// A renewal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renewed {
    /// What is left, at least.
    pub remaining: Duration,
    /// The term that renewals extend it by now.
    pub term: Duration,
}

impl Lease {
    pub(crate) fn new(grip: Grip, fence: Fence) -> Self {
        Self { grip: Arc::new(grip), fence }
    }

    /// The number of this grant: a resource that has seen a higher one refuses this one. It never
    /// changes, and no other grant of this granter ever has it.
    #[must_use]
    #[inline]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// What can be said of the lease now. Local, from any thread, without a system call.
    ///
    /// # Timing
    /// A call that begins at or after the deadline never says valid. It is advice: what is done on it is
    /// done later. Where check and act must be one step, use [`Lease::commit`]; where the effect is
    /// elsewhere, pass the fence on.
    ///
    /// # Errors
    /// [`NotValid`]: suspect, or how it ended.
    #[inline]
    pub fn check(&self) -> Result<Valid, NotValid> {
        let checked = self.grip.tenure.check();
        if let Err(NotValid::Suspect | NotValid::Over(Loss::Expired)) = checked {
            self.grip.session.look();
        }
        checked
    }

    /// Makes sure that at least `left` of the lease is left, by a renewal if need be.
    ///
    /// Local if so much is left already. A suspect lease is renewed in any case, again if time was
    /// interrupted once more meanwhile, with pauses of a tenth of a second in all.
    ///
    /// # Errors
    /// [`RenewError`]. With `TooLittle` and `Unreachable` the lease may still be valid for a while.
    pub async fn ensure(&self, left: Duration) -> Result<Valid, RenewError> {
        let (mut renewals, mut revalidations) = (0, 0);
        loop {
            match self.check() {
                Ok(valid) if valid.remaining >= left => return Ok(valid),
                Ok(valid) => {
                    let term = self.grip.tenure.term();
                    if left > term {
                        return Err(RenewError::BeyondTerm { wanted: left, term });
                    }
                    if renewals == RENEWALS_TO_ENSURE {
                        return Err(RenewError::TooLittle { left: valid.remaining });
                    }
                    renewals += 1;
                }
                Err(NotValid::Suspect) if revalidations == REVALIDATIONS_TO_ENSURE => {
                    return Err(RenewError::TooLittle { left: Duration::ZERO });
                }
                Err(NotValid::Suspect) => {
                    if let Some(doublings) = revalidations.checked_sub(1) {
                        tokio::time::sleep(REVALIDATION_PAUSE * (1 << doublings)).await;
                    }
                    revalidations += 1;
                }
                Err(NotValid::Over(loss)) => return Err(RenewError::Over(loss)),
            }
            self.renew_once(None).await?;
        }
    }

    /// Renews it now, and for a longer term from now on if one is given. A shorter one changes nothing.
    ///
    /// A longer term must be durable at the granter before it is given: then this waits for the
    /// renewal after, or returns with the old one, which [`Renewed::term`] says.
    ///
    /// # Errors
    /// [`RenewError`].
    pub async fn renew(&self, term: Option<Duration>) -> Result<Renewed, RenewError> {
        let longer = term
            .map(|wanted| Span::try_from(wanted).map_err(|_| self.beyond(wanted)))
            .transpose()?;
        let mut given = self.renew_once(longer).await?;
        for attempt in 0..LONGER_TERM_ATTEMPTS {
            if longer.is_none_or(|longer| given >= longer) || self.is_recalled() {
                break;
            }
            tokio::time::sleep(STORE_WAIT * (attempt + 1)).await;
            given = self.renew_once(longer).await?;
        }
        let valid = self.ensure(Duration::ZERO).await?;
        Ok(Renewed { remaining: valid.remaining, term: given.into() })
    }

    /// Runs `body` so that its effects in memory become visible at one instant at which the lease is
    /// valid, or not at all: one hardware transaction. `memory` is what the body writes: words and
    /// rings of a [`Region`](crate::memory::Region), or a [`Touch`](crate::memory::Touch) list.
    ///
    /// The body may run several times: no system call, IO, allocation or lock in it, under 10 us.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened. `Unsupported` on machines without transactions.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let at = tempfile::tempdir()?;
    /// # let client = tlease::Client::connect(&format!("embedded:{}", at.path().display())).await?;
    /// use tlease::guard::Refusal;
    /// use tlease::memory::{Region, WhenFull};
    /// let region = Region::new(1024)?;
    /// let orders = region.create_ring(0, 16, WhenFull::Refuse)?;
    /// let lease = client.acquire("desk/7").await?;
    /// match lease.commit(&orders, |act| act.append(&orders, [7; 6])) {
    ///     Ok(committed) => println!("position {}", committed.value?),
    ///     Err(Refusal::Unsupported(missing)) => println!("this machine lacks {missing}"),
    ///     Err(refusal) => return Err(refusal.into()),
    /// }
    /// # lease.release().await?;
    /// # client.close().await;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn commit<M, R>(
        &self,
        memory: &M,
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        let committed = self.grip.tenure.cell().commit(self.fence, memory, body);
        committed.inspect_err(|refusal| self.refused(*refusal))
    }

    /// Commits a fixed list of stores: no code of the caller's runs in the transaction.
    ///
    /// # Errors
    /// As [`Lease::commit`].
    pub fn commit_ops(&self, stores: &[Store<'_>]) -> Result<Committed<()>, Refusal> {
        let committed = self.grip.tenure.cell().commit_ops(self.fence, stores);
        committed.inspect_err(|refusal| self.refused(*refusal))
    }

    /// Stores one word if the lease is valid. Also without transactions, by a restartable sequence: a
    /// weaker promise, which [`Published::strength`] names.
    ///
    /// # Errors
    /// As [`Lease::commit`].
    pub fn publish(&self, word: &Word<'_>, value: u64) -> Result<Published, Refusal> {
        let published = self.grip.tenure.cell().publish(self.fence, word, value);
        published.inspect_err(|refusal| self.refused(*refusal))
    }

    /// Waits until the lease is over, and says how.
    ///
    /// # Timing
    /// Ready at any poll at or after the deadline: it is computed by the clock then, whether or not the
    /// task that drives the session runs. A suspect lease is not over until the granter says so.
    pub async fn lost(&self) -> Loss {
        let loss = self.grip.tenure.lost().await;
        self.grip.session.look();
        loss
    }

    /// Its events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::of(Arc::clone(&self.grip.tenure))
    }

    /// Its deadline as plain data, for another process on this machine. `None` if it is suspect or over,
    /// or timed by timekeepers, whose readings mean nothing there.
    ///
    /// A recall does not shorten it.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.grip.tenure.cell().deadline(self.fence)
    }

    /// The clock that times it.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.grip.session.clock
    }

    /// Closes it at once, for all its clones, then tells the granter, so that the next holder need not
    /// wait. Returns whether it was still ours.
    ///
    /// # Errors
    /// [`ReleaseError`] if it is not known whether the granter heard. The lease cannot be used any
    /// more in any case.
    pub async fn release(self) -> Result<bool, ReleaseError> {
        let session = &self.grip.session;
        if !session.is_ours() {
            return Err(ReleaseError::Forked);
        }
        self.grip.tenure.end(Ending::Released);
        let (answer, answered) = oneshot::channel();
        if !session.send(Command::Release { handle: self.grip.handle, answer }) {
            return Err(ReleaseError::SessionOver);
        }
        let within = session.answer_within();
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(was_ours)) => Ok(was_ours),
            Ok(Err(_)) => Err(ReleaseError::SessionOver),
            Err(_) => Err(ReleaseError::Unheard { within }),
        }
    }

    /// Lets go of it without giving it back: it is renewed for as long as its session lives, then it
    /// runs out. One that is renewed by hand just runs out.
    pub fn leak(self) {
        self.grip.is_leaked.store(true, Ordering::Relaxed);
    }

    /// Turns it into a shared lease: other readers may hold the name too from now on. Its fence stays.
    ///
    /// # Errors
    /// [`RenewError`].
    pub async fn downgrade(&self) -> Result<(), RenewError> {
        let handle = self.grip.handle;
        self.ask(|answer| Command::Downgrade { handle, answer }).await?;
        Ok(())
    }

    /// One renewal. Returns the term that the lease has then.
    async fn renew_once(&self, term: Option<Span>) -> Result<Span, RenewError> {
        let handle = self.grip.handle;
        match self.ask(|answer| Command::Renew { handle, term, answer }).await? {
            Answered::RenewedFor(term) => Ok(term),
            Answered::Done => Ok(Span::try_from(self.grip.tenure.term()).unwrap_or(Span::MAX)),
        }
    }

    /// Asks the driver something about this lease, and waits for the granter's answer, but not
    /// beyond the lease's end.
    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Renewing>) -> Command,
    ) -> Result<Answered, RenewError> {
        let session = &self.grip.session;
        if !session.is_ours() {
            return Err(RenewError::Over(Loss::Forked));
        }
        let (answer, answered) = oneshot::channel();
        if !session.send(command(answer)) {
            return Err(RenewError::SessionOver);
        }
        let within = session.answer_within();
        tokio::select! {
            answered = answered => match answered {
                Ok(Ok(answered)) => Ok(answered),
                Ok(Err(NotAnswered::Refused(refusal))) => Err(RenewError::Refused(refusal)),
                Ok(Err(NotAnswered::Over(loss))) => Err(RenewError::Over(loss)),
                Err(_) => Err(RenewError::SessionOver),
            },
            loss = self.lost() => Err(RenewError::Over(loss)),
            () = tokio::time::sleep(within) => Err(RenewError::Unreachable { within }),
        }
    }

    fn is_recalled(&self) -> bool {
        self.grip.tenure.is_recalled()
    }

    /// Has a suspect lease renewed, and one that is over closed.
    #[cold]
    fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Suspect | Refusal::Expired => self.grip.session.look(),
            Refusal::Revoked
            | Refusal::CannotCommit(_)
            | Refusal::Unsupported(_)
            | Refusal::Nested => {}
        }
    }

    fn beyond(&self, wanted: Duration) -> RenewError {
        RenewError::BeyondTerm { wanted, term: self.grip.tenure.term() }
    }
}

impl Grip {
    pub(crate) const fn new(
        session: Arc<SessionCore>,
        handle: Handle,
        tenure: Arc<Tenure>,
    ) -> Self {
        Self { session, handle, tenure, is_leaked: AtomicBool::new(false) }
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        if !self.is_leaked.load(Ordering::Relaxed) && self.session.is_ours() {
            // A driver that is gone gives nothing back: the lease runs out.
            self.session.send(Command::Forget(self.handle));
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("fence", &self.fence)
            .field("checked", &self.grip.tenure.check())
            .finish_non_exhaustive()
    }
}

/// Renewals that `ensure` tries: the second, if the first took very long.
const RENEWALS_TO_ENSURE: u32 = 2;

/// Renewals of a suspect lease that `ensure` tries: where time is interrupted every millisecond, one
/// round trip in a few has none within it.
const REVALIDATIONS_TO_ENSURE: u32 = 8;
/// Before the second of them; then twice as long each.
const REVALIDATION_PAUSE: Duration = Duration::from_millis(1);

/// How often a longer term is asked for until it is durable: two seconds in all.
const LONGER_TERM_ATTEMPTS: u32 = 20;
const STORE_WAIT: Duration = Duration::from_millis(10);
