//! What readers and operators see.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

mod common;

use std::future::IntoFuture as _;

use common::proxy::Proxy;
use common::{Home, TERM, soon, until};
use tlease::protocol::granter::Limits;
use tlease::{AskError, Client, EventReason, Watched};

#[tokio::test]
async fn a_list_shows_every_name_once_across_pages() {
    let home = Home::new();
    let _granter = home.start();
    let client = home.client().await;
    let mut leases = Vec::new();
    for number in 0..600 {
        let name = format!("{}/{number}", if number % 2 == 0 { "even" } else { "odd" });
        leases.push(client.acquire(name).await.unwrap());
    }
    let mut names: Vec<String> = Vec::new();
    let mut list = client.list("even/");
    while let Some(entry) = list.next().await.unwrap() {
        names.push(entry.name.to_string());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 300);
    assert!(names.iter().all(|name| name.starts_with("even/")));
    assert_eq!(client.list("").all().await.unwrap().len(), 600);
    assert_eq!(client.list("none").all().await.unwrap(), []);
    assert_eq!(client.list([b'x'; 300]).all().await, Err(AskError::TooLong));
    let status = client.status().await.unwrap();
    assert_eq!((status.leases, status.waiters), (600, 0));
}

#[tokio::test]
async fn a_watch_sees_what_happens_in_order() {
    let home = Home::new();
    let _granter = home.start();
    let client = home.client().await;
    let mut watch = client.watch("jobs/");
    assert!(matches!(soon("the beginning", watch.next()).await, Ok(Watched::Began(_))));
    let lease = client.acquire("jobs/1").await.unwrap();
    client.acquire("other").await.unwrap();
    let fence = lease.fence();
    lease.release().await.unwrap();
    for reason in [EventReason::Granted, EventReason::Released] {
        let Watched::Event(event) = soon("an event", watch.next()).await.unwrap() else { panic!() };
        assert_eq!((event.reason, event.fence), (reason, fence));
        assert_eq!(event.name.to_string(), "jobs/1");
    }
}

#[tokio::test]
async fn a_watch_goes_on_after_a_broken_connection_without_a_gap() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let (ada, bob) = (home.client().await, Client::connect(proxy.address()).await.unwrap());
    let mut watch = bob.watch("");
    assert!(matches!(soon("the beginning", watch.next()).await, Ok(Watched::Began(_))));
    let mut fences = Vec::new();
    for round in 0..5 {
        if round % 2 == 1 {
            proxy.cut(false);
        }
        let lease = ada.acquire("jobs").await.unwrap();
        fences.push(lease.fence());
        lease.release().await.unwrap();
    }
    for fence in fences {
        for reason in [EventReason::Granted, EventReason::Released] {
            let seen = soon("an event", watch.next()).await.unwrap();
            let Watched::Event(event) = seen else { panic!("{seen:?}") };
            assert_eq!((event.reason, event.fence), (reason, fence));
        }
    }
}

#[tokio::test]
async fn a_watch_that_was_not_read_resumes_or_reports_its_gap() {
    let home = Home::new();
    let limits = Limits { events_kept: 64, ..Limits::default() };
    let _granter = home.start_with(limits);
    let client = home.client().await;
    let mut watch = client.watch("");
    assert!(matches!(soon("the beginning", watch.next()).await, Ok(Watched::Began(_))));
    let mut last = None;
    for _ in 0..700 {
        let lease = client.acquire("jobs").await.unwrap();
        last = Some(lease.fence());
        lease.release().await.unwrap();
    }
    loop {
        match soon("the gap", watch.next()).await.unwrap() {
            Watched::Gap(_) => break,
            Watched::Event(event) => assert_ne!(Some(event.fence), last, "64 of 1400 were kept"),
            other => panic!("{other:?}"),
        }
    }
    let lease = client.acquire("jobs").await.unwrap();
    loop {
        let seen = soon("what happens after the gap", watch.next()).await.unwrap();
        let Watched::Event(event) = seen else { panic!("one gap: {seen:?}") };
        if event.fence == lease.fence() {
            break;
        }
    }
}

#[tokio::test]
async fn questions_are_asked_again_on_the_next_connection() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let client = Client::connect(proxy.address()).await.unwrap();
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    for _ in 0..20 {
        let asked = tokio::spawn({
            let client = client.clone();
            async move { client.get("jobs").await }
        });
        tokio::task::yield_now().await;
        proxy.cut(false);
        let entry = soon("the answer", asked).await.unwrap().unwrap().unwrap();
        assert_eq!(entry.leases[0].fence, lease.fence());
    }
}

#[tokio::test]
async fn a_granter_in_this_process_is_shared_and_ends_in_good_order() {
    let home = Home::new();
    let ada = Client::connect(home.embedded()).await.unwrap();
    let bob = Client::connect(home.embedded()).await.unwrap();
    let lease = ada.acquire("jobs").await.unwrap();
    let wish = tokio::spawn(bob.acquire("jobs").into_future());
    until("it waits", async || ada.status().await.unwrap().waiters == 1).await;
    let first = lease.fence();
    lease.release().await.unwrap();
    let second = soon("the offer", wish).await.unwrap().unwrap();
    let second_fence = second.fence();
    assert!(second_fence > first);
    drop(second);
    ada.close().await;
    bob.close().await;
    // The next life need not wait, and goes on with higher fences.
    let eve = Client::connect(home.embedded()).await.unwrap();
    assert_eq!(eve.status().await.unwrap().wait_left, None);
    let lease = eve.acquire("jobs").try_now().await.unwrap();
    assert!(lease.fence() > second_fence);
    drop(lease);
    eve.close().await;
}

#[test]
fn threads_need_no_runtime() {
    use tlease::LeaseEvent;
    let home = Home::new();
    let client = tlease::blocking::Client::connect(home.embedded()).unwrap();
    let lease = client.acquire("jobs").term(TERM).value("v").wait().unwrap();
    let mut events = lease.events();
    assert_eq!(events.next(), Some(LeaseEvent::Renewed));
    lease.ensure(TERM / 2).unwrap();
    let other = client.session().unwrap();
    assert!(other.acquire("jobs").try_now().wait().is_err());
    let names: Vec<_> = client.list("").map(|entry| entry.unwrap().name.to_string()).collect();
    assert_eq!(names, ["jobs"]);
    let next = std::thread::spawn(move || other.acquire("jobs").wait().unwrap());
    let clone = lease.clone();
    lease.release().unwrap();
    assert_eq!(clone.wait_lost(), tlease::Loss::Released);
    let next = next.join().unwrap();
    assert!(next.fence() > clone.fence() && next.check().is_ok());
    next.release().unwrap();
    client.close();
}
