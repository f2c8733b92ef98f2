//! Leases for `tlease run`: the client library behind the seam that the supervisor needs.
//!
//! The supervisor waits for its lease and for its neighbours at once, with `poll`: so a thread listens to
//! the lease and passes on what it hears, and a socket becomes readable when there is something.

use crate::exit::{Chain, Failure};
use crate::granter::link::wait;
use crate::granter::{Link, Which};
use crate::log::Notes;
use crate::mailbox::{Inbox, mailbox};
use crate::run::{Change, Deadline, Denied, Held, Leases, Queueing, Sharing, Wanted};
use crate::span;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::Duration;
use tlease::blocking::{Acquire, Client, Lease};
use tlease::{AcquireError, ConnectError, LeaseEvent, Queued, Refusal};
use tlease_core::time::Span;

/// The granter that `tlease run` was told to use, or the local one.
#[derive(Debug)]
pub enum Granter {}

/// A lease in the supervisor's hand.
///
/// Dropped, it is not given back: only [`Held::release`] does that, after the tree is gone.
#[derive(Debug)]
pub struct HeldLease {
    lease: Lease,
    deadline: Deadline,
    changes: Inbox<Change>,
}

impl Leases for Granter {
    type Held = HeldLease;

    fn acquire(
        wanted: &Wanted,
        give_up: BorrowedFd<'_>,
        note: &mut dyn FnMut(&str),
    ) -> Result<HeldLease, Denied> {
        let which = Which::named(wanted.server.as_deref()).map_err(|why| unreached(&why))?;
        let reached = which.reach(Notes::None).map_err(|why| unreached(&why))?;
        let client =
            Client::connect(reached.address.to_string()).map_err(|why| unconnected(&why))?;
        // Until here the link has kept a local granter from ending for being idle.
        keep_up(which, reached.link);
        let lease = acquire(wish(&client, wanted), give_up, note)?;
        // As long as this process lives, so does the session, and nothing but a release ends the lease.
        std::mem::forget(client);
        lease.clone().leak();
        match lease.deadline() {
            Some(deadline) => Ok(HeldLease { changes: listen(&lease)?, lease, deadline }),
            None => Err(Denied::Refused(
                "it was granted, and over or suspect at once; ask for a longer term".into(),
            )),
        }
    }
}

impl Held for HeldLease {
    fn fence(&self) -> u64 {
        self.lease.fence().get()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn next(&mut self, interrupts: &[BorrowedFd<'_>]) -> Change {
        match self.changes.next(interrupts) {
            Ok(Some(change)) => {
                if let Change::Renewed(deadline) = &change {
                    self.deadline = *deadline;
                }
                change
            }
            Ok(None) => Change::Interrupted,
            Err(why) => Change::Lost(format!("cannot wait for it: {why}")),
        }
    }

    fn release(self) -> Result<(), String> {
        match self.lease.release() {
            Ok(true) => Ok(()),
            Ok(false) => Err("it was over before it was given back".into()),
            Err(why) => Err(why.to_string()),
        }
    }

    fn let_run_out(self) {}
}

fn wish(client: &Client, wanted: &Wanted) -> Acquire {
    let wish = client.acquire(wanted.name.as_bytes()).term(wanted.term);
    let wish = match wanted.sharing {
        Sharing::Exclusive => wish,
        Sharing::Shared => wish.shared(),
    };
    match wanted.queueing {
        Queueing::Try => wish.try_now(),
        Queueing::AtMost(span) => wish.wait_at_most(span),
        Queueing::Forever => wish,
    }
}

/// Waits for the lease, and passes on what is worth knowing meanwhile.
///
/// A wish that is given up ends with this process: the granter passes over waiters without a connection.
fn acquire(
    wish: Acquire,
    give_up: BorrowedFd<'_>,
    note: &mut dyn FnMut(&str),
) -> Result<Lease, Denied> {
    enum News {
        Queued(Queued),
        Done(Result<Lease, AcquireError>),
    }
    let broken = |why: io::Error| Denied::Unreachable(format!("cannot wait for a lease: {why}"));
    let (outbox, mut inbox) = mailbox().map_err(broken)?;
    let queued = outbox.another().map_err(broken)?;
    let wish = wish.on_queued(move |place| queued.send(News::Queued(place)));
    thread::Builder::new()
        .name("acquire".into())
        .spawn(move || outbox.send(News::Done(wish.wait())))
        .map_err(broken)?;
    loop {
        match inbox.next(&[give_up]).map_err(broken)? {
            Some(News::Done(done)) => return done.map_err(|why| denied(&why)),
            Some(News::Queued(place)) => {
                if let Some(sentence) = restart_wait(place) {
                    note(&sentence);
                }
            }
            None => return Err(Denied::GivenUp),
        }
    }
}

/// Hears of the lease's changes from now on.
fn listen(lease: &Lease) -> Result<Inbox<Change>, Denied> {
    let broken = |why: io::Error| Denied::Unreachable(format!("cannot watch the lease: {why}"));
    let (outbox, inbox) = mailbox().map_err(broken)?;
    let (events, lease) = (lease.events(), lease.clone());
    thread::Builder::new()
        .name("events".into())
        .spawn(move || {
            for event in events {
                if let Some(change) = change(event, &lease) {
                    outbox.send(change);
                }
            }
        })
        .map_err(broken)?;
    Ok(inbox)
}

fn change(event: LeaseEvent, lease: &Lease) -> Option<Change> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum may grow")]
    match event {
        LeaseEvent::Recalled { until, .. } => Some(Change::Recalled(until)),
        LeaseEvent::Lost(loss) => Some(Change::Lost(loss.to_string())),
        // Whatever else happened may have moved the deadline.
        _ => lease.deadline().map(Change::Renewed),
    }
}

/// A user who waits because others hold the lease knows; one who waits for a restart does not.
fn restart_wait(queued: Queued) -> Option<String> {
    let left = Span::try_from(queued.wait_left?).unwrap_or(Span::MAX);
    Some(format!(
        "the granter restarted: leases of its earlier life may be in use, first grant in {} or so",
        span::show(left)
    ))
}

/// Starts the local granter again whenever it is gone, so that a lease can be reclaimed in time.
fn keep_up(which: Which, link: Link) {
    match which {
        Which::At(_) => {}
        Which::Local => {
            // Without it a lease is lost if the granter is killed, as with any other granter.
            let _ = thread::Builder::new().name("granter".into()).spawn(move || keep_local(link));
        }
    }
}

fn keep_local(mut link: Link) {
    loop {
        while link.read().is_ok() {}
        link = loop {
            match Which::Local.reach(Notes::None) {
                Ok(reached) => break reached.link,
                Err(_) if wait(&[], Some(BETWEEN_STARTS)).is_err() => return,
                Err(_) => {}
            }
        };
    }
}

fn unreached(why: &Failure) -> Denied {
    Denied::Unreachable(why.sentence.clone())
}

fn unconnected(why: &ConnectError) -> Denied {
    Denied::Unreachable(Chain(why).to_string())
}

fn denied(why: &AcquireError) -> Denied {
    let sentence = Chain(why).to_string();
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum may grow")]
    match why {
        AcquireError::Held { .. } | AcquireError::Refused(Refusal::RestartWait { .. }) => {
            Denied::Busy(sentence)
        }
        AcquireError::WaitedOut => Denied::TimedOut(sentence),
        AcquireError::Unreachable { .. } => Denied::Unreachable(sentence),
        _ => Denied::Refused(sentence),
    }
}

/// Between two attempts to start a local granter that does not start.
const BETWEEN_STARTS: Duration = Duration::from_secs(1);
