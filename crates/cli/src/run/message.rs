//! What the processes of `tlease run` say to each other: plain data of a fixed size.
//!
//! Fixed size, so that the watchdog can read and write it without allocating.

use super::watch::Why;
use std::time::Duration;
use tlease_clock::Deadline;

/// A message as it travels: six words, in the machine's own byte order, since both ends are this
/// machine and this very program.
pub(super) type Words = [u64; 1 + DEADLINE];

/// A message between two processes of one `tlease run`.
pub(super) trait Message: Sized {
    /// The message as words, the first of which says which it is.
    fn words(&self) -> Words;
    /// The message that these words are, if any.
    fn from_words(words: Words) -> Option<Self>;
}

/// To the watchdog, from the front process and the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Takes the descriptor that comes with it: first standard input, then the supervisor's channel.
    Take,
    /// How long before a deadline to start killing. Comes before the first deadline.
    Margin(Duration),
    /// The lease lasts until here.
    Deadline(Deadline),
    /// The command may start, under this fence.
    Start { fence: u64 },
    /// Send this signal to the command.
    Signal(i32),
    /// The lease must be given back within this time: ask the command to end, then kill it.
    Recalled { within: Duration },
    /// The lease is gone: kill now.
    Lost,
}

/// From the watchdog, to the front process and the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// A process is inside the containment, under this number as its parent sees it.
    Entered { pid: i32 },
    /// The containment holds; killing a small tree in it took this long, at worst.
    Ready { kill_latency: Duration, hardened: Hardened },
    /// The containment cannot be used here, with the system's error number if it gave one.
    Unfit { errno: i32 },
    /// The command runs. Its number is the watchdog's view of it.
    Started { pid: i32 },
    /// The command was stopped from its terminal, or as if it had been (job control).
    Stopped,
    /// The command itself ended; what it left behind is being killed.
    Ended(Ending),
    /// The command has been asked to end.
    Asked(Why),
    /// The tree is being killed.
    Killing(Why),
    /// The deadline has passed and the tree is still there.
    Overdue,
    /// Nothing of the tree is left, since at latest now.
    Empty(Outcome),
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The end of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Why it ended.
    pub(super) why: Why,
    /// From the first kill until nothing was left.
    pub(super) took: Duration,
    /// Whether that was before the deadline.
    pub(super) lateness: Lateness,
}

/// When nothing of a tree was known to be left, beside the deadline of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lateness {
    /// Before it.
    InTime,
    /// At most this long after it.
    After(Duration),
    /// The machine was suspended meanwhile, or its clocks were replaced.
    Unknown,
}

/// What the watchdog could do for its own survival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hardened {
    /// Its memory is locked.
    pub(super) memory_locked: bool,
    /// The kernel spares it when memory runs out.
    pub(super) oom_exempt: bool,
    /// It is scheduled before ordinary processes.
    pub(super) prioritised: bool,
}

/// Between the supervisor and the front process; text may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Takes the watchdog's channel, to the supervisor.
    Take,
    /// The tree is gone: release. To the supervisor, from the front process if the watchdog died.
    Empty,
    /// The lease is ours, under this fence. The text says whose granter it is.
    Granted { fence: u64 },
    /// No lease, and the exit code for it. The text says why.
    Denied { code: u8 },
    /// Progress worth telling; the text is all there is.
    Note,
    /// The lease was given back.
    Released,
    /// The lease was not given back; it ends by itself. The text says why.
    Kept,
}

impl Message for Order {
    fn words(&self) -> Words {
        match *self {
            Self::Take => words([1]),
            Self::Margin(span) => words([2, nanos(span)]),
            Self::Deadline(deadline) => {
                let mut words = words([3]);
                let bytes = deadline.to_bytes();
                for (word, chunk) in words.iter_mut().skip(1).zip(bytes.as_chunks().0) {
                    *word = u64::from_ne_bytes(*chunk);
                }
                words
            }
            Self::Start { fence } => words([4, fence]),
            Self::Signal(signal) => words([5, signed(signal)]),
            Self::Recalled { within } => words([6, nanos(within)]),
            Self::Lost => words([7]),
        }
    }

    fn from_words(words: Words) -> Option<Self> {
        Some(match words {
            [1, ..] => Self::Take,
            [2, span, ..] => Self::Margin(Duration::from_nanos(span)),
            [3, deadline @ ..] => {
                let mut bytes = [0; Deadline::BYTES];
                for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(deadline) {
                    *chunk = word.to_ne_bytes();
                }
                Self::Deadline(Deadline::from_bytes(&bytes)?)
            }
            [4, fence, ..] => Self::Start { fence },
            [5, signal, ..] => Self::Signal(unsigned(signal)?),
            [6, within, ..] => Self::Recalled { within: Duration::from_nanos(within) },
            [7, ..] => Self::Lost,
            _ => return None,
        })
    }
}

impl Message for Report {
    fn words(&self) -> Words {
        match *self {
            Self::Entered { pid } => words([1, signed(pid)]),
            Self::Ready { kill_latency, hardened } => words([
                2,
                nanos(kill_latency),
                u64::from(hardened.memory_locked),
                u64::from(hardened.oom_exempt),
                u64::from(hardened.prioritised),
            ]),
            Self::Unfit { errno } => words([3, signed(errno)]),
            Self::Started { pid } => words([4, signed(pid)]),
            Self::Stopped => words([5]),
            Self::Ended(Ending::Code(code)) => words([6, signed(code)]),
            Self::Ended(Ending::Signal(signal)) => words([7, signed(signal)]),
            Self::Asked(why) => words([8, why.number()]),
            Self::Killing(why) => words([9, why.number()]),
            Self::Overdue => words([10]),
            Self::Empty(Outcome { why, took, lateness }) => {
                let (kind, late) = match lateness {
                    Lateness::InTime => (0, Duration::ZERO),
                    Lateness::After(late) => (1, late),
                    Lateness::Unknown => (2, Duration::ZERO),
                };
                words([11, why.number(), nanos(took), kind, nanos(late)])
            }
        }
    }

    fn from_words(words: Words) -> Option<Self> {
        Some(match words {
            [1, pid, ..] => Self::Entered { pid: unsigned(pid)? },
            [2, latency, locked, exempt, prioritised, ..] => Self::Ready {
                kill_latency: Duration::from_nanos(latency),
                hardened: Hardened {
                    memory_locked: locked != 0,
                    oom_exempt: exempt != 0,
                    prioritised: prioritised != 0,
                },
            },
            [3, errno, ..] => Self::Unfit { errno: unsigned(errno)? },
            [4, pid, ..] => Self::Started { pid: unsigned(pid)? },
            [5, ..] => Self::Stopped,
            [6, code, ..] => Self::Ended(Ending::Code(unsigned(code)?)),
            [7, signal, ..] => Self::Ended(Ending::Signal(unsigned(signal)?)),
            [8, why, ..] => Self::Asked(Why::numbered(why)?),
            [9, why, ..] => Self::Killing(Why::numbered(why)?),
            [10, ..] => Self::Overdue,
            [11, why, took, kind, late, ..] => Self::Empty(Outcome {
                why: Why::numbered(why)?,
                took: Duration::from_nanos(took),
                lateness: match kind {
                    0 => Lateness::InTime,
                    1 => Lateness::After(Duration::from_nanos(late)),
                    2 => Lateness::Unknown,
                    _ => return None,
                },
            }),
            _ => return None,
        })
    }
}

impl Message for Word {
    fn words(&self) -> Words {
        match *self {
            Self::Take => words([1]),
            Self::Empty => words([2]),
            Self::Granted { fence } => words([3, fence]),
            Self::Denied { code } => words([4, u64::from(code)]),
            Self::Note => words([5]),
            Self::Released => words([6]),
            Self::Kept => words([7]),
        }
    }

    fn from_words(words: Words) -> Option<Self> {
        Some(match words {
            [1, ..] => Self::Take,
            [2, ..] => Self::Empty,
            [3, fence, ..] => Self::Granted { fence },
            [4, code, ..] => Self::Denied { code: u8::try_from(code).ok()? },
            [5, ..] => Self::Note,
            [6, ..] => Self::Released,
            [7, ..] => Self::Kept,
            _ => return None,
        })
    }
}

/// A message of these words, the rest of it empty.
fn words<const N: usize>(fields: [u64; N]) -> Words {
    let mut words = Words::default();
    for (word, field) in words.iter_mut().zip(fields) {
        *word = field;
    }
    words
}

/// The deadline of a lease, as words.
const DEADLINE: usize = Deadline::BYTES / size_of::<u64>();

/// At most 584 years, which no term reaches.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn signed(number: i32) -> u64 {
    u64::from(number.cast_unsigned())
}

fn unsigned(word: u64) -> Option<i32> {
    u32::try_from(word).ok().map(u32::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;
    use tlease_clock::{HostClock, Profile};
    use tlease_core::time::Span;

    fn survives<M: Message + Debug + PartialEq>(message: M) {
        assert_eq!(M::from_words(message.words()), Some(message));
    }

    #[test]
    fn every_order_arrives_as_it_was_sent() {
        survives(Order::Take);
        survives(Order::Margin(Duration::from_millis(250)));
        let clock = HostClock::open(&Profile::host()).unwrap();
        let anchor = clock.fast_now().send_anchor();
        let deadline = clock.deadline(&anchor, Span::from_secs(1)).unwrap();
        survives(Order::Deadline(deadline));
        survives(Order::Start { fence: u64::MAX });
        survives(Order::Signal(15));
        survives(Order::Recalled { within: Duration::from_secs(1) });
        survives(Order::Lost);
    }

    #[test]
    fn every_report_arrives_as_it_was_sent() {
        let hardened = Hardened { memory_locked: true, oom_exempt: false, prioritised: true };
        survives(Report::Entered { pid: 7 });
        survives(Report::Ready { kill_latency: Duration::from_micros(3), hardened });
        survives(Report::Unfit { errno: 1 });
        survives(Report::Started { pid: 3 });
        survives(Report::Stopped);
        survives(Report::Ended(Ending::Code(-1)));
        survives(Report::Ended(Ending::Signal(9)));
        survives(Report::Overdue);
        for why in Why::ALL {
            survives(Report::Asked(why));
            survives(Report::Killing(why));
            let took = Duration::from_millis(1);
            let late = Lateness::After(Duration::from_micros(2));
            for lateness in [Lateness::InTime, late, Lateness::Unknown] {
                survives(Report::Empty(Outcome { why, took, lateness }));
            }
        }
    }

    #[test]
    fn every_word_arrives_as_it_was_sent() {
        for word in [Word::Take, Word::Empty, Word::Note, Word::Released, Word::Kept] {
            survives(word);
        }
        survives(Word::Granted { fence: 9 });
        survives(Word::Denied { code: 75 });
    }

    #[test]
    fn words_that_say_nothing_are_nothing() {
        assert_eq!(Order::from_words(words([0])), None);
        assert_eq!(Report::from_words(words([99])), None);
        assert_eq!(Report::from_words(words([9, 99])), None);
        assert_eq!(Word::from_words(words([4, 256])), None);
    }
}
