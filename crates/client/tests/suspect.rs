//! When continuity of time is lost, every lease is suspect until one round trip to the granter.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

mod common;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use common::process::GranterProcess;
use common::{Home, TERM, soon, until};
use tlease::memory::Region;
use tlease::protocol::granter::Limits;
use tlease::protocol::time::{Now, Readings, SlowHand, SlowInstant, Source, Ticks};
use tlease::{Client, HostClock, LeaseEvent, Loss, NotValid, Profile, RenewError, guard};
use tlease_daemon::SlowClock;

/// No test: the process in which a granter serves.
#[test]
fn serve() {
    common::process::serve();
}

/// A file that looks like the page in which a hypervisor reports migrations and snapshots.
struct Hypervisor(tempfile::NamedTempFile);

impl Hypervisor {
    fn new() -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut page = [0_u8; 4096];
        page[..4].copy_from_slice(b"VCLK");
        page[4..8].copy_from_slice(&4096_u32.to_le_bytes());
        page[8..10].copy_from_slice(&1_u16.to_le_bytes());
        // It keeps a generation counter.
        page[24..32].copy_from_slice(&(1_u64 << 8).to_le_bytes());
        file.write_all(&page).unwrap();
        Self(file)
    }

    /// Says that time was disrupted; `mark` was never used before.
    fn migrate(&self, mark: u64) {
        let page = File::options().write(true).open(self.0.path()).unwrap();
        page.write_all_at(&mark.to_le_bytes(), 16).unwrap();
    }

    /// Says that the machine was loaded from a snapshot; `generation` was never used before.
    fn copy(&self, generation: u64) {
        let page = File::options().write(true).open(self.0.path()).unwrap();
        page.write_all_at(&generation.to_le_bytes(), 104).unwrap();
    }

    async fn client(&self, home: &Home) -> Client {
        self.client_of(home.address()).await
    }

    async fn client_of(&self, address: String) -> Client {
        let profile = Profile::host().vmclock_at(self.0.path()).require_continuity();
        Client::builder().profile(profile).connect(address).await.unwrap()
    }
}

#[tokio::test]
async fn one_round_trip_makes_all_leases_of_a_session_valid_again() {
    let home = Home::new();
    let granter = home.start();
    let hypervisor = Hypervisor::new();
    let client = hypervisor.client(&home).await;
    let term = Duration::from_secs(600);
    let mut leases = Vec::new();
    for number in 0..500 {
        leases.push(client.acquire(format!("n/{number}")).term(term).await.unwrap());
    }
    let region = Region::new(8).unwrap();
    let word = region.word(0).unwrap();
    let fence = leases[7].fence();
    for mark in 1..=3 {
        let before = granter.metrics.snapshot().messages_in;
        hypervisor.migrate(mark);
        assert!(leases.iter().all(|lease| lease.check() == Err(NotValid::Suspect)));
        let published = leases[7].publish(&word, 1).unwrap_err();
        assert!(matches!(published, guard::Refusal::Suspect | guard::Refusal::Unsupported(_)));
        soon("the renewal", leases[7].ensure(term / 2)).await.unwrap();
        assert!(leases.iter().all(|lease| lease.check().is_ok()));
        let messages = granter.metrics.snapshot().messages_in - before;
        assert!(messages <= 3, "{messages} messages for 500 leases");
    }
    assert_eq!((leases[7].fence(), word.load()), (fence, 0));
    client.close().await;
}

#[tokio::test]
async fn a_suspect_lease_is_renewed_without_being_asked_for() {
    let home = Home::new();
    let _granter = home.start();
    let hypervisor = Hypervisor::new();
    let client = hypervisor.client(&home).await;
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    let mut events = lease.events();
    hypervisor.migrate(1);
    let mut was_suspect = false;
    loop {
        match soon("a renewal", events.next()).await {
            Some(LeaseEvent::Suspect) => was_suspect = true,
            Some(LeaseEvent::Renewed) if was_suspect => break,
            Some(LeaseEvent::Renewed) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(lease.check().is_ok());
}

#[tokio::test]
async fn a_suspect_lease_is_not_valid_again_without_the_granter() {
    let home = Home::new();
    let granter = GranterProcess::start(&home).await;
    let hypervisor = Hypervisor::new();
    let client = hypervisor.client(&home).await;
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    granter.freeze();
    hypervisor.migrate(1);
    let ensured = tokio::spawn({
        let lease = lease.clone();
        async move { lease.ensure(Duration::ZERO).await }
    });
    for _ in 0..1_000 {
        assert_eq!(lease.check(), Err(NotValid::Suspect));
        tokio::task::yield_now().await;
    }
    granter.thaw();
    // The granter may have freed it meanwhile, if this machine is very slow: then it says so.
    match soon("the granter's word", ensured).await.unwrap() {
        Ok(_) => assert!(lease.check().is_ok()),
        Err(error) => println!("skipped: the machine was too slow: {error}"),
    }
}

/// The granter's clock runs twice as fast as it should: it would free names in half their terms.
#[tokio::test]
async fn a_granter_whose_clock_runs_ahead_is_found_out() {
    let home = Home::new();
    let host = HostClock::open(&Profile::host()).unwrap();
    let hand = SlowHand::new(&[Source::assume_slow_nanos(300_000)]);
    let clock = SlowClock::new(hand, move || {
        let Ticks(raw) = host.slow_now().reading().readings().get(0).unwrap();
        Now::at(SlowInstant::new(Readings::one(Ticks(raw.checked_mul(2).unwrap()))))
    });
    let granter = common::Granter::start_at(common::config(home.path(), Limits::default()), clock);
    let client = home.client().await;
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    let mut events = lease.events();
    loop {
        match soon("an event", events.next()).await {
            Some(LeaseEvent::ClocksDisagree { granter, holder }) => {
                assert!(granter > holder, "{granter:?} {holder:?}");
                break;
            }
            Some(LeaseEvent::Lost(loss)) => panic!("{loss}"),
            Some(_) => {}
            None => unreachable!("`Lost` comes first"),
        }
    }
    let told = client.status().await.unwrap().disagreements;
    // The renewal that is under way makes it valid again, until the clocks are compared next.
    let ensured = soon("the granter's word", lease.ensure(Duration::ZERO)).await;
    assert!(told > 0 && ensured.is_ok(), "{told} {ensured:?}");
    client.close().await;
    granter.stop();
}

#[tokio::test]
async fn a_copy_of_the_machine_gives_its_leases_up_and_goes_on_as_another_session() {
    let home = Home::new();
    let _granter = home.start();
    let hypervisor = Hypervisor::new();
    let (client, other) = (hypervisor.client(&home).await, home.client().await);
    let (before, others) = (client.id(), other.acquire("others").await.unwrap());
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    let queued = client.acquire("others");
    let queued = tokio::spawn(async move { queued.await });
    until("a waiter", async || {
        let entry = other.get("others").await.unwrap();
        entry.is_some_and(|entry| entry.waiters == 1)
    })
    .await;
    let mut events = lease.events();
    hypervisor.copy(1);
    // Nobody acts under it from the first moment on, and it is over as soon as the driver looks.
    assert_eq!(lease.check(), Err(NotValid::Suspect));
    assert_eq!(soon("the end", lease.lost()).await, Loss::Copied);
    assert_eq!(lease.renew(None).await, Err(RenewError::Over(Loss::Copied)));
    let mut event = soon("an event", events.next()).await;
    while matches!(event, Some(LeaseEvent::Suspect | LeaseEvent::Renewed)) {
        event = soon("an event", events.next()).await;
    }
    assert_eq!(event, Some(LeaseEvent::Lost(Loss::Copied)));
    // The old session's lease ends by itself, and is not released: another copy may go on with it.
    let entry = other.get("jobs").await.unwrap().expect("it is held still");
    assert_eq!(entry.leases[0].session, before);
    let again = soon("the name", client.acquire("jobs").term(TERM).into_future()).await.unwrap();
    assert_ne!(client.id(), before);
    let entry = other.get("jobs").await.unwrap().expect("it is held");
    assert_eq!(entry.leases[0].session, client.id());
    // What was waited for still is.
    others.release().await.unwrap();
    assert!(soon("the other name", queued).await.unwrap().unwrap().check().is_ok());
    assert!(again.check().is_ok());
}

#[tokio::test]
async fn a_migration_is_no_copy() {
    let home = Home::new();
    let _granter = home.start();
    let hypervisor = Hypervisor::new();
    let client = hypervisor.client(&home).await;
    let (before, lease) = (client.id(), client.acquire("jobs").term(TERM).await.unwrap());
    hypervisor.migrate(1);
    soon("the renewal", lease.renew(None)).await.unwrap();
    assert!(lease.check().is_ok());
    assert_eq!(client.id(), before);
}

#[tokio::test]
async fn a_copy_of_an_embedded_granter_serves_the_copies_new_session() {
    let home = Home::new();
    let hypervisor = Hypervisor::new();
    let client = hypervisor.client_of(home.embedded()).await;
    let lease = client.acquire("jobs").term(TERM).await.unwrap();
    let (before, fence) = (client.id(), lease.fence());
    hypervisor.copy(1);
    assert_eq!(soon("the end", lease.lost()).await, Loss::Copied);
    let again = soon("the name", client.acquire("jobs").term(TERM).into_future()).await.unwrap();
    assert!(again.fence() > fence && client.id() != before);
}
