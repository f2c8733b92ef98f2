//! How much of a term its holder can use, over loopback TCP: what is left by the holder's clock when
//! the grant has arrived, of the whole term. And how long after the holder's deadline a successor that
//! waits is offered the name: what the two hands' drift and the granter's timers cost.
//!
//! `cargo bench -p tlease --bench usable_share`. Medians: on a busy machine the worst ones tell of the
//! scheduler.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tlease::{Client, HostClock, Profile};
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Control, Listen, Server};

const TERM: Duration = Duration::from_secs(1);
const GRANTS: usize = 101;
const SUCCESSIONS: usize = 5;

#[tokio::main]
async fn main() {
    let granter = Granter::start();
    let first = Client::connect(&granter.address).await.unwrap();
    let second = Client::connect(&granter.address).await.unwrap();

    let mut shares = Vec::new();
    for _ in 0..GRANTS {
        let lease = first.acquire("share").term(TERM).renew_by_hand().await.unwrap();
        let left = lease.check().unwrap().remaining;
        shares.push(100.0 * left.as_secs_f64() / TERM.as_secs_f64());
        lease.release().await.unwrap();
    }
    let mut late = Vec::new();
    for _ in 0..SUCCESSIONS {
        let lease = first.acquire("succession").term(TERM).renew_by_hand().await.unwrap();
        let over = Instant::now() + lease.check().unwrap().remaining;
        lease.leak();
        let next = second.acquire("succession").term(TERM).await.unwrap();
        late.push(Instant::now().saturating_duration_since(over).as_secs_f64() * 1e3);
        next.release().await.unwrap();
    }
    granter.stop();

    let (share, late) = (median(shares), median(late));
    println!("usable share of a term of 1 s   {share:.3} %");
    println!("successor's lease after its end {late:.2} ms");
    let verdict = if share >= 99.8 { "met" } else { "not met" };
    println!("ratio: client usable_share_percent {share:.3} budget at least 99.8 {verdict}");
}

struct Granter {
    address: String,
    control: Control,
    thread: JoinHandle<()>,
    _home: tempfile::TempDir,
}

impl Granter {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = Config::new(home.path().join("data"), Init::IfNew)
            .listen(Listen::Tcp(([127, 0, 0, 1], 0).into()));
        let clock = HostClock::open(&Profile::host()).unwrap();
        let server = Server::open(config, clock.into()).unwrap();
        let control = server.control();
        let (said, ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            server.run(|ready| said.send(ready.addresses[0].to_string()).unwrap()).unwrap();
        });
        let address = ready.recv().unwrap();
        Self { address, control, thread, _home: home }
    }

    fn stop(self) {
        self.control.stop();
        self.thread.join().unwrap();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
