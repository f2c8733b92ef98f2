//! The course of a holder: what its thread does next. It decides, and does nothing itself, so that the
//! machine with which this is compiled steps through it without an enclave.
//!
//! It takes a name, acts under it so often, gives it back, and begins again. Nothing wakes a thread in
//! an enclave at a time of its choice, so it waits for one thing alone, the granter's next word, and
//! that wait must never be for something that the holder itself has put off.

use std::collections::VecDeque;
use std::fmt;
use tlease_core::fence::{Fence, Mode};
#[cfg(test)]
use tlease_core::holder::WakeReason;
use tlease_core::holder::{Change, Handle, Hold, Holder, Input, Output, Renewal, View};
use tlease_core::message::{Acquire, FromGranter, ToGranter, Wait};
use tlease_core::name::Name;
use tlease_core::refusal::Refusal;
use tlease_core::time::{FastInstant, Now, Span};

/// A holder, and how far it has come.
#[derive(Debug)]
pub(crate) struct Course {
    holder: Holder,
    wish: Wish,
    stage: Stage,
    /// The number of the last lease that was asked for.
    number: u64,
    /// To be done in this order, before anything else.
    orders: VecDeque<Order>,
    /// The fence that the guard has.
    fence: Option<Fence>,
    /// The holder was woken, and nothing has happened since.
    is_woken: bool,
    stop: Option<Stop>,
    #[cfg(test)]
    planted: Planted,
}

/// What is held, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) name: Name,
    pub(crate) term: Span,
    /// Acts under one lease, before it is given back.
    pub(crate) acts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The session is not open yet.
    Opening,
    /// Nothing is wanted.
    Idle,
    /// The lease is wanted or held, and has seen so many acts.
    Using { acted: u64 },
    /// The same, while a renewal is under way that must help before the next act.
    Renewing { acted: u64 },
}

/// One thing to be done, before anything after it is.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Hand this to the transport.
    Send(ToGranter),
    /// Let the guard pass.
    Hold(Hold),
    /// Let the guard refuse until it is told to hold again.
    Suspend(Fence),
    /// Close the guard.
    Revoke,
}

/// What comes next, once all orders are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There are more orders.
    Orders,
    /// Try to act under this fence, and tell [`Course::tried`].
    Act(Fence),
    /// Wait for the granter, and tell [`Course::received`].
    Listen,
    /// This lease was given back, or is over. Ask again.
    Done {
        /// Its number.
        lease: u64,
        /// The last fence that the guard had.
        fence: Option<Fence>,
    },
}

/// Why nothing more comes of this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The granter did not open the session.
    NotOpened(Refusal),
    /// It does not answer.
    Silent,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened(refusal) => write!(f, "the granter opened no session: {refusal}"),
            Self::Silent => f.write_str("the granter does not answer"),
        }
    }
}

impl core::error::Error for Stop {}

impl Course {
    /// A course over a connection that stands.
    pub(crate) fn begin(holder: Holder, now: Now<FastInstant>, wish: Wish) -> Self {
        let mut course = Self {
            holder,
            wish,
            stage: Stage::Opening,
            number: 0,
            orders: VecDeque::new(),
            fence: None,
            is_woken: false,
            stop: None,
            #[cfg(test)]
            planted: Planted::default(),
        };
        course.tell(now, Input::Connected);
        course
    }

    /// The next thing to be done; `None` once there is no more.
    pub(crate) fn order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// What comes next, at a moment that was read after all that was told and before any order that
    /// follows is carried out.
    ///
    /// # Errors
    /// [`Stop`].
    ///
    /// # Panics
    /// If orders were left undone.
    pub(crate) fn next(&mut self, now: Now<FastInstant>) -> Result<Next, Stop> {
        assert!(self.orders.is_empty(), "orders are carried out first");
        if let Some(stop) = self.stop {
            return Err(stop);
        }
        let next = match self.stage {
            Stage::Opening => self.wait(now),
            Stage::Idle => self.want(now),
            Stage::Using { acted } => self.go_on(now, acted),
            Stage::Renewing { .. } if matches!(self.view(now), View::Ended(_)) => {
                self.give_back(now)
            }
            Stage::Renewing { .. } => self.wait(now),
        };
        // What was just told may have been the end.
        self.stop.map_or(Ok(next), Err)
    }

    /// Takes in a message.
    pub(crate) fn received(&mut self, now: Now<FastInstant>, message: FromGranter) {
        self.tell(now, Input::Received(message));
    }

    /// Takes in whether the act is done that [`Next::Act`] asked for. After one that is not, the lease is
    /// renewed before the next.
    pub(crate) fn tried(&mut self, now: Now<FastInstant>, has_acted: bool) {
        let (Stage::Using { acted } | Stage::Renewing { acted }) = self.stage else { return };
        if has_acted {
            self.stage = Stage::Using { acted: acted.saturating_add(1) };
        } else {
            self.renew(now, acted);
        }
    }

    fn want(&mut self, now: Now<FastInstant>) -> Next {
        self.number += 1;
        let Wish { name, term, .. } = &self.wish;
        let acquire = Acquire {
            name: name.clone(),
            mode: Mode::Exclusive,
            term: *term,
            wait: Wait::Unbounded,
            value: None,
        };
        let handle = Handle(self.number);
        self.stage = Stage::Using { acted: 0 };
        self.tell(now, Input::Acquire { handle, acquire, renewal: Renewal::ByHand });
        Next::Orders
    }

    fn go_on(&mut self, now: Now<FastInstant>, acted: u64) -> Next {
        match (self.view(now), self.fence) {
            (View::Ended(_), _) => self.give_back(now),
            _ if acted >= self.wish.acts => self.give_back(now),
            (View::Valid { .. } | View::Recalled { .. }, Some(fence)) => Next::Act(fence),
            (View::Suspect | View::Valid { .. } | View::Recalled { .. }, _) => {
                self.renew(now, acted);
                Next::Orders
            }
            (View::Pending, _) => self.wait(now),
        }
    }

    /// Asks for a new term; what comes of it is waited for.
    fn renew(&mut self, now: Now<FastInstant>, acted: u64) {
        self.stage = Stage::Renewing { acted };
        self.tell(now, Input::Renew { handle: Handle(self.number), term: None });
    }

    fn give_back(&mut self, now: Now<FastInstant>) -> Next {
        let done = Next::Done { lease: self.number, fence: self.fence };
        self.stage = Stage::Idle;
        self.tell(now, Input::Forget { handle: Handle(self.number) });
        done
    }

    /// Before each wait the holder is woken: there is no time in an enclave to wake it by, and a wake-up
    /// that it asked for earlier, for whatever reason, stands for all that it has put off since.
    fn wait(&mut self, now: Now<FastInstant>) -> Next {
        if self.is_woken {
            return Next::Listen;
        }
        #[cfg(test)]
        if self.planted.leaves_it_asleep() {
            return Next::Listen;
        }
        self.tell(now, Input::Wake);
        Next::Orders
    }

    fn view(&self, now: Now<FastInstant>) -> View {
        self.holder.view(Handle(self.number), now).unwrap_or(View::Suspect)
    }

    /// Feeds the holder.
    fn tell(&mut self, now: Now<FastInstant>, input: Input) {
        self.is_woken = matches!(input, Input::Wake);
        let outputs: Vec<Output> = self.holder.handle(now, input).collect();
        outputs.into_iter().for_each(|output| self.take(output));
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Send(message) => self.orders.push_back(Order::Send(message)),
            Output::Hold { hold, .. } => {
                self.fence = Some(hold.fence);
                self.orders.push_back(Order::Hold(hold));
            }
            Output::Suspend { .. } => self.orders.extend(self.fence.map(Order::Suspend)),
            Output::Close { .. } => self.orders.push_back(Order::Revoke),
            Output::Changed { change, .. } => self.changed(change),
            Output::Opened(_) => self.stage = Stage::Idle,
            Output::NotOpened(refusal) => self.stop = Some(Stop::NotOpened(refusal)),
            Output::Reconnect => self.stop = Some(Stop::Silent),
            // It is woken before each wait.
            Output::WakeAt { reason: _reason, .. } => {
                #[cfg(test)]
                self.planted.note(_reason);
            }
        }
    }

    /// A renewal is not under way any more once it was answered.
    fn changed(&mut self, change: Change) {
        let is_answer = match change {
            Change::Renewed | Change::NotRenewed(_) | Change::Ended(_) => true,
            Change::Queued { .. }
            | Change::Acquired
            | Change::Downgraded
            | Change::Suspect
            | Change::ClocksDisagree(_)
            | Change::Jeopardy
            | Change::Recalled { .. } => false,
        };
        if let (true, Stage::Renewing { acted }) = (is_answer, self.stage) {
            self.stage = Stage::Using { acted };
        }
    }
}

/// A bug that tests plant, to show that they would find it.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    /// Heeds only wake-ups that were asked for to renew what is suspect.
    HeedsSuspectAlone,
}

/// The bug of one course, and what it remembers.
#[cfg(test)]
#[derive(Debug, Default)]
struct Planted {
    bug: Option<Mutant>,
    asks_again: bool,
}

#[cfg(test)]
impl Planted {
    fn note(&mut self, reason: WakeReason) {
        self.asks_again |= reason == WakeReason::Suspect;
    }

    fn leaves_it_asleep(&mut self) -> bool {
        self.bug == Some(Mutant::HeedsSuspectAlone) && !core::mem::take(&mut self.asks_again)
    }
}

#[cfg(test)]
mod tests;
