//! The granter's clock is read after the last byte of an input was read: a stamp from before would
//! free a lease too early.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

mod common;

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use common::{Client, Home, Running, SECOND, acquire, acquire_and_wait};
use tlease_core::identity::{AskId, RequestId};
use tlease_core::message::{Ask, Reply, Request, ToGranter, Wait};
use tlease_core::refusal::Refusal;
use tlease_core::time::{Now, Readings, SlowHand, SlowInstant, Source, Span, Ticks};
use tlease_daemon::SlowClock;
use tlease_wire::ToGranterFrames;

#[test]
fn a_request_that_comes_while_the_clock_is_read_gets_a_later_reading() {
    let clock = Arc::new(Mutex::new(Steered::default()));
    let home = Home::new();
    let granter = Running::start_with(home.config(), Steered::as_clock(&clock));
    let stream = granter.tcp();
    let mut first = Client::over(stream.try_clone().unwrap());
    first.open(1);
    // The store has nothing to do for later grants of such terms: they are made at once.
    first.take("before", SECOND);

    // The next reading shows time 0. Before it returns, an hour passes and the request arrives, on
    // the very socket that this turn is about.
    let mut frames = ToGranterFrames::default();
    let (epoch, id) = (first.epoch.unwrap(), RequestId(first.last_id() + 1));
    let request = Request { epoch, id, op: acquire("job", SECOND) };
    frames.push(&ToGranter::Request(request)).unwrap();
    clock.lock().unwrap().during_next =
        Some(Interruption { passes: HOUR, stream, bytes: frames.unsent().to_vec() });
    first.push(&ToGranter::Ask { id: AskId(7), ask: Ask::Status });
    assert!(matches!(first.reply_to(id), Reply::Granted(_)));

    // A stamp of time 0 would have been over an hour ago.
    let mut second = granter.session(2);
    assert!(matches!(second.call(acquire("job", SECOND)), Reply::Refused(Refusal::Held { .. })));
}

#[test]
fn a_granter_whose_clock_stands_still_frees_nothing() {
    let clock = Arc::new(Mutex::new(Steered::default()));
    let home = Home::new();
    let granter = Running::start_with(home.config(), Steered::as_clock(&clock));
    let mut holder = granter.session(1);
    let grant = holder.take("job", Span::from_millis(10));
    let mut waiter = granter.session(2);
    let waiting = waiter.ask_for(acquire_and_wait("job", SECOND, Wait::Unbounded));
    assert!(matches!(waiter.reply_to(waiting), Reply::Queued { .. }));
    let turns = granter.metrics.snapshot().turns;
    common::until("it is woken in vain", || granter.metrics.snapshot().turns > turns + 3);
    assert!(matches!(holder.renew("job", grant.fence), Reply::Renewed(_)));

    clock.lock().unwrap().nanos += HOUR;
    assert!(matches!(waiter.reply_to(waiting), Reply::Offered { .. }));
}

const HOUR: u64 = 3_600_000_000_000;

/// A clock that moves only when the test moves it.
#[derive(Default)]
struct Steered {
    nanos: u64,
    during_next: Option<Interruption>,
}

/// What happens while the clock is read, after its reading was taken.
struct Interruption {
    passes: u64,
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Steered {
    fn as_clock(this: &Arc<Mutex<Self>>) -> SlowClock {
        let this = Arc::clone(this);
        let hand = SlowHand::new(&[Source::assume_slow_nanos(0)]);
        SlowClock::new(hand, move || this.lock().unwrap().read())
    }

    fn read(&mut self) -> Now<SlowInstant> {
        let reading = SlowInstant::new(Readings::one(Ticks(self.nanos)));
        if let Some(mut interruption) = self.during_next.take() {
            self.nanos += interruption.passes;
            interruption.stream.write_all(&interruption.bytes).unwrap();
        }
        Now::at(reading)
    }
}
