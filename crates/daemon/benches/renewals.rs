//! The price of a served renewal: CPU time of the server's thread for each, beside that of a bare
//! loop that echoes the same bytes over the same sockets, and of a Redis that checks and extends a key
//! (Debian's `redis-server`, if it is installed), in one run.
//!
//! `cargo bench -p tlease-daemon`. Throughput is that of the pair of server and clients on this
//! machine's cores; the server's CPU per operation is the figure to compare.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark: what fails, ends it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use tlease_clock::{HostClock, Profile};
use tlease_core::fence::Mode;
use tlease_core::identity::{RequestId, Secret, SessionId};
use tlease_core::message::{Acquire, FromGranter, Op, Reply, Request, ToGranter, Wait};
use tlease_core::name::Name;
use tlease_core::time::Span;
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Listen, Server};
use tlease_wire::{Address, FrameDecoder, ToGranterFrames, read_from_granter};

fn main() {
    let seconds = std::env::var("TLEASE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let each = Duration::from_secs(seconds.unwrap_or(3));
    let redis = Redis::start();
    println!("server CPU per renewal, {CONNECTIONS} connections, {each:?} each");
    println!(
        "{:>10} {:>14} {:>12} {:>7} {:>12} {:>7} {:>12}",
        "in flight", "granter us/op", "bare us/op", "ratio", "redis us/op", "ratio", "granter op/s"
    );
    let mut verdicts = Vec::new();
    for (in_flight, budget) in [(1, 1.7), (16, 3.0)] {
        let granter = measure(&Granter::start(), in_flight, each);
        let bare = measure(&Echo::start(), in_flight, each);
        let redis = redis.as_ref().map(|redis| measure(redis, in_flight, each).cpu_us);
        let peer = redis.unwrap_or(f64::NAN);
        println!(
            "{in_flight:>10} {:>14.2} {:>12.2} {:>7.2} {peer:>12.2} {:>7.2} {:>12.0}",
            granter.cpu_us,
            bare.cpu_us,
            granter.cpu_us / bare.cpu_us,
            peer / granter.cpu_us,
            granter.per_second
        );
        verdicts.push(verdict(in_flight, peer / granter.cpu_us, budget));
    }
    verdicts.iter().for_each(|line| println!("{line}"));
}

/// The line that `cargo xtask bench` collects.
fn verdict(in_flight: usize, times: f64, budget: f64) -> String {
    let name = format!("redis_over_granter_cpu_{in_flight}");
    let met = match times {
        times if times.is_nan() => "not measured: redis-server is not installed",
        times if times >= budget => "met",
        _ => "not met",
    };
    format!("ratio: daemon {name} {times:.2} budget at least {budget} {met}")
}

const CONNECTIONS: u8 = 50;

struct Measured {
    cpu_us: f64,
    per_second: f64,
}

/// Something that answers each renewal with bytes, in a thread of its own.
trait Served: Sync {
    /// The thread, as `/proc` names it.
    fn thread(&self) -> &str;
    /// A client's connection and the bytes of one batch of so many renewals.
    fn connect(&self, number: u8, in_flight: usize) -> Client;
}

/// One client's connection: sends a batch, and knows when it is answered.
struct Client {
    stream: TcpStream,
    batch: Box<dyn FnMut() -> Vec<u8> + Send>,
    answered: Box<Answered>,
}

/// Takes what came; how many renewals that answers.
type Answered = dyn FnMut(&[u8]) -> usize + Send;

fn measure(served: &impl Served, in_flight: usize, each: Duration) -> Measured {
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let ready = Barrier::new(usize::from(CONNECTIONS) + 1);
    thread::scope(|scope| {
        for number in 1..=CONNECTIONS {
            let (over, done, ready) = (&over, &done, &ready);
            scope.spawn(move || {
                let client = served.connect(number, in_flight);
                ready.wait();
                drive(client, in_flight, over, done);
            });
        }
        ready.wait();
        let (began, cpu, ops) = (Instant::now(), cpu_ns(served), done.load(Ordering::Relaxed));
        thread::sleep(each);
        let cpu = cpu_ns(served) - cpu;
        let ops = done.load(Ordering::Relaxed) - ops;
        let elapsed = began.elapsed();
        over.store(true, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        Measured {
            cpu_us: cpu as f64 / 1000.0 / ops as f64,
            per_second: ops as f64 / elapsed.as_secs_f64(),
        }
    })
}

fn drive(mut client: Client, in_flight: usize, over: &AtomicBool, done: &AtomicU64) {
    let mut bytes = vec![0; 65536];
    while !over.load(Ordering::Relaxed) {
        client.stream.write_all(&(client.batch)()).unwrap();
        let mut left = in_flight;
        while left > 0 {
            let count = client.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the server has closed");
            left -= (client.answered)(&bytes[..count]);
        }
        done.fetch_add(in_flight.try_into().unwrap(), Ordering::Relaxed);
    }
}

/// CPU time of the server's thread so far.
fn cpu_ns(served: &impl Served) -> u64 {
    let path = format!("/proc/{}/schedstat", served.thread());
    let text = fs::read_to_string(path).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn this_thread() -> String {
    fs::read_link("/proc/thread-self").unwrap().to_str().unwrap().into()
}

struct Granter {
    port: u16,
    thread: String,
    _home: tempfile::TempDir,
}

impl Granter {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = Config::new(home.path().join("data"), Init::New)
            .listen(Listen::Tcp(([127, 0, 0, 1], 0).into()));
        let clock = HostClock::open(&Profile::host()).unwrap().into();
        let server = Server::open(config, clock).unwrap();
        let (said, ready) = mpsc::channel();
        // It runs until the process ends.
        thread::spawn(move || {
            server.run(|ready| said.send((ready.addresses[0].clone(), this_thread())).unwrap())
        });
        let (address, thread) = ready.recv().unwrap();
        let Address::Tcp { port, .. } = address else { unreachable!("it listens on TCP alone") };
        Self { port, thread, _home: home }
    }
}

impl Served for Granter {
    fn thread(&self) -> &str {
        &self.thread
    }

    fn connect(&self, number: u8, in_flight: usize) -> Client {
        let mut stream = connect(self.port);
        let mut frames = ToGranterFrames::with_hello();
        let mut decoder = FrameDecoder::default();
        let (session, secret) = (SessionId([number; 16]), Secret([number; 16]));
        frames.push(&ToGranter::Open { session, secret }).unwrap();
        let FromGranter::Opened(opened) = call(&mut stream, &mut frames, &mut decoder) else {
            panic!("not opened")
        };
        let name: Name = format!("jobs/{number}").parse().unwrap();
        let mut next = 0;
        let mut request = move |op| {
            next += 1;
            ToGranter::Request(Request { epoch: opened.epoch, id: RequestId(next), op })
        };
        let acquire = Acquire {
            name: name.clone(),
            mode: Mode::Exclusive,
            term: Span::from_secs(600),
            wait: Wait::Try,
            value: None,
        };
        frames.push(&request(Op::Acquire(acquire))).unwrap();
        let FromGranter::Reply { reply: Reply::Granted(grant), .. } =
            call(&mut stream, &mut frames, &mut decoder)
        else {
            panic!("not granted")
        };
        let batch = move || {
            let mut frames = ToGranterFrames::default();
            for _ in 0..in_flight {
                let renew = Op::Renew { name: name.clone(), fence: grant.fence, term: None };
                frames.push(&request(renew)).unwrap();
                // A frame each, as from callers that do not know of one another.
                frames.unsent();
            }
            frames.unsent().to_vec()
        };
        let mut messages = Vec::new();
        let answered = move |bytes: &[u8]| {
            decoder.push(bytes);
            messages.clear();
            while let Some(frame) = decoder.next_frame().unwrap() {
                read_from_granter(frame, &mut messages).unwrap();
            }
            let renewed = |message: &FromGranter| {
                matches!(message, FromGranter::Reply { reply: Reply::Renewed(_), .. })
            };
            assert!(messages.iter().all(renewed), "{messages:?}");
            messages.len()
        };
        Client { stream, batch: Box::new(batch), answered: Box::new(answered) }
    }
}

/// Sends what is unsent and waits for one message.
fn call(
    stream: &mut TcpStream,
    frames: &mut ToGranterFrames,
    decoder: &mut FrameDecoder,
) -> FromGranter {
    let bytes = frames.unsent().to_vec();
    frames.sent(bytes.len());
    stream.write_all(&bytes).unwrap();
    let mut messages = Vec::new();
    let mut bytes = [0; 4096];
    while messages.is_empty() {
        let count = stream.read(&mut bytes).unwrap();
        decoder.push(&bytes[..count]);
        while let Some(frame) = decoder.next_frame().unwrap() {
            read_from_granter(frame, &mut messages).unwrap();
        }
    }
    messages.remove(0)
}

/// A loop of epoll, read and write that gives back what it gets: the system calls of a server that
/// does nothing.
struct Echo {
    port: u16,
    thread: String,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (said, ready) = mpsc::channel();
        thread::spawn(move || {
            said.send(this_thread()).unwrap();
            echo(&listener);
        });
        Self { port, thread: ready.recv().unwrap() }
    }
}

fn echo(listener: &TcpListener) {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut streams: Vec<TcpStream> = Vec::new();
    for number in 0..u64::from(CONNECTIONS) {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        epoll::add(&poll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)
            .unwrap();
        streams.push(stream);
    }
    let mut bytes = vec![0; 65536];
    loop {
        let mut events = [const { MaybeUninit::uninit() }; 256];
        let (events, _) = epoll::wait(&poll, &mut events, None).unwrap();
        for event in events {
            let stream = &mut streams[usize::try_from(event.data.u64()).unwrap()];
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => epoll::delete(&poll, &*stream).unwrap(),
                Ok(count) => stream.write_all(&bytes[..count]).unwrap(),
            }
        }
    }
}

impl Served for Echo {
    fn thread(&self) -> &str {
        &self.thread
    }

    fn connect(&self, number: u8, in_flight: usize) -> Client {
        let stream = connect(self.port);
        // As long as a renewal.
        let one = [number; RENEWAL];
        let batch = one.repeat(in_flight);
        let mut over = 0;
        let answered = move |bytes: &[u8]| {
            let count = over + bytes.len();
            over = count % RENEWAL;
            count / RENEWAL
        };
        Client { stream, batch: Box::new(move || batch.clone()), answered: Box::new(answered) }
    }
}

/// What most people use: a Redis that checks whose the key is and extends it, by a script, without
/// persistence, replication or a fence.
struct Redis {
    server: Child,
    port: u16,
    thread: String,
}

impl Redis {
    /// `None` if it is not installed.
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::yield_now();
        }
        // Its main thread does all the work.
        let thread = server.id().to_string();
        Some(Self { server, port, thread })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Served for Redis {
    fn thread(&self) -> &str {
        &self.thread
    }

    fn connect(&self, number: u8, in_flight: usize) -> Client {
        let mut stream = connect(self.port);
        let (key, owner) = (format!("jobs/{number}"), format!("owner-{number}"));
        let set = words(&["SET", &key, &owner, "PX", "600000"]);
        assert_eq!(redis_line(&mut stream, &set), "+OK");
        let load = words(&["SCRIPT", "LOAD", EXTEND]);
        assert_eq!(redis_line(&mut stream, &load), "$40");
        let mut digest = [0; 42];
        stream.read_exact(&mut digest).unwrap();
        let digest = std::str::from_utf8(&digest[..40]).unwrap();
        let batch = words(&["EVALSHA", digest, "1", &key, &owner, "600000"]).repeat(in_flight);
        let mut over = 0;
        let answered = move |bytes: &[u8]| {
            assert!(bytes.iter().all(|byte| b":1\r\n".contains(byte)), "it was not extended");
            let count = over + bytes.len();
            over = count % EXTENDED;
            count / EXTENDED
        };
        Client { stream, batch: Box::new(move || batch.clone()), answered: Box::new(answered) }
    }
}

const EXTEND: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then \
                      return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";
/// The bytes of `:1` and the end of the line.
const EXTENDED: usize = 4;

/// A command as Redis reads it.
fn words(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

/// Sends a command, and reads the first line of its answer.
fn redis_line(stream: &mut TcpStream, command: &[u8]) -> String {
    stream.write_all(command).unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.extend(byte);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// The bytes of a renewal as above, with its frame's length.
const RENEWAL: usize = 30;

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
