//! A granter in a thread, and a client that speaks the wire by hand.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use tlease_clock::{HostClock, Profile};
use tlease_core::fence::{Fence, Mode};
use tlease_core::granter::Exit;
use tlease_core::identity::{AskId, Epoch, RequestId, Rights, Secret, SessionId};
use tlease_core::message::{
    Acquire, Answer, Ask, FromGranter, Grant, Op, Opened, Reply, Request, ToGranter, Wait,
};
use tlease_core::name::Name;
use tlease_core::time::Span;
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Control, Listen, Metrics, Ready, RunError, Server, SlowClock};
use tlease_wire::{Address, FrameDecoder, Goodbye, ToGranterFrames, read_from_granter};

pub(crate) fn clock() -> SlowClock {
    HostClock::open(&Profile::host()).unwrap().into()
}

/// A directory that a granter can be started in, once and again.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("socket")
    }

    /// On TCP and on Unix sockets for holders and for operators.
    pub(crate) fn config(&self) -> Config {
        let unix = |name, rights| Listen::Unix { path: self.path().join(name), rights };
        Config::new(self.data(), Init::IfNew)
            .listen(Listen::Tcp(([127, 0, 0, 1], 0).into()))
            .listen(unix("socket", Rights::Holder))
            .listen(unix("operator", Rights::Operator))
    }

    pub(crate) fn start(&self) -> Running {
        Running::start(self.config())
    }
}

/// A granter that runs in a thread of this process.
pub(crate) struct Running {
    pub(crate) ready: Ready,
    pub(crate) control: Control,
    pub(crate) metrics: Metrics,
    thread: JoinHandle<Result<Exit, RunError>>,
}

impl Running {
    pub(crate) fn start(config: Config) -> Self {
        Self::start_with(config, clock())
    }

    pub(crate) fn start_with(config: Config, clock: SlowClock) -> Self {
        let server = Server::open(config, clock).unwrap();
        let (control, metrics) = (server.control(), server.metrics());
        let (said, ready) = mpsc::channel();
        let thread =
            std::thread::spawn(move || server.run(|ready| said.send(ready.clone()).unwrap()));
        match ready.recv() {
            Ok(ready) => Self { ready, control, metrics, thread },
            Err(_) => panic!("{:?}", thread.join().unwrap()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.ready
            .addresses
            .iter()
            .find_map(|address| match address {
                Address::Tcp { port, .. } => Some(*port),
                Address::Unix(_) | Address::Embedded(_) => None,
            })
            .unwrap()
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port())).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::over(self.tcp())
    }

    /// A client with the session of this number open.
    pub(crate) fn session(&self, number: u8) -> Client {
        let mut client = self.client();
        client.open(number);
        client
    }

    pub(crate) fn stop(self) -> Exit {
        self.control.stop();
        self.wait()
    }

    /// Until it stops by itself.
    pub(crate) fn wait(self) -> Exit {
        self.thread.join().unwrap().unwrap()
    }
}

trait Socket: Read + Write {}
impl<S: Read + Write> Socket for S {}

/// A client that says what it is told to, and keeps what it hears.
pub(crate) struct Client {
    socket: Box<dyn Socket>,
    frames: ToGranterFrames,
    decoder: FrameDecoder,
    heard: VecDeque<FromGranter>,
    goodbye: Option<Goodbye>,
    pub(crate) epoch: Option<Epoch>,
    last_id: u64,
}

impl Client {
    pub(crate) fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::of(Box::new(socket))
    }

    /// A client that says no hello.
    pub(crate) fn silent(socket: TcpStream) -> Self {
        Self { frames: ToGranterFrames::default(), ..Self::over(socket) }
    }

    pub(crate) fn at(path: &Path) -> Self {
        Self::over_unix(UnixStream::connect(path).unwrap())
    }

    pub(crate) fn over_unix(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::of(Box::new(socket))
    }

    fn of(socket: Box<dyn Socket>) -> Self {
        Self {
            socket,
            frames: ToGranterFrames::with_hello(),
            decoder: FrameDecoder::default(),
            heard: VecDeque::new(),
            goodbye: None,
            epoch: None,
            last_id: 0,
        }
    }

    pub(crate) fn open(&mut self, number: u8) -> Opened {
        self.open_from(number, 0)
    }

    /// Opens a session that has used request ids up to `last_id` already.
    pub(crate) fn open_from(&mut self, number: u8, last_id: u64) -> Opened {
        self.try_open(number, last_id).unwrap_or_else(|goodbye| panic!("goodbye: {goodbye:?}"))
    }

    pub(crate) fn try_open(&mut self, number: u8, last_id: u64) -> Result<Opened, Option<Goodbye>> {
        let (session, secret) = (SessionId([number; 16]), Secret([number; 16]));
        self.last_id = last_id;
        self.push(&ToGranter::Open { session, secret });
        match self.next()? {
            FromGranter::Opened(opened) => {
                self.epoch = Some(opened.epoch);
                Ok(opened)
            }
            other => panic!("{other:?} instead of an open session"),
        }
    }

    /// The id of its last request: the next connection of its session goes on from there.
    pub(crate) const fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(crate) fn push(&mut self, message: &ToGranter) {
        self.frames.push(message).unwrap();
    }

    /// Queues a request; its id.
    pub(crate) fn ask_for(&mut self, op: Op) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        let epoch = self.epoch.unwrap();
        self.push(&ToGranter::Request(Request { epoch, id, op }));
        id
    }

    /// Sends a request and waits for its first reply.
    pub(crate) fn call(&mut self, op: Op) -> Reply {
        let id = self.ask_for(op);
        self.reply_to(id)
    }

    pub(crate) fn reply_to(&mut self, wanted: RequestId) -> Reply {
        self.try_reply_to(wanted).unwrap_or_else(|goodbye| panic!("goodbye: {goodbye:?}"))
    }

    /// As `call`, for a granter that may be killed.
    pub(crate) fn try_call(&mut self, op: Op) -> Result<Reply, Option<Goodbye>> {
        let id = self.ask_for(op);
        self.try_reply_to(id)
    }

    fn try_reply_to(&mut self, wanted: RequestId) -> Result<Reply, Option<Goodbye>> {
        loop {
            match self.next()? {
                FromGranter::Reply { id, reply, .. } if id == wanted => return Ok(reply),
                _ => {}
            }
        }
    }

    pub(crate) fn answer(&mut self, ask: Ask) -> Answer {
        self.push(&ToGranter::Ask { id: AskId(1), ask });
        loop {
            if let FromGranter::Answer { id: AskId(1), answer } = self.hear() {
                return *answer;
            }
        }
    }

    /// Takes a name that must be free.
    pub(crate) fn take(&mut self, name: &str, term: Span) -> Grant {
        match self.call(acquire(name, term)) {
            Reply::Granted(grant) => grant,
            other => panic!("{other:?} instead of a grant"),
        }
    }

    pub(crate) fn renew(&mut self, name: &str, fence: Fence) -> Reply {
        self.call(Op::Renew { name: name.parse().unwrap(), fence, term: None })
    }

    /// The next message; panics if the granter says goodbye instead.
    pub(crate) fn hear(&mut self) -> FromGranter {
        self.next().unwrap_or_else(|goodbye| panic!("goodbye: {goodbye:?}"))
    }

    /// What the granter says in the end.
    pub(crate) fn hear_goodbye(&mut self) -> Goodbye {
        loop {
            match self.next() {
                Ok(_) => {}
                Err(goodbye) => return goodbye.expect("a goodbye before the end"),
            }
        }
    }

    /// The next message, or the end, with or without a goodbye.
    pub(crate) fn next(&mut self) -> Result<FromGranter, Option<Goodbye>> {
        self.flush();
        let mut bytes = [0; 65536];
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(message);
            }
            if self.goodbye.is_some() {
                return Err(self.goodbye.take());
            }
            let count = match self.socket.read(&mut bytes) {
                Ok(0) => return Err(None),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Err(None);
                }
                Err(error) => panic!("{error}"),
            };
            self.decoder.push(&bytes[..count]);
            let mut messages = Vec::new();
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                self.goodbye = read_from_granter(frame, &mut messages).unwrap();
            }
            self.heard.extend(messages);
        }
    }

    pub(crate) fn flush(&mut self) {
        let bytes = self.frames.unsent().to_vec();
        self.frames.sent(bytes.len());
        self.send_raw(&bytes);
    }

    /// Sends bytes that may be of no protocol; an error means that the other side is gone.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn acquire(name: &str, term: Span) -> Op {
    acquire_and_wait(name, term, Wait::Try)
}

pub(crate) fn acquire_and_wait(name: &str, term: Span, wait: Wait) -> Op {
    let name = name.parse().unwrap();
    Op::Acquire(Acquire { name, mode: Mode::Exclusive, term, wait, value: None })
}

/// Asks `condition` again and again until it holds; fails after a long while.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !condition() {
        assert!(now() < deadline, "not in {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's patience, on which nothing depends")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Far beyond what a loaded machine takes: only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SECOND: Span = Span::from_secs(1);
