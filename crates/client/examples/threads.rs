//! The blocking API: threads that take turns, and no runtime in sight.

use std::error::Error;
use std::thread;
use std::time::Duration;

use tlease::blocking::Client;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let client = Client::connect(format!("embedded:{}", directory.path().display()))?;
    let mut workers = Vec::new();
    for number in 1..=3 {
        let session = client.session()?;
        workers.push(thread::spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
            let lease = session.acquire("jobs/nightly").term(Duration::from_secs(5)).wait()?;
            lease.ensure(Duration::from_millis(200))?;
            println!("worker {number} works under fence {}", lease.fence());
            lease.release()?;
            Ok(())
        }));
    }
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")?.map_err(|error| error.to_string())?;
    }
    client.close();
    Ok(())
}
