//! Cache consistency: readers hold a shared lease on a page while they cache it; a writer waits until
//! none does, after asking for the page back.

use std::error::Error;
use std::future::IntoFuture as _;
use std::time::Duration;

use tlease::{Client, Force, LeaseEvent, Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let client = Client::connect(format!("embedded:{}", directory.path().display())).await?;

    let mut readers = Vec::new();
    for number in 1..=3 {
        let (session, (cached, is_cached)) =
            (client.session().await?, tokio::sync::oneshot::channel());
        readers.push(tokio::spawn(read(number, session, cached)));
        is_cached.await?;
    }

    // The writer queues, so no new reader gets in before it, and asks those that there are to finish.
    let writer = client.acquire("page/1").on_queued(|queued| println!("writer: {queued:?}"));
    let writer = tokio::spawn(writer.into_future());
    let told = client.recall("page/1", Duration::from_secs(2), Force::Grace).await?;
    println!("{told} readers were asked to give the page back");
    let writer = writer.await??;
    println!("writing under fence {}", writer.fence());
    writer.release().await?;
    for reader in readers {
        reader.await?;
    }
    client.close().await;
    Ok(())
}

/// Caches a page for as long as nobody wants to write it.
async fn read(number: u32, session: Session, cached: tokio::sync::oneshot::Sender<()>) {
    let Ok(lease) = session.acquire("page/1").shared().await else { return };
    let mut events = lease.events();
    println!("reader {number} caches the page");
    let _ = cached.send(());
    // Ends with the lease.
    while let Some(event) = events.next().await {
        // A check before each use of the cached page costs some ten nanoseconds.
        if let LeaseEvent::Recalled { until, .. } = event {
            println!("reader {number} drops the page, long before {until:?} are over");
            break;
        }
    }
    // The cached page is dropped; so is the lease, which lets the writer in.
}
