//! The granter: gives names to enclaves of its own kind, over attested sessions.
//!
//! One thread owns the state machine and takes what the others bring, in its order. It reads the slow
//! hand after it took a message in, so after its last byte was read (I3).
//!
//! Nothing outlives it: what an enclave writes to the host's disk the host can take back. So each life
//! begins as if an earlier one had given every name for the longest term a moment ago, and waits that
//! out (I11). That no second granter of the same image runs at once is the operator's to see to (A4),
//! and fences of two lives do not compare.

use super::clock::{keepers, pause};
use super::end;
use super::page::Page;
use super::peer::{Attested, random};
use crate::config::Config;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use tlease_attest::{Reader, Writer, accept};
use tlease_clock::enclave::Keepers;
use tlease_core::Key;
use tlease_core::granter::{
    Granter, Input, Leftovers, Limits, Output, Past, PersistId, Record, Start, TokenKey,
};
use tlease_core::identity::{Incarnation, Peer, Rights};
use tlease_core::message::{FromGranter, Reply, ToGranter};
use tlease_wire::{FrameDecoder, FromGranterFrames, read_to_granter};

/// Serves for ever.
pub(super) fn serve(config: &Config, listen: &str, page: Page) -> ! {
    let keepers = keepers(config);
    let listener = TcpListener::bind(listen).unwrap_or_else(|error| end(error));
    let port = listener.local_addr().map_or(0, |address| address.port());
    let (said, heard) = channel();
    let attested = Attested::here(config);
    spawn({
        let said = said.clone();
        move || welcome(&listener, &Arc::new(attested), &said)
    });
    spawn(move || tick(&said));
    let mut desk = Desk::begin(config, keepers, page);
    page.say_port(port);
    println!("granter: listens on port {port}");
    desk.serve(&heard);
    end("nobody is left to serve")
}

/// What the other threads bring.
#[derive(Debug)]
enum Event {
    Connected(Peer, Writer<TcpStream>),
    Received(Peer, Vec<ToGranter>),
    Gone(Peer),
    /// Time to look whether something is due. The slow hand decides whether it is.
    Tick,
}

/// The thread that owns the granter.
#[derive(Debug)]
struct Desk {
    granter: Granter,
    keepers: Arc<Keepers>,
    connections: BTreeMap<Peer, (Writer<TcpStream>, FromGranterFrames)>,
    /// Records that are as durable as anything here is.
    persisted: Vec<PersistId>,
    page: Page,
}

impl Desk {
    fn begin(config: &Config, keepers: Arc<Keepers>, page: Page) -> Self {
        let limits = Limits {
            term_min: config.limits.term_min,
            term_max: config.limits.term_max,
            leases_max: LEASES_MAX,
            sessions_max: LEASES_MAX,
            events_kept: EVENTS_KEPT,
            ..Limits::default()
        };
        let past = Past::Record(Record {
            // Drawn, so that no message to an earlier life is taken for one to this.
            incarnation: Incarnation::new(u64::from_le_bytes(random()) >> 2 | 1)
                .expect("its lowest bit is set"),
            fence_mark: 0,
            longest_promise: config.limits.term_max,
            settled: None,
            leftovers: Leftovers::Possible,
            token_key: TokenKey(random()),
        });
        let hand = keepers.slow_hand();
        let start = Start { hand, limits, past, table_key: Key(random()) };
        let mut granter = Granter::new(start, keepers.slow_now());
        let first: Vec<Output> = granter.outputs().collect();
        let (connections, persisted) = (BTreeMap::new(), Vec::new());
        let mut desk = Self { granter, keepers, connections, persisted, page };
        first.into_iter().for_each(|output| desk.carry_out(output));
        desk.settle();
        desk
    }

    fn serve(&mut self, heard: &Receiver<Event>) {
        while let Ok(event) = heard.recv() {
            match event {
                Event::Connected(peer, writer) => {
                    self.connections.insert(peer, (writer, FromGranterFrames::with_hello()));
                    self.hand(Input::Connected { peer, rights: Rights::Holder });
                }
                Event::Received(peer, messages) => {
                    for message in messages {
                        // The granter has closed it, or never knew of it.
                        if self.connections.contains_key(&peer) {
                            self.hand(Input::Received { peer, message });
                        }
                    }
                }
                Event::Gone(peer) => {
                    if self.connections.remove(&peer).is_some() {
                        self.hand(Input::Disconnected { peer });
                    }
                }
                Event::Tick => self.hand(Input::Wake),
            }
            self.settle();
            self.flush();
        }
    }

    fn hand(&mut self, input: Input) {
        let outputs: Vec<Output> = self.granter.handle(self.keepers.slow_now(), input).collect();
        outputs.into_iter().for_each(|output| self.carry_out(output));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Persist { id, record: _ } => self.persisted.push(id),
            Output::Send { peer, message } => {
                self.show(&message);
                if let Some((_, frames)) = self.connections.get_mut(&peer) {
                    // Only pages of lists can be too long, and whoever asked for one waits in vain.
                    let _ = frames.push(&message);
                }
            }
            Output::Close { peer, why } => {
                println!("granter: closes connection {}: {why:?}", peer.0);
                self.connections.remove(&peer);
            }
            // A tick comes anyway.
            Output::WakeAt { .. } => {}
            Output::Reported { disagreement, .. } => {
                println!("granter: a holder says that clocks disagree: {disagreement:?}");
            }
            Output::Stopped { .. } => end("stopped"),
        }
    }

    /// Says that records are durable. They are not, and need not be: see the module.
    fn settle(&mut self) {
        while let Some(id) = self.persisted.pop() {
            self.hand(Input::Persisted(id));
        }
    }

    /// Before a grant leaves, judges see that the name is somebody else's now.
    fn show(&self, message: &FromGranter) {
        let FromGranter::Reply { reply, .. } = message else { return };
        if let Reply::Granted(grant) | Reply::Offered { grant, .. } = reply {
            self.page.say_given(grant.fence.get());
        }
    }

    fn flush(&mut self) {
        for (writer, frames) in self.connections.values_mut() {
            let count = frames.unsent_len();
            if count == 0 {
                continue;
            }
            // Whoever reads for it sees the end of a connection too, and says so.
            let _ = writer.write_all(frames.unsent()).and_then(|()| writer.flush());
            frames.sent(count);
        }
    }
}

/// Lets enclaves in that the policy names, up to a number that leaves threads for all.
fn welcome(listener: &TcpListener, attested: &Arc<Attested>, said: &Sender<Event>) {
    let open = Arc::new(AtomicUsize::new(0));
    let mut last = 0;
    for stream in listener.incoming().flatten() {
        if open.fetch_add(1, SeqCst) >= CONNECTIONS_MAX {
            open.fetch_sub(1, SeqCst);
            continue;
        }
        last += 1;
        let peer = Peer(last);
        let (attested, said, open) = (Arc::clone(attested), said.clone(), Arc::clone(&open));
        spawn(move || {
            if let Err(why) = read_from(stream, peer, &attested, &said) {
                println!("granter: connection {last}: {why}");
            }
            // Nobody hears it when the granter has ended.
            let _ = said.send(Event::Gone(peer));
            open.fetch_sub(1, SeqCst);
        });
    }
}

/// Proves and demands proof, then hands on what comes, until the peer is gone.
fn read_from(
    stream: TcpStream,
    peer: Peer,
    attested: &Attested,
    said: &Sender<Event>,
) -> Result<(), Box<dyn std::error::Error>> {
    let again = stream.try_clone()?;
    let session = accept(stream, &attested.identity, &attested.appraiser, None)?;
    println!("granter: connection {} is of {}", peer.0, session.peer().rule);
    let (mut reader, writer): (Reader<TcpStream>, _) = session.split(again);
    said.send(Event::Connected(peer, writer))?;
    let mut decoder = FrameDecoder::default();
    let mut bytes = [0; 4096];
    loop {
        let count = reader.read(&mut bytes)?;
        if count == 0 {
            return Ok(decoder.end()?);
        }
        decoder.push(&bytes[..count]);
        let mut messages = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            read_to_granter(frame, &mut messages)?;
        }
        said.send(Event::Received(peer, messages))?;
    }
}

/// Reminds the granter to look at its slow hand.
fn tick(said: &Sender<Event>) {
    while said.send(Event::Tick).is_ok() {
        pause(TICK);
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().spawn(work) {
        end(format_args!("no thread: {error}"));
    }
}

/// Half of the shortest term that is of use. What is late by a tick is only late.
const TICK: Duration = Duration::from_millis(10);
/// The image has a TCS for each, and for the timekeepers, the granter and its helpers.
const CONNECTIONS_MAX: usize = 8;
/// Far more than its connections ask for; the heap is small.
const LEASES_MAX: u32 = 1024;
/// As above.
const EVENTS_KEPT: u32 = 64;
