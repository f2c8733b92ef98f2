//! The front process: keeps the terminal, passes signals on, and returns the exit code.

use super::args::RunArgs;
use super::channel::{Channel, Patience, Received};
use super::containment::Kind;
use super::exit::Exit;
use super::explain;
use super::guard::{self, Guarded};
use super::lease::Wanted;
use super::margin::{Margin, TermTooShort};
use super::message::{Ending, Lateness, Order, Outcome, Report, Word};
use super::process::{Role, pid_of, reap};
use super::raw_clock::RawInstant;
use super::signals::{Arrived, Signals};
use super::voice::{Voice, Weight};
use super::watch::Why;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::Duration;

/// Runs the command that `args` describe under a lease from the granter at `server`.
pub(super) fn run(args: &RunArgs, server: Option<&OsStr>) -> Exit {
    let voice = args.voice();
    let failed = |exit: Exit, sentence: &str| {
        voice.say(Weight::News, "failed", sentence, &[("exit", exit.code().into())]);
        exit
    };
    // Before anything is started.
    if let Err(malformed) = crate::ask::name(args.name()) {
        return failed(Exit::Malformed, &malformed.to_string());
    }
    // No machine kills so fast that a shorter term would do.
    if let Err(refused) = Margin::of(args.term(), Duration::ZERO) {
        return failed(Exit::Usage, &refused.to_string());
    }
    match Front::set_up(args, server) {
        Ok(mut front) => front.attend(),
        Err(NoFront::TermTooShort(refused)) => failed(Exit::Usage, &refused.to_string()),
        Err(NoFront::Uncontained(reasons)) => {
            failed(Exit::Uncontained, &format!("cannot contain the command: {reasons}"))
        }
        Err(NoFront::System(error)) => failed(Exit::Broken, &format!("cannot start: {error}")),
    }
}

/// Why there was no run at all.
enum NoFront {
    TermTooShort(TermTooShort),
    Uncontained(String),
    System(io::Error),
}

#[derive(Debug)]
struct Front {
    voice: Voice,
    signals: Signals,
    guarded: Guarded,
    supervisor: Child,
    /// `None` once it is gone.
    supervisor_channel: Option<Channel>,
    /// The lease, for people.
    name: String,
    granted: bool,
    /// What to return if there is no lease.
    denied: Option<Exit>,
    overdue: bool,
    ending: Option<Ending>,
    outcome: Option<Outcome>,
}

/// What the front process has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Attend,
    /// The tree is gone, and the supervisor has the word.
    Conclude,
    /// Nobody watches the tree any more.
    TakeOver,
    Leave(Exit),
}

impl Front {
    fn set_up(args: &RunArgs, server: Option<&OsStr>) -> Result<Self, NoFront> {
        let voice = args.voice();
        let signals = Signals::take().map_err(NoFront::System)?;
        // If the watchdog is killed, the orphans of the tree come here.
        set_child_subreaper(true).map_err(|errno| NoFront::System(errno.into()))?;
        let (guarded, passed_over) = guard::set_up(args);
        let Some((guarded, for_supervisor)) = guarded else {
            let reasons: Vec<_> = passed_over
                .iter()
                .map(|passed| format!("{}: {}", passed.kind, passed.why))
                .collect();
            return Err(NoFront::Uncontained(reasons.join("; ")));
        };
        explain::containment(voice, &guarded, &passed_over);
        let margin =
            Margin::of(args.term(), guarded.kill_latency).map_err(NoFront::TermTooShort)?;
        explain::promise(voice, &guarded, args.term(), &margin);

        // Before there is anybody who could send a deadline.
        guarded.channel.send(&Order::Margin(margin.span())).map_err(NoFront::System)?;
        let (supervisor, supervisor_channel) =
            start_supervisor(&args.wanted(server), for_supervisor).map_err(NoFront::System)?;
        let facts = [("supervisor", supervisor.id().into())];
        voice.say(Weight::Detail, "asking", "asking for the lease", &facts);
        Ok(Self {
            voice,
            signals,
            guarded,
            supervisor,
            supervisor_channel: Some(supervisor_channel),
            name: args.name().to_string_lossy().into_owned(),
            granted: false,
            denied: None,
            overdue: false,
            ending: None,
            outcome: None,
        })
    }

    fn attend(&mut self) -> Exit {
        loop {
            // The place of a supervisor that is gone is taken by the watchdog once more.
            let supervisor = self.supervisor_channel.as_ref().unwrap_or(&self.guarded.channel);
            let awaited = [self.signals.as_fd(), self.guarded.channel.as_fd(), supervisor.as_fd()];
            let mut awaited = awaited.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            // Interrupted or not, everything is looked at.
            let _ = poll(&mut awaited, None);
            for look in [Self::look_at_signals, Self::look_at_watchdog, Self::look_at_supervisor] {
                match look(self) {
                    Next::Attend => {}
                    Next::Conclude => return self.conclude(),
                    Next::TakeOver => return self.take_over(),
                    Next::Leave(exit) => return self.leave(exit),
                }
            }
        }
    }

    fn look_at_signals(&mut self) -> Next {
        while let Some(signal) = self.signals.next() {
            // Nothing helps the command any more, so the wish to end is for us.
            if signal.is_farewell() && self.overdue {
                return Next::Leave(Exit::Overrun);
            }
            self.pass_on(signal);
        }
        Next::Attend
    }

    /// Passes a signal on, unless the terminal has sent it to the command already. A command that
    /// still waits for its lease dies of what it would die of later, and gives up its place so.
    fn pass_on(&self, signal: Arrived) {
        if !signal.from_terminal {
            // A watchdog that is gone shows where its reports are read.
            let _ = self.guarded.channel.send(&Order::Signal(signal.number));
        }
    }

    fn look_at_watchdog(&mut self) -> Next {
        loop {
            match self.guarded.channel.receive(Patience::Look) {
                Ok(Received::Message(report, _)) => self.note_report(report),
                Ok(Received::Nothing) => return Next::Attend,
                Ok(Received::Closed) | Err(_) => return Next::TakeOver,
            }
            if self.outcome.is_some() {
                return Next::Conclude;
            }
        }
    }

    fn note_report(&mut self, report: Report) {
        let voice = self.voice;
        match report {
            Report::Started { pid } => {
                voice.say(Weight::Detail, "started", "the command runs", &[("pid", pid.into())]);
            }
            // So that the shell sees its job stopped. It runs on from here when it is continued.
            Report::Stopped => {
                let _ = kill(nix::unistd::getpid(), Signal::SIGSTOP);
            }
            Report::Ended(ending) => self.ending = Some(ending),
            Report::Asked(why) => {
                let sentence = format!("asking the command to end: {}", why.sentence());
                voice.say(Weight::News, "asked", &sentence, &[("why", why.sentence().into())]);
            }
            Report::Killing(Why::CommandEnded) => {}
            // Of a command that never ran there is nothing to tell.
            Report::Killing(_) if !self.granted => {}
            Report::Killing(why) => {
                let sentence = format!("killing the command: {}", why.sentence());
                voice.say(Weight::News, "killing", &sentence, &[("why", why.sentence().into())]);
            }
            Report::Overdue => {
                self.overdue = true;
                let sentence = "the deadline has passed and the command still dies; waiting";
                voice.say(Weight::News, "overdue", sentence, &[]);
            }
            Report::Empty(outcome) => self.outcome = Some(outcome),
            Report::Entered { .. } | Report::Ready { .. } | Report::Unfit { .. } => {}
        }
    }

    fn look_at_supervisor(&mut self) -> Next {
        while let Some(supervisor) = &self.supervisor_channel {
            match supervisor.receive_text() {
                Ok((Received::Message(word, _), text)) => self.note_word(word, &text),
                Ok((Received::Nothing, _)) => break,
                // The watchdog sees it too, and will say what comes of it.
                Ok((Received::Closed, _)) | Err(_) => self.supervisor_channel = None,
            }
        }
        Next::Attend
    }

    fn note_word(&mut self, word: Word, text: &str) {
        let voice = self.voice;
        let about = |what: &str| format!("lease {}{what}", self.name);
        match word {
            Word::Granted { fence } => {
                let sentence = about(&format!(" granted, fence {fence}"));
                voice.say(Weight::Detail, "granted", &sentence, &[("fence", fence.into())]);
                self.granted = true;
            }
            Word::Denied { code } => {
                let sentence = about(&format!(": {text}"));
                voice.say(Weight::News, "denied", &sentence, &[("exit", code.into())]);
                let known = [Exit::Unreachable, Exit::Refused, Exit::Busy, Exit::TimedOut];
                let exit = known.into_iter().find(|exit| exit.code() == code);
                self.denied = Some(exit.unwrap_or(Exit::Broken));
            }
            Word::Note => voice.say(Weight::News, "note", text, &[]),
            Word::Released => voice.say(Weight::Detail, "released", &about(" released"), &[]),
            Word::Kept => voice.say(Weight::News, "kept", &about(&format!(": {text}")), &[]),
            Word::Take | Word::Empty => {}
        }
    }

    /// The tree is gone: lets the supervisor release, and returns what the run came to.
    fn conclude(&mut self) -> Exit {
        let Some(outcome) = self.outcome else { return Exit::Broken };
        explain::outcome(self.voice, &outcome);
        // What it said until now counts, most of all whether there is a lease.
        self.look_at_supervisor();
        if self.granted {
            self.await_release();
        } else {
            // Gone, we are its reason to withdraw, or to release what it gets at this moment.
            self.supervisor_channel = None;
            let _ = ended_within(&mut self.supervisor, RELEASE_PATIENCE);
        }
        let exit = exit_of(outcome, self.ending);
        self.leave(self.denied.unwrap_or(exit))
    }

    /// Waits until the supervisor has released and ended, but not for ever: a stopped one would
    /// never, and its lease ends by itself.
    fn await_release(&mut self) {
        let start = RawInstant::read();
        while RawInstant::read().since(start) < RELEASE_PATIENCE {
            let Some(supervisor) = &self.supervisor_channel else { return };
            match supervisor.receive_text() {
                Ok((Received::Message(word, _), text)) => {
                    self.note_word(word, &text);
                    continue;
                }
                Ok((Received::Nothing, _)) => {}
                Ok((Received::Closed, _)) | Err(_) => return,
            }
            let mut awaited = [PollFd::new(supervisor, PollFlags::IN)];
            let _ = poll(&mut awaited, Some(&BETWEEN_LOOKS));
        }
        let sentence = "the supervisor does not answer: the lease is not released, it runs out";
        self.voice.say(Weight::News, "kept", sentence, &[]);
    }

    /// The second line: the watchdog is dead, so its children are ours, and we kill them.
    fn take_over(&mut self) -> Exit {
        let sentence = "the watchdog is gone; killing the command";
        self.voice.say(Weight::News, "watchdog-gone", sentence, &[]);
        let start = RawInstant::read();
        while !self.tree_is_gone() {
            if RawInstant::read().since(start) > TAKE_OVER_PATIENCE {
                let sentence = "it is not known whether all of the command is gone: no release";
                self.voice.say(Weight::News, "kept", sentence, &[]);
                return self.leave(Exit::Broken);
            }
            let _ = poll(&mut [], Some(&BETWEEN_LOOKS));
        }
        self.guarded.containment.remove();
        if let Some(supervisor) = &self.supervisor_channel {
            // If it is gone meanwhile it cannot release, and need not know.
            let _ = supervisor.send(&Word::Empty);
        }
        self.await_release();
        self.leave(Exit::Broken)
    }

    fn tree_is_gone(&mut self) -> bool {
        if self.guarded.containment.kind() == Kind::PidNamespace {
            // The process that reaped the init knows: the kernel lets the init go last.
            return matches!(self.guarded.process.try_wait(), Ok(Some(status)) if status.success());
        }
        let spare = Some(pid_of(&self.supervisor));
        self.guarded.containment.kill(spare);
        reap(|_, _| {});
        self.guarded.containment.is_vacant(spare)
    }

    /// Ends what is left of the run.
    fn leave(&mut self, exit: Exit) -> Exit {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        if exit.is_ambiguous() {
            let sentence =
                format!("{exit}: a code that tlease uses too, but this one is the command's");
            self.voice.say(Weight::News, "ambiguous", &sentence, &[]);
        }
        self.voice.say(Weight::Detail, "exit", &exit.to_string(), &[("code", exit.code().into())]);
        exit
    }
}

/// Starts the supervisor, with its end of the channel to the watchdog.
fn start_supervisor(wanted: &Wanted, to_watchdog: Channel) -> io::Result<(Child, Channel)> {
    let (channel, theirs) = Channel::pair()?;
    channel.send_with_fd(&Word::Take, to_watchdog.as_fd())?;
    let supervisor = Role::Supervisor
        .command()
        .args(wanted.arguments())
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()?;
    Ok((supervisor, channel))
}

/// Whether a process ends by itself within that time.
fn ended_within(process: &mut Child, patience: Duration) -> bool {
    let start = RawInstant::read();
    loop {
        match process.try_wait() {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return true,
        }
        if RawInstant::read().since(start) > patience {
            return false;
        }
        let _ = poll(&mut [], Some(&BETWEEN_LOOKS));
    }
}

fn exit_of(outcome: Outcome, ending: Option<Ending>) -> Exit {
    if outcome.lateness != Lateness::InTime {
        return Exit::Overrun;
    }
    match (outcome.why, ending) {
        (Why::CommandEnded, Some(Ending::Code(code))) => {
            // The kernel keeps eight bits of an exit code.
            Exit::Command(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
        }
        (Why::CommandEnded, Some(Ending::Signal(signal))) => Exit::Signal(signal),
        (Why::CommandEnded, None) => Exit::Broken,
        (Why::FrontGone, _) => Exit::Broken,
        (Why::DeadlineNear | Why::Lost | Why::Recalled, _) => Exit::Lost,
        (Why::SupervisorGone | Why::Suspended, _) => Exit::Lost,
    }
}

/// A release is one message; a granter that takes longer than this frees the lease by itself.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);
/// Beyond this a task sits in the kernel, and nobody can say for how long.
const TAKE_OVER_PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
