//! Profile `enclave-sim`: leases that timekeepers time, from the client to the granter and back.
//!
//! What is safe is asserted always. What has to happen needs a timekeeper and a holder to run at the
//! same time: where this machine does not let them within a while, the test says so and how often the
//! timekeeper was interrupted.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::{Home, soon};
use tlease::enclave::{EnclaveSim, Hertz, HzRange, KeeperCount, MachineProfile, Smt};
use tlease::protocol::granter::Limits;
use tlease::{Client, Clock, ClockFault, ConnectError, Fence, Lease, Loss, NotValid, RenewError};
use tlease_clock::machine::Survey;
use tlease_core::time::Span;

/// One clock at a time: each takes a core for itself.
static ALONE: Mutex<()> = Mutex::new(());

#[expect(
    clippy::disallowed_methods,
    reason = "the judge's clock is another one than the profile's"
)]
fn now() -> Instant {
    Instant::now()
}

/// How long a machine may take to run a timekeeper and a holder together.
const PATIENCE: Duration = Duration::from_secs(20);

const TERM: Duration = Duration::from_secs(600);

/// What this machine is, and faster than any: it may have been slow while it was measured.
fn machine() -> Option<MachineProfile> {
    let survey = Survey::take(Span::from_millis(50)).inspect_err(|why| println!("skipped: {why}"));
    let survey = survey.ok()?;
    let cores = HzRange::assume(survey.core_hz_min(), Hertz::new(8_000_000_000).unwrap()).unwrap();
    let machine =
        MachineProfile::assume(survey.cpu.clone(), cores, survey.tsc_hz_admitted(), Smt::On);
    Some(machine.unwrap())
}

/// A client with a granter in its process, both timed by the same timekeepers.
async fn client(home: &Home, count: KeeperCount) -> Option<Client> {
    let profile = EnclaveSim::new(machine()?).keepers(count);
    match Client::builder().profile(profile).connect(home.embedded()).await {
        Ok(client) => Some(client),
        Err(ConnectError::Clock(ClockFault::EnclaveSim(why))) => {
            println!("skipped: {why}");
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn exits(clock: &Clock) -> String {
    let Clock::Keepers(clock) = clock else { panic!("{clock}") };
    format!("{:?}; {:?}", clock.keepers().exits(0), clock.keepers().exits(1))
}

/// Asks until it is so; `false`, with a word, if this machine does not let it be.
async fn in_time(what: &str, clock: &Clock, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let begin = now();
    while !holds().await {
        if begin.elapsed() > PATIENCE {
            println!("skipped: not in {PATIENCE:?}: {what}; {}", exits(clock));
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

/// Acquires; `None`, with a word, if this machine does not let a grant be usable.
async fn acquire(client: &Client, name: &str, term: Duration) -> Option<Lease> {
    let acquired = tokio::time::timeout(PATIENCE, client.acquire(name).term(term)).await;
    if acquired.is_err() {
        println!("skipped: not in {PATIENCE:?}: a grant; {}", exits(client.clock()));
    }
    Some(acquired.ok()?.unwrap())
}

/// A renewal that was only in vain.
fn in_vain(error: &RenewError) -> bool {
    matches!(error, RenewError::TooLittle { .. } | RenewError::Unreachable { .. })
}

#[tokio::test]
async fn a_lease_is_acquired_checked_revalidated_and_given_back() {
    let _alone = ALONE.lock();
    let home = Home::new();
    let Some(client) = client(&home, KeeperCount::One).await else { return };
    assert!(client.clock().to_string().starts_with("enclave-sim"), "{}", client.clock());
    let asked = now();
    let Some(lease) = acquire(&client, "jobs", TERM).await else { return };
    assert_eq!(lease.deadline(), None, "its readings mean nothing to another process");
    let other = client.session().await.unwrap();
    let (mut valid, mut was_suspect) = (0, false);
    let seen = in_time("valid, suspect, and valid again", client.clock(), async || {
        match lease.check() {
            Ok(left) => {
                assert!(left.remaining <= TERM, "{left:?}");
                valid += u32::from(valid == 0 || was_suspect);
            }
            Err(NotValid::Suspect) => {
                was_suspect = true;
                if let Err(error) = lease.ensure(Duration::ZERO).await {
                    assert!(in_vain(&error), "{error}");
                }
            }
            Err(other) => panic!("{other}, {:?} after it was asked for", asked.elapsed()),
        }
        // The timekeeper is to be interrupted once: two answers of the granter do that, or a tick.
        assert!(other.acquire("jobs").try_now().await.is_err(), "held twice");
        valid > 1 && was_suspect
    });
    if seen.await {
        println!("{}", exits(client.clock()));
    }
    let twin = lease.clone();
    assert_eq!(soon("the release", lease.release()).await, Ok(true));
    assert_eq!(twin.check(), Err(NotValid::Over(Loss::Released)));
    soon("the end", client.close()).await;
}

#[tokio::test]
async fn one_message_revalidates_all_leases_of_a_session() {
    const LEASES: usize = 100;
    let _alone = ALONE.lock();
    let Some(machine) = machine() else { return };
    let home = Home::new();
    let granter = home.start();
    let profile = EnclaveSim::new(machine);
    let client = match Client::builder().profile(profile).connect(home.address()).await {
        Ok(client) => client,
        Err(ConnectError::Clock(why)) => return println!("skipped: {why}"),
        Err(other) => panic!("{other:?}"),
    };
    let mut leases = Vec::new();
    for number in 0..LEASES {
        let Some(lease) = acquire(&client, &format!("n/{number}"), TERM).await else { return };
        leases.push(lease);
    }
    let mut fewest = None;
    let seen =
        in_time("all of them valid after one of them was asked for", client.clock(), async || {
            let until_suspect =
                || leases.iter().all(|lease| lease.check() != Err(NotValid::Suspect));
            if until_suspect() {
                return false;
            }
            let before = granter.metrics.snapshot();
            let ensured = leases[7].ensure(Duration::ZERO).await;
            let all = leases.iter().all(|lease| lease.check().is_ok());
            let after = granter.metrics.snapshot();
            if let Err(error) = &ensured {
                assert!(in_vain(error), "{error}");
            }
            // A call goes on for as many attempts as are in vain. Each is a few messages, where each lease
            // by itself would be a hundred at once.
            let messages = after.messages_in - before.messages_in;
            let attempts = (after.turns - before.turns).max(1);
            assert!(
                messages < 10 * attempts,
                "{messages} messages in {attempts} turns, {ensured:?}"
            );
            if all {
                fewest = Some(messages);
            }
            all
        });
    if seen.await {
        println!("{fewest:?} messages for {LEASES} leases; {}", exits(client.clock()));
    }
    soon("the end", client.close()).await;
    granter.stop();
}

/// A holder that goes away without a word: its lease is over only when it must be.
///
/// Says also when it asked.
fn acquire_and_fall_silent(address: &str, term: Duration) -> (Instant, Fence) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (asked, lease) = runtime.block_on(async {
        let client = Client::connect(address).await.unwrap();
        let asked = now();
        let wish = client.acquire("jobs").term(term).into_future();
        (asked, soon("the grant", wish).await.unwrap())
    });
    let fence = lease.fence();
    // Nobody drives it any more.
    drop(runtime);
    drop(lease);
    (asked, fence)
}

/// The granter's slow hand counts what its timekeeper executed: the judge's clock is another.
#[tokio::test]
async fn a_successor_comes_only_after_the_term() {
    let _alone = ALONE.lock();
    let home = Home::new();
    let Some(client) = client(&home, KeeperCount::One).await else { return };
    let term = Duration::from_millis(500);
    // Of the granter that the first client started; timed by the kernel, so that it is told at once.
    let successor = Client::connect(home.embedded()).await.unwrap();
    let address = home.embedded();
    let (asked, first) =
        std::thread::spawn(move || acquire_and_fall_silent(&address, term)).join().unwrap();
    let mut next = std::pin::pin!(successor.acquire("jobs").term(TERM).into_future());
    let (mut ticks, mut succeeded) = (0, None);
    let seen = in_time("a successor", client.clock(), async || {
        // Has the granter look at what is due by its clock: it sleeps by another, which is not on trial.
        ticks += 1;
        let tick = successor.acquire(format!("tick/{ticks}")).term(Duration::from_millis(10));
        drop(soon("a tick", tick.into_future()).await);
        if let Ok(granted) = tokio::time::timeout(Duration::ZERO, &mut next).await {
            succeeded = Some((now(), granted.unwrap()));
        }
        succeeded.is_some()
    });
    if !seen.await {
        return;
    }
    let (at, second) = succeeded.unwrap();
    assert!(second.fence() > first);
    assert!(at - asked >= term, "after {:?} of {term:?}", at - asked);
    println!("freed after {:?} of {term:?}", at - asked);
    soon("the end", successor.close()).await;
    soon("the end", client.close()).await;
}

/// The holder's fast hand counts the counter's ticks, within one segment: so the term is shorter than what
/// a timer tick leaves of one.
#[tokio::test]
async fn no_check_after_the_term_says_valid() {
    let term = Duration::from_millis(2);
    let _alone = ALONE.lock();
    let Some(machine) = machine() else { return };
    let home = Home::new();
    let granter = home.start_with(Limits { term_min: Span::from_millis(1), ..Limits::default() });
    let client =
        match Client::builder().profile(EnclaveSim::new(machine)).connect(home.address()).await {
            Ok(client) => client,
            Err(ConnectError::Clock(why)) => return println!("skipped: {why}"),
            Err(other) => panic!("{other:?}"),
        };
    let (mut rounds, mut valid, mut in_segment) = (0, 0, 0);
    let seen = in_time("terms that end within a segment", client.clock(), async || {
        rounds += 1;
        let wish = client.acquire(format!("n/{rounds}")).term(term).renew_by_hand();
        let Ok(lease) = tokio::time::timeout(Duration::from_secs(1), wish).await else {
            return false;
        };
        let lease = lease.unwrap();
        let acquired = now();
        let mut last = None;
        while acquired.elapsed() < 2 * term {
            let looked = now();
            last = Some(lease.check());
            if last.is_some_and(|checked| checked.is_ok()) {
                valid += 1;
                let after = looked - acquired;
                assert!(after < term, "valid {after:?} after it was acquired for {term:?}");
            }
        }
        // Its end was seen, and not only the end of its segment.
        in_segment += u32::from(last == Some(Err(NotValid::Over(Loss::Expired))));
        valid > 0 && in_segment >= 5
    });
    if seen.await {
        println!(
            "{valid} times valid, {in_segment} ends of {rounds} seen; {}",
            exits(client.clock())
        );
    }
    soon("the end", client.close()).await;
    granter.stop();
}

#[tokio::test]
async fn a_profile_of_another_machine_is_refused_by_name() {
    let home = Home::new();
    let Some(machine) = machine() else { return };
    let stepping = machine.cpu().stepping;
    let (ours, others) = (format!("stepping = {stepping}"), format!("stepping = {}", stepping + 1));
    let other: MachineProfile = machine.to_string().replace(&ours, &others).parse().unwrap();
    let refused = Client::builder().profile(EnclaveSim::new(other)).connect(home.embedded()).await;
    let Err(ConnectError::Clock(ClockFault::EnclaveSim(why))) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(why, tlease::enclave::SimOpenFault::NotAdmitted(_)), "{why:?}");
}

/// The threads of this process that keep time.
fn timekeepers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("tlease-keeper")).count()
}

#[tokio::test]
async fn timekeepers_end_with_the_last_user_of_their_clock() {
    let _alone = ALONE.lock();
    let home = Home::new();
    // Those of the test before may still be ending.
    common::until("no timekeeper", async || timekeepers() == 0).await;
    let Some(client) = client(&home, KeeperCount::Two).await else { return };
    assert_eq!(timekeepers(), 2, "the granter has none of its own");
    soon("the end", client.close()).await;
    common::until("no timekeeper", async || timekeepers() == 0).await;
}
