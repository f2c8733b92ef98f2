//! The holder: takes a name, acts under it by the guard, gives it back, and begins again.
//!
//! Its thread leaves for each message. What it knew of the fast hand is over then: a lease is only acted
//! under in a new stay, which shakes hands with the timekeeper anew (I20).

use super::act::{Tried, check_then_act};
use super::clock::{fast_now, guarded};
use super::end;
use super::page::Log;
use super::peer::{Attested, random};
use crate::config::Config;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tlease_attest::{Session, connect};
use tlease_clock::LeaseCell;
use tlease_clock::enclave::KeeperClock;
use tlease_clock::stay::Thread;
use tlease_core::fence::{Fence, Mode};
use tlease_core::holder::{Change, Handle, Holder, Input, Output, Renewal, View};
use tlease_core::identity::{Secret, SessionId};
use tlease_core::message::{Acquire, Wait};
use tlease_core::name::Name;
use tlease_wire::{FrameDecoder, ToGranterFrames, read_from_granter};

/// Holds the name again and again, with so many acts under each lease, until the log is full or the
/// granter is gone.
pub(super) fn hold(config: &Config, granter: &str, log: Log, name: &Name, acts: u64) -> ! {
    let clock = guarded(config);
    let thread = Thread::claim().unwrap_or_else(|none| end(none));
    let ended = Desk::open(config, granter, clock, thread)
        .and_then(|mut desk| desk.acts_of(log, name, acts, config));
    match ended {
        Ok(()) => std::process::exit(0),
        Err(why) => end(why),
    }
}

/// The thread that owns the holder.
#[derive(Debug)]
struct Desk {
    holder: Holder,
    clock: Arc<KeeperClock>,
    thread: Thread,
    session: Session<TcpStream>,
    unsent: ToGranterFrames,
    decoder: FrameDecoder,
    cell: LeaseCell,
    /// The fence that the cell holds.
    fence: Option<Fence>,
    is_open: bool,
    changes: Vec<Change>,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

impl Desk {
    /// Connects, proves and demands proof, and opens a session.
    fn open(
        config: &Config,
        granter: &str,
        clock: Arc<KeeperClock>,
        mut thread: Thread,
    ) -> Outcome<Self> {
        let attested = Attested::here(config);
        let stream = TcpStream::connect(granter)?;
        let session = connect(stream, &attested.identity, &attested.appraiser, None)?;
        println!("holder: the granter is of {}", session.peer().rule);
        let now = fast_now(&clock, &mut thread);
        let (id, secret) = (SessionId(random()), Secret(random()));
        let mut desk = Self {
            holder: Holder::new(clock.fast_hand(), id, secret, now),
            cell: LeaseCell::new(Arc::clone(&clock))?,
            clock,
            thread,
            session,
            unsent: ToGranterFrames::with_hello(),
            decoder: FrameDecoder::default(),
            fence: None,
            is_open: false,
            changes: Vec::new(),
        };
        desk.tell(Input::Connected)?;
        while !desk.is_open {
            desk.listen()?;
        }
        Ok(desk)
    }

    fn acts_of(&mut self, mut log: Log, name: &Name, acts: u64, config: &Config) -> Outcome<()> {
        for number in 1.. {
            let handle = Handle(number);
            let (mode, term) = (Mode::Exclusive, config.limits.term_max);
            let acquire =
                Acquire { name: name.clone(), mode, term, wait: Wait::Unbounded, value: None };
            self.tell(Input::Acquire { handle, acquire, renewal: Renewal::ByHand })?;
            let mut tally = Tally::default();
            while tally.acted < acts && !self.is_over(handle) {
                let Some(slot) = log.next() else { return Ok(()) };
                match self.view(handle) {
                    View::Pending => self.listen()?,
                    View::Valid { .. } | View::Recalled { .. } => {
                        let Some(fence) = self.fence else { return Err("no fence".into()) };
                        log.say_tries(fence.get());
                        let tried = self.try_once(fence, &slot);
                        if tried == Some(Tried::Acted) {
                            log.acted();
                        }
                        log.say_ended();
                        tally.note(tried);
                        if tried != Some(Tried::Acted) {
                            self.renew(handle)?;
                        }
                    }
                    View::Suspect => self.renew(handle)?,
                    View::Ended(_) => break,
                }
            }
            self.tell(Input::Forget { handle })?;
            println!("holder: lease {number}, fence {:?}: {tally:?}", self.fence);
        }
        Ok(())
    }

    /// One try, in a stay of its own; `None` if no timekeeper answered.
    fn try_once(&mut self, fence: Fence, slot: &super::page::Slot) -> Option<Tried> {
        let timed = self.clock.time(self.thread.stay()).ok()?;
        Some(check_then_act(&self.cell, &timed, fence, slot))
    }

    /// Asks for a new term, and waits for what comes of it.
    fn renew(&mut self, handle: Handle) -> Outcome<()> {
        self.changes.clear();
        self.tell(Input::Renew { handle, term: None })?;
        let is_answer = |change: &Change| match change {
            Change::Renewed | Change::NotRenewed(_) | Change::Ended(_) => true,
            Change::Queued { .. }
            | Change::Acquired
            | Change::Downgraded
            | Change::Suspect
            | Change::ClocksDisagree(_)
            | Change::Jeopardy
            | Change::Recalled { .. } => false,
        };
        while !self.changes.iter().any(is_answer) && !self.is_over(handle) {
            self.listen()?;
        }
        Ok(())
    }

    fn view(&mut self, handle: Handle) -> View {
        let now = fast_now(&self.clock, &mut self.thread);
        self.holder.view(handle, now).unwrap_or(View::Suspect)
    }

    fn is_over(&mut self, handle: Handle) -> bool {
        matches!(self.view(handle), View::Ended(_))
    }

    /// Waits for bytes of the granter, and takes in what they say.
    ///
    /// There is no time in here to wake the holder by: it is woken before each wait, so that nothing that
    /// it has put off is waited for.
    fn listen(&mut self) -> Outcome<()> {
        self.tell(Input::Wake)?;
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
        messages.into_iter().try_for_each(|message| self.tell(Input::Received(message)))
    }

    /// Feeds the holder, and does what it says in its order. The clock is read before anything is sent.
    fn tell(&mut self, input: Input) -> Outcome<()> {
        let now = fast_now(&self.clock, &mut self.thread);
        let outputs: Vec<Output> = self.holder.handle(now, input).collect();
        outputs.into_iter().try_for_each(|output| self.carry_out(output))?;
        let bytes = self.unsent.unsent();
        if !bytes.is_empty() {
            self.session.write_all(bytes)?;
            self.session.flush()?;
            let count = bytes.len();
            self.unsent.sent(count);
        }
        Ok(())
    }

    fn carry_out(&mut self, output: Output) -> Outcome<()> {
        match output {
            Output::Send(message) => self.unsent.push(&message)?,
            Output::Hold { hold, .. } => {
                self.fence = Some(hold.fence);
                // It does not hold an anchor of a segment that is over. The lease is suspect then, and
                // is renewed.
                let _ = self.cell.hold(hold.fence, &hold.anchor, hold.term);
            }
            Output::Suspend { .. } => {
                self.fence.into_iter().for_each(|fence| self.cell.suspend(fence));
            }
            Output::Close { .. } => {
                self.cell.revoke();
            }
            Output::Changed { change, .. } => self.changes.push(change),
            Output::Opened(_) => self.is_open = true,
            Output::NotOpened(refusal) => return Err(refusal.to_string().into()),
            Output::Reconnect => return Err("the granter does not answer".into()),
            // It is woken before it waits for the granter.
            Output::WakeAt { .. } => {}
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
