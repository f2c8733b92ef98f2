//! What a lease costs an application: the store answers the same requests without one, under one by a
//! counter that nobody vouches for, and under one by timekeepers.

use super::clock::{FENCE, Keeper, Kept};
use super::{counter, micros};
use crate::slices::Slices;
use crate::store::{REPLY, REQUEST, Store, requests};
use core::arch::x86_64::_rdtsc;
use core::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use tlease_clock::Check;
use tlease_clock::enclave::{MachineProfile, Timed};
use tlease_clock::stay::Thread;

/// Under what the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    None,
    /// Its deadline is compared with the counter before each answer.
    ByCounter,
    /// It is checked in a stay, before so many answers.
    ByTimekeepers(usize),
}

/// One slice of each in every round: the lease, whether a timekeeper runs meanwhile, and a name.
const CASES: [(Lease, bool, &str); 5] = [
    (Lease::None, false, "no lease"),
    (Lease::ByCounter, false, "lease by the bare counter, a look for each answer"),
    (Lease::None, true, "no lease, beside a timekeeper"),
    (Lease::ByTimekeepers(1), true, "lease by a timekeeper, a check for each answer"),
    (
        Lease::ByTimekeepers(IN_FLIGHT),
        true,
        "lease by a timekeeper, a check for sixteen that leave together",
    ),
];
/// Their order in even rounds, and in odd ones: so few starts of the timekeeper, and none always first.
const ORDER: [[usize; CASES.len()]; 2] = [[0, 1, 2, 3, 4], [1, 0, 4, 3, 2]];

/// From where the requests come, and where the answers go.
trait Clients {
    /// A slice begins.
    fn begin_slice(&mut self);
    /// The next requests of this slice; `false` if there are none. This may leave the enclave.
    fn next(&mut self) -> bool;
    /// The requests.
    fn requests(&self) -> &[u8];
    /// Takes the answers.
    fn answer(&mut self, replies: &[u8]);
}

/// Requests that are in memory already, as of an enclave that shares queues with its host and never
/// leaves.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    batch: usize,
}

impl Clients for Memory {
    fn begin_slice(&mut self) {
        self.batch = 0;
    }

    fn next(&mut self) -> bool {
        self.batch += 1;
        self.batch <= BATCHES_MEMORY
    }

    fn requests(&self) -> &[u8] {
        &self.bytes
    }

    fn answer(&mut self, replies: &[u8]) {
        black_box(replies);
    }
}

/// Requests of a client on a socket of the host, so many in flight.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    bytes: [u8; IN_FLIGHT * REQUEST],
    batch: usize,
}

impl Clients for Socket {
    fn begin_slice(&mut self) {
        self.batch = 0;
    }

    fn next(&mut self) -> bool {
        self.batch += 1;
        if self.batch > BATCHES_SOCKET {
            return false;
        }
        self.stream.read_exact(&mut self.bytes).expect("the client lives");
        true
    }

    fn requests(&self) -> &[u8] {
        &self.bytes
    }

    fn answer(&mut self, replies: &[u8]) {
        self.stream.write_all(replies).expect("the client lives");
    }
}

/// Answers requests that lie in memory.
pub(super) fn from_memory(machine: &MachineProfile, rounds: u64) {
    let mut clients = Memory { bytes: requests(REQUESTS_MEMORY, KEYS), batch: 0 };
    run(machine, rounds, &mut clients);
}

/// Answers a client at this address, who sends [`IN_FLIGHT`] requests, waits for their answers, and goes
/// on.
pub(super) fn over_a_socket(machine: &MachineProfile, rounds: u64, client: &str) {
    let mut stream = TcpStream::connect(client).expect("the client of the benchmark");
    stream.set_nodelay(true).expect("a socket");
    // What it shall send, how much at once, and how much comes back.
    let bytes = requests(REQUESTS_MEMORY, KEYS);
    for length in [bytes.len(), IN_FLIGHT * REQUEST, IN_FLIGHT * REPLY] {
        stream.write_all(&(length as u64).to_le_bytes()).expect("the client lives");
    }
    stream.write_all(&bytes).expect("the client lives");
    let mut clients = Socket { stream, bytes: [0; IN_FLIGHT * REQUEST], batch: 0 };
    run(machine, rounds, &mut clients);
}

fn run(machine: &MachineProfile, rounds: u64, clients: &mut impl Clients) {
    let mut thread = Thread::claim().unwrap_or_else(|none| panic!("{none}"));
    let keeper = Keeper::start();
    let mut store = Store::with(KEYS);
    let mut found: [Slices; CASES.len()] = Default::default();
    let mut tally = Tally::default();
    for round in 0..rounds {
        let mut kept = None;
        for case in ORDER[usize::from(round % 2 == 1)] {
            let (lease, beside, _) = CASES[case];
            if !beside {
                kept = None;
            } else if kept.is_none() {
                kept = Some(keeper.keep(machine, &mut thread));
            }
            clients.begin_slice();
            let begin = counter();
            let answered = match (&mut kept, lease) {
                (Some(kept), Lease::ByTimekeepers(every)) => {
                    timed(&mut store, clients, (kept, every), &mut thread, &mut tally)
                }
                (_, Lease::ByCounter) => {
                    let until = black_box(begin + (1 << 40));
                    untimed(&mut store, clients, || ticks() < until)
                }
                (_, Lease::None | Lease::ByTimekeepers(_)) => untimed(&mut store, clients, || true),
            };
            found[case].add(counter().saturating_sub(begin), answered, true);
        }
    }
    for ((_, _, name), slices) in CASES.iter().zip(&found) {
        let (Some(ticks), Some([low, ratio, high])) = (slices.median(), slices.ratio(&found[0]))
        else {
            println!("serve {name}: too busy here");
            continue;
        };
        let nanos = micros(machine, ticks) * 1e3;
        println!("serve {name}: {nanos:.1} ns, {ratio:.4} ({low:.4} to {high:.4}) of no lease");
    }
    println!("{tally:?}");
}

/// What happened under the lease by timekeepers.
#[derive(Debug, Default)]
struct Tally {
    answers: u64,
    handshakes: u64,
    unanswered: u64,
    renewals: u64,
}

/// Answers all requests of a slice for as long as `may` says so; how many.
fn untimed(store: &mut Store, clients: &mut impl Clients, may: impl Fn() -> bool) -> u64 {
    let mut replies = Vec::with_capacity(REQUESTS_MEMORY as usize * REPLY);
    let mut answered = 0;
    while clients.next() {
        replies.clear();
        for request in clients.requests().chunks_exact(REQUEST) {
            if !may() {
                break;
            }
            store.answer(request, &mut replies).expect("a request");
            answered += 1;
        }
        clients.answer(&replies);
    }
    answered
}

/// The same with a check in a stay before every so many answers. What interrupts the stay costs a handshake, and a
/// new segment a renewal, whose round trip is no part of this.
fn timed(
    store: &mut Store,
    clients: &mut impl Clients,
    (kept, every): (&mut Kept<'_>, usize),
    thread: &mut Thread,
    tally: &mut Tally,
) -> u64 {
    let mut replies = Vec::with_capacity(REQUESTS_MEMORY as usize * REPLY);
    let mut answered = 0;
    while clients.next() {
        replies.clear();
        let mut left = clients.requests();
        while !left.is_empty() {
            let Ok(stay) = kept.clock.time(thread.stay()) else {
                tally.unanswered += 1;
                thread.leave(std::thread::yield_now);
                continue;
            };
            tally.handshakes += 1;
            while !left.is_empty() && is_valid(kept, &stay) {
                let (together, rest) = left.split_at(left.len().min(every * REQUEST));
                for request in together.chunks_exact(REQUEST) {
                    store.answer(request, &mut replies).expect("a request");
                    answered += 1;
                }
                left = rest;
            }
            drop(stay);
            if !left.is_empty() {
                tally.renewals += u64::from(kept.hold_anew());
            }
        }
        clients.answer(&replies);
    }
    tally.answers += answered;
    answered
}

fn is_valid(kept: &Kept<'_>, stay: &Timed<'_>) -> bool {
    matches!(kept.cell.check_in(stay, FENCE), Check::Valid { .. })
}

/// As an application reads it that trusts it.
fn ticks() -> u64 {
    // WHY: there is no safe form.
    // SAFETY: RDTSC is part of enclaves since SGX2.
    unsafe { _rdtsc() }
}

const KEYS: u64 = 8_000;
const REQUESTS_MEMORY: u64 = 2_000;
/// Some milliseconds a slice: an exit comes in each.
const BATCHES_MEMORY: usize = 10;
/// How many requests the client of the benchmark sends at once.
const IN_FLIGHT: usize = 16;
const BATCHES_SOCKET: usize = 20;
