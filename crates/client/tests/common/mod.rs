//! Granters in this process and in others, and a proxy between.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

pub(crate) mod process;
pub(crate) mod proxy;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use tlease::protocol::granter::{Exit, Limits};
use tlease::protocol::identity::Rights;
use tlease::{Client, HostClock, Profile};
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Control, Listen, Metrics, RunError, Server, SlowClock};

/// A directory for a granter's record and sockets.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("socket")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub(crate) fn operator(&self) -> String {
        format!("unix:{}", self.path().join("operator").display())
    }

    pub(crate) fn embedded(&self) -> String {
        format!("embedded:{}", self.path().join("data").display())
    }

    pub(crate) fn start(&self) -> Granter {
        self.start_with(Limits::default())
    }

    pub(crate) fn start_with(&self, limits: Limits) -> Granter {
        Granter::start(config(self.path(), limits))
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await.unwrap()
    }
}

/// On Unix sockets for holders and for operators.
pub(crate) fn config(home: &Path, limits: Limits) -> Config {
    let unix = |name, rights| Listen::Unix { path: home.join(name), rights };
    let mut config = Config::new(home.join("data"), Init::IfNew)
        .listen(unix("socket", Rights::Holder))
        .listen(unix("operator", Rights::Operator));
    config.limits = limits;
    config
}

/// A granter that runs in a thread of this process.
pub(crate) struct Granter {
    pub(crate) control: Control,
    pub(crate) metrics: Metrics,
    thread: JoinHandle<Result<Exit, RunError>>,
}

impl Granter {
    pub(crate) fn start(config: Config) -> Self {
        let clock = HostClock::open(&Profile::host()).unwrap();
        Self::start_at(config, clock.into())
    }

    /// A granter that reads this clock.
    pub(crate) fn start_at(config: Config, clock: SlowClock) -> Self {
        let server = Server::open(config, clock).unwrap();
        let (control, metrics) = (server.control(), server.metrics());
        let (said, ready) = mpsc::channel();
        let thread = std::thread::spawn(move || server.run(|_| said.send(()).unwrap()));
        match ready.recv() {
            Ok(()) => Self { control, metrics, thread },
            Err(_) => panic!("{:?}", thread.join().unwrap()),
        }
    }

    pub(crate) fn stop(self) -> Exit {
        self.control.stop();
        self.thread.join().unwrap().unwrap()
    }
}

/// Waits for something that must come; fails after a long while.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("not in {PATIENCE:?}: {what}"),
    }
}

/// Asks `condition` again and again until it holds; fails after a long while.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let polled = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    soon(what, polled).await;
}

/// Far beyond what a loaded machine takes: only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough for no loaded machine to miss a renewal, short enough to wait for its end.
pub(crate) const TERM: Duration = Duration::from_secs(3);
