//! Leases from the granter of the tests, for the supervisor under test.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tlease_cli::run::{Change, Deadline, Denied, Held, Leases, Queueing, RawInstant, Wanted};
use tlease_clock::{HostClock, Profile};
use tlease_core::time::Span;

/// Where the granter is: its socket, in the environment of the run under test.
pub(crate) const GRANTER: &str = "TLEASE_TEST_GRANTER";

pub(crate) enum TestLeases {}

pub(crate) struct TestLease {
    clock: HostClock,
    stream: UnixStream,
    fence: u64,
    term: Duration,
    deadline: Deadline,
    renew_at: RawInstant,
}

impl Leases for TestLeases {
    type Held = TestLease;

    fn acquire(
        wanted: &Wanted,
        give_up: BorrowedFd<'_>,
        _: &mut dyn FnMut(&str),
    ) -> Result<TestLease, Denied> {
        let unreachable = |why: std::io::Error| Denied::Unreachable(why.to_string());
        let socket = std::env::var_os(GRANTER).expect("the tests say where");
        let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
        let term = wanted.term;
        let request = match wanted.queueing {
            Queueing::Try => format!("try {}\n", term.as_nanos()),
            Queueing::AtMost(span) => format!("acquire {} {}\n", term.as_nanos(), span.as_nanos()),
            Queueing::Forever => format!("acquire {} {}\n", term.as_nanos(), u32::MAX),
        };
        loop {
            stream.write_all(request.as_bytes()).map_err(unreachable)?;
            if !readable(&[stream.as_fd(), give_up], None)[0] {
                return Err(Denied::GivenUp);
            }
            let (answer, fence) = read_line(&stream).map_err(unreachable)?;
            match (answer.as_str(), wanted.queueing) {
                // A grant out of the queue counts from its confirmation, not from the request.
                ("granted", _) => {
                    let clock = HostClock::open(&Profile::host()).expect("this machine has clocks");
                    return TestLease::confirm(clock, stream, fence, term)
                        .map_err(Denied::Unreachable);
                }
                (_, Queueing::Try) => return Err(Denied::Busy("another holds it".into())),
                (_, Queueing::AtMost(_)) => {
                    return Err(Denied::TimedOut("another held it all the time".into()));
                }
                (_, Queueing::Forever) => {}
            }
        }
    }
}

impl Held for TestLease {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn next(&mut self, interrupts: &[BorrowedFd<'_>]) -> Change {
        let wait = self.renew_at.since(RawInstant::read());
        let mut awaited = vec![self.stream.as_fd()];
        awaited.extend(interrupts);
        let ready = readable(&awaited, Some(wait));
        if ready[0] {
            return match read_line(&self.stream) {
                Ok((verb, span)) if verb == "recalled" => {
                    Change::Recalled(Duration::from_nanos(span))
                }
                Ok((verb, _)) => Change::Lost(verb),
                Err(error) => Change::Lost(error.to_string()),
            };
        }
        if ready.contains(&true) {
            return Change::Interrupted;
        }
        match self.renew() {
            Ok(()) => Change::Renewed(self.deadline),
            Err(why) => Change::Lost(why),
        }
    }

    fn release(mut self) -> Result<(), String> {
        let answer = ask(&mut self.stream, &format!("release {}\n", self.fence))?;
        if answer == "released" { Ok(()) } else { Err(answer) }
    }

    fn let_run_out(self) {}
}

impl TestLease {
    fn confirm(
        clock: HostClock,
        mut stream: UnixStream,
        fence: u64,
        term: Duration,
    ) -> Result<Self, String> {
        let deadline = renewed(&clock, &mut stream, fence, term)?;
        let renew_at = RawInstant::read().later_by(term / 3);
        Ok(Self { clock, stream, fence, term, deadline, renew_at })
    }

    fn renew(&mut self) -> Result<(), String> {
        self.deadline = renewed(&self.clock, &mut self.stream, self.fence, self.term)?;
        self.renew_at = RawInstant::read().later_by(self.term / 3);
        Ok(())
    }
}

/// Renews, and returns the deadline counted from an anchor that is read before the request leaves.
fn renewed(
    clock: &HostClock,
    stream: &mut UnixStream,
    fence: u64,
    term: Duration,
) -> Result<Deadline, String> {
    let anchor = clock.fast_now().send_anchor();
    let answer = ask(stream, &format!("renew {fence} {}\n", term.as_nanos()))?;
    if answer != "renewed" {
        return Err(answer);
    }
    let term = Span::try_from(term).map_err(|error| error.to_string())?;
    clock.deadline(&anchor, term).ok_or_else(|| "the machine was suspended".to_owned())
}

fn ask(stream: &mut UnixStream, request: &str) -> Result<String, String> {
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    read_line(stream).map(|(verb, _)| verb).map_err(|error| error.to_string())
}

/// Reads a line of one word and one number, byte by byte so that nothing after it is swallowed.
fn read_line(stream: &UnixStream) -> std::io::Result<(String, u64)> {
    let mut line = String::new();
    BufReader::with_capacity(1, stream).read_line(&mut line)?;
    let (verb, number) =
        line.trim_end().split_once(' ').ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((verb.to_owned(), number.parse().unwrap_or(0)))
}

/// Which of `fds` are readable, after at most `wait`.
fn readable(fds: &[BorrowedFd<'_>], wait: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let wait = wait.map(|wait| Timespec::try_from(wait).unwrap());
    poll(&mut polled, wait.as_ref()).unwrap();
    polled.iter().map(|fd| !fd.revents().is_empty()).collect()
}
