//! Leader election: candidates wait for one name, and show others where they are by its value.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tlease::{Client, EventReason, Session, Watched};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let client = Client::connect(format!("embedded:{}", directory.path().display())).await?;
    let mut watch = client.watch("cluster/leader");
    watch.next().await?; // it has begun

    let mut to_step_down = BTreeMap::new();
    for number in 1..=3 {
        let (step_down, asked) = oneshot::channel();
        let endpoint = format!("node-{number}:7000");
        to_step_down.insert(endpoint.clone(), step_down);
        // Each candidate is a holder of its own, here in one process.
        tokio::spawn(lead(client.session().await?, endpoint, asked));
    }

    while !to_step_down.is_empty() {
        loop {
            if let Watched::Event(event) = watch.next().await?
                && event.reason == EventReason::Granted
            {
                break;
            }
        }
        let entry = client.get("cluster/leader").await?.ok_or("somebody leads")?;
        let leader = entry.leases.first().ok_or("one leads")?;
        let value = leader.value.as_ref().ok_or("it says where it is")?;
        let endpoint = String::from_utf8_lossy(value.as_bytes());
        println!("{endpoint} leads under fence {}", leader.fence);
        to_step_down.remove(&*endpoint); // hangs up, which asks it
    }
    client.close().await;
    Ok(())
}

/// Leads from the election until asked to step down, or until the lease is lost.
async fn lead(session: Session, endpoint: String, step_down: oneshot::Receiver<()>) {
    let elected = session.acquire("cluster/leader").value(&endpoint).term(Duration::from_secs(5));
    let Ok(lease) = elected.await else { return };
    tokio::select! {
        _ = step_down => {} // dropping the lease lets the next one lead
        loss = lease.lost() => println!("{endpoint} stops: {loss}"),
    }
}
