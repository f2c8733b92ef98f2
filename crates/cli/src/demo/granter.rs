//! The demonstration's own granter: a thread of this process, with a record that vanishes.

use crate::exit::{Chain, Exit, Failure};
use std::thread::{self, JoinHandle};
use tempfile::TempDir;
use tlease_clock::{HostClock, Profile};
use tlease_core::identity::Rights;
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Control, Listen, Server, SlowClock};

/// A granter that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Granter {
    pub(super) address: String,
    control: Control,
    thread: Option<JoinHandle<()>>,
    _home: TempDir,
}

impl Granter {
    pub(super) fn start() -> Result<Self, Failure> {
        let home = tempfile::Builder::new()
            .prefix("tlease-demo-")
            .tempdir()
            .map_err(|why| Failure::broken("no directory for the demonstration's granter", &why))?;
        let socket = home.path().join("socket");
        let listen = Listen::Unix { path: socket.clone(), rights: Rights::Holder };
        let config = Config::new(home.path().join("granter"), Init::New).listen(listen);
        let clock = HostClock::open(&Profile::host())
            .map_err(|why| Failure::broken("the clocks of this machine cannot be read", &why))?;
        let server = Server::open(config, SlowClock::from(clock))
            .map_err(|why| Failure::new(Exit::Unstartable, Chain(&why).to_string()))?;
        let control = server.control();
        let serve = move || {
            if let Err(why) = server.run(|_| ()) {
                tracing::error!("the demonstration's granter failed: {}", Chain(&why));
            }
        };
        let thread = thread::Builder::new()
            .name("granter".into())
            .spawn(serve)
            .map_err(|why| Failure::broken("no thread for the granter", &why))?;
        let address = format!("unix:{}", socket.display());
        Ok(Self { address, control, thread: Some(thread), _home: home })
    }
}

impl Drop for Granter {
    fn drop(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            // It has said what it died of.
            let _ = thread.join();
        }
    }
}
