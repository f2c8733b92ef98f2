//! Two holders of one name never act at once: judged by stamps and fences, not by a clock.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::proxy::Proxy;
use common::{Home, soon};
use tlease::{Client, Fence};

/// Acts in the order of their stamps, which were taken *before* the lease was looked at.
#[derive(Default)]
struct Judge {
    stamps: AtomicU64,
    acts: Mutex<Vec<(u64, Fence)>>,
}

impl Judge {
    /// Notes an act, if the lease is valid after its stamp.
    fn act(&self, lease: &tlease::Lease) -> bool {
        let stamp = self.stamps.fetch_add(1, Ordering::SeqCst);
        let valid = lease.check().is_ok();
        if valid {
            self.acts.lock().unwrap().push((stamp, lease.fence()));
        }
        valid
    }

    /// Acts that were valid although a later holder had begun: its lease was held before its stamp.
    fn overlaps(&self) -> usize {
        let mut acts = self.acts.lock().unwrap().clone();
        acts.sort_unstable();
        let mut newest = None;
        let stale = acts.iter().filter(|(_, fence)| {
            let is_stale = newest.is_some_and(|newest| newest > *fence);
            newest = newest.max(Some(*fence));
            is_stale
        });
        stale.count()
    }
}

/// Holds the name again and again: acts until the lease is over or it has acted enough, then releases
/// it, drops it, or lets it run out.
async fn contend(client: Client, judge: Arc<Judge>, rounds: u32) {
    for round in 0..rounds {
        let wish = client.acquire("name").term(Duration::from_millis(60));
        let lease = match round % 3 {
            0 => wish.renew_by_hand().await,
            _ => wish.await,
        };
        // The connection may have been cut for longer than the term.
        let Ok(lease) = lease else { continue };
        for _ in 0..200 {
            if !judge.act(&lease) {
                break;
            }
            tokio::task::yield_now().await;
        }
        match round % 3 {
            0 => while judge.act(&lease) {},
            1 => drop(lease),
            _ => {
                // Unheard if the connection was just cut.
                let _ = lease.release().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn holders_of_one_name_never_overlap() {
    let home = Home::new();
    let _granter = home.start();
    let proxy = Proxy::start(&home);
    let judge = Arc::new(Judge::default());
    let mut tasks = Vec::new();
    for number in 0..4 {
        let address = if number < 2 { home.address() } else { proxy.address() };
        let client = Client::connect(address).await.unwrap();
        tasks.push(tokio::spawn(contend(client, Arc::clone(&judge), 24)));
    }
    // Cuts and loses connections while they contend.
    for round in 0.. {
        if tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
        let grants = judge.acts.lock().unwrap().last().map(|(_, fence)| *fence);
        let next = async {
            while judge.acts.lock().unwrap().last().map(|(_, fence)| *fence) == grants
                && !tasks.iter().all(tokio::task::JoinHandle::is_finished)
            {
                tokio::task::yield_now().await;
            }
        };
        soon("the next holder", next).await;
        match round {
            // Once, since it takes its clients seconds to notice.
            20 => proxy.swallow_present(),
            _ if round % 8 == 0 => proxy.cut(false),
            _ => {}
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let acts = judge.acts.lock().unwrap().len();
    println!("{acts} acts, {} overlaps", judge.overlaps());
    assert_eq!(judge.overlaps(), 0, "of {acts} acts");
    assert!(acts > 1_000);
}
