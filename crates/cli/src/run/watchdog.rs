//! The watchdog: the parent of the tree, which kills it in time whoever else is stopped or dead.
//!
//! All it needs is set up before the command starts. From then on it allocates nothing, takes no
//! lock and waits for nobody: it reads plain messages, reads clocks, kills and reaps. What to do is
//! decided by [`Watch`]; this is the shell around it.

use super::channel::{Channel, Patience, Received};
use super::containment::{Containment, Kind};
use super::gate::{Entry, Gate};
use super::message::{Ending, Hardened, Order, Report};
use super::raw_clock::RawInstant;
use super::watch::{Act, Event, Watch};
use super::{exit::Exit, probe, process};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{WaitStatus, chdir, getpriority_process, setpriority_process};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io};
use tlease_clock::{Check, Deadline, HostClock, Profile};

/// The hidden role: `KIND DIRECTORY STOP-SIGNAL GRACE-MS NAME COMMAND...`.
pub(super) fn watchdog(arguments: &[OsString]) -> ExitCode {
    process::leave_signals_to_the_front();
    let Ok(front) = Channel::from_stdin() else { return Exit::Broken.into() };
    match Watchdog::set_up(&front, arguments) {
        Ok((mut watchdog, ready)) => {
            // A front process that is gone already shows at the first look.
            let _ = front.send(&ready);
            watchdog.front = Some(front);
            watchdog.watch()
        }
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(0);
            let _ = front.send(&Report::Unfit { errno });
            Exit::Broken.into()
        }
    }
}

#[derive(Debug)]
struct Watchdog {
    watch: Watch,
    clock: HostClock,
    /// The last that the supervisor sent.
    deadline: Option<Deadline>,
    /// `None` once it is gone.
    front: Option<Channel>,
    /// `None` once it is gone.
    supervisor: Option<Channel>,
    containment: Containment,
    gate: Gate,
    /// Whether the command has not been reaped: only then its number is still its own.
    command_is_ours: bool,
    stop_signal: Option<Signal>,
    children: SignalFd,
    timer: OwnedFd,
}

impl Watchdog {
    fn set_up(front: &Channel, arguments: &[OsString]) -> io::Result<(Self, Report)> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let [kind, directory, stop_signal, grace, name, command @ ..] = arguments else {
            return Err(invalid());
        };
        let number = |text: &OsString| text.to_str()?.parse::<u32>().ok();
        let stop_signal = number(stop_signal).ok_or_else(invalid)?.cast_signed();
        let grace = Duration::from_millis(number(grace).ok_or_else(invalid)?.into());

        set_child_subreaper(true)?;
        let containment = Containment::open(kind, directory)?;
        if containment.kind() == Kind::PidNamespace {
            set_pdeathsig(Signal::SIGKILL)?;
        }
        let stdin = taken(front)?;
        let supervisor = Channel::from_fd(taken(front)?);
        // First of all, so that killing is measured as it will be done.
        let niceness = getpriority_process(None).unwrap_or(0);
        let prioritised = setpriority_process(None, HIGHEST_PRIORITY).is_ok();
        let entry = Entry { containment: &containment, niceness };
        let kill_latency = probe::kill_latency(&entry)?;
        let children = SignalFd::with_flags(
            &SigSet::from(Signal::SIGCHLD),
            SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
        )?;
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        let gate = Gate::hold(&entry, name, command, &stdin)?;
        let watchdog = Self {
            watch: Watch::new(grace),
            clock: HostClock::open(&Profile::host()).map_err(io::Error::other)?,
            deadline: None,
            front: None,
            supervisor: Some(supervisor),
            containment,
            gate,
            command_is_ours: true,
            stop_signal: Signal::try_from(stop_signal).ok(),
            children,
            timer,
        };
        Ok((watchdog, Report::Ready { kill_latency, hardened: harden(prioritised) }))
    }

    fn watch(mut self) -> ExitCode {
        loop {
            self.hear_front();
            self.hear_supervisor();
            self.reap();
            self.look_at_clock();
            if self.watch.is_killing() {
                self.containment.kill(None);
                self.reap();
                if self.containment.is_vacant(None) {
                    self.handle(Event::Empty);
                    return ExitCode::SUCCESS;
                }
            }
            self.wait();
        }
    }

    fn handle(&mut self, event: Event) {
        match self.watch.handle(RawInstant::read(), event) {
            None => {}
            Some(Act::Open { fence }) => self.open(fence),
            Some(Act::Ask(why)) => {
                if let Some(signal) = self.stop_signal {
                    self.signal(signal);
                    // A stopped command could not hear it.
                    self.signal(Signal::SIGCONT);
                }
                self.report(&Report::Asked(why));
            }
            Some(Act::Kill(why)) => {
                self.containment.kill(None);
                self.report(&Report::Killing(why));
            }
            Some(Act::TellOverdue) => self.report(&Report::Overdue),
            Some(Act::Finish(outcome)) => {
                self.containment.remove();
                self.report(&Report::Empty(outcome));
            }
        }
    }

    /// After the messages: a renewal that arrived while everything was stopped counts.
    fn look_at_clock(&mut self) {
        let check = self.deadline.as_ref().map(|deadline| self.clock.check(deadline));
        match check {
            Some(Check::Suspect) => self.handle(Event::Suspended),
            // Of its clock alone it is never said that a lease is not held.
            Some(Check::Valid { .. } | Check::Expired | Check::NotHeld) | None => {}
        }
        self.handle(Event::Tick);
    }

    fn open(&mut self, fence: u64) {
        // A gate that cannot be opened belongs to a dead process, which reaping will show.
        if self.gate.open(fence).is_ok() {
            self.report(&Report::Started { pid: self.gate.pid().as_raw() });
        }
    }

    fn hear_front(&mut self) {
        for _ in 0..MESSAGES_AT_ONCE {
            let Some(front) = &self.front else { return };
            match front.receive(Patience::Look) {
                Ok(Received::Message(Order::Margin(span), _)) => self.handle(Event::Margin(span)),
                Ok(Received::Message(Order::Signal(number), _)) => {
                    if let Ok(signal) = Signal::try_from(number) {
                        self.signal(signal);
                    }
                }
                Ok(Received::Nothing) => return,
                // Anything else is not for it to say, so it is not the front process any more.
                Ok(Received::Message(..) | Received::Closed) | Err(_) => {
                    self.front = None;
                    self.handle(Event::FrontGone);
                }
            }
        }
    }

    fn hear_supervisor(&mut self) {
        for _ in 0..MESSAGES_AT_ONCE {
            let Some(supervisor) = &self.supervisor else { return };
            let event = match supervisor.receive(Patience::Look) {
                Ok(Received::Message(Order::Deadline(deadline), _)) => {
                    self.deadline = Some(deadline);
                    Event::Deadline(RawInstant::from(&deadline))
                }
                Ok(Received::Message(Order::Start { fence }, _)) => Event::Start { fence },
                Ok(Received::Message(Order::Recalled { within }, _)) => Event::Recalled { within },
                Ok(Received::Message(Order::Lost, _)) => Event::Lost,
                Ok(Received::Nothing) => return,
                Ok(Received::Message(..) | Received::Closed) | Err(_) => {
                    self.supervisor = None;
                    Event::SupervisorGone
                }
            };
            self.handle(event);
        }
    }

    fn reap(&mut self) {
        while matches!(self.children.read_signal(), Ok(Some(_))) {}
        let command = self.gate.pid();
        let (mut ending, mut stopped) = (None, false);
        process::reap(|pid, status| {
            if pid == command {
                stopped |= status.stopping_signal().is_some_and(is_job_control);
                ending = ending.or_else(|| ending_of(status));
            }
        });
        if stopped {
            self.report(&Report::Stopped);
        }
        if let Some(ending) = ending {
            self.command_is_ours = false;
            self.report(&Report::Ended(ending));
            self.handle(Event::CommandEnded);
        }
    }

    fn signal(&self, signal: Signal) {
        if self.command_is_ours {
            let _ = kill(self.gate.pid(), signal);
        }
    }

    /// Who does not read, or is gone, misses it: nobody is worth waiting for.
    fn report(&self, report: &Report) {
        for channel in [&self.front, &self.supervisor].into_iter().flatten() {
            let _ = channel.send(report);
        }
    }

    /// Waits for a message, a dead child, or the next look at the clock.
    ///
    /// The timer runs on the boot clock, so that it fires at once when the machine wakes up.
    fn wait(&self) {
        let wait = self.watch.wait_at_most(RawInstant::read());
        let spec = Itimerspec { it_interval: Timespec::default(), it_value: timespec(wait) };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec).is_err() {
            return;
        }
        // The place of a process that is gone is taken by the timer once more.
        let timer = self.timer.as_fd();
        let front = self.front.as_ref().map_or(timer, Channel::as_fd);
        let supervisor = self.supervisor.as_ref().map_or(timer, Channel::as_fd);
        let mut awaited = [front, supervisor, timer, self.children.as_fd()]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        // Interrupted or not, everything is looked at again.
        let _ = poll(&mut awaited, None);
    }
}

/// Takes the descriptor that comes with the next message.
fn taken(front: &Channel) -> io::Result<OwnedFd> {
    match front.receive(Patience::Wait)? {
        Received::Message(Order::Take, Some(fd)) => Ok(fd),
        Received::Message(..) | Received::Nothing | Received::Closed => {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// Does what the kernel allows to be scheduled in time and not to be killed for memory. After the
/// gate has started, so that the command inherits none of it.
fn harden(prioritised: bool) -> Hardened {
    // The terminal's signals are not for it. It fails only for a leader of a process group.
    let _ = nix::unistd::setsid();
    // A file system that somebody wants to unmount should not be held by it.
    let _ = chdir(c"/");
    let oom_exempt = fs::write("/proc/self/oom_score_adj", "-1000").is_ok();
    let memory_locked = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok();
    Hardened { memory_locked, oom_exempt, prioritised }
}

/// A plain SIGSTOP is somebody else's business: they will continue what they stopped.
fn is_job_control(signal: i32) -> bool {
    [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU].iter().any(|stop| *stop as i32 == signal)
}

fn ending_of(status: WaitStatus) -> Option<Ending> {
    let code = status.exit_status().map(Ending::Code);
    code.or_else(|| status.terminating_signal().map(Ending::Signal))
}

fn timespec(span: Duration) -> Timespec {
    // A wait of zero would disarm the timer.
    let span = span.max(Duration::from_nanos(1));
    Timespec { tv_sec: span.as_secs().cast_signed(), tv_nsec: span.subsec_nanos().into() }
}

/// Between two looks at the clock: a flood of messages does not keep it from judging the time.
const MESSAGES_AT_ONCE: usize = 32;
const HIGHEST_PRIORITY: i32 = -20;
