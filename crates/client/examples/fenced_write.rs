//! The main pattern: make sure that enough of the lease is left, work, write under the fence.
//!
//! The resource remembers the highest fence it has seen and refuses older ones, so that a holder that
//! was paused between its check and its write does no harm.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tlease::{Client, Fence, FenceGate, Mode, StaleFence};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let client = Client::connect(format!("embedded:{}", directory.path().display())).await?;
    let mut store = Store::default();

    let lease = client.acquire("accounts/7").term(Duration::from_secs(5)).await?;
    lease.ensure(Duration::from_millis(500)).await?;
    let total = 40 + 2; // the work, well within what is left
    store.put("total", total, lease.fence())?;
    let paused = lease.fence();
    lease.release().await?;

    let next = client.acquire("accounts/7").await?;
    store.put("total", 43, next.fence())?;
    match store.put("total", total, paused) {
        Ok(()) => return Err("a stale write must be refused".into()),
        Err(late) => println!("the first holder wakes up and writes again: {late}"),
    }
    println!("total is {}", store.rows["total"]);
    next.release().await?;
    client.close().await;
    Ok(())
}

/// A store that keeps a gate beside its rows, and updates both in one step.
#[derive(Default)]
struct Store {
    gate: FenceGate,
    rows: BTreeMap<&'static str, i64>,
}

impl Store {
    fn put(&mut self, key: &'static str, value: i64, fence: Fence) -> Result<(), StaleFence> {
        self.gate.admit(fence, Mode::Exclusive)?;
        self.rows.insert(key, value);
        Ok(())
    }
}
