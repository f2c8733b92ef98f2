//! `Embedded`: a granter in a thread of this process.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;

use tlease_clock::Clock;
use tlease_core::identity::Rights;
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Control, Server};

use crate::error::ConnectError;

/// A granter in a thread of this process, with its record in a directory. All clients of one directory
/// share it; it stops when the last of them is gone.
#[derive(Debug)]
pub(crate) struct Embedded {
    directory: PathBuf,
    control: Control,
    thread: Mutex<Option<JoinHandle<()>>>,
    process: u32,
}

/// The granters of this process. An entry whose granter is gone is still stopping.
static RUNNING: Mutex<BTreeMap<PathBuf, Weak<Embedded>>> = Mutex::new(BTreeMap::new());
static STOPPED: Condvar = Condvar::new();

impl Embedded {
    /// The granter of a directory, started unless it runs. Blocks: it may wait for a disk.
    pub(crate) fn open(directory: &Path, clock: &Clock) -> Result<Arc<Self>, ConnectError> {
        let directory = std::path::absolute(directory).map_err(ConnectError::System)?;
        let mut running = running();
        while let Some(known) = running.get(&directory) {
            if let Some(embedded) = known.upgrade() {
                return Ok(embedded);
            }
            running = STOPPED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        let embedded = Arc::new(Self::start(directory.clone(), clock)?);
        running.insert(directory, Arc::downgrade(&embedded));
        Ok(embedded)
    }

    /// A connection to it.
    pub(crate) fn connect(&self, rights: Rights) -> io::Result<UnixStream> {
        self.control.connect(rights)
    }

    fn start(directory: PathBuf, clock: &Clock) -> Result<Self, ConnectError> {
        let server = Server::open(Config::new(&directory, Init::IfNew), clock.clone().into())?;
        let control = server.control();
        let (said, heard) = mpsc::channel();
        let serve = move || {
            let ready = said.clone();
            let served = server.run(move |_| {
                // The one who started it hears it.
                let _ = ready.send(Ok(()));
            });
            match served {
                Ok(exit) => tracing::debug!(?exit, "the embedded granter stopped"),
                Err(error) => {
                    let reason: &dyn std::error::Error = &error;
                    tracing::error!(reason, "the embedded granter ended");
                    let _ = said.send(Err(error.to_string()));
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("tlease-granter".into())
            .spawn(serve)
            .map_err(ConnectError::System)?;
        match heard.recv() {
            Ok(Ok(())) => {
                let thread = Mutex::new(Some(thread));
                Ok(Self { directory, control, thread, process: std::process::id() })
            }
            Ok(Err(reason)) => Err(ConnectError::EmbeddedEnded { reason }),
            Err(_) => Err(ConnectError::EmbeddedEnded { reason: "its thread panicked".into() }),
        }
    }
}

impl Drop for Embedded {
    /// Stops it in good order, and waits until its directory is free: milliseconds.
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // In a forked child there is no such thread.
            return;
        }
        self.control.stop();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panic was printed when it happened.
            let _ = thread.join();
        }
        running().remove(&self.directory);
        STOPPED.notify_all();
    }
}

fn running() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<Embedded>>> {
    // A panic while it is held leaves it consistent: an entry is in it or not.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
