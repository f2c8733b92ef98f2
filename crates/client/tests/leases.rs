//! What holders see of their leases, over a granter's socket.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::future::{Future as _, IntoFuture as _};
use std::time::Duration;

use common::{Home, TERM, soon, until};
use tlease::memory::Region;
use tlease::{
    AcquireError, Client, Force, LeaseEvent, Loss, Mode, NotValid, Refusal, RenewError, Session,
    guard,
};

const MULTI: Duration = Duration::from_secs(300);

/// Whether `name` has this many waiters.
async fn waiters(client: &Client, name: &str, count: u32) {
    let waits = async || {
        let entry = client.get(name).await.unwrap();
        entry.is_some_and(|entry| entry.waiters == count)
    };
    until("so many wait", waits).await;
}

#[tokio::test]
async fn a_lease_is_valid_until_it_is_released() {
    let home = Home::new();
    let _granter = home.start();
    let client = home.client().await;
    let lease = client.acquire("jobs").term(TERM).value("host-7").await.unwrap();
    let valid = lease.check().unwrap();
    assert!(valid.remaining <= TERM && !valid.recalled, "{valid:?}");
    let entry = client.get("jobs").await.unwrap().unwrap();
    assert_eq!(entry.leases[0].session, client.id());
    assert_eq!(entry.leases[0].fence, lease.fence());
    assert_eq!(entry.leases[0].value.as_ref().unwrap().as_bytes(), b"host-7");
    let clone = lease.clone();
    assert_eq!(lease.release().await, Ok(true));
    assert_eq!(clone.check(), Err(NotValid::Over(Loss::Released)));
    assert_eq!(clone.lost().await, Loss::Released);
    assert_eq!(clone.ensure(Duration::ZERO).await, Err(RenewError::Over(Loss::Released)));
    assert_eq!(clone.release().await, Ok(false), "not twice");
    assert_eq!(client.get("jobs").await.unwrap(), None);
}

#[tokio::test]
async fn the_next_in_the_queue_gets_a_released_name_under_a_higher_fence() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let first = ada.acquire("jobs").await.unwrap();
    let (told, mut queued) = tokio::sync::mpsc::unbounded_channel();
    let wish = bob.acquire("jobs").on_queued(move |queued| told.send(queued).unwrap());
    let second = tokio::spawn(wish.into_future());
    let queued = soon("the queue", queued.recv()).await.unwrap();
    assert_eq!((queued.ahead, queued.wait_left), (0, None));
    let fence = first.fence();
    assert!(first.release().await.unwrap());
    let second = soon("the offer", second).await.unwrap().unwrap();
    assert!(second.fence() > fence);
    assert!(second.check().is_ok());
}

#[tokio::test]
async fn the_last_drop_releases_and_the_first_does_not() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let lease = ada.acquire("jobs").term(MULTI).await.unwrap();
    let clone = lease.clone();
    drop(lease);
    let tried = bob.acquire("jobs").try_now().await.unwrap_err();
    assert!(matches!(tried, AcquireError::Held { waiters: 0 }), "{tried}");
    assert!(clone.check().is_ok());
    drop(clone);
    soon("the drop releases", bob.acquire("jobs").into_future()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_dropped_gives_everything_back() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let lease = ada.acquire("jobs").term(MULTI).await.unwrap();
    drop(ada);
    assert!(lease.check().is_ok(), "a lease keeps its session");
    lease.ensure(MULTI - Duration::from_secs(1)).await.unwrap();
    drop(lease);
    soon("the drop releases", bob.acquire("jobs").into_future()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_acquire_withdraws() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob, eve) = (home.client().await, home.client().await, home.client().await);
    let first = ada.acquire("jobs").await.unwrap();
    let wish = tokio::spawn(bob.acquire("jobs").into_future());
    waiters(&ada, "jobs", 1).await;
    wish.abort();
    waiters(&ada, "jobs", 0).await;
    first.release().await.unwrap();
    let third = eve.acquire("jobs").try_now().await.unwrap();
    assert!(third.check().is_ok());
}

#[tokio::test]
async fn a_grant_that_crosses_a_withdrawal_is_given_back() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    for round in 0..100 {
        let mut wish = ada.acquire("jobs").term(MULTI).into_future();
        // Polled once, so that it is on its way, then dropped.
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut wish).poll(context).is_ready())
        });
        assert!(!once.await);
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        drop(wish);
        let lease = soon("the name", bob.acquire("jobs").into_future()).await.unwrap();
        lease.release().await.unwrap();
    }
}

#[tokio::test]
async fn those_who_wait_too_long_are_told() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let _first = ada.acquire("jobs").term(MULTI).await.unwrap();
    let waited = bob.acquire("jobs").wait_at_most(Duration::from_millis(50)).await;
    assert!(matches!(waited, Err(AcquireError::WaitedOut)), "{waited:?}");
    let second = ada.acquire("jobs").await;
    let refused = matches!(second, Err(AcquireError::Refused(Refusal::AlreadyHeld)));
    assert!(refused, "{second:?}");
}

#[tokio::test]
async fn nonsense_is_refused_with_its_reason() {
    let home = Home::new();
    let _granter = home.start();
    let client = home.client().await;
    let refused = |acquired: Result<_, AcquireError>| acquired.map(|_| ()).unwrap_err().to_string();
    assert!(refused(client.acquire("a//b").await).contains("two in a row"));
    assert!(refused(client.acquire("a").value([0; 2000]).await).contains("1024"));
    assert!(refused(client.acquire("a").term(Duration::ZERO).await).contains("too short"));
    assert!(refused(client.acquire("a").term(Duration::MAX).await).contains("584 years"));
    let lease = client.acquire("a").term(TERM).await.unwrap();
    let beyond = lease.ensure(TERM * 2).await.unwrap_err();
    assert!(matches!(beyond, RenewError::BeyondTerm { .. }), "{beyond}");
}

#[tokio::test]
async fn readers_share_and_a_writer_can_become_one() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let writer = ada.acquire("page").term(MULTI).await.unwrap();
    let reader = tokio::spawn(bob.acquire("page").shared().term(MULTI).into_future());
    waiters(&ada, "page", 1).await;
    let fence = writer.fence();
    writer.downgrade().await.unwrap();
    let reader = soon("the downgrade lets it in", reader).await.unwrap().unwrap();
    assert!(writer.check().is_ok() && reader.check().is_ok());
    assert_eq!(writer.fence(), fence);
    let entry = ada.get("page").await.unwrap().unwrap();
    assert!(entry.leases.iter().all(|lease| lease.mode == Mode::Shared), "{entry:?}");
    writer.downgrade().await.unwrap();
}

#[tokio::test]
async fn a_renewal_can_lengthen_the_term() {
    let home = Home::new();
    let _granter = home.start();
    let client = home.client().await;
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    let renewed = lease.renew(Some(MULTI)).await.unwrap();
    assert_eq!(renewed.term, MULTI);
    assert!(renewed.remaining > TERM, "{renewed:?}");
    lease.ensure(MULTI / 2).await.unwrap();
    let day = Duration::from_secs(100_000);
    let refused = lease.renew(Some(day)).await.unwrap_err();
    assert!(matches!(refused, RenewError::Refused(Refusal::TermTooLong { .. })), "{refused}");
    assert!(lease.check().is_ok(), "it goes on as it was");
}

#[tokio::test]
async fn a_lease_renewed_by_hand_ends_at_its_deadline() {
    let home = Home::new();
    let _granter = home.start();
    let client = home.client().await;
    let term = Duration::from_millis(300);
    let lease = client.acquire("jobs").term(term).renew_by_hand().await.unwrap();
    let mut events = lease.events();
    assert_eq!(soon("an event", events.next()).await, Some(LeaseEvent::Jeopardy));
    assert_eq!(soon("the end", lease.lost()).await, Loss::Expired);
    assert_eq!(lease.check(), Err(NotValid::Over(Loss::Expired)));
    assert_eq!(soon("an event", events.next()).await, Some(LeaseEvent::Lost(Loss::Expired)));
    assert_eq!(events.next().await, None);
    assert_eq!(lease.renew(None).await, Err(RenewError::Over(Loss::Expired)));
    soon("it is free", client.acquire("jobs").into_future()).await.unwrap();
}

#[tokio::test]
async fn a_recalled_lease_ends_with_its_grace() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let lease = ada.acquire("jobs").term(MULTI).await.unwrap();
    let mut events = lease.events();
    let grace = Duration::from_millis(500);
    assert_eq!(bob.recall("jobs", grace, Force::Grace).await, Ok(1));
    let event = soon("the recall", events.next()).await.unwrap();
    assert!(matches!(event, LeaseEvent::Recalled { until, force: Force::Grace } if until <= grace));
    if let Ok(valid) = lease.check() {
        assert!(valid.recalled && valid.remaining <= grace, "{valid:?}");
    }
    assert_eq!(soon("the end", lease.lost()).await, Loss::Recalled);
    let region = Region::new(8).unwrap();
    let published = lease.publish(&region.word(0).unwrap(), 1);
    assert!(matches!(published, Err(guard::Refusal::Revoked | guard::Refusal::Unsupported(_))));
    assert_eq!(region.word(0).unwrap().load(), 0);
    soon("it is free", bob.acquire("jobs").into_future()).await.unwrap();
}

#[tokio::test]
async fn a_forced_recall_closes_at_once_and_is_the_operators() {
    let home = Home::new();
    let _granter = home.start();
    let ada = home.client().await;
    let operator = Client::connect(home.operator()).await.unwrap();
    let lease = ada.acquire("jobs").term(MULTI).await.unwrap();
    let refused = ada.recall("jobs", MULTI, Force::Now).await.unwrap_err();
    assert_eq!(refused, tlease::AskError::Refused(Refusal::NotOperator));
    assert_eq!(operator.recall("jobs", MULTI, Force::Now).await, Ok(1));
    assert_eq!(soon("the end", lease.lost()).await, Loss::Recalled);
    assert_eq!(operator.recall("nobody", MULTI, Force::Now).await, Ok(0));
}

#[tokio::test]
async fn a_leaked_lease_outlives_its_handle_and_not_its_session() {
    let home = Home::new();
    let _granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let session: Session = ada.session().await.unwrap();
    let lease = session.acquire("jobs").term(TERM).await.unwrap();
    let fence = lease.fence();
    lease.leak();
    let mut watch = bob.watch("jobs");
    watch.next().await.unwrap();
    drop(session);
    // It is not released: it runs out.
    loop {
        if let tlease::Watched::Event(event) = soon("the end", watch.next()).await.unwrap()
            && event.fence == fence
        {
            assert_eq!(event.reason, tlease::EventReason::Expired);
            break;
        }
    }
}

#[tokio::test]
async fn closing_a_client_gives_everything_back() {
    let home = Home::new();
    let granter = home.start();
    let (ada, bob) = (home.client().await, home.client().await);
    let lease = ada.acquire("jobs").term(MULTI).await.unwrap();
    ada.close().await;
    assert_eq!(lease.check(), Err(NotValid::Over(Loss::Released)));
    bob.acquire("jobs").try_now().await.unwrap();
    drop((lease, bob));
    granter.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_leases_are_renewed_in_one_message() {
    let home = Home::new();
    let granter = home.start();
    let client = home.client().await;
    // Long enough that all are held before the first would end on a machine that is starved.
    let term = TERM * 2;
    let names = 0..500;
    let wishes: Vec<_> = names
        .map(|name| tokio::spawn(client.acquire(format!("n/{name}")).term(term).into_future()))
        .collect();
    let mut leases = Vec::new();
    for wish in wishes {
        leases.push(soon("a grant", wish).await.unwrap().unwrap());
    }
    let before = granter.metrics.snapshot().messages_in;
    let mut events = leases[0].events();
    for _ in 0..2 {
        assert_eq!(soon("a renewal", events.next()).await, Some(LeaseEvent::Renewed));
    }
    let messages = granter.metrics.snapshot().messages_in - before;
    assert!(messages < 50, "{messages} messages renewed 500 leases twice");
    assert!(leases.iter().all(|lease| lease.check().is_ok()));
    client.close().await;
}

#[test]
fn a_lease_whose_runtime_is_gone_runs_to_its_deadline() {
    let home = Home::new();
    let _granter = home.start();
    let new_runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = new_runtime();
    let client = runtime.block_on(home.client());
    let wish = client.acquire("jobs").term(Duration::from_secs(1)).into_future();
    let lease = runtime.block_on(wish).unwrap();
    drop(runtime);
    let runtime = new_runtime();
    let renewed = runtime.block_on(lease.renew(None)).unwrap_err();
    assert!(matches!(renewed, RenewError::SessionOver | RenewError::Over(Loss::Expired)));
    let acquired = runtime.block_on(client.acquire("else").into_future()).unwrap_err();
    assert!(matches!(acquired, AcquireError::SessionOver), "{acquired}");
    assert_eq!(runtime.block_on(soon("the end", lease.lost())), Loss::Expired);
}
