//! A granter in a process of its own, which can be frozen and killed.
//!
//! The test program starts itself again, with the one "test" that serves.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tlease::Client;
use tlease::protocol::granter::Limits;

use super::{Granter, Home, config, until};

/// Where the granter's home is, in the environment of the process that serves.
const HOME: &str = "TLEASE_TEST_GRANTER_HOME";

/// Serves if this process was started to, until it is killed. Each test file that starts granters
/// calls it from a test named `serve`.
pub(crate) fn serve() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let granter = Granter::start(config(Path::new(&home), Limits::default()));
    // Ends with the test: its standard input is a pipe that nobody writes to.
    let mut end = String::new();
    std::io::Read::read_to_string(&mut std::io::stdin(), &mut end).unwrap();
    granter.stop();
}

/// A granter in another process; killed when dropped.
pub(crate) struct GranterProcess(Child);

impl GranterProcess {
    /// Starts one and waits until it serves.
    pub(crate) async fn start(home: &Home) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", "serve", "--nocapture"])
            .env(HOME, home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self(child);
        let address = home.address();
        until("the granter serves", async || Client::connect(&address).await.is_ok()).await;
        this
    }

    /// Stops it; when this returns, none of its threads runs.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// As `kill -9`: nothing is said, nothing is written.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for GranterProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
