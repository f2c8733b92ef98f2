//! What becomes of leases when the connection breaks, and the granter is frozen, killed and restarted.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

mod common;

use std::future::IntoFuture as _;
use std::time::Duration;

use common::process::GranterProcess;
use common::proxy::Proxy;
use common::{Home, PATIENCE, TERM, soon, until};
use tlease::{AcquireError, Client, ConnectError, Lease, LeaseEvent, Loss, NotValid, RenewError};

/// No test: the process in which a granter serves.
#[test]
fn serve() {
    common::process::serve();
}

/// Waits for a renewal that begins after this call; panics if the lease ends.
async fn renewed(lease: &Lease) {
    let mut events = lease.events();
    loop {
        match soon("a renewal", events.next()).await {
            Some(LeaseEvent::Renewed) => return,
            Some(LeaseEvent::Lost(loss)) => panic!("{loss}"),
            Some(_) => {}
            None => panic!("it ended"),
        }
    }
}

#[tokio::test]
async fn a_lease_survives_a_broken_connection() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let client = Client::connect(proxy.address()).await.unwrap();
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    for _ in 0..3 {
        proxy.cut(false);
        assert!(lease.check().is_ok());
        renewed(&lease).await;
        assert!(lease.check().is_ok());
    }
    assert_eq!(proxy.accepted(), 4);
    assert_eq!(lease.release().await, Ok(true));
}

#[tokio::test]
async fn what_was_asked_of_a_lease_is_asked_again_on_the_next_connection() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let client = Client::connect(proxy.address()).await.unwrap();
    for _ in 0..20 {
        let lease = client.acquire("jobs").term(PATIENCE).await.unwrap();
        let renewal = tokio::spawn({
            let lease = lease.clone();
            async move { lease.renew(None).await }
        });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        proxy.cut(false);
        soon("the renewal", renewal).await.unwrap().unwrap();
        let release = tokio::spawn(lease.release());
        tokio::task::yield_now().await;
        proxy.cut(false);
        assert_eq!(soon("the release", release).await.unwrap(), Ok(true));
    }
}

#[tokio::test]
async fn a_half_open_connection_is_given_up_before_the_lease_ends() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let client = Client::connect(proxy.address()).await.unwrap();
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    let fence = lease.fence();
    proxy.swallow_present();
    let mut events = lease.events();
    let (mut jeopardy, mut renewed) = (false, false);
    while !renewed {
        match soon("a renewal", events.next()).await.unwrap() {
            LeaseEvent::Jeopardy => jeopardy = true,
            LeaseEvent::Renewed => renewed = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(jeopardy, "it was warned first");
    assert!(lease.check().is_ok());
    assert_eq!((lease.fence(), proxy.accepted()), (fence, 2));
}

#[tokio::test]
async fn a_wish_survives_a_broken_connection() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let (ada, bob) = (home.client().await, Client::connect(proxy.address()).await.unwrap());
    let first = ada.acquire("jobs").term(PATIENCE).await.unwrap();
    let second = tokio::spawn(bob.acquire("jobs").into_future());
    let waits = async || ada.get("jobs").await.unwrap().unwrap().waiters == 1;
    until("it waits", waits).await;
    proxy.cut(false);
    until("it is connected again", async || bob.status().await.is_ok()).await;
    first.release().await.unwrap();
    let second = soon("the offer", second).await.unwrap().unwrap();
    assert!(second.check().is_ok());
}

#[tokio::test]
async fn a_wish_survives_a_half_open_connection() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let (ada, bob) = (home.client().await, Client::connect(proxy.address()).await.unwrap());
    let first = ada.acquire("jobs").term(PATIENCE).await.unwrap();
    let second = tokio::spawn(bob.acquire("jobs").into_future());
    let waits = async || ada.get("jobs").await.unwrap().unwrap().waiters == 1;
    until("it waits", waits).await;
    proxy.swallow_present();
    first.release().await.unwrap();
    let second = soon("the offer, on another connection", second).await.unwrap().unwrap();
    assert!(second.check().is_ok());
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn the_end_of_a_lease_is_known_here_while_the_granter_is_frozen() {
    let home = Home::new();
    let granter = GranterProcess::start(&home).await;
    let client = home.client().await;
    let term = Duration::from_millis(500);
    let lease = client.acquire("jobs").term(term).await.unwrap();
    granter.freeze();
    let loss = tokio::time::timeout(PATIENCE, lease.lost()).await.unwrap();
    assert_eq!(loss, Loss::Expired);
    assert_eq!(lease.check(), Err(NotValid::Over(Loss::Expired)));
    let renewed = lease.ensure(Duration::ZERO).await;
    assert_eq!(renewed, Err(RenewError::Over(Loss::Expired)));
    granter.thaw();
    // The renewal that was under way does not revive it; the name is free for a new grant.
    let next = soon("a new grant", client.acquire("jobs").into_future()).await.unwrap();
    assert!(next.fence() > lease.fence());
    assert_eq!(lease.check(), Err(NotValid::Over(Loss::Expired)));
}

#[test]
fn the_end_of_a_lease_is_known_while_the_driver_is_starved() {
    let home = Home::new();
    let _granter = home.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(home.client());
    let term = Duration::from_millis(100);
    let lease = runtime.block_on(client.acquire("jobs").term(term).into_future()).unwrap();
    // Nothing runs on the runtime from here on, so nothing renews.
    while lease.check().is_ok() {
        std::thread::yield_now();
    }
    let once = async {
        let mut lost = std::pin::pin!(lease.lost());
        std::future::poll_fn(|context| std::task::Poll::Ready(lost.as_mut().poll(context))).await
    };
    assert_eq!(runtime.block_on(once), std::task::Poll::Ready(Loss::Expired), "at its first poll");
    // The driver, when it runs again, finds the answer to a renewal that came in time, and the lease
    // is over all the same.
    runtime.block_on(async {
        soon("it is free", client.acquire("jobs").into_future()).await.unwrap();
    });
    assert_eq!(lease.check(), Err(NotValid::Over(Loss::Expired)));
}

#[tokio::test]
async fn a_lease_is_reclaimed_from_a_granter_that_was_killed() {
    let home = Home::new();
    let granter = GranterProcess::start(&home).await;
    let client = home.client().await;
    let lease = client.acquire("jobs").term(TERM).value("ada").await.unwrap();
    let fence = lease.fence();
    for _ in 0..2 {
        renewed(&lease).await;
    }
    granter.kill();
    assert!(lease.check().is_ok());
    let granter = GranterProcess::start(&home).await;
    let other = home.client().await;
    let (told, mut queued) = tokio::sync::mpsc::unbounded_channel();
    let wish = other.acquire("else").on_queued(move |queued| told.send(queued).unwrap());
    let wish = tokio::spawn(wish.into_future());
    let queued = soon("the restart wait", queued.recv()).await.unwrap();
    assert!(queued.wait_left.is_some_and(|left| left <= TERM * 2), "{queued:?}");
    renewed(&lease).await;
    assert!(lease.check().is_ok());
    assert_eq!(lease.fence(), fence);
    let entry = other.get("jobs").await.unwrap().unwrap();
    assert_eq!((entry.leases[0].fence, entry.leases[0].session), (fence, client.id()));
    assert_eq!(entry.leases[0].value.as_ref().unwrap().as_bytes(), b"ada");
    let second = soon("the end of the wait", wish).await.unwrap().unwrap();
    assert!(second.fence() > fence, "fences never go back");
    assert!(lease.check().is_ok());
    assert_eq!(lease.release().await, Ok(true));
    drop(granter);
}

#[tokio::test]
async fn a_release_is_answered_by_a_granter_that_never_knew_the_lease() {
    let home = Home::new();
    let granter = GranterProcess::start(&home).await;
    let client = home.client().await;
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    granter.kill();
    let release = tokio::spawn(async move { lease.release().await });
    let granter = GranterProcess::start(&home).await;
    assert_eq!(soon("the release", release).await.unwrap(), Ok(true));
    drop(granter);
}

#[tokio::test]
async fn a_lease_runs_out_when_the_granter_does_not_come_back() {
    let home = Home::new();
    let granter = GranterProcess::start(&home).await;
    let client = Client::builder().answer_within(Duration::from_millis(100));
    let client = client.connect(home.address()).await.unwrap();
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    granter.kill();
    let refused = client.acquire("else").try_now().await.unwrap_err();
    assert!(matches!(refused, AcquireError::Unreachable { .. }), "{refused}");
    assert!(client.status().await.is_err());
    assert_eq!(soon("the end", lease.lost()).await, Loss::Expired);
}

#[tokio::test]
async fn what_is_no_granter_is_told_apart() {
    let home = Home::new();
    let refused = |connected: Result<Client, ConnectError>| connected.unwrap_err();
    let nobody = refused(Client::connect(home.address()).await);
    assert!(matches!(nobody, ConnectError::Unreachable { .. }), "{nobody}");
    assert!(nobody.to_string().contains("tlease serve"), "{nobody}");
    for far in ["tcp://192.0.2.1:7420", "tcp://[2001:db8::1]:7420", "0.0.0.0:7420"] {
        let far = refused(Client::connect(far).await);
        assert!(matches!(far, ConnectError::NotLoopback { .. }), "{far}");
        assert!(far.to_string().contains("TLS is not in this version"), "{far}");
    }
    let nonsense = refused(Client::connect("http://127.0.0.1:7420").await);
    assert!(matches!(nonsense, ConnectError::Address(_)), "{nonsense}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let web = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n").unwrap();
        stream
    });
    let foreign = refused(Client::connect(address.to_string()).await);
    assert!(matches!(foreign, ConnectError::Foreign { .. }), "{foreign}");
    web.join().unwrap();

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let builder = Client::builder().connect_within(Duration::from_millis(50));
    let silent = refused(builder.connect(address).await);
    assert!(matches!(silent, ConnectError::Silent { .. }), "{silent}");
}
