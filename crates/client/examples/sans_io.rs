//! A protocol of your own: the state machines without this library's sockets.
//!
//! A cluster that sends heartbeats anyway lets leases ride on them. Here both ends are in one thread
//! and the network is a queue; the clock, the grants and the renewals are real.

use std::collections::VecDeque;
use std::error::Error;

use tlease::protocol::granter::{self, Granter, Limits, Past, Start, TokenKey};
use tlease::protocol::holder::{self, Handle, Holder, Renewal, View};
use tlease::protocol::identity::{Peer, Rights, Secret, SessionId};
use tlease::protocol::message::{Acquire, FromGranter, ToGranter, Wait};
use tlease::protocol::time::Span;
use tlease::protocol::{Key, Mode};
use tlease::{HostClock, Profile};

/// What the cluster's nodes send each other: load reports, with room for a lease message.
enum Heartbeat {
    FromWorker { load: u8, lease: Option<ToGranter> },
    FromLeader { lease: Box<FromGranter> },
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new()?;
    let shard = Handle(1);
    cluster.leader_takes(granter::Input::Connected { peer: WORKER, rights: Rights::Holder });
    cluster.worker_takes(holder::Input::Connected);
    let acquire = Acquire {
        name: "shard/3".parse()?,
        mode: Mode::Exclusive,
        term: Span::from_secs(5),
        wait: Wait::Unbounded,
        value: None,
    };
    let renewal = Renewal::Automatic;
    cluster.worker_takes(holder::Input::Acquire { handle: shard, acquire, renewal });
    cluster.deliver();
    println!("{:?}", cluster.view(shard));
    cluster.worker_takes(holder::Input::Renew { handle: shard, term: None });
    cluster.deliver();
    println!("{:?}", cluster.view(shard));
    cluster.worker_takes(holder::Input::Release { handle: shard });
    cluster.deliver();
    println!("{:?}", cluster.view(shard));
    Ok(())
}

struct Cluster {
    clock: HostClock,
    leader: Granter,
    worker: Holder,
    network: VecDeque<Heartbeat>,
}

impl Cluster {
    fn new() -> Result<Self, Box<dyn Error>> {
        let clock = HostClock::open(&Profile::host())?;
        // A real one draws its keys and identities at random, and keeps the record on its disk.
        let past = Past::FirstStart { token_key: TokenKey([1; 16]) };
        let (limits, table_key) = (Limits::default(), Key([2; 16]));
        let start = Start { hand: clock.slow_hand(), limits, past, table_key };
        let leader = Granter::new(start, clock.slow_now());
        let (session, secret) = (SessionId([3; 16]), Secret([4; 16]));
        let worker = Holder::new(clock.fast_hand(), session, secret, clock.fast_now());
        let mut cluster = Self { clock, leader, worker, network: VecDeque::new() };
        let first = cluster.leader.outputs().collect();
        cluster.leader_does(first);
        Ok(cluster)
    }

    /// The granter's clock is read after the input came.
    fn leader_takes(&mut self, input: granter::Input) {
        let outputs = self.leader.handle(self.clock.slow_now(), input).collect();
        self.leader_does(outputs);
    }

    fn leader_does(&mut self, outputs: Vec<granter::Output>) {
        for output in outputs {
            match output {
                // Here the disk would be written, and waited for.
                granter::Output::Persist { id, .. } => {
                    self.leader_takes(granter::Input::Persisted(id));
                }
                granter::Output::Send { message, .. } => {
                    self.network.push_back(Heartbeat::FromLeader { lease: Box::new(message) });
                }
                // A real one sets a timer, and closes connections.
                granter::Output::WakeAt { .. }
                | granter::Output::Close { .. }
                | granter::Output::Reported { .. }
                | granter::Output::Stopped { .. } => {}
            }
        }
    }

    /// The holder's clock is read before anything that it puts out leaves.
    fn worker_takes(&mut self, input: holder::Input) {
        for output in self.worker.handle(self.clock.fast_now(), input) {
            match output {
                holder::Output::Send(message) => {
                    let lease = Some(message);
                    self.network.push_back(Heartbeat::FromWorker { load: 7, lease });
                }
                holder::Output::Changed { change, .. } => println!("worker: {change:?}"),
                // A real one opens and closes a `LeaseCell`, sets a timer, and reconnects.
                holder::Output::Hold { .. }
                | holder::Output::Suspend { .. }
                | holder::Output::Close { .. }
                | holder::Output::WakeAt { .. }
                | holder::Output::Reconnect
                | holder::Output::Opened(_)
                | holder::Output::NotOpened(_) => {}
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(heartbeat) = self.network.pop_front() {
            match heartbeat {
                Heartbeat::FromWorker { load, lease } => {
                    println!("leader: the worker's load is {load} %");
                    if let Some(message) = lease {
                        self.leader_takes(granter::Input::Received { peer: WORKER, message });
                    }
                }
                Heartbeat::FromLeader { lease } => {
                    self.worker_takes(holder::Input::Received(*lease));
                }
            }
        }
    }

    fn view(&self, handle: Handle) -> Option<View> {
        self.worker.view(handle, self.clock.fast_now())
    }
}

const WORKER: Peer = Peer(1);
