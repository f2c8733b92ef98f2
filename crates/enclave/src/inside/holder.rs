//! The holder: does what its [course](crate::course) says, under a name, by the guard.
//!
//! Its thread leaves for each message. What it knew of the fast hand is over then: a lease is only acted
//! under in a new stay, which shakes hands with the timekeeper anew (I20).

use super::act::{Tried, check_then_act};
use super::clock::{fast_now, guarded};
use super::end;
use super::page::{Log, Slot};
use super::peer::{Attested, random};
use crate::config::Config;
use crate::course::{Course, Next, Order, Wish};
use crate::role::Way;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tlease_attest::{Session, connect};
use tlease_clock::LeaseCell;
use tlease_clock::enclave::KeeperClock;
use tlease_clock::stay::Thread;
use tlease_core::fence::Fence;
use tlease_core::holder::Holder;
use tlease_core::identity::{Secret, SessionId};
use tlease_wire::{FrameDecoder, ToGranterFrames, read_from_granter};

/// Holds the name again and again, with so many acts under each lease, until the log is full or the
/// granter is gone.
pub(super) fn hold(config: &Config, granter: &str, log: Log, wish: Wish, way: Way) -> ! {
    let clock = guarded(config, way);
    let thread = Thread::claim().unwrap_or_else(|none| end(none));
    let desk = Desk::open(config, granter, clock, thread, wish, way);
    match desk.and_then(|desk| desk.work(log)) {
        Ok(()) => std::process::exit(0),
        Err(why) => end(why),
    }
}

/// The thread that owns the holder: it does what the course says.
#[derive(Debug)]
struct Desk {
    course: Course,
    clock: Arc<KeeperClock>,
    thread: Thread,
    session: Session<TcpStream>,
    unsent: ToGranterFrames,
    decoder: FrameDecoder,
    cell: LeaseCell,
    way: Way,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

impl Desk {
    /// Connects, proves and demands proof.
    fn open(
        config: &Config,
        granter: &str,
        clock: Arc<KeeperClock>,
        mut thread: Thread,
        wish: Wish,
        way: Way,
    ) -> Outcome<Self> {
        let attested = Attested::here(config);
        let stream = TcpStream::connect(granter)?;
        let session = connect(stream, &attested.identity, &attested.appraiser, None)?;
        println!("holder: the granter is of {}", session.peer().rule);
        let now = fast_now(&clock, &mut thread);
        let holder = Holder::new(clock.fast_hand(), SessionId(random()), Secret(random()), now);
        Ok(Self {
            course: Course::begin(holder, now, wish),
            cell: LeaseCell::new(Arc::clone(&clock))?,
            clock,
            thread,
            session,
            unsent: ToGranterFrames::with_hello(),
            decoder: FrameDecoder::default(),
            way,
        })
    }

    /// The clock is read before anything is sent that follows from it.
    fn work(mut self, mut log: Log) -> Outcome<()> {
        let mut tally = Tally::default();
        loop {
            while let Some(order) = self.course.order() {
                self.carry_out(order)?;
            }
            self.flush()?;
            let now = fast_now(&self.clock, &mut self.thread);
            match self.course.next(now)? {
                Next::Orders => {}
                Next::Act(fence) => {
                    let Some(slot) = log.next() else { return Ok(()) };
                    log.say_tries(fence.get());
                    let tried = self.try_once(fence, &slot);
                    let has_acted = tried == Some(Tried::Acted);
                    if has_acted {
                        log.acted();
                    }
                    log.say_ended();
                    tally.note(tried);
                    let now = fast_now(&self.clock, &mut self.thread);
                    self.course.tried(now, has_acted);
                }
                Next::Listen => self.listen()?,
                Next::Done { lease, fence } => {
                    println!("holder: lease {lease}, fence {fence:?}: {tally:?}");
                    tally = Tally::default();
                }
            }
        }
    }

    /// One try, in a stay of its own; `None` if no timekeeper answered.
    fn try_once(&mut self, fence: Fence, slot: &Slot) -> Option<Tried> {
        let timed = self.clock.time(self.thread.stay()).ok()?;
        Some(check_then_act(&self.cell, timed, fence, slot, self.way))
    }

    /// Waits for bytes of the granter, and takes in what they say.
    fn listen(&mut self) -> Outcome<()> {
        let mut bytes = [0; 4096];
        let count = self.session.read(&mut bytes)?;
        if count == 0 {
            return Err("the granter has gone".into());
        }
        self.decoder.push(&bytes[..count]);
        let mut messages = Vec::new();
        while let Some(frame) = self.decoder.next_frame()? {
            if read_from_granter(frame, &mut messages)?.is_some() {
                return Err("the granter said goodbye".into());
            }
        }
        for message in messages {
            let now = fast_now(&self.clock, &mut self.thread);
            self.course.received(now, message);
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome<()> {
        let bytes = self.unsent.unsent();
        if !bytes.is_empty() {
            self.session.write_all(bytes)?;
            self.session.flush()?;
            let count = bytes.len();
            self.unsent.sent(count);
        }
        Ok(())
    }

    fn carry_out(&mut self, order: Order) -> Outcome<()> {
        match order {
            Order::Send(message) => self.unsent.push(&message)?,
            Order::Hold(hold) => {
                // It does not hold an anchor of a segment that is over. The lease is suspect then, and
                // is renewed.
                let _ = self.cell.hold(hold.fence, &hold.anchor, hold.term);
            }
            Order::Suspend(fence) => {
                self.cell.suspend(fence);
            }
            Order::Revoke => {
                self.cell.revoke();
            }
        }
        Ok(())
    }
}

/// What became of the tries under one lease.
#[derive(Debug, Default)]
struct Tally {
    acted: u64,
    unanswered: u64,
    unsure: u64,
    refused: u64,
}

impl Tally {
    fn note(&mut self, tried: Option<Tried>) {
        let count = match tried {
            Some(Tried::Acted) => &mut self.acted,
            Some(Tried::Unsure(_)) => &mut self.unsure,
            Some(Tried::Refused(_)) => &mut self.refused,
            None => &mut self.unanswered,
        };
        *count += 1;
    }
}
