//! The host's part: clients of the enclave, and what machine this is.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

/// Sends back what comes, to the first who connects.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) address: String,
}

impl Echo {
    pub(super) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut message = [0; 64];
            loop {
                stream.read_exact(&mut message)?;
                stream.write_all(&message)?;
            }
        });
        Ok(Self { address })
    }
}

/// A client of the store: it is told its requests by whoever connects, sends some at once, waits for
/// their answers, and goes on.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: String,
}

impl Client {
    pub(super) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut lengths = [0; 24];
            stream.read_exact(&mut lengths)?;
            let length = |index: usize| {
                let bytes = lengths[index * 8..][..8].try_into().expect("eight bytes");
                usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
            };
            let mut requests = vec![0; length(0).min(REQUESTS_MAX)];
            stream.read_exact(&mut requests)?;
            let mut replies = vec![0; length(2).min(REQUESTS_MAX)];
            for batch in requests.chunks_exact(length(1).max(1)).cycle() {
                stream.write_all(batch)?;
                stream.read_exact(&mut replies)?;
            }
            Ok(())
        });
        Ok(Self { address })
    }
}

/// Bytes: more than an enclave says.
const REQUESTS_MAX: usize = 1 << 24;

/// This machine, in a line, and how busy it is.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpus.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("?", |(_, value)| value).to_owned()
    };
    let place = if std::path::Path::new("/dev/sgx_enclave").exists() {
        "on SGX; exits come as the kernel makes them, whatever rate is said below"
    } else {
        "emulated: NOTHING IS ISOLATED; the cost of real exits and of encrypted memory is not shown"
    };
    format!(
        "{} (family {}, model {}), {} processors, Linux {}; {place}\n{}",
        field("model name"),
        field("cpu family"),
        field("model\t\t"),
        thread::available_parallelism().map_or(1, usize::from),
        read("/proc/sys/kernel/osrelease").trim(),
        load()
    )
}

/// How many threads want to run, in the last one, five, and fifteen minutes.
pub(super) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
