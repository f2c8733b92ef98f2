//! A proxy that can lose what passes through it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::Home;

/// Between a client and a granter's socket.
pub(crate) struct Proxy {
    path: PathBuf,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes vanish, in both directions, on connections up to this number.
    swallowed_up_to: AtomicUsize,
    /// Whether new connections are closed at once.
    refuses: AtomicBool,
    accepted: AtomicUsize,
    streams: Mutex<Vec<UnixStream>>,
}

impl Proxy {
    pub(crate) fn start(home: &Home) -> Self {
        let (path, upstream) = (home.path().join("proxy"), home.socket());
        let listener = UnixListener::bind(&path).unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                if shared.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = UnixStream::connect(&upstream) else { continue };
                shared.join(client, server);
            }
        });
        Self { path, state }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// How many connections came so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Breaks all connections; new ones are made if `refuse` is not set.
    pub(crate) fn cut(&self, refuse: bool) {
        self.state.refuses.store(refuse, Ordering::SeqCst);
        for stream in self.state.streams.lock().unwrap().drain(..) {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on all bytes vanish on the connections there are: half-open. New ones pass.
    pub(crate) fn swallow_present(&self) {
        self.state.swallowed_up_to.store(self.accepted(), Ordering::SeqCst);
    }
}

impl State {
    fn join(self: &Arc<Self>, client: UnixStream, server: UnixStream) {
        let number = self.accepted.load(Ordering::SeqCst);
        let mut streams = self.streams.lock().unwrap();
        streams.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        for (from, to) in [(client, server), back] {
            let state = Arc::clone(self);
            std::thread::spawn(move || state.copy(number, from, to));
        }
    }

    fn copy(&self, number: usize, mut from: UnixStream, mut to: UnixStream) {
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let swallowed = number <= self.swallowed_up_to.load(Ordering::SeqCst);
            if !swallowed && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
