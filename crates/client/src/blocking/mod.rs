//! The same calls for threads: no runtime in sight.
//!
//! One background thread, started with the first client and shared by all, drives every session:
//! leases renew themselves whatever the callers' threads do. Calls block the calling thread.
//!
//! # Panics
//! All calls that wait, if made from within an asynchronous task: use the asynchronous API there.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! # let at = tempfile::tempdir()?;
//! # let address = format!("embedded:{}", at.path().display());
//! let client = tlease::blocking::Client::connect(&address)?;
//! let lease = client.acquire("jobs/nightly").term(Duration::from_secs(5)).wait()?;
//! lease.ensure(Duration::from_millis(200))?;
//! println!("held under fence {}", lease.fence());
//! lease.release()?;
//! client.close();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod lease;
mod streams;

pub use client::{Acquire, Client, Session};
pub use lease::Lease;
pub use streams::{Events, List, Watch};

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::ConnectError;

/// Never shut down: leases are driven for as long as the process lives.
static RUNTIME: OnceLock<Background> = OnceLock::new();

/// The background thread, and the process that has it.
struct Background {
    runtime: Runtime,
    process: u32,
}

/// The runtime of the background thread.
fn runtime() -> Result<&'static Handle, ConnectError> {
    if let Some(background) = RUNTIME.get() {
        let is_ours = background.process == std::process::id();
        return is_ours.then(|| background.runtime.handle()).ok_or(ConnectError::Forked);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tlease")
        .enable_io()
        .enable_time()
        .build()
        .map_err(ConnectError::System)?;
    // Of two that were started at once, one is dropped again before it did anything.
    let background = Background { runtime, process: std::process::id() };
    Ok(RUNTIME.get_or_init(|| background).runtime.handle())
}

/// Waits on this thread for what the background thread drives.
///
/// # Panics
/// Within an asynchronous task.
fn wait<F: Future>(future: F) -> F::Output {
    let background = RUNTIME.get().expect("a client started it");
    background.runtime.handle().block_on(future)
}
